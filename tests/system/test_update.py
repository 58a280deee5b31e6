"""Updates of a board in use over its serial port: what people have stays, and what does not work is taken back."""

import asyncio
from pathlib import Path

import pytest

from host_tools.boards import flash, update
from host_tools.boards.stage import SLOT, stage
from host_tools.errors import HostError
from host_tools.sim.board.board import Board
from tests.system.bench import Bench

CODE = "582913"


async def changed(board: Board, tree: Path | None = None) -> tuple[dict | None, str]:
    """Update the board with `tree`, or with the firmware of this repository: (its answer, "") or (None, the error)."""
    try:
        return await asyncio.to_thread(update.update, board.console, lambda step: None, tree), ""
    except HostError as err:
        return None, err.code


async def opens(bench: Bench) -> None:
    """The code of before opens the door."""
    await bench.until(lambda: bench.lock.bolt == "locked", "locked")
    before = len(bench.lock.movements)
    await bench.lock.panel({"do": "keys", "digits": CODE + "#"})
    await bench.until(lambda: len(bench.lock.movements) > before, "opened by the code")
    await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")


async def slot(board: Board) -> str:
    return (await board.ask({"do": "hello"}, 30))["restart"]["slot"]


def broken(folder: Path, text: str) -> Path:
    """The lock's tree with another application."""
    tree = stage("lock", folder)
    app = tree / SLOT / "firmware" / "lock" / "app"
    app.with_suffix(".mpy").unlink()
    app.with_suffix(".py").write_text(text)
    return tree


def test_f126_update_keeps_credentials_and_what_does_not_work_is_taken_back(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            await bench.adopt()
            assert (await bench.ask("passcode_add", {"code": CODE}))["ok"]
            assert await slot(bench.lock) == "a"
            answer, error = await changed(bench.lock)
            assert answer and answer["restart"]["slot"] == "b" and not answer["restart"]["trial"], error
            assert answer["paired"]
            await opens(bench)
            assert (await bench.ask("unlock"))["code"] == "ok"
            for text in ("1/0", "def main(is_minimal):\n    pass\n"):  # does not start; ends at once
                assert await changed(bench.lock, broken(tmp_path / "broken", text)) == (None, "refused")
                assert await slot(bench.lock) == "b"
                await opens(bench)
            assert (await bench.ask("unlock"))["code"] == "ok"

    asyncio.run(story())


@pytest.mark.timeout(300)
def test_f126_update_that_is_cut_off_leaves_what_ran_before(tmp_path):
    async def story():
        async with Bench(tmp_path, gateways=0) as bench:
            await bench.pair()
            board = bench.lock
            for written in (1, 40, 1000):  # files that got through before the cable was pulled
                count = 0

                def step(text, last=written):
                    nonlocal count
                    count += text.startswith("writing")
                    if count > last or text.startswith("checking"):
                        raise HostError("link", "the cable was pulled")

                with pytest.raises(HostError):
                    await asyncio.to_thread(update.update, board.console, step)
                await board.kill()
                await board.start()
                hello = await board.ask({"do": "hello"}, 30)
                assert (hello["restart"]["slot"], hello["restart"]["trial"], hello["paired"]) == ("a", False, True)

    asyncio.run(story())


def test_f126_update_that_needs_another_boot_is_refused_and_the_board_goes_on(tmp_path):
    async def story():
        async with Bench(tmp_path, gateways=0) as bench:
            assert await slot(bench.lock) == "a"
            tree = stage("lock", tmp_path / "tree")
            (tree / "boot.py").write_text("# of another release\n")
            assert await changed(bench.lock, tree) == (None, "unsupported")
            assert await slot(bench.lock) == "a"

    asyncio.run(story())


def test_f126_gateway_is_updated_with_its_locks(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            await bench.adopt()
            answer, error = await changed(bench.gateway)
            assert answer and answer["restart"]["slot"] == "b", error
            assert (await bench.ask("unlock"))["code"] == "ok"

    asyncio.run(story())


def test_flashing_ends_what_an_update_has_begun(tmp_path):
    async def story():
        async with Bench(tmp_path, gateways=0) as bench:
            assert await slot(bench.lock) == "a"
            answer, error = await changed(bench.lock)
            assert answer, error
            await asyncio.to_thread(flash.flash, "lock", bench.lock.console)
            assert await slot(bench.lock) == "a"

    asyncio.run(story())
