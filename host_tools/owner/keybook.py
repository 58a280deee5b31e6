"""The owner's key book: everything that opens the owner's locks, and what commands the gateways, in one file that only
the owner can read.

Owns the file (mode 0600, replaced atomically, optionally encrypted with a passphrase by scrypt and AES-GCM). Leaves
other programs' formats to `bundles`, what a gateway's entry holds to `gateways`. Source: security.md CRED-7.
"""

import base64
import contextlib
import fcntl
import json
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from firmware.lib import zone
from host_tools import json_text, text
from host_tools.errors import HostError
from host_tools.owner import places, rows
from host_tools.owner.gateways import Gateway
from host_tools.owner.gateways import read as read_gateways

OWN_MODELS = "GATEHOUSE-"  # the model of a lock that runs our firmware begins with this
_VERSION = 1
_WITH_GATEWAYS = 2  # so that an older release does not take the file and lose them
SCRYPT = {"n": 1 << 15, "r": 8, "p": 1}
_MAX_MEMORY = 128 << 20  # bytes: a hostile file must not make us allocate gigabytes, nor compute for minutes
_MAX_WORK = 8 * SCRYPT["n"] * SCRYPT["r"] * SCRYPT["p"]
_AAD = b"gatehouse-keys-1"


def lock_id(mac: str) -> str:
    """`aa:bb:cc:dd:ee:ff` -> the twelve hex digits used in topics."""
    return mac.replace(":", "").replace("-", "").lower()


@dataclass
class Entry:
    """One lock. `provisional`: the pairing was not seen to finish, but these keys may already be the lock's; `earlier`
    then holds what the book had for this address before. `credentials` is `names`' own: who has which code or card;
    `ekeys` is `ekeys`' own, and `flag_pos` what the lock wants to be told since all of these were reset.
    """

    mac: str
    name: str
    aes: str
    admin_ps: int
    unlock_key: int
    admin_passcode: str = ""
    scene: int = 2
    group: int = 1
    org: int = 1
    features: int = 0
    model: str = ""
    paired_at: int = 0
    zone: str = ""  # where it is: a name of the IANA's, or an offset like UTC+02:00; "": not known
    zone_rule: str = ""  # what its clock follows, as its gateway gets it (`firmware/lib/zone.py`)
    provisional: bool = False
    earlier: dict | None = None
    credentials: list[dict] = field(default_factory=list)
    seeds: str = ""  # of 0x31, 61 bytes as hex: what codes are made from without the lock
    next_seeds: str = ""  # those that a reset of the passcodes may have given to the lock
    minted: list[dict] = field(default_factory=list)  # `minting`'s own: which codes were issued
    erase_code: str = ""
    guests: list[dict] = field(default_factory=list)  # `guests`' own: which codes belong to bookings
    ekeys: list[dict] = field(default_factory=list)
    flag_pos: int = 0
    groups: list[str] = field(default_factory=list)  # `groups`' own: names of those that the lock is in

    def __post_init__(self) -> None:
        digits = lock_id(self.mac) if isinstance(self.mac, str) else ""
        if not re.fullmatch("[0-9a-f]{12}", digits):
            raise HostError("bad_request", "an address is not of a lock", "write it like aa:bb:cc:dd:ee:ff")
        self.mac = ":".join(digits[at : at + 2] for at in range(0, 12, 2))
        for each in fields(self):
            if not rows.fits(getattr(self, each.name), each.type):
                raise HostError("bad_request", "%s of %s is of the wrong kind" % (each.name, self.mac))
        self.name = text.tidy(self.name) or digits
        self.aes = self.aes.lower()
        if not re.fullmatch("[0-9a-f]{32}", self.aes):
            raise HostError("bad_request", "the AES key of %s is not 32 hex digits" % self.mac)
        for name in ("admin_ps", "unlock_key"):
            if not 0 <= getattr(self, name) <= 0xFFFFFFFF:
                raise HostError("bad_request", "%s of %s is not a 32-bit number" % (name, self.mac))

    def __repr__(self) -> str:  # tracebacks and logs must not show keys
        return "Entry(%s, %r)" % (self.mac, self.name)

    @property
    def pinned_scene(self) -> int | None:
        """The scene that the lock's answers must carry. Other programs' bundles may hold what their client sends."""
        return self.scene if self.paired_at else None

    @property
    def id(self) -> str:
        return lock_id(self.mac)


@dataclass
class _Contents:
    """What is in the file: locks by address, gateways by id."""

    locks: dict[str, Entry]
    gateways: dict[str, Gateway]


class KeyBook:
    """The file. Every change is read-modify-write under a lock, so two commands at once lose nothing.

    `passphrase(again)` is asked when the file is encrypted; `again` is true when a new one is to be typed twice.
    `is_meant(typed, entry)` is asked when a text is part of one lock's name only. `changed(book)` is called after each
    change.
    """

    def __init__(
        self,
        path: Path | None = None,
        passphrase: Callable[[bool], str] | None = None,
        is_meant: Callable[[str, Entry], bool] = lambda typed, entry: False,
        changed: Callable[["KeyBook"], None] = lambda book: None,
    ) -> None:
        self._changed = changed
        self._is_meant = is_meant
        self.path = Path(path) if path else places.keys()
        self._ask = passphrase
        self._phrase: str | None = None

    @property
    def is_encrypted(self) -> bool:
        return "sealed" in (self._read() or {})

    def entries(self) -> list[Entry]:
        """All locks, by name."""
        return sorted(self._load().values(), key=lambda entry: (text.key(entry.name), entry.mac))

    def find(self, who: str) -> Entry:
        """The lock with this address, id or name, as `text.pick` says: a part of a name finds nothing."""
        wanted = lock_id(who.strip())
        try:
            return text.pick(
                wanted if re.fullmatch("[0-9a-f]{12}", wanted) else who,
                self.entries(),
                lambda entry: (entry.id, entry.name),
                lambda entry: "%s (%s)" % (entry.name, entry.mac),
                "a lock in %s" % self.path,
                "unknown_lock",
                "see `gatehouse keys list`",
            )
        except text.NoSuchName as error:
            if len(error.near) == 1 and self._is_meant(who, error.near[0]):
                return error.near[0]
            raise

    # --- gateways

    def gateways(self) -> list[Gateway]:
        """All gateways of which there are keys, by name."""
        return sorted(self._contents().gateways.values(), key=lambda each: (text.key(each.name), each.id))

    def gateway(self, ident: str) -> Gateway | None:
        """The gateway with this id, if it is pinned."""
        found = self._contents().gateways.get(ident)
        return found if found and found.is_pinned else None

    def change_gateway(self, ident: str, make: Callable[[Gateway | None], Gateway | None]) -> Gateway | None:
        """Put what `make` makes of the gateway with this id, or of None, in one go; None takes it out."""
        with self._changing_all() as contents:
            made = make(contents.gateways.pop(ident, None))
            if made is not None:
                contents.gateways[ident] = made
        return made

    # --- locks

    def put(self, entry: Entry) -> None:
        """Add or replace; on the disk when it returns."""
        with self._changing() as book:
            book[entry.mac] = entry

    def change(self, mac: str, make: Callable[["Entry | None"], Entry]) -> Entry:
        """Put what `make` makes of the entry with this address, or of None, in one go -> the new entry."""
        with self._changing() as book:
            book[mac] = entry = make(book.get(mac))
        return entry

    def update(self, lock: str, change: Callable[[Entry], None]) -> bool:
        """Have `change` alter the entry with this address or id, in one go; False when there is none."""
        with self._changing() as book:
            entry = next((each for each in book.values() if each.id == lock_id(lock)), None)
            if entry is not None:
                change(entry)
        return entry is not None

    def put_provisional(self, entry: Entry) -> None:
        """Add an entry that waits for its confirmation; what it takes the place of is kept inside it."""
        with self._changing() as book:
            known = book.get(entry.mac)
            earlier = None
            if known is not None:
                earlier = known.earlier if known.provisional else asdict(known)
            book[entry.mac] = replace(entry, provisional=True, earlier=earlier)

    def withdraw(self, mac: str) -> None:
        """Drop a provisional entry and put back what it took the place of; other entries stay."""
        with self._changing() as book:
            known = book.get(mac)
            if known is None or not known.provisional:
                return
            del book[mac]
            if known.earlier is not None:
                book[mac] = _entry(known.earlier)

    def remove(self, mac: str) -> bool:
        """Forget a lock; False if it was not there."""
        with self._changing() as book:
            return book.pop(mac, None) is not None

    def protect(self, passphrase: str | None) -> None:
        """Encrypt the file with `passphrase`, or store it in the clear with None."""
        with self._changing() as _:
            self._phrase = passphrase or None

    @contextlib.contextmanager
    def changing(self) -> Iterator[tuple[dict[str, Entry], dict[str, Gateway]]]:
        """Locks, by address, and gateways, by id: what is done to them inside is kept, in one go."""
        with self._changing_all() as contents:
            yield contents.locks, contents.gateways

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Entry]]:
        with self._changing_all() as contents:
            yield contents.locks

    @contextlib.contextmanager
    def _changing_all(self) -> Iterator["_Contents"]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            guard = os.open(str(self.path) + ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as err:
            raise _unwritable(self.path, err)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX)
            contents = self._contents()
            yield contents
            self._save(contents)
        except OSError as err:
            raise _unwritable(self.path, err)
        finally:
            os.close(guard)
        self._changed(self)

    def _read(self) -> dict | None:
        try:
            handle = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError as err:
            raise HostError("keys", "cannot read %s: %s" % (self.path, err.strerror))
        with os.fdopen(handle) as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise HostError(
                    "keys", "%s can be read or written by others" % self.path, "run: chmod 600 %s" % self.path
                )
            try:
                value = json_text.loads(file.read(json_text.MAX_BYTES + 1))
            except json_text.TooMuch as err:
                raise HostError("keys", "%s is %s: no key book" % (self.path, err), "restore a copy")
            except ValueError:
                value = None
        if not isinstance(value, dict) or value.get("gatehouse_keys") not in (_VERSION, _WITH_GATEWAYS):
            raise HostError("keys", "%s is not a key book" % self.path, "restore a copy, or move the file away")
        return value

    def _load(self) -> dict[str, Entry]:
        return self._contents().locks

    def _contents(self) -> "_Contents":
        value = self._read()
        if value is None:
            return _Contents({}, {})
        plain = self._plain(value)
        try:
            entries = [_entry(lock) for lock in plain.get("locks") or []]
            pinned = read_gateways(plain.get("gateways") or [])
        except (TypeError, AttributeError):
            raise HostError("keys", "%s has an entry that lacks a field" % self.path, "restore a copy")
        except HostError as error:
            raise HostError("keys", "%s: %s" % (self.path, error), "restore a copy")
        return _Contents({entry.mac: entry for entry in entries}, {each.id: each for each in pinned})

    def locks_in(self, value: dict) -> list:
        """The locks of another, parsed key book, unchecked; asks for its passphrase, which does not become ours."""
        return KeyBook(self.path, self._ask)._plain(value).get("locks") or []

    def _plain(self, value: dict) -> dict:
        """The members of a parsed key book, unchecked. A sealed one without gateways has a list of locks inside."""
        plain = self._unseal(value["sealed"]) if "sealed" in value else value
        if isinstance(plain, list):
            return {"locks": plain}
        if not isinstance(plain, dict):
            raise HostError("keys", "%s is damaged" % self.path, "restore a copy")
        return plain

    def _save(self, contents: "_Contents") -> None:
        plain: dict = {"locks": [asdict(contents.locks[mac]) for mac in sorted(contents.locks)]}
        if contents.gateways:
            plain["gateways"] = [asdict(contents.gateways[ident]) for ident in sorted(contents.gateways)]
        value: dict = {"gatehouse_keys": _WITH_GATEWAYS if contents.gateways else _VERSION}
        if self._phrase:
            inner = plain if contents.gateways else plain["locks"]
            value["sealed"] = _seal(json.dumps(inner).encode(), self._phrase)
        else:
            value |= plain
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".keys-")  # 0600 from the start
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(value, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except BaseException:
            os.unlink(temporary)
            raise
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _unseal(self, sealed: dict) -> dict | list:
        if self._phrase is None:
            if self._ask is None:
                raise HostError("auth", "%s is protected by a passphrase" % self.path, "set GATEHOUSE_PASSPHRASE_FILE")
            self._phrase = self._ask(False)
        try:
            costs = costs_of(sealed)
            key = derive(self._phrase, bytes.fromhex(sealed["salt"]), costs)
            plain = AESGCM(key).decrypt(bytes.fromhex(sealed["nonce"]), base64.b64decode(sealed["data"]), _AAD)
            return json_text.loads(plain)
        except TooCostly:
            text = "%s asks for more memory or time than any passphrase needs" % self.path
            raise HostError("keys", text, "restore a copy: this one was not written by Gatehouse")
        except InvalidTag:
            self._phrase = None
            raise HostError("auth", "wrong passphrase for %s, or a damaged file" % self.path)
        except (KeyError, TypeError, ValueError):
            raise HostError("keys", "%s is damaged" % self.path, "restore a copy")


def _unwritable(path: Path, err: OSError) -> HostError:
    text = "cannot write %s: %s" % (path, err.strerror or type(err).__name__)
    return HostError("keys", text, "see to its folder and the room on its disk")


def offset_name(offset_min: int) -> str:
    """Minutes ahead of UTC as people write them: UTC+02:00."""
    return "UTC%s%02d:%02d" % ("-" if offset_min < 0 else "+", *divmod(abs(offset_min), 60))


def read_entries(kept: list) -> list[Entry]:
    """Locks as a backup has them. HostError `bad_request`."""
    try:
        return [_entry(each) for each in kept]
    except (TypeError, AttributeError):
        raise HostError("bad_request", "the backup has a lock that is damaged")


def _entry(kept: dict) -> Entry:
    """An entry from the file. One of the first release has an offset from UTC, where 0 was also what nobody had said
    of a lock that was not paired by us. Raises TypeError."""
    known = {each.name for each in fields(Entry)}
    entry = Entry(**{key: kept[key] for key in kept if key in known})
    offset = kept.get("utc_offset_min")
    if "zone_rule" not in kept and isinstance(offset, int) and (offset or entry.paired_at):
        entry.zone, entry.zone_rule = offset_name(offset), zone.plain(offset)
    return entry


class TooCostly(ValueError):
    """A file asks for more memory or time than any passphrase needs."""


def costs_of(head: dict) -> dict:
    """The costs of scrypt that a file asks for. ValueError, KeyError for what is none; TooCostly."""
    costs = {name: head[name] for name in ("n", "r", "p")}
    if not all(type(cost) is int and cost > 0 for cost in costs.values()):
        raise ValueError
    if 128 * costs["n"] * costs["r"] > _MAX_MEMORY or costs["n"] * costs["r"] * costs["p"] > _MAX_WORK:
        raise TooCostly
    return costs


def derive(phrase: str, salt: bytes, costs: dict) -> bytes:
    """The key that a passphrase gives with this salt, 32 bytes."""
    return Scrypt(salt=salt, length=32, n=costs["n"], r=costs["r"], p=costs["p"]).derive(phrase.encode())


def _seal(plain: bytes, phrase: str) -> dict:
    salt, nonce = os.urandom(16), os.urandom(12)
    data = AESGCM(derive(phrase, salt, SCRYPT)).encrypt(nonce, plain, _AAD)
    return dict(SCRYPT, kdf="scrypt", salt=salt.hex(), nonce=nonce.hex(), data=base64.b64encode(data).decode())
