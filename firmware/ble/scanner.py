"""Receives advertisements of locks whenever the radio is free. Owns the scan; what they mean is for the registry.

Every advertisement is handed on, also an unchanged one: it shows that the lock is near. The interrupt
handler sorts out what cannot be a lock's before anything is allocated.
"""

from firmware.lib.compat import const
from firmware.lib.errors import LinkError
from firmware.system.inbox import Inbox
from firmware.system.timing import sleep_ms

_MANUFACTURER = const(0xFF)
_MIN_LEN = const(15)  # of manufacturer data (lock-ble-link.md 2.1)

_DEPTH = const(48)


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
    """Calls `on_sighting(address, addr_type, rssi_dbm, manufacturer)` for each advertisement of a lock."""

    def __init__(self, radio, on_sighting, log):
        self._radio = radio
        self._on_sighting = on_sighting
        self._log = log.area("scanner")
        self._adverts = Inbox(_DEPTH)
        self._is_over = False

    @property
    def dropped(self):
        """Advertisements lost because the loop was busy; they come again."""
        return self._adverts.dropped

    async def run(self, lease):
        """Scan for ever, pausing while the radio is taken. Raises LinkError when the radio refuses to scan."""
        radio = self._radio
        radio.on_advert = self._on_advert
        radio.on_scan_end = self._on_end
        try:
            while True:
                lease.suspend()
                while not radio.is_idle():  # somebody may take it while we are waking up
                    await radio.until_idle()
                lease.renew()
                self._adverts.clear()
                self._is_over = False
                radio.start_scan()
                while not self._is_over:  # somebody has taken the radio, or the stack has stopped
                    lease.suspend()
                    item = await self._adverts.get()
                    lease.renew()
                    while item:
                        self._on_sighting(*item)
                        item = self._adverts.get_nowait()
                    await sleep_ms(0)
        except LinkError as err:
            self._log.warn("failed", err=err)
            raise
        finally:
            radio.on_advert = radio.on_scan_end = None
            radio.stop_scan()

    def renew(self):
        """Begin the scan anew, should the stack have lost it; to be called each minute."""
        self._radio.stop_scan()

    # --- in the interrupt handler

    def _on_end(self):
        self._is_over = True
        self._adverts.put(False)

    def _on_advert(self, addr_type, address, kind, rssi_dbm, payload):
        at = find_field(payload, _MANUFACTURER, _MIN_LEN)
        if at >= 0 and looks_like_lock(address, payload, at):
            manufacturer = bytes(payload[at : at + payload[at - 2] - 1])
            self._adverts.put((bytes(address), addr_type, rssi_dbm, manufacturer))
