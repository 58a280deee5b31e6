"""R-05, R-06 on whole boards: both images in a site, the power cut at a flash operation of what they are doing."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from host_tools.sim.board.board import Board
from tests.faults.rows import Row
from tests.system.bench import Bench

_CODE = "864209"
_TEARS = ("", "prefix", "bits", "noise")
_FATES = ("ok", "link", "link_timeout", "outcome_unknown", "expired", "not_near", "protocol")


async def _started(board: Board) -> float:
    """Give a board its power back; seconds until its application runs."""
    seen = len(board.lines)
    began = time.monotonic()
    await board.start()
    await board.wait_line(r" started ", after=seen)
    return time.monotonic() - began


async def _cut(board: Board, at: int, draw: random.Random) -> None:
    board.cut_power_after(at, draw.choice(_TEARS), draw.randrange(1 << 30))


async def _cut_by_then(bench: Bench, ident: str) -> bool:
    """Wait until the gateway has lost its power. False: it had answered `ident` and was at rest before the change of
    its flash at which it was to lose it, for no two runs make equally many; then it loses it at rest."""

    async def at_rest() -> None:
        await bench.until(lambda: bench.results(ident), "an answer")
        await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
        await bench.until_linkless()

    off = asyncio.create_task(bench.gateway.wait_off())
    rest = asyncio.create_task(at_rest())
    await asyncio.wait([off, rest], return_when=asyncio.FIRST_COMPLETED)
    was_cut = off.done()
    rest.cancel()
    if not was_cut:
        await bench.gateway.kill()
    await off
    return was_cut


async def _opens(bench: Bench, digits: str) -> bool:
    """Type a code; True if the bolt moves."""
    if not await bench.opens({"do": "keys", "digits": digits + "#"}):
        return False
    await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
    return True


def _play(row: Row, tmp_path: Path, story: Callable[[Bench, random.Random], Awaitable[float]]) -> None:
    """Tell a story with an adopted lock; it returns the seconds of the slowest start."""

    async def whole() -> float:
        async with Bench(tmp_path, seed=row.seed) as bench:
            await bench.adopt()
            return await story(bench, random.Random(row.seed))

    row.figure("worst_boot_s", round(asyncio.run(whole()), 2))


@pytest.mark.row("R-05b", "whole lock, power cut while it stores a code")
def test_lock_that_loses_its_power_while_it_stores_a_code_keeps_what_it_told(row: Row, tmp_path) -> None:
    async def story(bench: Bench, draw: random.Random) -> float:
        worst = 0.0
        before = await bench.lock.flash_changes()
        assert (await bench.ask("passcode_add", {"code": _CODE}))["code"] == "ok"
        changes = await bench.lock.flash_changes() - before
        row.figure("changes", changes)
        for _ in range(row.count(1, 25)):
            assert (await bench.ask("passcode_delete", {"code": _CODE}))["code"] == "ok"
            await bench.until_linkless()
            await _cut(bench.lock, draw.randrange(changes), draw)
            asked = asyncio.create_task(bench.ask("passcode_add", {"code": _CODE}, timeout_s=90))
            await bench.lock.wait_off()
            worst = max(worst, await _started(bench.lock))
            told = (await asked)["code"]
            row.check(told in _FATES, "answered %s" % told)
            opens = await _opens(bench, _CODE)
            row.check(opens or told != "ok", "told ok, and the code does not open")
            row.check(not bench.lock.crashes and not bench.gateway.crashes, "a board crashed")
            if not opens:
                assert (await bench.ask("passcode_add", {"code": _CODE}))["code"] == "ok"
        return worst

    _play(row, tmp_path, story)


@pytest.mark.row("R-06b", "whole gateway, power cut while it unlocks")
def test_gateway_that_loses_its_power_while_it_unlocks_does_not_unlock_again(row: Row, tmp_path) -> None:
    async def story(bench: Bench, draw: random.Random) -> float:
        worst = 0.0
        for _ in range(2):  # the first one costs more: what is learned of a lock is kept
            before = await bench.gateway.flash_changes()
            assert (await bench.ask("unlock"))["code"] == "ok"
            await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
            await bench.until_linkless()
            changes = max(1, await bench.gateway.flash_changes() - before)
        row.figure("changes", changes)
        at_rest = 0
        for number in range(row.count(1, 25)):
            moves = len(bench.moves())
            ident = "cut-%d" % number
            await bench.until_linkless()
            await _cut(bench.gateway, draw.randrange(changes), draw)
            await bench.send({"id": ident, "op": "unlock"})
            at_rest += not await _cut_by_then(bench, ident)
            seen = len(bench.gateway.lines)
            worst = max(worst, await _started(bench.gateway))
            await bench.gateway.wait_line("clock synced", after=seen)
            acted = [move for move in bench.moves(since=moves) if move[1] == "unlocked"]
            told = [each["code"] for each in bench.results(ident)]
            again = (await bench.ask("unlock", id=ident, timeout_s=90))["code"]
            await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
            unlocked = [move for move in bench.moves(since=moves) if move[1] == "unlocked"]
            row.check(len(unlocked) <= 1, "unlocked %d times" % len(unlocked))
            row.check(again in _FATES and (again != "ok" or len(unlocked) == 1), "answered %s" % again)
            row.check(not acted or again in ("outcome_unknown", "ok"), "moved, then answered %s" % again)
            row.check(not told or told[0] == again, "answered %s, then %s" % (told, again))
            row.check(not bench.lock.crashes and not bench.gateway.crashes, "a board crashed")
        row.figure("cut_at_rest", at_rest)
        return worst

    _play(row, tmp_path, story)
