# A board's flash: a file of 4 KiB blocks beside the system. The site may cut the power before the n-th change from now.
import _board

_BLOCK = 4096


class Flash:
    def __init__(self, file, blocks):
        self._file = file
        self._blocks = blocks
        self._left = None
        _board.handlers["cut"] = self._cut_after

    def _cut_after(self, changes):
        self._left = changes

    def _count(self):
        if self._left is not None:
            if not self._left:
                _board.end("cut")
            self._left -= 1

    def readblocks(self, number, buf, offset=0):
        self._file.seek(number * _BLOCK + offset)
        self._file.readinto(buf)

    def writeblocks(self, number, buf, offset=0):
        self._count()
        self._file.seek(number * _BLOCK + offset)
        self._file.write(buf)

    def ioctl(self, op, arg):
        if op == 4:
            return self._blocks
        if op == 5:
            return _BLOCK
        if op == 6:
            self._count()  # littlefs programs only what it has erased, so the old bytes may stay
            return 0
