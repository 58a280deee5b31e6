"""The command line of fingerprints and fobs: how limits are written, and what is refused before anybody is asked."""

import pytest
from typer.testing import CliRunner

from host_tools.cli import times
from host_tools.cli.main import app
from host_tools.errors import HostError


def gatehouse(*arguments):
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon-fri", [1, 2, 3, 4, 5]),
        ("sat,sun", [6, 7]),
        ("daily", [1, 2, 3, 4, 5, 6, 7]),
        ("sun-tue, thu", [1, 2, 4, 7]),
        ("WED", [3]),
        ("Monday,weekend", [1, 6, 7]),
        ("workday", [1, 2, 3, 4, 5]),
    ],
)
def test_days_as_people_write_them(text, days):
    assert times.read_days(text) == days


@pytest.mark.parametrize("text", ["", "mond", "mon-", "1-5", "mon-fri-sun", "mon,,tue"])
def test_what_is_no_day(text):
    with pytest.raises(HostError):
        times.read_days(text)


def test_hours_as_people_write_them():
    assert times.read_hours("08:00-18:30") == (480, 1110)
    assert times.read_hours("0:00 - 24:00") == (0, 1440)
    assert times.read_hours("22:00-06:00") == (1320, 360)
    assert times.read_hours("22:00-00:00") == (1320, 1440)
    for text in ("", "8-18", "24:00-08:00", "08:00-08:00", "08:60-09:00", "08:00-24:01"):
        with pytest.raises(HostError):
            times.read_hours(text)


def test_limits_of_the_options():
    assert times.limits("", "") == {}
    found = times.limits("2098-05-01T10:00", "+2d", "mon", "08:00-09:00")
    assert found["end"] - found["start"] == 2 * 86400
    assert (found["days"], found["from_min"], found["to_min"]) == ([1], 480, 540)
    assert times.limits("", "", "sun") == {"days": [7], "from_min": 0, "to_min": 1440}
    for wrong in (("now", ""), ("+2d", "+0h"), ("", "", "", "08:00-09:00")):
        with pytest.raises(HostError):
            times.limits(*wrong)


def test_listed_hours_in_words():
    hours = [[1, 1, 480, 1080], [1, 5, 480, 1080], [2, 0, 0, 1440], [3, 31, 60, 120]]
    assert times.in_words({"hours": hours}) == "mon,fri 08:00-18:00; daily 00:00-24:00; 31. 01:00-02:00"
    assert times.in_words({}) == ""


def test_wrong_limits_end_in_one_line():
    result = gatehouse("fingerprint", "enrol", "aabbccddeeff", "--days", "someday")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "bad_request" in result.stderr


def test_nothing_is_cleared_without_a_yes():
    for family in ("fingerprint", "fob"):
        result = CliRunner().invoke(app, [family, "clear", "aabbccddeeff"], input="n\n")
        assert result.exit_code == 1
        assert "delete all" in result.stdout
