"""What the gateway's unit tests stand on: a folder of their own, a clock to turn, a quiet log, a lock that answers.

Fakes are at the outer seams only: the link to a lock and the broker.
"""

import asyncio
import os

from firmware.gateway.lock import Lock
from firmware.lib import opcodes, records
from firmware.lib.errors import NetError
from firmware.lib.messages import session_lock
from firmware.system import store
from firmware.system.log import ERROR, Log
from firmware.system.vault import Vault
from tests.scratch import scratch
from tests.unit.fake_nvs import Nvs

ADDRESS = b"\xaa\xbb\xcc\x11\x22\x33"
FEATURES = 1 << 0 | 1 << 4 | 1 << 8 | 1 << 10 | 1 << 14


_LOOP = asyncio.new_event_loop()  # one for all: CPython's events stay with the loop on which they first waited


def run(job):
    """Run a coroutine to its end."""
    return _LOOP.run_until_complete(job)


async def stop(task):
    """Cancel a task and await its end. `wait_for` of CPython 3.11 loses a cancellation that meets its own end."""
    while not task.done():
        task.cancel()
        await asyncio.sleep(0.01)
    try:
        await task
    except asyncio.CancelledError:
        pass


def fresh_folder(name):
    """An empty folder for one test."""
    path = scratch("gateway/" + name)
    _empty(path)
    store.make_folder(path)
    return path


def _empty(path):
    if not store.exists(path):
        return
    for name in os.listdir(path):
        inner = path + "/" + name
        try:
            os.remove(inner)
        except OSError:
            _empty(inner)
            os.rmdir(inner)


_STORES: dict = {}  # NVS of a folder: it outlives the objects that use it


def vault(folder):
    """A vault on `folder`; a second one on the same folder stands for the same board started again."""
    return Vault(folder, nvs(folder))


def nvs(folder):
    """The key store of the board whose vault is at `folder`."""
    return _STORES.setdefault(folder, Nvs())


def quiet_log():
    """A log that writes nothing."""
    return Log(clock_ms=lambda: 0, sink=lambda line: None, level=ERROR)


class Now:
    """A clock of seconds that stands until it is turned."""

    def __init__(self, s=1000):
        self.s = s

    def __call__(self):
        return self.s


class UnixClock:
    """What `net.clock.Clock` shows the others."""

    def __init__(self, unix_s=1790000000, trusted=True):
        self.unix_s = unix_s
        self.trusted = trusted
        self.drift_ms = 0
        self.jumped_s = 0
        self.is_signed = False  # a signed time of the last day
        self.up_s = 0

    def signed(self, unix_s, age_s, is_authority):
        if not self.trusted:
            self.unix_s, self.trusted = unix_s, True

    def uptime(self):
        return self.up_s

    def now_ms(self):
        return self.unix_s * 1000

    def now(self):
        return self.unix_s


class Broker:
    """Takes messages while it is up."""

    def __init__(self):
        self.is_up = True
        self.sent = []

    async def publish(self, topic, payload, retain=False, qos=0):
        if not self.is_up:
            raise NetError("no broker")
        self.sent.append((topic, payload, retain, qos))

    def offer(self, topic, payload, retain=False):
        if self.is_up:
            self.sent.append((topic, payload, retain, 0))
        return self.is_up

    async def submit(self, topic, payload, retain=False, qos=0):
        await self.publish(topic, payload, retain, qos)


class Outbox:
    """Stands for `Outgoing`: keeps what was put, messages on the way to a result apart in `steps`."""

    is_behind = False

    def __init__(self):
        self.put_in = []
        self.steps = []

    def publish(self, topic, payload, retain=False, is_low_priority=False, qos=1):
        if isinstance(payload, str) and '"code":"progress"' in payload:
            self.steps.append(payload)
        else:
            self.put_in.append((topic, payload))


def known_lock(address=ADDRESS):
    """A lock that needs no getting to know."""
    lock = Lock(address, bytes(range(16)))
    lock.zone = "UTC0"
    lock.admin_ps, lock.unlock_key = 1234, 5678
    lock.features = FEATURES
    lock.model = "GATEHOUSE-L1"
    lock.verified = True
    return lock


class LinkedLock:
    """A lock at the other end of a link, by plain bodies: answers with the mirror of the gateway's messages.

    `faults` maps a command to an exception raised in place of the answer, once.
    """

    pin = 2

    def __init__(self):
        self.challenge = 76
        self.state = 0
        self.door = 2
        self.switch = 1
        self.records = []
        self.first = 0
        self.masks = False  # digits of codes are for the administrator only
        self.is_admin = False
        self.asked = []
        self.moved = 0
        self.keeps_log = False
        self.faults = {}
        self.clock6 = (2026, 9, 21, 14, 13, 20)

    def subscribe(self, callback):
        self.callback = callback

    def is_connected(self):
        return True

    async def listen(self, timeout_ms):
        pass

    async def exchange(self, command, plain=b"", timeout_ms=6000):
        self.asked.append(command)
        if command in (opcodes.UNLOCK, opcodes.LOCK) and not isinstance(self.faults.get(command), Refusal):
            self.state = 1 if command == opcodes.UNLOCK else 0
            self.moved += 1
            if self.keeps_log:
                kind = 28 if command == opcodes.UNLOCK else 26
                tail = records.by_user(records.GATEWAY_UID, int.from_bytes(plain[4:8], "big"))
                self.records.append(records.encode(kind, self.clock6, 88, tail))
        fault = self.faults.pop(command, None)
        if fault:
            raise fault.err if isinstance(fault, Refusal) else fault
        return self._answer(command, plain)

    def _answer(self, command, plain):
        if command in (opcodes.CHECK_ADMIN, opcodes.CHECK_USER):
            self.challenge += 1
            return session_lock.encode_challenge(self.challenge)
        if command in (opcodes.UNLOCK, opcodes.LOCK):
            return session_lock.encode_operated(88, 0, 0, self.clock6)
        if command == opcodes.STATUS:
            return session_lock.encode_status(88, self.state, self.door)
        if command == opcodes.REMOTE_UNLOCK:
            return bytes((88, 1, self.switch))
        if command == opcodes.GET_CLOCK:
            return session_lock.encode_clock(self.clock6)
        if command == opcodes.SET_CLOCK:
            self.clock6 = session_lock.decode_set_clock(plain)
            return b""
        if command == opcodes.LOG:
            return self._page(session_lock.decode_log(plain))
        if command == opcodes.CHECK_RANDOM:
            self.is_admin = True
        return b""

    def _page(self, cursor):
        number = max(cursor, self.first)
        if number - self.first >= len(self.records):
            return session_lock.encode_record(0, None)
        raw = self.records[number - self.first]
        return session_lock.encode_record(number, records.mask(raw) if self.masks and not self.is_admin else raw)


class Refusal:
    """A fault that means: the lock answered no, and did not move."""

    def __init__(self, err):
        self.err = err
