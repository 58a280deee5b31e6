"""What a gateway tells to whoever looks for a fault: its log on request, and how a lock stands without being called."""

import json
import unittest

from firmware.gateway import health, log_tail
from firmware.lib import envelope
from firmware.lib.errors import BadRequest
from firmware.system.log import Log
from tests.unit.command_rig import LOCK, Rig
from tests.unit.gateway_rig import Now

KEY = bytes(range(32))
TOPIC = "gatehouse/240ac4a00000/log"


class Outside:
    """A broker's end: takes messages while it is up."""

    def __init__(self):
        self.is_up = True
        self.sent = []

    def offer(self, topic, payload):
        if self.is_up:
            self.sent.append((topic, payload))
        return self.is_up

    def lines(self):
        return [line for _, payload in self.sent for line in json.loads(payload)["lines"]]


class TailTest(unittest.TestCase):
    def setUp(self):
        self.printed = []
        self.now_ms = 0
        self.now = Now(100)
        self.log = Log(lambda: self.now_ms, self.printed.append)
        self.area = self.log.area("link")
        self.out = Outside()
        self.tail = log_tail.Tail(self.log, self.out.offer, TOPIC, KEY, self.now, 160)

    def say(self, count, **values):
        for _ in range(count):
            self.now_ms += 60
            self.area.info("connected", **values)

    def test_lines_are_printed_and_sent_signed_and_each_once(self):
        self.say(3)
        self.assertTrue(self.tail.step())
        self.assertTrue(self.tail.step())
        self.assertEqual(len(self.out.sent), 1)
        topic, payload = self.out.sent[0]
        self.assertEqual(topic, TOPIC)
        self.assertTrue(envelope.verify(KEY, topic, payload.encode()))
        body = json.loads(payload)
        self.assertEqual((body["n"], body["left_s"], body["dropped"]), (0, 60, 0))
        self.assertEqual(body["lines"], self.printed)

    def test_a_message_is_small_and_a_step_sends_one(self):
        self.say(90, text="x" * 300)
        sizes = []
        for _ in range(20):
            self.tail.step()
        for _, payload in self.out.sent:
            sizes.append(len(payload))
        self.assertTrue(1 < len(sizes) < 10 and max(sizes) < 1024, sizes)
        body = json.loads(self.out.sent[-1][1])
        self.assertEqual(body["dropped"] + len(self.out.lines()), 90)
        self.assertEqual([json.loads(payload)["n"] for _, payload in self.out.sent], list(range(len(sizes))))
        self.assertTrue(max([len(line) for line in self.out.lines()]) <= 240)

    def test_while_the_broker_is_away_the_newest_lines_wait(self):
        self.out.is_up = False
        for number in range(60):
            self.say(1, number=number, text="y" * 60)
            self.assertTrue(self.tail.step())
        self.out.is_up = True
        for _ in range(10):
            self.tail.step()
        lines = self.out.lines()
        self.assertTrue(10 < len(lines) < 60)
        self.assertEqual(lines, self.printed[-len(lines) :])

    def test_it_ends_by_itself_and_says_so(self):
        self.now.s = 160
        self.assertFalse(self.tail.step())
        self.assertEqual(json.loads(self.out.sent[-1][1])["left_s"], 0)
        self.tail.end()
        self.say(2)
        self.assertEqual((len(self.printed), self.out.lines()), (2, []))

    def test_an_end_in_the_middle_leaves_nothing_behind(self):
        self.say(1)
        self.tail.end()
        again = log_tail.Tail(self.log, self.out.offer, TOPIC, KEY, self.now, 160)
        self.say(1)
        again.step()
        self.assertEqual((len(self.printed), len(self.out.lines())), (2, 1))

    def test_minutes_are_whole_and_few(self):
        for args, minutes in (({}, 10), ({"minutes": 0}, 0), ({"minutes": 60}, 60)):
            self.assertEqual(log_tail.minutes(args), minutes)
        for wrong in (-1, 61, 1.5, True, "5", [], {}):
            with self.assertRaises(BadRequest):
                log_tail.minutes({"minutes": wrong})
        with self.assertRaises(BadRequest):
            log_tail.minutes({"level": "debug"})


class RequestTest(unittest.TestCase):
    def test_the_log_is_for_the_owner_who_signs(self):
        rig = Rig("doctor-log", owner=KEY)
        self.assertEqual(rig.ask_signed("log", None, args={"minutes": 5})["data"], {"minutes": 5})
        self.assertEqual(rig.tails, [(5, "owner")])
        rig.send("cmd", {"id": "unsigned", "op": "log"}, False, None)
        self.assertEqual(rig.work(2)[-1]["code"], "forbidden")
        self.assertEqual(rig.ask_signed("log", None, args={"minutes": 99})["code"], "bad_request")
        self.assertEqual(len(rig.tails), 1)

    def test_a_lock_is_told_of_without_being_called(self):
        rig = Rig("doctor-lock")
        rig.lock.rssi_dbm, rig.lock.battery, rig.lock.zone = -70, 55, "UTC0"
        rig.context.failures.record(LOCK, "unlock", "link")
        rig.now.s += 7
        rig.send("cmd", {"id": "one", "op": "locks", "args": {"mac": LOCK}}, False, None)
        found = rig.work()[-1]["data"]
        wanted = {"mac": LOCK, "near": True, "rssi": -70, "battery": 55, "heard_s": 7, "zone": "UTC0", "jobs": 0}
        wanted.update({"waiting": 0, "clock_checked": None, "remote_unlock": rig.lock.switch})
        self.assertEqual({key: found[key] for key in wanted}, wanted)
        self.assertEqual([each["code"] for each in found["failures"]], ["link"])
        self.assertEqual(rig.opened, 0)
        text = json.dumps(found)
        for secret in (rig.lock.aes.hex(), str(rig.lock.admin_ps), str(rig.lock.unlock_key)):
            self.assertFalse(secret in text)

    def test_what_names_no_lock_is_refused(self):
        rig = Rig("doctor-none")
        codes = {"c0ffee000000": "unknown_lock", "": "bad_request", "x": "bad_request"}
        for place, mac in enumerate(codes):
            rig.send("cmd", {"id": "no-%d" % place, "op": "locks", "args": {"mac": mac}}, False, None)
            self.assertEqual(rig.work(place + 1)[-1]["code"], codes[mac])
        rig.send("cmd", {"id": "all", "op": "locks"}, False, None)
        self.assertEqual([each["mac"] for each in rig.work(4)[-1]["data"]["items"]], [LOCK])


class BoardTest(unittest.TestCase):
    def test_what_a_board_says_needs_no_settings(self):
        found = health.of_board({"id": "240ac4a00000", "boot": 3}, 5000, {"why": "power_on"})
        self.assertEqual((found["boot"], found["heap"], found["restart"]), (3, 5000, {"why": "power_on"}))
        self.assertTrue("flash" in found and "flash_free" in found)


if __name__ == "__main__":
    unittest.main()
