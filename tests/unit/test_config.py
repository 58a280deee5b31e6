import os
import unittest

from firmware.lib.errors import ConfigError
from firmware.system import config, store
from tests.scratch import scratch

_PATH = scratch("config.json")


def _together(values):
    return ["host needs port" if values["host"] and not values["port"] else "never"] if values["host"] == "bad" else []


_TABLE = config.Table(
    [
        config.Setting("host", config.REQUIRED, config.text(1, 8)),
        config.Setting("port", 1883, config.integer(0, 65535)),
        config.Setting("panel", False, config.flag),
        config.Setting("ack", "puback", config.choice("puback", "consumer")),
    ],
    _together,
)


def _message(call, *args):
    try:
        call(*args)
    except ConfigError as err:
        return str(err)
    return None


class ConfigTest(unittest.TestCase):
    def setUp(self):
        store.remove(_PATH)

    def tearDown(self):
        store.remove(_PATH)

    def test_defaults_are_filled_in(self):
        settings = _TABLE.check({"host": "h"})
        self.assertEqual((settings.host, settings.port, settings.panel, settings.ack), ("h", 1883, False, "puback"))
        self.assertFalse(hasattr(settings, "other"))

    def test_all_faults_are_named_at_once_and_no_value(self):
        text = _message(_TABLE.check, {"port": True, "panel": 1, "ack": "secret", "colour": "secret"})
        self.assertEqual(
            text,
            "colour is not a setting; host is missing; port is not a whole number; "
            "panel is neither true nor false; ack is not one of puback, consumer",
        )

    def test_ranges_and_lengths(self):
        self.assertEqual(
            _TABLE.faults({"host": "nine char", "port": 65536}),
            ["host has not 1 to 8 bytes", "port is not between 0 and 65535"],
        )
        self.assertEqual(_TABLE.faults({"host": 5})[0], "host is not a text")
        self.assertEqual(len(_TABLE.faults([])), 1)

    def test_half_a_character_is_no_text(self):
        check = config.text(1, 32)
        self.assertEqual(check(chr(0x1F600) * 8), None)
        self.assertEqual(check(chr(0x1F600) * 9), "has not 1 to 32 bytes")
        for half in (0xD83D, 0xDE00):
            self.assertEqual(check("a" + chr(half)), "is no text in UTF-8")

    def test_faults_that_no_single_key_shows(self):
        self.assertEqual(_TABLE.faults({"host": "bad", "port": 0}), ["host needs port"])

    def test_write_then_load(self):
        config.write(_PATH, _TABLE, {"host": "a", "port": 1})
        self.assertEqual(config.write(_PATH, _TABLE, {"port": None, "panel": True}).port, 1883)
        settings = config.load(_PATH, _TABLE)
        self.assertEqual((settings.host, settings.panel), ("a", True))

    def test_refused_write_changes_nothing(self):
        config.write(_PATH, _TABLE, {"host": "a"})
        self.assertTrue("port" in _message(config.write, _PATH, _TABLE, {"host": "b", "port": "x"}))
        self.assertEqual(config.load(_PATH, _TABLE).host, "a")

    def test_plain_json_put_there_by_hand(self):
        with open(_PATH, "w") as file:
            file.write('{\n  "host": "hand",\n  "panel": true\n}\n')
        self.assertEqual(config.load(_PATH, _TABLE).host, "hand")

    def test_damaged_file_is_replaced_by_its_second_copy_but_a_hand_written_one_is_not(self):
        config.write(_PATH, _TABLE, {"host": "a"})
        with open(_PATH, "rb") as file:
            raw = file.read()
        for at in range(len(raw)):
            with open(_PATH, "wb") as file:
                file.write(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
            self.assertEqual(config.load(_PATH, _TABLE).host, "a")
        with open(_PATH, "w") as file:
            file.write('{"host": "hand"}')
        self.assertEqual(config.load(_PATH, _TABLE).host, "hand")
        store.remove(_PATH)

    def test_unreadable_file_is_a_fault_and_missing_file_means_defaults(self):
        self.assertEqual(_message(config.load, _PATH, _TABLE), "host is missing")
        with open(_PATH, "w") as file:
            file.write('{"host": ')
        self.assertTrue("neither intact nor plain" in _message(config.load, _PATH, _TABLE))
        os.remove(_PATH)
