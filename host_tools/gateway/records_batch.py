"""One message of `…/records`: the one place where it is checked. What it means to the store is `records_store`'s."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from host_tools import json_text
from host_tools.errors import HostError
from host_tools.gateway.payloads import MAX_BYTES

NUMBERS = 65534  # 0 to 65533 (lock-ble-link.md 9.1)
_MAX_ERA = 1 << 48
_MAX_WHO = 1 << 48
_MAX_TEXT = 40
_MAX_ITEMS = 100
_SET_SINCE = 10  # years since 2000
_DATE = re.compile("[0-9a-f]{12}")
_NUMBERS_OF = ("type", "list", "battery", "button", "accessory_battery")
_TEXTS_OF = ("event", "method", "ts")


@dataclass
class Batch:
    """`epoch` is the era, `first` to `last` the numbers in it, `gap` how many before them are lost for good; `proven`:
    it bore the mac of the gateway's record key (mqtt.md 2)."""

    epoch: int
    first: int
    last: int
    gap: int
    items: list[dict]
    proven: bool = False


def read_batch(text: str) -> Batch:
    """JSON of a batch -> Batch. HostError when it is none."""
    try:
        value = json_text.loads(text, MAX_BYTES)
        batch = Batch(value["epoch"], value["from"], value["to"], value["gap"], value["items"])
        numbers = ((batch.epoch, _MAX_ERA), (batch.first, NUMBERS), (batch.last, NUMBERS), (batch.gap, 1 << 32))
        is_good = all(_is_whole(*number) for number in numbers) and isinstance(batch.items, list)
        if not is_good or not 0 < len(batch.items) <= _MAX_ITEMS or not all(map(_is_item, batch.items)):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise HostError("protocol", "a gateway sent a batch of records that cannot be read", "update the gateway")
    return batch


def wall(date: str | None) -> datetime | None:
    """The lock's own date of a record, twelve hex digits, as the wall time that its clock showed; None when it is none,
    or that of a clock that was never set."""
    if not date:
        return None
    try:
        year, month, day, hour, minute, second = bytes.fromhex(date)
        shown = datetime(2000 + year, month, day, hour, minute, second)
    except ValueError:
        return None
    return shown if year >= _SET_SINCE else None


def readable(row: dict) -> tuple[dict, bool]:
    """A stored record with None for what no record can hold -> (the record, whether something was so)."""
    checks = {
        "rec": lambda value: _is_whole(value, NUMBERS),
        "epoch": lambda value: _is_whole(value, _MAX_ERA),
        "date": lambda value: value == "" or isinstance(value, str) and _DATE.fullmatch(value),
        "who": lambda value: _is_whole(value, _MAX_WHO),
        "ok": lambda value: value in (0, 1),
        "approx": lambda value: value in (0, 1),
        **dict.fromkeys(_NUMBERS_OF, lambda value: _is_whole(value, 256)),
        **dict.fromkeys(_TEXTS_OF, lambda value: isinstance(value, str) and len(value) <= _MAX_TEXT),
    }
    good = {
        key: value if value is None or key not in checks or checks[key](value) else None for key, value in row.items()
    }
    if good.get("ts") is not None and moment(good["ts"]) is None:
        good["ts"] = None
    return good, any(good[key] is None and row[key] is not None for key in row)


def moment(ts: object) -> datetime | None:
    """A record's time as gateways write it; None for what is none."""
    try:
        return datetime.strptime(str(ts), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _is_whole(value: object, end: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < end


def _is_item(item: object) -> bool:
    if not isinstance(item, dict) or not _is_whole(item.get("rec"), NUMBERS):
        return False
    date = item.get("date")
    if date is not None and not (isinstance(date, str) and _DATE.fullmatch(date)):
        return False
    if not (item.get("who") is None or _is_whole(item["who"], _MAX_WHO)):
        return False
    if not all(item.get(name) is None or _is_whole(item[name], 256) for name in _NUMBERS_OF):
        return False
    if not all(item.get(name) is None or isinstance(item[name], bool) for name in ("ok", "approx")):
        return False
    return all(
        item.get(name) is None
        or (isinstance(item[name], str) and item[name].isprintable() and len(item[name]) <= _MAX_TEXT)
        for name in _TEXTS_OF
    )
