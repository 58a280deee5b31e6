"""Signed commands under attack (mqtt.md 2; security.md CMD-1 to CMD-3): against the real bridge under MicroPython, and
floods over a real broker to a gateway board."""

import asyncio
import contextlib
import math
import signal
import sys
import time

import pytest

from tests.faults.rows import FULL, Row, run_program
from tests.micropython import ROOT
from tests.system.bench import Bench

_HEAP = "4M"
_FLOOD_PER_S = 50, 100  # in `make test`, in `make faults`: what a gateway reads of unsigned ones is one a second
_OWNERS_VIEW = ("gatehouse/+/status", "gatehouse/+/info", "gatehouse/+/rsp", "gatehouse/+/lock/+/rsp")


@pytest.mark.row("SIGN-1", "signed commands, a member altered, dropped, doubled, reordered")
def test_no_altered_envelope_is_accepted(row: Row) -> None:
    row.take(run_program("signed_games", row.seed, row.count(1500, 100000), "envelope", heapsize=_HEAP))


@pytest.mark.row("SIGN-2", "signed commands again: elsewhere, later, reconnected, same number")
def test_no_signed_command_acts_twice_or_elsewhere(row: Row) -> None:
    row.take(run_program("signed_games", row.seed, row.count(1000, 30000), "replay", heapsize=_HEAP))


@pytest.mark.row("SIGN-3", "imports by strangers: 63 locks, random keys")
def test_no_stranger_imports_a_key(row: Row) -> None:
    row.take(run_program("signed_games", row.seed, row.count(30, 1000), "strangers", heapsize=_HEAP))


@pytest.mark.row("IMPORT", "imports again, elsewhere, late, after forget; unproven keys; wrong keys; a full gateway")
def test_a_gateway_keeps_the_keys_that_its_owner_gave_it(row: Row) -> None:
    row.take(run_program("import_games", row.seed, row.count(40, 3000), row.count(4, 63), heapsize=_HEAP))


# --- floods


async def _pair(bench: Bench, row: Row) -> list[float]:
    """The owner unlocks and locks once -> what each took, in seconds."""
    times = []
    for op in ("unlock", "lock"):
        began = time.monotonic()
        result = await bench.ask(op)
        times.append(time.monotonic() - began)
        row.check(result["ok"], "%s: %s" % (op, result))
    return times


def _share(times: list[float], share: float) -> float:
    return sorted(times)[math.ceil(len(times) * share) - 1]


@contextlib.asynccontextmanager
async def _flooding(bench: Bench, row: Row, per_s: int):
    """A stranger in a process of its own, who has used up his first budgets -> that process. The row tells how much he
    sent."""
    captured = await bench.signs.sign(bench.gateway, bench.lock.id, {"id": "ab" * 16, "op": "lock"}, False)
    where = (bench.site.mqtt_host, bench.site.mqtt_port, bench.gateway.id, bench.lock.id, per_s, row.seed)
    pipe = asyncio.subprocess.PIPE
    words = [sys.executable, "-m", "tests.faults.flooder", *map(str, where)]
    stranger = await asyncio.create_subprocess_exec(*words, cwd=ROOT, stdin=pipe, stdout=pipe)
    assert stranger.stdin and stranger.stdout
    try:
        stranger.stdin.write(captured.encode() + b"\n")
        for _ in range(3):
            first = await stranger.stdout.readline()
            assert first, "the stranger has given up"
        began = time.monotonic()
        yield stranger
    finally:
        stranger.kill()
        rest = (await stranger.stdout.read()).split()
        await stranger.wait()
    sent = int(rest[-1]) - int(first) if rest else 0
    row.figure("messages", sent)
    row.figure("per_s", round(sent / (time.monotonic() - began)))
    row.check(sent, "the stranger has sent nothing meanwhile")


@pytest.mark.row("FLOOD", "a stranger's flood of any mixture beside the owner's unlock and lock")
def test_no_flood_slows_the_owner_down(row: Row, tmp_path) -> None:
    async def story() -> None:
        per_s = row.count(*_FLOOD_PER_S)
        async with Bench(tmp_path, gateway_settings={"other_per_min": 30}, watched=_OWNERS_VIEW) as bench:
            await bench.adopt()
            await _pair(bench, row)
            quiet: list[float] = []
            flooded: list[float] = []
            async with _flooding(bench, row, per_s) as stranger:
                for _ in range(13):  # a minute's `lock`s, in all; in turn, so that the machine's other work is in both
                    flooded += await _pair(bench, row)
                    stranger.send_signal(signal.SIGSTOP)
                    await asyncio.sleep(0.5)  # what he has sent is read
                    quiet += await _pair(bench, row)
                    stranger.send_signal(signal.SIGCONT)
                    await asyncio.sleep(0.5)
            share = 0.95 if FULL else 0.5  # beside other tests, a few slow ones are no flood's
            flooded_s, quiet_s = _share(flooded, share), _share(quiet, share)
            words = "%.3f s in the flood, %.3f s without, of %d %%" % (flooded_s, quiet_s, 100 * share)
            row.check(flooded_s <= 1.5 * quiet_s, words)
            row.check(bench.gateway.starts == 1 and not bench.gateway.crashes, "the gateway was reset")
            row.figure("ratio", "%.2f" % (flooded_s / quiet_s))

    asyncio.run(story())
