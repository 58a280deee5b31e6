"""The lock's composition root: board, stores and radio wired together, and the jobs that keep them going.

Decides nothing about credentials or commands. Jobs: `link` (advertise, one client at a time), `mechanics` (bolt,
button, light, advertisement, battery), `console` (panel and settings over the serial port). When
`mechanics` hangs, `housekeeping` switches the motor off.
"""

import asyncio
import gc
import sys

from firmware import board
from firmware.lib import advert, dates
from firmware.lib.compat import const, unload
from firmware.lib.errors import LinkError, LinkTimeout
from firmware.lock import bolt
from firmware.lock.build import Hardware, Lock, make_identity
from firmware.system.lifeline import Lifeline
from firmware.system.log import Log
from firmware.system.timing import Uptime, sleep_ms
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
_DOOR = const(14)  # to ground while closed, as the case's and the knob's
_TAMPER = const(13)
_PRIVACY = const(22)

_MOVING_MS = const(5)
_RESTING_MS = const(50)
_LINKED_MS = const(60)
_BATTERY_MS = const(10000)
_GUARD_MS = const(250)
_MAX_FAULTS = const(3)


class _Pins:
    def __init__(self):
        self.motor = board.Motor(_MOTOR_LOCK, _MOTOR_UNLOCK)
        self.switch_locked = board.Input(_SWITCH_LOCKED)
        self.switch_unlocked = board.Input(_SWITCH_UNLOCKED)


class _Names:
    """What the GATT database says (lock-ble-link.md 3.1)."""

    def __init__(self, identity, name):
        self.device_name = name
        self.manufacturer = identity.maker
        self.model = identity.model
        self.hardware = identity.hardware
        self.firmware = identity.firmware


def _rtc_s():
    return max(0, board.unix_now() - dates.UNIX_2000)


def _set_rtc(seconds):
    board.set_rtc(seconds + dates.UNIX_2000)


class App:
    """The running lock. `run` ends only when it is cancelled. `has_settings`: those of the owner's file can be used."""

    def __init__(self, log, settings, radio, is_minimal=False, has_settings=True):
        from firmware.ble.peripheral import Peripheral

        self._log = log.area("lock")
        self._has_panel = settings.panel
        self._intervals_ms = settings.adv_awake_ms, settings.adv_asleep_ms
        self._lifeline = lifeline = Lifeline(board, log, is_minimal)
        self._uptime = Uptime()
        address = board.bluetooth_address()
        identity = make_identity(address, VERSION, settings)
        self._name = advert.lock_name(identity.prefix, address)
        hardware = Hardware(
            _Pins(),
            board.Input(_BUTTON),
            board.Light(_LIGHT),
            board.Buzzer(_BUZZER),
            _rtc_s,
            _set_rtc,
            board.Nvs(),
            board.reset_cause() == "power_on",
            board.Input(_DOOR) if settings.door_sensor else None,
            board.Input(_TAMPER),
            board.Input(_PRIVACY),
        )
        self._gauge = board.Gauge(_BATTERY)
        now_ms = self._uptime.now_ms()
        self._lock = Lock(_FOLDER, hardware, settings, identity, now_ms, self._log, self._about_board)
        self._device = self._lock.device
        self._stores = self._lock.stores
        self._engine = self._lock.engine
        self._identity = identity
        self._battery_ms = None
        self._peripheral = Peripheral(radio, _Names(identity, self._name), log)
        self._connection = None
        lifeline.is_idle = self._is_idle
        lifeline.make_safe = self.make_safe
        lifeline.tick = lambda: self._lock.motion.guard(self._uptime.now_ms())  # should `mechanics` hang
        lifeline.tick_ms = _GUARD_MS
        lifeline.is_fit = lambda: has_settings
        lifeline.supervisor.add("link", self._links)
        lifeline.supervisor.add("mechanics", self._mechanics)
        if not is_minimal:
            lifeline.supervisor.add("console", self._console)
        self._measure(now_ms)
        self._advertise(now_ms)

    def make_safe(self):
        """Whatever happens next, the motor does not go on."""
        self._device.bolt.give_up()

    def _is_idle(self):
        return self._connection is None and not self._device.bolt.is_moving

    async def run(self):
        """All jobs, for ever."""
        device = self._device
        self._log.info("started", version=VERSION, paired=self._stores.keys.is_paired, bolt=device.bolt.state)
        await self._lifeline.run()

    # Jobs

    async def _links(self, lease):
        while True:
            connection = await self._peripheral.accept(lease)
            try:
                self._connection = connection
                self._engine.connected(connection.link, self._uptime.now_ms())
                await self._serve(connection, lease)
            except LinkError as err:
                self._log.info("link_lost", why=str(err))
            finally:
                self._connection = None
                await connection.disconnect()
                now_ms = self._uptime.now_ms()
                self._engine.disconnected(connection.link, now_ms)
                self._advertise(now_ms)
                self._log.info("disconnected", epoch=connection.epoch)
                gc.collect()

    async def _serve(self, connection, lease):
        engine = self._engine
        while True:
            lease.renew()
            self._peripheral.open_again(engine.shares)
            engine.has_rival = self._peripheral.has_next
            try:
                part = await connection.receive(_LINKED_MS)  # `_step` cuts it short when the bolt has arrived
                frames = engine.receive(connection.link, part, self._uptime.now_ms())
            except LinkTimeout:
                frames = engine.poll(self._uptime.now_ms())
            for raw in frames:
                await connection.send(raw)
            if engine.is_over:
                self._log.info("dropping", epoch=connection.epoch)
                return

    async def _mechanics(self, lease):
        """A step that fails is tried again at once, so that a movement under way is finished; the third failure in a
        row stops the motor and is the supervisor's."""
        device = self._device
        faults = 0
        try:
            while True:
                try:
                    self._step()
                    faults = 0
                except Exception as err:
                    gc.collect()
                    faults += 1
                    if faults >= _MAX_FAULTS:
                        raise
                    self._log.crash("step_failed", err)
                lease.renew()
                is_busy = device.bolt.is_moving or self._lock.keypad.is_busy
                await sleep_ms(_MOVING_MS if is_busy else _RESTING_MS)
        finally:
            self._lock.motion.give_up(self._uptime.now_ms())  # a job that ended drives no motor

    def _step(self):
        device = self._device
        now_ms = self._uptime.now_ms()
        was = device.bolt.state
        ticket = self._engine.ticket
        self._lock.poll(now_ms)
        if self._connection and self._engine.ticket is not ticket:
            self._connection.nudge()
        if device.bolt.state != was:
            self._log.info("bolt", state=device.bolt.state, movements=device.bolt.movements)
        self._measure(now_ms)
        self._advertise(now_ms)

    async def _console(self, lease):
        from firmware.lock.console import Panel, Words
        from firmware.system.console import serve

        lock = self._lock
        panel = Panel(lock.keypad, lock.reader, self._describe, self._uptime.now_ms, self._has_panel)
        words = Words(panel, self._hello, self._lifeline.ask_reboot, _SETTINGS)
        await serve(words.handle, lease)

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
        is_awake = device.is_awake(now_ms) and not self._engine.is_throttled(now_ms)
        interval_ms = self._intervals_ms[0 if is_awake else 1]
        content = device.advertised(self._identity, now_ms)
        name = self._stores.name.text or self._name
        self._peripheral.set_advert(content, name, interval_ms, device.shows_service)

    def _hello(self):
        return {
            "ok": True,
            "role": "lock",
            "id": "".join("%02x" % octet for octet in self._identity.address),
            "version": VERSION,
            "name": self._name,
            "address": ":".join("%02x" % octet for octet in self._identity.address),
            "paired": self._device.pairing.is_final,
            "panel": self._has_panel,
            "reset": board.reset_cause(),
            "restart": self._lifeline.describe(),
        }

    def _about_board(self):
        start = self._lifeline.describe()
        return {
            "uptime_s": self._uptime.seconds(),
            "reset": board.reset_cause(),
            "restart": {key: start[key] for key in ("why", "what", "minimal", "counts")},
            "heap": board.free_heap(),
            "board": getattr(sys.implementation, "_machine", sys.platform),
            "micropython": ".".join(str(part) for part in sys.implementation.version[:3]),
        }

    def _describe(self):
        device = self._device
        options = self._stores.options
        clock = self._stores.clock
        return {
            "bolt": device.bolt.state,
            "door": ("open", "closed", "unknown")[device.door_byte()],
            "double_locked": bool(options.double_locked),
            "frozen": bool(options.frozen),
            "passage": self._stores.passage.is_holding,
            "siren": device.feedback.is_alarming,
            "volume": options.volume if options.sound else 0,
            "light": device.feedback.colour,
            "sound": device.feedback.word,
            "sounding": device.feedback.is_sounding,
            "clock": "%04d-%02d-%02dT%02d:%02d:%02d" % clock.date6(),
            "clock_trusted": clock.is_trusted,
            "paired": device.pairing.is_final,
            "settable": device.pairing.is_open(self._uptime.now_ms()),
            "battery": device.battery_pct,
            "records": len(self._stores.ring),
            "autolock_s": options.autolock_s,
            "movements": device.bolt.movements,
            "jammed": device.bolt.state == bolt.JAMMED,
        }


def _load_settings(log):
    """(the owner's settings, True if those of the file can be used). Their table does not stay in memory."""
    from firmware.lib.errors import ConfigError
    from firmware.lock.settings import TABLE
    from firmware.system import config

    try:
        return config.load(_SETTINGS, TABLE), True
    except ConfigError as err:  # the door must work: defaults, and say so
        log.area("lock").error("settings_ignored", why=str(err))
        return TABLE.check({}), False
    finally:
        unload(("firmware.lock.settings", "firmware.system.config"))


def _make(is_minimal):
    """The App, in a function of its own: nothing keeps the settings, and with them their module, while it runs."""
    from firmware.ble.radio import Radio

    log = Log()
    settings, has_settings = _load_settings(log)
    gc.collect()  # what stays is built where their table was, not behind the hole
    return App(log, settings, Radio(log, True), is_minimal, has_settings)


def main(is_minimal=False):
    """Start the lock; returns only if its loop ends."""
    app = _make(is_minimal)
    try:
        asyncio.run(app.run())
    finally:
        app.make_safe()
