"""Durable requests that are not carried out: too late, too many, withdrawn, overtaken; and the list of what waits."""

import unittest

from firmware.gateway import job_rules
from firmware.system.vault import Vault
from tests.unit.gateway_rig import ADDRESS
from tests.unit.job_rig import JobRig


def _code(digits="135790"):
    return {"code": digits}


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
        self.assertEqual(len(rig.tools.jobs), 64)
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
        self.assertEqual([entry.id for entry in rig.tools.jobs.of(rig.lock.id)], ["three", "four", "five"])

    def test_what_may_have_acted_is_not_called_cancelled(self):
        rig = JobRig("job_sent").away()
        rig.put("passcode_add", _code(), "one")
        rig.put("passcode_add", _code("222333"), "two")
        rig.tools.jobs.find("one").was_sent = True
        rig.put("passcode_delete", _code(), "three")
        self.assertEqual(rig.results("one"), [])
        self.assertEqual(rig.ask("cancel", {"id": "one"})["data"], {"cancelled": False, "running": False})
        self.assertEqual([each["code"] for each in rig.results("one")], ["outcome_unknown"])
        self.assertEqual(rig.ask("cancel", {"id": "two"})["data"]["cancelled"], True)
        self.assertEqual([each["code"] for each in rig.results("two")], ["cancelled"])
        self.assertEqual(rig.ask("cancel", {"id": "two"})["data"]["reason"], "not_found")
        rig.restarted().near()
        self.assertEqual(len(rig.restarted().tools.jobs), 1)

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
        rig.tools.gateway_ops.forget({"mac": ADDRESS.hex()})
        self.assertEqual([each["code"] for each in rig.results("one")], ["cancelled"])
        self.assertEqual(len(rig.restarted().tools.jobs), 0)

    def test_a_flash_that_refuses_is_told_and_nothing_is_kept(self):
        rig = JobRig("job_flash").away()

        def refuse(vault, name, plain):
            raise OSError(28)

        kept, Vault.save = Vault.save, refuse
        try:
            self.assertEqual(rig.ask("passcode_add", _code(), id="one")["code"], "busy")
        finally:
            Vault.save = kept
        self.assertEqual(len(rig.restarted().tools.jobs), 0)
        rig.put("passcode_add", _code(), "one")


class RulesTest(unittest.TestCase):
    def test_states_of_the_specification(self):
        for op, found in (
            ("card_add", (("adding", 4), ("add_failed", 5))),
            ("setting_set", (("modifying", 6), ("modify_failed", 7))),
            ("fingerprint_delete", (("deleting", 8), ("delete_failed", 9))),
            ("fob_clear", (("deleting", 8), ("delete_failed", 9))),
        ):
            self.assertEqual((job_rules.pending(op), job_rules.failed(op)), found)

    def test_a_deletion_survives_the_addition_that_follows(self):
        about = job_rules.subject("passcode_delete", {"code": "1234"})
        self.assertFalse(job_rules.is_pointless("passcode_delete", about, False, "passcode_add", about))
        self.assertTrue(job_rules.is_pointless("passcode_add", about, False, "passcode_delete", about))
        self.assertFalse(job_rules.is_pointless("passcode_change", about, True, "passcode_delete", about))
        self.assertTrue(job_rules.is_pointless("passcode_delete", about, False, "passcode_clear", "passcode"))
        self.assertFalse(job_rules.is_pointless("card_add", "card:number=1", False, "passcode_clear", None))
        one, other = (job_rules.subject("setting_set", {"name": name}) for name in ("sound", "tamper"))
        self.assertTrue(job_rules.is_pointless("setting_set", one, False, "setting_set", one))
        self.assertFalse(job_rules.is_pointless("setting_set", one, False, "setting_set", other))


if __name__ == "__main__":
    unittest.main()
