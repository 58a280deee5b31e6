"""The feature mask, and that a command whose bit is 0 is no command. The bits are listed here once more.

Source: domain.md 3.12.
"""

import unittest

from firmware.lib import opcodes
from tests.scratch import scratch
from tests.unit.lock_rig import Rig

_NO_CLOCK_BACKUP = 20
# Those that work, each with the commands that it stands for
_BITS = {
    0: (opcodes.PASSCODE, opcodes.PASSCODE_COUNT),
    1: (opcodes.CARD,),
    2: (opcodes.FINGERPRINT,),
    4: (opcodes.AUTO_LOCK,),
    5: (opcodes.SET_ERASE_CODE,),
    7: (opcodes.PASSCODE_LIST,),
    8: (opcodes.LOCK,),
    9: (opcodes.PASSCODE_DISPLAY,),
    10: (),
    11: (opcodes.FREEZE,),
    12: (),
    14: (opcodes.REMOTE_UNLOCK,),
    15: (opcodes.SOUND,),
    18: (opcodes.GET_ADMIN_PASSCODE,),
    22: (opcodes.PASSAGE,),
    23: (),
    25: (opcodes.LAMP,),
    28: (opcodes.SWITCHES,),
    34: (opcodes.CYCLIC,),
    36: (opcodes.UNLOCK_DIRECTION,),
    41: (opcodes.KEY_FOB,),
    42: (opcodes.ACCESSORY_BATTERY,),
}
_ASKS = {opcodes.FINGERPRINT: b"\x06\x00\x00", opcodes.KEY_FOB: b"\x06\x00\x00"}  # others: operation 1
_ALWAYS = (0, 1, 2, 4, 5, 7, 8, 10, 11, 12, 14, 15, 18, 22, 23, 28, 29, 30, 34, 40, 42, 43, 46)
_FITTED = (9, 24, 25, 32, 36, 41, 44, 45, 50, 51, 52, 53, 70, 87)


class FeatureTest(unittest.TestCase):
    def test_mask_tells_what_works(self):
        for backup in (False, True):
            mask = Rig(scratch("features"), clock_backup=backup).engine.features
            bits = [bit for bit in range(128) if mask >> bit & 1]
            self.assertEqual(_NO_CLOCK_BACKUP in bits, not backup)
            self.assertEqual([bit for bit in _BITS if bit not in bits], [])
            self.assertEqual([bit for bit in bits if bit not in _ALWAYS + _FITTED + (_NO_CLOCK_BACKUP,)], [])

    def test_command_whose_bit_is_0_is_unknown_and_others_are_not_touched(self):
        rig = Rig(scratch("features")).paired()
        all_of_them = rig.engine.features
        for bit, commands in _BITS.items():
            rig.wait(2500, 100)  # the same frame sooner would be taken for a repeat
            rig.connect()
            rig.log_in()
            rig.engine.features = all_of_them & ~(1 << bit)
            for command in commands:
                self.assertEqual(
                    rig.plain(command, _ASKS.get(command, b"\x01")), bytes((command, 0, 0x1B)), "bit %d" % bit
                )
            query = opcodes.SOUND if bit == 4 else opcodes.AUTO_LOCK
            self.assertEqual(rig.plain(query, b"\x01")[:2], bytes((query, 1)), "bit %d" % bit)
            rig.engine.features = all_of_them
            rig.disconnect()


if __name__ == "__main__":
    unittest.main()
