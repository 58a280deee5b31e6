"""Commands over several locks: groups of the key book, one after the other, and no door opened unasked."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

from host_tools.cli import reach
from host_tools.cli.common import fail
from host_tools.cli.main import app
from host_tools.errors import HostError
from host_tools.owner.keybook import KeyBook
from tests.host.test_cli_tree import COMMANDS, ENTRY

NAMES = ("Attic", "Cellar", "Garage")
BULK = [words for words, each in COMMANDS.items() if "--all" in [name for one in each.params for name in one.opts]]


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """[(lock, op, args)] that would go to gateways; each is told yes."""
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "keys.json"))
    book = KeyBook()
    for place, name in enumerate(NAMES):
        book.put(dataclasses.replace(ENTRY, mac="24:0a:c4:b0:00:%02x" % place, name=name))
    found = []

    def ask(self, lock, op, args=None, secret=False, note=None):
        found.append((lock, op, args))
        return book.find(lock).name, {"ok": True, "code": "ok", "data": {}}

    monkeypatch.setattr(reach.Gateway, "ask", ask)
    return found


def gatehouse(*arguments, input=""):
    return CliRunner().invoke(app, arguments, input=input)


def ops(asked):
    return [(KeyBook().find(lock).name, op) for lock, op, _ in asked]


def test_all_and_groups(asked):
    assert gatehouse("group", "add", "Outside", "Garage", "cellar").exit_code == 0
    assert gatehouse("group", "add", "OUTSIDE", "Attic").exit_code == 0
    assert gatehouse("group", "remove", "outside", "Attic").exit_code == 0
    told = json.loads(gatehouse("group", "list", "--json").stdout)
    assert {name: [each["name"] for each in locks] for name, locks in told.items()} == {"Outside": ["Cellar", "Garage"]}
    assert gatehouse("lock", "--group", "outside").exit_code == 0
    assert ops(asked) == [("Cellar", "lock"), ("Garage", "lock")]
    assert gatehouse("time", "sync", "--all").exit_code == 0
    assert [name for name, op in ops(asked) if op == "time_sync"] == list(NAMES)


def test_opening_several_doors_asks_first(asked):
    refused = gatehouse("unlock", "--all", input="n\n")
    assert (refused.exit_code, asked) == (1, []) and "Attic, Cellar, Garage" in refused.output
    assert gatehouse("unlock", "--all").exit_code == 130 and not asked, "nobody answers"
    assert gatehouse("unlock", "--all", input="y\n").exit_code == 0
    assert gatehouse("unlock", "--all", "--yes").exit_code == 0
    assert len(asked) == 6


def test_one_that_fails_keeps_the_others_from_nothing_and_gives_the_status(asked, monkeypatch):
    monkeypatch.setattr(reach.Gateway, "ask", _failing(reach.Gateway.ask, "Attic"))
    result = gatehouse("state", "--all", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 3
    assert [(each["name"], each["ok"]) for each in lines] == [("Attic", False), ("Cellar", True), ("Garage", True)]
    assert lines[0]["code"] == "not_near" and lines[0]["lock"] == "240ac4b00000"


def _failing(ask, name):
    def instead(self, lock, op, args=None, **more):
        if KeyBook().find(lock).name == name:
            raise fail(HostError("not_near", "not heard"))
        return ask(self, lock, op, args, **more)

    return instead


def test_a_code_is_asked_for_once_and_deleted_by_name_everywhere(asked, monkeypatch):
    used = []
    from host_tools.cli import passcodes

    monkeypatch.setattr(passcodes, "_do", lambda lock, via, what, work: used.append(lock) or (lock, {"ok": True}))
    result = gatehouse("passcode", "add", "--all", "--name", "Ada", input="739105\n")
    assert result.exit_code == 0, result.output
    assert len(used) == 3


@pytest.mark.parametrize("words", [("lock",), ("lock", ""), ("lock", "--group", "nowhere"), ("lock", "Attic", "--all")])
def test_which_locks_must_be_clear(asked, words):
    result = gatehouse(*words)
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert not asked


@pytest.mark.parametrize("words", BULK)
def test_every_command_for_several_locks_needs_to_be_told_which(asked, words):
    result = gatehouse(*words.split(), "--json")
    assert json.loads(result.stdout)["code"] == "bad_request" and not asked


def test_what_opens_is_never_for_several_without_the_question():
    opening = [words for words in BULK if "unlock" in words.split()[-1] or words == "unlock"]
    assert {"unlock", "emergency-unlock"} <= set(opening)
    for words in set(opening) - {"unfreeze"}:
        assert "--yes" in [name for one in COMMANDS[words].params for name in one.opts], words


# Commands about one lock at a gateway that are not for several, and why
SINGLE = {
    "name": "two locks with one name are told apart by nobody",
    "cancel": "a request's id is one lock's",
    "diagnose": "a file for each",
    "card enrol": "somebody stands at the door",
    "fingerprint enrol": "somebody stands at the door",
    "passcode sync": "a calendar is one room's",
    "ekey send": "a file for each",
    "ekey reset": "voids copies of one's own bundle, too: lock by lock",
}


def test_whatever_a_gateway_does_at_a_lock_it_does_at_several():
    def has(command, name):
        return name in [each.name for each in command.params]

    at_gateways = {words for words, each in COMMANDS.items() if has(each, "lock") and has(each, "gateway")}
    assert len(at_gateways) > 40
    assert at_gateways - set(BULK) == set(SINGLE)


@pytest.mark.parametrize(
    ("words", "op", "args"),
    [
        (("autolock", "set", "0"), "autolock_set", {"seconds": 0}),
        (("autolock", "set", "30"), "autolock_set", {"seconds": 30}),
        (("setting", "set", "volume", "3"), "setting_set", {"name": "volume", "value": 3}),
        (("setting", "set", "sound", "off"), "setting_set", {"name": "sound", "value": False}),
        (("setting", "get", "sound"), "setting_get", {"name": "sound"}),
        (("time", "zone", "--utc-offset", "60"), "zone_set", {"zone": "<+01>-1"}),
    ],
)
def test_words_after_the_lock_move_up(asked, words, op, args):
    result = gatehouse(*words, "--all", "--json")
    assert result.exit_code == 0, result.output
    assert ops(asked) == [(each, op) for each in NAMES]
    assert all(each[2] == args for each in asked)
    assert len(result.stdout.splitlines()) == len(NAMES)
    asked.clear()
    single = (*words[:2], "Attic", *words[2:])
    assert gatehouse(*single).exit_code == 0
    assert [each[1:] for each in asked] == [(op, args)]


@pytest.mark.parametrize(
    "words",
    [
        ("autolock", "set", "--all"),
        ("autolock", "set", "Attic"),
        ("autolock", "set", "soon", "--all"),
        ("autolock", "set", "901", "--all"),
        ("autolock", "set", "-1", "--all"),
        ("autolock", "set", "Attic", "0", "--all"),
        ("setting", "set", "volume", "--all"),
        ("setting", "set", "Attic", "volume"),
        ("setting", "set", "Attic", "volume", "3", "--all"),
        ("setting", "set", "volume", "3"),
        ("fingerprint", "delete", "3", "--all"),
        ("card", "delete", "--slot", "3", "--all"),
        ("card", "change", "--slot", "3", "--until", "2d", "--all"),
    ],
)
def test_what_is_missing_or_means_something_else_at_each_lock_is_refused(asked, words):
    result = gatehouse(*words, "--json")
    assert result.exit_code == 2 and not asked, result.output
    lines = result.stdout.splitlines()
    told = [json.loads(each) for each in lines] if len(lines) == len(NAMES) else [json.loads(result.stdout)]
    assert all(each["code"] in ("bad_request", "usage", "unknown_lock") and each["msg"] for each in told)
