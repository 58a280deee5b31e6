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
_RECONNECTS = const(1)
_MAX_NETWORKS = const(20)
_IDLE = const(1000)  # smaller status numbers are reasons of a failure
_NO_NETWORK = const(201)
# Authentication expired or failed, MIC failure, time-outs of the handshakes, no network with such security
_PASSWORD_REASONS = b"\x02\x0e\x0f\xca\xcc\xd2\xd3"


class Wifi:
    """Keeps one station associated; `fixed_ip` is (address, mask, router, name server), or None: by DHCP. Power saving
    stays as the port sets it: ESP-IDF aborts when it is turned off while Bluetooth runs.
    """

    def __init__(self, ssid, password, log, fixed_ip=None):
        self._ssid = ssid
        self._fixed_ip = fixed_ip
        self._password = password
        self._log = log.area("wifi")
        self._up = asyncio.Event()
        self._wlan = network.WLAN(network.STA_IF)
        self.step = "joining"  # or a word of operations.md, "Connection": where the last attempt ended
        self.failures = 0  # attempts in a row
        self.why = ""

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

    # Of the add window alone

    def stop(self):
        """Leave the network, and switch the radio off."""
        self._up.clear()
        self._wlan.active(False)

    def scan(self):
        """Networks that are heard, as `WLAN.scan` has them; takes seconds. An OSError of the port is raised."""
        self._wlan.active(True)
        return self._wlan.scan()

    def joined(self):
        """(address, channel) while up."""
        return self._wlan.ifconfig()[0], self._wlan.config("channel")

    async def wait_up(self, lease):
        """Return once associated, reporting meanwhile."""
        await lease.wait(self._up)

    async def run(self, lease):
        """Associate, watch, and associate again, until cancelled."""
        pause_s = 0
        while True:
            began_ms = ticks_ms()
            try:
                await self.join(lease)
                self.step = "joining"
                self.failures = 0
                self._log.info("connected", address=self._wlan.ifconfig()[0], rssi_dbm=self.rssi_dbm)
                while self._wlan.isconnected():
                    await lease.sleep_ms(_WATCH_MS)
                why: object = "lost"
            except NetError as err:
                why = err
                self.step = err.step
                self.failures += 1
                self.why = str(err)
            finally:
                self._up.clear()
            ran_ms = ticks_diff(ticks_ms(), began_ms)
            pause_s = next_pause(pause_s, ran_ms)
            self._log.warn("disconnected", why=why, ran_ms=ran_ms, pause_s=pause_s)
            await lease.sleep_ms(jittered_ms(pause_s, os.urandom(1)[0]))

    async def join(self, lease):
        """One attempt, under a deadline. Raises NetError."""
        try:
            self._wlan.active(True)
            self._wlan.config(reconnects=_RECONNECTS)  # for ever, the port's default, hides the reason of a failure
            if not self._wlan.isconnected():
                self._wlan.disconnect()
                if self._fixed_ip:
                    self._wlan.ifconfig(self._fixed_ip)  # ends DHCP on this interface
                self._wlan.connect(self._ssid, self._password)
            began_ms = ticks_ms()
            while not self._wlan.isconnected():
                status = self._wlan.status()
                if status < _IDLE:
                    raise NetError("not associated, reason %d" % status, _step(status))
                if ticks_diff(ticks_ms(), began_ms) > _JOIN_MS:
                    raise NetError("nothing in %d ms, status %d" % (_JOIN_MS, status), self._step_at_timeout())
                await lease.sleep_ms(_LOOK_MS)
        except OSError as err:  # "Wifi Internal Error" and the like
            raise NetError("cannot associate: %s" % err, "wifi")
        self._up.set()

    def _step_at_timeout(self):
        """The driver knows a signal's strength once it is associated: then only the address is missing."""
        try:
            self._wlan.status("rssi")
            return "address"
        except (OSError, ValueError):
            return "wifi"


def networks():
    """The networks that the radio hears: [(name, dBm, security as the port numbers it)], the strongest first, each name
    once, without those that hide it or are no UTF-8. Takes some seconds, in which nothing else runs: somebody waits for
    it. An attempt to join ends, as the driver does not look around meanwhile. Raises NetError."""
    wlan = network.WLAN(network.STA_IF)
    try:
        wlan.active(True)
        try:
            found = wlan.scan()
        except OSError:  # "STA is connecting, scan are not allowed!"
            wlan.disconnect()
            found = wlan.scan()
    except OSError as err:
        raise NetError("cannot look around: %s" % err, "wifi")
    told: list = []
    names = set()
    for ssid, _, _, dbm, auth, _ in sorted(found, key=lambda each: -each[3]):
        try:
            name = str(bytes(ssid), "utf-8")
        except UnicodeError:
            continue
        if name and name not in names and len(told) < _MAX_NETWORKS:
            names.add(name)
            told.append((name, dbm, auth))
    return told


def _step(reason):
    """The driver's reason (`wifi_err_reason_t` of ESP-IDF) as a word."""
    if reason == _NO_NETWORK:
        return "wifi_name"
    return "wifi_password" if bytes((reason & 0xFF,)) in _PASSWORD_REASONS else "wifi"
