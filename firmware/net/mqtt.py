"""The broker link of a gateway. Owns opening, keepalive and reconnecting (`mqtt_session` is one connection); what
topics and payloads mean is for the gateway.

umqtt.simple (frozen into every ESP32 build) gives constructor, last will, QoS 0 publish, ping, callback and exception.
Its `connect`, `subscribe`, `wait_msg` and QoS 1 block, hide the retain flag and read any declared size, so these are
done here on asyncio streams, with `lib/mqtt_packet.py`. Nothing blocks the loop.
"""

import asyncio
import gc
import os

from umqtt.simple import MQTTClient, MQTTException

from firmware.lib import mqtt_packet
from firmware.lib.compat import const, unload
from firmware.lib.errors import ConfigError, NetError, ProtocolError
from firmware.net.mqtt_session import Session
from firmware.system.timing import jittered_ms, next_pause, ticks_diff, ticks_ms

_CONNECT_S = const(15)
_ANSWER_S = const(10)
_OPENING_MS = const(40000)  # with the name
_PUBACK_MS = const(30000)
_REFUSED = const("broker_refused")
_LOGIN = b"\x04\x05"  # return codes of CONNACK
_UNREACHABLE = (101, 110, 113, 116, 118)  # no network, time-out, no route: of Linux and of lwIP


class Mqtt(MQTTClient):
    """A client that stays connected for ever once `run` is started.

    `ca` is the DER certificate of the owner's authority: TLS 1.2 or newer with verified chain and name; `identity`, if
    any, is (certificate, key) of this gateway, DER too. Without `ca` the connection is plain, which the owner must have
    allowed by `insecure`; there is no fallback (security.md TLS-1 to 3).
    `resolve` is `Resolver.address`, or None where `host` needs none.
    Set before `run`: `set_last_will(topic, payload, retain, qos)`, `set_callback(on_message)`, `subscribe(topics)`,
    `on_connected`. `on_message(topic, payload, retained, qos)` is a plain function that must return at once (put it
    into an inbox); the message is acknowledged when it has returned. `on_connected` is an async function, started once
    the subscriptions stand; it may publish.
    `refused`: the filters that the broker did not grant; without the first one there is no session. `skipped` counts
    messages that were acknowledged and not handed on (decisions.md DEC-15).
    """

    def __init__(
        self,
        client_id,
        host,
        port,
        log,
        user=None,
        password=None,
        keepalive_s=30,
        ca=None,
        insecure=False,
        resolve=None,
        identity=None,
    ):
        if ca is None and not insecure:
            raise ConfigError("mqtt_ca missing and insecure_broker not set")
        if not 4 <= keepalive_s <= 0xFFFF:
            raise ConfigError("keepalive_s out of range")
        from firmware.lib import dns_packet

        unload(("firmware.lib.dns_packet",))
        super().__init__(client_id, dns_packet.bare(host), port, user, password, keepalive_s, ssl=ca is not None)
        self.on_connected = None
        self.is_up = False
        self.step = "connecting"  # or a word of operations.md, "Connection": where the last attempt ended
        self.failures = 0  # attempts in a row
        self.why = ""
        self.refused: list = []
        self.skipped = 0
        self._log = log.area("mqtt")
        self._ca = ca
        self._identity = identity
        self._resolve = resolve
        self._topics = []
        self._session = None
        self._was_up = False

    def subscribe(self, topics):  # type: ignore[override]
        """Filters to subscribe to, with QoS 1, at every connect. The first one is indispensable."""
        self._topics = list(topics)

    async def run(self, lease):
        """Connect, serve and reconnect, until cancelled. Errors that are not the network's are raised."""
        pause_s = 0
        if self._ca is None:
            self._log.warn("plaintext", host=self.server)
        while True:
            began_ms = ticks_ms()
            try:
                fault = await self._serve(lease)  # always raises
            except NetError as err:
                fault = err
            except MemoryError:
                if self._was_up:  # it sufficed before: the job's new start, or the board's, mends that
                    raise
                gc.collect()
                fault = NetError("no memory for a connection", "memory")
            self.step = fault.step or "broker_lost"
            self.failures += 1
            self.why = str(fault)
            ran_ms = ticks_diff(ticks_ms(), began_ms)
            pause_s = next_pause(pause_s, ran_ms)
            self._log.warn("disconnected", step=self.step, why=fault, ran_ms=ran_ms, pause_s=pause_s)
            await lease.sleep_ms(jittered_ms(pause_s, os.urandom(1)[0]))

    def publish(self, topic, payload, retain=False, qos=0):  # type: ignore[override]
        """Awaitable that sends one message. QoS 0 ends once it is queued, QoS 1 once the broker has acknowledged it.

        Raises NetError at once while there is no connection, and when the connection ends before the PUBACK: the
        message may or may not have arrived then. A broker that dawdles is left after 40 s. Several may wait at a time;
        the order of sending is kept.
        """
        outbox = self._usable().outbox
        return outbox.publish(topic, payload, retain) if qos else self._publish_unsure(topic, payload, retain)

    def offer(self, topic, payload, retain=False):
        """Send one message of QoS 0, without waiting -> False where there is no connection, or no room in it now."""
        session = self._session
        if session is None or not self.is_up or not session.outbox.has_room:
            return False
        self.sock = _Sink()
        try:
            super().publish(topic.encode(), payload.encode() if isinstance(payload, str) else payload, retain, 0)
            session.outbox.enqueue(bytes(self.sock.written))
        finally:
            self.sock = None
        return True

    def submit(self, topic, payload, retain=False, qos=0):
        """As `publish`, but QoS 1 ends as soon as it is queued -> what has `acknowledged()`, None for QoS 0."""
        return self._usable().outbox.submit(topic, payload, retain) if qos else self.publish(topic, payload, retain)

    def publish_pieces(self, topic, size, pieces, retain=False):
        """As `publish` with QoS 1, of a payload of `size` octets that the generator `pieces` makes while it is sent: it
        must give exactly these."""
        outbox = self._usable().outbox
        return outbox.settle(outbox.submit_pieces(topic, size, pieces, retain))

    async def _publish_unsure(self, topic, payload, retain):
        while not self.offer(topic, payload, retain):
            await self._usable().outbox.room()

    def _usable(self):
        if self._session is None or not self.is_up:
            raise NetError("no broker")
        return self._session

    async def disconnect(self):  # type: ignore[override]
        """End the session in order: the broker drops the last will. `run` will connect again unless cancelled."""
        session = self._session
        if session is not None:
            session.outbox.enqueue(mqtt_packet.DISCONNECT)
            await session.outbox.flushed()
            session.end(NetError("disconnect asked for"))

    async def _serve(self, lease):
        """One connection from start to end; always raises."""
        lease.renew(_OPENING_MS)
        session = await self._open()
        tasks = []
        try:
            await self._greet(session)
            for job in (self._receive, self._send, self._keep_alive, self._welcome):
                tasks.append(asyncio.create_task(_guarded(session, job)))
            await lease.wait(session.over)
            raise session.fault
        finally:
            self.is_up = False
            self._session = None
            session.end(NetError("stopped"))
            for task in tasks:
                task.cancel()
            for task in tasks:
                try:
                    await task
                except asyncio.CancelledError:
                    pass
            await session.writer.wait_closed()  # closes the socket; MicroPython's `close` does nothing (seen in 1.29)

    async def _open(self):
        ssl = None
        try:
            if self._ca is not None:
                from firmware.net import tls

                ssl = tls.context(self._ca, self._identity)
            try:
                address = await self._resolve(self.server) if self._resolve else self.server
            except NetError as err:
                raise NetError(str(err), "broker_name")
            opening = asyncio.open_connection(address, self.port, ssl=ssl, server_hostname=self.server if ssl else None)
            streams: tuple = await asyncio.wait_for(opening, _CONNECT_S)
        except asyncio.TimeoutError:
            raise NetError("no connection in %d s" % _CONNECT_S, "broker_silent")
        except (OSError, ValueError) as err:
            raise NetError("cannot connect: %s" % err, _step(err))
        return Session(*streams)

    async def _greet(self, session):
        """CONNECT under a deadline; SUBSCRIBE goes with what comes after it."""
        try:
            await asyncio.wait_for(self.connect(session), _ANSWER_S)
        except asyncio.TimeoutError:
            raise NetError("broker silent at connect", "broker_silent")
        except MQTTException as err:
            raise NetError("broker refused, code %d" % err.args[0], "login" if err.args[0] in _LOGIN else _REFUSED)
        except ProtocolError as err:
            raise NetError("broker broke the protocol: %s" % err, _REFUSED)
        except NetError as err:  # a port where nobody listens may show at the first write only
            raise NetError(str(err), err.step or self._refusal(session, err.cause))

    def _refusal(self, session, cause):
        if self._ca is None:
            return _REFUSED
        from firmware.net import tls

        return tls.step(cause, session.has_written)

    async def connect(self, session):  # type: ignore[override]
        """The opening of a session: CONNECT, CONNACK, and SUBSCRIBE, whose SUBACK `_welcome` awaits: retained messages
        may come before it, as many and as long as anybody left there. Raises MQTTException when refused."""
        will = (self.lw_topic, self.lw_msg, self.lw_retain, self.lw_qos) if self.lw_topic else None
        hello = mqtt_packet.encode_connect(self.client_id, self.keepalive, self.user, self.pswd, will)
        await session.write(hello)
        packet = await session.next()
        if packet.type != mqtt_packet.CONNACK:
            raise ProtocolError("no CONNACK")
        if packet.codes[0]:
            raise MQTTException(packet.codes[0])
        if self._topics:
            waiter = session.subscription = session.outbox.expect()
            session.outbox.enqueue(mqtt_packet.encode_subscribe(waiter.pid, self._topics))

    async def wait_msg(self, session):  # type: ignore[override]
        """Read one packet and act on it."""
        packet = await session.next()
        if packet.type == mqtt_packet.PUBLISH:
            self._arrived(session, packet)
        elif packet.type == mqtt_packet.PUBACK:
            session.outbox.acknowledge(packet.pid)
        elif packet.type == mqtt_packet.PUBREL:
            session.released(packet.pid)
            session.outbox.enqueue(mqtt_packet.encode_ack(packet.pid, 0x70))
        elif packet.type == mqtt_packet.SUBACK:
            waiter = session.subscription
            if waiter is None or packet.pid != waiter.pid or len(packet.codes) != len(self._topics):
                raise ProtocolError("SUBACK to nothing asked")
            self.refused = [self._topics[place] for place, code in enumerate(packet.codes) if code > 2]
            for topic in self.refused:
                self._log.warn("subscription_refused", topic=topic)
            if packet.codes[0] > 2:
                raise NetError("broker refused the subscription to %s" % self._topics[0], "broker_lost")
            session.subscription = None
            session.outbox.acknowledge(packet.pid)

    def _arrived(self, session, packet):
        """Hand a message on once, and acknowledge it whatever it is (MQTT 4.3)."""
        is_new = packet.qos < 2 or session.is_first(packet.pid)
        if packet.topic is None:
            self.skipped += 1
            self._log.warn("skipped", total=self.skipped)
        elif is_new and self.cb:
            self.cb(packet.topic, packet.payload, packet.retain, packet.qos)
        if packet.qos:
            session.outbox.enqueue(mqtt_packet.encode_ack(packet.pid, 0x30 + 0x10 * packet.qos))

    async def _receive(self, session):
        while True:
            await self.wait_msg(session)
            await asyncio.sleep_ms(0)  # answers go out while more comes in

    async def _send(self, session):
        while True:
            await session.outbox.wait()
            for part in session.outbox.pop_all():
                for piece in (part,) if isinstance(part, bytes) else part:
                    await session.write(piece)
            part = piece = None  # while nothing is to be sent nothing of it is held
            session.outbox.sent()

    async def _keep_alive(self, session):
        """PINGREQ each half keepalive; silence for a whole one, an acknowledgement that does not come, or a broker that
        does not read, ends the session."""
        limit_ms = self.keepalive * 1000
        pause_ms = min(limit_ms // 4, _PUBACK_MS // 4)
        pinged_ms = ticks_ms()
        while True:
            await asyncio.sleep_ms(pause_ms)
            if ticks_diff(ticks_ms(), session.heard_ms) > limit_ms:
                raise NetError("broker silent for %d s" % self.keepalive)
            if session.outbox.oldest_ms() > min(limit_ms, _PUBACK_MS):
                raise NetError("no acknowledgement in time, or nothing read")
            if ticks_diff(ticks_ms(), pinged_ms) >= limit_ms // 2 - pause_ms // 2:
                pinged_ms = ticks_ms()
                self.sock = _Sink()
                self.ping()
                session.outbox.enqueue(bytes(self.sock.written))
                self.sock = None

    async def _welcome(self, session):
        waiter = session.subscription
        if waiter:
            await waiter.acknowledged()
        self._session = session
        self.is_up = self._was_up = True
        self.failures = 0
        self._log.info("connected", host=self.server, port=self.port)
        if self.on_connected:
            await self.on_connected()


def _step(err):
    return "broker_silent" if err.args and err.args[0] in _UNREACHABLE else _REFUSED


class _Sink:
    """Stands where umqtt.simple expects its socket: collects what it writes."""

    def __init__(self):
        self.written = bytearray()

    def write(self, part, size=None):
        self.written.extend(part if size is None else memoryview(part)[:size])


async def _guarded(session, job):
    """Run one job of a session; its failure, whatever it is, ends the session."""
    try:
        await job(session)
    except (MQTTException, ProtocolError) as err:
        session.end(NetError("%s: %s" % (type(err).__name__, err)))
    except Exception as err:  # NetError, or a fault of ours that `run` hands to the supervisor
        session.end(err)
