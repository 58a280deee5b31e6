"""Durable requests that are not carried out: too late, too many, withdrawn, overtaken; and the list of what waits."""

import unittest

from firmware.gateway.job_store import DurableRequest
from firmware.lib import opcodes
from firmware.system.vault import Vault
from tests.unit.gateway_rig import ADDRESS
from tests.unit.job_rig import JobRig, PasscodeLock


def _code(digits="135790"):
    return {"code": digits}


class BabblingLock(PasscodeLock):
    """Takes every change, and answers the question what it has kept with nothing."""

    def _answer(self, command, plain):
        if command == opcodes.AUTO_LOCK and len(plain) == 1:
            return b""
        return super()._answer(command, plain)


class EndsTest(unittest.TestCase):
    def test_past_exp_or_after_a_week_it_has_expired(self):
        rig = JobRig("job_exp").away()
        rig.put("passcode_add", _code(), "one", exp=rig.clock.unix_s + 100)
        rig.put("autolock_set", {"seconds": 5}, "two")
        rig.clock.unix_s += 101
        rig.work(1)
        self.assertEqual([(each["code"], each["job_state"]) for each in rig.results("one")], [("expired", 5)])
        rig.now.s += 604800
        rig.work(2)
        self.assertEqual([(each["code"], each["job_state"]) for each in rig.results("two")], [("expired", 7)])

    def test_without_a_clock_lifetimes_count_from_the_start(self):
        rig = JobRig("job_clock").away()
        rig.clock.trusted = False
        rig.put("passcode_add", _code(), "one")
        rig = rig.restarted()
        rig.idle()
        self.assertEqual(rig.results("one"), [])
        rig.now.s += 604800
        rig.work(1)
        self.assertEqual(rig.results("one")[0]["code"], "expired")

    def test_sixty_four_wait_and_no_more(self):
        rig = JobRig("job_full").away()
        for number in range(64):
            rig.now.s += 3
            rig.put("passcode_add", _code("4%05d" % number), "n%d" % number)
        rig.now.s += 60
        self.assertEqual(rig.ask("passcode_add", _code(), id="more")["code"], "busy")
        self.assertEqual(len(rig.jobs), 64)
        self.assertEqual(rig.ask("cancel", {"id": "n5"})["data"], {"cancelled": True, "running": False})
        rig.put("passcode_add", _code(), "more")

    def test_what_a_later_request_makes_pointless_is_cancelled(self):
        rig = JobRig("job_over").away()
        rig.put("passcode_add", _code(), "one")
        rig.put("autolock_set", {"seconds": 5}, "two")
        rig.put("passcode_delete", _code(), "three")
        rig.put("autolock_set", {"seconds": 9}, "four")
        for id, state in (("one", 5), ("two", 7)):
            self.assertEqual([(each["code"], each["job_state"]) for each in rig.results(id)], [("cancelled", state)])
        rig.put("passcode_add", _code(), "five")
        self.assertEqual([entry.id for entry in rig.jobs.of(rig.lock.id)], ["three", "four", "five"])

    def test_what_may_have_acted_is_not_called_cancelled(self):
        rig = JobRig("job_sent").away()
        rig.put("passcode_add", _code(), "one")
        rig.put("passcode_add", _code("222333"), "two")
        rig.jobs.find("one").was_sent = True
        rig.put("passcode_delete", _code(), "three")
        self.assertEqual(rig.results("one"), [])
        self.assertEqual(rig.ask("cancel", {"id": "one"})["data"], {"cancelled": False, "running": False})
        self.assertEqual([each["code"] for each in rig.results("one")], ["outcome_unknown"])
        self.assertEqual(rig.ask("cancel", {"id": "two"})["data"]["cancelled"], True)
        self.assertEqual([each["code"] for each in rig.results("two")], ["cancelled"])
        self.assertEqual(rig.ask("cancel", {"id": "two"})["data"]["reason"], "not_found")
        rig.restarted().near()
        self.assertEqual(len(rig.restarted().jobs), 1)

    def test_what_was_taken_and_cannot_be_read_back_is_unknown(self):
        rig = JobRig("job_babble", far=BabblingLock())
        rig.put("autolock_set", {"seconds": 5}, "one")
        for _ in range(4):
            rig.near()
            rig.idle()
        self.assertEqual([(each["code"], each["job_state"]) for each in rig.results("one")], [("outcome_unknown", 7)])

    def test_the_list_names_no_secret_and_comes_in_pages(self):
        rig = JobRig("job_list").away()
        for number in range(9):
            rig.put("passcode_add", _code("70000%d" % number), "id-%d" % number)
        found = []
        cursor = 0
        while cursor is not None:
            data = rig.ask("jobs", {"cursor": cursor})["data"]
            self.assertFalse("70000" in str(data))
            self.assertEqual(data["count"], 9)
            found += data["items"]
            cursor = data["next"]
        self.assertEqual([item["id"] for item in found], ["id-%d" % number for number in range(9)])
        self.assertEqual((found[0]["op"], found[0]["state"], found[0]["sent"]), ("passcode_add", "adding", False))

    def test_a_lock_that_is_forgotten_takes_its_requests_along(self):
        rig = JobRig("job_forget").away()
        rig.put("passcode_add", _code(), "one")
        rig.gateway_ops.forget({"mac": ADDRESS.hex()})
        self.assertEqual([each["code"] for each in rig.results("one")], ["cancelled"])
        self.assertEqual(len(rig.restarted().jobs), 0)

    def test_a_flash_that_refuses_is_told_and_nothing_is_kept(self):
        rig = JobRig("job_flash").away()

        def refuse(vault, name, plain):
            raise OSError(28)

        kept, Vault.save = Vault.save, refuse
        try:
            self.assertEqual(rig.ask("passcode_add", _code(), id="one")["code"], "busy")
        finally:
            Vault.save = kept
        self.assertEqual(len(rig.restarted().jobs), 0)
        rig.put("passcode_add", _code(), "one")


def _waiting(op, args=None):
    kept = {"n": 1, "id": "one", "op": op, "lock": ADDRESS.hex(), "args": args or {}, "tag": "", "digest": "00" * 8}
    return DurableRequest(0, dict(kept, until=None, life=1), 0, None)


class RulesTest(unittest.TestCase):
    def test_states_of_the_specification(self):
        for op, found in (
            ("card_add", (("adding", 4), ("add_failed", 5))),
            ("setting_set", (("modifying", 6), ("modify_failed", 7))),
            ("fingerprint_delete", (("deleting", 8), ("delete_failed", 9))),
            ("fob_clear", (("deleting", 8), ("delete_failed", 9))),
        ):
            self.assertEqual((_waiting(op).pending(), _waiting(op).failed()), found)

    def test_a_deletion_survives_the_addition_that_follows(self):
        add, delete = (_waiting("passcode_" + what, {"code": "1234"}) for what in ("add", "delete"))
        change = _waiting("passcode_change", {"code": "1234", "new_code": "5678"})
        clear = _waiting("passcode_clear")
        self.assertFalse(delete.is_pointless(add))
        self.assertTrue(add.is_pointless(delete))
        self.assertFalse(change.is_pointless(delete))
        self.assertTrue(delete.is_pointless(clear))
        self.assertFalse(_waiting("card_add", {"number": 1}).is_pointless(clear))
        one, other = (_waiting("setting_set", {"name": name}) for name in ("sound", "tamper"))
        self.assertTrue(one.is_pointless(one))
        self.assertFalse(one.is_pointless(other))


if __name__ == "__main__":
    unittest.main()
