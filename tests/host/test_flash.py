"""Flashing and provisioning simulated boards behind their ptys."""

import asyncio
import json
import os
import threading
import time

import pytest

from host_tools.boards import flash
from host_tools.boards.serial_console import SerialConsole
from host_tools.errors import HostError
from host_tools.sim.board.pty_end import open_pty
from host_tools.sim.site.site import Site, SiteSpec


def on_site(spec, work):
    """Run the blocking `work(site)` in a thread while the site lives."""

    async def run():
        async with Site(spec) as site:
            for board in site.boards:
                await board.ask({"do": "hello"}, 30)
            await asyncio.to_thread(work, site)

    asyncio.run(run())


def test_flashing_replaces_what_differs_and_keeps_what_the_owner_set():
    def work(site):
        port = site.locks[0].console
        with flash.raw_repl(port) as board:
            board.exec("import os")
            board.fs_rmfile("/a/firmware/lib/frame.mpy")
            board.fs_writefile("/a/firmware/leftover.py", b"1/0")
            board.fs_writefile("/data/kept", b"the owner's")
        steps = []
        answer = flash.flash("lock", port, steps.append)
        assert answer["role"] == "lock"
        assert [step for step in steps if step.startswith("writing")] == ["writing 1 of 1: /a/firmware/lib/frame.mpy"]
        with flash.raw_repl(port) as board:
            assert board.fs_readfile("/data/kept") == b"the owner's"
            assert not board.fs_exists("/a/firmware/leftover.py")

    on_site(SiteSpec(gateways=0, locks=1, profile="ideal"), work)


def test_a_flashing_that_was_cut_off_is_simply_repeated():
    def work(site):
        port = site.locks[0].console
        with flash.raw_repl(port) as board:
            board.fs_rmfile("/main.py")
            board.fs_rmfile("/a/firmware/lib/frame.mpy")
        assert flash.flash("lock", port)["role"] == "lock"

    on_site(SiteSpec(gateways=0, locks=1, profile="ideal"), work)


def test_a_board_of_the_other_role_is_left_alone():
    def work(site):
        port = site.locks[0].console
        with pytest.raises(HostError) as caught:
            flash.flash("gateway", port)
        assert "erase" in caught.value.todo

    on_site(SiteSpec(gateways=0, locks=1, profile="ideal"), work)


def test_board_that_answers_late_is_called_again_and_leaves_one_prompt():
    control, terminal = open_pty()
    os.set_blocking(control, True)
    calls = 0

    def board():
        nonlocal calls
        while calls < 3:
            if b"\x01" in os.read(control, 64):
                calls += 1
                if calls > 1:  # the first call is answered together with the second
                    os.write(control, b"raw REPL; CTRL-B to exit\r\n>" * (2 if calls == 2 else 1))

    thread = threading.Thread(target=board, daemon=True)
    thread.start()
    try:
        with flash.raw_repl(os.ttyname(terminal)) as found:
            time.sleep(0.1)
            assert found.serial.read(found.serial.in_waiting) == b">"
        assert calls == 3
    finally:
        thread.join(1)
        os.close(terminal)
        os.close(control)


def test_flashing_names_what_is_wrong():
    with pytest.raises(HostError) as caught:
        flash.flash("toaster", "/dev/null")
    assert "gateway, lock" in caught.value.todo


def test_the_console_passes_over_log_lines_echoes_and_broken_lines():
    import os
    import pty
    import tty

    control, terminal = pty.openpty()
    tty.setraw(terminal)
    try:
        with SerialConsole(os.ttyname(terminal)) as console:

            def board():
                asked = os.read(control, 200)
                os.write(control, asked + b"  1.0 I link connected\r\n{broken\r\n" + b'{"ok":true}\r\n')

            thread = threading.Thread(target=board)
            thread.start()
            assert console.ask({"do": "hello"}, 5) == {"ok": True}
            thread.join()
            with pytest.raises(HostError) as caught:
                console.ask({"do": "hello"}, 0.3)
            assert caught.value.code == "link_timeout"
            late = json.loads(os.read(control, 200))

            def slow_board():
                asked = json.loads(os.read(control, 200))
                for seq, reply in ((late["seq"], "of before"), (None, "of nobody"), (asked["seq"], "right")):
                    os.write(control, json.dumps({"ok": True, "is": reply, "seq": seq}).encode() + b"\r\n")

            thread = threading.Thread(target=slow_board)
            thread.start()
            assert console.ask({"do": "own"}, 5) == {"ok": True, "is": "right"}
            thread.join()
    finally:
        os.close(control)
        os.close(terminal)
