"""One connection to a broker. `Session` owns its stream, the packets read from it, and why it ended; `Outbox` what it
still has to send, packet ids, bounds, and the QoS 1 messages whose PUBACK it awaits.
"""

import asyncio

from firmware.lib import mqtt_packet
from firmware.lib.compat import const
from firmware.lib.errors import NetError
from firmware.system.timing import ticks_diff, ticks_ms

_READ = const(1024)  # each piece costs a turn of the loop, and one write for all acknowledgements in it
_MAX_BYTES = const(6144)  # waiting to be written; one packet may exceed it when nothing else waits
_ACK_LEN = const(4)
_JOINED = const(60)  # bytes to which one more is added
_MAX_STUCK = const(16384)  # above it the broker counts as dead; nothing else limits acknowledgements and pings
_MAX_UNACKED = const(8)
_MAX_RECEIVED = const(64)
_LEAST_PER_MS = const(4)  # octets that reach the slowest board


class _Unacked:
    """One message that the broker has not acknowledged; whoever sent it may wait for that, or leave it."""

    def __init__(self, pid, received):
        self.pid = pid
        self.received = received
        self.done = asyncio.Event()
        self.arrived = False
        self.since_ms = ticks_ms()

    async def acknowledged(self):
        """Wait for the PUBACK. Raises NetError when the session ends first."""
        await self.done.wait()
        if not self.arrived:
            raise NetError("session ended before the PUBACK")


class Outbox:
    """Lives as long as its session. Every waiter gets NetError when `close` is called."""

    def __init__(self):
        self._queue = []
        self._bytes = 0
        self._writing_ms = None  # tick since which the packets taken last are being written
        self._filled = asyncio.Event()
        self._changed = asyncio.Event()
        self._unacked = {}
        self._pid = 0
        self._closed = False
        self.received = 0  # octets from the broker in this session

    def next_pid(self):
        """The next packet id that is not in use, 1 to 65535 (MQTT 2.3.1)."""
        while True:
            self._pid = self._pid % 0xFFFF + 1
            if self._pid not in self._unacked:
                return self._pid

    def enqueue(self, packet):
        """Queue one encoded packet, without waiting. Raises NetError when the broker has long stopped reading."""
        if self._bytes > _MAX_STUCK:
            raise NetError("broker does not read")
        self._queue.append(packet)
        self._bytes += len(packet)
        self._filled.set()

    async def submit(self, topic, payload, retain):
        """Queue a QoS 1 message -> what awaits its PUBACK. Raises NetError when the session is over."""
        await self._until(lambda: len(self._unacked) < _MAX_UNACKED and self.has_room)
        waiter = self.expect()
        self.enqueue(mqtt_packet.encode_publish(topic, payload, retain, 1, waiter.pid))
        return waiter

    async def submit_pieces(self, topic, size, pieces, retain):
        """As `submit`, of a payload of `size` octets that is made in pieces while it is written."""
        await self._until(lambda: len(self._unacked) < _MAX_UNACKED and self.has_room)
        waiter = self.expect()
        self.enqueue(mqtt_packet.encode_publish_head(topic, size, retain, waiter.pid))
        self._queue.append(pieces)
        return waiter

    def expect(self):
        """Await an acknowledgement of the packet that is queued next -> what awaits it, with its packet id."""
        pid = self.next_pid()
        waiter = self._unacked[pid] = _Unacked(pid, self.received)
        return waiter

    def publish(self, topic, payload, retain):
        """Awaitable that queues a QoS 1 message and waits for its PUBACK. Raises NetError when the session ends
        first. While it waits the message is in the packet alone."""
        return self.settle(self.submit(topic, payload, retain))

    async def settle(self, submitting):
        """Await what `submit` or `submit_pieces` gave, and the PUBACK. Raises NetError when the session ends first."""
        waiter = await submitting
        submitting = None  # even a coroutine that has ended holds its arguments
        try:
            await waiter.acknowledged()
        finally:
            if not waiter.arrived:  # its publisher gave up, which leaves room for others
                self._unacked.pop(waiter.pid, None)
                self._changed.set()

    @property
    def has_room(self):
        """Whether a message may be queued."""
        return not self._closed and self._bytes < _MAX_BYTES

    async def room(self):
        """Wait until a QoS 0 message may be queued."""
        await self._until(lambda: self.has_room)

    async def flushed(self):
        """Wait until all that was queued has been handed to the network."""
        await self._until(lambda: not self._queue and self._writing_ms is None)

    async def _until(self, condition):
        while True:
            if self._closed:
                raise NetError("session ended")
            if condition():
                return
            self._changed.clear()
            await self._changed.wait()

    async def wait(self):
        """Wait until there is something to send; for the session's one sender."""
        while not self._queue:
            self._filled.clear()
            await self._filled.wait()

    def pop_all(self):
        """All that is queued, which the caller is about to write: packets, acknowledgements in one piece with what is
        before, and behind the head of a message the generator of the pieces of its payload."""
        packets: list = []
        for packet in self._queue:
            if packets and _is_ack(packet) and isinstance(packets[-1], bytes) and len(packets[-1]) <= _JOINED:
                packets[-1] += packet
            else:
                packets.append(packet)
        self._queue = []
        self._bytes = 0
        self._writing_ms = ticks_ms() if packets else None
        return packets

    def sent(self):
        """The packets taken last have been written."""
        self._writing_ms = None
        self._changed.set()

    def acknowledge(self, pid):
        """A PUBACK. One for an id that nobody awaits (its publisher was cancelled) is ignored."""
        waiter = self._unacked.pop(pid, None)
        if waiter:
            waiter.arrived = True
            waiter.done.set()
            self._changed.set()

    def oldest_ms(self):
        """For how long something has waited for its acknowledgement or to be written, 0 if nothing does.

        What the broker sent meanwhile does not count: it came before the acknowledgement, which may stand behind any
        number of retained messages of any length, and a session that ended for them would meet them again.
        """
        now_ms = ticks_ms()
        ages = [
            ticks_diff(now_ms, waiter.since_ms) - (self.received - waiter.received) // _LEAST_PER_MS
            for waiter in self._unacked.values()
        ]
        if self._writing_ms is not None:
            ages.append(ticks_diff(now_ms, self._writing_ms))
        return max(ages + [0])

    def close(self):
        """The session is over."""
        self._closed = True
        for waiter in self._unacked.values():
            waiter.done.set()
        self._changed.set()


def _is_ack(packet):
    return isinstance(packet, bytes) and len(packet) == _ACK_LEN


class Session:
    """Lives from the opening of the stream to its end; `outbox` is what waits to go out."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.has_written = False
        self.parser = mqtt_packet.Parser()
        self.packets = []
        self.outbox = Outbox()
        self.over = asyncio.Event()
        self.fault = None
        self.heard_ms = ticks_ms()
        self.subscription = None  # what awaits the SUBACK
        self._received = []  # ids of QoS 2 messages that were handed on and not released yet

    def is_first(self, pid):
        """True when a QoS 2 message with this id was not handed on before (MQTT 4.3.3)."""
        if pid in self._received:
            return False
        if len(self._received) >= _MAX_RECEIVED:  # a broker that never releases: the oldest is long settled
            self._received.pop(0)
        self._received.append(pid)
        return True

    def released(self, pid):
        """A PUBREL: the id may name another message from here on."""
        if pid in self._received:
            self._received.remove(pid)

    def end(self, fault):
        """Keep the first reason for the end, and wake every waiter."""
        if self.fault is None:
            self.fault = fault
            self.outbox.close()
            self.over.set()

    async def next(self):
        """The next packet. Raises NetError when the connection ends, ProtocolError for what is no packet."""
        while not self.packets:
            try:
                part = await self.reader.read(_READ)
            except (OSError, ValueError) as err:
                raise _lost(err)
            if not part:
                raise NetError("broker closed the connection")
            self.packets = self.parser.feed(part)
            self.outbox.received += len(part)
            self.heard_ms = ticks_ms()
        return self.packets.pop(0)

    async def write(self, part):
        """Send octets. Raises NetError when the connection ends."""
        try:
            self.writer.write(part)
            await self.writer.drain()
        except (OSError, ValueError) as err:
            raise _lost(err)
        self.has_written = True


def _lost(err):
    """The NetError for what a stream raised. A TLS handshake that fails does so as ValueError (MicroPython 1.29)."""
    silent = bool(err.args) and err.args[0] in (110, 113, 116, 118)  # time-out, no route
    lost = NetError("connection lost: %s" % str(err).strip(), "broker_silent" if silent else "")
    lost.cause = err
    return lost
