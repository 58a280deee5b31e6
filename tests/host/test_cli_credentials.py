"""Limits of credentials on the command line: one spelling everywhere, and nothing is sent for what makes no sense."""

import pytest
from typer.testing import CliRunner

from host_tools.cli import ekeys, reach, times
from host_tools.cli.main import app
from host_tools.errors import HostError
from host_tools.owner import names
from host_tools.owner.keybook import Entry, KeyBook

ENTRY = Entry(
    "C0:FF:EE:00:00:01", "Front door", "00112233445566778899aabbccddeeff", 11, 22, zone="UTC", zone_rule="UTC0"
)
UNTIL = ("--until", "+2d")
HOURS = ("--days", "mon-fri", "--hours", "08:00-18:00")
PARSED = {"days": [1, 2, 3, 4, 5], "from_min": 480, "to_min": 1080}


@pytest.fixture
def book(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "keys.json"))
    book = KeyBook()
    book.put(ENTRY)
    return book


@pytest.fixture
def asked(monkeypatch, book):
    """What the commands would ask a gateway for: [(op, args)]; each is told yes."""
    found = []

    def ask(self, lock, op, args=None, secret=False, note=None):
        items = []
        if op == "card_list" and args:  # which card is in a slot
            items = [{"slot": args["cursor"], "who": 77}]
        else:
            found.append((op, args))
        data = {"number": 5, "who": 77, "items": items}
        if note:
            note(book, ENTRY.id, data, "")
        return "Front door", {"ok": True, "code": "ok", "ms": 1, "attempts": 1, "data": data}

    monkeypatch.setattr(reach.Gateway, "ask", ask)
    return found


def gatehouse(*arguments, input=""):
    return CliRunner().invoke(app, arguments, input=input)


@pytest.mark.parametrize(
    "arguments, typed, op, more",
    [
        (("card", "add", "front door"), "123456\n", "card_add", {"number": "123456"}),
        (("card", "enrol", "front door"), "", "card_enrol", {}),
        (("card", "change", "front door", "--slot", "3"), "", "card_change", {"slot": 3, "who": 77}),
        (("fingerprint", "enrol", "front door"), "", "fingerprint_enrol", {}),
        (("fingerprint", "change", "front door", "5"), "", "fingerprint_change", {"number": 5}),
        (("fob", "change", "front door", "c0ffee000009"), "", "fob_change", {"mac": "c0ffee000009"}),
    ],
)
def test_periods_and_hours_are_spelled_the_same_for_every_credential(book, asked, arguments, typed, op, more):
    result = gatehouse(*arguments, *UNTIL, *HOURS, input=typed)
    assert result.exit_code == 0, result.output
    [(said, args)] = asked
    assert said == op
    assert args.pop("end") - args.pop("start") == 2 * 86400
    assert args == {**more, **PARSED}
    assert "123456" not in result.output


@pytest.mark.parametrize(
    "options",
    [
        ("--from", "2020-01-01T00:00", "--until", "2020-02-01T00:00"),
        ("--from", "now"),
        (*UNTIL, "--hours", "08:00-18:00"),
        (*UNTIL, "--days", "someday"),
        (*UNTIL, "--days", "mon", "--hours", "22:00-22:00"),
    ],
)
@pytest.mark.parametrize(
    "command", [("card", "add"), ("card", "enrol"), ("fingerprint", "enrol"), ("fob", "change")], ids=" ".join
)
def test_limits_that_make_no_sense_are_refused_before_anything_is_sent(book, asked, command, options):
    target = ("front door", "c0ffee000009") if command[0] == "fob" else ("front door",)
    result = gatehouse(*command, *target, *options, input="123456\n")
    assert result.exit_code == 2
    assert result.stderr.startswith("error bad_request: ")
    assert not asked


def test_passage_windows_take_the_same_days_and_hours(book, asked):
    assert gatehouse("passage", "add", "front door", *HOURS).exit_code == 0
    assert asked == [("passage_add", {"weekdays": [1, 2, 3, 4, 5], "from_min": 480, "to_min": 1080})]
    result = gatehouse("passage", "delete", "front door", "--days", "mon", "--hours", "8-9")
    assert (result.exit_code, len(asked)) == (2, 1)


def test_days_of_an_ekey_count_from_sunday():
    assert ekeys._hours("sat,sun", "08:00-12:30") == {"days": [1, 7], "from": 480, "to": 750}
    assert ekeys._hours("daily", "") == {"days": [1, 2, 3, 4, 5, 6, 7], "from": 0, "to": 1440}
    assert ekeys._hours("", "") is None
    with pytest.raises(HostError):
        ekeys._hours("", "08:00-12:30")


def test_whose_card_was_enrolled_is_kept_by_its_mark(book, asked):
    assert gatehouse("card", "enrol", "front door", "--name", "Ada").exit_code == 0
    assert names.Names(book.find("front door")).of("card", 77) == "Ada"


def test_a_card_number_is_no_argument(book, asked):
    assert gatehouse("card", "add", "front door", "123456").exit_code == 2
    assert gatehouse("card", "add", "front door", input="").exit_code == 2
    assert gatehouse("card", "add", "front door", input="12ab\n").exit_code == 2
    assert not asked


def test_days():
    assert times.read_days("mon-fri, sun") == [1, 2, 3, 4, 5, 7]
    assert times.read_days("sat-mon") == [1, 6, 7]
    assert times.read_days("daily") == [1, 2, 3, 4, 5, 6, 7]
