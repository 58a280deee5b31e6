"""What only its owner does with a lock nearby: reset it, name it, set its clock and its own codes, add a fob, open it.

Deleting goes from the lock outwards, so that whatever is cut off can be done again: the lock first, which can
then be paired again, then the gateways that have its keys, the key book last. The key book learns of a new code
once the lock has accepted it. Source: domain.md 3.10; feature-table.md F011; lock-ble-commands.md 3.4; domain.md 3.1.
"""

import re
import time
from collections.abc import Callable

from firmware.lib import opcodes
from firmware.lib.errors import FirmwareError, LinkError
from firmware.lib.messages import fingerprint_client, pairing_client, passcode_client, session_client, settings_client
from host_tools import text
from host_tools.errors import HostError
from host_tools.near import sightings
from host_tools.near.local_link import NOT_OURS, admin_session, connect_to, find, host_errors, local_link
from host_tools.near.pairing import local_date6
from host_tools.owner import bundles
from host_tools.owner.keybook import Entry, KeyBook

_SCAN_S = 20
_LISTEN_MS = 32000  # the lock listens for a fob for 30 s
ADMIN, ERASE = "admin_passcode", "erase_code"
TOUCH_DBM = -65  # about half a metre
# Feature bits of domain.md 3.12 that people ask for
_WORDS = {0: "passcodes", 1: "cards", 2: "fingerprints", 4: "auto-lock", 8: "lock command", 10: "gateway unlock"}
_WORDS |= {11: "freeze", 12: "recurring passcodes", 14: "remote-unlock switch", 15: "sound", 18: "read admin passcode"}
_WORDS |= {22: "passage mode", 28: "tamper switch", 29: "reset-button switch", 30: "privacy lock", 41: "key fobs"}
_WORDS |= {50: "door sensor", 53: "face", 70: "palm vein", 87: "opens on low battery", 108: "QR"}


def feature_words(mask: int) -> list[str]:
    """Names of the features that a lock has, for people."""
    return [_WORDS[bit] for bit in sorted(_WORDS) if mask >> bit & 1]


async def erase(entry: Entry) -> bool:
    """Reset the lock over the local link: it is not paired any more. False when it was not paired before."""
    todo = "go nearer and touch it; `gatehouse keys remove` drops keys of a lost lock"
    sighting = await sightings.find(entry.mac, entry.name, _SCAN_S, todo)
    if sighting.advert.settable:
        return False
    try:
        async with admin_session(sighting, entry) as link:
            await link.exchange(opcodes.RESET)
    except LinkError as err:
        raise HostError(err.code, str(err), "stay beside the lock and run this again")
    except FirmwareError as err:
        if err.ble in NOT_OURS:
            return False
        raise HostError(err.code, str(err), "it may have another owner by now; `gatehouse keys remove` drops your keys")
    return True


async def set_name(entry: Entry, name: str) -> None:
    """The name that the lock advertises, over the local link."""
    async with local_link(entry) as link:
        try:
            settings_client.named(await link.exchange(opcodes.LOCK_NAME, settings_client.name(name)))
        except FirmwareError as err:
            raise HostError(err.code, str(err), "a name has 1 to 20 bytes")


async def set_clock(book: KeyBook, entry: Entry, name: str, rule: str, now_s: float | None = None) -> dict:
    """Tell the lock's clock the time of a zone, over the local link; name and rule are kept in the key book."""
    async with local_link(entry) as link:
        now = local_date6(rule, now_s)
        await link.exchange(opcodes.SET_CLOCK, session_client.set_clock(now))
        shown = session_client.clock(await link.exchange(opcodes.GET_CLOCK))
    keep_zone(book, entry, name, rule)
    return {"time": "%04d-%02d-%02dT%02d:%02d:%02d" % tuple(shown)}


def keep_zone(book: KeyBook, entry: Entry, name: str, rule: str) -> None:
    """Keep the zone whose time the lock's clock shows from now on."""

    def change(kept: Entry) -> None:
        kept.zone, kept.zone_rule = name, rule

    book.update(entry.mac, change)
    change(entry)


async def open_when_touched(entry: Entry, limit_dbm: int = TOUCH_DBM, timeout_s: float = 60) -> None:
    """Wait until somebody touches the lock while this computer is near it, then unlock. HostError `not_near` else.

    Only for who asks for it: a lock nearby proves nothing about who touches it (feature-table.md F041).
    """
    sighting = await sightings.scan(
        lambda each: each.mac == entry.mac and each.advert.touched and each.rssi_dbm >= limit_dbm, timeout_s
    )
    if sighting is None:
        raise HostError("not_near", "%s was not touched with this computer near it" % entry.name, "go nearer")
    check_user = session_client.check_user(flag_pos=entry.flag_pos)
    with host_errors():
        async with connect_to(sighting, entry) as link:
            await link.operate(opcodes.UNLOCK, check_user, entry.unlock_key, time.time())


async def ask_basics(entry: Entry) -> dict:
    """Battery and features, asked over the local link."""
    async with connect_to(await find(entry), entry) as link:
        try:
            battery, _, _ = session_client.status(await link.exchange(opcodes.STATUS, session_client.status_request()))
            _, mask = session_client.features(await link.exchange(opcodes.FEATURES))
        except FirmwareError as err:
            raise HostError(err.code, str(err), "stay beside the lock")
    return {"battery": battery, "features": "%X" % mask}


def basics(entry: Entry, facts: dict, reveal: bool) -> dict:
    """The page of a lock's basics (feature-table.md F109): `facts` is the lock's answer, over either way."""
    told = str(facts.get("features"))
    mask = int(told, 16) if re.fullmatch("[0-9A-Fa-f]{1,64}", told) else entry.features
    return {
        "alias": entry.name,
        "number": bundles.lock_data(entry)["address"].replace(":", ""),
        "mac": entry.mac,
        "model": facts.get("model") or entry.model,
        "battery": facts.get("battery"),
        "validity": "permanent (administrator)",
        "group": entry.group,
        "paired_at": entry.paired_at or None,
        "features": "%X" % mask,
        "can": feature_words(mask),
        "time zone": entry.zone or None,
        "admin passcode": entry.admin_passcode if reveal else "*" * len(entry.admin_passcode),
        "asked": int(time.time()),
    }


def rename(book: KeyBook, entry: Entry, alias: str) -> None:
    """Another alias in the key book; none is not accepted, nor one that another lock has."""
    alias = text.name(alias, "name of a lock")
    if any(text.key(each.name) == text.key(alias) and each.mac != entry.mac for each in book.entries()):
        raise HostError("bad_request", "another lock is called %r" % alias)

    def change(kept: Entry) -> None:
        kept.name = alias

    book.update(entry.mac, change)


def check_erase_code(code: str) -> str:
    """The code, or HostError."""
    if code and not 7 <= len(code) <= 9:
        raise HostError("bad_request", "an erase code has 7 to 9 digits", ttlock=-3006)
    return code


async def set_code(book: KeyBook, entry: Entry, which: str, code: str) -> None:
    """`which` is ADMIN or ERASE; `code` "" deletes it. HostError when the lock refuses: nothing has changed then."""
    command, encode = {
        ADMIN: (opcodes.SET_ADMIN_PASSCODE, pairing_client.set_admin_passcode),
        ERASE: (opcodes.SET_ERASE_CODE, passcode_client.set_erase_code),
    }[which]
    async with local_link(entry) as link:
        await link.exchange(command, encode(code))
    book.update(entry.id, lambda kept: setattr(kept, which, code))


async def read_admin_code(book: KeyBook, entry: Entry) -> str:
    """What the lock says its administrator's passcode is; the key book is put right by it."""
    async with local_link(entry) as link:
        data = await link.exchange(opcodes.GET_ADMIN_PASSCODE, pairing_client.get_admin_passcode())
    code = pairing_client.admin_passcode(data)[1]
    book.update(entry.id, lambda kept: setattr(kept, ADMIN, code))
    return code


async def add_fob(
    entry: Entry, address: str = "", progress: Callable[[str], None] = lambda step: None, timeout_s: float = 20
) -> str:
    """Bind the fob of an address, or listen for one whose button is pressed -> its address, with colons."""
    plain = fingerprint_client.bind(_octets(address)) if address else fingerprint_client.enrol()
    progress("looking for %s" % entry.name)
    async with local_link(entry, timeout_s) as link:
        state, number, _, _ = fingerprint_client.added(await link.exchange(opcodes.KEY_FOB, plain))
        while state != fingerprint_client.ADDED:
            progress("press a button of the fob")
            state, number, _, _ = fingerprint_client.added(await link.follow(opcodes.KEY_FOB, _LISTEN_MS))
    assert number is not None
    return fingerprint_client.address_of(number).hex(":")


def _octets(address: str) -> bytes:
    digits = address.replace(":", "").replace("-", "")
    try:
        octets = bytes.fromhex(digits)
    except ValueError:
        octets = b""
    if len(octets) != 6:
        raise HostError("bad_request", "that is no address of a fob", "write it as aa:bb:cc:dd:ee:ff")
    return octets
