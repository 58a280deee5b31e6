"""RND-1, security.md 1.4: what pairing and ekeys draw is any number of 1 to 2^31 - 1, by rejection."""

import ast
from pathlib import Path

import pytest

from firmware.lib import crypto

ROOT = Path(__file__).resolve().parents[2]
_TOP = (1 << 31) - 1
# who draws a number for the protocol's sums, and by which bound
_DRAWN_BY = {
    "firmware/lock/session.py": "_MAX_CHALLENGE",
    "host_tools/near/pairing.py": "_MAX_SECRET",
    "host_tools/owner/ekeys.py": "_MAX_SECRET",
}


def _draws(path: Path) -> list[tuple[str, object]]:
    """(text of the bound, its value) of each `1 + random_below(bound)` or `random_below(bound) + 1` of a module."""
    tree = ast.parse(path.read_text())
    bounds = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = node.value.args[0] if isinstance(node.value, ast.Call) and node.value.args else node.value
            if isinstance(value, ast.Constant):
                bounds[node.targets[0].id] = value.value
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            sides = ast.unparse(node.left), ast.unparse(node.right)
            for one, call in (sides, sides[::-1]):
                if one == "1" and call.startswith("crypto.random_below("):
                    bound = call[len("crypto.random_below(") : -1]
                    found.append((bound, bounds.get(bound)))
    return found


def test_every_secret_of_the_sums_has_all_31_bits() -> None:
    drawn = {}
    for folder in ("firmware", "host_tools"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "crypto.random_below" in path.read_text():
                drawn[str(path.relative_to(ROOT))] = _draws(path)
    assert drawn == {name: [(bound, _TOP)] for name, bound in _DRAWN_BY.items()}


@pytest.mark.parametrize(
    ("octets", "number"),
    [("00000000", 1), ("7ffffffe", _TOP), ("fffffffe", _TOP), ("80000000", 1), ("12345678", 0x12345679)],
)
def test_numbers_are_drawn_whole(monkeypatch, octets, number) -> None:
    monkeypatch.setattr(crypto, "random_bytes", lambda n: bytes.fromhex(octets)[:n])
    assert 1 + crypto.random_below(_TOP) == number


def test_a_draw_beyond_the_bound_is_thrown_away(monkeypatch) -> None:
    draws = iter(("7fffffff", "ffffffff", "00000004"))
    monkeypatch.setattr(crypto, "random_bytes", lambda n: bytes.fromhex(next(draws)))
    assert 1 + crypto.random_below(_TOP) == 5
