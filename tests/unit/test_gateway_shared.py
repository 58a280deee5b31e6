"""A shared key: no administrator's number. What it is good for, and that nothing else reaches the lock.

Source: hardware-facts.md F25, F84 (unlock, lock, state, log, clock read and set), F74 (feature bit 66).
"""

import unittest

from firmware.gateway import lock as locks
from firmware.gateway.admission import Refusal
from firmware.gateway.operations import table
from firmware.gateway.session import Session
from firmware.lib import dates, opcodes
from firmware.lib.errors import from_ble
from firmware.system.timing import ticks_add, ticks_ms
from tests.unit.command_rig import Rig
from tests.unit.gateway_rig import FEATURES, run

_GOOD_FOR = ("unlock", "lock", "state", "info", "time_get", "time_sync", "zone_set", "records_read", "upload")
_GOOD_FOR += ("diagnosis", "jobs", "cancel")


def rig_with_shared_key(name, is_own=True):
    rig = Rig(name)
    rig.rates.admit = lambda *args: True
    rig.lock.admin_ps = 0
    if not is_own:
        rig.lock.model = "SN484"
    return rig


class SharedKeyTest(unittest.TestCase):
    def test_all_that_needs_the_administrator_is_refused_without_the_radio(self):
        rig = rig_with_shared_key("shared-refused")
        rig.lock.features = None
        tried = 0
        for op in table.operations():
            if op not in _GOOD_FOR:
                tried += 1
                wanted = "bad_request" if table.rules(op, True) & table.SEALED else "forbidden"  # that comes first
                self.assertEqual(rig.ask(op, {})["code"], wanted, op)
        self.assertTrue(tried > 30)
        self.assertEqual(rig.ask("card_list", {})["data"]["reason"], "shared_key")
        self.assertEqual((rig.opened, rig.far.asked), (0, []))

    def test_what_it_is_good_for_is_done_without_a_login(self):
        for is_own in (True, False):
            rig = rig_with_shared_key("shared-done-%d" % is_own, is_own)
            for op in ("lock", "unlock", "state", "info", "time_get", "records_read", "upload", "jobs"):
                result = rig.ask(op, {})
                self.assertEqual(result["code"], "ok", "%s: %s" % (op, result))
            self.assertEqual(rig.far.moved, 2)
            self.assertFalse(opcodes.CHECK_ADMIN in rig.far.asked)

    def test_an_unlock_for_a_person_needs_the_administrator(self):
        rig = rig_with_shared_key("shared-ekey")
        rig.lock.ekeys = {}
        self.assertFalse(rig.ask("unlock", {"ekey": 0x10000001})["ok"])
        self.assertEqual(rig.far.moved, 0)

    def test_the_clock_is_set_after_the_proof_of_a_user(self):
        for is_shared, proof in ((True, [opcodes.CHECK_USER]), (False, [opcodes.CHECK_ADMIN])):
            rig = rig_with_shared_key("shared-clock-%d" % is_shared, False)
            rig.lock.admin_ps = 0 if is_shared else 1234
            rig.far.clock6 = (2026, 9, 21, 11, 13, 20)
            rig.clock.is_signed = True
            result = rig.ask("time_sync", {})
            self.assertEqual((result["code"], result["data"]["set"]), ("ok", True))
            asked = [each for each in rig.far.asked if each not in (opcodes.GET_CLOCK, opcodes.LOG)]
            self.assertEqual(asked, proof + [opcodes.CHECK_RANDOM, opcodes.SET_CLOCK])
            self.assertEqual(dates.to_unix(rig.far.clock6), rig.clock.unix_s)

    def test_keys_are_proven_before_they_count(self):
        rig = rig_with_shared_key("shared-proof", False)
        rig.lock.verified = False
        self.assertEqual(rig.ask("state", {})["code"], "ok")
        self.assertEqual(rig.far.asked[:2], [opcodes.CHECK_USER, opcodes.CHECK_RANDOM])
        self.assertTrue(rig.lock.verified)
        rig.lock.verified = False
        rig.far.faults[opcodes.CHECK_RANDOM] = from_ble(opcodes.CHECK_RANDOM, 0x08)
        self.assertEqual(rig.ask("state", {})["code"], "auth")
        self.assertFalse(rig.lock.verified)

    def test_a_session_never_shows_an_administrators_number_that_it_does_not_have(self):
        rig = rig_with_shared_key("shared-session")

        session = Session(rig.far, rig.lock, rig.registry, ticks_add(ticks_ms(), 60000))

        async def work():
            for action in (session.login, lambda: session.ask_as_admin(opcodes.CARD), lambda: session.challenge_for(7)):
                try:
                    await action()
                except Refusal as err:
                    self.assertEqual(err.code, "forbidden")
                else:
                    self.fail("went through")

        run(work())
        self.assertEqual(rig.far.asked, [])

    def test_a_bundle_without_the_number_is_taken_and_told(self):
        args = {"mac": "aa:bb:cc:11:22:33", "aes": "00" * 16, "admin_ps": 0, "unlock_key": 4711}
        lock = locks.from_bundle(args)
        self.assertEqual((lock.admin_ps, lock.summary()["admin"]), (0, False))
        lock.admin_ps = 1
        self.assertTrue(lock.summary()["admin"])


class NoUnlockTest(unittest.TestCase):
    def test_a_lock_with_bit_66_is_not_offered_an_unlock(self):
        rig = Rig("bit-66")
        rig.lock.features = FEATURES | 1 << 66
        for op in ("unlock", "emergency_unlock"):
            self.assertEqual(rig.ask(op, {})["code"], "unsupported")
        self.assertEqual(rig.ask("lock", {})["code"], "ok")
