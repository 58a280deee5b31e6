import unittest

from firmware.lib import credentials, validity
from firmware.lock.commands.session import error_byte
from firmware.lock.device import Device
from firmware.lock.keypad import refusal_record
from firmware.lock.stores import passcodes


class Part:
    """Some part of a lock: attributes by name."""

    def __init__(self, **values):
        for name in values:
            setattr(self, name, values[name])


def device(seconds=600059, is_trusted=True, battery_pct=100, remote_unlock=0, flag_pos=3):
    clock = Part(is_trusted=is_trusted, seconds=lambda: seconds)
    options = Part(remote_unlock=remote_unlock, frozen=0, double_locked=0, passage_auto_unlock=0)
    stores = Part(
        clock=clock,
        options=options,
        passage=Part(windows=()),
        ekeys=Part(flag_pos=flag_pos),
        offline=Part(barred_min=lambda now_min, is_trusted: now_min - 60 if is_trusted else None),
    )
    return Part(stores=stores, battery_pct=battery_pct)


ERRORS = {
    "frozen": 0x1C,
    "not_yet_valid": 0x11,
    "untrusted_clock": 0x11,
    "expired": 0x0E,
    "revoked": 0x0D,
    "remote_unlock_disabled": 0x02,
    "double_locked": 0x1E,
    "low_battery": 0x0A,
}

RECORDS = {
    "not_yet_valid": 11,
    "untrusted_clock": 11,
    "expired": 11,
    "outside_hours": 11,
    "suspended": 11,
    "used_up": 11,
    "barred": 13,
    "double_locked": 38,
    "frozen": None,
    "lockout": None,
    "low_battery": None,
}


class TestAccess(unittest.TestCase):
    def test_situation(self):
        found = Device.situation(device())
        self.assertEqual((found.now_min, found.is_clock_trusted, found.flag_pos), (10000, True, 3))
        self.assertEqual((found.is_battery_low, found.is_remote_unlock_on), (False, False))
        self.assertEqual(found.barred_min, 9940)
        self.assertFalse(Device.situation(device(is_trusted=False)).is_clock_trusted)
        self.assertTrue(Device.situation(device(remote_unlock=1)).is_remote_unlock_on)
        for battery_pct, is_low in ((4, True), (5, False)):
            self.assertEqual(Device.situation(device(battery_pct=battery_pct)).is_battery_low, is_low)

    def test_answers(self):
        self.assertIsNone(error_byte(None))
        for why in ERRORS:
            self.assertEqual(error_byte(why), ERRORS[why], why)
        for why in RECORDS:
            self.assertEqual(refusal_record(why), RECORDS[why], why)

    def test_stored_passcode(self):
        entry = b"\x02\x04" + b"1234" + b"\x04" + b"1234" + b"\x00\x01\x01\x00\x00\x63\x01\x01\x00\x00"
        verdict = validity.decide(passcodes.credential_of(entry), validity.Situation(10000))
        self.assertEqual((verdict.opens, verdict.then), (True, validity.USE_UP))
        entry = bytes((credentials.CYCLIC,)) + entry[1:11] + b"\x00\x01\x01\x08\x00\x04\x00"  # 1024: daily, 8 to 9
        for now_min, opens in ((479, False), (480, True), (539, True), (540, False)):
            self.assertEqual(validity.decide(passcodes.credential_of(entry), validity.Situation(now_min)).opens, opens)
