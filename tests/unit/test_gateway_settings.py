"""Settings, passage windows, freezing and the emergency, asked for over MQTT of a lock at the end of a fake link."""

import unittest

from firmware.gateway.admission import Refusal
from firmware.gateway.operations import passage, settings
from firmware.lib.errors import BadRequest, Unsupported
from tests.unit.gateway_rig import known_lock


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
            found = passage.windows_of(passage.check("passage_add", args), known_lock())
            self.assertEqual([raw.hex() for raw in found], wanted)

    def test_windows_over_midnight_are_one_in_a_lock_of_ours_and_two_in_others(self):
        night = {"from_min": 1320, "to_min": 360}
        for args, own, others in (
            (night, ["01000016000600"], ["0100001600173b", "01000000000600"]),
            (dict(night, weekdays=[7]), ["01070016000600"], ["0107001600173b", "01010000000600"]),
            (dict(night, day=31, month=12), ["021f0c16000600"], ["021f0c1600173b", "02010100000600"]),
            (dict(night, day=30, month=6), ["021e0616000600"], ["021e061600173b", "02010700000600"]),
            (dict(night, day=3), ["02030016000600"], ["0203001600173b", "02040000000600"]),
            (dict(night, day=28, month=2), ["021c0216000600"], None),  # what is the next day?
            (dict(night, day=30), ["021e0016000600"], None),
        ):
            other = known_lock()
            other.model = "SN9100"
            passage.check("passage_add", args)
            self.assertEqual([raw.hex() for raw in passage.windows_of(args, known_lock())], own)
            if others is None:
                self.assertRaises(Unsupported, passage.judge, "passage_add", args, other)
                continue
            self.assertEqual([raw.hex() for raw in passage.windows_of(args, other)], others)
            passage.judge("passage_add", args, other)

    def test_more_windows_than_a_lock_has_room_for_are_refused_before_it_is_asked(self):
        other = known_lock()
        other.model = "SN9100"
        nights = {"weekdays": [1, 2, 3], "from_min": 1320, "to_min": 360}
        passage.judge("passage_add", nights, known_lock())
        for lock, args in ((other, nights), (known_lock(), dict(nights, weekdays=[1, 2, 3, 4, 5, 6]))):
            try:
                passage.judge("passage_add", args, lock)
                self.fail("it was taken")
            except Refusal as err:
                self.assertEqual((err.code, err.reason), ("refused", "full"))

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
