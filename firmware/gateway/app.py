"""The gateway's composition root: settings, board, radio, network and the gateway's own modules wired together, and the
jobs that keep them going. Without usable settings only the console and the light run.
"""

import asyncio
import gc
import os
import sys

from firmware import board
from firmware.gateway import identity, light, provisioning, settings
from firmware.gateway.diagnostics import Metrics
from firmware.gateway.failures import Failures
from firmware.lib.compat import const
from firmware.lib.errors import ConfigError
from firmware.system import config
from firmware.system.console import Console
from firmware.system.lifeline import Lifeline
from firmware.system.log import Log
from firmware.system.store import exists
from firmware.system.uptime import Uptime
from firmware.version import VERSION

_LOCKS = "/data/locks"
_RECORDS = "/data/records"
_IDS = "/data/ids"
_JOBS = "/data/jobs"
_LIGHT = (18, 19, 21)
_NAME = "Gatehouse"
_IDS_SEGMENT = const(64)
_IDS_SEGMENTS = const(11)
_SECOND = const(8)  # steps of the light
_LOOK_S = const(5)
_METRICS_S = const(60)


class App:
    """The running gateway. `run` ends only when it is cancelled."""

    def __init__(self, log, is_minimal=False):
        self._log_root = log
        self._log = log.area("gateway")
        self._uptime = Uptime()
        self._id = board.unique_id().hex()
        self._reset = board.reset_cause()
        self._lifeline = lifeline = Lifeline(board, log, is_minimal)
        self._boot = identity.boot_number(board)
        self._nonce = ""
        self._heap_low = None
        self._tools = None
        self._steps = 0
        self._look_s = _LOOK_S
        self._metrics_s = _METRICS_S
        add = lifeline.supervisor.add
        about = forget = None
        self._state = lambda: light.FAULT
        try:
            if is_minimal:
                raise ConfigError("minimal mode")
            values = config.load(settings.PATH, settings.table())
            self._assemble(values)
            about, forget = self._about, self._tools.gateway_ops.forget
            self._state = self._light_state
        except ConfigError as err:
            self._log.error("settings_unusable", err=err)
            if not is_minimal:
                self._state = lambda: light.UNPROVISIONED
        self._light = light.Light(board.Light(_LIGHT), lambda: self._state())
        lifeline.tick = self._tick
        lifeline.tick_ms = light.STEP_MS
        lifeline.is_fit = lambda: self._tools is not None or not exists(settings.PATH)
        self._provisioning = provisioning.Provisioning(
            self._id, lifeline.ask_reboot, settings.PATH, about, forget, lifeline.told
        )
        add("console", lambda lease: Console().serve(self._provisioning.handle, lease))

    def _assemble(self, values):
        """Build everything that needs settings. Raises ConfigError."""
        from firmware.gateway.background import Background
        from firmware.gateway.bridge import Bridge
        from firmware.gateway.clocks import Clocks
        from firmware.gateway.dedupe import Dedupe
        from firmware.gateway.gateway_ops import GatewayOps
        from firmware.gateway.job_store import JobStore
        from firmware.gateway.jobs import Jobs
        from firmware.gateway.links import Links
        from firmware.gateway.outgoing import Outgoing
        from firmware.gateway.radio_watch import RadioWatch
        from firmware.gateway.rates import Rates
        from firmware.gateway.records import Records
        from firmware.gateway.registry import MAX_LOCKS, Registry
        from firmware.gateway.requests import Context
        from firmware.gateway.scheduler import Scheduler
        from firmware.gateway.states import States
        from firmware.gateway.tools import Tools
        from firmware.gateway.uploads import Uploads
        from firmware.lib.topics import Topics
        from firmware.net.clock import Clock
        from firmware.system.journal import Journal
        from firmware.system.vault import Vault

        log = self._log_root
        tools = self._tools = Tools()
        now_s = tools.now_s = self._uptime.seconds
        tools.settings = values
        tools.most_locks = MAX_LOCKS
        tools.topics = Topics(self._id, values.mqtt_base)
        tools.metrics = Metrics()
        self._resolve = self._resolver(values).address
        tools.clock = Clock(board, values.ntp_host, log, values.ntp_port, self._resolve)
        tools.registry = registry = Registry(Vault(_LOCKS, board.Nvs()), now_s, log, values.presence_s)
        tools.dedupe = Dedupe(Journal(_IDS, _IDS_SEGMENT, _IDS_SEGMENTS), now_s)
        tools.rates = Rates(values.unlock_per_min, values.unlock_per_h, values.other_per_min)
        self._network(values)
        mqtt = self._mqtt
        tools.outgoing = Outgoing(mqtt, log)
        tools.failures = Failures(lambda: tools.states.now_text())
        tools.clocks = Clocks(tools.clock, registry, log, values.clock_max_drift_s)
        records = tools.records = Records(
            _RECORDS, registry, tools.clocks, tools.clock, tools.outgoing, tools.topics, now_s, log
        )
        by_consumer = values.records_ack == "consumer"
        uploads = tools.uploads = Uploads(registry, records, tools.topics, mqtt, now_s, log, by_consumer)
        records.on_stored = uploads.wake
        tools.states = States(registry, tools.topics, mqtt, tools.clock, now_s)
        central = self._start_radio(log)
        links = Links(central, self._make_link, registry)
        tools.scheduler = Scheduler(links.open, registry, log, values.linger_ms)
        tools.context = Context(
            registry,
            tools.clock,
            tools.clocks,
            records,
            uploads,
            tools.scheduler.is_wanted,
            tools.failures,
            tools.metrics,
            self._describe,
        )
        tools.on_locks = self._publish_info
        self._secret, self._public = identity.own_key(board)
        tools.gateway_ops = GatewayOps(tools, self._secret, self._public, self._about)
        tools.jobs = Jobs(tools, JobStore(_JOBS, board.Nvs()), log)
        bridge = self._bridge = Bridge(tools, log)
        tools.jobs.load()
        Background(registry, tools.scheduler, records, tools.clocks, now_s, log)
        registry.on_change = tools.states.mark
        registry.on_records = records.flagged
        registry.on_sight = records.want
        registry.on_alarm = self._alarm
        mqtt.set_callback(bridge.take)
        mqtt.on_connected = self._connected
        self._watch = RadioWatch(
            self._health, registry, self._healing.ladder.trouble, lambda: tools.scheduler.linked is not None
        )
        self._lifeline.is_idle = lambda: tools.scheduler.current is None
        add = self._lifeline.supervisor.add
        add("wifi", self._wifi.run)
        add("mqtt", self._keep_mqtt)
        add("clock", self._keep_clock)
        add("ladder", self._healing.ladder.run)
        add("scanner", self._healing.scan)
        add("scheduler", tools.scheduler.run)
        add("plan", tools.scheduler.watch)
        add("bridge", bridge.run)
        add("outgoing", tools.outgoing.run)
        add("states", tools.states.run)
        add("uploads", tools.uploads.run)

    def _resolver(self, values):
        from firmware.net.resolver import Resolver
        from firmware.net.wifi import Wifi

        self._wifi = Wifi(values.wifi_ssid, values.wifi_password, self._log_root)
        return Resolver(self._wifi.name_server)

    def _network(self, values):
        from firmware.net.mqtt import Mqtt

        log = self._log_root
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
            self._resolve,
        )
        topics = self._tools.topics
        mqtt.set_last_will(topics.gateway("status"), "offline", True, 1)
        mqtt.subscribe(topics.obeyed())

    def _start_radio(self, log):
        from firmware.ble.central import Central
        from firmware.ble.radio import Radio
        from firmware.ble.scanner import Scanner
        from firmware.gateway.healing import Healing

        radio = Radio(log)
        radio.start(_NAME)
        self._health = radio.health
        self._scanner = Scanner(radio, self._tools.registry.sighting, log)
        self._healing = Healing(radio, self._scanner, self._lifeline, log)
        return Central(radio, log)

    def _make_link(self, channel, key, header, own_lock, pin):
        from firmware.ble.link import Link

        return Link(channel, key, header, own_lock, self._log_root, pin)

    async def run(self):
        """All jobs, for ever."""
        self._log.info("started", version=VERSION, boot=self._boot, reset=self._reset, id=self._id)
        await self._lifeline.run()

    # --- jobs

    async def _keep_mqtt(self, lease):
        await self._wifi.wait_up(lease)
        await self._mqtt.run(lease)

    async def _keep_clock(self, lease):
        await self._wifi.wait_up(lease)
        await self._tools.clock.run(lease)

    def _tick(self):
        self._light.step()
        self._steps += 1
        if self._steps % _SECOND:
            return
        now_s = self._uptime.seconds()
        free = board.free_heap()
        if self._heap_low is None or free < self._heap_low:
            self._heap_low = free
        if self._tools is None:
            return
        self._tools.scheduler.wake()
        if now_s >= self._look_s:
            self._look_s = now_s + _LOOK_S
            self._watch.look()
        if now_s >= self._metrics_s and self._mqtt.is_up:
            self._metrics_s = now_s + _METRICS_S
            self._publish_metrics()

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

    def _alarm(self, lock, why):
        """Somebody seems to pass for a lock: told on its `…/event`; why, is in the log."""
        from firmware.lib import reports

        tools = self._tools
        payload = reports.event(event_type="alarm", method="unknown", who=None, rec=None, ts=tools.states.now_text())
        tools.outgoing.put(tools.topics.lock(lock.id, "event"), payload)

    def _publish_info(self):
        from firmware.lib import reports

        self._tools.outgoing.put(self._tools.topics.gateway("info"), reports.info(**self._about()), True)

    def _publish_metrics(self):
        from firmware.lib import reports

        tools = self._tools
        members = self._gather()
        members.update(tools.metrics.members())
        tools.outgoing.put(tools.topics.gateway("metrics"), reports.metrics(**members), False, True, 0)

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
            "restart": self._lifeline.told(),
            "nonce": self._nonce,
            "x25519": self._public.hex(),
            "locks": [{"mac": lock.id, "name": lock.name} for lock in tools.registry.all()],
            "features": ["sealed"],
            "flags": flags,
        }

    def _describe(self):
        """What the gateway is and how it fares, for a diagnosis; no secrets, and no list of its locks."""
        found = {key: value for key, value in self._about().items() if key not in ("locks", "x25519", "nonce")}
        found.update(self._gather())
        del found["restarts"]
        return found

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
            "dropped": {
                "requests": self._bridge.dropped,
                "outgoing": tools.outgoing.dropped,
                "adverts": self._scanner.dropped,
                "ids": tools.dedupe.dropped,
            },
            "restarts": self._lifeline.restarts.counts(),
            "ts": tools.states.now_text(),
        }


def main(is_minimal=False):
    """Run the gateway; called by main.py."""
    gc.collect()
    asyncio.run(App(Log(), is_minimal).run())
