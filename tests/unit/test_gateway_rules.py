"""What each operation on a lock asks for before the radio is touched, in a list of the test's own.

Source: security.md CMD-9 (unsigned requests may lock and query), domain.md 3.12 (feature bits).
"""

import sys
import unittest

from firmware.gateway.operations import table
from firmware.gateway.scheduler import COMMAND, URGENT
from firmware.system.timing import remaining_ms
from tests.unit.change_rig import CHANGES, SEALED, ChangeRig
from tests.unit.command_rig import Rig
from tests.unit.gateway_rig import FEATURES

_FREE = ("lock", "state", "info", "time_get", "time_sync", "records_read", "upload", "diagnosis", "jobs")
_QUERIES = ("_list", "_get", "_count")
_AT_ONCE = ("unlock", "lock", "emergency_unlock", "card_enrol", "fingerprint_enrol")  # nobody waits for those at a door
_ASKED = ("state", "info", "time_get", "records_read", "upload", "diagnosis", "jobs", "passcode_count", "passcode_list")
_ASKED += ("card_list", "fingerprint_list", "fob_list", "ekey_list", "autolock_get", "setting_get", "passage_list")
_BITS = (
    (0, ("passcode_add", "passcode_list", "passcode_clear")),
    (1, ("card_add", "card_list", "card_lost")),
    (2, ("fingerprint_enrol", "fingerprint_delete", "fingerprint_list")),
    (4, ("autolock_get", "autolock_set")),
    (8, ("lock",)),
    (10, ("unlock",)),
    (11, ("freeze", "unfreeze")),
    (10, ("emergency_unlock",)),
    (22, ("passage_add", "passage_list")),
    (41, ("fob_change", "fob_list")),
)
_SETTINGS = (
    (9, "passcode_display"),
    (15, "sound"),
    (25, "lamp_s"),
    (28, "tamper"),
    (29, "reset_button"),
    (30, "privacy"),
    (36, "direction"),
    (43, "volume"),
    (43, "language"),
    (46, "passage_auto_unlock"),
    (51, "door_alarm_s"),
)
_ALL = (1 << 128) - 1 - (1 << 66)  # which says: no unlock by app and gateway


class GuardTest(unittest.TestCase):
    def test_without_the_owners_word_only_lock_and_queries_are_obeyed(self):
        rig = Rig("guards", is_unsigned_allowed=False)
        rig.rates.admit = lambda *args: True
        for op in sorted(table.operations()):
            if op not in _FREE and not op.endswith(_QUERIES):
                self.assertEqual(rig.ask(op, {})["code"], "forbidden", op)
        self.assertEqual(rig.opened, 0)
        self.assertEqual(rig.far.moved, 0)
        for op in ("ping", "info", "locks"):
            rig.send("cmd", {"id": op, "op": op}, False, None)
            self.assertEqual(rig.work(len(rig.out.put_in) + 1)[-1]["code"], "ok")
        rig.send("cmd", {"id": "f", "op": "forget", "args": {"mac": rig.lock.id}}, False, None)
        self.assertEqual(rig.work(len(rig.out.put_in) + 1)[-1]["code"], "forbidden")
        self.assertEqual(len(rig.registry), 1)

    def test_what_an_operation_needs_goes_with_it(self):
        rig = Rig("unloaded")
        rig.ask("unlock")
        before = sorted(sys.modules)
        for op, args in (("card_list", {}), ("card_add", {"number": -1}), ("passcode_count", {}), ("jobs", {})):
            rig.lock.features = FEATURES | 1 << 1
            rig.ask(op, args)
            self.assertEqual(sorted(sys.modules), before, op)
        self.assertEqual(rig.ask("unlock")["code"], "ok")

    def test_secrets_are_taken_sealed_only(self):
        rig = Rig("sealed-only")
        for op in SEALED:
            result = rig.ask(op, {})
            self.assertEqual(result["code"], "bad_request", op)
            self.assertTrue("sealed" in result["msg"], op)
        self.assertEqual(rig.opened, 0)

    def test_clock_is_not_set_by_one_that_is_not_trusted(self):
        rig = Rig("no-clock")
        rig.clock.trusted = False
        for op, args in (("time_sync", {}), ("zone_set", {"utc_offset_min": 60})):
            self.assertEqual(rig.ask(op, args)["code"], "no_clock", op)
        self.assertEqual(rig.opened, 0)

    def test_what_waits_for_somebody_or_reads_all_has_minutes(self):
        rig = Rig("long")
        rig.lock.features = _ALL
        spans_s = {}

        def take_none(job):
            spans_s[job.op] = remaining_ms(job.deadline_ms) // 1000
            return False

        rig.scheduler.submit = take_none
        for op in ("records_read", "upload", "fingerprint_enrol", "card_enrol", "state"):
            rig.ask(op)
        for op, span_s in spans_s.items():
            self.assertEqual(span_s > 60, op != "state", op)
        self.assertTrue(len(spans_s) > 3)

    def test_what_moves_the_bolt_goes_first_and_does_not_wait_for_long(self):
        rig = Rig("volatile", expiry_s=10)
        jobs = {}

        def take_none(job):
            jobs[job.op] = remaining_ms(job.deadline_ms) <= 10000, job.priority
            return False

        rig.scheduler.submit = take_none
        for op in ("unlock", "lock", "emergency_unlock", "state"):
            rig.ask(op)
            self.assertEqual(jobs[op], (False, COMMAND) if op == "state" else (True, URGENT), op)

    def test_changes_wait_for_their_lock_and_questions_do_not(self):
        self.assertEqual([op for op in _AT_ONCE if table.rules(op, True) is None], [])
        for op in CHANGES:
            if op in _AT_ONCE:
                continue
            rig = ChangeRig()
            rig.away().request(op)
            rig.serve("told")
            self.assertEqual([entry.op for entry in rig.jobs.of(rig.lock.id)], [op])
        rig = ChangeRig()
        rig.rates.admit = lambda *args: True
        for op in _ASKED:
            self.assertEqual(rig.ask(op, {})["code"], "ok", op)

    def test_what_waits_is_told_without_the_lock(self):
        rig = Rig("away")
        rig.lock.seen_s = None
        self.assertEqual(rig.ask("jobs")["data"]["count"], 0)
        self.assertEqual(rig.ask("cancel", {"id": "x"})["data"]["reason"], "not_found")
        self.assertEqual(rig.opened, 0)

    def test_what_went_wrong_is_told_of_a_lock_that_is_not_known_yet(self):
        rig = Rig("unmet")
        rig.lock.verified = False
        self.assertEqual(rig.ask("diagnosis", {"part": "errors"})["code"], "ok")
        self.assertEqual(rig.far.asked, [])

    def test_operation_for_which_the_lock_lacks_a_part_does_not_touch_the_radio(self):
        rig = Rig("lacking")
        rig.rates.admit = lambda *args: True
        for bit, ops in _BITS:
            rig.lock.features = _ALL - (1 << bit)
            for op in ops:
                self.assertEqual(rig.ask(op, {})["code"], "unsupported", op)
        for bit, name in _SETTINGS:
            rig.lock.features = _ALL - (1 << bit)
            self.assertEqual(rig.ask("setting_get", {"name": name})["code"], "unsupported", name)
        self.assertEqual(rig.opened, 0)

    def test_hours_and_the_switch_are_asked_of_a_lock_that_has_them(self):
        rig = ChangeRig()
        rig.lock.features = _ALL - (1 << 34)
        self.assertEqual(rig.ask("card_add", CHANGES["card_add"])["code"], "unsupported")
        self.assertEqual(rig.far.changes, 0)
        rig = Rig("no switch")
        rig.lock.features = _ALL - (1 << 14)
        rig.far.switch = 0
        self.assertEqual(rig.ask("unlock")["code"], "ok")
        rig.lock.features = _ALL
        self.assertEqual(rig.ask("unlock")["code"], "remote_unlock_disabled")


if __name__ == "__main__":
    unittest.main()
