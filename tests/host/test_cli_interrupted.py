"""What a command says that is cut off after its message was sent, or whose words find no reader: the outcome as far as
it is known, in one line, with its status, and the key book keeps what may be valid. Over a real broker."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from host_tools.owner import minting, names
from tests.host.test_cli import ENTRY, book, gatehouse  # noqa: F401
from tests.host.test_cli_no_wait import KEPT, gateway, known  # noqa: F401

UNTIL = ("--until", "+2d")
# Command, what is typed, the operation during which it is cut off
COMMANDS = {
    "unlock": (("unlock", "Front door"), ""),
    "lock": (("lock", "Front door"), ""),
    "emergency_unlock": (("emergency-unlock", "Front door"), ""),
    "time_sync": (("time", "sync", "Front door"), ""),
    "name_set": (("name", "Front door", "Door"), ""),
    "autolock_set": (("autolock", "set", "Front door", "5"), ""),
    "setting_set": (("setting", "set", "Front door", "sound", "off"), ""),
    "freeze": (("freeze", "Front door"), ""),
    "unfreeze": (("unfreeze", "Front door"), ""),
    "passage_add": (("passage", "add", "Front door", "--days", "mon"), ""),
    "passage_delete": (("passage", "delete", "Front door", "--days", "mon"), ""),
    "passage_clear": (("passage", "clear", "Front door"), ""),
    "passcode_add": (("passcode", "add", "Front door", "--name", "New"), "739105\n"),
    "passcode_change": (("passcode", "change", "Front door", "Ada", *("--from", "now"), *UNTIL), ""),
    "passcode_delete": (("passcode", "delete", "Front door", "Ada"), ""),
    "passcode_clear": (("passcode", "clear", "Front door", "--yes"), ""),
    "passcode_reset": (("passcode", "reset", "Front door", "--yes"), ""),
    "card_add": (("card", "add", "Front door", "--name", "New"), "123\n"),
    "card_enrol": (("card", "enrol", "Front door", "--name", "New"), ""),
    "card_change": (("card", "change", "Front door", *UNTIL), "123456\n"),
    "card_delete": (("card", "delete", "Front door"), "123456\n"),
    "card_clear": (("card", "clear", "Front door", "--yes"), ""),
    "card_lost": (("card", "lost", "Front door"), "123456\n"),
    "fingerprint_enrol": (("fingerprint", "enrol", "Front door", "--name", "New"), ""),
    "fingerprint_change": (("fingerprint", "change", "Front door", "Ada", *UNTIL), ""),
    "fingerprint_delete": (("fingerprint", "delete", "Front door", "Ada"), ""),
    "fingerprint_clear": (("fingerprint", "clear", "Front door", "--yes"), ""),
    "fob_change": (("fob", "change", "Front door", "c0ffee000009", *UNTIL), ""),
    "fob_delete": (("fob", "delete", "Front door", "c0ffee000009"), ""),
    "fob_clear": (("fob", "clear", "Front door", "--yes"), ""),
    "ekey_add": (("ekey", "send", "Front door", "Mia"), ""),
    "ekey_change": (("ekey", "change", "Front door", "Bob", "--remote"), ""),
    "ekey_freeze": (("ekey", "freeze", "Front door", "Bob"), ""),
    "ekey_delete": (("ekey", "delete", "Front door", "Bob"), ""),
    "ekey_reset": (("ekey", "reset", "Front door", "--yes"), ""),
    "import": (("import", "Front door"), ""),
    "forget": (("forget", "Front door"), ""),
    "cancel": (("cancel", "Front door", "abc"), ""),
}
CODE = "739106"


@pytest.fixture
def owner(book, gateway):  # noqa: F811
    """The key book of somebody with one of each at the lock."""
    ekey = {"uid": 77, "person": "Bob", "kind": "permanent", "start": None, "end": None, "remote": False}
    ekeys = [{**ekey, "state": "normal", "sent": 1, "hours": None}]
    book.put(replace(ENTRY, model="GATEHOUSE-L1", ekeys=ekeys, seeds=minting.make_seeds()))
    names.remember(book, ENTRY.id, "passcode", None, "Ada", CODE, limits={"type": "permanent"})
    names.remember(book, ENTRY.id, "card", None, "Ada", "123456")
    names.remember(book, ENTRY.id, "fingerprint", 5, "Ada")
    names.remember(book, ENTRY.id, "fob", None, "Ada", "c0:ff:ee:00:00:09")
    listed = {"flag_pos": 0, "next_uid": 78, "items": []}
    gateway.answers["ekey_list"] = {"ok": True, "code": "ok", "data": listed}
    return book


def stop_at(gateway, op, how=signal.SIGINT):  # noqa: F811
    gateway.on_told = lambda request: os.kill(os.getpid(), how) if request["op"] == op else None


def one_error(result, code):
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    lines = [line for line in result.stderr.splitlines() if line.startswith("error ")]
    assert len(lines) == 1 and lines[0].startswith("error %s: " % code), result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("op", COMMANDS)
def test_a_command_that_is_interrupted_after_it_was_sent_says_that_the_outcome_is_unknown(owner, gateway, op):  # noqa: F811
    arguments, typed = COMMANDS[op]
    gateway.answers[op] = None
    stop_at(gateway, op)
    result = gatehouse(*arguments, *gateway.at, input=typed)
    assert result.exit_code == 130, result.output
    one_error(result, "outcome_unknown")


@pytest.mark.parametrize("op", COMMANDS)
def test_a_result_that_came_is_told_whatever_stops_the_command_then(owner, gateway, op):  # noqa: F811
    arguments, typed = COMMANDS[op]
    data = {"flag_pos": 1} if op == "ekey_reset" else {"items": []} if "passage" in op else {"cancelled": True}
    gateway.answers[op] = {"ok": True, "code": "ok", "ms": 1, "data": data}
    stop_at(gateway, op)
    result = gatehouse(*arguments, *gateway.at, input=typed)
    assert result.exit_code in (0, 130), result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert (result.exit_code == 0) == ("error " not in result.stderr), result.output


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_the_end_of_the_terminal_is_an_interruption(owner, gateway, how):  # noqa: F811
    gateway.answers["passcode_add"] = None
    stop_at(gateway, "passcode_add", how)
    result = gatehouse("passcode", "add", "Front door", "--generate", "6", *gateway.at)
    assert result.exit_code == 130
    one_error(result, "outcome_unknown")
    assert known(owner, "passcode")[-1].pending


@pytest.mark.parametrize("cut", ["interrupted", "kept", "broker away", "refused", "done"])
def test_a_made_up_code_is_shown_at_once_and_kept_until_it_is_known_what_became_of_it(owner, gateway, cut):  # noqa: F811
    gateway.answers["passcode_add"] = {
        "kept": KEPT,
        "refused": {"ok": False, "code": "refused", "data": {"reason": "full"}},
        "done": {"ok": True, "code": "ok", "ms": 1},
    }.get(cut)
    if cut in ("interrupted", "kept"):
        stop_at(gateway, "passcode_add")
    if cut == "broker away":
        gateway.on_told = lambda request: gateway.close_soon()
    result = gatehouse("passcode", "add", "Front door", "--name", "Mia", "--generate", "6", *gateway.at)
    (code,) = re.findall(r"^passcode: (\d{6}) \(the lock does not know it yet\)$", result.stdout, re.M)
    found = [each for each in known(owner, "passcode") if each.name == "Mia"]
    if cut == "refused":
        assert found == [] and "do not hand it out" in result.stdout
        return
    (credential,) = found
    assert credential.who == [names.who_of(ENTRY.aes, "passcode", None, code)]
    if cut == "done":
        assert (credential.pending, credential.digits, result.exit_code) == ("", "", 0)
        return
    assert credential.pending == gateway.asked[-1]["id"] and credential.digits == code
    assert result.exit_code != 0 and code in result.stdout.split("\n", 1)[1], "its state is told, too"
    if cut == "broker away":
        return
    gateway.on_told = lambda request: None
    gateway.answers["passcode_list"] = {"ok": True, "code": "ok", "data": {"items": []}}
    gateway.answers["jobs"] = {"ok": True, "code": "ok", "data": {"items": [{"id": credential.pending}]}}
    assert code in gatehouse("passcode", "list", "Front door", *gateway.at).stdout, "it may come, and is not lost"
    gateway.answers["jobs"] = {"ok": True, "code": "ok", "data": {"items": []}}
    item = {"code": "******", "type": "permanent", "who": credential.who[0]}
    gateway.answers["passcode_list"] = {"ok": True, "code": "ok", "data": {"items": [item]}}
    shown = gatehouse("passcode", "list", "Front door", *gateway.at).stdout
    assert "Mia" in shown and code not in shown
    (credential,) = [each for each in known(owner, "passcode") if each.name == "Mia"]
    assert (credential.pending, credential.digits) == ("", "")


def test_a_refusal_takes_back_what_was_noted(owner, gateway):  # noqa: F811
    before = owner.find("Front door").credentials
    for op in ("passcode_change", "passcode_delete", "passcode_clear", "card_add", "card_delete", "fob_delete"):
        arguments, typed = COMMANDS[op]
        gateway.answers[op] = {"ok": False, "code": "refused", "data": {"reason": "frozen"}}
        assert gatehouse(*arguments, *gateway.at, input=typed).exit_code == 1
        assert owner.find("Front door").credentials == before, op


def test_nothing_is_sent_when_the_key_book_cannot_be_written(owner, gateway):  # noqa: F811
    guard = str(owner.path) + ".lock"
    os.unlink(guard)
    os.mkdir(guard)
    result = gatehouse("passcode", "add", "Front door", "--name", "New", *gateway.at, input="739105\n")
    assert result.exit_code == 6
    one_error(result, "keys")
    assert gateway.asked == []


def test_a_key_book_that_fails_after_the_lock_has_accepted_changes_nothing_of_that(owner, gateway):  # noqa: F811
    def spoil(request):
        os.unlink(str(owner.path) + ".lock")
        os.mkdir(str(owner.path) + ".lock")

    answered = gateway.answers
    gateway.answers["passcode_add"] = None

    def answer(request):
        spoil(request)
        gateway.say(request, {"ok": True, "code": "ok", "ms": 1})

    gateway.on_told = answer
    assert answered
    result = gatehouse("passcode", "add", "Front door", "--name", "New", *gateway.at, input="739105\n")
    assert result.exit_code == 0, result.output
    assert "knows the passcode" in result.stdout and "not noted in the key book" in result.stderr


@pytest.mark.parametrize("to", ["closed pipe", "full disk", "closed"])
@pytest.mark.parametrize("op", ["unlock", "passcode_delete", "card_add", "time_sync", "forget"])
def test_what_was_done_is_not_undone_by_an_output_that_fails(owner, gateway, op, to):  # noqa: F811
    arguments, typed = COMMANDS[op]
    words = [sys.executable, "-m", "host_tools.cli", *arguments, *gateway.at]
    read, write = os.pipe()
    os.close(read)
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            words if to != "closed" else ["sh", "-c", 'exec "$@" >&-', "sh", *words],
            input=typed,
            stdout=full if to == "full disk" else write,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ, PYTHONPATH=os.path.abspath(os.path.dirname(__file__) + "/../..")),
            timeout=120,
        )
    os.close(write)
    assert gateway.asked[-1]["op"] == op
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "error " not in done.stderr, done.stderr


@pytest.mark.parametrize(
    "arguments, typed, op",
    [
        (("passcode", "delete", "Front door"), "482913\n", "passcode_delete"),
        (("passcode", "delete", "Front door", "--mark", "7"), "", "passcode_delete"),
        (("card", "delete", "Front door"), "77\n", "card_delete"),
        (("fingerprint", "delete", "Front door", "9"), "", "fingerprint_delete"),
        (("fob", "delete", "Front door", "aabbcc112233"), "", "fob_delete"),
        (("passage", "delete", "Front door", "--days", "mon"), "", "passage_delete"),
    ],
)
def test_deleting_what_is_not_there_claims_nothing(owner, gateway, arguments, typed, op):  # noqa: F811
    gateway.answers[op] = {"ok": True, "code": "ok", "ms": 1, "data": {"existed": False, "items": []}}
    before = owner.find("Front door").credentials
    result = gatehouse(*arguments, *gateway.at, input=typed)
    assert result.exit_code == 1
    one_error(result, "refused")
    assert "nothing was deleted" in result.stderr and owner.find("Front door").credentials == before


@pytest.mark.parametrize("whose", ["Nobody", "ad", "A", ""])
@pytest.mark.parametrize("kind", ["passcode", "fingerprint", "fob", "card"])
def test_only_a_whole_name_is_deleted(owner, gateway, kind, whose):  # noqa: F811
    if not whose and kind in ("passcode", "card"):
        pytest.skip("digits are asked for then")
    assert gatehouse(kind, "delete", "Front door", whose, *gateway.at).exit_code != 0
    assert not [each for each in gateway.asked if each["op"].endswith("_delete")]


def test_a_code_is_deleted_and_changed_by_its_name(owner, gateway):  # noqa: F811
    mark = names.who_of(ENTRY.aes, "passcode", None, CODE)
    gateway.answers["passcode_delete"] = {"ok": True, "code": "ok", "ms": 1, "data": {"existed": True}}
    result = gatehouse(
        "passcode", "change", "Front door", "ada", "--new", "--name", "Eve", *gateway.at, input="739107\n"
    )
    assert result.exit_code == 0, result.output
    (credential,) = known(owner, "passcode")
    new = names.who_of(ENTRY.aes, "passcode", None, "739107")
    assert (credential.name, credential.who) == ("Eve", [mark, new])
    result = gatehouse("passcode", "delete", "Front door", "Eve", *gateway.at)
    assert "no longer takes the passcode of Eve" in result.stdout, result.output
    assert [each.gone is not None for each in known(owner, "passcode")] == [True]
    assert json.dumps(new) not in result.stdout


def test_a_code_that_waits_is_withdrawn_before_it_is_deleted(owner, gateway):  # noqa: F811
    gateway.answers["passcode_add"] = KEPT
    gatehouse("passcode", "add", "Front door", "--name", "Mia", "--no-wait", *gateway.at, input="739105\n")
    gateway.answers["cancel"] = {"ok": True, "code": "ok", "ms": 1, "data": {"cancelled": True}}
    result = gatehouse("passcode", "delete", "Front door", "Mia", *gateway.at)
    assert result.exit_code == 0, result.output
    assert [each["op"] for each in gateway.asked] == ["passcode_add", "cancel"]
    assert [each.name for each in known(owner, "passcode")] == ["Ada"]


def test_a_shorter_code_that_begins_it_is_told_on_adding_and_on_deleting(owner, gateway):  # noqa: F811
    owner.put(replace(owner.find("Front door"), model="SN117"))
    added = gatehouse("passcode", "add", "Front door", "--name", "Mia", *gateway.at, input=CODE + "23\n")
    assert added.exit_code == 0 and "Ada" in added.stderr and "beginning" in added.stderr, added.output
    for arguments, typed in ((("Mia",), ""), ((), CODE + "23\n")):
        result = gatehouse("passcode", "delete", "Front door", *arguments, *gateway.at, input=typed)
        if arguments:
            assert "code of Ada is the beginning of this one and stays" in result.stderr, result.output


@pytest.mark.parametrize("kind, which", [("fingerprint", "5"), ("fob", "c0ffee000009"), ("card", "--slot=3")])
def test_names_are_changed_and_listed(owner, gateway, kind, which):  # noqa: F811
    card = names.who_of(ENTRY.aes, "card", None, "123456")
    items = [{"number": 5, "mac": "c0ffee000009", "slot": 3, "who": card, "battery": 50, "online": True}]
    gateway.answers[kind + "_list"] = {"ok": True, "code": "ok", "data": {"items": items}}
    assert "Ada" in gatehouse(kind, "list", "Front door", *gateway.at).stdout
    assert gatehouse(kind, "change", "Front door", which, "--name", "Eve", *gateway.at).exit_code == 0
    assert json.loads(gatehouse(kind, "list", "Front door", "--json", *gateway.at).stdout)[0]["name"] == "Eve"
    assert not [each for each in gateway.asked if each["op"].endswith("_change")]


@pytest.mark.parametrize(
    "options, words",
    [
        (
            ("--until", "2099-05-03T11:00", "--from", "2099-05-01T15:00", "--once"),
            "Valid: once, from 2099-05-01 15:00 until",
        ),
        (
            ("--until", "2099-05-03T11:00", "--from", "2099-05-01T15:00"),
            "Valid: from 2099-05-01 15:00 until 2099-05-03 11:00",
        ),
        (("--days", "workday", "--at", "08:00", "--hours", "9"), "Valid: Monday to Friday, 08:00 to 17:00"),
        ((), "Valid: always"),
    ],
)
def test_the_text_to_hand_over_says_the_real_hours_zone_and_once(owner, gateway, options, words):  # noqa: F811
    owner.put(replace(owner.find("Front door"), zone="Europe/Berlin", zone_rule="CET-1CEST,M3.5.0,M10.5.0/3"))
    added = gatehouse("passcode", "add", "Front door", "--name", "Mia", *options, *gateway.at, input="739105\n")
    assert added.exit_code == 0, added.output
    text = gatehouse("passcode", "share", "Front door", "Mia", input="739105\n").stdout
    assert words in text and "739105" in text, text
    assert ("Times: local at the lock, Europe/Berlin (UTC+02:00)" in text) == ("until" in words), text


def test_a_text_does_not_call_unknown_limits_always(owner):
    names.remember(owner, ENTRY.id, "passcode", None, "Old", "739108")
    assert "not known" in gatehouse("passcode", "share", "Front door", "Old", input="739108\n").stdout


def test_a_code_that_is_handed_over_is_told_to_programs_member_by_member(owner):
    made = json.loads(gatehouse("passcode", "mint", "Front door", "--type", "once", "--name", "Mia", "--json").stdout)
    assert made["type"] == "once" and made["name"] == "Mia" and made["lock"]["name"] == "Front door"
    assert made["passcode"] in made["text"] and made["first_use_until"] - made["start"] <= 6 * 3600
    assert json.loads(gatehouse("passcode", "share", "Front door", "Mia", "--json").stdout) == made
    assert gatehouse("passcode", "share", "Front door", "Mia").stdout == made["text"] + "\n"
    stored = json.loads(gatehouse("passcode", "share", "Front door", "--json", input=CODE + "\n").stdout)
    assert stored["passcode"] == CODE and stored["type"] == "stored" and stored["first_use_until"] is None


def test_a_minted_code_is_shared_by_its_name(owner):
    made = gatehouse("passcode", "mint", "Front door", "--type", "once", "--name", "Mia").stdout
    assert gatehouse("passcode", "share", "Front door", "mia").stdout == made


def test_the_text_of_an_ekey_says_when_it_opens(owner, gateway, tmp_path):  # noqa: F811
    owner.put(replace(owner.find("Front door"), zone="Europe/Berlin", zone_rule="CET-1CEST,M3.5.0,M10.5.0/3"))
    period = ("--from", "2099-05-01T15:00", "--until", "2099-05-03T11:00")
    told = gatehouse("ekey", "send", "Front door", "Mia", "--once", *period, "--to", "mia.json", *gateway.at)
    assert told.exit_code == 0, told.output
    assert "Valid: once, from 2099-05-01 15:00 until 2099-05-03 11:00" in told.stdout
    assert "Europe/Berlin (UTC+02:00)" in told.stdout
