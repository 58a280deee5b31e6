"""rates, dedupe, light, arguments, lock bundles, provisioning: the small parts of the gateway."""

import hashlib
import os
import unittest

from firmware.gateway import admission, diagnostics
from firmware.gateway.admission import Ids, Rates
from firmware.gateway.lock import from_bundle, from_dict
from firmware.gateway.provisioning import Provisioning
from firmware.lib.errors import BadRequest, ConfigError
from firmware.system.journal import Journal
from tests.scratch import scratch
from tests.unit.gateway_rig import Now, fresh_folder, vault


def refusal(call):
    """The text of the error that `call` raises."""
    try:
        call()
    except (BadRequest, ConfigError) as err:
        return str(err)
    return ""


class RatesTest(unittest.TestCase):
    def test_a_minute_has_six_unlocks_and_each_lock_its_own(self):
        rates = Rates(6, 60, 30)
        taken = [rates.admit("unlock", "a", 100) for _ in range(7)]
        self.assertEqual(taken, [True] * 6 + [False])
        self.assertTrue(rates.admit("unlock", "b", 100))
        self.assertTrue(rates.admit("unlock", "a", 110))
        self.assertFalse(rates.admit("unlock", "a", 111))

    def test_an_hour_has_sixty_unlocks(self):
        rates = Rates(1000, 60, 30)
        taken = [rates.admit("unlock", "a", 100 + 3 * turn) for turn in range(80)]
        self.assertTrue(60 <= sum(taken) <= 65)

    def test_what_means_nothing_takes_no_room_from_the_rest(self):
        rates = Rates(6, 60, 30)
        self.assertEqual(sum(rates.admit(None, "a", 5) for _ in range(40)), 30)
        self.assertTrue(rates.admit("state", "a", 5) and rates.admit("unlock", "a", 5))

    def test_other_requests_share_a_limit(self):
        rates = Rates(6, 60, 30)
        self.assertEqual(sum(rates.admit("state", "ab"[turn % 2], 5) for turn in range(40)), 30)


class IdsTest(unittest.TestCase):
    def open(self, name, now, slots=320):
        return Ids(Journal(scratch("gateway/" + name), 16, 40), now, vault(scratch("gateway/ids-board")), slots)

    def test_a_result_is_kept_for_ten_minutes(self):
        fresh_folder("ids")
        now = Now()
        ids = self.open("ids", now)
        self.assertEqual(ids.look("one", b"digest-1"), (admission.NEW, None))
        self.assertEqual(ids.look("one", b"digest-1"), (admission.RUNNING, None))
        ids.done("one", b"digest-1", b"{}")
        self.assertEqual(ids.look("one", b"digest-1"), (admission.KNOWN, b"{}"))
        self.assertEqual(ids.look("one", b"digest-2"), (admission.CONFLICT, None))
        now.s += 601
        self.assertEqual(ids.look("one", b"digest-2"), (admission.NEW, None))

    def test_a_result_that_cannot_be_read_does_not_make_the_request_new(self):
        fresh_folder("ids6")
        journal = Journal(scratch("gateway/ids6"), 16, 40)
        now = Now()
        ids = Ids(journal, now, vault(scratch("gateway/ids-board")))
        ids.look("one", b"digest-1")
        ids.done("one", b"digest-1", b"{}")
        journal.clear()  # flash damage
        self.assertEqual(ids.look("one", b"digest-1"), (admission.LOST, None))
        self.assertEqual(ids.look("one", b"digest-2"), (admission.CONFLICT, None))
        now.s += 601
        self.assertEqual(ids.look("one", b"digest-1"), (admission.NEW, None))

    def test_an_id_at_work_keeps_its_place_and_one_lost_early_is_counted(self):
        fresh_folder("ids5")
        now = Now()
        ids = self.open("ids5", now, 4)
        ids.look("working", b"digest-1")
        for number in range(3):
            ids.look("id%d" % number, b"digest-1")
            ids.done("id%d" % number, b"digest-1", b"{}")
        self.assertEqual(ids.dropped, 0)
        for number in range(3, 9):
            ids.look("id%d" % number, b"digest-1")
            ids.done("id%d" % number, b"digest-1", b"{}")
        self.assertEqual(ids.look("working", b"digest-1"), (admission.RUNNING, None))
        self.assertEqual(ids.dropped, 6)
        now.s += 601
        ids.look("late", b"digest-1")
        self.assertEqual(ids.dropped, 6)

    def test_results_outlive_a_reset_and_a_started_one_is_interrupted(self):
        fresh_folder("ids2")
        ids = self.open("ids2", Now())
        for name in ("done", "begun"):
            ids.look(name, b"digest-1")
            ids.start(name, b"digest-1", name.encode())
        ids.done("done", b"digest-1", b"{}")
        ids = self.open("ids2", Now(0))
        self.assertEqual(ids.look("done", b"digest-1"), (admission.KNOWN, b"{}"))
        self.assertEqual(ids.look("begun", b"digest-1"), (admission.RUNNING, None))
        self.assertEqual(ids.interrupted(), [(b"digest-1", b"begun")])
        self.assertEqual(ids.interrupted(), [])
        self.assertEqual(ids.look("begun", b"digest-9"), (admission.CONFLICT, None))
        ids.done("begun", b"digest-1", b"unknown")
        self.assertEqual(ids.look("begun", b"digest-1"), (admission.KNOWN, b"unknown"))

    def test_results_are_on_flash_encrypted_only(self):
        folder = fresh_folder("ids7")
        ids = self.open("ids7", Now())
        for name in ("done", "begun"):
            ids.look(name, b"digest-1")
            ids.start(name, b"digest-1", b"a note about it")
        ids.done("done", b"digest-1", b"a result of it")
        for name in os.listdir(folder):
            with open(folder + "/" + name, "rb") as file:
                kept = file.read()
            self.assertFalse(b"a note" in kept or b"a result" in kept, name)
        other = Ids(Journal(folder, 16, 40), Now(), vault(scratch("gateway/ids-other")))
        self.assertEqual(other.look("done", b"digest-1"), (admission.LOST, None))  # and does not act again
        self.assertEqual(other.look("begun", b"digest-1"), (admission.RUNNING, None))
        self.assertEqual((other.interrupted(), other.kept("done", b"digest-1")), ([], None))

    def test_results_of_earlier_releases_are_in_clear_and_still_known(self):
        folder = fresh_folder("ids8")
        journal = Journal(folder, 16, 40)
        for kind, id in ((1, b"begun"), (1, b"done"), (2, b"done")):
            journal.append(bytes((kind,)) + hashlib.sha256(id).digest()[:8] + b"digest-1" + b"kept in clear")
        ids = self.open("ids8", Now())
        self.assertEqual(ids.look("done", b"digest-1"), (admission.KNOWN, b"kept in clear"))
        self.assertEqual(ids.interrupted(), [(b"digest-1", b"kept in clear")])

    def test_a_result_too_long_to_keep_is_asked_for_again(self):
        fresh_folder("ids4")
        ids = self.open("ids4", Now())
        for size, known in ((995, admission.KNOWN), (996, admission.NEW), (5000, admission.NEW)):
            ids.look("id%d" % size, b"digest-1")
            ids.done("id%d" % size, b"digest-1", b"x" * size)
            self.assertEqual(ids.look("id%d" % size, b"digest-1")[0], known)

    def test_no_id_is_forgotten_before_its_ten_minutes_however_many_come(self):
        for share in (admission.ALL, admission.UNSIGNED, admission.SIGNED, admission.RESERVE):
            for size in (20, 320):
                fresh_folder("ids3")
                now = Now()
                ids = self.open("ids3", now, size)
                taken = []
                for number in range(400):
                    name = "id%d" % number
                    if ids.look(name, b"digest-1", share)[0] == admission.NEW:
                        ids.done(name, b"digest-1", b"%d" % number)
                        taken.append(name)
                self.assertEqual(taken, ["id%d" % number for number in range(len(taken))])
                self.assertTrue(0 < len(taken) <= size)
                now.s += 599
                for name in taken:
                    self.assertEqual(ids.look(name, b"digest-1", share), (admission.KNOWN, name[2:].encode()))
                self.assertEqual((ids.look("more", b"digest-1", share)[0], ids.dropped), (admission.FULL, 0))
                now.s += 1
                self.assertEqual(ids.look("more", b"digest-1", share)[0], admission.NEW)

    def test_an_id_outlives_its_result_in_the_journal(self):
        fresh_folder("ids8")
        ids = Ids(Journal(scratch("gateway/ids8"), 16, 2), Now(), vault(scratch("gateway/ids-board")), 320)
        for number in range(300):
            ids.look("id%d" % number, b"digest-1")
            ids.done("id%d" % number, b"digest-1", b"%d" % number)
        self.assertEqual(ids.look("id299", b"digest-1"), (admission.KNOWN, b"299"))
        self.assertEqual(ids.look("id0", b"digest-1"), (admission.LOST, None))

    def test_the_table_has_the_size_of_what_the_owner_allows(self):
        sizes = [admission.size_for(per_min) for per_min in (1, 30, 60, 61, 120, 121, 700, 10000)]
        self.assertEqual(sizes, [320, 320, 320, 640, 640, 960, 3840, 4096])

    def test_ids_that_begin_alike_are_told_apart(self):
        fresh_folder("ids7")
        ids = self.open("ids7", Now())
        begins = {}
        number = 0
        while True:  # until two hashes have the beginning that a row of the table holds in common
            begin = hashlib.sha256(b"id%d" % number).digest()[:2]
            if begin in begins:
                break
            begins[begin] = "id%d" % number
            number += 1
        one, other = begins[begin], "id%d" % number
        ids.look(one, b"digest-1")
        self.assertEqual(ids.look(other, b"digest-2"), (admission.NEW, None))
        ids.done(one, b"digest-1", b"1")
        self.assertEqual(ids.look(other, b"digest-2"), (admission.RUNNING, None))
        ids.done(other, b"digest-2", b"2")
        for again in (ids, self.open("ids7", Now())):
            self.assertEqual(again.look(one, b"digest-1"), (admission.KNOWN, b"1"))
            self.assertEqual(again.look(other, b"digest-2"), (admission.KNOWN, b"2"))
            self.assertEqual(again.look(other, b"digest-1"), (admission.CONFLICT, None))

    def test_an_old_id_does_not_come_back_when_the_time_in_its_row_has_gone_round(self):
        fresh_folder("ids8")
        for first_s in (0, 500, 65535):
            for passed_s in (601, 1199, 1201, 65536, 65536 + 599, 131072):
                now = Now(first_s)
                ids = self.open("ids8", now)
                name = "one%d-%d" % (first_s, passed_s)
                ids.look(name, b"digest-1")
                ids.done(name, b"digest-1", b"{}")
                ids.look(name + "at work", b"digest-1")
                now.s += passed_s
                ids.done("late", b"digest-1", b"late")
                self.assertEqual(ids.look(name, b"digest-2"), (admission.NEW, None))
                self.assertEqual(ids.look(name + "at work", b"digest-2"), (admission.NEW, None))
                self.assertEqual(ids.look("late", b"digest-1"), (admission.KNOWN, b"late"))

    def test_the_newest_of_two_results_of_an_id_counts_after_a_reset(self):
        fresh_folder("ids9")
        now = Now()
        ids = self.open("ids9", now)
        for turn in range(3):
            ids.look("one", b"digest-%d" % turn)
            ids.done("one", b"digest-%d" % turn, b"%d" % turn)
            now.s += 601
        ids = self.open("ids9", Now(0))
        self.assertEqual(ids.look("one", b"digest-2"), (admission.KNOWN, b"2"))
        self.assertEqual(ids.look("one", b"digest-0"), (admission.CONFLICT, None))


class LightTest(unittest.TestCase):
    def test_every_state_shows_a_colour_at_every_step(self):
        for state in (
            "unprovisioned",
            "joining",
            "no_broker",
            "online",
            "busy",
        ):
            shown = {diagnostics.colour(state, step) for step in range(16)}
            self.assertEqual(len(shown), 1 if state == "online" else 2)


class BundleTest(unittest.TestCase):
    def bundle(self, **changes):
        args = {"mac": "AA:bb:cc:11:22:33", "aes": "00" * 16, "admin_ps": 1, "unlock_key": 2, "name": "Door"}
        args.update(changes)
        return args

    def test_a_bundle_becomes_a_lock_and_survives_its_file(self):
        lock = from_bundle(self.bundle(utc_offset_min=60, scene=5))
        lock.features = 1 << 40 | 5
        again = from_dict(lock.as_dict())
        self.assertEqual(again.id, "aabbcc112233")
        self.assertEqual((again.scene, again.zone, again.name), (5, "<+01>-1", "Door"))
        self.assertEqual(again.features, 1 << 40 | 5)
        self.assertEqual(again.aes, bytes(16))
        older = lock.as_dict()
        del older["handles"]
        self.assertEqual((from_dict(older).handles, from_dict(older).id), (None, "aabbcc112233"))

    def test_what_does_not_fit_is_named_and_not_shown(self):
        for key, value in (("mac", "aa"), ("aes", "secret"), ("admin_ps", -1), ("unlock_key", "7"), ("name", 5)):
            text = refusal(lambda: from_bundle(self.bundle(**{key: value})))
            self.assertTrue(key in text)
            self.assertFalse("secret" in text)
        with self.assertRaises(BadRequest):
            from_bundle(self.bundle(more=1))


class ProvisioningTest(unittest.TestCase):
    def setUp(self):
        self.path = fresh_folder("settings") + "/settings.json"
        self.reboots = []
        self.console = Provisioning("aabbccddeeff", lambda: self.reboots.append(1), self.path)

    def test_a_board_without_settings_says_what_is_missing(self):
        reply = self.console.handle({"do": "hello"})
        self.assertEqual((reply["role"], reply["provisioned"]), ("gateway", False))
        self.assertTrue(any("wifi_ssid" in fault for fault in reply["faults"]))

    def test_settings_are_taken_whole_or_not_at_all(self):
        good = {"wifi_ssid": "home", "wifi_password": "secret-8", "mqtt_host": "broker", "insecure_broker": True}
        with self.assertRaises(ConfigError):
            self.console.handle({"do": "set", "settings": dict(good, mqtt_port=0)})
        self.assertFalse(self.console.handle({"do": "hello"})["provisioned"])
        self.assertEqual(self.console.handle({"do": "set", "settings": good}), {"ok": True})
        self.assertTrue(self.console.handle({"do": "hello"})["provisioned"])
        shown = self.console.handle({"do": "settings"})["settings"]
        self.assertEqual((shown["wifi_ssid"], shown["wifi_password"]), ("home", True))

    def test_no_broker_without_tls_unless_the_owner_says_so(self):
        request = {"do": "set", "settings": {"wifi_ssid": "home", "mqtt_host": "broker"}}
        self.assertTrue("insecure_broker" in refusal(lambda: self.console.handle(request)))

    def test_reboot_and_nonsense(self):
        self.assertEqual(self.console.handle({"do": "reboot"}), {"ok": True})
        self.assertEqual(self.reboots, [1])
        with self.assertRaises(BadRequest):
            self.console.handle({"do": "dance"})
        with self.assertRaises(BadRequest):
            self.console.handle({"do": "info"})
