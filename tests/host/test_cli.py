"""The command line: errors in one line, no secret in arguments or output, and an owner's first day with it."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from firmware.version import VERSION
from host_tools.cli import statuses, times
from host_tools.cli.main import app
from host_tools.errors import HostError
from host_tools.gateway.client import import_args
from host_tools.gateway.records_batch import read_batch
from host_tools.gateway.records_store import RecordStore
from host_tools.owner import bundles, codes, key_files
from host_tools.owner.keybook import Entry, KeyBook

ENTRY = Entry(
    "24:0a:c4:b0:00:02",
    "Front door",
    "00112233445566778899aabbccddeeff",
    11,
    22,
    "7654321",
    model="X",
    zone="UTC",
    zone_rule="UTC0",
)
BATCH = {
    "epoch": 1,
    "from": 4,
    "to": 5,
    "gap": 3,
    "items": [
        {"rec": 4, "type": 4, "event": "unlock", "method": "passcode", "ok": True, "ts": "2026-01-02T03:04:05Z"},
        {"rec": 5, "type": 7, "event": "unlock_failed", "method": "passcode", "ok": False, "ts": None, "battery": 90},
    ],
}


@pytest.fixture
def book(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "keys.json"))
    monkeypatch.setenv("GATEHOUSE_RECORDS", str(tmp_path / "records.db"))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    return KeyBook()


def gatehouse(*arguments, input=None):
    return CliRunner().invoke(app, arguments, input=input)


def test_the_version_is_the_firmware_s():
    assert gatehouse("--version").stdout == "gatehouse %s\n" % VERSION


def test_the_key_book_is_listed_without_secrets(book):
    book.put(ENTRY)
    for arguments in (("keys", "list"), ("keys", "list", "--json")):
        shown = gatehouse(*arguments).stdout
        assert "Front door" in shown
        assert ENTRY.aes not in shown
        assert "7654321" not in shown


@pytest.mark.parametrize("form", ["virtual-key", "lock-data"])
def test_exported_keys_are_private_and_can_be_imported(book, tmp_path, form):
    book.put(ENTRY)
    assert gatehouse("keys", "export", "front door", "--format", form, "--to", "out.json").exit_code == 0
    path = tmp_path / "out.json"
    assert path.stat().st_mode & 0o777 == 0o600
    again = gatehouse("keys", "export", "front door", "--format", form, "--to", "out.json")
    assert again.exit_code == statuses.FILE, "an existing file is not overwritten"
    refused = gatehouse("keys", "import", "out.json")
    assert refused.exit_code == 1
    assert "--replace" in refused.stderr
    book.remove(ENTRY.mac)
    assert gatehouse("keys", "import", "-", "--name", "Front", input=path.read_text()).exit_code == 0
    entry = book.find("Front")
    assert (entry.mac, entry.aes, entry.admin_ps, entry.unlock_key) == (ENTRY.mac, ENTRY.aes, 11, 22)


def test_f047_removing_keys_asks_first(book):
    book.put(ENTRY)
    assert gatehouse("keys", "remove", "front door", input="n\n").exit_code == 1
    assert book.entries()
    assert gatehouse("keys", "remove", "front door", "--yes").exit_code == 0
    assert not book.entries()


def test_the_key_book_can_be_encrypted_and_opened_with_a_passphrase_file(book, tmp_path, monkeypatch):
    book.put(ENTRY)
    assert gatehouse("keys", "protect", input="correct horse\n").exit_code == 0
    assert ENTRY.aes not in book.path.read_text()
    (tmp_path / "phrase").write_text("correct horse\n")
    monkeypatch.setenv("GATEHOUSE_PASSPHRASE_FILE", str(tmp_path / "phrase"))
    assert "Front door" in gatehouse("keys", "list").stdout
    assert gatehouse("keys", "protect", "--off").exit_code == 0
    assert ENTRY.aes in book.path.read_text()


@pytest.mark.parametrize(
    "arguments, word",
    [
        (("unlock", "nobody"), "unknown_lock"),
        (("unlock", "front door", "--broker", "127.0.0.1:1"), "net"),
        (("state", "front door", "--broker", "nonsense:port"), "config"),
        (("keys", "import", "missing.json"), "io"),
        (("keys", "export", "front door", "--format", "x"), "bad_request"),
        (("passcode", "add", "front door", "--generate", "3"), "bad_request"),
        (("passcode", "add", "front door", "--generate", "6", "--until", "someday"), "bad_request"),
        (("passcode", "add", "front door", "--generate", "6", "--from", "now"), "bad_request"),
        (("flash", "toaster", "/dev/null"), "bad_request"),
        (("provision", "--port", "/dev/null", "--file", "missing.json"), "io"),
        (("sim", "panel", "127.0.0.1:1", "{}"), "link"),
        (("sim", "panel", "here", "{}"), "bad_request"),
        (("pair", "--confirm"), "bad_request"),
    ],
)
def test_errors_are_one_line_with_a_code_and_its_status(book, arguments, word):
    book.put(ENTRY)
    result = gatehouse(*arguments)
    assert result.exit_code == statuses.of(word) != statuses.DONE
    assert result.exception is None or isinstance(result.exception, SystemExit)
    lines = [line for line in result.stderr.splitlines() if not line.startswith("  ")]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error %s: " % word)
    assert ENTRY.aes not in result.output


def test_no_command_takes_a_secret_as_an_argument(book):
    book.put(ENTRY)
    assert gatehouse("passcode", "add", "front door", "123789").exit_code == 2
    assert gatehouse("passcode", "add", "front door", input="123456\n").exit_code == 2, "too simple"
    assert gatehouse("passcode", "add", "front door", input="7391\n").exit_code == 2, "too short without --short"
    assert gatehouse("passcode", "add", "front door", input="").exit_code == 2


def test_a_gateway_is_given_what_it_needs_and_not_the_admin_passcode():
    args = import_args(ENTRY)
    assert args["aes"] == ENTRY.aes
    assert "7654321" not in json.dumps(args)


def test_records_are_kept_once(book, tmp_path):
    with RecordStore(tmp_path / "r.db") as store:
        assert store.keep(ENTRY.id, read_batch(json.dumps(BATCH))) == 2
        assert store.keep(ENTRY.id, read_batch(json.dumps(BATCH))) == 0
        assert [each["rec"] for each in store.last(ENTRY.id, 10)] == [4, 5]
        assert store.last(ENTRY.id, 1)[0]["battery"] == 90
        assert store.lost(ENTRY.id) == 3
        assert store.last("000000000000", 5) == []
    assert (tmp_path / "r.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps(dict(BATCH, items=[])), json.dumps(dict(BATCH, to="5"))])
def test_batches_that_cannot_be_read_are_refused(text):
    with pytest.raises(HostError):
        read_batch(text)


def test_moments():
    assert times.read_moment("+2d", 1000) == 1000 + 2 * 86400
    assert abs(times.read_moment("now") - time.time()) < 5
    assert times.read_moment("2026-05-01T15:00:00+00:00") == 1777647600
    for text in ("", "someday", "+5y", "2026-13-01", "tomorrow 25:00", "mon 8", "12", "-2h ago", "h", "T15:00"):
        with pytest.raises(HostError):
            times.read_moment(text)


def test_codes_that_are_easy_to_guess_are_refused():
    for code in ("111111", "123456", "987654", "890123", "121212", "12ab56", "123", "1234567890"):
        with pytest.raises(HostError):
            codes.check(code)
    assert codes.check("739105") == "739105"
    assert codes.check("7391", short=True) == "7391"
    assert not codes.is_trivial(codes.random_code(6))


def test_bundles_that_lack_a_field_are_refused():
    whole = bundles.virtual_key(ENTRY)
    for key in ("lockMac", "aesKeyStr", "unlockKey"):
        report = key_files.read({name: value for name, value in whole.items() if name != key})
        assert not report.locks
        assert [fault.code for fault in report.faults] == ["missing"]
        assert key in report.faults[0].line()


@contextmanager
def site():
    """`gatehouse sim up --json` in a process of its own; yields (facts, run) where run(*arguments) is a command."""
    tool = [sys.executable, "-m", "host_tools.cli"]
    up = subprocess.Popen([*tool, "sim", "up", "--json", "--locks", "1"], stdout=subprocess.PIPE, text=True)
    try:
        assert up.stdout
        facts = json.loads(up.stdout.readline())
        env = dict(os.environ, GATEHOUSE_MQTT="%(host)s:%(port)d" % facts["mqtt"], GATEHOUSE_AIR=facts["air"]["hci"])

        def run(*arguments, input="", status=0):
            done = subprocess.run(
                [*tool, *arguments], input=input, capture_output=True, text=True, env=env, timeout=300, cwd=Path.cwd()
            )
            assert done.returncode == status, done.stdout + done.stderr
            return done.stdout + done.stderr

        yield facts, run
    finally:
        up.send_signal(signal.SIGINT)
        assert up.wait(120) == 0


def test_an_owner_s_first_day(book):
    with site() as (facts, run):
        panel = facts["locks"][0]["panel"]
        with ThreadPoolExecutor() as beside:  # a touch is good for fifteen seconds, and a program starts when it can
            pairing = beside.submit(run, "pair", "--name", "Front door", "--remote", "--no-import")
            while not pairing.done():
                run("sim", "panel", panel, '{"do":"touch"}')
                wait([pairing], 5)
            assert "paired" in pairing.result()
        assert "GATEHOUSE-L1" in run("import", "front door")
        assert "unlocked" in run("unlock", "front door")
        assert json.loads(run("sim", "panel", panel, '{"do":"state"}'))["mechanics"]["movements"] >= 1
        assert "locked" in run("lock", "front door")
        assert "LOCKED" in run("state", "front door")
        assert "Front door" in run("info")
        assert "drift_s" in run("time", "get", "front door")
        run("time", "sync", "front door")
        run("autolock", "set", "front door", "7")
        assert "7" in run("autolock", "get", "front door")
        assert "739105" not in run("passcode", "add", "front door", "--until", "+2d", input="739105\n")
        listed = run("passcode", "list", "front door")
        assert "period" in listed
        assert "739105" not in listed
        run("passcode", "delete", "front door", input="739105\n")
        assert "no passcodes" in run("passcode", "list", "front door")
        assert "online" in run("monitor", "--seconds", "5")
        run("records", "front door")
        assert "remote unlock of Front door is off" in run("remote-unlock", "front door", "--off")
        run("forget", "front door")
        assert "gatehouse import" in run("unlock", "front door", status=statuses.USAGE)
