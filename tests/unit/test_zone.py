"""lib/zone: rules are read or refused, and dates go there and back. Against zoneinfo: tests/host/test_zone_table.py."""

import unittest

from firmware.lib import dates, zone
from firmware.lib.errors import BadRequest

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
DUBLIN = "IST-1GMT0,M10.5.0,M3.5.0/1"
LORD_HOWE = "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"
NUUK = "<-02>2<-01>,M3.5.0/-1,M10.5.0/0"
GAZA = "EET-2EEST,M3.4.4/50,M10.4.4/50"
BY_HAND = "@60,1771120800=0,1774144800=60"

WINTER, SUMMER = 1800000000, 1815000000  # 2027-01-15 08:00, 2027-07-07 22:40 UTC


def unix(*date):
    return dates.to_unix(date)


class RulesTest(unittest.TestCase):
    def test_offsets_in_winter_and_summer(self):
        for rule, winter, summer in (
            (BERLIN, 60, 120),
            (DUBLIN, 0, 60),
            (LORD_HOWE, 660, 630),
            (NUUK, -120, -60),
            (GAZA, 120, 180),
            ("UTC0", 0, 0),
            ("<+0545>-5:45", 345, 345),
            ("NST3:30NDT,M3.2.0,M11.1.0", -210, -150),
            ("AAA3BBB,J60,J300", -180, -120),
            ("AAA3BBB,59/2:30,299", -180, -120),
            ("XXX3EDT4,0/0,J365/23", -240, -240),  # summer time all the year (RFC 9636 3.3.1)
            (BY_HAND, 60, 60),
        ):
            self.assertEqual((zone.offset_at(rule, WINTER), zone.offset_at(rule, SUMMER)), (winter, summer), rule)

    def test_what_is_no_rule_is_refused(self):
        for text in (
            None,
            7,
            {},
            "",
            "Europe/Berlin",
            "CET",
            "CE-1",
            "<CE-1",
            "<+1>-1",
            "CET-1CEST",  # when?
            "CET-1CEST,M3.5.0",
            "CET-1CEST,M3.5.0,M10.5.0/3 ",
            "CET-1CEST,M13.5.0,M10.5.0",
            "CET-1CEST,M3.6.0,M10.5.0",
            "CET-1CEST,M3.5.7,M10.5.0",
            "CET-1CEST,J0,J300",
            "CET-1CEST,366,J300",
            "CET-1CEST,M3.5.0/168,M10.5.0",
            "CET-25",
            "CET-1:60",
            "CET-1:30:30",  # no clock of a lock shows half a minute
            "CET--1",
            "\xe9\xe9\xe9-1",
            "@",
            "@60,",
            "@60,5=0",
            "@60,1771120800=0,1771120800=60",
            "@60,1771120800",
            "@1441",
            "<+01>-1" + "," * 300,
        ):
            self.assertRaises(BadRequest, zone.parse, text)

    def test_a_plain_offset_is_a_rule_without_changes(self):
        for offset in range(-960, 961, 5):
            rule = zone.plain(offset)
            self.assertEqual(zone.parse(rule), (offset,))
            self.assertEqual((zone.offsets(rule), zone.next_change(rule, WINTER)), ([offset], None))

    def test_changes_come_one_after_another(self):
        self.assertEqual(zone.next_change(BERLIN, WINTER), unix(2027, 3, 28, 1, 0))
        self.assertEqual(zone.next_change(BERLIN, unix(2027, 3, 28, 1, 0)), unix(2027, 10, 31, 1, 0))
        self.assertEqual(zone.next_change(BERLIN, unix(2099, 12, 31, 0, 0)), unix(2099, 3, 29, 1, 0) + 86400 * 364)
        self.assertEqual(zone.since(BERLIN, WINTER, 60), unix(2026, 10, 25, 1, 0))
        self.assertEqual(zone.since(BERLIN, WINTER, 120), unix(2026, 3, 29, 1, 0))
        self.assertEqual(zone.since(BERLIN, WINTER, 0), None)
        self.assertEqual(zone.next_change(BY_HAND, 1771120800), 1774144800)
        self.assertEqual(zone.next_change(BY_HAND, 1774144800), None)
        self.assertEqual(zone.next_change("XXX3EDT4,0/0,J365/23", WINTER), None)


class DatesTest(unittest.TestCase):
    def test_there_and_back_through_two_years(self):
        for rule in (BERLIN, DUBLIN, LORD_HOWE, NUUK, GAZA, BY_HAND, "UTC0"):
            for at_s in range(WINTER, WINTER + 2 * 366 * 86400, 86400 * 3 + 4567):
                date = zone.to_wall(rule, at_s)
                self.assertTrue(at_s in (zone.from_wall(rule, date), zone.from_wall(rule, date, True)), rule)

    def test_an_hour_that_is_shown_twice_has_two_moments(self):
        date = 2026, 10, 25, 2, 30
        self.assertEqual(zone.from_wall(BERLIN, date), unix(2026, 10, 25, 0, 30))
        self.assertEqual(zone.from_wall(BERLIN, date, True), unix(2026, 10, 25, 1, 30))

    def test_an_hour_that_is_skipped_is_read_as_before_the_change(self):
        self.assertEqual(zone.from_wall(BERLIN, (2027, 3, 28, 2, 30)), unix(2027, 3, 28, 1, 30))

    def test_a_stay_over_the_change_ends_at_the_hour_that_was_meant(self):
        self.assertEqual(zone.to_wall(BERLIN, unix(2027, 3, 29, 9, 0)), (2027, 3, 29, 11, 0, 0))
