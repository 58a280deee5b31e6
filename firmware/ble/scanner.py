"""Receives advertisements of locks whenever the radio is free. Owns the scan; what they mean is for the registry.

Every advertisement is handed on, also an unchanged one: it shows that the lock is near. The interrupt
handler sorts out what cannot be a lock's before anything is allocated.
"""

import asyncio

from firmware.lib.compat import const
from firmware.lib.errors import LinkError
from firmware.system.inbox import Inbox
from firmware.system.timing import remaining_ms, sleep_ms, ticks_add, ticks_ms

_SCAN_RESPONSE = const(4)
_MANUFACTURER = const(0xFF)
_NAME = const(0x09)
_SHORT_NAME = const(0x08)
_MIN_LEN = const(15)  # of manufacturer data (lock-ble-link.md 2.1)

_DEPTH = const(48)
_RENEW_MS = const(60000)  # a scan is restarted this often, in case the stack has stopped it
_NAMES = const(64)


def find_field(payload, kind, min_len=0):
    """Index of the content of the first AD structure of `kind` with at least `min_len` bytes, or -1; its length byte
    stands two before it. Allocates nothing."""
    at = 0
    size = len(payload)
    while at + 1 < size:
        length = payload[at]
        if length == 0 or at + 1 + length > size:
            return -1
        if payload[at + 1] == kind and length - 1 >= min_len:
            return at + 2
        at += 1 + length
    return -1


def looks_like_lock(address, payload, at):
    """True if the manufacturer data at `at` begin as V3 or end in the sender's address (lock-ble-link.md 2.2)."""
    if payload[at] == 5 and payload[at + 1] == 3:
        return True
    last = at + payload[at - 2] - 2
    for place in range(6):
        if payload[last - place] != address[place]:
            return False
    return True


class Scanner:
    """Calls `on_sighting(address, addr_type, rssi_dbm, manufacturer, name)` for each advertisement of a lock.

    `name` is None until one was heard; names come with scan responses, which are asked for while `is_active`.
    """

    def __init__(self, radio, on_sighting, log):
        self._radio = radio
        self._on_sighting = on_sighting
        self._log = log.area("scanner")
        self._heard = Inbox(_DEPTH)
        self._names = {}
        self._is_over = False
        self.is_active = False

    @property
    def dropped(self):
        """Advertisements lost because the loop was busy; they come again."""
        return self._heard.dropped

    async def run(self, lease):
        """Scan for ever, pausing while the radio is taken. Raises LinkError when the radio refuses to scan."""
        radio = self._radio
        radio.on_advert = self._take
        radio.on_scan_end = self._wake
        try:
            while True:
                await self._until_idle(lease)
                self._heard.clear()
                self._is_over = False
                was_active = self.is_active
                radio.start_scan(was_active)
                await self._listen(was_active, lease)
        except LinkError as err:
            self._log.warn("failed", err=err)
            raise
        finally:
            radio.on_advert = radio.on_scan_end = None
            radio.stop_scan()

    async def _until_idle(self, lease):
        lease.suspend()
        while not self._radio.is_idle():  # somebody may take it while we are waking up
            await self._radio.until_idle()
        lease.renew()

    async def _listen(self, was_active, lease):
        until_ms = ticks_add(ticks_ms(), _RENEW_MS)
        while remaining_ms(until_ms) and was_active == self.is_active:
            left_ms = remaining_ms(until_ms)
            lease.renew(left_ms)
            try:
                item = await self._heard.get_within(left_ms)
            except asyncio.TimeoutError:
                break
            while item is not None:
                if item is False:  # the scan has ended: somebody took the radio, or the stack stopped
                    return
                self._hand_on(*item)
                item = self._heard.get_nowait()
            if self._is_over:  # its mark found the inbox full
                return
            await sleep_ms(0)
        self._radio.on_scan_end = None  # this end is our own
        self._radio.stop_scan()
        self._radio.on_scan_end = self._wake

    def _hand_on(self, addr_type, address, rssi_dbm, manufacturer, name):
        if name is not None:
            if address not in self._names and len(self._names) >= _NAMES:
                self._names.pop(next(iter(self._names)))
            self._names[address] = name
        if manufacturer is not None:
            self._on_sighting(address, addr_type, rssi_dbm, manufacturer, self._names.get(address))

    # --- in the interrupt handler

    def _wake(self):
        self._is_over = True
        self._heard.put(False)

    def _take(self, addr_type, address, kind, rssi_dbm, payload):
        manufacturer = None
        at = find_field(payload, _MANUFACTURER, _MIN_LEN)
        if at >= 0 and looks_like_lock(address, payload, at):
            manufacturer = bytes(payload[at : at + payload[at - 2] - 1])
        elif kind != _SCAN_RESPONSE:
            return
        name = self._name(payload) if self.is_active else None
        if manufacturer is not None or name is not None:
            self._heard.put((addr_type, bytes(address), rssi_dbm, manufacturer, name))

    def _name(self, payload):
        at = find_field(payload, _NAME)
        if at < 0:
            at = find_field(payload, _SHORT_NAME)
        if at < 0:
            return None
        try:
            return str(bytes(payload[at : at + payload[at - 2] - 1]), "utf-8")
        except UnicodeError:
            return None
