"""The file that gives `gatehouse serve` the keys of records, and nothing else: by them batches are proven and
acknowledged, and nothing can be commanded.

Owns its form. The key follows from the owner's (mqtt.md 2.1), from which it cannot be told.
"""

from dataclasses import dataclass, field
from typing import Any

from firmware.lib.topics import is_id
from host_tools import text
from host_tools.errors import HostError
from host_tools.owner.gateways import FILE_MARK as ISSUER_MARK
from host_tools.owner.gateways import KEY_DIGITS, Gateway

FILE_MARK = "gatehouse_recorder"
_VERSION = 1
_TODO = "have the owner write it: gatehouse issuer recorder"


@dataclass(frozen=True)
class RecordKey:
    """Of one gateway."""

    id: str
    name: str
    key: bytes = field(repr=False)


def to_file(gateways: list[Gateway]) -> dict:
    """The contents of the file, of those gateways whose key of records is known."""
    known = [(each, each.record_key) for each in gateways if each.is_pinned]
    rows = [{"id": each.id, "name": each.name, "records": key.hex()} for each, key in known if key is not None]
    return {FILE_MARK: _VERSION, "gateways": rows}


def read(value: Any) -> list[RecordKey]:
    """Such a file's contents. HostError `config`, also for a file that holds more than it should."""
    if isinstance(value, dict) and ISSUER_MARK in value:
        raise HostError("config", "the file of keys holds a key that commands a gateway", _TODO)
    rows = value.get("gateways") if isinstance(value, dict) and value.get(FILE_MARK) == _VERSION else None
    if not isinstance(rows, list):
        raise HostError("config", "that is no file of record keys", _TODO)
    found = []
    for row in rows:
        key = row.get("records") if isinstance(row, dict) else None
        is_key = isinstance(key, str) and len(key) == KEY_DIGITS and not key.strip("0123456789abcdef")
        if not is_key or not isinstance(row.get("id"), str) or not is_id(row["id"]):
            raise HostError("config", "the file of record keys is damaged", _TODO)
        found.append(RecordKey(row["id"], text.tidy(row.get("name")), bytes.fromhex(str(key))))
    return found
