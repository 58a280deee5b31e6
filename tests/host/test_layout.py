"""Tables fit 80 columns: addresses and times whole, names shortened first; for programs they are tab-separated."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools import screen

MAC = "24:0a:c4:b0:00:02"
WHEN = "2027-03-29 11:00:00 CEST"
TABLES = [
    (("name", "address", "model", "paired", ""), ("%s", MAC, "GATEHOUSE-1", WHEN, "to be confirmed")),
    (("lock", "gateway", "", "bolt", "door", "battery", "RSSI", "last", "as of"),
     ("%s", "240ac4b00001", "online", "UNLOCKED", "closed", "100 %", "-61 dBm", "fingerprint 12", WHEN)),
    (("slot", "whose", "from", "until", "hours", "state"),
     ("1", "%s", WHEN, WHEN, "mon,tue,wed,thu,fri 08:00-18:00", "not yet valid")),
    (("name", "address", "kind", "battery", "strength", ""),
     ("%s", MAC, "door lock", "100 %", "very good", "has an owner: delete it there or reset it")),
]  # fmt: skip


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def wide(monkeypatch):
    def show(table, columns):
        stream = Terminal()
        monkeypatch.setattr("sys.stdout", stream)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        screen.Screen().print(table)
        return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())

    return show


def made(headings, row, name, title=None):
    table = screen.Table(*headings, title=title)
    table.add_row(*(name if each == "%s" else each for each in row))
    return table


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
@pytest.mark.parametrize("name", ["Door", "The front door of the house behind the garden", "Türe 😀" * 9])
@pytest.mark.parametrize(("headings", "row"), TABLES)
def test_addresses_and_times_are_never_cut(wide, headings, row, name, columns):
    shown = wide(made(headings, row, name), columns)
    for each in row:
        if each in (MAC, WHEN, "240ac4b00001"):
            assert shown.count(each) >= row.count(each), shown
    if columns >= 80 or "│" in shown:
        assert all(len(line) <= columns for line in shown.splitlines()), shown


def test_names_are_shortened_first(wide):
    shown = wide(made(*TABLES[0], "The front door of the house behind the garden"), 80)
    assert "…" in shown and "GATEHOUSE-1" in shown


def test_a_pipe_gets_tabs(capsys):
    table = made(*TABLES[3], "a\tb\nc", title="near")
    screen.out.print(table)
    told = capsys.readouterr()
    head, line = told.out.splitlines()
    assert head.split("\t") == list(TABLES[3][0])
    assert line.split("\t") == ["a\\x09b\\x0ac", *TABLES[3][1][1:]]
    assert told.err == "near\n"


@given(names=st.lists(st.text(max_size=60), max_size=5))
def test_any_name_makes_a_line_of_as_many_cells(names):
    table = screen.Table("name", "address")
    for name in names:
        table.add_row(name, MAC)
    assert all(line.count("\t") == 1 for line in table.tab_separated())
    assert len(table.tab_separated()) == len(names) + 1
