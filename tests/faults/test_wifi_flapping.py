"""R-15: Wi-Fi comes and goes, or is weak, captive, changed. The gateway comes back, and serves its lock meanwhile."""

import asyncio
import math
import random
import re
import secrets
import statistics

import pytest

from host_tools.sim.site.site import PASSWORD
from tests.faults.posts import Post
from tests.faults.rows import FULL
from tests.micropython import ROOT
from tests.system.bench import Bench

PERIOD_S = 0.1, 600.0  # drawn evenly in their logarithm
REAL_S = 0.6  # of a longer period; the rest is leapt over
STEP_S = 2.0
LONGEST_S = 240.0  # the longest pause, jittered up, for Wi-Fi and then for the broker, and the attempts
PAUSE_S = range(1, 121)
KEEPALIVE_S = 30
WARM = 20
SLOPE_B = 4.0  # what may stay of a cycle
PROBE = ROOT / "bench/programs/probe.py"
KINDS = ("gone", "gone", "flapping", "weak", "other access point", "captive portal")
_PAUSE = re.compile(r"\b(wifi|mqtt) disconnected .*pause_s=(\d+)")


class Story:
    """One gateway and its lock under a Wi-Fi that gets worse and better again. Times are the site's, leaps included."""

    def __init__(self, bench: Bench, post: Post, row) -> None:
        self.bench = bench
        self.site = bench.site
        self.post = post
        self.row = row
        self.back_s: list[float] = []
        self.heap: list[tuple[int, int]] = []  # (cycle, bytes alive)
        self.made = 0

    async def spend(self, seconds: float) -> None:
        """Let so much time pass on the site, most of it by a leap."""
        await asyncio.sleep(min(seconds, REAL_S))
        if seconds > REAL_S:
            await self.leap(seconds - REAL_S)

    async def leap(self, seconds: float) -> None:
        await self.post.until_quiet(0.05)
        await self.site.leap(seconds)

    async def _answers(self, timeout_s: float) -> bool:
        """Whether the gateway answers a ping by MQTT."""
        mqtt, base = self.bench.mqtt, "gatehouse/" + self.post.gateway.id
        ident, seen = secrets.token_hex(6), len(mqtt.messages)
        await mqtt.publish(base + "/cmd", {"id": ident, "op": "ping"})
        try:
            await mqtt.wait(lambda m: m.topic == base + "/rsp" and m.value["id"] == ident, timeout_s, seen)
        except AssertionError:
            return False
        return True

    async def _hurt(self, kind: str, period_s: float) -> None:
        uplink = self.site.uplinks[0]
        if kind in ("gone", "other access point"):
            self.site.switch_wifi(False)
            await self._at_the_lock()
            await self.spend(period_s)
            if kind == "other access point":  # same name and password, other addresses, the old connections are gone
                self.site.wifi.subnet = self.site.wifi.subnet % 200 + 1
                uplink.cut()
            self.site.switch_wifi(True)
        elif kind == "flapping":
            await self.site.wifi.flap(0.1, 0.1, 2.0)
            await self._at_the_lock()
            await asyncio.sleep(2.0)
            uplink.cut()
        elif kind == "captive portal":
            uplink.mode = "captive"
            uplink.cut()
            await self._at_the_lock()
            await self.spend(period_s)
            uplink.mode = "through"
        else:
            uplink.loss, uplink.latency_s = 0.3, 0.1
            await self._at_the_lock()
            await asyncio.sleep(1.0)
            uplink.loss = uplink.latency_s = 0.0
            uplink.cut()

    async def _at_the_lock(self) -> None:
        """Somebody uses the keypad: the gateway hears of it and reads the record, whatever the network does."""
        post = self.post
        await post.until_quiet(0.1)
        before = self.site.radio.last_link
        await post.open_at_the_keypad()
        served = await post.until(lambda: sum(post.packets(before).values()) > 10, "read by the gateway", 30)
        self.row.check(served, "BLE stood still without network")
        self.made += 1

    async def is_back(self, within_s: float) -> bool:
        """Wait until the gateway answers at MQTT, while time flies."""
        until_s = self.site.now() + within_s
        while not await self._answers(0.5):
            if self.site.now() > until_s:
                return False
            await self.leap(STEP_S)
        return True

    async def cycle(self, number: int, kind: str, period_s: float) -> None:
        """Worse, better, and back."""
        await self._hurt(kind, period_s)
        began_s = self.site.now()
        is_back = await self.is_back(LONGEST_S)
        took_s = self.site.now() - began_s
        self.row.check(is_back, "%s for %.1f s: not back within %d s" % (kind, period_s, LONGEST_S))
        if is_back:
            self.back_s.append(took_s)
            await self._sample(number)

    async def _sample(self, number: int) -> None:
        """What lives on the gateway's heap, once the dust has settled."""
        await self.post.until_quiet(0.1)
        gateway = self.post.gateway
        seen = len(gateway.lines)
        gateway.post("heap", "cycle")
        line = await gateway.wait_line(r"\*heap\* cycle", after=seen)
        self.heap.append((number, int(line.split()[2])))

    def pauses_s(self) -> list[int]:
        found = (_PAUSE.search(line) for line in self.post.gateway.lines)
        return [int(match.group(2)) for match in found if match]


def slope(points: list[tuple[int, int]]) -> tuple[float, float]:
    """Least squares: bytes per cycle, and the standard error of that."""
    middle = statistics.mean(x for x, _ in points)
    spread = sum((x - middle) ** 2 for x, _ in points)
    rise, base = statistics.linear_regression(*zip(*points, strict=True))
    rest = sum((y - base - rise * x) ** 2 for x, y in points)
    return rise, math.sqrt(rest / max(1, len(points) - 2) / spread)


@pytest.mark.row("R-15", "Wi-Fi flapping, weak, captive, changed:")
@pytest.mark.timeout(3600)
def test_gateway_comes_back_whatever_the_wifi_does(tmp_path, row):
    async def story():
        settings = {"keepalive_s": KEEPALIVE_S, "linger_ms": 100}
        async with Bench(tmp_path, gateway_settings=settings, seed=row.seed) as bench:
            assert bench.site.wifi.password == PASSWORD
            post = await Post(bench, 0).adopt()
            assert (await post.ask("autolock_set", {"seconds": 0}))["ok"]  # a leap would tear a movement
            bench.gateway.env["SIM_PROBE"] = str(PROBE)
            await bench.gateway.restart()
            starts = bench.gateway.starts
            played = Story(bench, post, row)
            assert await played.is_back(60)
            draw = random.Random(row.seed)
            for number in range(row.count(2, 90)):
                kind = KINDS[-1 - number if not FULL else number % len(KINDS)]  # few: those that break the connection
                await played.cycle(number, kind, math.exp(draw.uniform(*map(math.log, PERIOD_S))))
            total = (await post.lock.panel({"do": "state"}))["records"]

            def lost() -> int:
                return total - len({(epoch, item["rec"]) for epoch, item in post.records()})

            row.check(await post.until(lambda: lost() <= 0, "all records", 90), "%d records lost" % lost())
            why = [line for line in bench.gateway.lines if " E " in line or "lifeline started" in line]
            row.check(bench.gateway.starts == starts, "the gateway was reset: %s" % why[-6:])
            pauses_s = played.pauses_s()
            row.check(pauses_s and all(each in PAUSE_S for each in pauses_s), "pauses of %s" % sorted(set(pauses_s)))
            back_s = sorted(played.back_s)
            row.figure("back_p50_s", round(statistics.median(back_s), 1))
            row.figure("p95_s", round(back_s[len(back_s) * 95 // 100], 1))
            row.figure("records_lost", "%d of %d" % (lost(), total))
            settled = played.heap[WARM:]  # tables and inboxes have found their size by then
            if len(settled) > 20:
                rise, error = slope(settled)
                row.figure("heap_slope", "%+.1f±%.1f B per cycle" % (rise, error))
                row.check(rise < 3 * error + SLOPE_B, "the heap fills by %.0f±%.0f B per cycle" % (rise, error))

    asyncio.run(story())
