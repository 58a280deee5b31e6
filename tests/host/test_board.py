"""Simulated boards behave as an ESP32 does at start, reset, sleep, power cut, and on their serial port."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools.sim.board.board import Board
from host_tools.sim.board.pty_end import with_crlf
from tests.host import one_board

_PROGRAM = """
import asyncio, machine, network, os, sys, time
import json, select
from esp32 import NVS
print("at", sys.path, os.getcwd(), time.gmtime(0)[:3], time.mktime((2024, 2, 29, 12, 0, 0, 0, 0)))
store = NVS("test")
try:
    boots = store.get_i32("boots") + 1
except OSError:
    boots = 1
store.set_i32("boots", boots)
store.commit()

async def nap():
    await asyncio.sleep(6 * 3600)
    print("napped")

def state(request):
    return {"cause": machine.reset_cause(), "boots": boots, "clock": time.time(), "ticks": time.ticks_ms(),
            "leds": machine.Pin(32).value(), "files": os.listdir("/")}

def move(request):
    motor = machine.Pin(25 if request["to"] == "locked" else 26, machine.Pin.OUT)
    motor.on()
    time.sleep_ms(700)
    motor.off()
    return {"at": [1 - machine.Pin(32).value(), 1 - machine.Pin(33).value()]}

def write(request):
    for number in range(request["count"]):
        with open("/new", "w") as file:
            file.write("%d" % number * 500)
        os.rename("/new", "/kept")
    return {}

def watch(request):
    machine.WDT(timeout=400)
    return {}

def host(request):
    try:
        open(request["path"]).close()
        return {"opened": True}
    except OSError:
        return {"opened": False}

def wait(request):  # blocks the loop
    started = time.ticks_ms()
    time.sleep_ms(request["ms"])
    return {"ms": time.ticks_diff(time.ticks_ms(), started)}

def clock(request):
    machine.RTC().datetime((2026, 1, 2, 4, 3, 4, 5, 0))
    return {"clock": machine.RTC().datetime()[:7]}

def battery(request):
    return {"raw": machine.ADC(machine.Pin(34)).read_u16()}

does = {"state": state, "move": move, "write": write, "watch": watch, "host": host, "wait": wait, "clock": clock,
        "battery": battery, "reset": lambda _: machine.reset(), "soft": lambda _: machine.soft_reset(),
        "exit": lambda _: sys.exit(), "crash": lambda _: os.system("kill -9 $PPID")}

async def main():
    asyncio.create_task(nap())
    machine.Pin(14, machine.Pin.IN).irq(lambda pin: print("door", pin.value()))
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    line = b""
    print("ready")
    while True:
        while poll.poll(0):
            octet = sys.stdin.buffer.read(1)
            if octet == b"\\n":
                request = json.loads(line)
                line = b""
                print(json.dumps(does[request["do"]](request)))
            else:
                line += octet
        await asyncio.sleep_ms(10)

asyncio.run(main())
"""


class OneBoard(one_board.OneBoard):
    """A board that runs `program`, and has said that it is ready."""

    def __init__(self, folder: Path, program: str = _PROGRAM) -> None:
        super().__init__(folder, program)

    async def __aenter__(self) -> Board:
        board = await super().__aenter__()
        await board.wait_line("^ready")
        return board


async def _again(board: Board, do: str) -> dict:
    """Ask for something that ends the program; return the state of the next one."""
    seen, starts = len(board.lines), board.starts
    request = asyncio.create_task(board.ask({"do": do}, 5))
    await board.wait_line("^ready", after=seen)
    assert board.starts == starts + 1
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    return await board.ask({"do": "state"})


def test_board_starts_with_the_paths_epoch_and_files_of_an_esp32(tmp_path):
    async def run():
        async with OneBoard(tmp_path) as board:
            line = await board.wait_line("^at ")
            assert line == "at ['', '.frozen', '/lib', '/.sim'] / (2000, 1, 1) 762523200"
            state = await board.ask({"do": "state"})
            assert state["cause"] == 1 and state["clock"] < 10 and state["ticks"] < 10000
            assert "main.py" in state["files"] and "etc" not in state["files"]
            assert (await board.ask({"do": "host", "path": "/etc/passwd"})) == {"opened": False}
            assert (await board.ask({"do": "host", "path": str(board.image)})) == {"opened": False}

    asyncio.run(run())


def test_reset_causes_tell_resets_watchdog_and_power_apart_and_nvs_survives(tmp_path):
    async def run():
        async with OneBoard(tmp_path) as board:
            await board.ask({"do": "clock"})
            assert (await _again(board, "reset"))["cause"] == 2
            assert (await _again(board, "soft"))["cause"] == 5
            assert (await _again(board, "exit"))["cause"] == 5
            state = await _again(board, "watch")
            assert state["cause"] == 3 and state["boots"] == 5 and state["clock"] >= 820638245
            assert board.crashes == []
            seen = len(board.lines)
            await board.restart()
            await board.wait_line("^ready", after=seen)
            state = await board.ask({"do": "state"})
            assert state["cause"] == 1 and state["boots"] == 6 and state["clock"] < 10

    asyncio.run(run())


def test_crash_of_a_board_is_reported_and_it_starts_again(tmp_path):
    async def run():
        async with OneBoard(tmp_path) as board:
            assert (await _again(board, "crash"))["cause"] == 2
            assert len(board.crashes) == 1 and "-9" in board.crashes[0]

    asyncio.run(run())


def test_leap_moves_ticks_and_clock_and_wakes_sleeping_tasks(tmp_path):
    async def run():
        one = OneBoard(tmp_path)
        async with one as board:
            await board.ask({"do": "clock"})
            before = await board.ask({"do": "state"})
            await one.site.leap(6 * 3600 - 10)
            await asyncio.sleep(0.2)
            assert "napped" not in board.lines
            await one.site.leap(11)
            await board.wait_line("^napped")
            after = await board.ask({"do": "state"})
            assert 6 * 3600 <= after["clock"] - before["clock"] < 6 * 3600 + 10
            assert 6 * 3600 <= (after["ticks"] - before["ticks"]) / 1000 < 6 * 3600 + 10
            sleeper = asyncio.create_task(board.ask({"do": "wait", "ms": 3600000}))
            await asyncio.sleep(0.1)
            await one.site.leap(3601)  # a blocking sleep ends as well
            assert (await asyncio.wait_for(sleeper, 60))["ms"] >= 3600000

    asyncio.run(run())


def test_sleep_is_neither_short_nor_much_too_long(tmp_path):
    async def run():
        async with OneBoard(tmp_path) as board:
            took_ms = [(await board.ask({"do": "wait", "ms": 200}))["ms"] for _ in range(5)]
            assert min(took_ms) >= 200 and min(took_ms) < 300  # the others may have met a machine that was busy

    asyncio.run(run())


def test_motor_moves_the_bolt_and_a_jam_stops_it(tmp_path):
    async def run():
        async with OneBoard(tmp_path) as board:
            assert (await board.ask({"do": "move", "to": "unlocked"}))["at"] == [0, 1]
            assert board.bolt == "unlocked" and [(m.before, m.after) for m in board.movements] == [
                ("locked", "unlocked")
            ]
            assert (await board.panel({"do": "jam"})) == {"ok": True}
            assert (await board.ask({"do": "move", "to": "locked"}))["at"] == [0, 0]
            assert board.bolt == "between" and len(board.movements) == 1
            await board.panel({"do": "jam", "on": False})
            assert (await board.ask({"do": "move", "to": "locked"}))["at"] == [1, 0]
            assert [m.after for m in board.movements] == ["unlocked", "locked"]

    asyncio.run(run())


def test_inputs_reach_pins_interrupts_and_the_battery_converter(tmp_path):
    async def run():
        async with OneBoard(tmp_path) as board:
            await board.panel({"do": "door", "open": True})
            await board.wait_line("^door 1")
            await board.panel({"do": "battery", "pct": 40})
            assert abs((await board.ask({"do": "battery"}))["raw"] - 65535 * 0.4) < 2
            assert (await board.panel({"do": "state"}))["mechanics"]["battery_pct"] == 40
            assert (await board.panel({"do": "battery"}))["code"] == "bad_request"

    asyncio.run(run())


@pytest.mark.parametrize(("changes", "tear"), [(0, ""), (3, "noise"), (8, "bits")])
def test_power_cut_at_a_flash_operation_leaves_a_file_system_that_mounts(tmp_path, changes, tear):
    async def run():
        async with OneBoard(tmp_path) as board:
            await board.ask({"do": "write", "count": 2})
            seen = len(board.lines)
            before = await board.flash_changes()
            await board.ask({"do": "write", "count": 1})
            assert await board.flash_changes() > before > 0
            board.cut_power_after(changes, tear)
            request = asyncio.create_task(board.ask({"do": "write", "count": 20}, 10))
            await board.wait_off(10)
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
            assert not board.is_running and not board.crashes
            await board.start()
            await board.wait_line("^ready", after=seen)
            assert "kept" in (await board.ask({"do": "state"}))["files"]

    asyncio.run(run())


def test_mpremote_interrupts_copies_runs_and_resets(tmp_path):
    mpremote = [str(Path(sys.executable).parent / "mpremote"), "connect"]
    big = tmp_path / "big"
    big.write_bytes(bytes(range(256)) * 40)

    def remote(board, *arguments):
        return subprocess.run(
            [*mpremote, board.console, *arguments], capture_output=True, text=True, timeout=300, check=True
        ).stdout

    async def run():
        async with OneBoard(tmp_path) as board:
            assert await asyncio.to_thread(remote, board, "resume", "exec", "print(6 * 7)") == "42\n"
            assert "main.py" in await asyncio.to_thread(remote, board, "fs", "ls", ":")
            back = tmp_path / "back"
            await asyncio.to_thread(remote, board, "fs", "cp", str(big), ":big", "+", "fs", "cp", ":big", str(back))
            assert back.read_bytes() == big.read_bytes()
            seen = len(board.lines)
            await asyncio.to_thread(remote, board, "reset")
            await board.wait_line("^ready", after=seen)
            assert (await board.ask({"do": "state"}))["cause"] == 2
            assert not board.crashes

    asyncio.run(run())


def test_lines_end_like_a_boards_wherever_the_output_is_torn():
    printed, wanted = b"a\nb\r\nc\n\nd\r\n>", b"a\r\nb\r\nc\r\n\r\nd\r\n>"
    for at in range(len(printed) + 1):
        before, after = printed[:at], printed[at:]
        assert with_crlf(b"", before) + with_crlf(before, after) == wanted


def test_broken_main_leaves_the_repl(tmp_path):
    async def run():
        one = OneBoard(tmp_path, "print('ready')\nraise ValueError('on purpose')\n")
        async with one as board:
            await board.wait_line(re.escape("ValueError: on purpose"))
            assert board.is_running and board.starts == 1

    asyncio.run(run())
