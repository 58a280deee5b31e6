"""The way of a request: bridge, scheduler, operations. The lock is at the other end of a fake link."""

import asyncio
import json
import unittest

from firmware.gateway.bridge import Bridge
from firmware.gateway.clocks import Clocks
from firmware.gateway.dedupe import Dedupe
from firmware.gateway.diagnostics import Metrics
from firmware.gateway.gateway_ops import GatewayOps
from firmware.gateway.rates import Rates
from firmware.gateway.records import Records
from firmware.gateway.registry import Registry
from firmware.gateway.scheduler import Scheduler
from firmware.gateway.session import Session
from firmware.gateway.states import States
from firmware.gateway.tools import Tools
from firmware.lib import opcodes, records, sealed, x25519
from firmware.lib.errors import LinkError, LinkTimeout, from_ble
from firmware.lib.messages import session_lock
from firmware.lib.topics import Topics
from firmware.system.journal import Journal
from firmware.system.timing import remaining_ms, ticks_add, ticks_ms
from tests.unit.gateway_rig import (
    ADDRESS,
    FEATURES,
    Broker,
    LinkedLock,
    Now,
    Outbox,
    Refusal,
    UnixClock,
    fresh_folder,
    known_lock,
    quiet_log,
    run,
    stop,
    vault,
)

_GATEWAY = "001122334455"
_LOCK = ADDRESS.hex()
_SECRET = bytes(range(32))


class Owner:
    """The settings that matter here."""

    expiry_s = 10
    unsigned_unlock = True


class Opening:
    def __init__(self, rig, lock):
        self._rig = rig
        self._lock = lock

    async def __aenter__(self):
        rig = self._rig
        rig.opened += 1
        if rig.unreachable:
            rig.unreachable -= 1
            raise LinkError("could not connect")
        return Session(rig.far, self._lock, rig.registry, 0)

    async def __aexit__(self, kind, err, trace):
        pass


class Rig:
    """A gateway from the broker's callback to the link, with one lock that was just heard, locked."""

    def __init__(self, name, folder=None):
        log = quiet_log()
        self.folder = folder or fresh_folder(name)
        self.now = Now()
        self.clock = UnixClock()
        self.out = Outbox()
        self.far = LinkedLock()
        self.opened = 0
        self.unreachable = 0
        self.public = x25519.public_key(_SECRET) if name == "sealed" else bytes(32)
        tools = self.tools = Tools()
        tools.settings = Owner()
        tools.now_s = self.now
        tools.most_locks = 2
        tools.topics = Topics(_GATEWAY)
        tools.metrics = Metrics()
        tools.clock = self.clock
        tools.outgoing = self.out
        self.vault = vault(self.folder + "/locks")
        tools.registry = self.registry = Registry(self.vault, self.now, log)
        tools.dedupe = Dedupe(Journal(self.folder + "/ids", 64, 8), self.now)
        tools.rates = Rates(6, 60, 30)
        tools.clocks = Clocks(self.clock, self.registry, log)
        tools.records = Records(
            self.folder + "/records", self.registry, tools.clocks, self.clock, self.out, tools.topics, self.now, log
        )
        tools.states = States(self.registry, tools.topics, Broker(), self.clock, self.now)
        tools.scheduler = Scheduler(lambda lock, until_ms, gives_way: Opening(self, lock), self.registry, log, 0)
        tools.gateway_ops = GatewayOps(tools, _SECRET, self.public, lambda: {"id": _GATEWAY})
        self.changes = []
        tools.on_locks = lambda: self.changes.append(1)
        self.bridge = Bridge(tools, log)
        self.lock = known_lock()
        self.registry.add(self.lock)
        self.lock.seen_s = self.now.s
        self.lock.state = 0

    def send(self, leaf, payload, retained=False, lock=_LOCK):
        if not isinstance(payload, bytes):
            payload = json.dumps(payload).encode()
        names = self.tools.topics
        self.bridge.take(names.lock(lock, leaf) if lock else names.gateway(leaf), payload, retained, 1)

    def work(self, until=1, limit_ms=30000):
        """Run the jobs until so many results were put out -> all of them."""

        async def serve():
            tools = self.tools
            jobs = [self.bridge.run(), tools.scheduler.run(), tools.scheduler.watch()]
            tasks = [asyncio.create_task(job) for job in jobs]
            for _ in range(limit_ms // 5):
                if len(self.out.put_in) >= until:
                    break
                await asyncio.sleep(0.005)
            for _ in range(3):
                await asyncio.sleep(0)
            for task in tasks:
                await stop(task)

        run(serve())
        return [json.loads(payload) for _, payload in self.out.put_in]

    def ask(self, op, args=None, **members):
        """Send one command and return its result."""
        request = dict(members, op=op)
        request.setdefault("id", "id-%d-%s" % (len(self.out.put_in), op))
        if args is not None:
            request["args"] = args
        self.send("cmd", request)
        return self.work(len(self.out.put_in) + 1)[-1]


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
        self.assertEqual(rig.out.put_in[0][0], "gatehouse/%s/lock/%s/rsp" % (_GATEWAY, _LOCK))
        self.assertEqual(rig.far.moved, 1)

    def test_a_repeated_id_returns_the_stored_result(self):
        rig = Rig("repeat")
        first = rig.ask("unlock", id="one")
        self.assertEqual(rig.ask("unlock", id="one"), first)
        self.assertEqual(rig.ask("lock", id="one")["code"], "conflict")
        self.assertEqual(rig.far.moved, 1)

    def test_a_repeated_id_is_known_after_a_reset(self):
        rig = Rig("reset")
        first = rig.ask("unlock", id="one")
        again = Rig("reset", rig.folder)
        self.assertEqual(again.ask("unlock", id="one"), first)
        self.assertEqual(again.far.moved, 0)

    def test_a_command_cut_off_by_a_reset_is_not_repeated(self):
        rig = Rig("cut")
        rig.tools.dedupe.done = lambda *args: None  # power fails between the note and the result
        rig.ask("unlock", id="one")
        self.assertEqual(rig.far.moved, 1)
        again = Rig("cut", rig.folder)
        told = again.work(1)
        self.assertEqual([(result["id"], result["code"]) for result in told], [("one", "outcome_unknown")])
        self.assertEqual(again.out.put_in[0][0], "gatehouse/%s/lock/%s/rsp" % (_GATEWAY, _LOCK))
        self.assertEqual(again.ask("unlock", id="one"), told[0])
        self.assertEqual(again.far.moved, 0)

    def test_retained_expired_and_clockless_requests_do_not_move(self):
        rig = Rig("refused")
        rig.send("cmd", {"id": "r", "op": "unlock"}, True)
        rig.send("set", b"UNLOCK", True)
        told = rig.work(4)
        events = [topic for topic, _ in rig.out.put_in if topic.endswith("/event")]
        self.assertEqual([body["event_type"] for body in told if "event_type" in body], ["alarm", "alarm"])
        self.assertEqual(events, ["gatehouse/%s/lock/%s/event" % (_GATEWAY, _LOCK)] * 2)
        results = [body for body in told if "code" in body]
        self.assertEqual([result["code"] for result in results], ["retained", "retained"])
        self.assertEqual([result["id"] for result in results], ["r", None])
        self.assertEqual(rig.tools.metrics.codes, {"retained": 2})
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
        self.assertEqual(rig.tools.metrics.codes, {"retained": 13})
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
        rig.tools.dedupe.done = lambda *args: written.append(args)
        self.assertEqual([rig.ask("unlock", id="x")["code"] for _ in range(3)], ["rate_limited"] * 3)
        rig.tools.scheduler.submit = lambda job: False
        self.assertEqual([rig.ask("state", id="y")["code"] for _ in range(2)], ["busy"] * 2)
        self.assertEqual(written, [])
        self.assertEqual(rig.far.moved, 6)

    def test_unsigned_requests_may_only_lock_and_query(self):
        rig = Rig("unsigned")
        rig.tools.settings.unsigned_unlock = False
        for op, args in (
            ("unlock", None),
            ("passcode_add", {"code": "123456"}),
            ("passcode_delete", {"code": "123456"}),
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


class MotionTest(unittest.TestCase):
    def test_the_switch_decides(self):
        rig = Rig("switch")
        rig.far.switch = 0
        self.assertEqual(rig.ask("unlock")["code"], "remote_unlock_disabled")
        self.assertFalse(opcodes.UNLOCK in rig.far.asked)
        self.assertEqual(rig.ask("lock")["code"], "ok")
        rig.far.switch = 1
        self.assertEqual(rig.ask("unlock")["code"], "ok")  # changed beside the lock: counts on the next link
        rig.far.switch = 0
        self.assertEqual(rig.ask("unlock")["code"], "remote_unlock_disabled")
        self.assertEqual(rig.far.moved, 2)

    def test_a_switch_that_cannot_be_read_is_off(self):
        rig = Rig("noswitch")
        rig.far.faults[opcodes.REMOTE_UNLOCK] = from_ble(opcodes.REMOTE_UNLOCK, 0x1B)
        self.assertEqual(rig.ask("unlock")["code"], "remote_unlock_disabled")

    def test_a_challenge_that_is_not_the_locks_is_not_answered(self):
        rig = Rig("impostor")
        alarms = []
        rig.registry.on_alarm = lambda lock, why: alarms.append(why)
        for number, why in ((0, "impossible_challenge"), (0x80000000, "impossible_challenge"), (500, None)):
            rig.far.challenge = number - 1
            result = rig.ask("unlock", id="c-%d" % number)
            self.assertEqual(result["code"], "protocol" if why else "ok")
        self.assertEqual((rig.far.moved, alarms), (1, ["impossible_challenge"]))  # the same alarm once a minute
        rig.far.challenge = 499
        result = rig.ask("lock", id="again")
        self.assertEqual((result["ok"], result["code"]), (False, "protocol"))
        self.assertEqual((rig.far.moved, alarms), (1, ["impossible_challenge", "repeated_challenge"]))

    def test_sixty_four_challenges_are_remembered(self):
        lock = known_lock()
        self.assertTrue(all([lock.is_new_challenge(number) for number in range(1, 65)]))
        self.assertFalse(any([lock.is_new_challenge(number) for number in (1, 30, 64)]))
        self.assertTrue(lock.is_new_challenge(65))
        self.assertTrue(lock.is_new_challenge(1))

    def lose_answer(self, name, command=opcodes.UNLOCK, **how):
        """A rig whose lock moves, but whose answer to `command` never comes."""
        rig = Rig(name)
        lost = LinkTimeout("no answer")
        lost.sent = True
        rig.far.faults[command] = lost
        for key in how:
            setattr(rig.far, key, how[key])
        return rig

    def test_an_answer_that_is_lost_is_found_out_from_the_log(self):
        rig = self.lose_answer("lost", keeps_log=True)
        result = rig.ask("unlock")
        self.assertEqual((result["code"], result["attempts"]), ("ok", 2))
        self.assertEqual(result["data"], {"lock": "UNLOCKED", "battery": 88, "read_back": True})
        self.assertEqual(rig.far.moved, 1)

    def test_a_record_proves_the_movement_also_when_the_lock_has_locked_itself_since(self):
        rig = self.lose_answer("relocked", keeps_log=True)
        answer = rig.far._answer

        def relocked(command, plain):
            rig.far.state = 0
            return answer(command, plain)

        rig.far._answer = relocked
        result = rig.ask("unlock")
        self.assertEqual((result["code"], result["data"]["lock"], rig.far.moved), ("ok", "LOCKED", 1))

    def test_somebody_elses_movement_is_not_taken_for_ours(self):
        rig = self.lose_answer("else", state=0)
        tail = records.by_user(0x47415445, 5)  # an earlier operation of ours
        rig.far.records.append(records.encode(28, rig.far.clock6, 88, tail))
        rig.far.records.append(records.encode(4, rig.far.clock6, 88, records.by_code(b"123456")))
        self.assertEqual(rig.ask("unlock")["code"], "outcome_unknown")
        self.assertEqual(rig.far.moved, 1)

    def test_a_lock_that_keeps_no_such_record_is_believed_by_its_state(self):
        rig = self.lose_answer("foreign")
        rig.lock.model = "SN534"
        result = rig.ask("unlock")
        self.assertEqual((result["code"], result["data"]["lock"], rig.far.moved), ("ok", "UNLOCKED", 1))

    def test_two_movements_in_one_second_have_two_numbers(self):
        lock = known_lock()
        self.assertEqual([lock.next_operation(at) for at in (100, 100, 101, 200)], [100, 101, 102, 200])

    def test_nothing_is_begun_with_too_little_time_left(self):
        rig = Rig("late")
        answer = rig.far._answer

        def slow(command, plain):
            if command == opcodes.CHECK_USER:
                until_ms = ticks_add(ticks_ms(), 700)
                while remaining_ms(until_ms):
                    pass
            return answer(command, plain)

        rig.far._answer = slow
        result = rig.ask("unlock", exp=rig.clock.unix_s + 1)
        self.assertEqual((result["code"], rig.far.moved), ("expired", 0))

    def test_a_movement_told_without_readable_details_is_done_all_the_same(self):
        rig = Rig("details")
        plain = rig.far._answer
        rig.far._answer = lambda command, body: b"" if command == opcodes.UNLOCK else plain(command, body)
        result = rig.ask("unlock")
        self.assertEqual((result["code"], result["data"]["lock"]), ("ok", "UNLOCKED"))

    def test_a_state_that_proves_nothing_is_an_unknown_outcome(self):
        rig = Rig("lost2")
        rig.lock.state = rig.far.state = 1  # unlocked already: to find it so proves nothing
        lost = LinkError("link lost")
        lost.sent = True
        rig.far.faults[opcodes.UNLOCK] = lost
        self.assertEqual(rig.ask("unlock")["code"], "outcome_unknown")
        self.assertEqual(rig.far.moved, 1)

    def test_what_never_left_is_tried_again(self):
        rig = Rig("again")
        rig.unreachable = 2
        self.assertEqual(rig.ask("unlock")["code"], "ok")
        self.assertEqual((rig.opened, rig.far.moved), (3, 1))

    def test_an_unreachable_lock_is_given_up_at_the_deadline(self):
        rig = Rig("far")
        rig.tools.settings = Owner()
        rig.tools.settings.expiry_s = 1
        rig.unreachable = 1000
        self.assertEqual(rig.ask("unlock")["code"], "link")
        self.assertEqual(rig.far.moved, 0)

    def test_a_lock_not_heard_for_long_is_not_near(self):
        rig = Rig("notnear")
        rig.now.s += 1801
        result = rig.ask("unlock")
        self.assertEqual((result["code"], result["ttlock"], rig.opened), ("not_near", -2012, 0))

    def test_a_stuck_bolt_is_called_jammed(self):
        rig = Rig("jam")
        rig.far.state = 2
        rig.far.faults[opcodes.UNLOCK] = Refusal(from_ble(opcodes.UNLOCK, 0x13))
        result = rig.ask("unlock")
        self.assertEqual((result["code"], result["data"]), ("refused", {"reason": "jammed", "ble": 0x13}))
        self.assertEqual(rig.lock.word(), "JAMMED")

    def test_refusals_carry_the_locks_reason(self):
        rig = Rig("double")
        rig.far.faults[opcodes.CHECK_USER] = from_ble(opcodes.CHECK_USER, 0x1E)
        result = rig.ask("unlock")
        self.assertEqual((result["code"], result["data"]["reason"]), ("refused", "double_locked"))


class OperationsTest(unittest.TestCase):
    def test_passcodes_in_and_never_out(self):
        rig = Rig("passcodes")
        answers = {opcodes.PASSCODE: b"\x58\x02", opcodes.PASSCODE_LIST: b"\x00\x00"}
        plain = rig.far._answer
        rig.far._answer = lambda command, body: answers[command] if command in answers else plain(command, body)
        self.assertEqual(rig.ask("passcode_add", {"code": "123456"})["code"], "ok")
        self.assertEqual(rig.ask("passcode_list")["data"], {"items": [], "next": None})
        item = b"\x01\x06123456\x06123456\x00\x01\x01\x00\x00"
        page = b"\x00\x01" + bytes((len(item),)) + item
        answers[opcodes.PASSCODE_LIST] = bytes((0, len(page))) + page
        pages = [answers[opcodes.PASSCODE_LIST], b"\x00\x00"]
        rig.far._answer = lambda command, body: (
            pages.pop(0) if command == opcodes.PASSCODE_LIST else plain(command, body)
        )
        found = rig.ask("passcode_list")["data"]["items"]
        self.assertEqual(found, [{"code": "******", "type": "permanent"}])
        for args in ({}, {"code": "123"}, {"code": "12345a"}, {"code": "1234", "type": "period"}, {"code": 1234}):
            self.assertEqual(rig.ask("passcode_add", args)["code"], "bad_request")

    def test_deleting_what_is_gone_is_ok_and_an_existing_one_is_refused(self):
        rig = Rig("gone")
        rig.far.faults[opcodes.PASSCODE] = from_ble(opcodes.PASSCODE, 0x15)
        self.assertEqual(rig.ask("passcode_delete", {"code": "123456"})["code"], "ok")
        rig.far.faults[opcodes.PASSCODE] = from_ble(opcodes.PASSCODE, 0x14)
        result = rig.ask("passcode_add", {"code": "123456"})
        self.assertEqual((result["code"], result["ttlock"], result["data"]["reason"]), ("refused", -3007, "exists"))

    def test_a_link_that_broke_at_the_login_does_not_make_an_existing_code_ours(self):
        rig = Rig("exists")
        lost = LinkError("link lost")
        lost.sent = True
        rig.far.faults[opcodes.CHECK_ADMIN] = lost
        rig.far.faults[opcodes.PASSCODE] = from_ble(opcodes.PASSCODE, 0x14)
        self.assertEqual(rig.ask("passcode_add", {"code": "123456"})["code"], "refused")

    def test_codes_whose_end_the_offset_moves_out_of_the_calendar_are_listed(self):
        rig = Rig("century")
        rig.lock.utc_offset_min = -300
        item = b"\x03\x06123456\x06123456\x1a\x01\x01\x00\x00\x63\x0c\x1f\x17\x3b"
        page = b"\x00\x01" + bytes((len(item),)) + item
        pages = [bytes((0, len(page))) + page, b"\x00\x00"]
        plain = rig.far._answer
        rig.far._answer = lambda command, body: (
            pages.pop(0) if command == opcodes.PASSCODE_LIST else plain(command, body)
        )
        found = rig.ask("passcode_list")["data"]["items"]
        self.assertEqual(found[0]["end"], "2099-12-31T23:59:59Z")

    def test_the_lock_says_no_permission_and_is_asked_again_after_a_login(self):
        rig = Rig("login")
        rig.far._answer_plain = rig.far._answer
        rig.far._answer = lambda command, body: (
            b"\x58\x01\x00\x05\x00\x01\x03\x84\x01"
            if command == opcodes.AUTO_LOCK
            else rig.far._answer_plain(command, body)
        )
        rig.far.faults[opcodes.AUTO_LOCK] = from_ble(opcodes.AUTO_LOCK, 0x02)
        self.assertEqual(rig.ask("autolock_get")["data"], {"seconds": 5, "min": 1, "max": 900})
        self.assertEqual(rig.far.asked.count(opcodes.CHECK_ADMIN), 2)


class GatewayOpsTest(unittest.TestCase):
    def ask(self, rig, op, args=None):
        request = {"id": "g-%d" % len(rig.out.put_in), "op": op}
        if args is not None:
            request["args"] = args
        rig.send("cmd", request, False, None)
        return rig.work(len(rig.out.put_in) + 1)[-1]

    def test_ping_info_locks(self):
        rig = Rig("gateway")
        self.assertEqual(self.ask(rig, "ping")["code"], "ok")
        self.assertEqual(self.ask(rig, "info")["data"], {"id": _GATEWAY})
        self.assertEqual(self.ask(rig, "locks")["data"]["items"][0]["mac"], _LOCK)
        self.assertEqual(self.ask(rig, "unlock")["code"], "bad_request")

    def test_a_fault_of_ours_is_answered_too(self):
        rig = Rig("fault")
        rig.tools.gateway_ops._about = lambda: [][0]
        self.assertEqual(self.ask(rig, "info")["code"], "internal")
        self.assertEqual(self.ask(rig, "ping")["code"], "ok")

    def test_forget_ends_service(self):
        rig = Rig("forget")
        self.assertEqual(self.ask(rig, "forget", {"mac": _LOCK})["code"], "ok")
        self.assertEqual(self.ask(rig, "forget", {"mac": _LOCK})["code"], "ok")
        self.assertEqual(rig.ask("state")["code"], "unknown_lock")
        self.assertEqual(len(Registry(vault(rig.folder + "/locks"), rig.now, quiet_log())), 0)

    def test_an_import_that_the_flash_refuses_is_answered_and_not_served(self):
        rig = Rig("sealed")
        address = "010203040506"
        bundle = {"mac": address, "aes": "11" * 16, "admin_ps": 1, "unlock_key": 2}
        text = sealed.seal(json.dumps(bundle).encode(), rig.public, "s", "import")
        answers = {
            opcodes.FEATURES: session_lock.encode_features(88, FEATURES),
            opcodes.DEVICE_INFO: session_lock.encode_text("X"),
        }
        plain = rig.far._answer
        rig.far._answer = lambda command, body: answers[command] if command in answers else plain(command, body)

        def refuse(name, plain):
            raise OSError(28)

        rig.vault.save = refuse
        rig.send("cmd", {"id": "s", "op": "import", "sealed": text}, False, None)
        self.assertEqual(rig.work(1)[-1]["code"], "internal")
        self.assertEqual(rig.registry.by_id(address), None)

    def test_keys_come_sealed_only_and_are_tried_on_the_lock(self):
        rig = Rig("sealed")
        bundle = {"mac": _LOCK, "aes": "11" * 16, "admin_ps": 1, "unlock_key": 2, "name": "Door"}
        self.assertEqual(self.ask(rig, "import", bundle)["code"], "bad_request")
        text = sealed.seal(json.dumps(bundle).encode(), rig.public, "s", "import")
        rig.send("cmd", {"id": "other", "op": "import", "sealed": text}, False, None)
        self.assertEqual(rig.work(2)[-1]["code"], "auth")
        rig.far.faults[opcodes.CHECK_ADMIN] = from_ble(opcodes.CHECK_ADMIN, 0x03)
        rig.send("cmd", {"id": "s", "op": "import", "sealed": text}, False, None)
        self.assertEqual(rig.work(3)[-1]["code"], "auth")
        self.assertEqual(rig.registry.by_id(_LOCK).unlock_key, 5678)
