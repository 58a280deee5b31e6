"""What each operation on a lock asks for before the radio is touched, in a list of the test's own.

Source: security.md CMD-9 (unsigned requests may lock and query), domain.md 3.12 (feature bits).
"""

import unittest

from firmware.gateway.operations import table
from tests.unit.command_rig import Rig

_CODE = {"code": "135791"}
_QUERIES = ("lock", "state", "info", "time_get", "time_sync", "records_read", "upload", "diagnosis", "jobs")
_LISTS = ("passcode_list", "card_list", "fingerprint_list", "fob_list", "ekey_list", "autolock_get", "passage_list")


class GuardTest(unittest.TestCase):
    def test_without_the_owners_word_only_lock_and_queries_are_obeyed(self):
        rig = Rig("guards")
        rig.tools.settings.unsigned_unlock = False
        rig.tools.rates.take = lambda *args: True
        free = _QUERIES + _LISTS + ("setting_get",)
        for op in sorted(table._LOCK_OPS):
            if op not in free:
                self.assertEqual(rig.ask(op, {})["code"], "forbidden", op)
        self.assertEqual(rig.opened, 0)
        self.assertEqual(rig.far.moved, 0)
        for op in ("ping", "info", "locks"):
            rig.send("cmd", {"id": op, "op": op}, False, None)
            self.assertEqual(rig.work(len(rig.out.put_in) + 1)[-1]["code"], "ok")
        rig.send("cmd", {"id": "f", "op": "forget", "args": {"mac": rig.lock.id}}, False, None)
        self.assertEqual(rig.work(len(rig.out.put_in) + 1)[-1]["code"], "forbidden")
        self.assertEqual(len(rig.registry), 1)


if __name__ == "__main__":
    unittest.main()
