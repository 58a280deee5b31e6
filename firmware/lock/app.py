"""The lock's composition root: board, stores and radio wired together, and the jobs that keep them going.

Decides nothing about credentials or commands. Jobs: `link` (advertise, one client at a time), `mechanics` (bolt,
button, light, advertisement, battery), `guard` (the motor off when `mechanics` hangs), `console` (panel and settings
over the serial port).
"""

import asyncio
import gc

from firmware import board
from firmware.lib import advert
from firmware.lib.compat import const
from firmware.lib.errors import LinkError, LinkTimeout
from firmware.lock import bolt
from firmware.lock.build import Hardware, build
from firmware.lock.console import Words
from firmware.lock.identity import Identity
from firmware.lock.settings import TABLE
from firmware.system import config
from firmware.system.log import Log
from firmware.system.supervisor import Supervisor
from firmware.system.timing import sleep_ms, ticks_diff, ticks_ms
from firmware.version import VERSION

_FOLDER = "/data"
_SETTINGS = "/data/settings.json"

_MOTOR_LOCK = const(25)
_MOTOR_UNLOCK = const(26)
_SWITCH_LOCKED = const(32)
_SWITCH_UNLOCKED = const(33)
_BUTTON = const(27)
_BATTERY = const(34)
_BUZZER = const(23)
_LIGHT = (18, 19, 21)

_EPOCH_S = const(946684800)  # 2000-01-01 as Unix time
_MOVING_MS = const(10)
_RESTING_MS = const(50)
_LINKED_MS = const(60)
_BATTERY_MS = const(10000)
_GUARD_MS = const(250)
_REPORT_MS = const(20000)
_REBOOT_MS = const(500)  # the answer gets out before
_WATCHDOG_MS = const(60000)


class _Pins:
    def __init__(self):
        self.motor = board.Motor(_MOTOR_LOCK, _MOTOR_UNLOCK)
        self.switch_locked = board.Input(_SWITCH_LOCKED)
        self.switch_unlocked = board.Input(_SWITCH_UNLOCKED)


class _Nvs:
    def get(self, space, key):
        return board.nvs_get(space, key)

    def set(self, space, key, octets):
        board.nvs_set(space, key, octets)

    def erase(self, space, key):
        board.nvs_erase(space, key)

    def scrub(self, key):
        board.nvs_scrub(key)


class _Names:
    """What the GATT database says (lock-ble-link.md 3.1)."""

    def __init__(self, identity, name):
        self.device_name = name
        self.manufacturer = "Gatehouse"
        self.model = identity.model
        self.hardware = identity.hardware
        self.firmware = identity.firmware


class Uptime:
    """Milliseconds since start that do not wrap, out of ticks that do."""

    def __init__(self):
        self._last = ticks_ms()
        self._ms = 0

    def now_ms(self):
        """To be called more often than ticks wrap (six days)."""
        now = ticks_ms()
        self._ms += ticks_diff(now, self._last)
        self._last = now
        return self._ms


def _rtc_s():
    return max(0, board.unix_now() - _EPOCH_S)


def _set_rtc(seconds):
    board.set_rtc(seconds + _EPOCH_S)


class App:
    """The running lock. `run` ends only when it is cancelled."""

    def __init__(self, log, settings, radio):
        from firmware.ble.peripheral import Peripheral

        self._log = log.area("lock")
        self._settings = settings
        self._uptime = Uptime()
        address = board.bluetooth_address()
        identity = Identity(address, VERSION)
        self._name = advert.lock_name("GH1", address)
        hardware = Hardware(
            _Pins(),
            board.Input(_BUTTON),
            board.Light(_LIGHT),
            board.Buzzer(_BUZZER),
            _rtc_s,
            _set_rtc,
            _Nvs(),
            board.reset_cause() == "power_on",
        )
        self._gauge = board.Gauge(_BATTERY)
        self._lock = build(_FOLDER, hardware, settings, identity, self._uptime.now_ms(), self._log)
        self._device = self._lock.device
        self._engine = self._lock.engine
        self._identity = identity
        self._battery_ms = None
        self._reboot_ms = None
        self._peripheral = Peripheral(radio, _Names(identity, self._name), log)
        self._supervisor = Supervisor(log, ticks_ms, self._watchdog(log), lambda name: board.reset())
        self._supervisor.add("link", self._links)
        self._supervisor.add("mechanics", self._mechanics, _REPORT_MS)
        self._supervisor.add("guard", self._guard)
        self._supervisor.add("console", self._console)
        self._measure(self._uptime.now_ms())
        self._advertise(self._uptime.now_ms())

    def _watchdog(self, log):
        try:
            return board.Watchdog(_WATCHDOG_MS).feed
        except (AttributeError, OSError) as err:
            log.area("lock").warn("no_watchdog", err=err)
            return None

    async def run(self):
        """All jobs, for ever."""
        device = self._device
        self._log.info("started", version=VERSION, paired=device.keys.is_paired, bolt=device.bolt.state)
        await self._supervisor.run()

    # Jobs

    async def _links(self):
        while True:
            connection = await self._peripheral.accept()
            try:
                self._engine.connected(connection.link, self._uptime.now_ms())
                await self._serve(connection)
            except LinkError as err:
                self._log.info("link_lost", why=str(err))
            finally:
                await connection.disconnect()
                now_ms = self._uptime.now_ms()
                self._engine.disconnected(connection.link, now_ms)
                self._advertise(now_ms)
                self._log.info("disconnected", epoch=connection.epoch)
                gc.collect()

    async def _serve(self, connection):
        engine = self._engine
        while True:
            wait_ms = _MOVING_MS if engine.ticket is not None else _LINKED_MS
            try:
                part = await connection.receive(wait_ms)
                frames = engine.receive(connection.link, part, self._uptime.now_ms())
            except LinkTimeout:
                frames = engine.poll(self._uptime.now_ms())
            for raw in frames:
                await connection.send(raw)
            if engine.is_over:
                self._log.info("dropping", epoch=connection.epoch)
                return

    async def _mechanics(self):
        try:
            await self._watch_mechanics()
        finally:
            self._device.give_up(self._uptime.now_ms())  # a job that ended drives no motor

    async def _guard(self):
        while True:  # should the other job hang
            self._device.guard(self._uptime.now_ms())
            await sleep_ms(_GUARD_MS)

    async def _watch_mechanics(self):
        device = self._device
        while True:
            now_ms = self._uptime.now_ms()
            was = device.bolt.state
            device.poll(now_ms)
            self._lock.button.poll(now_ms)
            if device.bolt.state != was:
                self._log.info("bolt", state=device.bolt.state, movements=device.bolt.movements)
            self._measure(now_ms)
            self._advertise(now_ms)
            self._supervisor.alive("mechanics")
            if self._reboot_ms is not None and now_ms >= self._reboot_ms:
                board.reset()
            await sleep_ms(_MOVING_MS if device.bolt.is_moving else _RESTING_MS)

    async def _console(self):
        from firmware.system.console import Console

        words = Words(
            self._lock.keypad,
            self._describe,
            self._hello,
            self._reboot,
            self._uptime.now_ms,
            self._settings,
            _SETTINGS,
            TABLE,
        )
        await Console().serve(words.handle)

    # What others see

    def _measure(self, now_ms):
        if self._battery_ms is not None and now_ms - self._battery_ms < _BATTERY_MS:
            return
        self._battery_ms = now_ms
        level_pct = max(0, min(100, self._gauge.level_pct()))
        if level_pct != self._device.battery_pct:
            self._device.battery_pct = level_pct
            self._log.info("battery", level_pct=level_pct)
        self._peripheral.set_battery(level_pct)

    def _advertise(self, now_ms):
        device = self._device
        identity = self._identity
        is_awake = device.is_awake(now_ms) and not self._engine.is_throttled(now_ms)
        interval_ms = self._settings.adv_awake_ms if is_awake else self._settings.adv_asleep_ms
        content = advert.encode_manufacturer(identity.address, identity.scene, device.flags(now_ms), device.battery_pct)
        self._peripheral.set_advert(content, self._name, interval_ms)

    def _reboot(self):
        self._reboot_ms = self._uptime.now_ms() + _REBOOT_MS

    def _hello(self):
        return {
            "ok": True,
            "role": "lock",
            "id": "".join("%02x" % octet for octet in self._identity.address),
            "version": VERSION,
            "name": self._name,
            "address": ":".join("%02x" % octet for octet in self._identity.address),
            "paired": self._device.keys.is_paired,
            "panel": self._settings.panel,
            "reset": board.reset_cause(),
        }

    def _describe(self):
        device = self._device
        now_ms = self._uptime.now_ms()
        return {
            "bolt": device.bolt.state,
            "door": "unknown",
            "light": device.feedback.colour,
            "sound": device.feedback.word,
            "sounding": device.feedback.is_sounding,
            "clock": "%04d-%02d-%02dT%02d:%02d:%02d" % device.clock.date6(),
            "clock_trusted": device.clock.is_trusted,
            "paired": device.keys.is_paired,
            "settable": device.pairing.is_open(now_ms),
            "battery": device.battery_pct,
            "records": len(device.ring),
            "autolock_s": device.options.autolock_s,
            "movements": device.bolt.movements,
            "jammed": device.bolt.state == bolt.JAMMED,
        }


def main():
    """Start the lock; returns only if its loop ends."""
    from firmware.ble.radio import Radio
    from firmware.lib.errors import ConfigError

    log = Log()
    try:
        settings = config.load(_SETTINGS, TABLE)
    except ConfigError as err:  # the door must work: defaults, and say so
        log.area("lock").error("settings_ignored", why=str(err))
        settings = TABLE.check({})
    asyncio.run(App(log, settings, Radio(log)).run())
