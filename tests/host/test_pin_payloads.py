"""`…/set` and the PIN of hubs, searched: whatever comes is lock, unlock or refused, only the exact digits pass, and no
refusal shows what was typed (mqtt.md 2.2)."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from firmware.gateway.admission import Refusal
from firmware.gateway.remote_pin import Pin
from firmware.lib import commands
from firmware.lib.errors import BadRequest
from tests.host.validity_draws import MANY
from tests.unit.fake_nvs import Nvs

DIGITS = "402913"
TEXTS = ("that is not the PIN", "this needs the PIN, as `code`, or a signature")
GOOD = b'{"do":"unlock","code":"402913"}'
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(DIGITS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_objects = st.fixed_dictionaries(
    {}, optional={"do": st.sampled_from(["lock", "unlock", "LOCK", "UNLOCK"]) | _json, "code": _json, "id": st.text()}
).map(lambda value: json.dumps(value).encode())
_mutated = st.tuples(st.integers(0, len(GOOD)), st.integers(0, 3), st.binary(max_size=4)).map(
    lambda cut: GOOD[: cut[0]] + cut[2] + GOOD[cut[0] + cut[1] :]
)


def passes(code: str | None) -> bool:
    """Whether a fresh PIN takes it, at its first try."""
    told: list = []
    try:
        Pin(DIGITS, Nvs(), lambda: 1000, lambda *what: told.append(what)).judge(code, "001122334455")
    except Refusal as refusal:
        assert str(refusal) in TEXTS
        assert bool(told) == (code is not None)
        return False
    assert not told
    return True


@MANY
@given(st.one_of(_objects, _mutated, st.binary(), st.sampled_from([b"LOCK", b"UNLOCK"])))
@example(GOOD)
@example(GOOD + b"\n")
def test_whatever_comes_is_lock_unlock_or_refused(payload: bytes) -> None:
    try:
        command = commands.parse_set(payload)
    except BadRequest as refused:
        assert DIGITS not in str(refused)
        return
    assert command.op in ("lock", "unlock") and command.id is None and command.args == {}
    assert command.code is None or (isinstance(command.code, str) and command.code)
    if command.op == "lock":
        assert command.code is None
    elif command.code is not None:
        told = json.loads(payload)
        assert told == {"do": told["do"], "code": command.code} and told["do"] in ("unlock", "UNLOCK")
    if command.op == "unlock":
        assert passes(command.code) == (command.code == DIGITS)


@MANY
@given(st.one_of(st.text(), st.text("0123456789", min_size=1, max_size=9), st.none()))
@example(DIGITS)
@example("\u0664\u0660\u0662\u0669\u0661\u0663")
@example(DIGITS + "\0")
def test_only_the_exact_digits_pass(code: str | None) -> None:
    try:
        (code or "").encode()
    except UnicodeEncodeError:
        return  # half of a pair: the reader lets none through
    assert passes(code) == (code == DIGITS)
