"""Fingerprints, fobs and hours through the gateway, against a lock by its messages."""

import json
import unittest

from firmware.lib import dates, opcodes
from firmware.lib.errors import LinkError, from_ble
from firmware.lib.messages import held_lock
from tests.unit.command_rig import Rig
from tests.unit.gateway_rig import FEATURES

NUMBER = 0x2A0003
ID6 = b"\0\0\0\x2a\0\3"
MAC = "aabbcc112233"
FOB = b"\x33\x22\x11\xcc\xbb\xaa"
ALWAYS = dates.encode5(dates.NO_START) + dates.encode5(dates.NO_END)
DAY_S = 86400
SOON = 1790000000 + DAY_S


class Store:
    """The rows of a lock, their hours, and the answers to the commands about them."""

    def __init__(self, rig):
        self.rig = rig
        self.rows = {ID6: ALWAYS, FOB: ALWAYS}
        self.hours = {}
        self.is_deaf = False
        self.further = []
        self._plain = rig.far._answer
        rig.far._answer = self.answer
        rig.far.follow = self.follow
        rig.lock.features = FEATURES | 1 << 2 | 1 << 34 | 1 << 41

    async def follow(self, command, timeout_ms):
        found = self.further.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def _mine(self, command):
        return sorted(row for row in self.rows if (row == FOB) == (command == opcodes.KEY_FOB))

    def answer(self, command, plain):
        if command == opcodes.CYCLIC:
            return self._cyclic(plain)
        if command not in (opcodes.FINGERPRINT, opcodes.KEY_FOB):
            return self._plain(command, plain)
        found = held_lock.decode_fingerprint(plain)
        op = found[0]
        if op == held_lock.ADD:
            return held_lock.encode_ready(88)
        if op == held_lock.LIST:
            rows = self._mine(command)[found[1] :]
            if not rows:
                return held_lock.encode_list(88, None)
            if command == opcodes.KEY_FOB:
                return held_lock.encode_fob(88, found[1] + 1, rows[0], self.rows[rows[0]], 70, 1)
            return held_lock.encode_list(88, found[1] + 1, rows[0], self.rows[rows[0]])
        if op == held_lock.CLEAR:
            for row in self._mine(command):
                del self.rows[row]
        elif found[1] not in self.rows:
            raise from_ble(command, 0x1A)
        elif op == held_lock.DELETE:
            del self.rows[found[1]]
        elif not self.is_deaf:
            self.rows[found[1]] = found[2]
        return held_lock.encode_managed(88, op)

    def _cyclic(self, plain):
        found = held_lock.decode_hours(plain)
        hours = self.hours.setdefault(found[2], [])
        if found[0] == held_lock.HOURS_QUERY:
            place = found[3]
            return held_lock.encode_window(88, *((place + 1, hours[place]) if place < len(hours) else (None,)))
        if found[0] == held_lock.HOURS_CLEAR:
            hours.clear()
        elif not self.is_deaf:
            hours.append(found[3])
        return held_lock.encode_hours_changed(88, found[0])


def press(done):
    return held_lock.encode_pressed(88, done, 4)


class Prints(unittest.TestCase):
    def setUp(self):
        self.rig = Rig("prints")
        self.store = Store(self.rig)

    def ask(self, op, args=None):
        return self.rig.ask(op, args)

    def ok(self, op, args=None):
        result = self.ask(op, args)
        self.assertEqual(result["code"], "ok", result)
        return result.get("data")

    def test_enrolling_is_told_press_by_press_and_then_limited(self):
        self.store.further = [press(1), press(2), press(3), press(4), held_lock.encode_added(88, ID6)]
        args = {"end": SOON, "days": [5, 1], "from_min": 480, "to_min": 1080}
        self.assertEqual(self.ok("fingerprint_enrol", args), {"number": NUMBER})
        self.assertEqual(self.store.rows[ID6], ALWAYS[:5] + b"\x1a\x09\x16\x0e\x0d")
        self.assertEqual([raw[:2] for raw in self.store.hours[ID6]], [b"\1\1", b"\1\5"])
        self.assertEqual(self.store.hours[ID6][0][3:], b"\x08\0\x12\0")

    def test_a_finger_whose_period_is_refused_does_not_stay(self):
        self.store.further = [held_lock.encode_added(88, ID6)]
        self.store.is_deaf = True
        self.assertEqual(self.ask("fingerprint_enrol", {"end": SOON})["code"], "refused")
        self.assertFalse(ID6 in self.store.rows)

    def test_nobody_is_asked_to_press_a_second_time(self):
        lost = LinkError("link lost")
        self.store.further = [press(1), lost]
        self.assertEqual(self.ask("fingerprint_enrol")["code"], "outcome_unknown")
        self.assertEqual(self.rig.opened, 1)

    def test_a_link_lost_behind_the_last_press_is_taken_up_at_the_period(self):
        self.store.further = [held_lock.encode_added(88, ID6)]
        lost = LinkError("link lost")
        lost.sent = True
        self.rig.far.faults[opcodes.CYCLIC] = lost
        args = {"end": SOON, "days": [1], "from_min": 0, "to_min": 1440}
        self.assertEqual(self.ok("fingerprint_enrol", args), {"number": NUMBER})
        self.assertEqual(self.rig.opened, 2)
        self.assertEqual(self.store.hours[ID6], [b"\1\1\0\0\0\0\0"])

    def test_the_lock_gives_up_waiting(self):
        self.store.further = [press(1), from_ble(opcodes.FINGERPRINT, 0x13)]
        self.assertEqual(self.ask("fingerprint_enrol")["code"], "refused")

    def test_changes_are_read_back_and_make_nothing_permanent(self):
        self.ok("fingerprint_change", {"number": NUMBER, "end": SOON})
        self.assertEqual(self.ask("fingerprint_change", {"number": NUMBER})["code"], "bad_request")
        self.assertEqual(self.ask("fingerprint_change", {"number": 7, "end": SOON})["ttlock"], -1023)
        self.store.is_deaf = True
        self.assertEqual(self.ask("fingerprint_change", {"number": NUMBER, "end": SOON + DAY_S})["code"], "refused")

    def test_listed_with_period_and_hours(self):
        self.ok("fingerprint_change", {"number": NUMBER, "end": SOON, "days": [7], "from_min": 60, "to_min": 1440})
        page = self.ok("fingerprint_list")
        self.assertEqual(page["next"], None)
        wanted = {"number": NUMBER, "end": "2026-09-22T14:13:00Z", "hours": [[1, 7, 60, 1440]], "status": 1}
        self.assertEqual(page["items"], [wanted])
        self.store.rows[ID6] = dates.encode5(dates.NO_START) + dates.encode5((2026, 9, 1, 0, 0))
        self.assertEqual(self.ok("fingerprint_list")["items"][0]["status"], 2)

    def test_an_end_that_has_passed_is_refused_and_changes_nothing(self):
        before = dict(self.store.rows)
        for op, args in (
            ("fingerprint_change", {"number": NUMBER}),
            ("fob_change", {"mac": MAC}),
            ("fingerprint_enrol", {}),
        ):
            self.assertEqual(self.ask(op, dict(args, end=SOON - 2 * DAY_S))["ttlock"], -3)
        self.assertEqual(self.store.rows, before)

    def test_a_page_of_fingers_with_a_week_of_hours_stays_below_a_kibibyte(self):
        numbers = [0xFFFFFFFFFFF0 + n for n in range(4)]
        self.store.rows = {n.to_bytes(6, "big"): ALWAYS for n in numbers}
        hours = {"days": [1, 2, 3, 4, 5, 6, 7], "from_min": 600, "to_min": 1439}
        for n in numbers:
            self.ok("fingerprint_change", dict(hours, number=n, start=SOON, end=SOON + DAY_S))
        result = self.ask("fingerprint_list")
        self.assertEqual(
            ([item["number"] for item in result["data"]["items"]], result["data"]["next"]), (numbers[:3], 3)
        )
        self.assertTrue(len(json.dumps(result)) < 1024)

    def test_a_long_list_comes_in_pages(self):
        self.store.rows = {bytes((0, 0, 0, n, 0, n)): ALWAYS for n in range(8)}
        page = self.ok("fingerprint_list")
        self.assertEqual((len(page["items"]), page["next"]), (6, 6))
        page = self.ok("fingerprint_list", {"cursor": 6})
        self.assertEqual((len(page["items"]), page["next"]), (2, None))

    def test_deleting_and_clearing(self):
        self.ok("fingerprint_delete", {"number": NUMBER})
        self.ok("fingerprint_delete", {"number": NUMBER})
        self.store.rows[ID6] = ALWAYS
        self.ok("fingerprint_clear")
        self.assertEqual(sorted(self.store.rows), [FOB])

    def test_templates_are_refused_without_a_sensor_for_them(self):
        self.assertEqual(self.ask("fingerprint_add", {"template": "00"})["ttlock"], -4043)
        self.rig.lock.features = FEATURES
        self.assertEqual(self.ask("fingerprint_list")["ttlock"], -4043)

    def test_fobs_by_their_address(self):
        self.ok("fob_change", {"mac": MAC, "end": SOON})
        page = self.ok("fob_list")
        wanted = {"mac": MAC, "end": "2026-09-22T14:13:00Z", "battery": 70, "online": True, "status": 1}
        self.assertEqual(page, {"items": [wanted], "next": None})
        self.ok("fob_delete", {"mac": MAC})
        self.ok("fob_clear")
        self.assertEqual(self.ask("fob_add", {"mac": MAC})["code"], "bad_request")
        self.rig.lock.model = "SN478_PV53"
        self.assertEqual(self.ask("fob_list")["code"], "unsupported")

    def test_arguments(self):
        days = {"number": NUMBER, "end": SOON, "from_min": 0, "to_min": 60}
        for more in ({"days": []}, {"days": [0]}, {"days": [8]}, {"days": [1, 1]}, {"days": 1}, {"from_min": 60}):
            args = dict(days, days=[1])
            args.update(more)
            self.assertEqual(self.ask("fingerprint_change", args)["code"], "bad_request", more)
        for args in (days, {"number": -1, "end": SOON}, {"number": 1, "end": 5}, {"number": 1, "end": SOON, "code": 1}):
            self.assertEqual(self.ask("fingerprint_change", args)["code"], "bad_request", args)
        self.assertEqual(self.ask("fob_change", {"mac": "x", "end": SOON})["code"], "bad_request")

    def test_faces_palms_and_qr_codes_are_known_and_not_supported(self):
        for op in ("face_add", "face_list", "palm_change", "qr_clear"):
            result = self.ask(op)
            self.assertEqual((result["code"], result["ttlock"]), ("unsupported", -4043))
        self.assertEqual(self.rig.opened, 0)
        self.assertEqual(self.ask("faces")["code"], "bad_request")
