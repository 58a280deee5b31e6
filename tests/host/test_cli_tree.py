"""Manners of every command, found by walking the whole command tree: help, JSON, statuses. No command is named here."""

import ast
import json
import re

import pytest
import typer.main
from typer.testing import CliRunner

from firmware.lib import errors
from host_tools.boards import provisioning
from host_tools.cli import statuses
from host_tools.cli.main import app
from host_tools.owner import key_files
from host_tools.owner.keybook import KeyBook
from tests.host.test_cli import ENTRY
from tests.micropython import ROOT

SITES = ("sim up", "sim run")  # start a site, or another program, which speaks for itself


def leaves(command, path=()):
    """(words, command) of every command that does something."""
    below = getattr(command, "commands", None)
    if below is None:
        yield " ".join(path), command
        return
    for name, each in below.items():
        yield from leaves(each, (*path, name))


def groups(command, path=()):
    below = getattr(command, "commands", None)
    if below is not None:
        yield " ".join(path), command
        for name, each in below.items():
            yield from groups(each, (*path, name))


TREE = typer.main.get_command(app)
COMMANDS = dict(leaves(TREE))
EVERY = {**COMMANDS, **dict(groups(TREE))}


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A key book with one lock, no broker, no radio, nobody to ask."""
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "keys.json"))
    monkeypatch.setenv("GATEHOUSE_RECORDS", str(tmp_path / "records.db"))
    monkeypatch.setenv("GATEHOUSE_MQTT", "127.0.0.1:1")
    monkeypatch.setenv("GATEHOUSE_AIR", "tcp-client:127.0.0.1:1")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    KeyBook().put(ENTRY)
    return tmp_path


def gatehouse(*arguments, input=""):
    return CliRunner().invoke(app, arguments, input=input)


def given(command) -> list[str]:
    """Something for each argument and option that has to be given."""
    words: list[str] = []
    for each in command.params:
        if each.name == "on":  # --on/--off
            words.append("--on")
        elif each.required:
            value = "Front door" if each.name in ("lock", "source", "target") else "1"
            words += [each.opts[0], value] if each.param_type_name == "option" else [value]
    return words


@pytest.mark.parametrize("words", EVERY)
def test_h_is_help(words):
    result = gatehouse(*words.split(), "-h")
    assert result.exit_code == 0 and "Usage: " in result.stdout
    assert result.stdout == gatehouse(*words.split(), "--help").stdout


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_has_json(words):
    assert "--json" in [name for each in COMMANDS[words].params for name in each.opts]


@pytest.mark.parametrize("words", [each for each in COMMANDS if each not in SITES])
def test_what_is_wrong_with_the_words_is_json_too(words):
    result = gatehouse(*words.split(), "--json", "--no-such-option")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["ok"], told["code"]) == (2, False, "usage")
    assert told["msg"]


@pytest.mark.parametrize("words", [each for each in COMMANDS if each not in SITES])
def test_json_is_alone_on_standard_output_and_status_follows_the_code(alone, words):
    command = COMMANDS[words]
    result = gatehouse(*words.split(), *given(command), "--json", input="y\n")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    told = json.loads(result.stdout)
    if result.exit_code:
        assert told["ok"] is False and told["msg"]
        assert result.exit_code == statuses.of(told["code"]), result.stdout
        assert told["code"] in statuses.BY_CODE
    assert ENTRY.aes not in result.output or words == "keys export"


def test_every_code_has_a_status_and_every_status_a_meaning():
    codes = set(provisioning.STATES)
    for path in [*(ROOT / "host_tools").rglob("*.py"), *(ROOT / "firmware/gateway").rglob("*.py")]:
        if ROOT / "host_tools/sim" in path.parents:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            if name in ("HostError", "NoSuchName", "Refusal") and isinstance(node.args[0], ast.Constant):
                codes.add(node.args[0].value)
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("text.pick"):
                codes |= {each.value for each in node.args[5:6] if isinstance(each, ast.Constant)}
                codes |= {each.value.value for each in node.keywords if each.arg == "code"}
    for each in vars(errors).values():
        if isinstance(each, type) and issubclass(each, errors.FirmwareError):
            codes.add(each.code)
    page = next((ROOT / "docs/spec").glob("domain.*")).read_text()
    section = page[page.index("### 5.5") : page.index("| `reason`")]
    words = re.findall(r"^\| `(\w+)` \|", section, re.M)
    assert len(words) > 15
    assert len(codes) > 25
    assert {each for each in codes | set(words) if each not in statuses.BY_CODE} == set()
    assert set(statuses.BY_CODE.values()) == set(statuses.MEANING)


def test_every_fault_of_a_key_file_has_a_status_and_is_told_to_programs(alone):
    assert {each for each in key_files.CODES if each not in statuses.BY_CODE} == set()
    good = {"lockMac": "24:0a:c4:b0:00:09", "aesKeyStr": ENTRY.aes, "lockKey": "22"}
    faults = {"bad_mac": {"lockMac": 5}, "bad_aes": {"aesKeyStr": "x"}, "bad_scene": {"scene": 256}}
    faults |= {"missing": {"lockKey": ""}, "bad_name": {"lockAlias": 5}, "no_locks": None, "bad_ekeys": {"ekeys": 5}}
    for code, members in faults.items():
        source = json.dumps({} if members is None else [good | members])
        result = gatehouse("keys", "import", "-", "--replace", "--json", input=source)
        told = json.loads(result.stdout)
        assert (result.exit_code, told["ok"], told["code"]) == (statuses.FAILED, False, code), told
        assert [each["code"] for each in told["faults"]] == [code] and told["msg"]
        assert len(told["taken"]) == (code in ("bad_scene", "bad_name", "bad_ekeys"))
        for_people = gatehouse("keys", "import", "-", "--replace", input=source)
        assert for_people.exit_code == statuses.FAILED and for_people.stderr.count("error %s: " % code) == 1


def test_a_code_of_a_newer_gateway_is_a_failure():
    assert statuses.of("never_heard_of") == statuses.FAILED
