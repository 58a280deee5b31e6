"""Completion, gateways by name, where secrets are written, and what somebody at the door is told."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from host_tools.cli import completion, reach
from host_tools.cli.main import app
from host_tools.errors import HostError
from host_tools.gateway.client import Gateways
from host_tools.owner import places
from host_tools.owner.keybook import KeyBook
from tests.host.test_cli import ENTRY
from tests.micropython import ROOT


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "keys.json"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("GATEHOUSE_AIR", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    KeyBook().put(ENTRY)
    return tmp_path


def gatehouse(*arguments, input=""):
    return CliRunner().invoke(app, arguments, input=input)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("unl", ["unlock"]),
        ("keys pro", ["protect"]),
        ("unlock F", ["Front\\ door"]),
        ("unlock Front\\ d", ["Front\\ door"]),
        ("unlock x --gateway H", ["Hall"]),
        ("unlock nobody", []),
        ("unlock x --js", ["--json"]),
    ],
)
def test_bash_completes_commands_options_and_names(home, words, found):
    completion.remember({"240ac4b00001": "Hall", "240ac4b00003": ""})
    tool = home / "gatehouse"
    launcher = "import sys; from host_tools.cli.main import app; app(prog_name='gatehouse')"
    tool.write_text('#!/bin/sh\nexec \'%s\' -c "%s" "$@"\n' % (sys.executable, launcher))
    tool.chmod(0o755)
    ask = 'eval "$1"; COMP_WORDS=(gatehouse); while IFS= read -r each; do COMP_WORDS+=("$each"); done <<< "$2"; '
    ask += 'COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); _gatehouse_completion gatehouse; printf "%s\\n" "${COMPREPLY[@]}"'
    script = gatehouse("completion", "bash").stdout
    typed = words.replace("\\ ", "\\\0").replace(" ", "\n").replace("\0", " ")
    env = dict(os.environ, PATH="%s:%s" % (home, os.environ["PATH"]), PYTHONPATH=str(ROOT))
    done = subprocess.run(["bash", "-c", ask, "bash", script, typed], capture_output=True, text=True, env=env)
    assert [each for each in done.stdout.splitlines() if each] == found, done.stderr


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_a_script_is_there_for_every_shell(shell):
    assert "_GATEHOUSE_COMPLETE=complete_%s" % shell in gatehouse("completion", shell).stdout


def test_a_protected_key_book_completes_nothing_and_asks_nobody(home):
    KeyBook().protect("phrase")
    assert completion.locks("F") == []


@pytest.mark.parametrize(
    "words", [("keys", "export", "Front door"), ("keys", "export", "Front door", "--format", "lock-data")]
)
def test_secrets_are_not_written_into_the_current_folder(home, words):
    for _ in range(2):
        assert gatehouse(*words).exit_code == 0
    assert os.listdir() == []
    made = list(places.exports().iterdir())
    assert len(made) == 2
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}
    assert places.exports().stat().st_mode & 0o777 == 0o700


def test_secrets_of_a_simulated_site_stay_with_it(home):
    places.mark_simulated(home)
    assert places.exports() == home / "exports"


class Broker(Gateways):
    """What is retained at a broker with three gateways."""

    def __init__(self, monkeypatch):
        super().__init__(None, "gatehouse")  # type: ignore[arg-type]
        lock = [{"mac": ENTRY.mac, "name": "x"}]
        self.info = {
            "240ac4b00001": {"name": "Hall", "locks": lock},
            "240ac4b00003": {"name": "Garage", "locks": lock},
            "240ac4b00005": {"name": "Attic", "locks": []},
            "240ac4b00007": {"name": "", "locks": []},
        }
        self.online = {"240ac4b00001": True, "240ac4b00003": True, "240ac4b00005": False, "240ac4b00007": True}


def chosen(monkeypatch, wanted, lock=ENTRY.id):
    import asyncio

    async def ask():
        return await Broker(monkeypatch).choose(wanted, lock, 0.05)

    return asyncio.run(ask())


@pytest.mark.parametrize("wanted", ["Hall", "hALL", " Hall ", "240ac4b00001", "24:0A:C4:B0:00:01"])
def test_a_gateway_is_chosen_by_name_or_id(monkeypatch, wanted):
    assert chosen(monkeypatch, wanted) == "240ac4b00001"


@pytest.mark.parametrize(
    ("wanted", "code", "words"),
    [
        ("", "bad_request", "Garage (240ac4b00003)"),
        ("Hal", "unknown_gateway", "Hall"),
        (" ", "unknown_gateway", "gateway list"),
        ("Attic", "net", "not online"),
        ("240ac4b00007", "unknown_lock", "import"),
    ],
)
def test_what_is_no_gateway_is_said(monkeypatch, wanted, code, words):
    with pytest.raises(HostError) as caught:
        chosen(monkeypatch, wanted)
    assert caught.value.code == code and words in caught.value.line()


@pytest.mark.parametrize(
    ("op", "data", "words"),
    [
        ("card_enrol", {"state": "adding"}, "hold the card"),
        ("fingerprint_enrol", {"state": "adding", "press": 0, "total": 4}, "press the finger"),
        ("fingerprint_enrol", {"state": "adding", "press": 0, "total": -1}, "press the finger"),
        ("fingerprint_enrol", {"state": "adding", "press": 2, "total": 4}, "2 of 4: lift the finger"),
        ("fingerprint_enrol", {"state": "adding", "press": 2, "total": -1}, "pressed 2: lift"),
        ("fingerprint_enrol", {"state": "adding", "press": 4, "total": 4}, "the last"),
    ],
)
def test_enrolment_says_what_to_do_at_the_door(capsys, op, data, words):
    from host_tools import screen

    told = []
    with screen.for_machines(True) as made:
        reach._tell_progress(told.append, op, data)
        made.kept.append({"ok": True})
    assert words in told[0]
    first, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["progress"], first["msg"], last) == (op, told[0], {"ok": True})


def test_other_progress_is_no_line_for_machines(capsys):
    from host_tools import screen

    with screen.for_machines(True) as made:
        reach._tell_progress(lambda words: None, "unlock", {"state": "connecting"})
        made.kept.append({"ok": True})
    assert json.loads(capsys.readouterr().out) == {"ok": True}
