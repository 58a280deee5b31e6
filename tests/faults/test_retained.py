"""T-RET-1, T-Q-1, POISON: what a broker kept, or queued, for a gateway and for the host tools: nothing of it is done,
and it takes nobody off line. Over mosquitto, which keeps it on its disk, to a real gateway."""

import asyncio
import json
import os
import random
import subprocess
import sys
import threading

import pytest

from firmware.lib.topics import HA_STATUS
from tests.faults.rows import FULL, Row
from tests.micropython import ROOT
from tests.system.bench import Bench
from tests.system.conftest import shared  # noqa: F401

SITE = {
    "broker": "mosquitto",
    "broker_keeps": True,
    "gateway_heapsize": "1M",  # which no message of a megabyte would fit
    "gateway_settings": {"keepalive_s": 4, "unsigned_unlock": True},  # so that the flag alone keeps the door shut
}
_WAYS = ("start", "reconnect", "broker")
_MIB = 1 << 20
# Sizes of payloads, several of each class: none, small, at the limit of what is read, at that of a packet, and longer
_CLASSES = (
    (0, 0, 0),
    (1, 2, 127, 128, 700),
    (1023, 1024, 1025),
    (1100, 1152, 1156, 1157, 2048, 4096),
    (16383, 16384, 65535, 65536, 70001),
    (_MIB - 1, _MIB, _MIB // 2),
)
_SIZES = 9 if FULL else 2  # of each class
_RSS_MIB = 300  # of a host tool; Python with its libraries takes a fourth of that
_CROWD = 320  # gateways that are none, more than a tool keeps


async def _again(bench: Bench, way: str) -> None:
    """The gateway comes to the broker once more."""
    after = len(bench.gateway.lines)
    if way == "start":
        await bench.gateway.kill()
        await bench.gateway.start()
    elif way == "reconnect":
        for uplink in bench.site.uplinks:
            uplink.cut()
    else:
        await bench.site.broker.stop()
        await bench.site.broker.start()
    await bench.gateway.wait_line("mqtt connected", after=after)
    await bench.until_answers()


async def _counted(bench: Bench, code: str) -> int:
    """How often the gateway has given a result of this code since it started, as its metrics have it."""
    found = (await bench.ask("diagnosis", {"part": "gateway"}))["data"]["found"]
    return int(found["results"].get(code, 0))


async def _withdraw(bench: Bench, topics) -> None:
    for topic in topics:
        await bench.mqtt.publish(topic, b"", retain=True)


@pytest.mark.row("T-RET-1", "retained unlocks before connect, at reconnect, after a broker's restart")
def test_a_retained_unlock_is_never_done(row: Row, shared) -> None:  # noqa: F811
    async def story(bench: Bench) -> None:
        signed = {"id": "ab" * 16, "op": "unlock"}
        kept = {
            bench.topic("set"): "UNLOCK",
            bench.topic("cmd"): '{"id":"kept","op":"unlock"}',
            "gatehouse/%s/lock/0badc0de0001/cmd" % bench.gateway.id: '{"id":"kept","op":"unlock"}',
            "gatehouse/%s/cmd" % bench.gateway.id: '{"id":"kept","op":"reset"}',
        }
        moved = len(bench.lock.movements)
        for turn in range(row.count(1, 5)):
            if turn % 2:  # as the owner signs it, and left at the broker by whoever heard it
                kept[bench.topic("cmd")] = await bench.signs.sign(bench.gateway, bench.lock.id, signed, False)
            await bench.gateway.kill()  # else it hears them live first
            for topic, payload in kept.items():
                await bench.mqtt.publish(topic, payload, retain=True)
            for way in _WAYS:
                if way != "start":
                    await bench.leap(61)  # so that no alarm is one too many in a minute
                before = 0 if way == "start" else await _counted(bench, "retained")
                seen = len(bench.mqtt.messages)
                await _again(bench, way)
                counted = await _counted(bench, "retained") - before
                row.check(counted >= len(kept), "%s: %d of %d were counted" % (way, counted, len(kept)))
                alarm = await bench.mqtt.wait(
                    lambda m: m.topic == bench.topic("event") and "retained_command" in m.text, after=seen
                )
                row.check(alarm.value["event_type"] == "alarm", alarm.text)
                told = [m.value for m in bench.mqtt.messages[seen:] if m.topic.endswith("/rsp") and not m.retained]
                codes = {each["code"] for each in told if each["id"] in ("kept", signed["id"], None)}
                row.check(codes == {"retained"}, "%s: %s" % (way, codes))
                row.check(len(bench.lock.movements) == moved, "%s: moved %s" % (way, bench.lock.movements[moved:]))
            await _withdraw(bench, kept)
        row.check(not bench.gateway.crashes, "the gateway was reset")

    shared.run(story)


@pytest.mark.row("T-Q-1", "commands published, also by a broker that kept them, while the gateway was off line")
def test_a_queued_command_is_never_done(row: Row, shared) -> None:  # noqa: F811
    async def story(bench: Bench) -> None:
        moved = len(bench.lock.movements)
        for turn in range(row.count(2, 12)):
            queued = []
            for number in range(row.count(4, 20)):
                ident = "%030d%02x" % (turn, number)
                request = {"id": ident, "op": "unlock" if number % 4 else "lock"}
                queued.append((ident, await bench.signs.sign(bench.gateway, bench.lock.id, request, False)))
            seen = len(bench.mqtt.messages)
            if turn % 2:
                bench.site.switch_wifi(False)
            else:
                await bench.gateway.kill()
            await bench.mqtt.wait(lambda m: m.topic.endswith("/status") and m.text == "offline", after=seen)
            for ident, payload in queued:
                await bench.mqtt.publish(bench.topic("cmd"), payload)
                await bench.mqtt.publish(bench.topic("cmd"), {"id": "u" + ident, "op": "unlock"})
                await bench.mqtt.publish(bench.topic("set"), "UNLOCK")
                row.tried(3)
            if turn % 2:
                bench.site.switch_wifi(True)
            else:
                await bench.gateway.start()
            await bench.until_answers()
            assert (await bench.ask("state"))["ok"]
            names = {ident for ident, _ in queued} | {"u" + ident for ident, _ in queued}
            stale = [m for m in bench.mqtt.messages if m.topic == bench.topic("rsp") and m.value["id"] in names]
            row.check(not stale, "answered: %s" % [m.text for m in stale[:3]])
            for ident, payload in queued:  # a broker that kept them for it after all
                await bench.mqtt.publish(bench.topic("cmd"), payload)
                told = await bench.mqtt.wait(
                    lambda m, ident=ident: m.topic == bench.topic("rsp") and m.value["id"] == ident, after=seen
                )
                row.check(told.value["code"] == "stale_nonce", told.text)
            row.check(len(bench.lock.movements) == moved, "moved: %s" % bench.lock.movements[moved:])

    shared.run(story)


def _payload(size: int) -> bytes:
    """So many bytes of some kind, none of which is a command."""
    kind = random.randrange(4)
    head = (b"", b'{"id":"poison","op":"unlock","args":{"a":"', b"UNLOCK ", b'{"id":"poison","op":"unlock"}')[kind]
    return (head + (random.randbytes(64) * (1 + size // 64) if kind == 0 else b" " * size))[:size]


def _poison(bench: Bench, number: int) -> tuple[str, bytes]:
    """One retained message: a topic that the gateway reads, with any lock's id, and a size of each class in turn."""
    base = "gatehouse/%s/" % bench.gateway.id
    lock = bench.lock.id if number < 6 else "%012x" % random.getrandbits(48)
    below = base + "lock/%s/" % lock
    topic = (base + "cmd", below + "cmd", below + "set", below + "records/ack", HA_STATUS)[number % 5]
    return topic, _payload(random.choice(_CLASSES[number // 5 % len(_CLASSES)][:_SIZES]))


@pytest.mark.row("POISON", "retained messages of 0 B to 1 MiB in every topic that a gateway reads")
def test_no_retained_message_takes_the_gateway_off_line(row: Row, shared) -> None:  # noqa: F811
    random.seed(row.seed)

    async def story(bench: Bench) -> None:
        moved, starts = len(bench.lock.movements), bench.gateway.starts
        octets, turns = 0, row.count(1, 10)
        for _ in range(turns):
            left = dict(_poison(bench, number) for number in range(0 if FULL else 5, 30 if FULL else 27))
            for number, (topic, payload) in enumerate(left.items()):
                await bench.mqtt.publish(topic, payload, retain=True)
                octets += len(payload)
                if number % 10 == 9:
                    assert (await bench.ask("state"))["ok"]
            for way in _WAYS:
                starts += way == "start"
                after = len(bench.gateway.lines)
                await _again(bench, way)
                result = await bench.ask("state")
                row.tried(len(left))
                row.check(result["ok"], "%s: %s" % (way, result))
                lines = list(bench.gateway.lines)[after:]
                bad = [line for line in lines if "MemoryError" in line or "Traceback" in line]
                row.check(not bad, "%s: %s" % (way, bad[:2]))
                up = next(place for place, line in enumerate(lines) if "mqtt connected" in line)
                lost = [line for line in lines[up:] if "mqtt disconnected" in line]
                row.check(not lost, "%s: %s" % (way, lost[:2]))
                row.check(len(bench.lock.movements) == moved, "%s: moved" % way)
            await _withdraw(bench, left)
        row.check(bench.gateway.starts == starts and not bench.gateway.crashes, "the gateway was reset")
        row.figure("mib_each_time", round(octets / turns / _MIB, 1))

    shared.run(story)


def _crowd(bench: Bench) -> list[tuple[str, bytes]]:
    """What strangers leave for the host tools: any topic of any gateway, theirs and the owner's, of any size."""
    left: list[tuple[str, bytes]] = []
    lock = {"mac": bench.lock.id, "name": "Front door"}
    for number in range(_CROWD):
        base = "gatehouse/%012x/" % (0xBAD000000000 + number)
        many = [lock] + [{"mac": "%012x" % each, "name": "x" * 40} for each in range(number % 4 * 90)]
        info = {"id": bench.gateway.id, "name": "Gateway", "x25519": "00" * 32, "locks": many}
        left += [(base + "status", b"online"), (base + "info", json.dumps(info).encode())]
    for number in range(60):
        base = "gatehouse/%s/" % (bench.gateway.id if number % 2 else "%012x" % (0xBAD000000000 + number))
        of = bench.lock.id if number % 4 < 2 else "%012x" % random.getrandbits(48)
        leaves = ["lock/%s/%s" % (of, leaf) for leaf in ("state", "availability", "event", "records", "rsp")]
        leaf = [*leaves, "rsp", "metrics"][number % 7]
        size = random.choice(_CLASSES[1:][number // 7 % (len(_CLASSES) - 1)])
        junk = random.choice((b"[" * size, b'{"lock":"' + b"x" * size, b'{"a":' * (size // 5), random.randbytes(size)))
        left.append((base + leaf, junk[:_MIB]))
    return left


def _tool(bench: Bench, *command: str) -> tuple[int, str, int]:
    """Run `gatehouse` as its user does -> (exit code, what it printed, its greatest resident size in MiB)."""
    at = "%s:%d" % (bench.site.mqtt_host, bench.site.mqtt_port)
    own = {"GATEHOUSE_KEYS": str(bench.site.key_book), "GATEHOUSE_RECORDS": str(bench.site.record_store)}
    words = [sys.executable, "-m", "host_tools.cli", *command, "--broker", at]
    process = subprocess.Popen(
        words, cwd=ROOT, env={**os.environ, **own}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout
    parts: list[bytes] = []
    reading = threading.Thread(target=lambda: parts.append(process.stdout.read()))  # type: ignore[union-attr]
    reading.start()
    _, status, usage = os.wait4(process.pid, 0)
    reading.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, parts[0].decode(errors="replace"), usage.ru_maxrss // 1024


@pytest.mark.row("POISON-H", "the same, and a crowd of gateways that are none, in every topic that a host tool reads")
def test_no_retained_message_stops_a_host_tool(row: Row, shared) -> None:  # noqa: F811
    random.seed(row.seed)

    async def story(bench: Bench) -> None:
        await _again(bench, "reconnect")  # the tools' numbers go by this computer's clock, the bench's by the site's
        bench.mqtt.is_recorder = False  # the bench's takes batches of its own gateways only
        left = _crowd(bench)
        for topic, payload in left:
            await bench.mqtt.publish(topic, payload, retain=True)
        lock = bench.lock.id
        tools = [("unlock", lock), ("monitor", "--seconds", "1"), ("records", lock)]
        if row.count(0, 1):
            tools += [("state", lock), ("gateway", "list"), ("info",), ("monitor", "--seconds", "3", "--json")]
            tools += [("jobs", lock), ("import", lock), ("issuer", "list"), ("diagnose", lock, "--to", os.devnull)]
        worst = 0
        for tool in tools:
            code, told, size = await asyncio.to_thread(_tool, bench, *tool)
            worst = max(worst, size)
            row.tried(len(left))
            if code:
                bench.print_lines()
            row.check(code == 0, "%s ended with %d: %s" % (tool, code, told[-300:]))
            row.check("Traceback" not in told, "%s: %s" % (tool, told[-300:]))
            row.check(size < _RSS_MIB, "%s took %d MiB" % (tool, size))
        row.figure("messages", len(left))
        row.figure("mib", round(sum(len(payload) for _, payload in left) / _MIB, 1))
        row.figure("rss_mib", worst)
        await _withdraw(bench, [topic for topic, _ in left])
        bench.mqtt.is_recorder = True

    shared.run(story)
