"""When Home Assistant is told what, and that nothing of it stays behind: over a broker that keeps what is retained."""

import json
import os
import sys
import unittest

from firmware.gateway import announcer as announcing
from firmware.gateway.announcer import Announcer
from firmware.gateway.lock import OWN_MODEL, Lock
from firmware.gateway.registry import Registry
from firmware.lib.errors import NetError
from firmware.lib.topics import Topics
from firmware.system import store
from firmware.system.supervisor import Lease
from tests.unit import ha_schema
from tests.unit.gateway_rig import FEATURES, Broker, Now, fresh_folder, known_lock, quiet_log, run, vault

_GW = "a1b2c3d4e5f6"
_DOOR = 1 << 50


class Keeper(Broker):
    """A broker with what it retains; `fails_after` messages the connection is gone."""

    def __init__(self):
        super().__init__()
        self.retained = {}
        self.fails_after = None

    async def publish(self, topic, payload, retain=False, qos=0):
        if self.fails_after is not None:
            self.fails_after -= 1
            self.is_up = self.fails_after >= 0
        await super().publish(topic, payload, retain, qos)
        assert retain and qos == 1
        if payload:
            self.retained[topic] = payload
        else:
            self.retained.pop(topic, None)

    async def publish_pieces(self, topic, size, pieces, retain=False):
        if not self.is_up:
            raise NetError("no broker")
        payload = b"".join(list(pieces))
        assert len(payload) == size
        await self.publish(topic, payload, retain, 1)

    def configs(self, prefix="homeassistant"):
        """{id: payload as a dict} of what stands there now; every one is checked."""
        found = {}
        for topic, payload in self.retained.items():
            if topic.startswith(prefix + "/device/"):
                value = json.loads(payload.decode())
                assert ha_schema.faults(value, topic) == [], ha_schema.faults(value, topic)
                found[topic.split("/")[-2].replace("gatehouse_", "")] = value
        return found


class Board:
    """One gateway: what stays over a restart is its folder, its vault and the broker."""

    def __init__(self, name, locks=1):
        self.folder = fresh_folder(name)
        self.path = self.folder + "/discovery"
        self.broker = Keeper()
        self.births = 0
        self.is_unsigned = False
        self.pin = False
        self.name = "Hall"
        self.ends = 0
        self.locks = []
        self.start()
        for number in range(locks):
            lock = known_lock(b"\xe6\x06\xa3\xa8\x00" + bytes((number,)))
            lock.name = "Door %d" % number
            self.locks.append(lock)
            self.registry.add(lock)

    def start(self, prefix="homeassistant"):
        self.now = Now()
        self.registry = Registry(vault(self.folder), self.now, quiet_log())
        self.broker.is_up, self.broker.fails_after = True, None
        self.announcer = Announcer(
            self.path,
            self.registry,
            Topics(_GW, "gatehouse", prefix),
            self.broker,
            self.now,
            quiet_log(),
            _GW,
            prefix,
            lambda: (self.name, "ESP32"),
            lambda word: self.is_unsigned if word == "unsigned" else self.pin,
            self.born,
        )
        for event in ("changed", "kept"):
            self.registry.on(event, self.announcer.look)
        self.registry.on("removed", self.announcer.removed)
        self.announcer.mark_all()

    def born(self):
        self.births += 1

    def settle(self, most=200):
        """Let everything be published -> how many rounds that took."""
        for count in range(most):
            if not self.announcer.marked:
                return count
            run(self.announcer.step(Lease()))
        raise AssertionError("no end")

    def sent(self):
        """The configs published since the last call, by id."""
        found = [topic.split("_")[-1][:12] for topic, payload, _, _ in self.broker.sent if "/device/" in topic]
        self.broker.sent = []
        return found

    def cmps(self, lock=None):
        return self.broker.configs()[(lock or self.locks[0]).id]["cmps"]


class Told(unittest.TestCase):
    def test_the_gateway_first_then_each_lock_and_nothing_twice(self):
        board = Board("first", 3)
        board.settle()
        self.assertEqual(board.sent(), [_GW] + [lock.id for lock in board.locks])
        for lock in board.locks:
            board.registry.update(lock, state=1, battery=50)
            board.registry.update(lock, settings={"sound": True}, last={"method": "app", "who": 1, "ts": None})
        board.settle()
        self.assertEqual(board.sent(), [])
        device = board.broker.configs()[board.locks[0].id]["dev"]
        self.assertEqual((device["name"], device["via_device"]), ("Door 0", "gatehouse_" + _GW))
        self.assertFalse("firmware.gateway.discovery" in sys.modules)  # a round is over: its code is let go of

    def test_what_is_learnt_later_appears_and_what_is_not_known_is_not_claimed(self):
        board = Board("learnt", 0)
        lock = Lock(b"\xe6\x06\xa3\xa8\x00\x00", bytes(16))
        lock.admin_ps = 1
        board.locks.append(lock)
        board.is_unsigned = True
        board.registry.add(lock)
        board.settle()
        for key in ("door", "tamper", "autolock", "remote_unlock", "by_card", "sound", "jam"):
            self.assertFalse(key in board.cmps(), key)
        lock.features, lock.model = FEATURES, OWN_MODEL + "L1"
        board.registry.save(lock)
        board.settle()
        self.assertTrue("autolock" in board.cmps() and "jam" in board.cmps())
        self.assertFalse("door" in board.cmps())
        board.registry.update(lock, door="open")
        board.settle()
        self.assertTrue("door" in board.cmps())

    def test_an_option_that_is_off_again_takes_its_components_away(self):
        board = Board("option")
        board.locks[0].features = FEATURES | 1 << 15
        board.registry.save(board.locks[0])
        board.is_unsigned = True
        board.settle()
        self.assertTrue(board.cmps()["sound"]["cmd_t"])
        board.sent()
        board.is_unsigned = False
        board.start()
        sent = board.broker.sent
        board.settle()
        payloads = [json.loads(each[1].decode())["cmps"] for each in sent if board.locks[0].id in each[0]]
        self.assertEqual(len(payloads), 2)  # first what goes, named by its platform alone, then without it
        for key in ("sound", "autolock", "sync"):
            self.assertEqual(list(payloads[0][key]), ["p"])
            self.assertFalse(key in payloads[1])
        self.assertFalse([each for each in board.cmps().values() if each["p"] in ha_schema.CHANGING])
        board.start()
        board.sent()
        board.settle()
        self.assertEqual(len(board.sent()), 2)  # that was it: once for each device again

    def test_a_pin_asks_for_a_code_and_a_new_name_is_on_the_same_topic(self):
        board = Board("pin")
        board.settle()
        self.assertFalse("cod_form" in board.cmps()["lock"])
        board.pin = True
        board.announcer.mark_all()
        renamed = known_lock(board.locks[0].address)
        renamed.name = 'Haust\u00fcr "\U0001f6aa"'
        board.registry.add(renamed)
        board.settle()
        self.assertEqual(board.cmps()["lock"]["cod_form"], "^\\d{4,8}$")
        self.assertEqual(board.broker.configs()[renamed.id]["dev"]["name"], renamed.name)
        self.assertEqual(len(board.broker.configs()), 2)

    def test_no_state_is_one_that_something_must_end(self):
        """A power cut would leave it standing: every word that a lock can have is a settled one, or unknown."""
        board = Board("words")
        words = set()
        for state in (None, 0, 1, 2, 3):
            for jammed in (False, True):
                board.locks[0].state, board.locks[0].jammed = state, jammed
                words.add(board.registry.standing(board.locks[0])["lock"])
        self.assertEqual(words, {"LOCKED", "UNLOCKED", "JAMMED", None})

    def test_in_a_small_heap_it_gives_way_to_who_serves_a_lock_and_not_for_ever(self):
        board = Board("busy", 2)
        board.announcer.is_busy = lambda: True
        told = []
        for _ in range(40):
            run(board.announcer.step(Lease()))
            self.assertFalse("firmware.gateway.discovery" in sys.modules and not board.broker.sent)
            board.now.s += 1
            told.append(len(board.broker.configs()))
        self.assertEqual((told[14], told[15], told[30], told[31], told[39]), (0, 1, 1, 2, 2))

    def test_a_full_gateway(self):
        board = Board("full", 64)
        self.assertTrue(board.settle() <= 9)
        self.assertEqual(len(board.broker.configs()), 65)
        for lock in board.locks:
            board.registry.remove(lock)
        board.settle()
        self.assertEqual(list(board.broker.configs()), [_GW])


class Gone(unittest.TestCase):
    """home-assistant-discovery.md 11: no ghosts."""

    def test_a_lock_that_is_forgotten_leaves_nothing(self):
        board = Board("forgotten", 2)
        board.settle()
        for leaf in ("state", "availability"):
            board.broker.retained["gatehouse/%s/lock/%s/%s" % (_GW, board.locks[0].id, leaf)] = b"x"
        board.registry.remove(board.locks[0])
        board.settle()
        self.assertEqual(sorted(board.broker.configs()), sorted([_GW, board.locks[1].id]))
        self.assertFalse([topic for topic in board.broker.retained if board.locks[0].id in topic])

    def test_also_when_nobody_could_say_so_until_the_next_start(self):
        board = Board("late", 2)
        board.settle()
        board.broker.is_up = False
        board.registry.remove(board.locks[0])
        run(board.announcer.step(Lease()))
        board.start()
        board.settle()
        self.assertFalse([topic for topic in board.broker.retained if board.locks[0].id in topic])
        self.assertEqual(len(board.broker.configs()), 2)

    def test_another_prefix_or_none_leaves_nothing_below_the_old_one(self):
        board = Board("prefix", 3)
        board.settle()
        board.start("house/ha")
        board.settle()
        self.assertEqual(board.broker.configs(), {})
        self.assertEqual(len(board.broker.configs("house/ha")), 4)
        board.start("")
        board.settle()
        self.assertEqual(board.broker.retained, {})
        self.assertFalse(store.exists(board.path))
        board.registry.update(board.locks[0], door="open")
        board.registry.remove(board.registry.all()[0])
        board.announcer.mark_all()
        board.settle()
        self.assertEqual(board.broker.retained, {})

    def test_a_lock_that_another_gateway_takes_over_is_told_of_once(self):
        board = Board("handed", 1)
        board.settle()
        other = Board("taken")
        other.broker = board.broker
        other.start()
        other.announcer.id = "a1b2c3d4e5f7"
        board.registry.remove(board.locks[0])
        board.settle()
        other.announcer.mark_all()
        other.settle()
        topics = [topic for topic in board.broker.retained if board.locks[0].id in topic]
        self.assertEqual(topics, ["homeassistant/device/a1b2c3d4e5f7/gatehouse_%s/config" % board.locks[0].id])

    def test_a_reset_takes_everything_back_and_then_goes_on(self):
        board = Board("reset", 20)
        board.settle()
        board.broker.is_up = False
        self.assertFalse(board.announcer.end(lambda: None))  # nobody to tell
        board.broker.is_up = True
        self.assertTrue(board.announcer.end(lambda: self.assertEqual(board.broker.retained, {})))
        run(board.announcer.step(Lease()))
        self.assertEqual((board.announcer.marked, board.broker.retained), (set(), {}))

    def test_a_connection_lost_or_a_power_cut_at_any_message_leaves_nothing_unknown(self):
        for count in range(12):
            board = Board("cut", 2)
            board.is_unsigned = bool(count % 2)
            board.broker.fails_after = count
            for _ in range(8):
                try:
                    run(board.announcer.step(Lease()))
                except NetError:
                    break
            for lock in board.locks:
                board.registry.vault.remove(lock.id)
            board.is_unsigned = False
            board.start()
            board.settle()
            self.assertEqual(list(board.broker.configs()), [_GW])
            self.assertEqual(len(board.broker.retained), 1)

    def test_a_memory_that_is_damaged_or_of_another_make_is_begun_anew(self):
        for kept in (None, 5, [], {}, {"prefix": "x"}, {"prefix": 1, "rows": "zz"}, {"rows": "00", "prefix": "x"}):
            board = Board("damaged")
            store.save(board.path, kept)
            board.settle()
            self.assertEqual(len(board.broker.configs()), 2)
        board = Board("damaged")
        with open(board.path, "wb") as file:
            file.write(os.urandom(50))
        board.settle()
        self.assertEqual(len(board.broker.configs()), 2)

    def test_a_flash_that_refuses_puts_it_off_and_harms_nothing_else(self):
        board = Board("refused")
        save = store.save

        def refuse(path, value, twin=False):
            raise OSError(28)

        store.save = refuse
        try:
            for _ in range(5):
                run(board.announcer.step(Lease()))
        finally:
            store.save = save
        self.assertEqual(board.broker.configs(), {})  # what nobody could remember is not published
        board.now.s += 61
        board.settle()
        self.assertEqual(len(board.broker.configs()), 2)


class Birth(unittest.TestCase):
    """home-assistant-discovery.md 1, "Birth message"."""

    def rounds(self, board, seconds, say=None):
        """How often the gateway was published in so many seconds."""
        board.sent()
        for _ in range(seconds):
            if say is not None:
                board.announcer.born(say)
            board.now.s += 1
            run(board.announcer.step(Lease()))
        return board.sent().count(_GW)

    def test_it_is_answered_once_after_a_while(self):
        board = Board("birth", 2)
        board.settle()
        board.sent()
        for payload, wanted in ((b"offline", 0), (b"", 0), (b"ONLINE", 0), (b"online" * 100, 0), (b"online", 1)):
            board.now.s += 1000
            board.announcer.born(payload)
            run(board.announcer.step(Lease()))
            self.assertEqual(board.sent(), [], payload)  # not at once
            self.assertEqual(self.rounds(board, 14), wanted, payload)
            self.assertEqual(board.births, wanted)
        self.assertEqual(self.rounds(board, 300), 0)

    def test_it_brings_back_what_the_broker_has_lost(self):
        board = Board("lost", 2)
        board.settle()
        board.broker.retained.clear()
        board.announcer.born(b"online")
        self.rounds(board, 20)
        self.assertEqual(len(board.broker.configs()), 3)

    def test_a_stranger_who_repeats_it_gets_a_round_in_two_minutes(self):
        board = Board("stranger", 2)
        board.settle()
        self.assertTrue(self.rounds(board, 1200, b"online") <= 11)
        self.assertTrue(len(board.announcer.marked) <= 3)

    def test_gateways_of_a_house_do_not_answer_all_at_once(self):
        board = Board("spread")
        seen = set()
        for _ in range(200):
            board.announcer._birth_s = 0
            board.announcer.born(b"online")
            seen.add(board.announcer._birth_s - board.now.s)
        self.assertEqual((min(seen), max(seen)), (1, 10))
        self.assertTrue(announcing.os is os)


if __name__ == "__main__":
    unittest.main()
