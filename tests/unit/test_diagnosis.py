import json
import unittest

from firmware.lib import opcodes
from firmware.lib.messages import settings_client
from tests.scratch import scratch
from tests.unit.lock_rig import ADMIN_PS, UNLOCK_KEY, Refused, Rig


def fetch(rig):
    """The report as a client puts it together."""
    text = b""
    page = 0
    while page is not None:
        page, more = settings_client.report_page(rig.ask(opcodes.DIAGNOSIS, settings_client.report_request(page)), page)
        text += more
    return text


class Diagnosis(unittest.TestCase):
    def test_the_administrator_gets_a_report_without_secrets(self):
        rig = Rig(scratch("diagnosis")).paired()
        rig.device.about = lambda: {"uptime_s": 7, "reset": "power_on", "heap": 12345}
        rig.reach("S3")
        rig.ask(opcodes.PASSCODE, b"\x02\x01\x06864201\x00\x01\x01\x00\x00")
        text = fetch(rig)
        found = json.loads(text.decode())
        self.assertEqual((found["uptime_s"], found["stores"]["passcodes"], found["bolt"]), (7, 1, "locked"))
        self.assertEqual(found["records"]["kept"], len(rig.device.stores.ring))
        self.assertEqual(found["clock_trusted"], True)
        for secret in (b"864201", str(ADMIN_PS).encode(), str(UNLOCK_KEY).encode(), rig.device.stores.keys.aes):
            self.assertEqual(text.find(secret), -1)

    def test_the_pages_of_one_reading_fit_together(self):
        rig = Rig(scratch("diagnosis2")).paired()
        rig.device.about = lambda: {"uptime_s": rig.now_ms}
        rig.reach("S3")
        asked_ms = rig.now_ms
        first = rig.ask(opcodes.DIAGNOSIS, settings_client.report_request(0))
        rig.now_ms += 1000
        page, begin = settings_client.report_page(first, 0)
        rest = begin
        while page is not None:
            page, more = settings_client.report_page(
                rig.ask(opcodes.DIAGNOSIS, settings_client.report_request(page)), page
            )
            rest += more
        self.assertTrue(json.loads(rest.decode())["uptime_s"] < asked_ms + 1000)

    def test_nobody_else_gets_it_and_there_is_no_page_behind_the_last(self):
        rig = Rig(scratch("diagnosis3")).paired()
        for level in ("S1", "user", "admin"):
            rig.reach(level)
            with self.assertRaises(Refused):
                fetch(rig)
        rig.reach("S3")
        with self.assertRaises(Refused):
            rig.ask(opcodes.DIAGNOSIS, settings_client.report_request(15))
