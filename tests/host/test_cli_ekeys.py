"""`gatehouse ekey` without a lock: who cannot be sent one, and deadlines that come near."""

import sys
import time
from dataclasses import asdict

import pytest
from rich.console import Console

from host_tools.owner import ekeys
from host_tools.owner.keybook import Entry, KeyBook
from tests.host.test_cli import ENTRY, book, gatehouse  # noqa: F401

DAY_S = 86400
YELLOW, RED = "\x1b[33m", "\x1b[31m"


@pytest.mark.parametrize("who, number", [("me", "-2019"), ("Administrator", "-2020"), ("admin", "-2020")])
def test_f064_nobody_sends_an_ekey_to_himself_or_to_the_administrator(book: KeyBook, who: str, number: str) -> None:  # noqa: F811
    book.put(ENTRY)
    done = gatehouse("ekey", "send", "front door", who, "--until", "+2d")
    assert done.exit_code == 1 and number in done.output
    assert not book.find("front door").ekeys


def test_f069_a_deadline_is_yellow_when_it_comes_near_and_red_when_it_has_passed(book: KeyBook, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setattr("host_tools.cli.ekeys.out", _coloured())
    now = int(time.time())
    ends = {"Early": now + 30 * DAY_S, "Soon": now + 3 * DAY_S, "Late": now - 60}
    sent = [asdict(ekeys.Ekey(0x4B000000 + n, who, "timed", now - DAY_S, ends[who])) for n, who in enumerate(ends)]
    book.put(Entry(**{**vars(ENTRY), "ekeys": sent}))
    lines = {
        who: line for line in gatehouse("ekey", "list", "front door").output.splitlines() for who in ends if who in line
    }
    assert YELLOW in lines["Soon"] and "expires in 2 days" in lines["Soon"]
    assert RED in lines["Late"] and "expired" in lines["Late"]
    assert YELLOW not in lines["Early"] and RED not in lines["Early"]


def _coloured():
    """The command line's output as a terminal would get it, with colours."""

    class Out:
        def __getattr__(self, name):
            return getattr(Console(file=sys.stdout, force_terminal=True, width=160, color_system="standard"), name)

    return Out()
