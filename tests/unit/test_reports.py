import json
import unittest

from firmware.lib import dates, errors, records, reports
from firmware.lib.opcodes import UNLOCK


def failed(err, op="unlock"):
    return json.loads(reports.failure("7", op, err, 12, 1))


class Results(unittest.TestCase):
    def test_success(self):
        self.assertFalse("ms" in json.loads(reports.success("7", "state", None, 1)))  # nobody knows
        got = json.loads(reports.success("7", "state", 31, 1, {"lock": "LOCKED"}))
        want = {"id": "7", "op": "state", "ok": True, "code": "ok", "msg": "", "ms": 31, "attempts": 1, "ttlock": 0}
        want["data"] = {"lock": "LOCKED"}
        self.assertEqual(got, want)

    def test_set_has_no_id(self):
        self.assertIsNone(json.loads(reports.success(None, "lock", 1, 1))["id"])

    def test_lock_refusals(self):
        for op, ble, code, number in (
            ("passcode_delete", 0x15, "refused", -2009),
            ("card_delete", 0x18, "refused", -1021),
            ("fingerprint_delete", 0x1A, "refused", -1023),
            ("records_read", 0x1F, "refused", 1),
            ("passcode_add", 0x16, "refused", -3009),
            ("card_add", 0x04, "refused", -4056),
            ("passcode_add", 0x14, "refused", -3007),
            ("unlock", 0x1C, "refused", -2025),
            ("unlock", 0x13, "refused", 1),
            ("passcode_add", 0x0F, "bad_request", -3006),
            ("autolock_set", 0x1D, "bad_request", -4082),
            ("unlock", 0x17, "bad_request", -3),
            ("unlock", 0x02, "auth", -2018),
            ("unlock", 0x1B, "unsupported", -4043),
            ("unlock", 0x01, "protocol", 1),
        ):
            got = failed(errors.from_ble(UNLOCK, ble), op)
            self.assertEqual((got["code"], got["ttlock"], got["data"]["ble"], got["ok"]), (code, number, ble, False))
            self.assertEqual("reason" in got["data"], code == "refused")

    def test_our_own_refusals(self):
        jammed = failed(errors.LockRefused("bolt did not arrive", reason="jammed"))
        self.assertEqual((jammed["data"], jammed["ttlock"]), ({"reason": "jammed"}, 1))
        self.assertEqual(failed(errors.LinkError("gone"))["ttlock"], -3036)
        short = errors.BadRequest("code too short")
        short.ttlock = -3006
        self.assertEqual(failed(short)["ttlock"], -3006)

    def test_word_without_number(self):
        class Late(errors.FirmwareError):
            code = "expired"

        got = failed(Late("past exp"))
        self.assertEqual((got["code"], "ttlock" in got), ("expired", False))

    def test_unexpected_exception_tells_nothing(self):
        got = failed(ValueError("key 0011"))
        self.assertEqual((got["code"], got["ttlock"], got["msg"].find("0011")), ("internal", 90000, -1))
        self.assertEqual(failed(errors.ConfigError("x"))["code"], "internal")

    def test_msg_is_bounded(self):
        self.assertEqual(len(failed(errors.LinkError("x" * 500))["msg"]), 120)


class Publications(unittest.TestCase):
    def test_only_listed_members(self):
        for build in (reports.state, reports.event, reports.info, reports.metrics):
            with self.assertRaises(ValueError):
                build(aes="00")
        with self.assertRaises(ValueError):
            reports.info(locks=[{"mac": "a", "admin_ps": 1}])
        with self.assertRaises(ValueError):
            reports.state(last={"code": "1234"})
        self.assertEqual(json.loads(reports.state(lock="LOCKED", last=None)), {"lock": "LOCKED", "last": None})
        self.assertEqual(json.loads(reports.info(locks=[{"mac": "a", "name": "b"}]))["locks"][0]["name"], "b")

    def test_iso(self):
        self.assertEqual(reports.iso(1787421851), "2026-08-22T18:04:11Z")
        self.assertEqual(reports.iso(946684800), "2000-01-01T00:00:00Z")


class Records(unittest.TestCase):
    def item(self, number, type=1, tail=None, who=None):
        tail = records.by_user(1234, 1) if tail is None else tail
        record = records.decode(records.encode(type, (2026, 8, 22, 18, 4, 11), 87, tail))
        return reports.record_item(number, record, dates.to_seconds((2026, 8, 22, 18, 4, 11)) + 946684800, who)

    def test_item(self):
        got = self.item(1837, who=1234)
        self.assertEqual((got["type"], got["list"], got["ok"]), (1, 1, True))
        self.assertEqual((got["rec"], got["event"], got["method"], got["who"]), (1837, "unlock", "app", 1234))
        self.assertEqual((got["ts"], got["battery"]), ("2026-08-22T18:04:11Z", 87))

    def test_item_never_shows_a_code(self):
        text = json.dumps(self.item(3, 4, records.by_code(b"135790")))
        self.assertEqual((text.find("135790"), self.item(3, 4, records.by_code(b"135790"))["who"]), (-1, None))

    def test_item_with_a_broken_tail_is_still_reported(self):
        self.assertIsNone(self.item(3, 1, b"\x01")["who"])

    def test_batches_cover_all_in_pieces_of_half_a_kibibyte(self):
        items = [self.item(n) for n in range(100, 140)]
        seen = []
        while items:
            payload, count = reports.batch(3, items, 2 if not seen else 0)
            self.assertTrue(len(payload.encode()) <= 512)
            got = json.loads(payload)
            self.assertEqual((got["epoch"], got["from"], got["to"]), (3, items[0]["rec"], items[count - 1]["rec"]))
            self.assertEqual(got["gap"], 0 if seen else 2)
            self.assertTrue(count > 2 or count == len(items))
            seen += [item["rec"] for item in got["items"]]
            items = items[count:]
        self.assertEqual(seen, list(range(100, 140)))

    def test_a_long_item_goes_alone(self):
        long = {"rec": 1, "event": "0" * 850}
        payload, count = reports.batch(0, [long, self.item(2)])
        self.assertEqual((count, json.loads(payload)["items"]), (1, [long]))
        self.assertEqual(reports.batch(0, [self.item(2), long])[1], 1)

    def test_a_single_item_too_long(self):
        with self.assertRaises(errors.ProtocolError):
            reports.batch(0, [{"rec": 1, "event": "0" * 1000}])
