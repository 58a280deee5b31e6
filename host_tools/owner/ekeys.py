"""Ekeys of persons: sent, changed, frozen, revoked. Owns the list in the key book's entry and the order of steps: where
one is cut off, no key is left that opens and that the key book does not know. The lock is reached by an `EkeyStore`.

A bundle (VirtualKey, mode 0600) holds an unlock key of the person's own; the lock itself keeps it to its limits. The
secret is written into the bundle and to the lock, and kept nowhere else. Source: domain.md, key feature 1.
"""

import contextlib
import getpass
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from firmware.lib import crypto
from firmware.lib.errors import FirmwareError
from host_tools import text
from host_tools.errors import HostError, Pending
from host_tools.owner import bundles, names, rows
from host_tools.owner.keybook import Entry, KeyBook

PERMANENT, TIMED, ONCE, RECURRING = KINDS = ("permanent", "timed", "once", "recurring")
NORMAL, SENDING, FROZEN, DELETED, RESET = "normal", "sending", "frozen", "deleted", "reset"
SOON_S = 7 * 86400  # a deadline nearer than this is worth a warning

_MAX_SECRET = 0x7FFFFFFF
_SELF = ("me", "myself", "self")
_ADMIN = ("admin", "administrator", "owner")


@dataclass
class Limits:
    """What an ekey may do. Times are Unix seconds, None for no limit."""

    start: int | None = None
    end: int | None = None
    remote: bool = False
    once: bool = False
    frozen: bool = False


class EkeyStore(Protocol):
    """The ekeys in a lock, by uid: `near/ekeys.py` over a local link, `gateway/ekeys.py` through a gateway."""

    async def status(self) -> tuple[int, int]:
        """(flag position, uid to give out next). Raises Unsupported for a lock that is not ours."""
        ...

    async def add(self, uid: int, unlock_key: int, limits: Limits) -> None: ...

    async def change(self, uid: int, limits: Limits) -> None:
        """All limits anew, frozen or not included."""
        ...

    async def revoke(self, uid: int) -> None: ...

    async def reset(self) -> int:
        """End all ekeys -> the new flag position."""
        ...

    async def all(self) -> dict[int, Limits]: ...


@dataclass
class Ekey:
    """One of the key book. Times are Unix seconds, None: no limit. `hours` of a recurring one: {"days": [1 = Sunday ..
    7], "from": minutes, "to": minutes}, which the holder's client judges. `uid` 0: shares the owner's secret."""

    uid: int
    person: str
    kind: str
    start: int | None = None
    end: int | None = None
    remote: bool = False
    state: str = NORMAL
    sent: int = 0
    hours: dict | None = field(default=None)

    @property
    def is_live(self) -> bool:
        """True while it may open, or might."""
        return self.state in (NORMAL, SENDING, FROZEN)

    @property
    def limits(self) -> Limits:
        """What the lock is asked to hold."""
        return Limits(self.start, self.end, self.remote, self.kind == ONCE, self.state == FROZEN)

    def word(self, now_s: float) -> str:
        """State for people: also `expired`, `not active yet`, `expires soon`."""
        if self.state == NORMAL and self.end is not None and now_s >= self.end:
            return "expired"
        if self.state == NORMAL and self.start is not None and now_s < self.start:
            return "not active yet"
        if self.state == NORMAL and self.end is not None and now_s >= self.end - SOON_S:
            return "expires in %d days" % ((self.end - now_s) // 86400)
        return self.state


def ekeys_of(entry: Entry) -> list[Ekey]:
    """All that were ever sent, the oldest first."""
    return rows.read(entry.ekeys, Ekey, entry.name)


def live(entry: Entry, person: str) -> Ekey:
    """The ekey of a person. HostError when there is none."""
    for each in reversed(ekeys_of(entry)):
        if each.is_live and text.key(each.person) == text.key(person):
            return each
    raise HostError("refused", "%r has no ekey of %s (-1008)" % (person, entry.name), "see `gatehouse ekey list`")


def _keep(book: KeyBook, entry: Entry, ekey: Ekey) -> None:
    """Durably in the book, in place of what it held of this uid."""

    def change(kept: Entry) -> None:
        mine = ekey.uid, ekey.sent, ekey.person
        others = [each for each in kept.ekeys if (each["uid"], each["sent"], each["person"]) != mine]
        kept.ekeys = [*others, asdict(ekey)]
        entry.ekeys = kept.ekeys

    if not book.update(entry.mac, change):
        raise HostError("unknown_lock", "%s left the key book meanwhile" % entry.name)


def check(person: str, ekey: Ekey) -> None:
    """Refuse an ekey without a person, for oneself or the administrator, or with a period that makes no sense."""
    who = text.key(text.name(person, "name of a person", 60))
    if who in _ADMIN:
        raise HostError("refused", "the administrator has the lock's keys already (-2020)")
    if who in _SELF or who == getpass.getuser().lower():
        raise HostError("refused", "an ekey to yourself is of no use (-2019)")
    if ekey.kind in (TIMED, RECURRING) and (ekey.start is None or ekey.end is None or ekey.end <= ekey.start):
        raise HostError("bad_request", "the end must lie after the start", "give --until")
    if ekey.kind == RECURRING and not (ekey.hours and ekey.hours["days"]):
        raise HostError("bad_request", "a recurring ekey needs days and hours", "give --days and --hours")


async def send(book: KeyBook, entry: Entry, store: EkeyStore, ekey: Ekey, path: Path) -> Ekey:
    """Give a person an ekey; an earlier one of the same person is revoked. The bundle is in `path` on return.

    Written first: a bundle whose ekey the lock never got opens nothing. Noted as "sending" before the lock is told: if
    that is cut off, the next `send` or `delete` takes away what may be in the lock.
    """
    check(ekey.person, ekey)
    with_whom = text.key(ekey.person)
    earlier = [each for each in ekeys_of(entry) if each.is_live and text.key(each.person) == with_whom]
    flag_pos, ekey.uid = await store.status()
    secret = 1 + crypto.random_below(_MAX_SECRET)
    write_private(path, bundles.person_key(entry, ekey, secret, flag_pos))
    ekey.state, ekey.sent = SENDING, int(time.time())
    _keep(book, entry, ekey)
    try:
        await store.add(ekey.uid, secret, ekey.limits)
    except Pending as kept:  # it stays "sending", and the bundle waits for it; see `check_against`
        for each in (each for each in earlier if each.uid):
            with contextlib.suppress(Pending):  # done behind it, in the order of asking
                await store.revoke(each.uid)
        kept.todo = "its bundle is %s; see `gatehouse jobs LOCK`, then `gatehouse ekey list LOCK --check`" % path
        raise
    except (HostError, FirmwareError) as err:
        path.unlink(missing_ok=True)  # it may be in the lock, with a secret that nobody has any more
        if getattr(err, "sent", True) is False or err.code in ("refused", "bad_request", "unsupported", "not_near"):
            ekey.state = DELETED
            _keep(book, entry, ekey)
        raise
    ekey.state = NORMAL
    _keep(book, entry, ekey)
    for each in earlier:
        await _end(book, entry, store, each)
    names.remember(book, entry.mac, "ekey", ekey.uid, ekey.person, start=ekey.start, end=ekey.end)
    return ekey


def send_shared(book: KeyBook, entry: Entry, ekey: Ekey, path: Path) -> Ekey:
    """For a lock that has one key for everybody: a bundle with that key. Only pairing anew takes it back, from all."""
    check(ekey.person, ekey)
    ekey.uid, ekey.sent = 0, int(time.time())
    write_private(path, bundles.person_key(entry, ekey, entry.unlock_key, 0))
    _keep(book, entry, ekey)
    return ekey


async def _end(book: KeyBook, entry: Entry, store: EkeyStore, ekey: Ekey) -> None:
    if ekey.uid:
        try:
            await store.revoke(ekey.uid)
        except (HostError, FirmwareError) as err:
            never_was = ekey.state == SENDING and ("not_found" in str(err) or getattr(err, "reason", "") == "not_found")
            if not never_was:
                raise
    ekey.state = DELETED
    _keep(book, entry, ekey)


async def delete(book: KeyBook, entry: Entry, store: EkeyStore, person: str) -> Ekey:
    """Revoke a person's ekey."""
    ekey = live(entry, person)
    if not ekey.uid:
        raise HostError("unsupported", "%s shares the key of everybody" % person, "pair the lock anew to end it")
    while True:  # more than one, if a sending was cut off
        await _end(book, entry, store, ekey)
        names.mark_deleted(book, entry.mac, "ekey", ekey.uid)
        try:
            ekey = live(entry, person)
        except HostError:
            return ekey


async def change(book: KeyBook, entry: Entry, store: EkeyStore, ekey: Ekey) -> None:
    """Tell the lock the limits of `ekey` as they are now."""
    if not ekey.uid:
        raise HostError("unsupported", "%s shares the key of everybody" % ekey.person, "pair the lock anew to end it")
    await store.change(ekey.uid, ekey.limits)
    _keep(book, entry, ekey)


def check_against(book: KeyBook, entry: Entry, in_lock: dict[int, Limits]) -> None:
    """Take over from the lock what became of ekeys whose sending or change was not waited for."""
    for ekey in ekeys_of(entry):
        limits = in_lock.get(ekey.uid)
        if limits is None or not ekey.is_live or (ekey.state != SENDING and ekey.limits == limits):
            continue
        ekey.start, ekey.end, ekey.remote = limits.start, limits.end, limits.remote
        ekey.state = FROZEN if limits.frozen else NORMAL
        if ekey.kind in (PERMANENT, TIMED):
            ekey.kind = PERMANENT if limits.end is None else TIMED
        _keep(book, entry, ekey)


async def reset(book: KeyBook, entry: Entry, store: EkeyStore) -> int:
    """End all ekeys of persons, and everybody's claim to the owner's keys that does not know the new flag position."""
    flag_pos = await store.reset()
    for each in ekeys_of(entry):
        if each.is_live:
            each.state = RESET
            _keep(book, entry, each)

    def note(kept: Entry) -> None:
        kept.flag_pos = flag_pos

    book.update(entry.mac, note)
    names.mark_deleted(book, entry.mac, "ekey")
    return flag_pos


def write_private(path: Path, value: object) -> None:
    """A new file that only its owner can read. HostError when it exists."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as err:
        raise HostError("io", "cannot write %s: %s" % (path, err.strerror), "choose a new file with --to")
    with os.fdopen(handle, "w") as sink:
        json.dump(value, sink, indent=1)
        sink.write("\n")
