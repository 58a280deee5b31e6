"""Passcodes made without the lock and without any gateway: which may still be made, and the text to hand over.

Owns the limits of issue (domain.md 3.1) and the note of what was issued, in the lock's key book entry; the digits are
`firmware.lib.offline_codes`'s. Times are Unix seconds here, and hours of the lock's own clock in the note.
"""

import secrets
import time
from dataclasses import dataclass
from datetime import datetime

from firmware.lib import dates, marks, offline_codes, zone
from host_tools.errors import HostError
from host_tools.owner import names, zones
from host_tools.owner.codes import is_trivial
from host_tools.owner.keybook import Entry, KeyBook

ONCE, PERMANENT, TIMED, ERASE = "once", "permanent", "timed", "erase"
RECURRING = ("weekend", "daily", "workday", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
KINDS = {ONCE: 1, PERMANENT: 2, TIMED: 3, ERASE: 4} | {word: 5 + place for place, word in enumerate(RECURRING)}

STORED = "stored"  # in the lock, its period is not known here

ALREADY_ISSUED, NO_SEEDS = -1026, -1007

_YEAR_H = 366 * 24
_FIRST_USE_H = {ONCE: 6}  # all others: 24
_WORDS = {"weekend": "Saturday and Sunday", "daily": "every day", "workday": "Monday to Friday", "mon": "Mondays"}
_WORDS |= {"tue": "Tuesdays", "wed": "Wednesdays", "thu": "Thursdays", "fri": "Fridays", "sat": "Saturdays"}
_DAYS = ("Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays")
_WORDS |= {"sun": "Sundays"}


@dataclass
class Minted:
    """A code that was made: its digits, type, first and last moment (None: no end), latest moment of its first use. Of
    one that was written into the lock, `limits` as `names.Credential` has them."""

    code: str
    kind: str
    start: int
    end: int | None
    first_use_until: int
    name: str = ""
    limits: dict | None = None


def make_seeds() -> str:
    """61 bytes for 0x31, as hex: ten years, each a code and a permutation of the ten digits (lock-ble-commands.md
    3.5)."""
    packed = bytes((time.gmtime().tm_year - 2000,))
    for _ in range(10):
        digits = list("0123456789")
        secrets.SystemRandom().shuffle(digits)
        packed += ((96 + secrets.randbelow(821)) << 36 | int("".join(digits))).to_bytes(6, "big")
    return packed.hex()


def secret_of(entry: Entry) -> bytes:
    """The secret of a lock's codes. HostError when the lock has none that we know."""
    if not entry.seeds or entry.next_seeds:
        text = "the reset of its passcodes was cut off" if entry.next_seeds else "the key book has no passcode data"
        raise HostError("refused", text, "run `gatehouse passcode reset %s`" % entry.name, ttlock=NO_SEEDS)
    return offline_codes.secret(bytes.fromhex(entry.seeds))


def _hour(entry: Entry, unix_s: int) -> int:
    return dates.to_minutes(zone.to_wall(zones.rule_of(entry), unix_s)) // 60


def _unix(entry: Entry, hour: int, is_last: bool = False) -> int:
    return zone.from_wall(zones.rule_of(entry), dates.from_seconds(3600 * hour), is_last)


def _timed_number(hours: int) -> int:
    if hours < 1:
        raise HostError("bad_request", "the end must lie an hour or more after the start; both are cut to the hour")
    if hours > _YEAR_H:
        raise HostError("bad_request", "a timed code lasts a year at most")
    if hours not in offline_codes.DURATIONS_H:
        near = min(offline_codes.DURATIONS_H, key=lambda each: abs(each - hours))
        todo = "1 to 24 hours, whole days to 31, then 35, 42, 49, 56, 60, 90, 120, 180, 240, 270, 365, 366; or add one"
        raise HostError("bad_request", "no code lasts %d h; the nearest: %d h" % (hours, near), todo)
    return offline_codes.DURATIONS_H.index(hours)


def _window(kind: str, start: int, hours: int) -> int:
    """The first hour from `start` on that begins a window of this kind."""
    if not 0 < hours <= 24:
        raise HostError("bad_request", "the hours of a recurring code are 1 to 24, from the first day's start on")
    while not offline_codes.count(KINDS[kind], start):
        start += 24
    return start


def _number(entry: Entry, secret: bytes, kind: str, start: int, hours: int) -> int:
    """Which of the codes of that start is the next. HostError when there is none left."""
    if kind == ERASE:
        return 0
    if kind in RECURRING:
        return hours - 1
    issued = {each["number"] for each in entry.minted if each["kind"] == KINDS[kind] and each["start"] == start}
    if kind == TIMED:
        number = _timed_number(hours)
        if number in issued:
            raise HostError(
                "refused", "a code for these hours was issued before", "choose other hours", ttlock=ALREADY_ISSUED
            )
        return number
    for number in range(offline_codes.count(KINDS[kind], start)):
        if number not in issued and not is_trivial(offline_codes.digits(secret, KINDS[kind], start, number)):
            return number
    most = offline_codes.count(KINDS[kind], start)
    raise HostError("refused", "%d codes were issued for this hour" % most, "choose another hour")


def mint(
    book: KeyBook,
    lock: str,
    kind: str,
    start: int | None = None,
    end: int | None = None,
    name: str = "",
    now_s: float | None = None,
) -> Minted:
    """Make a code and note that it was issued; `end`: of a timed code, or of the first window of a recurring one."""
    now = int(time.time() if now_s is None else now_s)
    made: list[Minted] = []

    def change(entry: Entry) -> None:
        secret = secret_of(entry)
        first = _hour(entry, now if start is None else start)
        hours = 0 if end is None else _hour(entry, end) - first
        if kind in RECURRING:
            first = _window(kind, first, hours)
        until = first + _FIRST_USE_H.get(kind, 24)
        if until <= _hour(entry, now):
            raise HostError("bad_request", "a code that starts then could not be used any more", "give a later start")
        number = _number(entry, secret, kind, first, hours)
        code = offline_codes.digits(secret, KINDS[kind], first, number)
        limits = offline_codes.credential(KINDS[kind], first, number)
        last = None if limits.end_min is None else _unix(entry, limits.end_min // 60)
        if kind in RECURRING:
            last = _unix(entry, first + hours)
        row = {"kind": KINDS[kind], "start": first, "number": number, "at": now}
        row["who"] = marks.of_passcode(bytes.fromhex(entry.aes), code.encode())
        entry.minted = [each for each in entry.minted if each["who"] != row["who"]] + [row]
        made.append(Minted(code, kind, _unix(entry, first), last, _unix(entry, until), name))

    if not book.update(lock, change):
        raise HostError("unknown_lock", "the key book does not know this lock")
    code = made[0]
    names.remember(book, lock, "passcode", None, name or kind, code.code, start=code.start, end=code.end)
    return code


def find(entry: Entry, code: str) -> Minted | None:
    """What was issued under these digits, or None."""
    who = names.who_of(entry.aes, "passcode", None, code)
    words = {number: word for word, number in KINDS.items()}
    for row in entry.minted:
        if row["who"] == who:
            kind = words[row["kind"]]
            limits = offline_codes.credential(row["kind"], row["start"], row["number"])
            end = row["start"] + row["number"] + 1 if kind in RECURRING else (limits.end_min or 0) // 60
            until = row["start"] + _FIRST_USE_H.get(kind, 24)
            start = _unix(entry, row["start"])
            return Minted(code, kind, start, _unix(entry, end) if end else None, _unix(entry, until))
    return None


def _when(entry: Entry, unix_s: int) -> str:
    return "%04d-%02d-%02d %02d:%02d" % tuple(zone.to_wall(zones.rule_of(entry), unix_s)[:5])


def again(entry: Entry, whos: list[int]) -> Minted | None:
    """What was issued under one of these marks, digits and all: they follow from the lock's seeds."""
    for row in entry.minted:
        if row["who"] in whos:
            return find(entry, offline_codes.digits(secret_of(entry), row["kind"], row["start"], row["number"]))
    return None


def stored_words(entry: Entry, start: int | None, end: int | None, limits: dict | None) -> str:
    """When a code of the lock's opens, for whom it is handed to; what is not known is not called `always`."""
    words = [word + _when(entry, each) for word, each in (("from ", start), ("until ", end)) if each]
    kind = (limits or {}).get("type")
    if kind == "cyclic" and limits and limits.get("days") in _WORDS and "from_min" in limits:
        opens = int(limits["from_min"])
        closes = opens + 60 * int(limits.get("hours", 0))
        words = [
            "%s, %02d:%02d to %02d:%02d" % (_WORDS[limits["days"]], *divmod(opens, 60), *divmod(closes, 60)),
            *words,
        ]
    elif kind == "once":
        words = ["once" + ("," if words else ""), *words]
    return " ".join(words) or ("always" if kind == "permanent" else "not known here; the owner can look at the lock")


def times_line(entry: Entry, moments: list[int | None]) -> list[str]:
    """Whose time the moments of a text are in: [] without any, else one line with the zone and its offsets then."""
    where = zones.of(entry)
    if where is None or not any(moments):
        return []
    offsets = [datetime.fromtimestamp(each, where).strftime("UTC%z") for each in moments if each]
    shown = ", then ".join("%s:%s" % (each[:-2], each[-2:]) for each in dict.fromkeys(offsets))
    place = entry.zone if entry.zone and not entry.zone.startswith("UTC") else ""
    return ["Times: local at the lock, " + ("%s (%s)" % (place, shown) if place else shown)]


def ekey_text(entry: Entry, person: str, kind: str, start: int | None, end: int | None, hours: dict | None) -> str:
    """The text to hand over with an ekey; `hours` as bundles have them, days 1 = Sunday."""
    words = [word + _when(entry, each) for word, each in (("from ", start), ("until ", end)) if each]
    if hours:
        days = ", ".join(_DAYS[day - 1] for day in hours["days"])
        words = ["%s, %02d:%02d to %02d:%02d" % (days, *divmod(hours["from"], 60), *divmod(hours["to"], 60)), *words]
    if kind == "once":
        words = ["once" + ("," if words else ""), *words]
    lines = ["Lock: %s" % entry.name, "Key of: %s" % person, "Valid: " + (" ".join(words) or "until it is taken back")]
    return "\n".join(lines + times_line(entry, [start, end]))


def share_text(entry: Entry, made: Minted) -> str:
    """The text to hand over with a code: lock, code, validity (by the lock's clock), its zone, how to type it."""
    start, use = (_when(entry, each) if each else "" for each in (made.start, made.first_use_until))
    lines = ["Lock: %s" % entry.name, "Passcode: %s" % made.code]
    if made.kind in RECURRING:
        assert made.end is not None
        hours = "%s to %s" % (start[-5:], _when(entry, made.end)[-5:])
        lines += ["Valid: %s, %s, from %s" % (_WORDS[made.kind], hours, start[:10]), "First use: before %s" % use]
    elif made.kind == ERASE:
        lines += ["Valid: %s to %s" % (start, use), "It removes all passcodes and opens nothing."]
    elif made.kind == ONCE:
        lines += ["Valid: once, %s to %s" % (start, use)]
    elif made.kind == STORED:
        lines.append("Valid: " + stored_words(entry, made.start, made.end, made.limits))
    elif made.end is None:
        lines += ["Valid: from %s on" % start, "First use: before %s" % use]
    else:
        lines += ["Valid: %s to %s" % (start, _when(entry, made.end))]
        lines += ["First use: before %s" % use] if use < _when(entry, made.end) else []
    lines += times_line(entry, [made.start, made.end, made.first_use_until])
    return "\n".join(lines + ["Type it on the keypad, then #"])


assert offline_codes.ONCE == KINDS[ONCE] and offline_codes.ERASE == KINDS[ERASE]
