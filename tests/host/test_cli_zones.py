"""Times of a lock are shown in the lock's zone by every command, whatever zone this computer is in."""

import time
from dataclasses import replace

import pytest

from host_tools.cli import common, reach
from host_tools.owner.keybook import KeyBook
from tests.host.test_cli_tree import COMMANDS, ENTRY, alone, gatehouse  # noqa: F401

TIMES = {"ts": 1_900_000_000, "at": "2030-03-17T18:00:00Z", "until": 1_900_000_000, "existed": True}
FACTS = {"settings": TIMES, "items": [], **TIMES}
AT_LOCKS = [words for words, each in COMMANDS.items() if {"lock", "gateway"} <= {one.name for one in each.params}]
MORE = {  # what each needs besides the lock; the others need nothing
    "autolock set": ["30"],
    "setting set": ["volume", "3"],
    "time zone": ["--zone", "Europe/Berlin"],
    "fingerprint change": ["3", "--until", "2d"],
    "fingerprint delete": ["3"],
    "fob change": ["c0ffee000001", "--until", "2d"],
    "fob delete": ["c0ffee000001"],
    "card change": ["--until", "2d"],
    "name": ["Door"],
    "cancel": ["7f"],
}


@pytest.fixture
def abroad(alone, monkeypatch):  # noqa: F811
    """This computer is in Tokyo, the lock in Berlin; every gateway says yes, with times."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    KeyBook().put(replace(ENTRY, zone="Europe/Berlin", zone_rule="CET-1CEST,M3.5.0,M10.5.0/3"))
    monkeypatch.setattr(
        reach.Gateway, "ask", lambda *_, **__: ("Front door", {"ok": True, "code": "ok", "data": FACTS})
    )
    yield
    monkeypatch.undo()
    time.tzset()


def test_no_command_shows_this_computers_zone_for_a_lock(abroad):
    shown = set()
    for words in AT_LOCKS:
        result = gatehouse(*words.split(), "Front door", *MORE.get(words, []), input="739105\ny\n")
        if words != "diagnose":
            assert "JST" not in result.output and "+09" not in result.output, (words, result.output)
        if " CET" in result.output:
            shown.add(words)
    changed = {"autolock set", "setting set", "card add", "freeze", "unlock", "time sync", "time zone", "setting get"}
    assert changed <= shown and len(shown) > 20, shown


def test_the_zone_of_a_lock_is_no_reason_to_fail(abroad):
    KeyBook().path.write_text("{")
    assert common.zone_of("Front door") is None
