"""No command there is talks to a broker without TLS that nobody allowed (security.md TLS-2, TLS-3)."""

import ast
import socket

import pytest

from tests.host import pki
from tests.host.test_cli_tree import COMMANDS, alone, gatehouse  # noqa: F401, a fixture
from tests.micropython import ROOT

CALLING = [words for words, command in COMMANDS.items() if any("--broker" in each.opts for each in command.params)]
# What stands for an argument or an option that makes a command ask its gateway
VALUES = {"lock": "Front door", "source": "Front door", "target": "Front door", "which": "aa:bb:cc:dd:ee:ff"}
VALUES |= {"whose": "13579024"}
MORE = {"time zone": ("--zone", "Europe/Berlin"), "card change": ("--until", "+1d"), "fob change": ("--until", "+1d")}
MORE |= {"passcode change": ("--until", "+1d"), "ekey list": ("--check",)}
CALENDAR = "rooms.ics"
FIRST_BESIDE_THE_LOCK = ("pair", "delete")  # over Bluetooth, which is not there
NAMED_FIRST = ("passcode change", "passcode delete", "fingerprint change", "fingerprint delete")  # in the key book
NAMED_FIRST += ("card change", "card delete", "card lost")
WITHOUT_A_GATEWAY = ("ekey send",)  # to a lock that is not ours: a file is written


def _given(words):
    given = []
    for each in COMMANDS[words].params:
        if words == "passcode sync" and each.name == "file":
            given.append(CALENDAR)
        elif each.param_type_name == "argument":
            given.append(VALUES.get(each.name, "1"))
        elif each.name == "yes":
            given.append("--yes")
        elif each.required:
            given += [each.opts[0], VALUES.get(each.name, "1")]
    return [*given, *MORE.get(words, ())]


@pytest.mark.parametrize("words", CALLING)
def test_a_plain_broker_is_refused_and_not_even_called(words, alone, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    (tmp_path / CALENDAR).write_text("BEGIN:VCALENDAR\nEND:VCALENDAR\n")
    for name in ("GATEHOUSE_CONFIG", "GATEHOUSE_MQTT_INSECURE", "GATEHOUSE_MQTT"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server((pki.HERE, 0)) as listener:
        address = "mqtt://%s:%d" % (pki.HERE, listener.getsockname()[1])
        result = gatehouse(*words.split(), *_given(words), "--broker", address, input="24681357\n")
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    if words not in FIRST_BESIDE_THE_LOCK + WITHOUT_A_GATEWAY:
        assert result.exit_code != 0
        is_refused = "error config: the broker" in result.stderr and "--insecure-broker" in result.stderr
        assert is_refused or (words in NAMED_FIRST and "error not_found: " in result.stderr), result.stderr


def test_the_table_is_of_commands_that_are():
    assert {*MORE, *NAMED_FIRST, *FIRST_BESIDE_THE_LOCK, *WITHOUT_A_GATEWAY} <= set(CALLING)
    assert len(CALLING) > 60


def _uses(folder, name):
    """Files of host_tools/`folder` whose code has an attribute or a call of this name."""
    found = set()
    for path in (ROOT / "host_tools" / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
                found.add(path.name)
    return found


def test_there_is_one_way_to_a_broker_and_one_choice_of_it():
    """So a new command cannot leave the choice out; `provision` follows what it has just written to the gateway."""
    assert _uses("", "aiomqtt.Client") == {"client.py", "bus.py"}  # the service's own, for years
    assert _uses("cli", "client.connect") == {"reach.py", "boards.py"}
    assert _uses("cli", "brokers.Broker") == {"boards.py"}
