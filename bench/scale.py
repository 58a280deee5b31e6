"""How the simulator bears a crowd: many advertising locks, several gateways, one table.

    python -m bench.scale --locks 50 --gateways 4 --seconds 30

Gateways and two of the locks are boards with the real firmware; the other locks are radios in the site's process that
advertise as locks do, every 400 ms. One real lock is paired with the first gateway, which opens it during the storm.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from firmware.lib import advert
from host_tools.sim.air.air_host import AirHost
from tests.system.bench import Bench

_REAL = 2
_INTERVAL_MS = 400.0
_DELAY_MS = 5.0  # advDelay on average
_PROBE_S = 0.005
_HEAD = b"\x02\x01\x06\x03\x03\x10\x19\x10\xff"  # as firmware/ble/peripheral


@dataclass
class Load:
    """CPU seconds of a process and of its children, and how long it waited for a core although it was ready."""

    own_s: float
    waited_s: float
    boards_s: float

    @classmethod
    def now(cls, pids: list[int]) -> "Load":
        own = os.times()
        waited = 0.0
        for task in Path("/proc/self/task").iterdir():  # Linux
            waited += int((task / "schedstat").read_text().split()[1]) / 1e9
        ticks = os.sysconf("SC_CLK_TCK")
        boards = 0.0
        for pid in pids:
            fields = Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
            boards += (int(fields[11]) + int(fields[12])) / ticks
        return cls(own.user + own.system, waited, boards)


async def _crowd(bench: Bench, number: int) -> list[AirHost]:
    hosts = []
    for index in range(number):
        mac = "c0ffee%06x" % index
        host = await AirHost(bench.site.radio.air, mac, "lock %d" % index).start()
        bench.site.radio.place(mac, 2.0 + index % 8, float(index // 8))
        content = advert.encode_manufacturer(bytes.fromhex(mac), 1, 0, 90)
        name = advert.lock_name("GH1", bytes.fromhex(mac)).encode()
        await host.advertise(_INTERVAL_MS, _HEAD + content, bytes((len(name) + 1, 9)) + name)
        hosts.append(host)
        await asyncio.sleep(_INTERVAL_MS / 1000 / max(1, number))
    return hosts


async def _probe(late_s: list[float]) -> None:
    """A timer every 5 ms: how late this process is for anything on the air."""
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    while True:
        due_s = max(due_s + _PROBE_S, loop.time())
        await asyncio.sleep(due_s - loop.time())
        late_s.append(loop.time() - due_s)


def _spread(values: list[float], scale: float) -> str:
    ranked = sorted(values)
    at = [ranked[min(len(ranked) - 1, len(ranked) * part // 1000)] for part in (500, 990)]
    return " / ".join("%.1f" % (each * scale) for each in (*at, ranked[-1]))


async def _unlocks(bench: Bench, took_ms: list[int]) -> None:
    while True:
        for op in ("unlock", "lock"):
            result = await bench.ask(op)
            if result["ok"] and op == "unlock":
                took_ms.append(result["ms"])
            await bench.until_linkless()


async def _measure(locks: int, gateways: int, seconds: float, seed: int) -> Table:
    with tempfile.TemporaryDirectory() as folder:
        async with Bench(Path(folder), profile="home", gateways=gateways, locks=min(_REAL, locks), seed=seed) as bench:
            await bench.adopt()
            await bench.ask("autolock_set", {"seconds": 0})
            air = bench.site.radio.air
            crowd = await _crowd(bench, max(0, locks - _REAL))
            chips = {
                board.mac: chip for board in bench.site.gateways for chip in air.controllers if chip.mac == board.mac
            }
            pids = [board.pid for board in bench.site.boards]
            await asyncio.sleep(2)
            late_s: list[float] = []
            took_ms: list[int] = []
            tasks = [asyncio.create_task(_probe(late_s)), asyncio.create_task(_unlocks(bench, took_ms))]
            air.late_s.clear()
            loop = asyncio.get_running_loop()
            load, began_s, sent = Load.now(pids), loop.time(), sum(host.chip.adverts for host in crowd)
            heard = {mac: chip.reports for mac, chip in chips.items()}
            await asyncio.sleep(seconds)
            ran_s = loop.time() - began_s
            after = Load.now(pids)
            sent = sum(host.chip.adverts for host in crowd) - sent
            rates = [(chip.reports - heard[mac]) / ran_s for mac, chip in chips.items()]
            adverts_late_s = list(air.late_s)
            for task in tasks:
                task.cancel()
            for host in crowd:
                host.stop()
    due = len(crowd) * ran_s / ((_INTERVAL_MS + _DELAY_MS) / 1000)
    table = Table(
        "of the simulator", "", title="%d locks, %d gateways, %.0f s, seed %d" % (locks, gateways, ran_s, seed)
    )
    table.add_row("advertisements late by ms, p50 / p99 / worst", _spread(adverts_late_s, 1000))
    table.add_row("any timer late by ms, p50 / p99 / worst", _spread(late_s, 1000))
    table.add_row("air clock against real time", "%+.2f %%" % (100 * (sent / due - 1) if due else 0))
    table.add_row("reports per second and gateway", ", ".join("%.0f" % rate for rate in rates))
    table.add_row("cold unlocks meanwhile, p50 ms (n)", "%s (%d)" % (statistics.median(took_ms or [0]), len(took_ms)))
    table.add_row("CPU: site's process", "%.0f %% of a core" % (100 * (after.own_s - load.own_s) / ran_s))
    table.add_row("CPU: %d boards" % len(pids), "%.0f %% of a core" % (100 * (after.boards_s - load.boards_s) / ran_s))
    table.add_row("ready, but no core free", "%.1f %% of the time" % (100 * (after.waited_s - load.waited_s) / ran_s))
    table.add_row("load average, cores", "%.1f, %d" % (os.getloadavg()[0], os.cpu_count() or 0))
    return table


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locks", type=int, default=50)
    parser.add_argument("--gateways", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    Console().print(asyncio.run(_measure(options.locks, options.gateways, options.seconds, options.seed)))


if __name__ == "__main__":
    main()
