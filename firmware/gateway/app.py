"""The gateway's composition root: settings, board, radio, network and the gateway's own modules wired together, and the
jobs that keep them going. Without usable settings only the console and the light run.
"""

import asyncio
import gc
import os
import sys

from firmware import board
from firmware.gateway import identity, light, provisioning, settings
from firmware.gateway.diagnostics import Diagnostics, Metrics, Uptime
from firmware.lib.compat import const
from firmware.lib.errors import ConfigError
from firmware.system import config
from firmware.system.console import Console
from firmware.system.log import Log
from firmware.system.supervisor import Supervisor
from firmware.system.timing import sleep_ms, ticks_diff, ticks_ms
from firmware.version import VERSION

_LOCKS = "/data/locks"
_RECORDS = "/data/records"
_IDS = "/data/ids"
_LIGHT = (18, 19, 21)
_IDS_SEGMENT = const(64)
_IDS_SEGMENTS = const(11)
_WATCHDOG_MS = const(60000)
_REPORT_MS = const(30000)
_LOOK_MS = const(500)
_REBOOT_MS = const(500)  # the answer gets out before


class App:
    """The running gateway. `run` ends only when it is cancelled."""

    def __init__(self, log):
        self._log_root = log
        self._log = log.area("gateway")
        self._uptime = Uptime(ticks_ms, ticks_diff)
        self._id = board.unique_id().hex()
        self._reset = board.reset_cause()
        self._boot = identity.boot_number(board)
        self._reboot_ms = None
        self._nonce = ""
        self._heap_low = None
        self._tools = None
        self._supervisor = Supervisor(log, ticks_ms, self._watchdog(), self._give_up)
        add = self._supervisor.add
        about = forget = None
        try:
            values = config.load(settings.PATH, settings.table())
            self._assemble(values)
            about, forget = self._about, self._tools.gateway_ops.forget
            self._state = self._light_state
        except ConfigError as err:
            self._log.error("settings_unusable", err=err)
            self._state = lambda: light.UNPROVISIONED
        self._provisioning = provisioning.Provisioning(self._id, self._ask_reboot, settings.PATH, about, forget)
        add("console", lambda: Console().serve(self._provisioning.handle))
        add("light", light.Light(board.Light(_LIGHT), lambda: self._state()).run)
        add("housekeeping", self._housekeeping, _REPORT_MS)

    def _watchdog(self):
        try:
            return board.Watchdog(_WATCHDOG_MS).feed
        except (AttributeError, OSError) as err:
            self._log.warn("no_watchdog", err=err)
            return None

    def _give_up(self, name):
        board.reset()

    def _ask_reboot(self):
        self._reboot_ms = ticks_ms()

    def _assemble(self, values):
        """Build everything that needs settings. Raises ConfigError."""
        from firmware.gateway.background import Background
        from firmware.gateway.bridge import Bridge
        from firmware.gateway.clocks import Clocks
        from firmware.gateway.dedupe import Dedupe
        from firmware.gateway.gateway_ops import GatewayOps
        from firmware.gateway.links import Links
        from firmware.gateway.outgoing import Outgoing
        from firmware.gateway.rates import Rates
        from firmware.gateway.records import Records
        from firmware.gateway.registry import MAX_LOCKS, Registry
        from firmware.gateway.scheduler import Scheduler
        from firmware.gateway.states import States
        from firmware.gateway.tools import Tools
        from firmware.gateway.uploads import Uploads
        from firmware.lib.topics import Topics
        from firmware.net.clock import Clock
        from firmware.system.journal import Journal

        log = self._log_root
        tools = self._tools = Tools()
        now_s = tools.now_s = self._uptime.seconds
        tools.settings = values
        tools.most_locks = MAX_LOCKS
        tools.topics = Topics(self._id, values.mqtt_base)
        tools.metrics = Metrics()
        tools.clock = Clock(board, values.ntp_host, log, values.ntp_port)
        tools.registry = registry = Registry(_LOCKS, now_s, log, values.presence_s)
        tools.dedupe = Dedupe(Journal(_IDS, _IDS_SEGMENT, _IDS_SEGMENTS), now_s)
        tools.rates = Rates(values.unlock_per_min, values.unlock_per_h, values.other_per_min)
        self._network(values)
        mqtt = self._mqtt
        tools.outgoing = Outgoing(mqtt, log)
        tools.clocks = Clocks(tools.clock, registry, log, values.clock_max_drift_s)
        records = tools.records = Records(
            _RECORDS, registry, tools.clocks, tools.clock, tools.outgoing, tools.topics, now_s, log
        )
        by_consumer = values.records_ack == "consumer"
        tools.uploads = Uploads(registry, records, tools.topics, mqtt, now_s, log, by_consumer)
        records.on_stored = tools.uploads.wake
        tools.states = States(registry, tools.topics, mqtt, tools.clock, now_s)
        central = self._radio(log)
        links = Links(central, self._make_link, registry)
        tools.scheduler = Scheduler(links.open, registry, log, values.linger_ms, self._alive("scheduler"))
        tools.on_locks = self._publish_info
        self._secret, self._public = identity.own_key(board)
        tools.gateway_ops = GatewayOps(tools, self._secret, self._public, self._about)
        bridge = Bridge(tools, log)
        background = Background(registry, tools.scheduler, records, tools.clocks, now_s, log)
        registry.on_change = tools.states.mark
        registry.on_records = records.flagged
        registry.on_sight = records.want
        mqtt.set_callback(bridge.take)
        mqtt.on_connected = self._connected
        add = self._supervisor.add
        add("wifi", self._wifi.run)
        add("mqtt", self._keep_mqtt)
        add("clock", self._keep_clock)
        add("scanner", self._scanner.run, _REPORT_MS)
        add("scheduler", tools.scheduler.run, 2 * _REPORT_MS)
        add("deadlines", tools.scheduler.watch)
        add("bridge", bridge.run)
        add("outgoing", tools.outgoing.run)
        add("states", tools.states.run)
        add("uploads", tools.uploads.run)
        add("background", background.run)
        add("diagnostics", Diagnostics(tools.metrics, self._gather, tools.topics, mqtt).run)

    def _network(self, values):
        from firmware.net.mqtt import Mqtt
        from firmware.net.wifi import Wifi

        log = self._log_root
        self._wifi = Wifi(values.wifi_ssid, values.wifi_password, log)
        mqtt = self._mqtt = Mqtt(
            "gatehouse-" + self._id,
            values.mqtt_host,
            values.mqtt_port,
            log,
            values.mqtt_user or None,
            values.mqtt_password or None,
            values.keepalive_s,
            identity.authority(values.mqtt_ca),
            values.insecure_broker,
        )
        topics = self._tools.topics
        mqtt.set_last_will(topics.gateway("status"), "offline", True, 1)
        mqtt.subscribe(topics.obeyed())

    def _radio(self, log):
        from firmware.ble.central import Central
        from firmware.ble.radio import Radio
        from firmware.ble.scanner import Scanner

        radio = Radio(log)
        radio.start("Gatehouse")
        self._scanner = Scanner(radio, self._tools.registry.sighting, log, self._alive("scanner"))
        return Central(radio, log)

    def _make_link(self, channel, key, header, own_lock):
        from firmware.ble.link import Link

        return Link(channel, key, header, own_lock, self._log_root)

    def _alive(self, name):
        return lambda: self._supervisor.alive(name)

    async def run(self):
        """All jobs, for ever."""
        self._log.info("started", version=VERSION, boot=self._boot, reset=self._reset, id=self._id)
        await self._supervisor.run()

    # --- jobs

    async def _keep_mqtt(self):
        await self._wifi.wait_up()
        await self._mqtt.run()

    async def _keep_clock(self):
        await self._wifi.wait_up()
        await self._tools.clock.run()

    async def _housekeeping(self):
        while True:
            self._supervisor.alive("housekeeping")
            self._uptime.seconds()
            if self._reboot_ms is not None and ticks_diff(ticks_ms(), self._reboot_ms) > _REBOOT_MS:
                self._log.info("restarting")
                board.reset()
            free = board.free_heap()
            if self._heap_low is None or free < self._heap_low:
                self._heap_low = free
            await sleep_ms(_LOOK_MS)

    async def _connected(self):
        self._nonce = os.urandom(16).hex()
        self._tools.outgoing.put(self._tools.topics.gateway("status"), "online", True)
        self._publish_info()
        self._tools.states.mark_all()
        self._tools.uploads.wake()

    # --- what others see

    def _light_state(self):
        if not self._wifi.is_up:
            return light.JOINING
        if not self._mqtt.is_up:
            return light.NO_BROKER
        return light.BUSY if self._tools.scheduler.current else light.ONLINE

    def _publish_info(self):
        from firmware.lib import reports

        self._tools.outgoing.put(self._tools.topics.gateway("info"), reports.info(**self._about()), True)

    def _about(self):
        """Members of `info`."""
        tools = self._tools
        values = tools.settings
        flags = [name for name in ("insecure_broker", "unsigned_unlock") if getattr(values, name)]
        if values.records_ack == "consumer":
            flags.append("records_ack_consumer")
        return {
            "id": self._id,
            "version": VERSION,
            "board": getattr(sys.implementation, "_machine", sys.platform),
            "micropython": ".".join(str(part) for part in sys.implementation.version[:3]),
            "name": values.name,
            "boot": self._boot,
            "reset": self._reset,
            "nonce": self._nonce,
            "x25519": self._public.hex(),
            "locks": [{"mac": lock.id, "name": lock.name} for lock in tools.registry.all()],
            "features": ["sealed"],
            "flags": flags,
        }

    def _gather(self):
        """Members of `metrics` that no Metrics counts."""
        tools = self._tools
        return {
            "uptime_s": self._uptime.seconds(),
            "boot": self._boot,
            "heap": board.free_heap(),
            "heap_low": self._heap_low,
            "rssi": self._wifi.rssi_dbm,
            "queue": len(tools.scheduler),
            "drift_ms": tools.clock.drift_ms,
            "dropped": tools.outgoing.dropped + self._scanner.dropped,
            "ts": tools.states.now_text(),
        }


def main():
    """Run the gateway; called by main.py."""
    gc.collect()
    asyncio.run(App(Log()).run())
