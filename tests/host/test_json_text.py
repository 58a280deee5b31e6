"""Deep, long and odd JSON from outside ends in a clear error wherever the host tools read any; and nothing but
`json_text` parses it. A key book that asks for gigabytes is refused before it gets them."""

import ast
import json

import pytest

from host_tools import json_text
from host_tools.boards import serial_console, stage
from host_tools.broker.authority import Authority
from host_tools.cli import completion
from host_tools.errors import HostError
from host_tools.gateway import payloads
from host_tools.gateway.records_batch import read_batch
from host_tools.near.lock_link import Challenges
from host_tools.owner import key_files, keybook, places
from host_tools.owner.keybook import KeyBook
from tests.host.test_cli import ENTRY, book, gatehouse  # noqa: F401

# What the firmware writes itself and reads again: in its vaults and journals, with a checksum
_OWN_STORES = {
    "gateway/bridge.py",
    "gateway/issuer_store.py",
    "gateway/job_store.py",
    "gateway/registry.py",
    "lib/compat.py",
    "lock/stores/keys.py",
    "lock/stores/options.py",
    "system/store.py",
}
HOSTILE = {
    "deep list": "[" * 200 + "]" * 200,
    "deeper list": "[" * 100000 + "]" * 100000,
    "deep object": '{"locks":' * 5000 + "1" + "}" * 5000,
    "deep and open": '{"a":[' * 50000,
    "deep inside": '{"gatehouse_keys":1,"locks":[{"mac":%s}]}' % ("[" * 3000 + "]" * 3000),
    "NaN": '{"gatehouse_keys":NaN}',
    "long number": '{"epoch":%s}' % ("9" * 10000),
    "nothing": "",
}


def _callers(package: str) -> set[str]:
    found = set()
    for path in sorted((stage.ROOT / package).rglob("*.py")):
        name = str(path.relative_to(stage.ROOT / package))
        if name.startswith("sim/"):  # what the simulator's parts say to each other, on one machine
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("load", "loads"):
                if isinstance(node.value, ast.Name) and node.value.id == "json":
                    found.add(name)
    return found


def test_json_from_outside_is_parsed_in_one_place() -> None:
    assert _callers("host_tools") == {"json_text.py"}
    assert _callers("firmware") == _OWN_STORES


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_json_is_a_value_error(kind: str) -> None:
    with pytest.raises(ValueError):
        json_text.loads(HOSTILE[kind])


def test_limits_are_exact() -> None:
    for depth in (1, json_text.MAX_DEPTH):
        assert json_text.loads("[" * depth + "]" * depth) is not None
    with pytest.raises(json_text.TooMuch, match="deep"):
        json_text.loads("[" * (json_text.MAX_DEPTH + 1) + "]" * (json_text.MAX_DEPTH + 1))
    assert json_text.loads('"%s"' % ("x" * 8), 10) == "x" * 8
    with pytest.raises(json_text.TooMuch, match="longer"):
        json_text.loads('"%s"' % ("x" * 9), 10)


@pytest.mark.parametrize("kind", HOSTILE)
def test_every_reader_says_what_is_wrong(kind: str, tmp_path, monkeypatch) -> None:
    source = HOSTILE[kind]
    for read in (key_files.loads, serial_console.read_settings, read_batch):
        with pytest.raises(HostError) as caught:
            read(source)
        assert caught.value.code in ("bad_request", "protocol")
    reader = payloads.Reader()
    assert reader.message(source, lambda reader, value: value) is None and reader.dropped == 1

    at = tmp_path / "keys.json"
    at.write_text(source)
    at.chmod(0o600)
    with pytest.raises(HostError) as caught:
        KeyBook(at).entries()
    assert caught.value.code == "keys"
    (tmp_path / "identities.json").write_text(source)
    with pytest.raises(HostError) as caught:
        Authority.open(tmp_path)
    assert caught.value.code == "config"

    (tmp_path / "seen.json").write_text(source)
    monkeypatch.setattr(places, "gateways", lambda: tmp_path / "seen.json")
    assert completion.gateways("") == []
    Challenges(tmp_path / "seen.json").check("aa:bb:cc:dd:ee:ff", 5, True)


def test_a_sealed_book_with_deep_json_inside_is_damaged(tmp_path) -> None:
    at = KeyBook(tmp_path / "keys.json", lambda again: "phrase")
    at.protect("phrase")
    value = json.loads(at.path.read_text())
    value["sealed"] = keybook._seal(HOSTILE["deeper list"].encode(), "phrase")
    at.path.write_text(json.dumps(value))
    with pytest.raises(HostError) as caught:
        KeyBook(at.path, lambda again: "phrase").entries()
    assert caught.value.code == "keys"


@pytest.mark.parametrize(
    "costs",
    [
        {"n": 1 << 20},
        {"n": 1 << 20, "r": 32},
        {"r": 1 << 20},
        {"n": 2, "r": 1 << 30},
        {"p": 16},
        {"p": 1 << 20, "n": 1 << 10},
        {"n": 1 << 70},
        {"n": True},
        {"n": 2.0},
        {"n": "32768"},
        {"n": -(1 << 15)},
        {"n": 0},
        {"p": None},
        {"r": [8]},
    ],
)
def test_a_book_that_asks_for_too_much_gets_nothing(tmp_path, monkeypatch, costs: dict) -> None:
    at = KeyBook(tmp_path / "keys.json", lambda again: "phrase")
    at.put(ENTRY)
    at.protect("phrase")
    value = json.loads(at.path.read_text())
    value["sealed"] |= costs
    at.path.write_text(json.dumps(value))

    def spend(**more):
        raise AssertionError("scrypt was asked for %s" % more)

    monkeypatch.setattr(keybook, "Scrypt", spend)
    with pytest.raises(HostError) as caught:
        KeyBook(at.path, lambda again: "phrase").entries()
    assert caught.value.code == "keys" and str(at.path) in str(caught.value)


def test_files_that_never_end_are_read_to_the_limit_only(book, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setattr(json_text, "MAX_BYTES", 1 << 20)
    for command in (("keys", "import", "/dev/zero"), ("issuer", "import", "/dev/zero")):
        done = gatehouse(*command)
        assert done.exit_code and "error bad_request" in done.output, (command, done.output)
