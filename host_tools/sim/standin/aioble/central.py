# Scanning, and connecting as a central.
import asyncio

import bluetooth
from micropython import const

from .core import ble, ensure_active, register_irq_handler
from .device import Device, DeviceConnection, DeviceTimeout

_IRQ_SCAN_RESULT = const(5)
_IRQ_SCAN_DONE = const(6)
_IRQ_PERIPHERAL_CONNECT = const(7)
_IRQ_PERIPHERAL_DISCONNECT = const(8)
_NO_HANDLE = const(0xFFFF)

_ADV_IND = const(0)
_ADV_DIRECT_IND = const(1)
_SCAN_RSP = const(4)

_FIELD_UUID16 = const(0x02)
_FIELD_UUID32 = const(0x04)
_FIELD_UUID128 = const(0x06)
_FIELD_SHORT_NAME = const(0x08)
_FIELD_NAME = const(0x09)
_FIELD_MANUFACTURER = const(0xFF)

_SCAN_US = const(30000)  # default interval, and default window

_scanner = None
_pending = None  # DeviceConnection that waits for gap_connect


def _irq(event, data):
    global _pending
    if event == _IRQ_SCAN_RESULT:
        if _scanner:
            addr_type, addr, adv_type, rssi, payload = data
            _scanner._queue.append((addr_type, bytes(addr), adv_type, rssi, bytes(payload)))
            _scanner._event.set()
    elif event == _IRQ_SCAN_DONE:
        if _scanner:
            _scanner._done = True
            _scanner._event.set()
    elif event == _IRQ_PERIPHERAL_CONNECT:
        handle, addr_type, addr = data
        if _pending and _pending.device.addr_type == addr_type and _pending.device.addr == bytes(addr):
            _pending._up(handle)
            _pending._event.set()
            _pending = None
    elif event == _IRQ_PERIPHERAL_DISCONNECT:
        handle = data[0]
        if handle == _NO_HANDLE:  # gap_connect gave up
            if _pending:
                waiting, _pending = _pending, None
                waiting._event.set()
        else:
            link = DeviceConnection._connected.get(handle)
            if link:
                link._lost()


def _shutdown():
    global _pending
    _pending = None
    if _scanner:
        _scanner._done = True
        _scanner._event.set()


register_irq_handler(_irq, _shutdown)


async def _connect(link, timeout_ms, scan_duration_ms, min_us, max_us):
    global _pending
    if _pending:
        raise ValueError("another connect is in progress")
    ensure_active()
    _pending = link
    ble.gap_connect(link.device.addr_type, link.device.addr, scan_duration_ms or timeout_ms or 0, min_us, max_us)
    try:
        with DeviceTimeout(None, timeout_ms):
            await link._event.wait()
    except BaseException:
        if _pending is link:
            _pending = None
            try:
                ble.gap_connect(None)
            except OSError:
                pass  # it has just ended by itself
        elif link.is_connected():  # too late, but not to be left open
            ble.gap_disconnect(link._conn_handle)
        raise
    if not link.is_connected():
        raise asyncio.TimeoutError
    link._run()


class ScanResult:
    def __init__(self, device):
        self.device = device
        self.adv_data = None
        self.resp_data = None
        self.rssi = None
        self.connectable = False

    def __str__(self):
        return "Scan result: %s, RSSI: %s" % (self.device, self.rssi)

    def _update(self, adv_type, rssi, payload):
        # True when this report says something new
        before = self.rssi, self.adv_data, self.resp_data
        self.rssi = rssi
        if adv_type == _SCAN_RSP:
            self.resp_data = payload
        else:
            self.connectable = adv_type in (_ADV_IND, _ADV_DIRECT_IND)
            self.adv_data = payload
        return before != (self.rssi, self.adv_data, self.resp_data)

    def _fields(self, *kinds):
        for payload in (self.adv_data, self.resp_data):
            at = 0
            while payload and at + 1 < len(payload) and payload[at]:
                if payload[at + 1] in kinds:
                    yield payload[at + 1], payload[at + 2 : at + 1 + payload[at]]
                at += 1 + payload[at]

    def name(self):
        for _, text in self._fields(_FIELD_NAME, _FIELD_SHORT_NAME):
            return str(text, "utf-8")

    def services(self):
        for first, size in ((_FIELD_UUID16, 2), (_FIELD_UUID32, 4), (_FIELD_UUID128, 16)):
            for _, listed in self._fields(first, first + 1):
                for at in range(0, len(listed) - size + 1, size):
                    yield bluetooth.UUID(listed[at : at + size])

    def manufacturer(self, filter=None):
        for _, raw in self._fields(_FIELD_MANUFACTURER):
            if len(raw) >= 2:
                company = raw[0] | raw[1] << 8
                if filter is None or filter == company:
                    yield company, raw[2:]


class scan:
    # `async with scan(...) as scanner: async for result in scanner:`. One at a time.
    # duration_ms=0: until the block is left.
    def __init__(self, duration_ms, interval_us=None, window_us=None, active=False):
        self._duration_ms = duration_ms
        self._interval_us = interval_us or _SCAN_US
        self._window_us = window_us or _SCAN_US
        self._active = active
        self._queue = []
        self._event = asyncio.ThreadSafeFlag()
        self._done = False
        self._results = {}  # (addr_type, addr) -> ScanResult

    async def __aenter__(self):
        global _scanner
        ensure_active()
        if _scanner:
            raise ValueError("another scan is in progress")
        _scanner = self
        try:
            ble.gap_scan(self._duration_ms, self._interval_us, self._window_us, self._active)
        except OSError:
            _scanner = None
            raise
        return self

    async def __aexit__(self, kind, error, trace):
        await self.cancel()

    def __aiter__(self):
        return self

    async def __anext__(self):
        while True:
            while self._queue:
                addr_type, addr, adv_type, rssi, payload = self._queue.pop(0)
                result = self._results.get((addr_type, addr))
                if result is None:
                    result = self._results[addr_type, addr] = ScanResult(Device(addr_type, addr))
                if result._update(adv_type, rssi, payload):
                    return result
            if self._done:
                raise StopAsyncIteration
            await self._event.wait()

    async def cancel(self):
        global _scanner
        if _scanner is not self:
            return
        try:
            if not self._done:
                ble.gap_scan(None)
                while not self._done:
                    await self._event.wait()
        except OSError:
            pass  # the radio was switched off meanwhile
        finally:
            _scanner = None
