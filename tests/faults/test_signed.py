"""Signed commands under attack (mqtt.md 2; security.md CMD-1 to CMD-3): against the real bridge under MicroPython, and
floods over a real broker to a gateway board."""

import asyncio
import contextlib
import math
import random
import time

import aiomqtt
import pytest

from tests.faults.rows import Row, run_program
from tests.system.bench import Bench

_HEAP = "4M"
_FLOOD_PER_S = 20  # forty times what a gateway reads of unsigned ones; a board takes in some more than that


@pytest.mark.row("SIGN-1", "signed commands, a member altered, dropped, doubled, reordered")
def test_no_altered_envelope_is_accepted(row: Row) -> None:
    row.take(run_program("signed_games", row.seed, row.count(1500, 100000), "envelope", heapsize=_HEAP))


@pytest.mark.row("SIGN-2", "signed commands again: elsewhere, later, reconnected, same number")
def test_no_signed_command_acts_twice_or_elsewhere(row: Row) -> None:
    row.take(run_program("signed_games", row.seed, row.count(1000, 30000), "replay", heapsize=_HEAP))


@pytest.mark.row("SIGN-3", "imports by strangers: 63 locks, random keys")
def test_no_stranger_imports_a_key(row: Row) -> None:
    row.take(run_program("signed_games", row.seed, row.count(30, 1000), "strangers", heapsize=_HEAP))


# --- floods


async def _series(bench: Bench, row: Row, pairs: int) -> float:
    """The owner unlocks and locks so often -> the 95th percentile of all of these, in seconds."""
    times = []
    for _ in range(pairs):
        for op in ("unlock", "lock"):
            began = time.monotonic()
            result = await bench.ask(op)
            times.append(time.monotonic() - began)
            row.check(result["ok"], "%s: %s" % (op, result))
    return sorted(times)[math.ceil(len(times) * 0.95) - 1]


def _flood(bench: Bench, captured: str, number: int) -> tuple[str, str | bytes, bool]:
    """(topic, payload, whether retained) of one message of a stranger's."""
    cmd, base = bench.topic("cmd"), "gatehouse/%s/cmd" % bench.gateway.id
    head = '{"id":"flood-%d","op":' % number
    kinds: list[tuple[str, str | bytes, bool]] = [
        (cmd, head + '"lock"}', False),
        (cmd, head + '"unlock"}', False),
        (cmd, head + '"state"}', False),
        (cmd, head + '"state","exp":1700000000}', False),
        (cmd, '{"id":"flood","op":"lock"}', False),
        (cmd, head + '"lock"}', True),
        (cmd, "nonsense {" * (1 + number % 90), False),
        (cmd, b"x" * (1025 + number % 3000), False),
        (cmd, captured, False),
        (cmd, captured[:-3] + '0"}', False),
        (bench.topic("set"), "LOCK", False),
        (bench.topic("set"), "UNLOCK", True),
        (bench.topic("records/ack"), '{"epoch":1,"from":1,"to":%d}' % number, False),
        (base, head + '"hello","args":{"iss":"owner"}}', False),
        (base, head + '"import","sealed":"AAAA"}', False),
    ]
    return kinds[random.randrange(len(kinds))]


@pytest.mark.row("FLOOD", "a stranger's flood of any mixture beside the owner's unlock and lock")
def test_no_flood_slows_the_owner_down(row: Row, tmp_path) -> None:
    random.seed(row.seed)

    async def story() -> None:
        limits = {"other_per_min": 30}
        async with Bench(tmp_path, gateway_settings=limits) as bench:
            await bench.adopt()
            pairs = 13  # a minute's `lock`s, in all
            await _series(bench, row, 1)
            quiet_s = await _series(bench, row, pairs)
            captured = [m for m in bench.mqtt.messages if m.topic == bench.topic("cmd")][-1].text
            sent = 0

            async def flood() -> None:
                nonlocal sent
                async with aiomqtt.Client(bench.site.mqtt_host, bench.site.mqtt_port) as stranger:
                    while True:
                        topic, payload, retain = _flood(bench, captured, sent)
                        await stranger.publish(topic, payload, qos=1, retain=retain)
                        sent += 1
                        await asyncio.sleep(1 / _FLOOD_PER_S)

            flooding = asyncio.create_task(flood())
            await bench.until(lambda: sent > 3 * _FLOOD_PER_S, "a flood that has used up its first budgets")
            flooded_s = await _series(bench, row, pairs)
            flooding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await flooding
            row.check(flooded_s <= 1.5 * quiet_s, "p95 %.3f s in the flood, %.3f s without" % (flooded_s, quiet_s))
            row.check(bench.gateway.starts == 1 and not bench.gateway.crashes, "the gateway was reset")
            row.figure("messages", sent)
            row.figure("p95_ratio", "%.2f" % (flooded_s / quiet_s))

    asyncio.run(story())
