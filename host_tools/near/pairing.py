"""Pairing with a lock nearby: lock-ble-link.md 8.3, and what may go wrong in each of its steps.

Owns the order of the steps and the moment when the keys are stored (before the lock is told to keep them, so that a
crash between the two leaves no lock whose keys nobody has). Leaves the radio to `lock_link` and the file to `keybook`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from firmware.lib import crypto, opcodes, zone
from firmware.lib.errors import FirmwareError, LinkError, LockRefused
from firmware.lib.messages import pairing_client, session_client, settings_client
from host_tools import text
from host_tools.errors import HostError
from host_tools.near.local_link import admin_session
from host_tools.near.lock_link import LockLink, connect
from host_tools.near.sightings import Sighting, find, scan
from host_tools.owner import minting, zones
from host_tools.owner.codes import random_code
from host_tools.owner.keybook import Entry, KeyBook

FEATURE_PASSCODES = 0
FEATURE_AUTO_LOCK, FEATURE_SCREEN, FEATURE_REMOTE_UNLOCK, FEATURE_SOUND, FEATURE_ADMIN_CODE = 4, 9, 14, 15, 18
# What this protocol cannot hide (security.md 0 item 2): shown to whoever is about to pair.
SNIFFING_WARNING = (
    "pairing sends the lock's key over the air under a key that everybody knows: whoever records these seconds within"
    " radio range can open the lock until it is reset and paired again. Pair only where nobody unknown listens."
)

_CONFIRM_S = 10
_NOT_PAIRED_WITH_US = (0x06, 0x07)
_MAX_SECRET = 0x7FFFFFFF  # from 1: clients refuse 0, and read a number with the top bit as negative (security.md 1.4)
_ITEMS = {session_client.ITEM_MODEL: "model", session_client.ITEM_HARDWARE: "hardware"}
_ITEMS.update({session_client.ITEM_FIRMWARE: "firmware", session_client.ITEM_MADE: "made"})


@dataclass
class Outcome:
    """What pairing learned; `notes` are steps that failed without stopping it."""

    entry: Entry
    details: dict[str, str] = field(default_factory=dict)
    autolock_s: int | None = None
    remote_unlock: bool | None = None
    notes: list[str] = field(default_factory=list)


Progress = Callable[[str], None]


def local_date6(rule: str, now_s: float | None = None) -> tuple:
    """Wall clock of a lock in a zone (lock-ble-link.md 8.7)."""
    return zone.to_wall(rule, int(time.time() if now_s is None else now_s))


async def pair(
    sighting: Sighting,
    book: KeyBook,
    name: str,
    allow_remote: bool | None = None,
    place: zones.Place | None = None,
    progress: Progress = lambda step: None,
) -> Outcome:
    """Pair with the settable lock `sighting`; on return its keys are in `book` and the lock keeps them.

    `allow_remote` sets the remote-unlock switch (None leaves it); `place` is where the lock is, None: here. Raises
    HostError; nothing is kept unless the lock may have kept it too, and then the entry stays, marked provisional.
    """
    name = text.name(name, "name of the lock")
    place = place or zones.here()
    outcome: Outcome | None = None
    is_done = False
    try:
        progress("connecting to %s" % sighting.mac)
        async with connect(sighting, crypto.DEFAULT_KEY) as link:
            agreed = await _agree(link, name, place, progress)
            progress("storing the keys")
            book.put_provisional(agreed.entry)
            outcome = agreed
            progress("telling the lock to keep the pairing")
            await link.exchange(opcodes.PAIRING_DONE, pairing_client.finished())
            is_done = True
            book.put(outcome.entry)
            await _switch(link, outcome, allow_remote, progress)
            await _describe(link, outcome, progress)
    except FirmwareError as err:
        if outcome is None:
            raise _nothing_kept(err)
        if not is_done and not await confirm(outcome.entry, book, progress):
            todo = "the keys are kept; run `gatehouse pair --confirm --mac %s`" % sighting.mac
            raise HostError("outcome_unknown", "the pairing was cut off (%s)" % err, todo)
    book.put(outcome.entry)
    return outcome


def _nothing_kept(err: FirmwareError) -> HostError:
    """A failure before any key was stored; the lock rolls back by itself (lock-ble-link.md 8.3)."""
    if isinstance(err, LockRefused) and err.reason == "already_paired":
        todo = "it is paired, or nobody touched it: touch the keypad; a paired lock must be reset first"
        return HostError(err.code, "the lock refused (%s)" % err.reason, todo)
    fault = "the lock refused (%s)" % err.reason if isinstance(err, LockRefused) else str(err)
    return HostError(err.code, fault, "nothing was kept; touch the keypad and pair again")


async def _agree(link: LockLink, name: str, place: zones.Place, progress: Progress) -> Outcome:
    """Everything before 0x57: keys, clock, features, settings, admin code."""
    sighting = link.sighting
    progress("greeting")
    await link.exchange(opcodes.INIT, pairing_client.init())
    progress("receiving the lock's AES key")
    link.key = pairing_client.aes_key(await link.exchange(opcodes.GET_AES_KEY, pairing_client.get_aes_key()))
    admin_ps, unlock_key = (1 + crypto.random_below(_MAX_SECRET) for _ in range(2))
    progress("becoming its administrator")
    pairing_client.admin_added(await link.exchange(opcodes.ADD_ADMIN, pairing_client.add_admin(admin_ps, unlock_key)))
    outcome = Outcome(Entry(sighting.mac, name, link.key.hex(), admin_ps, unlock_key))
    entry = outcome.entry
    entry.scene, entry.paired_at = sighting.advert.scene, int(time.time())
    entry.zone, entry.zone_rule = place.name, place.fixed or place.rule
    if place.missed:
        outcome.notes.append(zones.explain(place))
    progress("setting its clock")
    plain = session_client.set_clock(local_date6(entry.zone_rule))
    await _optional(link, outcome, "clock", opcodes.SET_CLOCK, plain)
    progress("asking what it can do")
    _, entry.features = session_client.features(await link.exchange(opcodes.FEATURES))
    if _has(entry, FEATURE_SOUND):
        await _optional(link, outcome, "sound", opcodes.SOUND, settings_client.query())
    if _has(entry, FEATURE_SCREEN):
        await _optional(link, outcome, "display", opcodes.PASSCODE_DISPLAY, settings_client.query())
    if _has(entry, FEATURE_AUTO_LOCK):
        data = await _optional(link, outcome, "auto-lock", opcodes.AUTO_LOCK, settings_client.query())
        outcome.autolock_s = settings_client.auto_lock(data)[1] if data else None
    await _admin_code(link, outcome, progress)
    if _has(entry, FEATURE_PASSCODES):
        progress("giving it seeds for passcodes")
        seeds = minting.make_seeds()
        if await _optional(link, outcome, "passcode seeds", opcodes.INIT_PASSWORDS, bytes.fromhex(seeds)) is not None:
            entry.seeds = seeds
    entry.group, entry.org = link.group, link.org
    return outcome


async def _admin_code(link: LockLink, outcome: Outcome, progress: Progress) -> None:
    entry = outcome.entry
    if _has(entry, FEATURE_ADMIN_CODE):
        data = await link.exchange(opcodes.GET_ADMIN_PASSCODE, pairing_client.get_admin_passcode())
        entry.admin_passcode = pairing_client.admin_passcode(data)[1]
    if not entry.admin_passcode:
        progress("giving it an admin passcode")
        code = random_code(7)
        await link.exchange(opcodes.SET_ADMIN_PASSCODE, pairing_client.set_admin_passcode(code))
        entry.admin_passcode = code


async def _switch(link: LockLink, outcome: Outcome, allow: bool | None, progress: Progress) -> None:
    """The switch needs an admin session (lock-ble-commands.md 1.3), so it comes after the pairing, which stands in any
    case."""
    if not _has(outcome.entry, FEATURE_REMOTE_UNLOCK):
        return
    progress("remote-unlock switch")
    try:
        if allow is not None:
            await link.login(outcome.entry.admin_ps, outcome.entry.unlock_key)
            await link.exchange(opcodes.REMOTE_UNLOCK, change_switch(allow))
        data = await link.exchange(opcodes.REMOTE_UNLOCK, session_client.remote_unlock_query())
        outcome.remote_unlock = session_client.remote_unlock(data)[1]
    except FirmwareError as err:
        outcome.notes.append("remote-unlock switch: %s" % err.code)
    if allow is not None and outcome.remote_unlock is not allow:
        outcome.notes.append("set it again with `gatehouse remote-unlock`")


async def _describe(link: LockLink, outcome: Outcome, progress: Progress) -> None:
    progress("reading its description")
    for item, word in _ITEMS.items():
        try:
            data = await link.exchange(opcodes.DEVICE_INFO, session_client.device_item(item))
            outcome.details[word] = session_client.device_text(data)
        except FirmwareError as err:  # the pairing stands; this is for people
            outcome.notes.append("%s not read (%s)" % (word, err.code))
            if isinstance(err, LinkError):
                break
    outcome.entry = replace(outcome.entry, model=outcome.details.get("model", ""))


def _has(entry: Entry, feature: int) -> bool:
    return bool(entry.features >> feature & 1)


async def _optional(link: LockLink, outcome: Outcome, what: str, command: int, plain: bytes) -> bytes | None:
    """An exchange whose refusal does not stop a pairing (lock-ble-link.md 8.3, column notes); a broken link does."""
    try:
        return await link.exchange(command, plain)
    except LinkError:
        raise
    except FirmwareError as err:
        outcome.notes.append("%s: %s" % (what, err.code))
        return None


async def confirm(entry: Entry, book: KeyBook, progress: Progress = lambda step: None) -> bool:
    """Find out whether the lock kept a pairing that was cut off; then the entry is no longer provisional.

    False: it could not be reached. HostError: it did not keep the pairing (it can be paired again, or says that it is
    not ours), and the entry is gone; or it refuses the keys for a reason that proves nothing, and the entry stays.
    """
    progress("asking the lock whether it kept the pairing")
    sighting = await scan(lambda each: each.mac == entry.mac, _CONFIRM_S)
    if sighting is None:
        return False
    if sighting.advert.settable:
        raise _rolled_back(entry, book)
    try:
        async with admin_session(sighting, entry):
            pass
    except LinkError:
        return False
    except FirmwareError as err:
        if err.ble in _NOT_PAIRED_WITH_US:
            raise _rolled_back(entry, book)
        raise HostError(err.code, "the lock did not take the keys", "they are kept; touch the lock and confirm again")
    book.put(replace(entry, provisional=False, earlier=None))
    return True


def _rolled_back(entry: Entry, book: KeyBook) -> HostError:
    book.withdraw(entry.mac)
    return HostError("refused", "the lock did not keep the pairing", "touch the keypad and pair again")


def change_switch(is_allowed: bool) -> bytes:
    """Body of 0x37 that changes the remote-unlock switch, after a login (lock-ble-commands.md 6.4).

    It is here and not in the firmware so that no gateway image contains it (security.md 3.7).
    """
    return b"\x02\x01" if is_allowed else b"\x02\x00"


async def set_remote_unlock(entry: Entry, allow: bool, timeout_s: float = 20) -> bool:
    """Change the remote-unlock switch of a paired lock over the local link; returns what the lock then says."""
    sighting = await find(entry.mac, entry.name, timeout_s)
    try:
        async with admin_session(sighting, entry) as link:
            await link.exchange(opcodes.REMOTE_UNLOCK, change_switch(allow))
            data = await link.exchange(opcodes.REMOTE_UNLOCK, session_client.remote_unlock_query())
            return session_client.remote_unlock(data)[1]
    except FirmwareError as err:
        raise HostError(err.code, str(err), "stay beside the lock and try again")
