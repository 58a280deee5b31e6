"""Key files as other programs and people write them -> locks, and the faults of what is none.

Owns finding the locks in a file of any shape, the many spellings of their fields and values, and which of several
entries of one lock is the better one. Leaves the texts of secrets to `bundles` and the key book's own rules to
`keybook`. A fault names its place in the file and what was expected there, never the value: it may be a secret.
Source: lock-ble-commands.md 10; hardware-facts.md F80 to F84.
"""

import contextlib
import functools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from firmware.lib import zone
from firmware.lib.errors import FirmwareError
from firmware.lib.messages import pairing_client
from host_tools import json_text, text
from host_tools.errors import HostError
from host_tools.owner import bundles, rows
from host_tools.owner.ekeys import Ekey
from host_tools.owner.keybook import Entry, lock_id, offset_name
from host_tools.owner.names import Credential

_MAX_DEPTH = 12  # of the objects that are looked into
_MAX_LOCKS = 10000
_U32 = 0xFFFFFFFF
_KEPT = ("aes", "admin_ps", "unlock_key")

# Field of ours -> its names in files, in lower case without `_` and `-`; the first that is there counts.
_NAMES = {
    "mac": ("lockmac", "mac", "macaddress", "lockaddress", "zlockmac", "address"),
    "name": ("lockalias", "zlockalias", "alias", "name", "lockname", "zlockname", "keyname"),
    "aes": ("aeskeystr", "aeskey", "aes", "zaeskeystr", "lockaeskey"),
    "admin_ps": ("adminps", "adminpwd", "zadminps", "adminpassword"),
    "unlock_key": ("unlockkey", "lockkey", "zlockkey"),
    "admin_passcode": ("nokeypwd", "adminpasscode", "adminkeyboardpwd"),
    "version": ("lockversion",),
    "scene": ("scene",),
    "group": ("groupid", "group"),
    "org": ("orgid", "org"),
    "flag_pos": ("lockflagpos", "flagpos"),
    "utc_offset_ms": ("timezonerawoffset",),
    "utc_offset_min": ("utcoffsetmin",),  # of our first release
    "zone_rule": ("zonerule",),
    "zone": ("zone",),
    "feature_value": ("featurevalue",),
    "special_value": ("specialvalue",),
    "feature_list": ("featurelist",),
    "features": ("features",),
    "seed_rows": ("pwdinfo",),
    "seeds": ("seeds",),
    "user_type": ("usertype",),
    "uid": ("uid",),
    "start_ms": ("startdate", "starttime"),
    "end_ms": ("enddate", "endtime"),
}
_COMMON = ("scene", "group", "org")
_MACS, _KEYS = set(_NAMES["mac"]), {name for each in _KEPT for name in _NAMES[each]}
_SHARED = 110302

# Texts of our own key book that another book's entry of the same pairing brings along
OWN_TEXTS = ("model", "erase_code", "next_seeds", "paired_at")


@dataclass
class Fault:
    """One thing wrong: `where` as in `list[2].aesKeyStr`, `code` a stable word, `expected` what belongs there."""

    where: str
    code: str
    expected: str

    def line(self) -> str:
        return "%s: %s: %s" % (self.code, self.where or "the file", self.expected)


@dataclass
class Found:
    """A lock of a file. `given` are the fields of `entry` that the file has; `more` is uid, start_ms and end_ms."""

    entry: Entry
    where: str
    given: set[str]
    more: dict[str, int] = field(default_factory=dict)
    raw: dict = field(default_factory=dict)

    @property
    def is_admin(self) -> bool:
        """Whether these keys make an administrator; a shared key opens and locks (hardware-facts.md F84)."""
        return self.entry.admin_ps != 0


@dataclass
class Report:
    """What a file holds: the better entry of each lock, all faults, and what else its reader should know."""

    locks: list[Found] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class MintedRow:
    """A row of `Entry.minted`, as `minting` writes it."""

    kind: int
    start: int
    number: int
    who: int
    at: int = 0


# Lists of our own key book, and what their rows are
OWN_LISTS: dict[str, type] = {"credentials": Credential, "minted": MintedRow, "ekeys": Ekey}

# Codes of faults in a file; those of the key book that refuses a lock (`key_import`) come besides
CODES = ("no_locks", "too_many", "missing", *("bad_" + name for name in (*_NAMES, *OWN_LISTS)))


def loads(source: str) -> Any:
    """JSON, or one JSON value on each line. HostError `bad_request` for anything else."""
    try:
        return json_text.loads(source)
    except ValueError as err:
        lines = [line for line in source.splitlines() if line.strip()]
        try:
            if len(lines) < 2:
                raise ValueError
            return [json_text.loads(line) for line in lines]
        except ValueError:
            place = " (line %d)" % err.lineno if isinstance(err, json.JSONDecodeError) else ""
            todo = "export it again from the other program"
            what = "that is %s" % err if isinstance(err, json_text.TooMuch) else "that is not JSON" + place
            raise HostError("bad_request", what, todo) from None


def read(value: Any) -> Report:
    """All locks in parsed JSON, whatever is wrapped around them, each once."""
    report = Report()
    best: dict[str, Found] = {}
    count = 0
    for where, item in _candidates(value, "", 0):
        count += 1
        if count > _MAX_LOCKS:
            report.faults.append(Fault(where, "too_many", "at most %d locks in a file" % _MAX_LOCKS))
            break
        reader = _Reader(where, item)
        found = reader.lock()
        report.faults += reader.faults
        if found is None:
            continue
        report.notes += reader.notes
        known = best.get(found.entry.mac)
        best[found.entry.mac] = found if known is None else _better(known, found, report.notes)
    if not count:
        report.faults.append(Fault("", "no_locks", "no lock is in it: none has an address and keys"))
    report.locks = list(best.values())
    return report


def _plain(key: object) -> str:
    return re.sub("[_ -]", "", str(key)).lower()


def _candidates(value: Any, where: str, depth: int) -> Iterator[tuple[str, dict]]:
    """Every object that looks like a lock, and its place."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, dict):
        if _looks_like_a_lock(value):
            yield where, value
            return
        for key, each in value.items():
            name = text.printable(key, 40)
            yield from _candidates(each, "%s.%s" % (where, name) if where else name, depth + 1)
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _candidates(each, "%s[%d]" % (where, place), depth + 1)
    elif isinstance(value, str) and value.lstrip()[:1] in ("{", "[") and depth < 3:  # JSON in a member of JSON
        try:
            inner = json_text.loads(value)
        except ValueError:
            return
        yield from _candidates(inner, where, depth + 1)


def _looks_like_a_lock(item: dict) -> bool:
    own = {_plain(key) for key, each in item.items() if not isinstance(each, dict | list)}
    if "lockmac" in own or "zlockmac" in own:
        return True
    below = {_plain(key) for each in item.values() if isinstance(each, dict) for key in each}
    return bool(own & _MACS and (own | below) & _KEYS) or bool(own & set(_NAMES["aes"]))


class _Reader:
    """Reads one lock; every fault is noted, and the next field read."""

    def __init__(self, where: str, item: dict) -> None:
        self._where = where
        self._item = item
        self._members: dict[str, tuple[str, Any]] = {}
        self.faults: list[Fault] = []
        self.notes: list[str] = []
        self._flatten(item, "", 0)

    def _flatten(self, item: dict, path: str, depth: int) -> None:
        inner = []
        for key, each in item.items():
            place = "%s.%s" % (path, text.printable(key, 40)) if path else text.printable(key, 40)
            self._members.setdefault(_plain(key), (place, each))
            if isinstance(each, dict) and depth < 3 and key != "earlier":
                inner.append((each, place))
        for each, place in inner:  # an own member counts before one further in
            self._flatten(each, place, depth + 1)

    def _find(self, name: str) -> tuple[str, Any]:
        """(place, value) of a field; value None where it is missing or empty."""
        for each in _NAMES[name]:
            place, value = self._members.get(each, ("", None))
            if each in _COMMON and not isinstance(value, int):
                continue  # another program may call something else so
            if value is not None and value != "":
                return place, value
        return self._members.get(_NAMES[name][0], (_NAMES[name][0], None))[0], None

    def _fault(self, place: str, code: str, expected: str) -> None:
        assert code in CODES, code
        self.faults.append(Fault(".".join(part for part in (self._where, place) if part), code, expected))

    def _take(self, name: str, decode: Callable[[Any], Any], expected: str, needed: bool = False) -> Any:
        place, value = self._find(name)
        if value is None:
            if needed:
                words = {"mac": "lockMac", "aes": "aesKeyStr", "unlock_key": "unlockKey or lockKey"}
                self._fault("", "missing", "%s is missing: %s" % (words.get(name, name), expected))
            return None
        try:
            return decode(value)
        except (ValueError, TypeError, KeyError, OverflowError, FirmwareError):
            self._fault(place, "bad_" + name, "expected %s" % expected)
            return None

    def lock(self) -> Found | None:
        """The lock, or None when something that it needs is wrong; everything else that is wrong is only noted."""
        mac = self._take("mac", address, "an address like aa:bb:cc:dd:ee:ff", True)
        aes = self._take("aes", aes_key, "the lock's AES key: 16 bytes in hex or Base64", True)
        unlock_key = self._take("unlock_key", secret, "a number below 2^32, plain or coded", True)
        admin_ps = self._take("admin_ps", secret, "a number below 2^32, plain or coded, or nothing for a shared key")
        fatal = bool(self.faults)
        values: dict[str, Any] = {"admin_passcode": self._take("admin_passcode", passcode, "4 to 9 digits")}
        values.update(self._version())
        for name, high in (("scene", 255), ("group", _U32), ("org", _U32), ("flag_pos", _U32)):
            own = self._take(name, functools.partial(whole, low=0, high=high), "a whole number to %d" % high)
            values[name] = values.get(name) if own is None else own
        values["zone"], values["zone_rule"] = self._zone()
        values["features"] = self._features()
        values["seeds"] = self._take("seeds", _seeds, "61 bytes in hex") or self._seed_rows()
        more = {}
        for name in ("uid", "start_ms", "end_ms", "user_type"):
            more[name] = self._take(name, lambda value: whole(value, -1, 1 << 53), "a whole number") or 0
        if fatal:
            return None
        if more["user_type"] == _SHARED and admin_ps:
            self.notes.append("%s: a shared key with an administrator's number; taken as it is" % mac)
        place, name = self._find("name")
        tidied = text.tidy(name)
        if name is not None and not isinstance(name, str):
            self._fault(place, "bad_name", "expected a text")
        elif isinstance(name, str) and tidied != name:
            self.notes.append(
                "%s: its name has signs that no name may have; kept as %s" % (mac, tidied or lock_id(mac))
            )
        own_book = self._own_book()
        given = {key for key, value in values.items() if value is not None} | set(own_book)
        known = {key: value for key, value in values.items() if value is not None}
        entry = Entry(mac, tidied or lock_id(mac), aes, admin_ps or 0, unlock_key, **known, **own_book)
        given |= {"aes", "unlock_key"} | ({"name"} if tidied else set()) | ({"admin_ps"} if admin_ps else set())
        return Found(entry, self._where, given, more, self._item)

    def _version(self) -> dict[str, int | None]:
        """scene, group and org of `lockVersion`: an object (whose members are found by themselves) or five numbers."""
        _, value = self._find("version")
        if value is None or isinstance(value, dict):
            return {}
        numbers = self._take("version", _five, "five numbers or an object with scene, groupId and orgId")
        return dict(zip(("scene", "group", "org"), numbers[2:], strict=True)) if numbers else {}

    def _zone(self) -> tuple[str | None, str | None]:
        """(name, rule): our own rule, else the offset, which says nothing of summer time; None when the file does not
        say it: an unknown zone is not UTC."""
        rule = self._take("zone_rule", _rule, "the rule of a time zone")
        if rule:
            return self._take("zone", _str, "the name of a time zone") or rule, rule
        high = 16 * 60
        minutes = self._take(
            "utc_offset_min", functools.partial(whole, low=-high, high=high), "minutes within 16 hours"
        )
        if not minutes and not self._item.get("paired_at"):
            minutes = None  # 0 was also what nobody had said
        if minutes is None:
            limit = functools.partial(whole, low=-60_000 * high, high=60_000 * high)
            milliseconds = self._take("utc_offset_ms", limit, "milliseconds within 16 hours")
            if milliseconds is None:
                return None, None
            minutes = round(milliseconds / 60000)
        return offset_name(minutes), zone.plain(minutes)

    def _features(self) -> int | None:
        for name, decode, expected in (
            ("feature_value", lambda value: int(_str(value), 16), "feature bits in hex"),
            ("features", lambda value: whole(value, 0, 1 << 256), "feature bits as a number"),
            ("feature_list", lambda value: sum(1 << whole(bit, 0, 255) for bit in set(_list(value))), "a list of bits"),
            ("special_value", lambda value: whole(value, -(1 << 31), _U32) & _U32, "a whole number of 32 bits"),
        ):
            bits = self._take(name, decode, expected)
            if bits is not None and bits >= 0:
                return int(bits)
        return None

    def _seed_rows(self) -> str | None:
        place, value = self._find("seed_rows")
        if isinstance(value, str):  # of the developer API: encrypted, and nobody says how
            self.notes.append("%s: %s is encrypted and cannot be used" % (self._where or "the file", place))
            return None
        return self._take("seed_rows", _seeds_of_rows, "ten years of year, code and secret")

    def _own_book(self) -> dict[str, Any]:
        """What only an entry of our own key book has."""
        kept: dict[str, Any] = {}
        for name, kind in OWN_LISTS.items():
            value = self._item.get(name)
            if value is None or value == []:
                continue
            if not isinstance(value, list) or any(rows.fault_in(each, kind) for each in value):
                self._fault(name, "bad_" + name, "expected what our key book has there")
                continue
            kept[name] = value
        for name in OWN_TEXTS:
            value = self._item.get(name)
            if value and isinstance(value, int if name == "paired_at" else str) and not isinstance(value, bool):
                kept[name] = value
        earlier = self._item.get("earlier")
        if isinstance(earlier, dict):
            with contextlib.suppress(TypeError, HostError):
                kept["earlier"] = vars(Entry(**{**earlier, "earlier": None}))
        if self._item.get("provisional") is True:
            kept["provisional"] = True
        return kept


def _better(one: Found, other: Found, notes: list[str]) -> Found:
    """Of two entries of a lock the administrator's, else the one that says more, completed by the other's fields when
    both have the same AES key."""
    first, second = (other, one) if _rank(other) > _rank(one) else (one, other)
    what = "the administrator's keys" if first.is_admin and not second.is_admin else "the one that says more"
    notes.append("%s is in it twice: %s counts (%s), not %s" % (first.entry.mac, first.where, what, second.where))
    if first.entry.aes == second.entry.aes:
        for name in second.given - first.given - set(_KEPT):
            setattr(first.entry, name, getattr(second.entry, name))
        first.given |= second.given - set(_KEPT)
    return first


def _rank(found: Found) -> tuple[bool, int]:
    return found.is_admin, len(found.given)


def merged(known: Entry, found: Found) -> Entry:
    """The key book's entry with what a file has of the same pairing; nothing that the file lacks is lost.

    HostError `refused` for a shared key in place of the administrator's. Another AES key is another pairing: the former
    entry is kept inside the new one, as `earlier`, with the lock's name.
    """
    new = found.entry
    if known.admin_ps and not found.is_admin:
        text_ = "%s: the key book has the administrator's keys, the file a shared key" % known.mac
        raise HostError("refused", text_, "the key book keeps its own")
    values = dict(vars(known))
    if known.aes != new.aes:
        values = dict(vars(new), name=known.name, groups=known.groups, earlier={**vars(known), "earlier": None})
        return Entry(**values)
    for name in found.given - {"name", "zone_said", *OWN_LISTS}:
        if name in ("zone", "zone_rule") and known.zone_rule and "zone_said" not in found.given:
            continue  # an offset says less than a place
        if name in ("scene", "paired_at", "model") and known.paired_at:
            continue  # what was seen at the pairing counts more than what another program assumed
        values[name] = getattr(new, name)
    for name in OWN_LISTS:
        old = getattr(known, name)
        values[name] = old + [each for each in getattr(new, name) if each not in old]
    values["flag_pos"] = max(known.flag_pos, new.flag_pos)
    values["features"] = values["features"] or known.features
    values["provisional"] = known.provisional and new.provisional
    return Entry(**values)


# --- values


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value.strip()


def _list(value: Any) -> list:
    if not isinstance(value, list):
        raise TypeError
    return value


def whole(value: Any, low: int, high: int) -> int:
    """A whole number, also written as text or as 7.0. Raises ValueError or TypeError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    if isinstance(value, str):
        if not re.fullmatch(r"\s*[+-]?[0-9]{1,80}\s*", value):
            raise ValueError
        number = int(value)
    else:
        number = int(value)
        if number != value:
            raise ValueError
    if not low <= number <= high:
        raise ValueError
    return number


def secret(value: Any) -> int:
    """`unlockKey`, `adminPs`, `lockKey`, `adminPwd`: a number, its digits with zeros before them, or the coded form."""
    if isinstance(value, str):
        value = bundles.decode_secret(value.strip())
    return whole(value, 0, _U32)


def passcode(value: Any) -> str:
    """`noKeyPwd`, `adminPasscode`: 4 to 9 digits, as text, number, or coded."""
    digits = bundles.decode_secret(value.strip()) if isinstance(value, str) else str(whole(value, 0, 999_999_999))
    if not 4 <= len(digits) <= 9:
        raise ValueError
    return digits


def aes_key(value: Any) -> str:
    """The AES key in hex: from a text as `bundles.decode_aes_key` says, or a list of 16 bytes."""
    if isinstance(value, list):
        octets = bytes(whole(each, 0, 255) for each in value)
        if len(octets) != 16:
            raise ValueError
        return octets.hex()
    return bundles.decode_aes_key(_str(value)).hex()


def address(value: Any) -> str:
    """`aa:bb:cc:dd:ee:ff` from six bytes in hex, with any separator or none, or with short bytes (`1:2:3:4:5:f`)."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # twelve digits without a letter, written without quotes
    parts = re.split("[:. -]", _str(value))
    if len(parts) == 6:
        parts = [part.rjust(2, "0") for part in parts]
    digits = "".join(parts).lower()
    if len(parts) not in (1, 3, 6) or not re.fullmatch("[0-9a-f]{12}", digits) or digits in ("0" * 12, "f" * 12):
        raise ValueError
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def _rule(value: Any) -> str:
    rule = _str(value)
    zone.parse(rule)
    return rule


def _five(value: Any) -> list[int]:
    parts = value if isinstance(value, list) else re.split("[., ]+", _str(value))
    if len(parts) != 5:
        raise ValueError
    return [whole(part, 0, _U32) for part in parts]


def _seeds(value: Any) -> str:
    octets = bytes.fromhex(_str(value))
    if len(octets) != 61:
        raise ValueError
    return octets.hex()


def _seeds_of_rows(rows: Any) -> str | None:
    """pwdInfo of ttlock-sdk-js, ten consecutive years of {year, code, secret} -> what 0x31 carried."""
    if not _list(rows):
        return None
    pairs = [(whole(row["code"], 0, 0xFFF), whole(row["secret"], 0, (1 << 36) - 1)) for row in rows]
    year = whole(rows[0]["year"], 0, 2099)
    return pairing_client.init_passwords(year % 100 + 2000, pairs).hex()
