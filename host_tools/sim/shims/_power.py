# The power of a board as its flash sees it: counts what changes the flash (programs and erases, of files and of NVS),
# and goes off at the change it was told to, which is then not made, or made in part:
#   "prefix"  the first bytes of it were programmed or erased, the rest not
#   "bits"    some of its bits had changed, others not yet
#   "noise"   a program of a blank place left any bits there, an erase any bytes
TEARS = ("", "prefix", "bits", "noise")


class Power:
    def __init__(self, off):
        self._off = off  # called when the power goes; does not return
        self._left = None
        self._tear = ""
        self._draw = 1
        self.changes = 0
        self.is_off = False

    def cut_after(self, changes, tear="", seed=1):
        # Let `changes` more go through, and go off at the next.
        self._left = changes
        self._tear = tear
        self._draw = (seed * 2654435761 + 1) & 0xFFFFFFFF or 1

    def below(self, n):
        # 0 to n - 1 (xorshift32)
        draw = self._draw
        draw ^= draw << 13 & 0xFFFFFFFF
        draw ^= draw >> 17
        draw ^= draw << 5 & 0xFFFFFFFF
        self._draw = draw
        return draw % n

    def change(self, tear):
        # A change is about to be made; `tear(how, below)` makes a part of it.
        if not self.is_off and self._left is not None:
            if not self._left:
                if self._tear:
                    tear(self._tear, self.below)
                self.is_off = True
            self._left -= 1
        if self.is_off:
            self._off()
        self.changes += 1
