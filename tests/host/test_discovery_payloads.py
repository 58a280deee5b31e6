"""Home Assistant's discovery over everything that a lock may be, one release of the house after another: whatever was
published, what stands at the broker then is what Home Assistant takes, and tells of nothing that is gone."""

import json
import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.gateway.lock import Lock
from firmware.lib.errors import NetError
from firmware.system.supervisor import Lease
from tests.unit import ha_schema
from tests.unit.gateway_rig import run
from tests.unit.test_gateway_discovery import Board

FULL = bool(os.environ.get("GATEHOUSE_FAULTS"))
EXAMPLES = 1000 if FULL else 40

TEXTS = st.one_of(st.text(max_size=80), st.sampled_from(["\U0001f6aa" * 12, '"\\"', "\u202ex", "n" * 10000, "{{ x }}"]))
LOCKS = st.fixed_dictionaries(
    {
        "name": TEXTS.map(lambda name: name.encode(errors="ignore")[:48].decode(errors="ignore")),
        "model": TEXTS,
        "hardware": TEXTS,
        "firmware": TEXTS,
        "admin_ps": st.integers(0, 1),
        "features": st.one_of(st.none(), st.integers(0, (1 << 127) - 1)),
        "door": st.sampled_from([None, "open", "closed"]),
        "zone": st.sampled_from([None, "UTC0", "CET-1CEST,M3.5.0,M10.5.0/3"]),
    }
)
HOUSES = st.fixed_dictionaries(
    {
        "prefix": st.sampled_from(["homeassistant", "homeassistant", "ha/2", ""]),
        "unsigned": st.booleans(),
        "pin": st.booleans(),
        "name": TEXTS,
        "locks": st.dictionaries(st.integers(0, 3), LOCKS, max_size=3),
        "cut": st.one_of(st.none(), st.none(), st.integers(0, 9)),
    }
)


def _furnish(board: Board, house: dict) -> None:
    """The house as it is now; what was there before is forgotten while nobody could say so."""
    for lock in board.registry.all():
        board.registry.vault.remove(lock.id)
    board.is_unsigned, board.pin, board.name = house["unsigned"], house["pin"], house["name"]
    board.start(house["prefix"])
    for number, members in house["locks"].items():
        lock = Lock(b"\xe6\x06\xa3\xa8\x01" + bytes((number,)), bytes(16))
        for key, value in members.items():
            setattr(lock, key, value)
        board.registry.add(lock)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(HOUSES, min_size=1, max_size=3))
def test_whatever_was_there_before_the_broker_has_what_is_there_now(houses):
    board = Board("hypothesis", 0)
    for house in houses:
        _furnish(board, house)
        if house["cut"] is not None:  # the power goes in between
            board.broker.fails_after = house["cut"]
            try:
                for _ in range(20):
                    run(board.announcer.step(Lease()))
            except NetError:
                pass
            _furnish(board, house)
        board.settle()
        prefix = house["prefix"]
        found = board.broker.configs(prefix) if prefix else {}
        assert len(found) == len([topic for topic in board.broker.retained if "/device/" in topic])
        locks = {lock.id: lock for lock in board.registry.all()}
        assert set(found) == (set(locks) | {"a1b2c3d4e5f6"} if prefix else set())
        for ident, payload in found.items():
            assert 1 <= len(payload["dev"]["name"]) <= 64
            assert json.dumps(payload).isprintable()
            kinds = {each["p"] for each in payload["cmps"].values()}
            assert all(len(each) > 1 for each in payload["cmps"].values())  # nothing is being removed any more
            if ident in locks:
                lock = locks[ident]
                may_change = house["unsigned"] and lock.admin_ps
                assert may_change or not kinds & set(ha_schema.CHANGING)
                assert ("cod_form" in payload["cmps"]["lock"]) == house["pin"]
                assert ("sound" in payload["cmps"]) == bool(may_change and (lock.features or 0) >> 15 & 1)
                assert lock.door is None or "door" in payload["cmps"]
