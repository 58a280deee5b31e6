import asyncio
import unittest

from firmware.ble.scanner import Scanner, find_field, looks_like_lock
from firmware.lib import advert
from firmware.lib.errors import LinkError
from firmware.system.log import Log
from firmware.system.supervisor import Lease

_ADDRESS = bytes.fromhex("240ac4000012")
_DATA = advert.encode_manufacturer(_ADDRESS, 2, 0, 90)
_LOCK = b"\x02\x01\x06\x03\x03\x10\x19\x10\xff" + _DATA
_IND = 0


class FieldTest(unittest.TestCase):
    def test_finds_the_field_and_survives_any_bytes(self):
        self.assertEqual(find_field(_LOCK, 0xFF, 15), 9)
        self.assertEqual(find_field(_LOCK, 0x09), -1)
        for cut in range(len(_LOCK)):
            self.assertEqual(find_field(_LOCK[:cut], 0xFF, 15), -1)
        self.assertEqual(find_field(b"\x00\xff\x10\xff" + _DATA, 0xFF), -1)
        self.assertEqual(find_field(b"\x03\xff\x05\x03", 0xFF, 15), -1)

    def test_locks_by_version_or_by_their_own_address(self):
        self.assertTrue(looks_like_lock(bytes(6), memoryview(_LOCK), 9))
        other = _LOCK[:9] + b"\x01\x02" + _LOCK[11:]
        self.assertTrue(looks_like_lock(memoryview(_ADDRESS), other, 9))
        self.assertFalse(looks_like_lock(bytes(6), other, 9))


class _Radio:
    def __init__(self, refuse=False):
        self.on_advert = None
        self.on_scan_end = None
        self.starts = 0
        self.is_scanning = False
        self._refuse = refuse
        self.free = asyncio.Event()
        self.free.set()

    async def until_idle(self):
        await self.free.wait()

    def is_idle(self):
        return self.free.is_set()

    def start_scan(self):
        if self._refuse:
            raise LinkError("scan refused")
        self.starts += 1
        self.is_scanning = True

    def stop_scan(self):
        if self.is_scanning:
            self.is_scanning = False
            if self.on_scan_end:
                self.on_scan_end()


class _Bench:
    def __init__(self, radio):
        self.radio = radio
        self.sightings = []
        self.lease = Lease()
        self.scanner = Scanner(radio, self._see, Log(lambda: 0, lambda line: None))

    def _see(self, *sighting):
        self.sightings.append(sighting)

    def hear(self, payload, kind=_IND, rssi_dbm=-60, address=_ADDRESS):
        self.radio.on_advert(0, memoryview(address), kind, rssi_dbm, memoryview(payload))


async def _turns(count=12):
    for _ in range(count):
        await asyncio.sleep(0.001)


def _run(scenario, refuse=False):
    async def whole():
        bench = _Bench(_Radio(refuse))
        task = asyncio.create_task(bench.scanner.run(bench.lease))
        await _turns()
        try:
            await scenario(bench, task)
        finally:
            task.cancel()
            try:
                await task
            except (asyncio.CancelledError, LinkError):
                pass
        return bench

    return asyncio.run(whole())


class ScannerTest(unittest.TestCase):
    def test_every_advertisement_of_a_lock_is_handed_on_and_nothing_else(self):
        async def scenario(bench, task):
            bench.hear(_LOCK)
            bench.hear(_LOCK, rssi_dbm=-70)
            bench.hear(b"\x02\x01\x06\x05\xff\x4c\x00\x10\x05")
            bench.hear(b"")
            await _turns()

        bench = _run(scenario)
        self.assertEqual(bench.sightings, [(_ADDRESS, 0, -60, _DATA), (_ADDRESS, 0, -70, _DATA)])

    def test_scan_comes_back_after_somebody_had_the_radio(self):
        async def scenario(bench, task):
            bench.radio.free.clear()
            bench.radio.stop_scan()
            await _turns()
            self.assertEqual(bench.radio.starts, 1)
            self.assertEqual(bench.lease.rounds, None)  # the radio's holder has a limit of its own
            bench.radio.free.set()
            await _turns()
            self.assertEqual(bench.radio.starts, 2)
            bench.hear(_LOCK)
            await _turns()

        self.assertEqual(len(_run(scenario).sightings), 1)

    def test_scan_comes_back_though_its_end_found_the_inbox_full(self):
        async def scenario(bench, task):
            for _ in range(100):
                bench.hear(_LOCK)
            bench.radio.stop_scan()
            await _turns()
            self.assertEqual(bench.radio.starts, 2)

        _run(scenario)

    def test_a_scan_that_the_stack_may_have_lost_is_begun_anew(self):
        async def scenario(bench, task):
            bench.scanner.renew()
            await _turns()
            self.assertEqual(bench.radio.starts, 2)
            bench.hear(_LOCK)
            await _turns()

        self.assertEqual(len(_run(scenario).sightings), 1)

    def test_flood_is_bounded_and_counted(self):
        async def scenario(bench, task):
            for _ in range(100):
                bench.hear(_LOCK)
            await _turns()

        bench = _run(scenario)
        self.assertEqual(len(bench.sightings) + bench.scanner.dropped, 100)
        self.assertTrue(bench.scanner.dropped)

    def test_refused_scan_ends_the_job_and_stop_leaves_nothing_behind(self):
        async def scenario(bench, task):
            await _turns()
            self.assertTrue(task.done())

        bench = _run(scenario, refuse=True)
        self.assertEqual(bench.radio.on_advert, None)
        self.assertEqual(bench.radio.is_scanning, False)
