"""What advertisements alone tell: state, battery, strength, unread records, presence."""

import json
import unittest

from firmware.gateway.outgoing import States
from firmware.gateway.registry import Registry
from firmware.lib import advert, opcodes
from firmware.lib.topics import Topics
from firmware.system.supervisor import Lease
from tests.unit.gateway_rig import ADDRESS, Broker, Now, UnixClock, fresh_folder, known_lock, quiet_log, run, vault


class RegistryTest(unittest.TestCase):
    def setUp(self):
        self.now = Now(5000)
        self.registry = Registry(vault(fresh_folder("registry")), self.now, quiet_log(), 60)
        self.lock = known_lock()
        self.registry.add(self.lock)
        self.changes = []
        self.flagged = []
        self.sights = []
        self.registry.on("changed", lambda lock: self.changes.append(lock.word()))
        self.registry.on("records", self.flagged.append)
        self.registry.on("sighted", self.sights.append)

    def hear(self, flags=0, battery=90, rssi_dbm=-60, address=ADDRESS):
        content = advert.encode_manufacturer(address, 2, flags, battery)
        self.registry.sighting(address, 0, rssi_dbm, content)

    def test_state_and_battery_follow_the_advertisement(self):
        self.hear()
        self.hear(advert.UNLOCKED)
        self.hear(advert.UNLOCKED)
        self.hear(advert.UNLOCKED, 80)
        self.assertEqual(self.changes, ["LOCKED", "UNLOCKED", "UNLOCKED"])
        self.assertEqual((self.lock.battery, self.lock.rssi_dbm, self.lock.src), (80, -60, "advert"))

    def test_a_dormant_lock_says_nothing_of_its_bolt_and_all_the_rest(self):
        # every flag byte, of a lock that was last known as locked, unlocked or not at all (hardware-facts.md F1)
        for before in (None, 0, 1):
            for flags in range(256):
                self.lock.state, self.lock.advert, self.lock.battery = before, None, None
                self.hear(flags, 60)
                told = before if flags & advert.DORMANT else flags & 1
                self.assertEqual((self.lock.state, self.lock.battery), (told, 60), "%s %02x" % (before, flags))
                self.assertEqual(self.lock.has_records, bool(flags & advert.RECORDS))

    def test_a_door_left_open_stays_open_however_long_its_lock_sleeps(self):
        self.hear(advert.UNLOCKED)
        words = set()
        for minute in range(24 * 60):
            self.now.s += 60
            self.hear(advert.DORMANT | (advert.RECORDS if minute % 7 == 0 else 0), 90 - minute // 200)
            words.add(self.lock.word())
        self.assertEqual(words, {"UNLOCKED"})
        standing = self.registry.standing(self.lock)
        self.assertEqual((standing["src"], standing["age_s"]), ("advert", 24 * 3600))  # as old as what was told
        self.hear()
        self.assertEqual(
            self.registry.standing(self.lock), {"lock": "LOCKED", "src": "advert", "age_s": 0, "assumed": False}
        )

    def test_all_lengths_of_manufacturer_data_have_the_address_last(self):
        whole = advert.encode_manufacturer(ADDRESS, 2, advert.UNLOCKED, 70)
        for more in range(14):
            content = whole[:9] + bytes(range(more)) + whole[9:]
            found = advert.decode_manufacturer(content)
            if more > 12:
                self.assertEqual(found, None)
                continue
            self.assertEqual((found.address, found.battery, found.unlocked), (ADDRESS, 70, True))
            self.lock.state = None
            self.registry.sighting(ADDRESS, 0, -60, content)
            self.assertEqual(self.lock.state, 1)

    def test_a_parking_locks_bit_is_its_own(self):
        found = advert.decode_manufacturer(advert.encode_manufacturer(ADDRESS, 7, advert.DORMANT, 70))
        self.assertEqual((found.kind, found.is_dormant, found.unlocked), ("parking", False, False))

    def test_a_full_battery_after_our_own_link_is_not_believed_until_it_stays(self):
        # (seconds after the link at which it rises, for how long it shows 100) -> what is shown at its end
        table = (
            (60, 5, 55),
            (60, 299, 55),
            (60, 300, 100),
            (179, 299, 55),
            (179, 301, 100),
            (181, 0, 100),
            (600, 0, 100),
        )
        for rises_s, stays_s, shown in table:
            self.lock.battery = None
            self.hear(0, 55)
            self.registry.reached(self.lock)
            self.now.s += rises_s
            self.hear(0, 100)
            self.now.s += stays_s
            self.hear(0, 100)
            self.assertEqual(self.lock.battery, shown, "%d %d" % (rises_s, stays_s))
            self.hear(0, 54)
            self.assertEqual((self.lock.battery, self.lock.rise_s), (54, None))  # a fall is believed at once
            self.now.s += 1000

    def test_a_small_rise_and_an_answer_are_believed(self):
        self.hear(0, 55)
        self.registry.reached(self.lock)
        self.hear(0, 65)
        self.assertEqual(self.lock.battery, 65)
        self.hear(0, 100)
        self.registry.update(self.lock, battery=100)
        self.assertEqual(self.lock.battery, 100)

    def test_a_foreign_locks_advertisement_may_lag_behind_a_command(self):
        for model, seen in (("SN534", "UNLOCKED"), ("GATEHOUSE-L1", "LOCKED")):
            self.lock.model = model
            self.hear()
            self.registry.moved(self.lock, 1, 90)
            self.now.s += 8
            self.hear()
            self.assertEqual(self.lock.word(), seen, model)
            self.now.s += 3
            self.hear()  # unchanged: it has really locked since
            self.assertEqual(self.lock.word(), "LOCKED")

    def test_an_open_lock_is_an_alarm_once_its_auto_lock_is_overdue(self):
        # auto-lock, windows of passage mode, dormant -> alarms
        table = (
            (5, False, 0, 1),
            (5, None, 0, 1),
            (5, True, 0, 0),
            (0, False, 0, 0),
            (None, False, 0, 0),
            (5, False, 16, 0),
        )
        for auto_lock_s, has_windows, dormant, count in table:
            alarms = []
            self.setUp()
            self.registry.on("alarm", lambda lock, why: alarms.append(why))
            self.lock.auto_lock_s, self.lock.has_windows = auto_lock_s, has_windows
            self.registry.moved(self.lock, 1, 90)
            for _ in range(65):
                self.now.s += 1
                self.hear(dormant or advert.UNLOCKED)
            self.assertEqual(alarms, [])
            for _ in range(300):
                self.now.s += 1
                self.hear(dormant or advert.UNLOCKED)
            self.assertEqual(alarms, ["still_open"] * count, "%s %s" % (auto_lock_s, has_windows))
            self.registry.moved(self.lock, 1, 90)  # the next opening is another
            self.now.s += 66
            self.hear(dormant or advert.UNLOCKED)
            self.assertEqual(len(alarms), 2 * count)

    def test_a_lock_not_yet_verified_is_addressed_as_it_advertises(self):
        for verified, scene in ((False, 9), (True, 2)):
            lock = known_lock()
            lock.verified = verified
            self.registry.add(lock)
            self.registry.sighting(ADDRESS, 0, -60, advert.encode_manufacturer(ADDRESS, 9, 0, 70))
            self.assertEqual(lock.scene, scene)

    def test_a_lock_is_heard_anew_after_ten_silent_seconds_also_one_about_to_be_imported(self):
        heard = []
        self.registry.on("heard", lambda lock: heard.append(self.now.s))
        stranger = known_lock(b"\x01\x02\x03\x04\x05\x06")
        self.registry.listen_for(stranger)
        for lock in (self.lock, stranger):
            heard.clear()
            began_s = self.now.s
            for _ in range(5):
                self.hear(address=lock.address)
                self.now.s += 10
                self.assertTrue(self.registry.is_fresh(lock))
            self.assertEqual(heard, [began_s])
            self.now.s += 1
            self.assertFalse(self.registry.is_fresh(lock))
            self.hear(address=lock.address)
            self.assertEqual(heard, [began_s, began_s + 51])

    def test_strength_alone_is_news_only_when_it_changes_much(self):
        for rssi_dbm in (-60, -63, -57, -75):
            self.hear(rssi_dbm=rssi_dbm)
        self.assertEqual(len(self.changes), 2)

    def test_unread_records_are_reported_as_long_as_they_are_advertised(self):
        self.hear()
        self.hear(advert.RECORDS)
        self.hear(advert.RECORDS)
        self.assertEqual(len(self.flagged), 2)

    def test_a_lock_goes_and_comes_back(self):
        self.assertFalse(self.registry.is_present(self.lock))
        self.hear()
        self.assertTrue(self.registry.is_present(self.lock))
        self.now.s += 61
        self.assertFalse(self.registry.is_present(self.lock))
        self.assertTrue(self.registry.is_near(self.lock))
        self.now.s += 1800
        self.assertFalse(self.registry.is_near(self.lock))
        self.hear()
        self.assertEqual(len(self.sights), 2)

    def test_other_locks_and_nonsense_are_ignored(self):
        self.hear(address=b"\x01\x02\x03\x04\x05\x06")
        self.registry.sighting(ADDRESS, 0, -60, bytes(15))
        self.assertEqual(self.lock.state, None)

    def test_advertisements_of_another_protocol_or_scene_change_nothing(self):
        self.hear()
        reversed_address = bytes(ADDRESS[5 - place] for place in range(6))
        for protocol in range(16):
            for version in range(8):
                head = bytes((1, 1, 0, 0, protocol, version, 0, 2, advert.UNLOCKED, 10))
                self.registry.sighting(ADDRESS, 0, -60, head + reversed_address)
        for scene in (0, 1, 3, 7):
            content = advert.encode_manufacturer(ADDRESS, scene, advert.UNLOCKED, 10)
            self.registry.sighting(ADDRESS, 0, -60, content)
        self.assertEqual((self.lock.scene, self.lock.pin), (2, 2))
        self.assertEqual((self.lock.state, self.lock.battery), (0, 90))
        self.hear(advert.UNLOCKED, 10)
        self.assertEqual((self.lock.state, self.lock.battery), (1, 10))

    def test_somebody_who_advertises_beside_the_lock_is_an_alarm(self):
        alarms = []
        self.registry.on("alarm", lambda lock, why: alarms.append((lock.id, why)))
        for turn in range(60):
            self.hear(turn % 2)
        self.assertEqual(alarms, [(ADDRESS.hex(), "two_advertisers")])  # and not each time
        self.now.s += 61
        for turn in range(60):
            self.hear(turn % 2)
        self.assertEqual(len(alarms), 2)

    def test_a_jam_shows_until_the_lock_tells_of_another_state(self):
        self.hear()
        self.registry.update(self.lock, state=2, battery=90)
        self.hear(advert.UNLOCKED, battery=89)  # what a stuck bolt advertises
        self.assertEqual((self.lock.word(), self.lock.battery), ("JAMMED", 89))
        self.hear()
        self.assertEqual(self.lock.word(), "LOCKED")
        self.registry.update(self.lock, state=2, battery=90)
        self.registry.update(self.lock, state=0, battery=89)
        self.assertEqual(self.lock.word(), "LOCKED")

    def test_pushes_tell_state_and_new_records(self):
        self.hear()
        self.registry.pushed(self.lock, opcodes.STATUS, b"\x5a\x01\x00")
        self.assertEqual((self.lock.word(), self.lock.door), ("UNLOCKED", "open"))
        self.registry.pushed(self.lock, opcodes.STATUS, b"\x5a" + bytes(8) + b"\x1a\x01\x02\x03\x04\x05")
        self.assertEqual(len(self.flagged), 1)
        self.registry.pushed(self.lock, opcodes.STATUS, b"")

    def test_saving_what_is_not_new_costs_no_flash(self):
        store = vault(fresh_folder("registry3"))
        saved = []
        plain = store.save

        def count(name, octets):
            saved.append(name)
            plain(name, octets)

        store.save = count
        registry = Registry(store, self.now, quiet_log())
        lock = known_lock()
        registry.add(lock)
        registry.save(lock)
        registry.save(lock)
        self.assertEqual(len(saved), 1)
        lock.clock_s = 1790000000
        registry.save(lock)
        self.assertEqual(len(saved), 2)
        self.assertEqual(Registry(store, self.now, quiet_log()).all()[0].clock_s, 1790000000)

    def test_locks_survive_a_restart_and_a_damaged_file_costs_one(self):
        folder = fresh_folder("registry2")
        registry = Registry(vault(folder), self.now, quiet_log())
        registry.add(known_lock())
        registry.add(known_lock(b"\x01\x02\x03\x04\x05\x06"))
        for copy in ("a", "b"):
            with open(folder + "/010203040506." + copy, "wb") as file:
                file.write(b"{}")
        self.assertEqual([lock.id for lock in Registry(vault(folder), self.now, quiet_log()).all()], [ADDRESS.hex()])


class StatesTest(unittest.TestCase):
    def test_state_and_availability_are_retained(self):
        now = Now(100)
        registry = Registry(vault(fresh_folder("states")), now, quiet_log(), 60)
        broker = Broker()
        states = States(registry, Topics("001122334455"), broker, UnixClock(1790000000))
        registry.on("changed", states.mark)
        lock = known_lock()
        registry.add(lock)
        run(states.publish(Lease()))
        registry.sighting(ADDRESS, 0, -60, advert.encode_manufacturer(ADDRESS, 2, advert.UNLOCKED, 77))
        run(states.publish(Lease()))
        run(states.publish(Lease()))
        found = [(topic.split("/")[-1], payload) for topic, payload, retain, qos in broker.sent if retain and qos == 1]
        self.assertEqual([leaf for leaf, _ in found], ["availability", "availability", "state"])
        self.assertEqual([payload for _, payload in found[:2]], ["offline", "online"])
        state = json.loads(found[2][1])
        self.assertEqual((state["lock"], state["battery"], state["rssi"]), ("UNLOCKED", 77, -60))
        self.assertEqual((state["signal"], state["drift"]), ("strong", None))
        registry.remove(lock)
        states.withdraw(lock)
        run(states.publish(Lease()))
        self.assertEqual([payload for _, payload, _, _ in broker.sent[-2:]].count(b""), 2)
