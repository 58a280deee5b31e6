"""MQTT messages of every bad kind through packet parser and bridge: `mqtt_messages.py SEED N MODE`.

MODE "broken": each message is wrong in some way, and none may lead to a job. MODE "any": operations that the gateway
has, with arguments good and bad, are mixed in and carried out on a lock; none may change its remote-unlock switch.
Bytes go into the parser in pieces of any size. The heap is looked at after a collection each so many messages.
"""

import asyncio
import gc
import json
import random
import sys

from firmware.gateway.admission import Rates
from firmware.gateway.operations import table
from firmware.gateway.outgoing import Uploads
from firmware.lib import mqtt_packet
from firmware.lib.errors import ProtocolError
from firmware.system.log import ERROR, Log
from firmware.system.supervisor import Lease
from tests.faults.programs.mqtt_kinds import KINDS, READABLE, WORDS, deep, good, mutated, some, some_bytes
from tests.unit.command_rig import Rig
from tests.unit.gateway_rig import Broker, quiet_log
from tests.unit.tasks import cancel

_GW = "001122334455"
_LOCK = "aabbcc112233"
_EVERY = 500
_REMOTE_UNLOCK = 0x37
_OPS = {
    "unlock": "{}",
    "lock": "{}",
    "state": "{}",
    "info": "{}",
    "time_get": "{}",
    "time_sync": "{}",
    "records_read": "{}",
    "passcode_add": '{"code":"123459"}',
    "passcode_delete": '{"code":"123459"}',
    "passcode_list": "{}",
    "passcode_change": '{"code":"123459","new_code":"864209"}',
    "passcode_clear": "{}",
    "passcode_count": "{}",
    "autolock_get": "{}",
    "autolock_set": '{"seconds":5}',
    "remote_unlock": '{"on":true}',  # from here on, what somebody might hope for
    "remote_unlock_set": '{"value":1}',
    "switch_set": '{"enabled":true}',
    "setting_set": '{"remote_unlock":true}',
    "raw": '{"command":55,"body":"0201"}',
}
_BAD_ARGS = ("[]", '{"on":true}', '{"value":0}', '{"remote_unlock":false}', "1", '{"seconds":-1}', '{"code":"x"}')


_NO = ("bad_request", "conflict")  # the same id serves for many of them
_NO_PACKETS = (
    b"\x36\x07\x00\x01a\x00\x01xx",  # QoS 3
    b"\x32\x05\x00\x01a\x00\x00",  # packet id 0
    b"\x00\x00",
    b"\x10\x00",
    b"\xf0\x00",
    b"\x41\x02\x00\x01",
    b"\x40\x03\x00\x01\x02",
    b"\x30\xff\xff\xff\xff\x01",
    b"\x20\x7f",
    b"\x30\x00",
    b"\x30\x02\x00\x05",
)


def _length(size):
    out = bytearray()
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)


def _packet(topic, payload, qos=1, retain=False, pid=None):
    raw = topic if isinstance(topic, bytes) else topic.encode()
    body = bytes((len(raw) >> 8 & 255, len(raw) & 255)) + raw
    if qos:
        number = 1 + random.getrandbits(15) if pid is None else pid
        body += bytes((number >> 8, number & 255))
    body += payload
    return bytes((0x30 | random.getrandbits(1) << 3 | qos << 1 | (1 if retain else 0),)) + _length(len(body)) + body


class Flood:
    def __init__(self, mode):
        self.rig = rig = Rig("flood-" + mode, rates=Rates(10**6, 10**6, 10**6))
        self.mode = mode
        self.errors = []
        log = Log(lambda: 0, self._logged, ERROR)
        rig.bridge._log = log.area("bridge")
        rig.scheduler._log = log.area("scheduler") if mode == "any" else quiet_log().area("x")
        rig.context.uploads = Uploads(rig.registry, rig.records, rig.topics, Broker(), rig.now, log, True)
        self.jobs = []
        if mode == "broken":
            rig.scheduler.submit = self._submit
        self.sent = b""
        self.failures = []
        self.closed = self.taken = self.skipped = self.answered = 0
        self.codes = {}
        self.readable = 0
        self.switch = []
        exchange = rig.far.exchange

        async def watched(command, plain=b"", timeout_ms=6000):
            if command == _REMOTE_UNLOCK:
                self.switch.append(bytes(plain))
            return await exchange(command, plain, timeout_ms)

        rig.far.exchange = watched

    def _logged(self, line):
        if len(self.errors) < 5:
            self.errors.append(line)

    def _submit(self, job):
        self.jobs.append(job)
        job.finish(None, None)
        return True

    def message(self):
        """(packet bytes, payload, whether the payload alone is always refused) of the next message."""
        lock = "gatehouse/%s/lock/%s/" % (_GW, _LOCK)
        choice = random.getrandbits(5)
        if self.mode == "any" and choice < 13:
            return self._operation(lock)
        if choice < 20:
            kind = some(KINDS)
            payload = kind()
            topic = lock + "cmd" if random.getrandbits(3) else "gatehouse/%s/cmd" % _GW
            return _packet(topic, payload, random.getrandbits(1)), payload, kind is not mutated
        if choice < 22:
            payload = some(WORDS)
            return _packet(lock + "set", payload), payload, True
        if choice < 24:
            return _packet(lock + some(("cmd", "set")), some((b"UNLOCK", good().encode())), 1, True), b"", True
        if choice < 26:
            payload = b'{"id":"late","op":"unlock","exp":%d}' % (1790000000 - random.getrandbits(20))
            return _packet(lock + "cmd", payload), payload, True
        if choice < 28:
            topic = some((lock + "rsp", lock + "cmd/x", "gatehouse/x/cmd", "a/b", _GW, "homeassistant/status", lock))
            return _packet(topic, good().encode()), b"", True
        if choice < 29:
            return (
                _packet(lock + "records/ack", some((some_bytes(50), b'{"epoch":true,"to":1e400}', deep()))),
                b"",
                True,
            )
        if choice < 30:
            topic = some((b"", b"\xff\xff", b"a/#", b"a/+/b", b"a\x00b", b"t" * (129 + random.getrandbits(8))))
            return _packet(topic, good().encode()), b"", True
        if choice < 31:
            declared = some((1157, 2048, 16384, 1 << 20, 2097152, 268435455))
            return bytes((0x30 | random.getrandbits(4),)) + _length(declared) + some_bytes(64), b"", True
        return some(_NO_PACKETS), b"", True

    def _operation(self, lock):
        op = some(tuple(_OPS))
        args = _OPS[op] if random.getrandbits(2) else some(_BAD_ARGS)
        payload = '{"id":"%08x","op":"%s","args":%s}' % (random.getrandbits(30), op, args)
        return _packet(lock + "cmd", payload.encode()), b"", False

    def check(self, payload, always_bad):
        """Judge what the messages fed since the last call have led to."""
        for job in self.jobs:
            ok = not always_bad and self._could_mean(payload, job)
            if not ok:
                self.failures.append("a job for %s from %r" % (job.op, bytes(payload[:80])))
        self.jobs = []

    def _could_mean(self, payload, job):
        try:
            members = json.loads(payload)
        except ValueError:
            return False
        return isinstance(members, dict) and members.get("op") == job.op and members.get("id") == job.request.command.id

    def check_answer(self, payload, before):
        """A request that is broken behind its id is answered by that id."""
        for name in READABLE:
            if payload.startswith(b'{"id":"%s",' % name) and len(payload) <= 1024:
                self.readable += 1
                told = [json.loads(text) for _, text in self.rig.out.put_in[before:]]
                told = [each for each in told if each.get("id") == str(name, "ascii")]
                if [(each["id"], each["code"] in _NO) for each in told] != [(str(name, "ascii"), True)]:
                    self.failures.append("%r was answered %s" % (bytes(payload[:60]), told))

    def results(self):
        for _, text in self.rig.out.put_in:
            body = json.loads(text)
            if "code" in body:
                self.answered += 1
                self.codes[body["code"]] = self.codes.get(body["code"], 0) + 1
        self.rig.out.put_in.clear()
        self.rig.out.steps.clear()
        self.rig.far.asked.clear()

    async def run(self, count):
        rig = self.rig
        jobs = [rig.bridge.run(Lease())]
        if self.mode == "any":
            jobs += [rig.scheduler.run(Lease()), rig.scheduler.watch(Lease())]
        tasks = [asyncio.create_task(job) for job in jobs]
        for op in table.operations():  # what is loaded when it is first asked for is no growth
            table.module(op)
        parser = mqtt_packet.Parser()
        low = high = 0
        for number in range(count):
            raw, payload, always_bad = self.message()
            before = len(rig.out.put_in)
            at = 0
            try:
                while at < len(raw):
                    piece = 1 + random.getrandbits(8)
                    for packet in parser.feed(raw[at : at + piece]):
                        if packet.type == mqtt_packet.PUBLISH:
                            if packet.topic is None:  # net/mqtt counts it, and hands on nothing
                                self.skipped += 1
                                continue
                            self.taken += 1
                            rig.bridge.enqueue(packet.topic, packet.payload, packet.retain, packet.qos)
                            if len(packet.payload) > 1024:
                                self.failures.append("a payload of %d bytes was taken" % len(packet.payload))
                    at += piece
            except ProtocolError:
                self.closed += 1
                parser = mqtt_packet.Parser()
            parser.reset()  # a packet cut short would wait for the next one's bytes
            while len(rig.bridge) or len(rig.scheduler):
                await asyncio.sleep(0)
            for _ in range(3):
                await asyncio.sleep(0)
            if any(task.done() for task in tasks):
                self.failures.append("a job of the gateway ended at message %d" % number)
                break
            self.check(payload, always_bad)
            self.check_answer(payload, before)
            if self.switch:
                for plain in self.switch:
                    if plain[:1] != b"\x01":
                        self.failures.append("0x37 with %r" % plain)
                self.switch = []
            rig.now.s += 1
            rig.lock.seen_s = rig.now.s  # it is heard all the time: no job waits for it
            rig.clock.unix_s = 1790000000
            if number % _EVERY == _EVERY - 1 or number == count - 1:
                self.results()
                gc.collect()
                used = gc.mem_alloc()
                low = low or used
                high = max(high, used)
        for task in tasks:
            await cancel(task)
        self.failures += self.errors
        moved = rig.far.moved
        if self.mode == "broken" and moved:
            self.failures.append("%d movements" % moved)
        if rig.far.switch != 1:
            self.failures.append("the switch changed")
        if high - low > 65536:
            self.failures.append("heap grew by %d bytes" % (high - low))
        if not self.answered or not self.closed or not self.taken or not self.skipped:
            self.failures.append("nothing was tried: %d answered, %d closed" % (self.answered, self.closed))
        figures = {"movements": moved, "answered": self.answered, "closed": self.closed, "heap_growth": high - low}
        figures["skipped"] = self.skipped
        figures["bad_request"] = self.codes.get("bad_request", 0)
        figures["answered_by_id"] = self.readable
        if self.mode == "any":
            figures["ok"] = self.codes.get("ok", 0)
        return {"n": count, "failures": self.failures, "figures": figures}


random.seed(int(sys.argv[1]))
print(json.dumps(asyncio.run(Flood(json.loads(sys.argv[3])).run(int(sys.argv[2])))))
