# The board's two streams to the virtual radio, and the pump that turns events into scheduled callbacks.
# Part of the `bluetooth` shim; the coding is that of host_tools/sim/ble/codec.py.
#
#   SIM_RADIO=host:port   where the radio is
#   SIM_MAC=12 hex        base MAC of the board; its Bluetooth address is base + 2, as ESP-IDF counts
#   SIM_NAME=label        name in the radio's log
import _thread
import os
import select
import socket
import struct
import sys

import _whole
import micropython

_ENODEV = 19
_IPPROTO_TCP = 6
_TCP_NODELAY = 1
_COUNT_MASK = 0xFFFFFF
_STALE = b"\xa5" * 64  # what a view shows that is kept beyond its event
_BATCH = 32  # events per scheduled call, so that the main thread gets its turn
_N, _T, _F, _I, _B, _S, _L = b"NTFibsl"


def encode(value, out):
    if value is None:
        out.append(_N)
    elif value is True:
        out.append(_T)
    elif value is False:
        out.append(_F)
    elif isinstance(value, int):
        out.append(_I)
        out.extend(struct.pack(">i", value))
    elif isinstance(value, str):
        value = value.encode()
        out.append(_S)
        out.extend(struct.pack(">H", len(value)))
        out.extend(value)
    elif isinstance(value, (list, tuple)):
        out.append(_L)
        out.append(len(value))
        for each in value:
            encode(each, out)
    else:
        value = memoryview(value)
        out.append(_B)
        out.extend(struct.pack(">H", len(value)))
        out.extend(value)


def decode(body, at):
    # one value of `body` from `at` -> (value, end); a byte string stays a view when `body` is one
    tag = body[at]
    at += 1
    if tag == _N:
        return None, at
    if tag == _T:
        return True, at
    if tag == _F:
        return False, at
    if tag == _I:
        return struct.unpack_from(">i", body, at)[0], at + 4
    if tag == _L:
        items = []
        count = body[at]
        at += 1
        for _ in range(count):
            item, at = decode(body, at)
            items.append(item)
        return items, at
    end = at + 2 + (body[at] << 8 | body[at + 1])
    part = body[at + 2 : end]
    return (part if tag == _B else bytes(part).decode()), end


def public_address():
    base = os.getenv("SIM_MAC")
    if not base:
        return None
    return "%s%02x" % (base[:10].lower(), int(base[10:12], 16) + 2 & 0xFF)


current = None  # the board's Stream, for sim_loop


class Stream:
    # `on_event(list)` runs on the main thread, like a scheduled IRQ; byte strings in it are views
    # that are overwritten when it returns.
    def __init__(self, on_event, on_lost):
        global current
        self._on_event = on_event
        self._on_lost = on_lost
        host, port = (os.getenv("SIM_RADIO") or "127.0.0.1:7333").split(":")
        address = socket.getaddrinfo(host, int(port))[0][-1]
        self._received = 0  # events so far, modulo 2^24
        self._is_late = False  # events came in the middle of a step
        self.is_open = False
        self._cmd = self._open(address)
        number = self.call("hello", public_address(), os.getenv("SIM_NAME"))[0]
        self._events = self._open(address)
        self._send(self._events, ("events", number))
        self._poll = select.poll()
        self._poll.register(self._events, select.POLLIN)
        self._head = bytearray(2)
        self._view = memoryview(bytearray(1024))
        self._turn = _thread.allocate_lock()
        self._turn.acquire()
        self._drain = self._drain_once
        self.is_open = True
        current = self
        board = sys.modules.get("_board")
        if board is None or board.image is None:  # a program of its own, without a board: nobody else has done it
            try:
                import sim_loop

                sim_loop.install()
            except ImportError:  # the radio's modules alone
                pass
        _thread.start_new_thread(self._watch, ())

    @staticmethod
    def _open(address):
        made = socket.socket()
        made.connect(address)
        made.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        return made

    @staticmethod
    def _send(stream, value):
        out = bytearray(2)
        encode(value, out)
        struct.pack_into(">H", out, 0, len(out) - 2)
        stream.write(out)

    def _read(self, count):
        got = self._cmd.read(count)
        if not got or len(got) < count:
            raise OSError(_ENODEV)
        return got

    def call(self, *message):
        # One request and its answer. A scheduled event that fires meanwhile waits, since its handler may call too.
        _whole.begin()
        try:
            self._send(self._cmd, message)
            answer = decode(self._read(struct.unpack(">H", self._read(2))[0]), 0)[0]
        finally:
            _whole.end()
        if self._is_late and not _whole.depth[0]:
            self._is_late = False
            self.drain()
        if answer[0]:
            raise OSError(answer[0])
        return answer[1:]

    def post(self, *message):
        # a request without an answer
        _whole.begin()
        try:
            self._send(self._cmd, message)
        finally:
            _whole.end()

    def settle(self, count):
        # handle events until `count` have come: those that the radio sent before its last answer
        _whole.begin()
        try:
            while self.is_open and self._received != count:
                if not self._fill():
                    self._end()
        finally:
            _whole.end()

    def _end(self):
        self.is_open = False
        self._on_lost()

    # The thread only waits until something can be read. Allocation, parsing and callbacks are the main thread's.
    def _watch(self):
        wait = self._poll.ipoll
        idle = select.poll()
        while self.is_open:
            for _ in wait(-1):
                pass
            if self._is_late:
                idle.poll(1)
            while True:
                try:
                    micropython.schedule(self._drain, None)
                    break
                except RuntimeError:  # the queue is full
                    idle.poll(1)
            self._turn.acquire()

    def _drain_once(self, _):
        if _whole.depth[0]:
            self._is_late = True  # the step drains at its end, or the thread tries again
            self._turn.release()
            return
        self._is_late = False
        _whole.begin_under_c()  # the scheduler would print an interrupt, and go on
        try:
            count = _BATCH
            while count and self.is_open and self._poll.poll(0):
                count -= 1
                if not self._fill():
                    self._end()
        finally:
            self._turn.release()
            _whole.end()

    def drain(self):
        # on the main thread, outside of a call: everything that has arrived
        _whole.begin()
        try:
            while self.is_open and self._poll.poll(0):
                if not self._fill():
                    self._end()
        finally:
            _whole.end()

    def _fill(self):
        head = self._head
        if self._events.readinto(head) != 2:
            return False
        count = head[0] << 8 | head[1]
        if count > len(self._view):
            self._view = memoryview(bytearray(count))
        part = self._view[:count]
        if self._events.readinto(part) != count:
            return False
        self._received = self._received + 1 & _COUNT_MASK
        try:
            self._on_event(decode(part, 0)[0])
        finally:
            for at in range(0, count, len(_STALE)):
                part[at : at + len(_STALE)] = _STALE[: count - at]
        return True
