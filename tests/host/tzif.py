"""TZif files (RFC 9636) for tests: a place whose last line is silent about the changes that its table holds."""

import struct
from datetime import UTC, datetime


def tzif(changes: list[tuple[int, int]], first: int, rule: str) -> bytes:
    """A file with these changes, (moment, minutes ahead of UTC from then on) each, and a rule for the time after."""
    offsets = [first, *sorted({offset for _, offset in changes} - {first})]
    head = struct.pack(">4s1s15x6I", b"TZif", b"2", 0, 0, 0, len(changes), len(offsets), 4)
    moments = [at_s for at_s, _ in changes]
    types = bytes(offsets.index(offset) for _, offset in changes)
    kinds = b"".join(struct.pack(">iBB", 60 * offset, 0, 0) for offset in offsets)
    older = (
        struct.pack(">4s1s15x6I", b"TZif", b"2", 0, 0, 0, 0, 1, 4) + struct.pack(">iBB", 60 * first, 0, 0) + b"XXX\0"
    )
    table = struct.pack(">%dq" % len(moments), *moments) + types + kinds + b"XXX\0"
    return older + head + table + b"\n" + rule.encode() + b"\n"


def ramadan() -> tuple[list[tuple[int, int]], bytes]:
    """Morocco's way of many years: an hour back for Ramadan. -> its changes, and the file, whose rule tells none."""
    days = (2027, 2, 7), (2027, 3, 14), (2028, 1, 23), (2028, 3, 5), (2029, 1, 14), (2029, 2, 18)
    turns = [
        (int(datetime(*day, 2 + place % 2, tzinfo=UTC).timestamp()), 60 * (place % 2)) for place, day in enumerate(days)
    ]
    return turns, tzif(turns, 60, "<+01>-1")
