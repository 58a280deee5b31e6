"""The way of a request: what is obeyed, once, and what is refused."""

import os
import unittest

from tests.unit.command_rig import GATEWAY, LOCK, Rig


class RulesTest(unittest.TestCase):
    def test_requests_beyond_the_inbox_are_answered_busy(self):
        rig = Rig("flood")
        for number in range(15):
            rig.send("cmd", {"id": "f-%d" % number, "op": "ping"}, False, None)
        rig.send("set", b"UNLOCK")
        found = [(result["id"], result["code"]) for result in rig.work(16)]
        self.assertEqual(found[:4], [("f-12", "busy"), ("f-13", "busy"), ("f-14", "busy"), (None, "busy")])
        self.assertEqual(found[4:], [("f-%d" % number, "ok") for number in range(12)])
        self.assertEqual(rig.far.moved, 0)

    def test_unlock_moves_the_bolt_once_and_says_so(self):
        rig = Rig("unlock")
        result = rig.ask("unlock", id="one", exp=rig.clock.unix_s + 10)
        self.assertEqual((result["id"], result["op"], result["ok"], result["code"]), ("one", "unlock", True, "ok"))
        self.assertEqual(result["data"], {"lock": "UNLOCKED", "battery": 88})
        self.assertEqual(rig.out.put_in[0][0], "gatehouse/%s/lock/%s/rsp" % (GATEWAY, LOCK))
        self.assertEqual(rig.far.moved, 1)

    def test_a_repeated_id_returns_the_stored_result(self):
        rig = Rig("repeat")
        first = rig.ask("unlock", id="one")
        self.assertEqual(rig.ask("unlock", id="one"), first)
        self.assertEqual(rig.ask("lock", id="one")["code"], "conflict")
        self.assertEqual(rig.far.moved, 1)

    def test_a_repeated_id_whose_result_is_damaged_does_not_act_again(self):
        rig = Rig("damaged")
        rig.ask("unlock", id="one")
        for name in os.listdir(rig.folder + "/ids"):
            with open(rig.folder + "/ids/" + name, "wb") as file:
                file.write(bytes(200))
        self.assertEqual(rig.ask("unlock", id="one")["code"], "outcome_unknown")
        self.assertEqual(rig.far.moved, 1)

    def test_a_repeated_id_is_known_after_a_reset(self):
        rig = Rig("reset")
        first = rig.ask("unlock", id="one")
        again = Rig("reset", rig.folder)
        self.assertEqual(again.ask("unlock", id="one"), first)
        self.assertEqual(again.far.moved, 0)

    def test_a_command_cut_off_by_a_reset_is_not_repeated(self):
        rig = Rig("cut")
        rig.ids.done = lambda *args: None  # power fails between the note and the result
        rig.ask("unlock", id="one")
        self.assertEqual(rig.far.moved, 1)
        again = Rig("cut", rig.folder)
        told = again.work(1)
        self.assertEqual([(result["id"], result["code"]) for result in told], [("one", "outcome_unknown")])
        self.assertEqual(again.out.put_in[0][0], "gatehouse/%s/lock/%s/rsp" % (GATEWAY, LOCK))
        self.assertEqual(again.ask("unlock", id="one"), told[0])
        self.assertEqual(again.far.moved, 0)

    def test_retained_expired_and_clockless_requests_do_not_move(self):
        rig = Rig("refused")
        rig.send("cmd", {"id": "r", "op": "unlock"}, True)
        rig.send("set", b"UNLOCK", True)
        told = rig.work(4)
        events = [topic for topic, _ in rig.out.put_in if topic.endswith("/event")]
        self.assertEqual([body["event_type"] for body in told if "event_type" in body], ["alarm", "alarm"])
        self.assertEqual(events, ["gatehouse/%s/lock/%s/event" % (GATEWAY, LOCK)] * 2)
        results = [body for body in told if "code" in body]
        self.assertEqual([result["code"] for result in results], ["retained", "retained"])
        self.assertEqual([result["id"] for result in results], ["r", None])
        self.assertEqual(rig.metrics.codes, {"retained": 2})
        self.assertEqual(rig.ask("unlock", exp=rig.clock.unix_s - 1)["code"], "expired")
        rig.clock.trusted = False
        self.assertEqual(rig.ask("unlock", exp=rig.clock.unix_s + 5)["code"], "no_clock")
        self.assertEqual(rig.ask("time_sync")["code"], "no_clock")
        self.assertEqual(rig.far.moved, 0)
        self.assertEqual(rig.ask("unlock")["code"], "ok")

    def test_set_locks_and_unlocks_without_an_id(self):
        rig = Rig("set")
        rig.send("set", b"UNLOCK")
        rig.send("set", b"LOCK")
        rig.send("set", b"OPEN")
        rig.send("set", b"")
        found = [(result["id"], result["op"], result["code"]) for result in rig.work(3)]
        self.assertTrue((None, "unlock", "ok") in found)
        self.assertTrue((None, "lock", "ok") in found)
        self.assertTrue((None, None, "bad_request") in found)
        self.assertEqual(len(found), 3)

    def test_too_many_unlocks_are_refused(self):
        rig = Rig("rates")
        codes = [rig.ask("unlock")["code"] for _ in range(8)]
        self.assertEqual(codes, ["ok"] * 6 + ["rate_limited"] * 2)
        self.assertEqual(rig.ask("state")["code"], "ok")

    def test_locks_that_are_not_ours_share_one_limit(self):
        rig = Rig("made-up")
        codes = []
        for number in range(31):
            rig.send("set", b"UNLOCK", lock="%012x" % number)
            codes.append(rig.work(number + 1)[-1]["code"])
        self.assertEqual(codes, ["unknown_lock"] * 30 + ["rate_limited"])
        self.assertEqual(rig.ask("unlock")["code"], "ok")

    def test_retained_commands_are_counted_each_and_told_of_four_times_a_minute(self):
        rig = Rig("alarms")
        for number in range(12):
            rig.send("cmd", {"id": "r-%d" % number, "op": "unlock"}, True)
        rig.send("cmd", {"id": "g", "op": "ping"}, True, None)
        rig.work(17)
        self.assertEqual(len([1 for topic, _ in rig.out.put_in if topic.endswith("/event")]), 4)
        self.assertEqual(rig.metrics.codes, {"retained": 13})
        self.assertEqual(rig.far.moved, 0)

    def test_operations_that_do_not_exist_and_broken_requests_have_a_limit_of_their_own(self):
        rig = Rig("unmeant")
        codes = []
        for number in range(32):
            rig.send("cmd", {"id": "u-%d" % number, "op": "no_such"} if number % 2 else b'{"id":"u","x"')
            codes.append(rig.work(number + 1)[-1]["code"])
        self.assertEqual(codes, ["bad_request"] * 30 + ["rate_limited"] * 2)
        self.assertEqual([rig.ask(op)["code"] for op in ("state", "unlock")], ["ok", "ok"])

    def test_refusals_for_want_of_rate_or_room_are_not_remembered_and_write_nothing(self):
        rig = Rig("cheap")
        for _ in range(6):
            rig.ask("unlock")
        written = []
        rig.ids.done = lambda *args: written.append(args)
        self.assertEqual([rig.ask("unlock", id="x")["code"] for _ in range(3)], ["rate_limited"] * 3)
        rig.scheduler.submit = lambda job: False
        self.assertEqual([rig.ask("state", id="y")["code"] for _ in range(2)], ["busy"] * 2)
        self.assertEqual(written, [])
        self.assertEqual(rig.far.moved, 6)

    def test_while_answers_wait_for_the_broker_only_what_moves_a_bolt_is_taken(self):
        rig = Rig("behind")
        rig.out.is_behind = True
        self.assertEqual(
            [rig.ask(op)["code"] for op in ("state", "time_get", "unlock", "lock")], ["busy", "busy", "ok", "ok"]
        )
        rig.out.is_behind = False
        self.assertEqual(rig.ask("state")["code"], "ok")

    def test_unsigned_requests_may_only_lock_and_query(self):
        rig = Rig("unsigned", is_unsigned_allowed=False)
        for op, args in (
            ("unlock", None),
            ("passcode_add", {"code": "123459"}),
            ("passcode_delete", {"code": "123459"}),
            ("autolock_set", {"seconds": 5}),
        ):
            self.assertEqual(rig.ask(op, args)["code"], "forbidden")
        for op in ("lock", "state", "time_get"):
            self.assertEqual(rig.ask(op)["code"], "ok")

    def test_unknown_locks_operations_and_arguments(self):
        rig = Rig("unknown")
        rig.send("cmd", {"id": "a", "op": "state"}, False, "ffffffffffff")
        rig.send("cmd", {"id": "b", "op": "import"})
        rig.send("cmd", {"id": "c", "op": "state", "args": {"x": 1}})
        rig.send("cmd", b"{nonsense")
        found = {result["id"]: result["code"] for result in rig.work(4)}
        self.assertEqual(found, {"a": "unknown_lock", "b": "bad_request", "c": "bad_request", None: "bad_request"})
        self.assertEqual(rig.opened, 0)
