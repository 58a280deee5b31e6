# NOR flash in blocks of 4 KiB, as a block device for littlefs: an erase sets all bits of a block, a program can only
# clear bits. What is erased is gone, so that a dump of the store shows what a dump of the chip would.
import _whole

BLOCK = 4096
_BLANK = b"\xff" * BLOCK


class Nor:
    # `store` has seek, readinto, write: a file, or io.BytesIO; `power` is a _power.Power
    def __init__(self, store, blocks, power):
        self.store = store
        self._power = power
        self.blocks = blocks
        self.programs = 0
        self.programmed = 0  # bytes
        self.erases = [0] * blocks
        self.clashes = 0  # programs that would have had to set a bit: a fault of who asked

    def _read(self, at, size):
        buf = bytearray(size)
        self.store.seek(at)
        self.store.readinto(buf)
        return buf

    def _put(self, at, octets):
        self.store.seek(at)
        self.store.write(octets)

    def readblocks(self, number, buf, offset=0):
        _whole.begin_under_c()
        try:
            self.store.seek(number * BLOCK + offset)
            self.store.readinto(buf)
        finally:
            _whole.end()

    def writeblocks(self, number, buf, offset=None):
        _whole.begin_under_c()
        try:
            self._program(number, buf, offset)
        finally:
            _whole.end()

    def _program(self, number, buf, offset):
        if offset is None:  # the simple form erases first, as esp32.Partition does
            for place in range((len(buf) + BLOCK - 1) // BLOCK):
                self._erase(number + place)
            offset = 0
        at = number * BLOCK + offset
        size = len(buf)
        old = self._read(at, size)
        new = buf
        if old != _BLANK[:size]:
            new = bytearray(size)
            for place in range(size):
                new[place] = old[place] & buf[place]

        def tear(how, below):
            part = old
            if how == "prefix":
                cut = below(size)
                part[:cut] = new[:cut]
            else:
                keep = new if how == "bits" or old != _BLANK[:size] else bytes(size)  # bits not programmed do not move
                for place in range(size):
                    part[place] &= keep[place] | below(256)
            self._put(at, part)

        self._power.change(tear)
        if new != buf:
            self.clashes += 1
        self.programs += 1
        self.programmed += size
        self._put(at, new)

    def erase(self, number):
        _whole.begin_under_c()
        try:
            self._erase(number)
        finally:
            _whole.end()

    def _erase(self, number):
        def tear(how, below):
            part = self._read(number * BLOCK, BLOCK)
            if how == "prefix":
                cut = below(BLOCK)
                part[:cut] = _BLANK[:cut]
            else:
                for place in range(BLOCK):
                    part[place] = below(256) | (part[place] if how == "bits" else 0)
            self._put(number * BLOCK, part)

        self._power.change(tear)
        self.erases[number] += 1
        self._put(number * BLOCK, _BLANK)

    def ioctl(self, op, arg):
        if op == 4:
            return self.blocks
        if op == 5:
            return BLOCK
        if op == 6:
            self.erase(arg)
            return 0
