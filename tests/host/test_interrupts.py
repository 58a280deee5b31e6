"""Somebody at a simulated board's console interrupts it at any moment: there is always a prompt afterwards, and it sees
the board's files and never the host's."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from host_tools.sim.board.board import Board
from tests.host.one_board import OneBoard

TRIALS = 200 if os.environ.get("GATEHOUSE_FAULTS") else 8
SEED = int(os.environ.get("GATEHOUSE_SEED", "1"))
MPREMOTE = [str(Path(sys.executable).parent / "mpremote"), "connect"]

# Works on flash, on NVS, on the radio and in asyncio, and has more to import than the shims
APPLICATION = """
import asyncio, bluetooth, esp32, machine, os, time
store = esp32.NVS("work")
radio = bluetooth.BLE()
radio.active(True)
print("ready")

async def write():
    number = 0
    while True:
        number += 1
        with open("/new", "w") as file:
            file.write("%d " % number * 300)
        os.rename("/new", "/kept")
        store.set_i32("count", number)
        radio.gap_advertise(100000 + number, b"\\x02\\x01\\x06")
        await asyncio.sleep_ms(number % 7)

async def main():
    writer = asyncio.create_task(write())
    while True:
        machine.Pin(2, machine.Pin.OUT).toggle()
        await asyncio.sleep_ms(3)

asyncio.run(main())
"""
BOOT = "import time\nfor _ in range(20):\n    time.sleep_ms(2)\n"
FILES = {".sim", "boot.py", "main.py", "mark"}
LOOK = "import os, sys; print(sorted(os.listdir('/')), os.getcwd())"
ENDLESS = "n = 0\nwhile True:\n    n += 1\n"
WORKING = "import os\nwhile True:\n    open('/loop', 'w').close()\n    os.remove('/loop')\n"


def type_in(board: Board, keys: bytes) -> None:
    fd = os.open(board.console, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(fd, keys)
    finally:
        os.close(fd)


def ask(board: Board, code: str) -> str:
    """What `mpremote resume exec` would print; the prompt is had by its own Ctrl-C, if need be."""
    transport = SerialTransport(board.console, timeout=30)
    try:
        transport.serial.timeout = 30
        transport.enter_raw_repl(soft_reset=False, timeout_overall=60)
        return transport.exec(code).decode().strip()
    finally:
        transport.serial.close()


async def answer(board: Board, code: str) -> str:
    return await asyncio.to_thread(ask, board, code)


async def trial(board: Board, draw: random.Random, folder: Path) -> str:
    """Interrupt it once, somehow and at some moment. Returns how."""
    how = draw.choice(("power", "reset", "soft", "exit", "work", "run", "exec", "twice"))
    pause_s = draw.random() * draw.choice((0.05, 0.4, 1.5))
    if how == "power":
        await board.restart()
    elif how == "reset":
        board.reset()
    elif how == "soft":
        await answer(board, LOOK)
        type_in(board, b"\x02\x04")
    elif how == "exit":
        await answer(board, LOOK)
        type_in(board, b"\x02raise SystemExit\r")
    elif how in ("run", "exec"):
        script = folder / "script.py"
        script.write_text(draw.choice((ENDLESS, WORKING)))
        what = ["run", str(script)] if how == "run" else ["exec", script.read_text()]
        program = await asyncio.create_subprocess_exec(
            *MPREMOTE,
            board.console,
            "resume",
            *what,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # whatever this run ignores
        )
        await asyncio.sleep(0.3 + pause_s)
        if program.returncode is None:
            program.send_signal(signal.SIGINT)
        await program.wait()
    else:
        board.reset()
        await board.wait_line("^ready", after=len(board.lines))
    await asyncio.sleep(pause_s)
    type_in(board, b"\x03" * draw.choice((1, 1, 2, 3)) if how != "twice" else b"\x03\x03")
    return how


def test_after_a_ctrl_c_at_any_moment_the_prompt_sees_the_boards_files(tmp_path):
    async def run():
        draw = random.Random(SEED)
        failures: list[str] = []
        ways: Counter[str] = Counter()
        async with OneBoard(tmp_path, APPLICATION, {"boot.py": BOOT, "mark": "board"}) as board:
            for number in range(TRIALS):
                how = await trial(board, draw, tmp_path)
                ways[how] += 1
                try:
                    told = await answer(board, LOOK)
                except TransportError as err:
                    told = "no prompt: %s" % err
                names, _, place = told.rpartition(" ")
                try:
                    is_right = FILES <= set(eval(names)) <= FILES | {"new", "kept", "loop"} and place == "/"
                except SyntaxError:
                    is_right = False
                if not is_right or board.crashes:
                    failures.append("%d %s: %s %s" % (number, how, told, board.crashes))
                    board.crashes.clear()
        print("interrupts: failures %d / %d, seed %d, %s" % (len(failures), TRIALS, SEED, dict(ways)))
        assert not failures, "\n".join(failures)

    asyncio.run(run())


def test_ctrl_c_stops_a_raw_paste_program_and_what_leaves_a_program_is_no_crash(tmp_path):
    async def run():
        async with OneBoard(tmp_path, "print('ready')\n") as board:
            for code in ("while True: pass", "import time\nwhile True: time.sleep(1)", "import sys\nsys.stdin.read(9)"):
                transport = SerialTransport(board.console, timeout=30)
                transport.serial.timeout = 30
                try:
                    await asyncio.to_thread(transport.enter_raw_repl, soft_reset=False)
                    transport.use_raw_paste = True
                    await asyncio.to_thread(transport.exec_raw_no_follow, code)
                    type_in(board, b"\x03")
                    _, error = await asyncio.to_thread(transport.follow, 30)
                    assert b"KeyboardInterrupt" in error, code
                finally:
                    transport.serial.close()
            for status in ("", "0", "3", "'text'"):
                seen = len(board.lines)
                await answer(board, "print(1)")
                type_in(board, b"\x02raise SystemExit(%s)\r\x03\x03" % status.encode())
                await board.wait_line("soft reboot|^ready", after=seen)
                assert (await answer(board, "import machine; print(machine.reset_cause())")) == "5"
            assert not board.crashes

    asyncio.run(run())
