"""Payloads of Home Assistant's discovery: their form, over all that a device may have and be called."""

import json
import random
import unittest

from firmware.gateway import lock as locks
from firmware.lib import discovery, records
from tests.unit import ha_schema

_GW = "a1b2c3d4e5f6"
_ID = "e606a3a898bd"
_TOPIC = "homeassistant/device/%s/gatehouse_%s/config" % (_GW, _ID)
_BASE = "gatehouse/%s/lock/%s" % (_GW, _ID)
_METHODS = records.METHODS + records.OTHER_METHODS
NAMES = (
    "Front door",
    "",
    "Haust\u00fcr \U0001f6aa\U0001f511",
    'a"b\\c',
    "\u202e\u2066bidi\u2069",
    "\x00\x1b[31m\n",
    "n" * 10000,
    "\U0001f511" * 10000,
    '","p":"button","x":{{ states("lock.x") }}',
    " # ? ! ^ & * @ $ ~ | ",
)


def payload_of(table, mask, gone=0, name="Front door", base=_BASE, has_pin=False, software="0.1.0"):
    """(payload as a dict, bytes of its pieces)"""
    names = ("name", name), ("mf", "x"), ("mdl", name), ("hw", name), ("sw", "")
    start = discovery.head(
        _ID, ("bluetooth", "e6:06:a3:a8:98:bd"), names, software, _GW, (base, base + "/availability"), base + "/state"
    )
    lists = discovery.words(_METHODS), discovery.words(records.EVENTS)
    args = table, start, mask, gone, _ID, discovery.topic_text(base), lists, has_pin
    made = list(discovery.pieces(*args))
    assert made == list(discovery.pieces(*args))
    return json.loads(b"".join(made).decode()), made


def needs(table):
    """The words of all rows."""
    found = []
    discovery.mask_of(table, lambda word: found.append(word) or True)
    return sorted(set(found))


class Payload(unittest.TestCase):
    """home-assistant-discovery.md 3 to 6."""

    def test_every_mask_of_components_is_a_payload_that_home_assistant_takes(self):
        draw = random.Random(1) if hasattr(random, "Random") else random
        for table in (discovery.LOCK, discovery.GATEWAY):
            everything = discovery.mask_of(table, lambda word: True)
            for number in range(40):
                mask = everything & (draw.getrandbits(20) | draw.getrandbits(20) << 20) if number else everything
                gone = everything & ~mask & draw.getrandbits(20)
                base = ("gatehouse/g/lock/l", 'b"\\ase!&*^$?@~|/g/lock/l')[number % 2]
                name = NAMES[number % len(NAMES)]
                payload, made = payload_of(table, mask, gone, name, base, number % 3 == 0)
                self.assertEqual(ha_schema.faults(payload, _TOPIC), [])
                self.assertEqual(payload["avty_mode"], "all")
                self.assertEqual([each["t"] for each in payload["avty"]], [base, base + "/availability"])
                for key, component in payload["cmps"].items():
                    for topic in ("cmd_t", "stat_t", "t", "json_attr_t"):
                        if topic in component:
                            self.assertTrue(component[topic].startswith(base + "/"), component)
                count = sum([mask >> bit & 1 for bit in range(40)])
                self.assertEqual(sum([len(each) > 1 for each in payload["cmps"].values()]), count)
                self.assertTrue(max([len(each) for each in made[1:]]) < 640)  # the first has the names

    def test_a_name_is_a_name_whatever_is_in_it(self):
        for name in NAMES:
            said = json.loads(discovery.text(name, "Lock").decode())
            self.assertTrue(1 <= len(said) <= 64, repr(name)[:80])
            self.assertTrue(all(locks.is_shown(sign) for sign in said))
        self.assertEqual(json.loads(discovery.text(NAMES[2]).decode()), NAMES[2])
        self.assertEqual(json.loads(discovery.text(NAMES[3]).decode()), NAMES[3])
        self.assertEqual(discovery.text("\x00\u202e", "Lock"), b'"Lock"')

    def test_no_sign_of_the_table_is_left(self):
        payload, _ = payload_of(discovery.LOCK, discovery.mask_of(discovery.LOCK, lambda word: True))
        for component in payload["cmps"].values():
            for key, value in component.items():
                if isinstance(value, str) and key not in ("cod_form",):
                    self.assertFalse([sign for sign in "@$^&*!~#?" if sign in value], value)

    def test_what_is_removed_is_named_by_its_platform_alone(self):
        payload, _ = payload_of(discovery.LOCK, 1, 1 << 5 | 1 << 10)
        self.assertEqual(payload["cmps"]["door"], {"p": "binary_sensor"})
        self.assertEqual(payload["cmps"]["autolock"], {"p": "number"})
        self.assertEqual(len(payload["cmps"]), 3)

    def test_what_changes_something_needs_the_owners_word_and_what_tells_does_not(self):
        payload, _ = payload_of(discovery.LOCK, discovery.mask_of(discovery.LOCK, lambda word: word != "unsigned"))
        for key, component in payload["cmps"].items():
            self.assertFalse(component["p"] in ha_schema.CHANGING, key)
            if component["p"] == "button":
                self.assertTrue('"op":"records_read"' in component["cmd_tpl"] or '"op":"state"' in component["cmd_tpl"])
        for key in ("lock", "battery", "log", "remote_unlock", "door", "tamper", "last_who", "last_method"):
            self.assertTrue(key in payload["cmps"], key)

    def test_a_code_is_asked_for_only_where_there_is_a_pin(self):
        with_pin = payload_of(discovery.LOCK, 1, has_pin=True)[0]["cmps"]["lock"]
        self.assertEqual(with_pin["cod_form"], "^\\d{4,8}$")
        self.assertEqual(with_pin["cmd_tpl"], '{"do":"{{ value }}","code":"{{ code }}"}')
        without = payload_of(discovery.LOCK, 1)[0]["cmps"]["lock"]
        self.assertFalse("cod_form" in without)
        self.assertEqual(without["cmd_tpl"], '{"do":"{{ value }}"}')
        for lock in (with_pin, without):
            self.assertFalse("pl_open" in lock)  # nothing here unlatches
            self.assertFalse("ret" in lock)
            self.assertEqual((lock["opt"], lock["name"]), (False, None))

    def test_every_need_is_a_word_that_a_lock_answers(self):
        bare = locks.Lock(b"abcdef", b"")
        bare.features = 0
        for word in needs(discovery.LOCK):  # of a word that is none nothing is ever lacking
            self.assertTrue(word in ("unsigned", "admin", "own") or bare.lacks(word), word)
        self.assertEqual(needs(discovery.GATEWAY), [])

    def test_events_and_methods_are_all_that_records_say(self):
        cmps = payload_of(discovery.LOCK, discovery.mask_of(discovery.LOCK, lambda word: True))[0]["cmps"]
        for kind in list(range(120)) + [249]:
            event, method, _ = records.meaning(kind)
            self.assertTrue(event in cmps["log"]["evt_typ"])
            self.assertTrue(method in cmps["last_method"]["ops"])
        for key, component in cmps.items():
            if component["p"] == "device_automation":
                event, method = component["pl"].split("/")
                self.assertTrue(event in records.EVENTS and method in _METHODS, key)

    def test_the_update_entity_tells_one_member_that_home_assistant_knows_and_installs_nothing(self):
        update = payload_of(discovery.GATEWAY, discovery.mask_of(discovery.GATEWAY, None))[0]["cmps"]["update"]
        self.assertEqual(update["val_tpl"], "{{ dict(installed_version=value_json.version)|tojson }}")
        self.assertFalse("cmd_t" in update or "pl_inst" in update)

    def test_rows_keep_their_places(self):
        """The memory of what stands at the broker names a component by its place."""
        keys = []
        for bit in range(40):
            keys += payload_of(discovery.LOCK, 1 << bit)[0]["cmps"]
        self.assertEqual(
            keys,
            (
                "lock battery rssi last_who last_method door tamper jam log remote_unlock autolock volume lamp sound "
                "tamper_alert privacy reset_button passage_unlock display sync read_log ask by_app by_gateway by_key "
                "by_passcode by_card by_finger wrong_code by_itself"
            ).split(),
        )


if __name__ == "__main__":
    unittest.main()
