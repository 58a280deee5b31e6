"""One grammar of dates, days and hours, in the lock's own zone, for every option that takes one."""

import datetime
import zoneinfo

import pytest
import typer.main
from hypothesis import given
from hypothesis import strategies as st

from host_tools.cli import times
from host_tools.cli.main import app
from host_tools.errors import HostError
from tests.host.test_cli_tree import leaves

AUCKLAND = zoneinfo.ZoneInfo("Pacific/Auckland")
NOW_S = 1793013600  # 2026-10-26 11:20 UTC: a Monday, in Auckland already Tuesday 00:20
DAY_S = 86400
MIDNIGHT_S = 1793013600 - 20 * 60
OPTIONS = {"--from", "--until", "--since", "--days", "--hours", "--at", "--date", "--check-in", "--check-out"}


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(times.time, "time", lambda: NOW_S + 0.5)


def read(text, is_past=False):
    return times.read_moment(text, None, lambda: AUCKLAND, is_past)


@pytest.mark.parametrize(
    ("text", "future", "past"),
    [
        ("now", NOW_S, NOW_S),
        ("today", MIDNIGHT_S, MIDNIGHT_S),
        ("Yesterday", MIDNIGHT_S - DAY_S, MIDNIGHT_S - DAY_S),
        ("tomorrow 11:00", MIDNIGHT_S + 35 * 3600, MIDNIGHT_S + 35 * 3600),
        ("tomorrow  1:30", MIDNIGHT_S + DAY_S + 5400, MIDNIGHT_S + DAY_S + 5400),
        ("15:00", MIDNIGHT_S + 15 * 3600, MIDNIGHT_S + 15 * 3600),
        ("tue", MIDNIGHT_S, MIDNIGHT_S),
        ("friday 08:00:30", MIDNIGHT_S + 3 * DAY_S + 28830, MIDNIGHT_S - 4 * DAY_S + 28830),
        ("mon", MIDNIGHT_S + 6 * DAY_S, MIDNIGHT_S - DAY_S),
        ("2h", NOW_S + 7200, NOW_S - 7200),
        ("3d", NOW_S + 3 * DAY_S, NOW_S - 3 * DAY_S),
        ("1d12h", NOW_S + 36 * 3600, NOW_S - 36 * 3600),
        ("+2h", NOW_S + 7200, NOW_S + 7200),
        ("-90m", NOW_S - 5400, NOW_S - 5400),
        ("2h ago", NOW_S - 7200, NOW_S - 7200),
        ("2026-10-27", MIDNIGHT_S, MIDNIGHT_S),
        ("2026-10-27 00:20", NOW_S, NOW_S),
        ("2026-10-27T00:20:00", NOW_S, NOW_S),
        ("2026-10-26T11:20z", NOW_S, NOW_S),
        ("2026-10-26T13:20+02:00", NOW_S, NOW_S),
    ],
)
def test_a_moment_is_read_by_the_lock_s_clock(text, future, past):
    assert (read(text), read(text, True)) == (future, past)


def test_a_day_is_the_local_one_where_the_clock_changes():
    """Sydney's day of 23 hours: tomorrow is a date, not a number of seconds."""
    sydney = zoneinfo.ZoneInfo("Australia/Sydney")
    times.time.time = lambda: 1790996400  # type: ignore[assignment]  # 2026-10-03 13:00 there
    found = times.read_moment("tomorrow 12:00", None, lambda: sydney)
    assert datetime.datetime.fromtimestamp(found, sydney).isoformat() == "2026-10-04T12:00:00+11:00"


@given(text=st.text(max_size=20) | st.from_regex(r"[a-z0-9:+\- T]{1,14}", fullmatch=True))
def test_any_text_is_a_moment_or_a_fault_that_says_what_is_accepted(text):
    for reader, word in ((read, "tomorrow"), (times.read_days, "mon-fri"), (times.read_hours, "08:00-18:00")):
        try:
            reader(text)
        except HostError as error:
            assert error.code == "bad_request" and word in error.todo


def test_every_option_that_takes_a_time_or_days_uses_the_grammar():
    """An option of another name that takes one has to be added to OPTIONS, and be read by `times`."""
    words = ("date", "hour", "day", "valid from", "until", "this time", "moment")
    for path, command in leaves(typer.main.get_command(app)):
        for each in command.params:
            about = (getattr(each, "help", "") or "").lower()
            is_text = not getattr(each, "is_flag", False) and "int" not in repr(vars(each).get("type_descriptor", ""))
            if each.param_type_name == "option" and is_text and any(word in about for word in words):
                known = OPTIONS | {"--hide", "--for", "--delete", "--type", "--plot"}
                assert set(each.opts) & known, "%s %s: %s" % (path, each.opts, about)


@pytest.mark.parametrize(
    ("days", "opens", "hours", "found"),
    [
        ("mon-fri", "", "08:00-18:00", {"days": "workday", "from_min": 480, "hours": 10}),
        ("sat,sun", "", "22:00-06:00", {"days": "weekend", "from_min": 1320, "hours": 8}),
        ("Monday", "08:00", "2", {"days": "mon", "from_min": 480, "hours": 2}),
        ("daily", "", "00:00-24:00", {"days": "daily", "from_min": 0, "hours": 24}),
    ],
)
def test_a_recurring_code_takes_the_same_days_and_hours(days, opens, hours, found):
    from host_tools.cli import passcodes

    assert passcodes._recurring(days, opens, hours) == found


@pytest.mark.parametrize(
    "given",
    [("mon-wed", "", "08:00-18:00"), ("mon", "", ""), ("mon", "", "08:00-09:30"), ("mon", "24:00", "2"), ("x", "", "")],
)
def test_what_a_recurring_code_cannot_do_is_refused(given):
    from host_tools.cli import passcodes

    with pytest.raises(HostError) as caught:
        passcodes._recurring(*given)
    assert caught.value.code == "bad_request" and caught.value.todo


def test_days_of_the_year():
    assert [times.read_day_of_year(text) for text in ("12-25", "25.12", "25.12.", "25")] == [(25, 12)] * 3 + [(25, 0)]
    for text in ("", "32", "31.02", "13-01", "12-2", "x"):
        with pytest.raises(HostError):
            times.read_day_of_year(text)
