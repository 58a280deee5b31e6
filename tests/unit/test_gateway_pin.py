"""The PIN of hubs that cannot sign: which payloads of `…/set` unlock, and how often one may guess (mqtt.md 2.2)."""

import json
import os
import unittest

from firmware.gateway import provisioning
from firmware.gateway.admission import Refusal
from firmware.gateway.remote_pin import Pin
from firmware.lib import commands, sealed
from firmware.lib.errors import BadRequest
from firmware.system import config
from tests.scratch import scratch
from tests.unit.command_rig import GATEWAY, LOCK, Rig
from tests.unit.gateway_rig import Now, fresh_folder, nvs

KEY = bytes(range(32))
DIGITS = "402913"
CERTIFICATE = scratch("gateway-pin.der")
GATEWAY_CMD = "gatehouse/%s/cmd" % GATEWAY
# payload -> (op, code), as the hub of a house may write them
TAKEN = {
    b"LOCK": ("lock", None),
    b"UNLOCK": ("unlock", None),
    b'{"do":"lock"}': ("lock", None),
    b'{"do":"LOCK","code":"402913"}': ("lock", None),
    b'{"do":"lock","code":402913}': ("lock", None),
    b'{"do":"lock","code":{"a":[]}}': ("lock", None),
    b'{"do":"unlock"}': ("unlock", None),
    b'{"do":"UNLOCK","code":""}': ("unlock", None),
    b'{"do":"unlock","code":null}': ("unlock", None),
    b'{"do":"unlock","code":"402913"}': ("unlock", DIGITS),
    b' \n{ "code" : "402913" , "do" : "UNLOCK" }\r\n': ("unlock", DIGITS),
    b'{"do":"unlock","code":"\\u0034\\u00302913"}': ("unlock", DIGITS),
    b'{"do":"unlock","code":" 402913"}': ("unlock", " 402913"),
    b'{"do":"unlock","code":"None"}': ("unlock", "None"),
}
NO_REQUESTS = (
    b"",
    b"lock",
    b"unlock",
    b"UNLOCK ",
    b"402913",
    b'"UNLOCK"',
    b'["unlock","402913"]',
    b"{}",
    b'{"code":"402913"}',
    b'{"do":"open","code":"402913"}',
    b'{"do":"Unlock","code":"402913"}',
    b'{"do":"loc\xe2\x84\xaa"}',
    b'{"do":["unlock"],"code":"402913"}',
    b'{"do":{"unlock":1},"code":"402913"}',
    b'{"do":true,"code":"402913"}',
    b'{"do":null,"code":"402913"}',
    b'{"do":"unlock","code":402913}',
    b'{"do":"unlock","code":402913.0}',
    b'{"do":"unlock","code":true}',
    b'{"do":"unlock","code":["402913"]}',
    b'{"do":"unlock","code":{"code":"402913"}}',
    b'{"do":"unlock","code":"000000","code":"402913"}',
    b'{"do":"lock","do":"unlock","code":"402913"}',
    b'{"do":"unlock","code":"402913","id":"1"}',
    b'{"do":"unlock","code":"402913","args":{}}',
    b'{"do":"unlock","code":"402913"}{}',
    b'{"do":"unlock","code":"402913',
    b'{"do":"unlock","code":"402913"',
    b'{"do":"unlock","code":"4029\xff13"}',
    b'{"do":"unlock","code":"402913\x00"}',
    b'{"do":"unlock","code":"' + b"4" * 1100 + b'"}',
)
WRONG = (
    "402914",
    "40291",
    "4029130",
    "0402913",
    " 402913",
    "402913 ",
    "402913\\n",
    "\\u06f4\\u06f0\\u06f2\\u06f9\\u06f1\\u06f3",  # the same digits in Arabic
    "\\uff14\\uff10\\uff12\\uff19\\uff11\\uff13",  # and in full width
    "None",
    "\\u0000",
    "4" * 900,
)


def refusal(kind, work):
    """The text with which `work` is refused."""
    try:
        work()
    except kind as err:
        return str(err)
    raise AssertionError("was not refused")


class FormTest(unittest.TestCase):
    def test_what_a_hub_may_write(self):
        for payload in TAKEN:
            command = commands.parse_set(payload)
            self.assertEqual((command.op, command.code), TAKEN[payload], payload)
            self.assertEqual((command.id, command.args), (None, {}))

    def test_all_else_is_refused_and_no_digit_shown(self):
        for payload in NO_REQUESTS:
            text = refusal(BadRequest, lambda: commands.parse_set(payload))  # noqa: B023
            self.assertFalse("402913" in text, payload)

    def test_only_set_carries_a_code(self):
        with self.assertRaises(BadRequest):
            commands.parse(b'{"id":"1","op":"unlock","code":"402913"}')


class Told(list):
    def __call__(self, *what):
        self.append(what)


def with_pin(name, digits=DIGITS, folder=None, **more):
    more.setdefault("is_unsigned_allowed", False)
    rig = Rig(name, folder, **more)
    nvs(rig.folder + "/locks").erase("gatehouse", "pin_wrong")
    rig.told = Told()
    rig.bridge.pin = Pin(digits, nvs(rig.folder + "/locks"), rig.now, rig.told)
    return rig


def ask(rig, payload, retained=False, leaf="set"):
    before = len(rig.out.put_in)
    rig.lock.seen_s = rig.now.s
    rig.send(leaf, payload, retained)
    return rig.work(before + 1)[-1]


def unlock(rig, code):
    return ask(rig, b'{"do":"unlock","code":"' + code.encode() + b'"}')


class UnlockTest(unittest.TestCase):
    def test_the_pin_unlocks_with_an_owner_and_without(self):
        for owner in (KEY, None):
            rig = with_pin("pin_right_%d" % bool(owner), owner=owner)
            result = unlock(rig, DIGITS)
            self.assertEqual((result["id"], result["op"], result["code"]), (None, "unlock", "ok"))
            self.assertEqual((rig.far.moved, rig.told), (1, []))

    def test_no_other_code_does(self):
        for code in WRONG:
            rig = with_pin("pin_wrong", owner=KEY)
            result = unlock(rig, code)
            self.assertEqual((result["code"], result["data"]["reason"]), ("forbidden", "wrong_pin"), code)
            self.assertEqual((rig.far.moved, rig.told), (0, [(LOCK, "wrong_pin")]))
            self.assertFalse(any(code in payload for _, payload in rig.out.put_in))

    def test_what_is_no_request_is_no_guess(self):
        rig = with_pin("pin_form", owner=KEY)
        for payload in NO_REQUESTS[1:10]:
            self.assertEqual(ask(rig, payload)["code"], "bad_request", payload)
        for payload in (b"UNLOCK", b'{"do":"unlock"}', b'{"do":"unlock","code":""}'):
            result = ask(rig, payload)
            self.assertEqual((result["code"], result["data"]["reason"]), ("forbidden", "no_pin"))
        self.assertEqual((rig.told, unlock(rig, DIGITS)["code"]), ([], "ok"))

    def test_lock_needs_none_and_takes_any(self):
        rig = with_pin("pin_lock", owner=KEY)
        for payload in (b"LOCK", b'{"do":"LOCK","code":""}', b'{"do":"lock","code":"1"}', b'{"do":"lock","code":5}'):
            rig.now.s += 20  # as often as what is unsigned gets the radio
            self.assertEqual(ask(rig, payload)["code"], "ok", payload)
        self.assertEqual(rig.told, [])

    def test_it_is_good_for_set_and_unlock_alone(self):
        rig = with_pin("pin_alone", owner=KEY)
        for op in ("unlock", "emergency_unlock", "passcode_clear", "cancel"):
            self.assertEqual(ask(rig, {"id": op, "op": op}, leaf="cmd")["code"], "forbidden")
        refused = ask(rig, {"id": "a", "op": "unlock", "args": {"code": DIGITS}}, leaf="cmd")
        self.assertEqual((refused["code"], rig.far.moved, rig.told), ("forbidden", 0, []))

    def test_retained_is_refused_before_the_code_is_looked_at(self):
        rig = with_pin("pin_retained", owner=KEY)
        for code in (DIGITS, "000000"):
            payload = b'{"do":"unlock","code":"' + code.encode() + b'"}'
            rig.send("set", payload, True)
            codes = [told.get("code") for told in rig.work(len(rig.out.put_in) + 1)]
            self.assertEqual(codes[-1], "retained")
        self.assertEqual((rig.far.moved, rig.told), (0, []))

    def test_without_a_pin_a_code_opens_nothing(self):
        rig = with_pin("pin_none", owner=KEY)
        rig.bridge.pin = None
        self.assertEqual(unlock(rig, DIGITS)["code"], "forbidden")
        self.assertEqual(rig.far.moved, 0)

    def test_where_anyone_may_unlock_a_code_is_not_looked_at(self):
        rig = with_pin("pin_open", is_unsigned_allowed=True)
        rig.bridge.pin = None
        self.assertEqual(unlock(rig, "9")["code"], "ok")

    def test_wrong_ones_leave_signed_commands_alone(self):
        rig = with_pin("pin_signed", owner=KEY)
        for _ in range(8):
            unlock(rig, "000000")
        self.assertEqual(unlock(rig, DIGITS)["data"]["reason"], "pin_shut")
        self.assertEqual((rig.ask_signed("unlock")["code"], rig.far.moved), ("ok", 1))

    def test_the_right_one_has_the_rates_of_unlock(self):
        rig = with_pin("pin_rate", owner=KEY)
        codes = [unlock(rig, DIGITS)["code"] for _ in range(7)]
        self.assertEqual(codes, ["ok"] * 6 + ["rate_limited"])


class GuessingTest(unittest.TestCase):
    def setUp(self):
        self.folder = fresh_folder("pin")
        nvs(self.folder).values.clear()
        self.now = Now()
        self.told = Told()
        self.pin = self.again()

    def again(self, digits=DIGITS):
        return Pin(digits, nvs(self.folder), self.now, self.told)

    def word(self, code):
        try:
            self.pin.judge(code, LOCK)
        except Refusal as refusal:
            return refusal.reason
        return "right"

    def test_five_wrong_ones_shut_it_then_each_for_longer(self):
        self.assertEqual([self.word("0000") for _ in range(6)], ["wrong_pin"] * 5 + ["pin_shut"])
        for span_s in (300, 600, 1200, 2400, 3600, 3600):
            self.now.s += span_s - 1
            self.assertEqual(self.word(DIGITS), "pin_shut", span_s)
            self.now.s += 1
            self.assertEqual(self.word("0000"), "wrong_pin", span_s)
            self.assertEqual(self.told[-1], (LOCK, "pin_shut"))
        self.now.s += 3600
        self.assertEqual(self.word(DIGITS), "right")
        self.assertEqual([self.word("0000") for _ in range(5)], ["wrong_pin"] * 5)

    def test_a_shut_pin_compares_nothing_and_counts_nothing(self):
        for _ in range(5):
            self.word("0000")
        kept = dict(nvs(self.folder).values)
        for _ in range(100):
            self.assertEqual((self.word(DIGITS), self.word("0000")), ("pin_shut", "pin_shut"))
        self.assertEqual((nvs(self.folder).values, len(self.told)), (kept, 5))

    def test_who_knows_it_does_not_help_who_guesses(self):
        guesses = 0
        for _ in range(4 * 24 * 6):  # four days, the owner comes each ten minutes
            for _ in range(4):
                guesses += self.word("0000") == "wrong_pin"
            self.word(DIGITS)
            self.now.s += 600
        self.assertTrue(30 <= guesses <= 30 * 5, guesses)

    def test_a_restart_forgives_nothing(self):
        for count in range(1, 5):
            self.assertEqual(self.word("0000"), "wrong_pin")
            self.now.s = 1000
            self.pin = self.again()
        self.assertEqual((self.word("0000"), self.word(DIGITS)), ("wrong_pin", "pin_shut"))
        self.now.s = 1
        self.pin = self.again()
        self.assertEqual(self.word(DIGITS), "pin_shut")
        self.now.s += 300
        self.assertEqual(self.word(DIGITS), "right")
        self.pin = self.again()
        self.assertEqual([self.word("0000") for _ in range(5)], ["wrong_pin"] * 5)

    def test_another_pin_begins_anew(self):
        for _ in range(5):
            self.word("0000")
        self.pin = self.again("1234")
        self.assertEqual(self.word("1234"), "right")

    def test_flash_that_refuses_does_not_make_it_guessable(self):
        def refuses(*args):
            raise OSError(5)

        self.pin._nvs.set = refuses
        try:
            self.assertEqual([self.word("0000") for _ in range(6)], ["wrong_pin"] * 5 + ["pin_shut"])
        finally:
            del self.pin._nvs.set

    def test_neither_memory_nor_flash_holds_the_digits(self):
        self.word("0000")
        kept = b"".join(nvs(self.folder).values.values())
        self.assertFalse(DIGITS.encode() in kept or DIGITS in repr(self.pin.__dict__))


GOOD = {"wifi_ssid": "home", "mqtt_host": "broker", "mqtt_ca": CERTIFICATE}
PLAIN = {"wifi_ssid": "home", "mqtt_host": "broker", "insecure_broker": True}


class SettingTest(unittest.TestCase):
    def setUp(self):
        with open(CERTIFICATE, "wb") as file:
            file.write(b"\x30\x82")
        self.folder = fresh_folder("pin_settings")
        self.path, provisioning.PATH = provisioning.PATH, self.folder + "/settings.json"
        self.console = provisioning.Provisioning(GATEWAY, None, provisioning.PATH)

    def tearDown(self):
        provisioning.PATH = self.path
        os.remove(CERTIFICATE)

    def put(self, settings):
        return self.console.handle({"do": "set", "settings": settings})

    def test_over_the_console_it_is_set_and_never_shown(self):
        self.put(dict(GOOD, remote_pin=DIGITS))
        shown = self.console.handle({"do": "settings"})
        self.assertEqual(shown["settings"]["remote_pin"], True)
        self.assertFalse(DIGITS in json.dumps(shown))
        self.put({"remote_pin": None})
        self.assertFalse("remote_pin" in config.read(provisioning.PATH))

    def test_never_beside_a_plaintext_broker_or_unsigned_unlock(self):
        for before, change, word in (
            (PLAIN, {"remote_pin": DIGITS}, "plaintext"),
            (dict(GOOD, remote_pin=DIGITS), {"mqtt_ca": None, "insecure_broker": True}, "plaintext"),
            (dict(GOOD, remote_pin=DIGITS), {"unsigned_unlock": True}, "unsigned_unlock"),
            (dict(GOOD, unsigned_unlock=True), {"remote_pin": DIGITS}, "unsigned_unlock"),
        ):
            config.store.remove(provisioning.PATH)
            self.put(before)
            text = refusal(config.ConfigError, lambda: self.put(change))  # noqa: B023
            self.assertTrue(word in text and "remote_pin" in text, text)
            self.assertFalse(DIGITS in text)
            self.assertEqual(config.read(provisioning.PATH), before)

    def asked(self, op, args=None):
        """Over MQTT, sealed and signed by the owner -> (result, what the gateway then uses)."""
        rig = Rig("sealed_pin", owner=KEY, is_unsigned_allowed=False)
        used = Told()
        rig.gateway_ops._use_pin = used
        if args is None:
            return rig.ask_signed(op, None), used
        id = "%032x" % 77
        text = sealed.seal(json.dumps(args).encode(), rig.public, id, op, GATEWAY_CMD, rig.clock.unix_s)
        return rig.ask_signed(op, None, id=id, sealed=text), used

    def test_over_mqtt_the_owner_sets_and_clears_it(self):
        self.put(GOOD)
        result, used = self.asked("pin_set", {"pin": DIGITS})
        self.assertEqual((result["code"], result["data"], used), ("ok", {}, [(DIGITS,)]))
        self.assertEqual(config.read(provisioning.PATH), dict(GOOD, remote_pin=DIGITS))
        self.assertEqual(self.asked("pin_clear", {"pin": DIGITS})[0]["code"], "bad_request")
        result, used = self.asked("pin_clear")
        self.assertEqual((result["code"], used), ("ok", [(None,)]))
        self.assertEqual(config.read(provisioning.PATH), GOOD)

    def test_over_mqtt_what_is_no_pin_or_not_allowed_changes_nothing(self):
        self.put(PLAIN)
        result, used = self.asked("pin_set", {"pin": DIGITS})
        self.assertEqual((result["code"], result["data"]["reason"], used), ("refused", "settings", []))
        self.assertTrue("plaintext" in result["msg"])
        for args in ({}, {"pin": None}, {"pin": ""}, {"pin": 402913}, {"pin": "123"}, {"pin": DIGITS, "more": 1}):
            result, used = self.asked("pin_set", args)
            self.assertEqual((result["code"], used), ("bad_request", []), args)
            self.assertFalse(DIGITS in json.dumps(result))
        self.assertEqual(config.read(provisioning.PATH), PLAIN)

    def test_over_mqtt_never_in_clear_or_without_the_owner(self):
        rig = Rig("sealed_pin_no", owner=KEY, is_unsigned_allowed=True)
        self.assertEqual(rig.ask_signed("pin_set", None, args={"pin": DIGITS})["code"], "bad_request")
        rig.send("cmd", {"id": "1", "op": "pin_set", "args": {"pin": DIGITS}}, False, None)
        self.assertEqual(rig.work(len(rig.out.put_in) + 1)[-1]["code"], "forbidden")
        self.assertFalse(config.store.exists(provisioning.PATH))


if __name__ == "__main__":
    unittest.main()
