"""The live view on a terminal: sixty locks scroll, and every time is the lock's own, with its zone."""

import json
import os
import pty
import select
import subprocess
import sys

import pytest

from host_tools.gateway.client import Gateways
from host_tools.gateway.monitor import Monitor, event_line
from host_tools.owner import zones
from tests.micropython import ROOT

PROGRAM = """
import fcntl, struct, sys, termios
from host_tools import screen
fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
table = screen.Table("lock", "address")
for number in range(60):
    table.add_row("Lock %02d" % number, "24:0a:c4:b0:00:%02x" % number)
out = screen.Screen()
import time
with out.live(table) as draw:
    while True:
        draw(table)
        time.sleep(0.02)
"""


@pytest.mark.parametrize(
    ("keys", "first", "last"),
    [
        ("", "Lock 00", "Lock 18"),
        ("\x1b[B", "Lock 01", "Lock 19"),
        ("\x1b[6~", "Lock 19", "Lock 37"),
        ("\x1b[F", "Lock 41", "Lock 59"),
        ("\x1bOF\x1b[A", "Lock 40", "Lock 58"),
        ("G\x1b[H", "Lock 00", "Lock 18"),
        ("   \x1b[5~", "Lock 22", "Lock 40"),
    ],
)
def test_sixty_locks_scroll(keys, first, last):
    ours, theirs = pty.openpty()
    env = dict(os.environ, PYTHONPATH=str(ROOT), TERM="xterm")
    env.pop("COLUMNS", None)
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    try:
        wait_for(ours, b"1 to 19 of 60")
        os.write(ours, keys.encode())
        where = b"%d to %d of 60" % (int(first[-2:]) + 1, int(last[-2:]) + 1)
        seen = wait_for(ours, where)
        frame = seen[: seen.rindex(where)].rsplit(b"address", 1)[1]
        assert first.encode() in frame and last.encode() in frame
        assert b"Lock %02d" % (int(last[-2:]) + 1) not in frame
    finally:
        program.kill()
        program.wait()
        os.close(ours)


def wait_for(handle, text):
    """What was drawn until a text; a hang is ended by the runner's own limit."""
    seen = b""
    while text not in seen:
        select.select([handle], [], [])
        seen += os.read(handle, 65536)
    return seen


def test_times_of_the_monitor_are_the_lock_s_own():
    gateways = Gateways(None, "gatehouse")  # type: ignore[arg-type]
    where = zones.RuleZone("NZST-12NZDT,M9.5.0,M4.1.0/3")
    told = []
    view = Monitor(gateways, {"240ac4b00002": "Door"}, None, {"240ac4b00002": where}, told.append)
    state = {"lock": "LOCKED", "ts": "2027-01-31T11:00:00Z", "rssi": -60}
    view.receive("240ac4b00001", "240ac4b00002", "state", json.dumps(state))
    assert "2027-02-01 00:00:00 NZDT" in view.table().texts[0]
    assert (told[0]["name"], told[0]["kind"], told[0]["ts"]) == ("Door", "state", "2027-01-31T11:00:00Z")
    line, _ = event_line("Door", {"event_type": "unlock", "ts": "2027-07-31T11:00:00Z"}, None, where)
    assert line.startswith("2027-07-31 23:00:00 NZST  Door")
