"""Passcodes from the broker's request to a lock of ours: what it answers, and what a broken link leaves."""

import unittest

from firmware.gateway.operations import passcodes
from firmware.lib import offline_codes, opcodes
from firmware.lib.errors import BadRequest, LinkError, from_ble
from tests.scratch import scratch
from tests.unit.command_rig import Rig
from tests.unit.lock_rig import START_S, Refused, erase
from tests.unit.lock_rig import Rig as LockRig

FOLDER = scratch("gateway-passcodes")
_SERVED = (opcodes.PASSCODE, opcodes.PASSCODE_LIST, opcodes.PASSCODE_COUNT, opcodes.INIT_PASSWORDS)
UNIX_S = START_S + 946684800
SEEDS = bytes((26,)) + bytes(range(60))


class PasscodesTest(unittest.TestCase):
    def setUp(self):
        self.lock = LockRig(FOLDER).paired()
        self.lock.connect()
        self.lock.log_in()
        self.rig = rig = Rig("codes")
        plain = rig.far._answer
        self.breaks = []

        def answer(command, body):
            if command not in _SERVED:
                return plain(command, body)
            try:
                found = self.lock.ask(command, body)
                self.lock.wait(2100, 300)  # the same bytes sooner would be taken for a repeat
            except Refused as err:
                raise from_ble(command, err.error)
            if self.breaks and self.breaks.pop(0) == command:
                lost = LinkError("link lost")
                lost.sent = True
                raise lost
            return found

        rig.far._answer = answer

    def tearDown(self):
        erase(FOLDER)

    def ask(self, what, **args):
        """(code, TTLock number) of the result; its data in `found`."""
        result = self.rig.ask("passcode_" + what, args or None)
        self.found = result["data"]
        return result["code"], result["ttlock"]

    def items(self):
        self.ask("list")
        return self.found["items"]

    def test_add_of_every_type(self):
        self.assertEqual(self.ask("add", code="864201")[0], "ok")
        self.assertEqual(self.ask("add", code="864202", type="once", start=UNIX_S, end=UNIX_S + 60)[0], "ok")
        self.assertEqual(self.ask("add", code="864203", type="period", start=UNIX_S, end=UNIX_S + 60)[0], "ok")
        self.assertEqual(self.ask("add", code="864204", type="cyclic", days="mon", from_min=510, hours=9)[0], "ok")
        items = self.items()
        self.assertEqual([item["type"] for item in items], ["permanent", "once", "period", "cyclic"])
        self.assertEqual((items[3]["days"], items[3]["from_min"], items[3]["hours"]), ("mon", 510, 9))
        self.assertFalse("8642" in repr(items))
        self.ask("count")
        self.assertEqual(self.found, {"count": 4})

    def test_refusals_have_their_numbers(self):
        for code in ("123", "1234567890", "12345x", 123456):
            self.assertEqual(self.ask("add", code=code), ("bad_request", -3006))
        for code in ("111111", "123456", "987654"):
            self.assertEqual(self.ask("add", code=code), ("bad_request", -2032))
        self.assertEqual(self.ask("add", code="864201"), ("ok", 0))
        self.assertEqual(self.ask("add", code="864201"), ("ok", 0))
        self.assertEqual(self.ask("add", code="864201", start=UNIX_S), ("refused", -3007))
        self.assertEqual(self.ask("change", code="864209", new_code="864208"), ("refused", -2009))
        for n in range(249):
            self.lock.device.stores.passcodes.add(1, b"%06d" % (400000 + n), b"\x00\x01\x01\x00\x00")
        self.assertEqual(self.ask("add", code="864202"), ("refused", -3009))

    def test_change(self):
        self.ask("add", code="864201", type="period", start=UNIX_S, end=UNIX_S + 3600)
        before = self.items()[0]
        self.assertEqual(self.ask("change", code="864201", new_code="864202")[0], "ok")
        after = self.items()[0]
        self.assertEqual((before["start"], before["end"]), (after["start"], after["end"]))
        self.assertFalse(before["who"] == after["who"])
        self.assertEqual(self.ask("change", code="864202", start=UNIX_S + 60)[0], "bad_request")
        self.assertEqual(self.ask("change", code="864202", start=UNIX_S, end=UNIX_S + 7200)[0], "ok")
        self.assertFalse(self.items()[0]["end"] == after["end"])
        self.assertEqual(self.ask("change", code="864202", new_code="222222"), ("bad_request", -2032))
        for args in ({"code": "864202"}, {"code": "864202", "end": UNIX_S}, {"new_code": "864203"}):
            self.assertEqual(self.ask("change", **args)[0], "bad_request")

    def test_after_a_broken_link_the_list_tells(self):
        self.ask("add", code="864201")
        self.breaks = [None, opcodes.PASSCODE]
        self.assertEqual(self.ask("change", code="864201", new_code="864202")[0], "ok")
        self.breaks = [opcodes.PASSCODE]
        self.assertEqual(self.ask("delete", code="864202")[0], "ok")
        self.assertEqual(self.items(), [])

    def test_clear_and_delete(self):
        self.ask("add", code="864201")
        self.assertEqual((self.ask("delete", code="864209")[0], self.found), ("ok", {"existed": False}))
        self.assertEqual(len(self.items()), 1)
        self.assertEqual((self.ask("delete", code="864201")[0], self.found), ("ok", {"existed": True}))
        self.ask("add", code="864201")
        self.assertEqual(self.ask("clear")[0], "ok")
        self.assertEqual(self.items(), [])

    def test_a_code_is_changed_and_deleted_by_its_mark(self):
        for code in ("864201", "864202", "864203"):
            self.ask("add", code=code)
        whos = [item["who"] for item in self.items()]
        self.assertEqual(self.ask("change", who=whos[1], new_code="975310")[0], "ok")
        self.assertEqual((self.ask("delete", who=whos[1])[0], self.found), ("ok", {"existed": False}))
        self.assertEqual((self.ask("delete", who=whos[2])[0], self.found), ("ok", {"existed": True}))
        self.assertEqual(self.ask("change", who=whos[2], new_code="975311"), ("refused", -2009))
        left = [item["who"] for item in self.items()]
        self.assertEqual((len(left), whos[0] in left, whos[1] in left), (2, True, False))
        self.assertEqual(self.ask("delete", code="975310")[0], "ok")
        for wrong in ({}, {"who": "7"}, {"who": -1}, {"who": 1 << 32}, {"who": True}, {"who": 1, "code": "864201"}):
            self.assertEqual(self.ask("delete", **wrong)[0], "bad_request")
            self.assertEqual(self.ask("change", **dict(wrong, new_code="975312"))[0], "bad_request")

    def test_after_a_broken_link_a_deletion_does_not_claim_that_there_was_none(self):
        self.ask("add", code="864201")
        self.breaks = [opcodes.PASSCODE]
        self.assertEqual(self.ask("delete", code="864201")[0], "ok")
        self.assertTrue(self.found["existed"] in (True, None))  # the lock may give the answer of before again

    def test_reset_takes_sealed_seeds_only(self):
        self.assertEqual(self.ask("reset", seeds=SEEDS.hex())[0], "bad_request")
        for seeds in (None, 7, "00", "x" * 122):
            self.assertRaises(BadRequest, passcodes.check, "passcode_reset", {"seeds": seeds})
        self.assertEqual(passcodes.check("passcode_reset", {"seeds": SEEDS.hex()}), {"seeds": SEEDS.hex()})
        self.assertEqual(len(SEEDS), offline_codes.SEEDS_LEN)

    def test_arguments(self):
        cyclic = {"code": "864201", "type": "cyclic", "days": "mon", "from_min": 0, "hours": 9}
        for wrong in ({"days": "x"}, {"from_min": 1440}, {"hours": 25}, {"hours": 0}, {"end": UNIX_S}):
            self.assertEqual(self.ask("add", **dict(cyclic, **wrong))[0], "bad_request")
        self.assertEqual(self.ask("add", code="864201", days="mon")[0], "bad_request")
        self.assertEqual(self.ask("add", code="864201", type="period", start=UNIX_S, end=UNIX_S)[0], "bad_request")
        self.assertEqual(self.ask("clear", code="864201")[0], "bad_request")


if __name__ == "__main__":
    unittest.main()
