"""Signed commands at the gateway: who may do what, what a mac, a nonce, a number and a time are good for, and answers
that can be believed."""

import json
import unittest

from firmware.gateway.operations import table
from firmware.lib import envelope, sealed
from tests.unit.command_rig import GATEWAY, LOCK, Rig

KEY = bytes(range(32))
GUEST = bytes(range(32, 64))
GATEWAY_CMD = "gatehouse/%s/cmd" % GATEWAY


def owned(name, **more):
    more.setdefault("is_unsigned_allowed", False)
    return Rig(name, owner=KEY, **more)


def codes(rig):
    return [json.loads(payload)["code"] for _, payload in rig.out.put_in]


class RightsTest(unittest.TestCase):
    def test_a_signed_unlock_moves_the_bolt_and_its_answers_are_signed(self):
        rig = owned("signed")
        result = rig.ask_signed("unlock")
        self.assertEqual((result["code"], result["signed"]), ("ok", ["owner"]))
        self.assertEqual(rig.far.moved, 1)
        for step in rig.out.steps:
            self.assertTrue(envelope.verify(KEY, rig.topics.lock(LOCK, "rsp"), step.encode()))

    def test_unsigned_ones_do_what_the_table_allows(self):
        for is_allowed in (False, True):
            rig = owned("signed_table", is_unsigned_allowed=is_allowed)
            rig.bridge._unread = rig.rates = None  # no budgets here
            rig.bridge._admits = lambda limit: True
            rig.bridge._rates.admit = lambda *args: True
            for op in table.operations():
                rules = table.rules(op, True)
                code = rig.ask(op, {"nothing": 1})["code"]
                self.assertEqual(code == "forbidden", bool(rules & table.GUARDED and not is_allowed), op)
            for op in ("import", "forget", "issuers", "issuer_add", "issuer_remove", "reset"):
                rig.send("cmd", {"id": op, "op": op, "args": {"mac": LOCK}}, False, None)
                told = rig.work(len(rig.out.put_in) + 1)[-1]
                self.assertEqual((op, told["code"]), (op, "forbidden"))
            self.assertEqual((rig.was_reset, len(rig.registry)), (0, 1))

    def test_without_an_owner_what_must_be_signed_asks_to_provision_again(self):
        rig = Rig("signed_none")
        for op in ("import", "forget", "issuers", "issuer_add", "issuer_remove", "reset"):
            rig.send("cmd", {"id": op, "op": op}, False, None)
            told = rig.work(len(rig.out.put_in) + 1)[-1]
            self.assertEqual(told["code"], "forbidden")
            self.assertTrue("provision" in told["msg"])

    def test_a_further_issuer_does_what_it_may_and_no_more(self):
        rig = owned("sealed_further")
        args = {"name": "hall", "key": GUEST.hex(), "ops": ["lock", "state"], "locks": [LOCK]}
        self.assertEqual(_issuer_add(rig, args)["code"], "ok")
        shown = rig.ask_signed("issuers", None)["data"]["items"]
        self.assertEqual(shown[0], {"name": "hall", "ops": ["lock", "state"], "locks": [LOCK]})
        self.assertEqual([each["name"] for each in shown], ["hall", "owner"])
        self.assertFalse(GUEST.hex() in rig.out.put_in[-1][1] or KEY.hex() in rig.out.put_in[-1][1])
        self.assertEqual(rig.ask_signed("lock", iss="hall")["signed"], ["hall"])
        other = "%064x" % 5
        self.assertEqual(_issuer_add(rig, {"name": "some", "key": other, "locks": [LOCK]})["code"], "ok")
        self.assertEqual(rig.ask_signed("unlock", iss="some")["code"], "ok")
        for op in ("import", "forget"):  # keys of any lock are not for who is bound to some
            self.assertEqual(rig.ask_signed(op, None, iss="some", args={"mac": LOCK})["code"], "forbidden")
        self.assertEqual(rig.ask_signed("issuer_remove", None, args={"name": "some"})["code"], "ok")
        for op, lock in (("unlock", LOCK), ("passcode_add", LOCK), ("issuers", None), ("reset", None), ("ping", None)):
            result = rig.ask_signed(op, lock, iss="hall")
            self.assertEqual((result["code"], result["signed"]), ("forbidden", ["hall"]), op)
        self.assertEqual(rig.ask_signed("issuer_remove", None, args={"name": "hall"})["code"], "ok")
        payload = rig.signed("lock", key=GUEST, iss="hall")
        rig.send("cmd", payload)
        self.assertEqual(rig.work(len(rig.out.put_in) + 1)[-1]["code"], "unknown_issuer")

    def test_issuers_survive_a_restart_and_the_owner_is_no_ones_to_change(self):
        rig = owned("sealed_restart")
        _issuer_add(rig, {"name": "hall", "key": GUEST.hex()})
        for name, key, code in (("owner", GUEST, "forbidden"), ("Hall", GUEST, "bad_request"), ("b", GUEST, "refused")):
            self.assertEqual(_issuer_add(rig, {"name": name, "key": key.hex()})["code"], code)
        self.assertEqual(rig.ask_signed("issuer_remove", None, args={"name": "owner"})["code"], "forbidden")
        again = Rig("sealed_restart", rig.folder)
        self.assertEqual(sorted(each.name for each in again.issuers.all()), ["hall", "owner"])
        self.assertEqual(again.ask_signed("unlock", iss="hall")["code"], "ok")

    def test_eight_issuers_at_most(self):
        rig = owned("sealed_eight")
        for number in range(7):
            self.assertEqual(_issuer_add(rig, {"name": "i%d" % number, "key": "%064x" % number})["code"], "ok")
        self.assertEqual(_issuer_add(rig, {"name": "i7", "key": "%064x" % 7})["data"], {"reason": "full"})

    def test_a_clear_key_is_not_taken(self):
        rig = owned("signed_clear")
        result = rig.ask_signed("issuer_add", None, args={"name": "hall", "key": GUEST.hex()})
        self.assertEqual(result["code"], "bad_request")


def _issuer_add(rig, args):
    now_s = rig.clock.unix_s
    id = "%032x" % (rig._seq + 500)
    text = sealed.seal(json.dumps(args).encode(), rig.public, id, "issuer_add", GATEWAY_CMD, now_s)
    return rig.ask_signed("issuer_add", None, id=id, sealed=text)


class SignatureTest(unittest.TestCase):
    def refused(self, rig, payload, code, leaf="cmd", retained=False):
        before = len(rig.out.put_in)
        rig.send(leaf, payload, retained)
        told = rig.work(before + 1)[-1]
        self.assertEqual(told["code"], code, payload)
        self.assertEqual(rig.far.moved, 0)
        return envelope.verify(KEY, rig.topics.lock(LOCK, "rsp"), rig.out.put_in[before][1].encode())

    def test_wrong_mac_key_topic_or_issuer(self):
        rig = owned("signed_wrong")
        good = rig.signed("unlock")
        self.assertFalse(self.refused(rig, good[:-3] + (b'0"}' if good[-3:-2] != b"0" else b'1"}'), "bad_signature"))
        self.assertFalse(self.refused(rig, rig.signed("unlock", key=GUEST), "bad_signature"))
        self.assertFalse(self.refused(rig, rig.signed("unlock", lock="aabbcc112234"), "bad_signature"))
        self.assertFalse(self.refused(rig, rig.signed("unlock", lock=None), "bad_signature"))
        self.assertFalse(self.refused(rig, rig.signed("unlock", key=KEY, iss="nobody"), "unknown_issuer"))
        self.assertFalse(self.refused(rig, good + b" ", "bad_signature"))
        self.assertFalse(self.refused(rig, good, "retained", retained=True))

    def test_a_form_that_no_tool_makes(self):
        rig = owned("signed_form")
        for members in ({"exp": None}, {"iat": None}, {"exp": 2000000000}, {"args": {"iss": "owner"}}):
            self.assertTrue(self.refused(rig, rig.signed("unlock", **members), "bad_request"))
        for members in ({"seq": None}, {"seq": -1}, {"seq": "5"}, {"seq": 1 << 60}, {"seq": 1.5}, {"seq": True}):
            self.assertTrue(self.refused(rig, rig.signed("unlock", **members), "replayed"))
        for members in ({"nonce": None}, {"nonce": "00" * 16}, {"nonce": 5}, {"nonce": ""}):
            self.assertTrue(self.refused(rig, rig.signed("unlock", **members), "stale_nonce"))

    def test_a_second_member_of_a_name_is_never_the_one_that_counts(self):
        rig = owned("signed_double")
        _, nonce, now_s = None, rig.issuers.nonce(), rig.clock.unix_s
        body = '"id":"%032x","op":"unlock","exp":%d,"iat":%d' % (7, now_s + 20, now_s)
        names = '"iss":"owner","nonce":"%s"' % nonce
        for text in (
            '{%s,%s,"args":{"seq":1}}' % (body, names),
            '{%s,%s,"seq":1,"args":{"seq":2}}' % (body, names),
            '{%s,%s,"seq":3,"seq":4}' % (body, names),
            '{%s,"args":{"iss":"owner","nonce":"%s","seq":5}}' % (body, nonce),
            '{%s,%s,"seq":6,"mac":"00"}' % (body, names),
        ):
            payload = envelope.sign(KEY, rig.topics.lock(LOCK, "cmd"), text).encode()
            self.refused(rig, payload, "bad_request")

    def test_a_number_is_good_once_and_a_message_twice_acts_once(self):
        rig = owned("signed_seq")
        first = rig.signed("unlock")
        rig.send("cmd", first)
        self.assertEqual(rig.work(1)[-1]["code"], "ok")
        rig.send("cmd", first)  # the broker delivers it once more: the same answer
        self.assertEqual(rig.work(2)[-1], rig.work(2)[0])
        rig.now.s += 700  # when its id is no longer remembered
        rig.lock.seen_s = rig.now.s
        rig.send("cmd", first)
        self.assertEqual(rig.work(3)[-1]["code"], "replayed")
        rig.send("cmd", rig.signed("unlock", seq=1002))
        self.assertEqual(rig.work(4)[-1]["code"], "ok")
        rig.send("cmd", rig.signed("unlock", seq=1002))
        self.assertEqual(rig.work(5)[-1]["code"], "replayed")
        self.assertEqual(rig.far.moved, 2)

    def test_a_nonce_is_good_for_its_session(self):
        rig = owned("signed_nonce")
        old = rig.signed("unlock")
        rig.issuers.renew()
        self.assertTrue(self.refused(rig, old, "stale_nonce"))
        self.assertEqual(rig.ask_signed("unlock")["code"], "ok")

    def test_late_and_early_ones(self):
        rig = owned("signed_late")
        for ago_s, span_s, code in ((21, 20, "expired"), (-31, 20, "expired"), (0, 31, "bad_request"), (-25, 5, "ok")):
            iat = rig.clock.unix_s - ago_s
            result = rig.ask_signed("unlock", iat=iat, exp=iat + span_s)
            self.assertEqual((result["code"], result["signed"]), (code, ["owner"]))
        self.assertEqual(rig.ask_signed("lock", exp=rig.clock.unix_s + 120)["code"], "ok")

    def test_signed_time_while_the_clock_knows_none(self):
        rig = owned("signed_time")
        rig.clock.trusted = False
        nonce = rig.issuers.nonce()
        rig.now.s += 31
        rig.lock.seen_s = rig.now.s
        result = rig.ask_signed("unlock", nonce=nonce, id="c" * 32)
        self.assertEqual((result["code"], rig.clock.trusted), ("stale_nonce", False))
        self.assertEqual((rig.ask_signed("unlock", id="c" * 32)["code"], rig.clock.trusted), ("ok", True))

    def test_hello_tells_the_highest_number_seen_of_this_issuer_in_this_session(self):
        rig = owned("signed_top")
        tops = []

        def ask():
            rig.send("cmd", {"id": "%032x" % (9000 + len(tops)), "op": "hello", "args": {"iss": "owner"}}, False, None)
            tops.append(rig.work(len(rig.out.put_in) + 1)[-1]["data"]["seq"])

        ask()
        for number in (500, 7, 499):
            rig.ask_signed("lock", seq=number)
            ask()
        rig.issuers.renew()
        ask()
        self.assertEqual(tops, [-1, 500, 500, 500, -1])

    def test_hello_is_answered_under_the_issuers_key_and_remembers_nothing(self):
        rig = owned("signed_hello")
        for _ in range(3):
            rig.send("cmd", {"id": "0" * 32, "op": "hello", "args": {"iss": "owner"}}, False, None)
        told = rig.work(3)
        for (topic, payload), value in zip(rig.out.put_in, told):
            self.assertTrue(envelope.verify(KEY, topic, payload.encode()))
            self.assertEqual(value["data"]["public"], rig.public.hex())
            self.assertEqual(value["data"]["time"], rig.clock.unix_s)
        self.assertEqual(rig.ask_signed("unlock", nonce=told[0]["data"]["nonce"])["code"], "ok")
        for args in ({"iss": "nobody"}, {"iss": 5}, {}, {"iss": "owner", "more": 1}):
            rig.send("cmd", {"id": "1" * 32, "op": "hello", "args": args}, False, None)
            value = rig.work(len(rig.out.put_in) + 1)[-1]
            self.assertTrue(value["code"] in ("unknown_issuer", "bad_request"))
            self.assertEqual(value["data"], {})

    def test_an_id_that_a_stranger_used_is_still_the_owners(self):
        rig = owned("signed_ids")
        rig.ask("lock", id="%032x" % 9)
        self.assertEqual(rig.ask_signed("unlock", id="%032x" % 9)["code"], "ok")

    def test_a_durable_one_outlives_exp_and_a_restart_and_is_answered_signed(self):
        rig = owned("signed_durable")
        rig.lock.seen_s = None
        rig.send("cmd", rig.signed("autolock_set", args={"seconds": 10}, keep=3600))
        rig.work(limit_ms=200)
        self.assertEqual(len(rig.jobs), 1)
        again = Rig("signed_durable", rig.folder, is_unsigned_allowed=False)
        again.clock.unix_s += 3601
        again.now.s += 3601
        again.work(1)
        topic, payload = again.out.put_in[-1]
        self.assertEqual(json.loads(payload)["code"], "expired")
        self.assertTrue(envelope.verify(KEY, topic, payload.encode()))

    def test_a_cut_off_one_is_answered_signed(self):
        rig = owned("signed_cut")
        rig.ids.done = lambda *args: None
        rig.ask_signed("unlock")
        again = Rig("signed_cut", rig.folder, is_unsigned_allowed=False)
        self.assertEqual([each["code"] for each in again.work(1)], ["outcome_unknown"])
        topic, payload = again.out.put_in[0]
        self.assertTrue(envelope.verify(KEY, topic, payload.encode()))

    def test_reset_is_answered_then_begun(self):
        rig = owned("signed_reset")
        self.assertEqual(rig.ask_signed("reset", None)["code"], "ok")
        self.assertEqual(rig.was_reset, 1)


class BudgetTest(unittest.TestCase):
    def test_no_flood_of_the_second_class_uses_up_the_first(self):
        rig = owned("signed_flood", is_unsigned_allowed=True)
        stale = rig.signed("unlock")
        rig.issuers.renew()
        kinds = (
            json.dumps({"id": "%d", "op": "lock"}).encode(),
            b'{"id":"%d","op":"unlock"}',
            b"nonsense %d",
            b'{"id":"%d","op":"state","exp":5}',
            stale,
            stale[:-4] + b'00"}',
            b'{"op":"hello","args":{"iss":"owner"},"id":"%d"}',
            b"x" * 1024,
        )
        for turn in range(400):
            kind = kinds[turn % len(kinds)]
            rig.send("cmd", kind.replace(b"%d", b"%d" % turn), turn % 5 == 0)
            if turn % 40 == 39:
                rig.work(len(rig.out.put_in) + 1, 100)
        before = rig.far.moved
        for op in ("unlock", "lock"):
            result = rig.ask_signed(op)
            self.assertEqual((result["code"], result["signed"]), ("ok", ["owner"]))
        self.assertEqual(rig.far.moved, before + 2)
        self.assertTrue(rig.bridge.dropped > 200)

    def test_acknowledgements_of_strangers_take_no_place(self):
        rig = owned("signed_acks")
        heard = []
        rig.context.uploads.is_awaited = lambda lock, payload: payload == b"good"
        rig.context.uploads.acknowledged = lambda lock, payload: heard.append(payload)
        for lock, payload, retained in ((LOCK, b"bad", False), (LOCK, b"good", True), ("aabbcc112234", b"good", False)):
            for _ in range(50):
                rig.send("records/ack", payload, retained, lock)
        self.assertEqual((len(rig.bridge), rig.bridge.dropped), (0, 150))
        for number in range(20):
            rig.send("cmd", {"id": "%d" % number, "op": "lock"})
        rig.send("records/ack", b"good")
        rig.work(limit_ms=200)
        self.assertEqual(heard, [b"good"])

    def test_the_owners_ids_keep_their_place(self):
        rig = owned("signed_place")
        ids = rig.ids
        self.assertEqual(rig.ask_signed("unlock", id="%032x" % 1)["code"], "ok")
        taken = 0
        for number in range(400):
            taken += ids.look("stranger %d" % number, b"12345678", 1)[0] == 0
        self.assertEqual(taken, 96)
        self.assertTrue(ids.is_known("owner %032x" % 1))
        self.assertEqual((ids.dropped, rig.ask_signed("lock")["code"]), (0, "ok"))

    def test_each_lock_keeps_room_for_one_unlock(self):
        rig = owned("signed_room")
        for number in range(400):
            rig.ids.look("owner of %d" % number, b"12345678", 2)
        self.assertEqual(rig.ask_signed("lock")["code"], "rate_limited")
        self.assertEqual(rig.ask_signed("unlock")["code"], "ok")
        self.assertEqual(rig.ask_signed("unlock")["code"], "rate_limited")
        self.assertEqual(rig.ask_signed("state")["code"], "ok")  # a question is answered, and not remembered
        rig.now.s += 601
        rig.lock.seen_s = rig.now.s
        self.assertEqual(rig.ask_signed("lock")["code"], "ok")

    def test_rates_of_each_issuer_are_its_own(self):
        rig = owned("sealed_rates")
        _issuer_add(rig, {"name": "hall", "key": GUEST.hex(), "rates": {"unlock_per_min": 1}})
        self.assertEqual([rig.ask_signed("unlock", iss="hall")["code"] for _ in range(2)], ["ok", "rate_limited"])
        self.assertEqual([rig.ask_signed("unlock")["code"] for _ in range(7)], ["ok"] * 6 + ["rate_limited"])


class SealedTest(unittest.TestCase):
    def ask(self, rig, iat, id="5" * 32, told_iat=None):
        topic = rig.topics.lock(LOCK, "cmd")
        text = sealed.seal(b"{}", rig.public, id, "lock", topic, iat)
        rig.send("cmd", {"id": id, "op": "lock", "sealed": text, "iat": told_iat or iat})
        return rig.work(len(rig.out.put_in) + 1)[-1]["code"]

    def test_sealed_without_a_signature_is_young_or_refused(self):
        rig = owned("sealed_age", is_unsigned_allowed=True)
        now_s = rig.clock.unix_s
        self.assertEqual(self.ask(rig, now_s - 121), "expired")
        self.assertEqual(self.ask(rig, now_s + 31), "expired")
        self.assertEqual(self.ask(rig, None), "bad_request")
        self.assertEqual(self.ask(rig, now_s - 100, told_iat=now_s), "auth")
        rig.clock.trusted = False
        self.assertEqual(self.ask(rig, now_s), "no_clock")
        rig.clock.trusted = True
        self.assertEqual(self.ask(rig, now_s, "6" * 32), "ok")

    def test_what_was_sealed_for_a_signed_request_does_not_come_again_without_it(self):
        rig = owned("sealed_again", is_unsigned_allowed=True)
        now_s = rig.clock.unix_s
        id = "a" * 32
        topic = rig.topics.lock(LOCK, "cmd")
        text = sealed.seal(b"{}", rig.public, id, "lock", topic, now_s)
        self.assertEqual(rig.ask_signed("lock", id=id, sealed=text)["code"], "ok")
        rig.send("cmd", {"id": id, "op": "lock", "sealed": text, "iat": now_s})
        self.assertEqual(rig.work(len(rig.out.put_in) + 1)[-1]["code"], "replayed")


if __name__ == "__main__":
    unittest.main()
