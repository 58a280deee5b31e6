"""The gateway's composition root: settings, board, radio, network and the gateway's own modules wired together, and the
jobs that keep them going. Without usable settings only the console and the light run.
"""

import asyncio
import gc
import sys

from firmware import board
from firmware.gateway import diagnostics, provisioning
from firmware.lib import reports
from firmware.lib.compat import const, has_small_heap, unload
from firmware.lib.errors import ConfigError
from firmware.system.console import serve
from firmware.system.lifeline import Lifeline
from firmware.system.log import Log
from firmware.system.store import exists
from firmware.system.timing import sleep_ms
from firmware.version import BUILT, VERSION

_LOCKS = "/data/locks"
_RECORDS = "/data/records"
_IDS = "/data/ids"
_JOBS = "/data/jobs"
_ANNOUNCED = "/data/discovery"
_LIGHT = (18, 19, 21)
_BUTTON = const(0)  # the boot button
_HELD = const(80)  # steps of the light: ten seconds
_PRESSED = const(16)  # two seconds: what opens a port pulls this pin for a moment
_STUCK = const(240)  # nobody's finger; some terminals hold this pin low
_NAME = "Gatehouse"
_IDS_SEGMENT = const(64)
_IDS_SEGMENTS = const(11)
_SECOND = const(8)  # steps of the light
_LOOK_S = const(5)
_METRICS_S = const(60)
_SCAN_S = const(60)
_PIN = "remote_pin"
_FAREWELL_MS = const(5000)  # in which the broker is told that the gateway forgets everything


class App:
    """The board: its settings, if they can be used the gateway, and what runs in any case. `run` ends only when it is
    cancelled."""

    def __init__(self, log, is_minimal=False):
        self._log = log.area("gateway")
        self._lifeline = lifeline = Lifeline(board, log, is_minimal)
        self._facts = {
            "id": board.unique_id().hex(),
            "version": VERSION,
            "board": getattr(sys.implementation, "_machine", sys.platform),
            "micropython": ".".join(str(part) for part in sys.implementation.version[:3]),
            "boot": provisioning.boot_number(board),
            "reset": board.reset_cause(),
        }
        gateway = None
        self._issuers = None
        self._word = "fault" if is_minimal else "unprovisioned"
        self._window = None
        is_asked = board.nvs_get("gatehouse", "window") is not None
        if is_asked:
            board.nvs_erase("gatehouse", "window")
        is_erasing = board.nvs_get("gatehouse", "wiping") is not None
        try:
            if is_erasing:
                lifeline.supervisor.add("erasure", self._erase)
                raise ConfigError("everything is being erased")
            if is_minimal:
                raise ConfigError("minimal mode")
            if is_asked:
                raise ConfigError("its button was pressed")
            gateway = Gateway(provisioning.load(provisioning.PATH), self._facts, lifeline, log)
            self._issuers = gateway.issuers
        except ConfigError as err:
            self._log.error("settings_unusable", err=err)
        self._gateway = gateway
        self._light = diagnostics.Light(board.Light(_LIGHT), gateway.light_word if gateway else lambda: self._word)
        self._button = board.Input(_BUTTON)
        self._held = 0
        self._steps = 0
        lifeline.tick = self._tick
        lifeline.tick_ms = diagnostics.STEP_MS
        console = provisioning.Provisioning(
            self._facts["id"],
            lifeline.ask_reboot,
            provisioning.PATH,
            gateway and gateway.about,
            gateway and gateway.forget,
            lifeline.describe,
            gateway.connection if gateway else lambda: self._window and self._window.connection,
            self._who_signs,
            lambda: provisioning.own_key(board)[1],
            self._reset,
            self._forgetting,
            self._health,
            _networks,
            lambda: provisioning.pop(board),
        )
        lifeline.is_fit = lambda: gateway is not None or is_asked or console.is_begun()
        console.is_rebooting = is_erasing
        if gateway:
            gateway.reset = self._reset
        if gateway is None and not is_erasing and not is_minimal:
            lifeline.supervisor.add("window", lambda lease: self._keep_window(lease, console, is_asked, log))
        lifeline.supervisor.add("console", lambda lease: serve(console.handle, lease))

    async def run(self):
        """All jobs, for ever."""
        facts = self._facts
        self._log.info("started", version=VERSION, boot=facts["boot"], reset=facts["reset"], id=facts["id"])
        await self._lifeline.run()

    def _who_signs(self):
        """The issuers, also of a board that has no settings yet."""
        if self._issuers is None:
            from firmware.gateway.issuers import Issuers

            self._issuers = Issuers(board.Nvs())
        return self._issuers

    def _forgetting(self):
        """A secret is about to be deleted, or to be replaced."""
        if self._gateway:
            self._gateway.begin_sweep()
        else:
            board.nvs_set("gatehouse", "sweep", b"1")

    def _health(self):
        """How the board stands, with or without settings."""
        from firmware.gateway import health

        unload(("firmware.gateway.health",))
        found = health.of_board(self._facts, board.free_heap(), self._lifeline.describe())
        if self._gateway:
            found.update(self._gateway.describe())
        return found

    def _show(self, word):
        self._word = word

    async def _keep_window(self, lease, console, is_asked, log):
        """The add window, once; a gateway whose button was pressed goes on as one afterwards."""
        from firmware.ble.endpoints import Endpoints
        from firmware.ble.radio import Radio
        from firmware.gateway import window
        from firmware.net.wifi import Wifi

        self._window = window.Window(
            provisioning.pop(board),
            self._facts["id"],
            console,
            lambda ssid, password: Wifi(ssid, password, log),
            lambda *what: Endpoints(Radio(log), *what),
            self._show,
            log,
            window.ASKED_S if is_asked else window.BLANK_S,
        )
        try:
            await self._window.run(lease)
        finally:
            self._window = None
            unload(window.LATE)
            del window
            gc.collect()
        self._show("closed")
        if is_asked and not console.faults():
            self._lifeline.ask_reboot()
        await lease.wait(asyncio.Event())

    def _press(self):
        """The button was pressed for a moment: start anew, with the add window open."""
        self._log.warn("window_asked")
        board.nvs_set("gatehouse", "window", b"1")
        self._lifeline.ask_reboot()

    def _reset(self):
        """Promise to forget everything, and start anew to do it: nothing runs then that could write."""
        self._log.warn("reset")
        board.nvs_set("gatehouse", "wiping", b"1")
        is_told = self._gateway is not None and self._gateway.take_leave(self._lifeline.ask_reboot)
        self._lifeline.ask_reboot(_FAREWELL_MS if is_told else 0)

    async def _erase(self, lease):
        from firmware.gateway import erasure

        for _ in erasure.steps(board):
            lease.renew()
            await sleep_ms(0)
        self._log.warn("erased")
        self._lifeline.ask_reboot()
        await lease.wait(asyncio.Event())

    def _tick(self):
        self._light.step()
        self._steps += 1
        if self._button.is_active():
            self._held += 1
        elif self._held:
            if _HELD <= self._held <= _STUCK:
                self._reset()
            elif _PRESSED <= self._held < _HELD:
                self._press()
            self._held = 0
        if self._gateway:
            self._gateway.sweep()
            if self._steps % _SECOND == 0:
                self._gateway.each_second()


class Gateway:
    """Everything that needs settings, built in the order in which one part needs another; `facts` are members of
    `info` that do not change. Raises ConfigError."""

    def __init__(self, values, facts, lifeline, log):
        # Here, because a board without settings should not load them
        from firmware.ble.central import Central
        from firmware.ble.radio import Radio
        from firmware.ble.scanner import Scanner
        from firmware.gateway.admission import Ids, Rates, size_for
        from firmware.gateway.announcer import Announcer
        from firmware.gateway.background import Background, Clocks
        from firmware.gateway.bridge import Bridge
        from firmware.gateway.gateway_ops import GatewayOps
        from firmware.gateway.healing import Healing, RadioWatch
        from firmware.gateway.issuers import Issuers
        from firmware.gateway.job_store import JobStore
        from firmware.gateway.jobs import Jobs
        from firmware.gateway.outgoing import Outgoing, States, Uploads
        from firmware.gateway.records import Records
        from firmware.gateway.registry import Registry
        from firmware.gateway.requests import Answers, Context
        from firmware.gateway.scheduler import Scheduler
        from firmware.gateway.session import Links
        from firmware.lib.topics import Topics
        from firmware.net.clock import Clock
        from firmware.net.mqtt import Mqtt
        from firmware.net.udp import Resolver
        from firmware.net.wifi import Wifi
        from firmware.system.journal import Journal
        from firmware.system.timing import Uptime
        from firmware.system.vault import Vault

        self._facts = dict(facts, name=values.name)
        self._flags = [name for name in ("insecure_broker", "unsigned_unlock") if getattr(values, name)]
        by_consumer = values.records_ack == "consumer"
        if not by_consumer:
            self._flags.append("records_ack_puback")
        self._lifeline = lifeline
        self._log = log
        self._uptime = Uptime()
        self._heap_low = board.free_heap()
        self.reset = lambda: None  # set by the composition root
        self._sweep = self._tail = None
        self._look_s = _LOOK_S
        self._metrics_s = _METRICS_S
        self._scan_s = _SCAN_S
        keys = provisioning.own_key(board)
        self._public = keys[1]
        now_s = self._uptime.seconds

        # Network
        self._topics = topics = Topics(
            facts["id"], values.mqtt_base, values.discovery_prefix if values.discovery else ""
        )
        self._wifi = Wifi(values.wifi_ssid, values.wifi_password, log, values.fixed_ip)
        resolve = Resolver(self._wifi.name_server).address
        self._clock = clock = Clock(board, values.ntp_hosts, log, values.ntp_port, resolve, BUILT)
        self._mqtt = mqtt = Mqtt(
            "gatehouse-" + facts["id"],
            values.mqtt_host,
            values.mqtt_port,
            log,
            values.mqtt_user or None,
            values.mqtt_password or None,
            values.keepalive_s,
            provisioning.authority(values.mqtt_ca),
            values.insecure_broker,
            resolve,
            provisioning.identity(values),
        )
        mqtt.set_last_will(topics.gateway("status"), "offline", True, 1)
        mqtt.subscribe(topics.obeyed())
        self._outgoing = outgoing = Outgoing(mqtt, log)

        # What is known of the locks
        vault = Vault(_LOCKS, board.Nvs())
        self._registry = registry = Registry(vault, now_s, log, values.presence_s)
        clocks = Clocks(clock, registry, log, values.clock_max_drift_s)
        clocks.on_moved = lambda lock, moved_s: self._alarm(lock, "clock_moved", moved_s=moved_s)
        clocks.on_drift = lambda lock: self._alarm(lock, "clock_drift", drift=lock.drift)
        clock.on_trusted = self._publish_info
        records = Records(_RECORDS, registry, clocks, clock, outgoing, topics, now_s, log, values.records_clear)
        self._records = records
        self._uploads = uploads = Uploads(registry, records, topics, mqtt, now_s, log, by_consumer)
        records.on_stored = uploads.wake
        records.on_event = self._trigger
        self._states = states = States(registry, topics, mqtt, clock)
        self._announcer = None
        if values.discovery or exists(_ANNOUNCED):
            self._announcer = states.announcer = Announcer(
                _ANNOUNCED,
                registry,
                topics,
                mqtt,
                now_s,
                log,
                facts["id"],
                topics.birth[:-7],
                lambda: (self._facts["name"], self._facts["board"]),
                self._may,
                self._tell_metrics,
            )
            self._announcer.is_busy = lambda: has_small_heap() and self._scheduler.current is not None
            for event in ("changed", "kept"):
                registry.on(event, self._announcer.look)
            registry.on("removed", self._announcer.removed)

        # Radio
        radio = Radio(log)
        radio.start(_NAME)
        self._scanner = Scanner(radio, registry.sighting, log)
        healing = Healing(radio, self._scanner, lifeline, log)
        links = Links(Central(radio, log), self._make_link, registry)
        self._scheduler = scheduler = Scheduler(links.open, registry, log, values.linger_ms)
        self._watch = RadioWatch(radio.health, registry, healing.ladder.trouble, lambda: scheduler.linked is not None)

        # Requests
        self._metrics = metrics = diagnostics.Metrics()
        failures = diagnostics.Failures(clock)
        journal = Journal(_IDS, _IDS_SEGMENT, _IDS_SEGMENTS)
        self._ids = Ids(journal, now_s, vault, size_for(values.other_per_min))
        limits = values.unlock_per_min, values.unlock_per_h, values.other_per_min
        rates = Rates(*limits)
        self.issuers = issuers = Issuers(board.Nvs(), limits, now_s)
        uploads.record_key = issuers.record_key
        answers = Answers(self._ids, metrics, failures, outgoing, topics, log, issuers)
        context = Context(
            registry, clock, clocks, records, uploads, scheduler.is_wanted, failures, metrics, self.describe
        )
        self._jobs = jobs = Jobs(JobStore(_JOBS, board.Nvs()), context, scheduler, answers, now_s, log)
        gateway_ops = GatewayOps(
            context,
            scheduler,
            jobs,
            keys,
            self.about,
            issuers=issuers,
            reset=lambda: self.reset(),
            use_pin=self._new_pin,
            replacing=self.begin_sweep,
            tail=self._send_log,
            publish=self._publish_metrics,
        )
        self.forget = gateway_ops.forget
        self._bridge = bridge = Bridge(
            answers,
            context,
            rates,
            scheduler,
            jobs,
            gateway_ops,
            now_s,
            log,
            lambda lock: self._alarm(lock, "retained_command"),
            values.expiry_s,
            values.unsigned_unlock,
            issuers,
            values.other_per_min,
        )
        self._is_tls = bool(values.mqtt_ca)
        self._use_pin(values.remote_pin)
        issuers.on_owned = self._publish_info
        issuers.on_replacing = self.begin_sweep
        if issuers.is_damaged:
            self._log.area("gateway").error("issuers_damaged")
        if not issuers.has_owner:
            self._log.area("gateway").warn("no_owner", todo="gatehouse provision")

        # Who receives which event
        registry.on("changed", states.mark)
        registry.on("heard", scheduler.heard)
        registry.on("records", records.flagged)
        registry.on("sighted", records.want)
        registry.on("alarm", self._suspect)
        registry.on("removing", self.begin_sweep)
        for forget in (records.close, rates.forget, issuers.forget, failures.forget, states.withdraw):
            registry.on("removed", forget)
        registry.on("listed", self._publish_info)
        if board.nvs_get("gatehouse", "sweep") is not None:
            self.begin_sweep()
        mqtt.set_callback(self._arrived)
        mqtt.on_connected = self._connected
        lifeline.is_idle = lambda: scheduler.current is None

        Background(registry, scheduler, records, clocks, now_s, log)
        add = lifeline.supervisor.add
        add("wifi", self._wifi.run)
        add("mqtt", self._keep_mqtt)
        add("clock", self._keep_clock)
        add("ladder", healing.ladder.run)
        add("scanner", healing.scan)
        add("scheduler", scheduler.run)
        add("plan", scheduler.watch)
        add("bridge", bridge.run)
        add("outgoing", outgoing.run)
        add("states", states.run)
        add("uploads", uploads.run)

    def _make_link(self, channel, key, header, own_lock, pin):
        from firmware.ble.link import Link

        return Link(channel, key, header, own_lock, self._log, pin)

    # --- the PIN of hubs

    def _use_pin(self, digits):
        """From now on somebody at a hub may unlock with this PIN; with none where it is empty or None, and never over a
        broker without TLS, whatever the settings say."""
        pin = None
        if digits and self._is_tls:
            from firmware.gateway.remote_pin import Pin

            pin = Pin(digits, board.Nvs(), self._uptime.seconds, self._wrong_pin)
        self._bridge.pin = pin
        if (_PIN in self._flags) != (pin is not None):
            (self._flags.remove if pin is None else self._flags.append)(_PIN)

    def _new_pin(self, digits):
        """The owner has set another one, or none: the wrong ones of before are forgiven."""
        board.nvs_erase("gatehouse", "pin_wrong")
        board.nvs_scrub("pin_wrong")  # a few bytes of its hash
        self._use_pin(digits)
        self._publish_info()
        if self._announcer:  # who types it is asked for it
            self._announcer.mark_all()

    def _wrong_pin(self, lock_id, method):
        self._log.area("bridge").warn(method, lock=lock_id)
        lock = self._registry.by_id(lock_id)
        if lock:
            self._alarm(lock, method)

    # --- Home Assistant

    def _arrived(self, topic, payload, retained, qos):
        if self._announcer and topic == self._topics.birth:
            self._announcer.born(payload)
        else:
            self._bridge.enqueue(topic, payload, retained, qos)

    def _may(self, word):
        """Whether who cannot sign may change something, or unlock with a PIN."""
        return ("unsigned_unlock" if word == "unsigned" else _PIN) in self._flags

    def _tell_metrics(self):
        self._metrics_s = 0  # nobody keeps them for who has just come

    def take_leave(self, on_done):
        """Everything is about to be forgotten: take back what Home Assistant was told -> whether that has begun;
        `on_done()` is called at its end."""
        return self._announcer is not None and self._announcer.end(on_done)

    # --- jobs

    async def _keep_mqtt(self, lease):
        await self._wifi.wait_up(lease)
        await self._mqtt.run(lease)

    async def _keep_clock(self, lease):
        await self._wifi.wait_up(lease)
        await self._clock.run(lease)

    def begin_sweep(self, lock=None):
        """A secret is about to be deleted or replaced, or was before the power went."""
        from firmware.gateway import erasure

        unload(("firmware.gateway.erasure",))
        erasure.promise_sweep(board.Nvs())
        self._log.area("gateway").info("sweeping")
        self._sweep = erasure.sweep(board.Nvs(), self._registry, self._ids)

    def sweep(self):
        """One step of what `erasure.sweep` does, while no lock is served."""
        if self._sweep and self._scheduler.current is None:
            try:
                next(self._sweep)
            except (StopIteration, OSError) as err:  # a flash that refuses: once more at the next start
                self._sweep = None
                self._log.area("gateway").info("swept", err=err)

    def each_second(self):
        """Periodic work that does not wait."""
        now_s = self._uptime.seconds()
        self._heap_low = min(self._heap_low, board.free_heap())
        self._scheduler.wake()
        self._states.wake()
        self._uploads.wake()
        if self._tail and not self._tail.step():
            self._end_log()
        if now_s >= self._look_s:
            self._look_s = now_s + _LOOK_S
            self._watch.look()
        if now_s >= self._scan_s:
            self._scan_s = now_s + _SCAN_S
            self._scanner.renew()
        if now_s >= self._metrics_s and self._mqtt.is_up:
            self._metrics_s = now_s + _METRICS_S
            self._publish_metrics()

    def _send_log(self, args, issuer):
        """Publish the log for some minutes, or end that -> `data` of the result. Raises BadRequest."""
        from firmware.gateway import log_tail

        unload(("firmware.gateway.log_tail",))
        minutes = log_tail.minutes(args)
        self._end_log()
        if minutes:
            now_s = self._uptime.seconds
            until_s = now_s() + 60 * minutes
            topic = self._topics.gateway("log")
            self._tail = log_tail.Tail(self._log, self._mqtt.offer, topic, issuer.key, now_s, until_s)
        return {"minutes": minutes}

    def _end_log(self):
        if self._tail:
            self._tail.end()
            self._tail = None

    async def _connected(self):
        self.issuers.renew()
        self._outgoing.publish(self._topics.gateway("status"), "online", True)
        self._publish_info()
        self._states.mark_all()
        if self._announcer:
            self._announcer.mark_all()
        self._uploads.offer_again()

    # --- what others see

    def light_word(self):
        """What the light shall say."""
        if not self._wifi.is_up:
            return "joining"
        if not self._mqtt.is_up:
            return "no_broker"
        return "busy" if self._scheduler.current else "online"

    def connection(self):
        """(word, failures in a row, text): how far the way to the broker goes (operations.md, "Connection")."""
        if self._mqtt.is_up:
            return "online", 0, ""
        part = self._mqtt if self._wifi.is_up else self._wifi
        return part.step, part.failures, part.why

    def _suspect(self, lock, why):
        """Another radio may be imitating a lock, or it did not lock itself. The log says why."""
        self._alarm(lock, why if why == "still_open" else "unknown", who=None, rec=None)

    def _alarm(self, lock, method, **members):
        """Tell of something suspicious on the lock's `…/event`."""
        payload = reports.event(event_type="alarm", method=method, ts=diagnostics.time_text(self._clock), **members)
        self._outgoing.publish(self._topics.lock(lock.id, "event"), payload)
        self._trigger(lock, "alarm", method)

    def _trigger(self, lock, event, method):
        """The same for automations, which compare a word."""
        self._outgoing.publish(self._topics.lock(lock.id, "trigger"), "%s/%s" % (event, method))

    def _publish_info(self, lock=None):
        self._outgoing.publish(self._topics.gateway("info"), reports.info(**self.about()), True)

    def _publish_metrics(self):
        members = self._gather()
        members.update(self._metrics.members())
        self._outgoing.publish(self._topics.gateway("metrics"), reports.metrics(**members), False, True, 0)

    def about(self):
        """Members of `info`."""
        return dict(
            self._facts,
            restart=self._lifeline.describe(),
            nonce=self.issuers.nonce(),
            x25519=self._public.hex(),
            owner=self.issuers.has_owner,
            locks=[{"mac": lock.id, "name": lock.name} for lock in self._registry.all()],
            features=["sealed", "signed"],
            flags=self._flags,
            refused=self._mqtt.refused,
            clock=self._clock.state,
        )

    def describe(self):
        """What the gateway is and its metrics, for a diagnosis; no secrets, and no list of its locks."""
        members = {key: value for key, value in self.about().items() if key not in ("locks", "x25519", "nonce")}
        members.update(self._gather())
        del members["restarts"]
        return members

    def _gather(self):
        """Members of `metrics` that no Metrics counts."""
        return {
            "uptime_s": self._uptime.seconds(),
            "boot": self._facts["boot"],
            "heap": board.free_heap(),
            "heap_low": self._heap_low,
            "rssi": self._wifi.rssi_dbm,
            "queue": len(self._scheduler),
            "clock": self._clock.state,
            "jobs": len(self._jobs),
            "records": sum([self._records.waiting(lock)[0] for lock in self._registry.all()]),
            "drift_ms": self._clock.drift_ms,
            "drift": self._clock.drift,
            "dropped": {
                "requests": self._bridge.dropped,
                "messages": self._mqtt.skipped,
                "outgoing": self._outgoing.dropped,
                "adverts": self._scanner.dropped,
                "ids": self._ids.dropped,
            },
            "restarts": self._lifeline.restarts.counts(),
            "ts": diagnostics.time_text(self._clock),
        }


def _networks():
    """Members of the reply to `networks`."""
    from firmware.net import wifi

    return wifi.networks()


def main(is_minimal=False):
    """Run the gateway; called by main.py."""
    gc.collect()
    asyncio.run(App(Log(), is_minimal).run())
