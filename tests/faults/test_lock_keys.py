"""Keys, challenges, sessions, pairing: what is random, what is whose, and when."""

import ast
import re

import pytest
from typer.testing import CliRunner

from firmware.lib import crypto
from host_tools.boards import stage
from host_tools.cli.main import app
from host_tools.near import pairing, sightings
from tests.faults.rows import Row, run_program

_KEY_SIZES = (16, 24, 32)
_DIGITS = b"0123456789abcdef"  # no key
_ALPHABETS = {("firmware/lib/strict_json.py", _DIGITS), ("firmware/lib/envelope.py", _DIGITS)}
_HEX_KEY = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{48}|[0-9a-fA-F]{64}")


@pytest.mark.row("T-RND-1", "challenges: repeats and bits")
def test_challenges_are_uniform(row: Row) -> None:
    row.take(run_program("challenges", row.count(30000, 1000000), 0, row.seed, heapsize="128M"))


@pytest.mark.row("T-RND-2", "challenges answered twice, late, on a new link, after a new check, to the other command")
def test_challenges_are_used_once(row: Row) -> None:
    row.take(run_program("challenges", 0, row.count(240, 20000), row.seed))


@pytest.mark.row("T-SES-1", "random interleavings of connect, end and data of three links")
def test_no_session_is_inherited(row: Row) -> None:
    count = row.count(600, 100000)
    row.take(run_program("sessions", count, row.seed))
    row.figure("interleavings", count)


@pytest.mark.row("T-KEY-1", "keys of as many locks and gateways: distinct, bytes even")
def test_keys_are_distinct_and_even(row: Row) -> None:
    row.take(run_program("keys", row.count(300, 10000)))


def constants(tree: ast.AST) -> list:
    """Constants that could be a key, but for docstrings."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            value = node.value
            is_key = isinstance(value, bytes) and len(value) in _KEY_SIZES and len(set(value)) > 8
            is_key = is_key or (isinstance(value, str) and bool(_HEX_KEY.fullmatch(value)))
            if is_key or (isinstance(value, int) and value >= 1 << 96):
                found.append(value)
    return found


@pytest.mark.row("T-KEY-2", "image scan for constants that could be keys")
def test_the_only_constant_key_is_the_public_one_and_has_one_user(row: Row, tmp_path) -> None:
    users = []
    for role in stage.ROLES:
        for path in stage.modules(role):
            tree = ast.parse(path.read_text())
            name = str(path.relative_to(stage.ROOT))
            for value in constants(tree):
                known = value == crypto.DEFAULT_KEY and name == "firmware/lib/crypto.py"
                row.check(known or (name, value) in _ALPHABETS, "%s: %r" % (name, value))
            row.tried()
            for function in ast.walk(tree):
                if isinstance(function, ast.FunctionDef) and "DEFAULT_KEY" in ast.unparse(function):
                    users.append((name, function.name))
        image = stage.stage(role, tmp_path / role, simulator=True)
        holders = [path.name for path in image.rglob("*") if path.is_file() and crypto.DEFAULT_KEY in path.read_bytes()]
        wanted = ["crypto.mpy"] if role == "lock" else []  # who pairs is the owner's computer; a gateway is given keys
        row.check(holders == wanted, "%s image: the default key is in %s" % (role, holders))
    row.check(users == [("firmware/lock/engine.py", "key_for")], "the default key is used by %s" % users)
    assert constants(
        ast.parse("KEY = bytes(16), b'0123456789abcdef', '%s'" % ("5a" * 16))
    )  # the scan sees what it must


@pytest.mark.row("T-PAIR-1", "what a listener reads of pairings and visits: the link's key in one answer, else nothing")
def test_keys_are_on_the_air_once_and_never_again(row: Row) -> None:
    row.take(run_program("on_air", row.count(5, 1000)))


@pytest.mark.row("T-PAIR-2", "pairing outside its window, by a second client, after a cut, after success")
def test_pairing_is_refused_whenever_it_is_not_its_time(row: Row) -> None:
    row.take(run_program("pairing", "times", row.count(30, 3000), row.seed))


@pytest.mark.row("T-PAIR-3", "two pairings of one device: different keys")
def test_every_pairing_has_a_new_key(row: Row) -> None:
    row.take(run_program("pairing", "keys", row.count(100, 5000), row.seed))


@pytest.mark.row("T-PAIR-4", "the host warns of listeners before it pairs")
def test_host_warns_before_pairing(row: Row, tmp_path, monkeypatch) -> None:
    async def nothing_heard(wanted, timeout_s):
        return None

    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "keys.json"))
    monkeypatch.setattr(sightings, "scan", nothing_heard)
    shown = " ".join(CliRunner().invoke(app, ["pair", "--no-import"]).output.split())
    row.check("warning: " + pairing.SNIFFING_WARNING in shown, "no warning in: %s" % shown)
    row.check("whoever records these seconds" in pairing.SNIFFING_WARNING, "the warning does not say it")


@pytest.mark.row("T-RNG-1", "lint: no module random in firmware; urandom only where it is looked at")
def test_firmware_draws_from_the_platform_only(row: Row) -> None:
    draws = set()
    for role in stage.ROLES:
        for path in [*stage.modules(role), stage.ROOT / "boot.py", stage.ROOT / "main.py"]:
            tree = ast.parse(path.read_text())
            name = str(path.relative_to(stage.ROOT))
            row.tried()
            for node in ast.walk(tree):
                imported = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
                if {"random", "urandom", "uos"} & {*imported, getattr(node, "module", None)}:
                    row.fail("%s imports %s" % (name, imported))
                if isinstance(node, ast.Attribute) and node.attr == "urandom":
                    draws.add(name)
    secret = {name for name in draws if name.startswith(("firmware/lock/", "firmware/lib/"))}
    row.check(secret == {"firmware/lib/crypto.py"}, "urandom is drawn from by %s" % sorted(draws))


@pytest.mark.row("T-RNG-2", "a random generator that fails, repeats or prefers: no key, no challenge")
def test_broken_generators_give_no_keys(row: Row) -> None:
    row.take(run_program("generators", row.count(200, 20000), row.seed))
