"""The Wi-Fi station. The only importer of `network`. Owns association and its back-off; addresses and names are left
to the port's DHCP and DNS.
"""

import asyncio
import os

import network

from firmware.lib.compat import const
from firmware.lib.errors import NetError
from firmware.system.timing import jittered_ms, next_pause, ticks_diff, ticks_ms

_JOIN_MS = const(20000)
_LOOK_MS = const(250)
_WATCH_MS = const(1000)


class Wifi:
    """Keeps one station associated. Power saving stays as the port sets it: ESP-IDF aborts when it is turned off while
    Bluetooth runs.
    """

    def __init__(self, ssid, password, log):
        self._ssid = ssid
        self._password = password
        self._log = log.area("wifi")
        self._up = asyncio.Event()
        self._wlan = network.WLAN(network.STA_IF)

    @property
    def is_up(self):
        """True while associated and with an address."""
        return self._up.is_set()

    @property
    def rssi_dbm(self):
        """Strength of the access point's signal, or None while down."""
        try:
            return self._wlan.status("rssi") if self.is_up else None
        except (OSError, ValueError):
            return None

    def name_server(self):
        """Address of the name server that the network gave us, or None."""
        address = self._wlan.ifconfig()[3]
        return address if address != "0.0.0.0" else None

    async def wait_up(self, lease):
        """Return once associated, reporting meanwhile."""
        await lease.wait(self._up)

    async def run(self, lease):
        """Associate, watch, and associate again, until cancelled."""
        pause_s = 0
        while True:
            began_ms = ticks_ms()
            try:
                await self._join(lease)
                self._log.info("connected", address=self._wlan.ifconfig()[0], rssi_dbm=self.rssi_dbm)
                while self._wlan.isconnected():
                    await lease.sleep_ms(_WATCH_MS)
                why: object = "lost"
            except NetError as err:
                why = err
            finally:
                self._up.clear()
            ran_ms = ticks_diff(ticks_ms(), began_ms)
            pause_s = next_pause(pause_s, ran_ms)
            self._log.warn("disconnected", why=why, ran_ms=ran_ms, pause_s=pause_s)
            await lease.sleep_ms(jittered_ms(pause_s, os.urandom(1)[0]))

    async def _join(self, lease):
        """One attempt, under a deadline. Raises NetError."""
        try:
            self._wlan.active(True)
            if not self._wlan.isconnected():
                self._wlan.disconnect()
                self._wlan.connect(self._ssid, self._password)
            began_ms = ticks_ms()
            while not self._wlan.isconnected():
                if ticks_diff(ticks_ms(), began_ms) > _JOIN_MS:
                    raise NetError("not associated in %d ms, status %s" % (_JOIN_MS, self._wlan.status()))
                await lease.sleep_ms(_LOOK_MS)
        except OSError as err:  # "Wifi Internal Error" and the like
            raise NetError("cannot associate: %s" % err)
        self._up.set()
