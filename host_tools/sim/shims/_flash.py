# A board's flash: files of 4 KiB blocks beside the system, one for the file system and one for NVS. The site may cut
# the power at the n-th change from now, and ask how many there have been.
import _board
import _nor
import _power

power = _power.Power(lambda: _board.end("cut"))
_board.handlers["cut"] = power.cut_after
if _board.welcome().get("cut"):
    power.cut_after(*_board.welcome()["cut"])
_board.handlers["changes"] = lambda: _board.post("changes", power.changes)


class Flash(_nor.Nor):
    def __init__(self, file, blocks):
        super().__init__(file, blocks, power)
