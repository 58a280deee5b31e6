"""Operations that move the bolt: the switch, the challenge, lost answers, deadlines, refusals."""

import unittest

from firmware.gateway.registry import Registry
from firmware.lib import opcodes, records
from firmware.lib.errors import AuthError, LinkError, LinkTimeout, from_ble
from firmware.lib.messages import session_lock
from firmware.system.timing import remaining_ms, ticks_add, ticks_ms
from tests.unit.command_rig import Rig
from tests.unit.gateway_rig import Refusal, known_lock, quiet_log


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
        rig.registry.on("alarm", lambda lock, why: alarms.append(why))
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

    def test_a_lock_that_keeps_no_such_record_is_believed_by_its_state_if_that_is_no_constant(self):
        # Which states 0x14 has told, contradictions so far, seconds since the state before was told
        table = ((3, 0, 0, "ok"), (1, 0, 0, "ok"), (2, 0, 0, "outcome_unknown"))
        table += ((0, 0, 0, "outcome_unknown"), (3, 1, 0, "outcome_unknown"), (3, 0, 16, "outcome_unknown"))
        table += ((3, 0, None, "outcome_unknown"),)
        for place, (said, doubts, age_s, code) in enumerate(table):
            rig = self.lose_answer("foreign%d" % place)
            rig.lock.model = "SN534"
            rig.lock.said, rig.lock.doubts = said, doubts
            rig.lock.told_s = None if age_s is None else rig.now.s - age_s
            result = rig.ask("unlock")
            self.assertEqual((result["code"], rig.far.moved), (code, 1), "%d" % place)
            self.assertEqual(rig.lock.word(), "UNLOCKED")  # as it says now

    def test_a_refused_movement_is_tried_once_more_on_a_new_link_unless_the_lock_means_it(self):
        for ble in range(256):
            err = from_ble(opcodes.UNLOCK, ble)
            final = ble in (0x0A, 0x0D, 0x0E, 0x11, 0x1C, 0x1E)
            for model in ("SN534", "GATEHOUSE-L1"):
                if ble % 16 and not final and model != "SN534" and not isinstance(err, AuthError):
                    continue  # like their neighbours
                rig = self.once()
                rig.lock.model = model
                rig.far.faults[opcodes.UNLOCK] = Refusal(from_ble(opcodes.UNLOCK, ble))
                result = rig.ask("unlock", id="r-%d-%s" % (ble, model))
                again = not final and (model == "SN534" or not isinstance(err, AuthError))
                counts = rig.opened, rig.far.asked.count(opcodes.CHECK_USER), rig.far.moved
                self.assertEqual(
                    (result["code"] == "ok", counts), (again, (2, 2, 1) if again else (1, 1, 0)), "%d" % ble
                )

    def once(self):
        """The same rig, as if new: there are many cases."""
        rig = self.rig = getattr(self, "rig", None) or Rig("refusals")
        rig.opened = rig.far.moved = 0
        rig.far.asked.clear()
        rig.lock.doubts, rig.lock.said, rig.lock.jammed = 0, 3, False
        rig.rates.forget(rig.lock)
        return rig

    def test_a_refusal_that_stays_is_told_as_the_lock_said_it(self):
        rig = Rig("firm")
        rig.lock.model = "SN534"
        answer = rig.far.exchange

        async def refuse(command, plain=b"", timeout_ms=6000):
            if command == opcodes.UNLOCK:
                rig.far.asked.append(command)
                raise from_ble(command, 0x08)
            return await answer(command, plain, timeout_ms)

        rig.far.exchange = refuse
        result = rig.ask("unlock")
        self.assertEqual((result["code"], result["data"]["ble"], result["attempts"]), ("auth", 8, 2))
        self.assertEqual((rig.far.asked.count(opcodes.UNLOCK), rig.opened), (2, 2))

    def test_a_missing_answer_after_a_refusal_is_never_repeated(self):
        rig = Rig("mixed")
        rig.lock.model = "SN534"
        rig.far.faults[opcodes.UNLOCK] = Refusal(from_ble(opcodes.UNLOCK, 0x01))
        answer = rig.far.exchange
        moves = []

        async def lose(command, plain=b"", timeout_ms=6000):
            data = await answer(command, plain, timeout_ms)
            if command == opcodes.UNLOCK:
                moves.append(command)
                lost = LinkTimeout("no answer")
                lost.sent = True
                raise lost
            return data

        rig.far.exchange = lose
        self.assertEqual((rig.ask("unlock")["code"], moves), ("outcome_unknown", [opcodes.UNLOCK]))

    def test_a_lock_that_forbids_gateways_is_not_asked_to_open(self):
        rig = Rig("bit66")
        rig.lock.features |= 1 << 66
        for op in ("unlock", "emergency_unlock"):
            self.assertEqual((rig.ask(op)["code"], rig.opened), ("unsupported", 0))
        self.assertEqual(rig.ask("lock")["code"], "ok")

    def constant(self, rig, told):
        """A lock of another make, whose 0x14 always tells the same."""
        answer = rig.far._answer

        def stuck(command, plain):
            if command == opcodes.STATUS:
                return session_lock.encode_status(88, told, 1 - told)
            return answer(command, plain)

        rig.far._answer = stuck
        rig.lock.model = "SN534"
        rig.registry.update(rig.lock, "query", auto_lock_s=0)

    def test_a_constant_state_is_found_out_and_no_longer_asked_for(self):
        for told, doubted, fitting in ((1, "lock", "unlock"), (0, "unlock", "lock")):
            rig = Rig("constant%d" % told)
            self.constant(rig, told)
            word = {"lock": "LOCKED", "unlock": "UNLOCKED"}
            for op in (fitting, doubted, fitting, doubted):  # what agrees by chance proves nothing
                self.assertEqual(rig.ask(op)["data"]["lock"], word[op])
                self.assertEqual(rig.lock.word(), word[op])  # and not what 0x14 says
            self.assertTrue(rig.lock.is_asked_in_vain)
            rig.far.asked.clear()
            rig.ask(fitting)
            self.assertFalse(opcodes.STATUS in rig.far.asked)
            result = rig.ask("state")["data"]  # asked explicitly: the battery is right
            self.assertEqual((result["lock"], result["battery"]), (word[fitting], 88))
            self.assertEqual((result["src"], result["assumed"], result["age_s"]), ("command", True, 0))
            lost = LinkTimeout("no answer")
            lost.sent = True
            rig.far.faults[opcodes.UNLOCK if doubted == "unlock" else opcodes.LOCK] = lost
            self.assertEqual(rig.ask(doubted)["code"], "outcome_unknown")
            again = Registry(rig.vault, rig.now, quiet_log()).get(rig.lock.address)
            self.assertTrue(again.is_asked_in_vain)  # also after a restart

    def test_a_lock_whose_state_is_true_is_asked_twice_and_never_doubted(self):
        rig = Rig("honest")
        rig.lock.model = "SN534"
        counts = []
        for op in ("unlock", "lock", "unlock", "lock"):
            rig.far.asked.clear()
            rig.ask(op)
            counts.append(rig.far.asked.count(opcodes.STATUS))
        self.assertEqual((counts, rig.lock.may_prove, rig.lock.doubts), ([1, 1, 0, 0], True, 0))

    def test_auto_lock_and_people_are_no_contradiction(self):
        for auto_lock_s, passed_s, doubts in (
            (2, 2, 0),
            (2, 1, -1),
            (0, 3, -1),
            (5, 3, -1),
            (None, 1, 0),
            (None, 0, -1),
            (0, 4, 0),
        ):
            rig = Rig("auto")
            rig.lock.auto_lock_s = auto_lock_s
            rig.registry.moved(rig.lock, 1, 88)
            rig.now.s += passed_s
            rig.registry.status(rig.lock, 88, 0, 2)
            self.assertEqual(rig.lock.doubts, doubts, "%s %d" % (auto_lock_s, passed_s))
            self.assertEqual(rig.lock.word(), "UNLOCKED" if doubts else "LOCKED")

    def test_two_movements_in_one_second_have_two_numbers(self):
        lock = known_lock()
        self.assertEqual([lock.next_operation(at) for at in (100, 100, 101, 200)], [100, 101, 102, 200])

    def test_a_record_of_the_start_before_proves_nothing_where_no_clock_tells_them_apart(self):
        before = self.lose_answer("before", keeps_log=True)
        before.clock.trusted = False
        before.ask("unlock")
        rig = self.lose_answer("after")
        rig.clock.trusted = False
        rig.far.records = before.far.records[:1]
        self.assertEqual((rig.ask("unlock")["code"], rig.far.moved), ("outcome_unknown", 1))

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

    def test_time_that_the_flash_takes_counts(self):
        rig = Rig("flash")
        start = rig.ids.start

        def slow(id, digest, note):
            until_ms = ticks_add(ticks_ms(), 700)
            while remaining_ms(until_ms):
                pass
            start(id, digest, note)

        rig.ids.start = slow
        result = rig.ask("unlock", exp=rig.clock.unix_s + 1)
        self.assertEqual((result["code"], rig.far.moved), ("expired", 0))

    def test_a_refusal_to_look_back_is_no_refusal_to_move(self):
        rig = self.lose_answer("mute")
        rig.far.faults[opcodes.STATUS] = Refusal(from_ble(opcodes.STATUS, 0x13))
        self.assertEqual((rig.ask("unlock")["code"], rig.far.moved), ("outcome_unknown", 1))

    def test_a_fault_of_ours_while_the_lock_may_act_is_an_unknown_outcome(self):
        rig = Rig("ours")
        rig.far.faults[opcodes.UNLOCK] = MemoryError()
        self.assertEqual((rig.ask("unlock")["code"], rig.far.moved), ("outcome_unknown", 1))

    def test_a_record_read_before_the_link_broke_again_still_proves(self):
        rig = self.lose_answer("twice", keeps_log=True)
        page = rig.far._page
        breaks = [1]

        def broken(cursor):
            if cursor and breaks:  # the page behind the record
                breaks.pop()
                raise LinkError("link lost")
            return page(cursor)

        rig.far._page = broken
        rig.send("cmd", {"id": "twice", "op": "unlock"})
        result = rig.work(2)[-1]  # behind the event
        self.assertEqual((result["code"], result["attempts"], rig.far.moved), ("ok", 3, 1))

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
        rig = Rig("far", expiry_s=1)
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
