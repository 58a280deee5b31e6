"""What arrives over MQTT, read once: JSON of bounded size whose known members have the kind that mqtt.md 1 gives them.

Anybody may publish at a broker. A member of a wrong kind becomes None, which is unknown; an item that lacks what its
list is about is left out; what is no JSON object is no message. Each of these is counted in `dropped`. Members that are
not known here pass, so that newer gateways can say more; they may be anything, and only showing them is safe.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from host_tools import json_text
from host_tools.text import tidy

MAX_BYTES = 256 * 1024  # of an answer, which is looked at and dropped
# Of what is kept, some three times what a gateway of ours with 64 locks has to say
_MAX_KEPT = {"status": 16, "availability": 16, "state": 4096, "event": 4096, "records": 8192, "info": 32768}
_MAX_KEPT |= {"metrics": 8192, "log": 8192}
MAX_TEXT = 4096  # characters of a text that is no secret and no list
_MAX_DEPTH = 8
_MAX_ITEMS = 4096  # of one list or object
_MAX_LOCKS = 64  # of one gateway
_WHOLE = 1 << 53  # what JSON carries exactly
_WORD = re.compile("[a-z][a-z0-9_]{0,39}")

Kind = Callable[["Reader", Any], Any]


def longest(leaf: str) -> int:
    """Bytes of the longest message on a topic of this end that is read at all."""
    return _MAX_KEPT.get(leaf, MAX_BYTES)


class Wrong(Exception):
    """A value is not of its kind."""


class Reader:
    """Reads messages; `dropped` counts what was not of its kind since it was made."""

    def __init__(self) -> None:
        self.dropped = 0

    def message(self, payload: bytes | str, kind: Kind) -> dict | None:
        """A payload as an object of this kind; None when it is none."""
        try:
            value = json_text.loads(payload, MAX_BYTES)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            self.dropped += 1
            return None
        return self.checked(value, kind)

    def checked(self, value: Any, kind: Kind) -> Any:
        """`value` as its kind has it, or None."""
        if value is None:
            return None
        try:
            return kind(self, value)
        except Wrong:
            self.dropped += 1
            return None


# --- kinds


def text(reader: Reader, value: Any) -> str:
    """A text; what is too long is cut."""
    if not isinstance(value, str):
        raise Wrong
    return value[:MAX_TEXT]


def name(reader: Reader, value: Any) -> str:
    """A name that a gateway or a lock has: what no name may have is left out, what is too long is cut."""
    if not isinstance(value, str):
        raise Wrong
    return tidy(value)


def term(reader: Reader, value: Any) -> str:
    """A word of the state of a lock, which stands in a narrow column."""
    return name(reader, value)[:20]


def word(reader: Reader, value: Any) -> str:
    """A word of a fixed set, such as a code or a state."""
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise Wrong
    return value


def flag(reader: Reader, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Wrong
    return value


def whole(reader: Reader, value: Any) -> int:
    """A whole number that JSON carries exactly."""
    if isinstance(value, bool) or not isinstance(value, int) or not -_WHOLE <= value <= _WHOLE:
        raise Wrong
    return value


def number(reader: Reader, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_WHOLE <= value <= _WHOLE:
        raise Wrong
    return value


def minute(reader: Reader, value: Any) -> int:
    """A time of day."""
    if not 0 <= whole(reader, value) <= 1440:
        raise Wrong
    return int(value)


def between(low: int, high: int) -> Kind:
    """A whole number from `low` to `high`."""

    def kind(reader: Reader, value: Any) -> int:
        if not low <= whole(reader, value) <= high:
            raise Wrong
        return int(value)

    return kind


def address(reader: Reader, value: Any) -> str:
    """Twelve hex digits, with or without colons -> as they came, in lower case."""
    if not isinstance(value, str) or not re.fullmatch("(?:[0-9a-fA-F]{2}:?){5}[0-9a-fA-F]{2}", value):
        raise Wrong
    return value.lower()


def hex32(reader: Reader, value: Any) -> str:
    """Thirty-two bytes in hex: a public key."""
    if not isinstance(value, str) or not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise Wrong
    return value


def date(reader: Reader, value: Any) -> str:
    """A moment as gateways write it, 2026-05-01T15:00:00Z."""
    try:
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        raise Wrong from None
    if moment.tzinfo is None or not 1970 <= moment.year < 2400:
        raise Wrong
    return str(value)


def anything(reader: Reader, value: Any, depth: int = 0) -> Any:
    """JSON of bounded depth and size."""
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(reader, value)
    if isinstance(value, dict | list):
        if depth >= _MAX_DEPTH or len(value) > _MAX_ITEMS:
            raise Wrong
        if isinstance(value, list):
            return [anything(reader, each, depth + 1) for each in value]
        return {key[:MAX_TEXT]: anything(reader, each, depth + 1) for key, each in value.items()}
    return value


def either(*kinds: Kind) -> Kind:
    """The first of several kinds that fits."""

    def kind(reader: Reader, value: Any) -> Any:
        for each in kinds:
            try:
                return each(reader, value)
            except Wrong:
                continue
        raise Wrong

    return kind


def members(needed: tuple[str, ...] = (), /, **kinds: Kind) -> Kind:
    """An object with members of these kinds; others are `anything`. It is Wrong when a needed one is missing."""

    def kind(reader: Reader, value: Any) -> dict:
        if not isinstance(value, dict) or len(value) > _MAX_ITEMS:
            raise Wrong
        result = {key[:MAX_TEXT]: reader.checked(each, kinds.get(key, anything)) for key, each in value.items()}
        if any(result.get(name) is None for name in needed):
            raise Wrong
        return result

    return kind


def listed(item: Kind, most: int = _MAX_ITEMS) -> Kind:
    """A list; items of another kind are left out, and those beyond so many."""

    def kind(reader: Reader, value: Any) -> list:
        if not isinstance(value, list):
            raise Wrong
        checked = [reader.checked(each, item) for each in value[:most]]
        return [each for each in checked if each is not None]

    return kind


# --- messages, as mqtt.md 1 and operations.md name their members

_PERCENT = between(0, 255)
_HOURS = listed(lambda reader, value: [int(whole(reader, each)) for each in _four(value)])

INFO = members(
    id=text,
    version=text,
    board=text,
    name=name,
    boot=whole,
    x25519=hex32,
    locks=listed(members(("mac",), mac=address, name=name, model=name, features=anything, switch=anything), _MAX_LOCKS),
)
STATE = members(
    lock=term,
    assumed=flag,
    door=term,
    battery=_PERCENT,
    rssi=between(-200, 100),
    last=members(method=term, who=whole, ts=date),
    src=term,
    seq=whole,
    ts=date,
)
EVENT = members(event_type=term, type=between(0, 255), method=term, who=whole, rec=whole, ts=date)
_DATA: dict[str, Kind] = {
    **dict.fromkeys(("lock", "door", "state", "model", "reason", "error", "mac"), text),
    **dict.fromkeys(("seconds", "min", "max", "next", "read", "new", "total", "done", "press", "count"), whole),
    **dict.fromkeys(("slot", "number", "who", "uid", "flag_pos", "next_uid", "job_state", "epoch", "cursor"), whole),
    **dict.fromkeys(("cancelled", "running", "existed", "frozen", "remote_unlock"), flag),
    "battery": _PERCENT,
    "drift_s": number,
    "last": text,
    "settings": members(),
}
_PERIOD: dict[str, Kind] = {"start": date, "end": date, "status": whole, "state": text, "name": text}

# Operation -> what its list is made of
_ITEMS: dict[str, Kind] = {
    "jobs": members(id=text, op=text, state=text, attempts=whole, age_s=whole, last=text),
    "passcode_list": members(
        **_PERIOD, code=text, type=text, who=whole, days=text, from_min=minute, hours=between(0, 1 << 16)
    ),
    "card_list": members(("slot",), **_PERIOD, slot=whole, who=whole, hours=_HOURS),
    "fingerprint_list": members(("number",), **_PERIOD, number=whole, hours=_HOURS),
    "fob_list": members(("mac",), **_PERIOD, mac=address, battery=_PERCENT, online=flag, hours=_HOURS),
    "ekey_list": members(("uid",), **_PERIOD, uid=whole, remote=flag, once=flag),
    **dict.fromkeys(
        ("passage_list", "passage_add", "passage_delete", "passage_clear"),
        members(
            ("from_min", "to_min"),
            from_min=minute,
            to_min=minute,
            weekday=between(0, 7),
            day=between(1, 31),
            month=between(0, 12),
        ),
    ),
}


def _four(value: Any) -> list:
    """One window of recurring hours: kind, day, first and last minute."""
    if not isinstance(value, list) or len(value) != 4 or not all(isinstance(each, int) for each in value[2:]):
        raise Wrong
    if not all(0 <= each <= 1440 for each in value[2:]):
        raise Wrong
    return value


ANSWER = members(id=text)


def result(op: str) -> Kind:
    """A message about a request, on the way or final, of this operation."""
    data = members(**_DATA, items=listed(_ITEMS.get(op, members())))
    return members(id=text, op=text, ok=flag, code=word, msg=text, ms=number, attempts=whole, ttlock=whole, data=data)
