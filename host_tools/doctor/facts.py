"""What boards and gateways answer to `gatehouse doctor`, with members of the kinds that they should have.

Anything may answer on a port or a topic: a member of another kind is None, which is unknown, and nothing here raises.
Owns these kinds; how they are read is `gateway.payloads`'.
"""

from typing import Any

from host_tools.gateway import payloads
from host_tools.gateway.payloads import Reader, anything, flag, listed, members, number, text, whole


def _counts(reader: Reader, value: Any) -> dict[str, int]:
    """Word -> how often."""
    known = anything(reader, value)
    if not isinstance(known, dict):
        raise payloads.Wrong
    return {key: each for key, each in known.items() if isinstance(each, int) and not isinstance(each, bool)}


_RESTART = members(why=text, what=text, minimal=flag, counts=_counts, slot=text, trial=flag)
HELLO = members(
    ok=flag,
    role=text,
    id=text,
    version=text,
    board=text,
    provisioned=flag,
    faults=listed(text),
    restart=_RESTART,
    owner=flag,
    rebooting=flag,
    connection=members(state=text, failures=whole, msg=text),
)
METRICS = members(
    uptime_s=whole,
    boot=whole,
    heap=whole,
    heap_low=whole,
    rssi=whole,
    queue=whole,
    success_pct=number,
    results=_counts,
    operations=anything,
    drift_ms=number,
    dropped=_counts,
    restarts=_counts,
    clock=text,
    jobs=whole,
    records=whole,
    ts=text,
)
HEALTH = members(
    boot=whole,
    board=text,
    micropython=text,
    heap=whole,
    heap_low=whole,
    flash=whole,
    flash_free=whole,
    uptime_s=whole,
    clock=text,
    restart=_RESTART,
    rssi=whole,
    flags=listed(text),
    refused=listed(text),
)
INFO = members(
    id=text,
    version=text,
    board=text,
    micropython=text,
    name=text,
    boot=whole,
    x25519=text,
    owner=flag,
    restart=_RESTART,
    flags=listed(text),
    refused=listed(text),
    locks=listed(members(("mac",), mac=payloads.address, name=payloads.name)),
)
LOOK = members(
    model=text,
    firmware=text,
    features=text,
    verified=flag,
    battery=whole,
    lock=text,
    near=flag,
    rssi=whole,
    heard_s=whole,
    heard=text,
    zone=text,
    clock_checked=text,
    drift_s=number,
    remote_unlock=flag,
    waiting=whole,
    jobs=whole,
    failures=listed(members(ts=text, op=text, code=text)),
)
STATE = members(
    lock=text,
    assumed=flag,
    battery=whole,
    rssi=whole,
    tamper=text,
    ts=text,
)


def read(value: Any, kind: payloads.Kind) -> dict:
    """`value` as its kind has it; {} for what is no object."""
    known = Reader().checked(value, kind)
    return known if isinstance(known, dict) else {}


def part(value: dict, name: str) -> dict:
    """A member that is an object; {} where it is unknown."""
    known = value.get(name)
    return known if isinstance(known, dict) else {}


def items(value: dict, name: str) -> list:
    """A member that is a list; [] where it is unknown."""
    known = value.get(name)
    return known if isinstance(known, list) else []
