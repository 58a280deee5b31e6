"""Settings, passage windows, freezing and the emergency, asked for over MQTT of a lock at the end of a fake link."""

import unittest

from firmware.gateway.operations import passage, settings
from firmware.lib.errors import BadRequest


def _refuses(work):
    try:
        work()
    except BadRequest:
        return True
    return False


class TestArguments(unittest.TestCase):
    def test_values_become_what_the_lock_takes(self):
        for name, value, wanted in (
            ("sound", True, 1),
            ("tamper", "off", 0),
            ("volume", 3, 3),
            ("direction", "clockwise", 1),
            ("language", "de", 5),
            ("door_alarm_s", 30, 30),
        ):
            self.assertEqual(settings.check("setting_set", {"name": name, "value": value})["value"], wanted)

    def test_other_values_and_names_are_refused(self):
        for name, value in (
            ("sound", 1),
            ("sound", "loud"),
            ("volume", 0),
            ("volume", 6),
            ("volume", True),
            ("direction", 1),
            ("wrong_limit", 6),
            ("lockout_s", 60),
            ("remote_unlock", True),
            (None, True),
            (7, True),
            ("privacy", None),
        ):
            self.assertTrue(
                _refuses(lambda n=name, v=value: settings.check("setting_set", {"name": n, "value": v})), name
            )
        self.assertTrue(_refuses(lambda: settings.check("setting_get", {"name": "remote_unlock"})))

    def test_windows_by_weekday_and_by_date(self):
        for args, wanted in (
            ({"weekdays": [5], "from_min": 0, "to_min": 1440}, ["01050000000000"]),
            ({"weekdays": [7, 1], "from_min": 510, "to_min": 1035}, ["010100081e110f", "010700081e110f"]),
            ({"weekdays": [1, 2, 3, 4, 5, 6, 7], "from_min": 60, "to_min": 1440}, ["0100000100173b"]),
            ({}, ["01000000000000"]),
            ({"day": 25, "month": 12, "from_min": 510, "to_min": 1035}, ["02190c081e110f"]),
        ):
            found = passage.check("passage_add", args)["windows"]
            self.assertEqual(found, wanted)

    def test_windows_without_sense_are_refused(self):
        for args in (
            {"weekdays": []},
            {"weekdays": [0]},
            {"weekdays": [8]},
            {"weekdays": [1, 1]},
            {"weekdays": 1},
            {"weekdays": [1], "day": 3},
            {"day": 32},
            {"from_min": 600, "to_min": 600},
            {"from_min": 600, "to_min": 1441},
            {"minutes": 5},
        ):
            self.assertTrue(_refuses(lambda given=args: passage.check("passage_add", given)), str(args))
