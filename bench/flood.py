"""What a stranger's flood costs the owner: `unlock` and `lock` in the flood and without, in turns, in one run.

Messages of two lengths, some too short and some too long to be a request, at three rates. Beside the ratio stands which
share of a core each of the simulator's processes had meanwhile: a slow gateway, a slow broker and a slow air look alike
from outside. The time is the simulator's; no board was measured.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.table import Table

from bench.measure import conditions, p50, p95, parser, run, show
from tests.micropython import ROOT
from tests.system.bench import Bench

RATES = (48, 95, 199)
SIZES = (60, 2500)
_BUDGET = {"other_per_min": 60}
_PAUSE_S = 0.4  # in which what was sent is read
_VIEW = ("gatehouse/+/status", "gatehouse/+/info", "gatehouse/+/rsp", "gatehouse/+/lock/+/rsp")


async def _pair(bench: Bench) -> list[float]:
    """Seconds of an unlock and a lock by the owner."""
    took = []
    for op in ("unlock", "lock"):
        began = time.monotonic()
        result = await bench.ask(op)
        if result["ok"]:
            took.append(time.monotonic() - began)
    return took


def _cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has had."""
    fields = Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _cell(bench: Bench, size: int, per_s: int, n: int, seed: int) -> list[str]:
    where = (bench.site.mqtt_host, bench.site.mqtt_port, bench.gateway.id, bench.lock.id, per_s, seed, size)
    pipe = asyncio.subprocess.PIPE
    words = [sys.executable, "-m", "tests.faults.flooder", *map(str, where)]
    stranger = await asyncio.create_subprocess_exec(
        *words, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
    )
    assert stranger.stdin and stranger.stdout and bench.gateway.pid
    quiet: list[float] = []
    flooded: list[float] = []
    used = {"gateway": 0.0, "air and tools": 0.0}
    pids = {"gateway": bench.gateway.pid, "air and tools": os.getpid()}
    passed_s = 0.0
    try:
        stranger.stdin.write(b"{}\n")
        await stranger.stdout.readline()
        for _ in range(n):
            before, began = {name: _cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
            flooded += await _pair(bench)
            passed_s += time.monotonic() - began
            for name, pid in pids.items():
                used[name] += _cpu_s(pid) - before[name]
            stranger.send_signal(signal.SIGSTOP)
            await asyncio.sleep(_PAUSE_S)
            quiet += await _pair(bench)
            stranger.send_signal(signal.SIGCONT)
            await asyncio.sleep(_PAUSE_S)
    finally:
        stranger.kill()
        await stranger.stdout.read()
        await stranger.wait()
    ratios = ["%.2f" % (of(flooded) / of(quiet)) for of in (p50, p95)]
    shares = ["%d %%" % (100 * spent / passed_s) for spent in used.values()]
    row = ["%d" % size, "%d" % per_s, "%.0f" % (1000 * p50(quiet)), "%.0f" % (1000 * p50(flooded)), *ratios, *shares]
    print("  ".join(row), file=sys.stderr, flush=True)
    return row


async def measure(size: int, n: int, seed: int) -> list[list[str]]:
    """A row for each rate, on a site of their own: a gateway takes 160 signed requests in ten minutes."""
    with tempfile.TemporaryDirectory() as folder:
        async with Bench(Path(folder), seed=seed, watched=_VIEW, gateway_settings=_BUDGET) as bench:
            await bench.adopt()
            await _pair(bench)
            return [await _cell(bench, size, per_s, n, seed) for per_s in RATES]


def main() -> None:
    """Command line."""
    given = parser(__doc__, 10).parse_args()
    made = Table(
        "bytes", "a second", "quiet p50 ms", "flooded p50 ms", "ratio p50", "ratio p95", "gateway", "air, tools"
    )
    made.title = "the owner's unlock and lock beside a stranger's flood"
    for size in SIZES:
        for row in run(measure(size, given.n, given.seed)):
            made.add_row(*row)
    made.caption = conditions(given.seed, given.n)
    show(made)


if __name__ == "__main__":
    main()
