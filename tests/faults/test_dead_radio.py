"""HEAL: the gateway's chip stops connecting. Nothing but radio off and on helps, and the gateway finds that out."""

import asyncio
import time

import pytest

from tests.faults import rows
from tests.faults.rows import Row
from tests.system.bench import Bench

_MOST = 40  # commands in a row, of ten seconds each


@pytest.mark.skipif(not rows.FULL, reason="takes two minutes")
@pytest.mark.row("HEAL", "a chip that no longer connects: rescan, then radio off and on, and the next unlock is done")
def test_a_chip_that_no_longer_connects_is_switched_off_and_on(tmp_path, row: Row) -> None:
    async def story() -> None:
        async with Bench(tmp_path, seed=row.seed) as bench:
            await bench.adopt()
            await bench.until_linkless()
            chip = next(each for each in bench.site.radio.air.controllers if each.mac == bench.gateway.mac)
            chip.create_le_connection = lambda *_arguments: None  # hears, and never sends CONNECT_IND
            began_s = time.monotonic()
            seen = len(bench.gateway.lines)
            codes: list[str] = []
            while "ok" not in codes and len(codes) < _MOST:
                codes.append((await bench.ask("unlock"))["code"])
            row.check(codes[-1] == "ok", "never healed: %s" % codes)
            row.check(codes[0] == "link", "the chip connected: %s" % codes)
            rungs = [line.split()[3] for line in list(bench.gateway.lines)[seen:] if " W ladder " in line]
            row.check(rungs == ["rescan", "radio_cycle"], "rungs %s" % rungs)
            row.check(not bench.gateway.crashes, "it crashed")
            row.figure("healed after s", round(time.monotonic() - began_s))

    asyncio.run(story())
