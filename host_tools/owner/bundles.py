"""Key book entries as other programs' key files: VirtualKey (ttlock-ble) and lockData (ttlock-sdk-js).

Owns the text forms of secrets in them too: AES keys, and numbers coded by XOR; the firmware contains none of this
(security.md DWN-2). Leaves reading key files to `key_files`. Source: lock-ble-commands.md 10; lock-ble-link.md 5.
"""

import base64
import binascii
import re
import time

from firmware.lib import frame, zone
from firmware.lib.errors import ProtocolError
from firmware.lib.messages import pairing_lock
from host_tools.owner import zones
from host_tools.owner.keybook import Entry

_ADMIN = "110301"
_SHARED = "110302"
_RECURRING = 4
_URL_SAFE = str.maketrans("-_", "+/")
_PLAIN_LEN = 10  # texts up to this length are not coded


def _pwd_info(entry: Entry) -> list[dict]:
    year, pairs = pairing_lock.decode_init_passwords(bytes.fromhex(entry.seeds))
    return [
        {"year": year - 2000 + place, "code": code, "secret": "%010d" % secret}
        for place, (code, secret) in enumerate(pairs)
    ]


def virtual_key(entry: Entry) -> dict:
    """Without `featureValue`, which older releases of ttlock-ble refuse. The offset is that of today. HostError
    `no_zone`."""
    return {
        "keyId": 0,
        "lockId": 0,
        "lockMac": entry.mac.upper(),
        "lockAlias": entry.name,
        "lockName": entry.name,
        "lockVersion": {
            "protocolType": 5,
            "protocolVersion": 3,
            "scene": entry.scene,
            "groupId": entry.group,
            "orgId": entry.org,
        },
        "aesKeyStr": encode_aes_key(bytes.fromhex(entry.aes)),
        "unlockKey": str(entry.unlock_key),
        "lockFlagPos": entry.flag_pos,
        "timezoneRawOffSet": zone.offset_at(zones.rule_of(entry), int(time.time())) * 60000,
        "startTime": 0,
        "endTime": 0,
        "keyType": 0,
        "userType": _ADMIN if entry.admin_ps else _SHARED,
        "adminPs": str(entry.admin_ps or ""),
        "keyboardPwdVersion": 0,
        "specialValue": entry.features & 0xFFFFFFFF,
        "uid": 0,
    }


def person_key(entry: Entry, ekey, unlock_key: int, flag_pos: int) -> dict:
    """The bundle of a person (`ekeys.Ekey`): the lock's AES key, an unlock key, no administrator's number.

    A one-time key ends at 1 (the vendor's sign). A recurring one carries days and hours in members that only a client
    knows that judges them; readers of the plain form refuse it, which is the safe way to misunderstand it.
    """
    bundle = virtual_key(entry)
    bundle.update(
        unlockKey=str(unlock_key),
        adminPs="",
        userType=_SHARED,
        lockFlagPos=flag_pos,
        uid=ekey.uid,
        startTime=1000 * (ekey.start or 0),
        endTime=1 if ekey.kind == "once" else 1000 * (ekey.end or 0),
    )
    if ekey.kind == "recurring" or (not ekey.uid and ekey.end and len(zone.offsets(zones.rule_of(entry))) > 1):
        bundle["zoneRule"] = entry.zone_rule  # its client judges by the lock's time, also after the next change
    if ekey.kind == "recurring":
        bundle.update(keyType=_RECURRING, weekDays=ekey.hours["days"])
        bundle.update(dayStart=ekey.hours["from"], dayEnd=ekey.hours["to"])
    return bundle


def lock_data(entry: Entry) -> dict:
    """An element of lockData.json."""
    return {
        "address": entry.mac.upper(),
        "battery": -1,
        "rssi": 0,
        "autoLockTime": -1,
        "lockedStatus": -1,
        "privateData": {
            "aesKey": entry.aes,
            "admin": {"adminPs": entry.admin_ps, "unlockKey": entry.unlock_key},
            "adminPasscode": entry.admin_passcode,
            **({"pwdInfo": _pwd_info(entry)} if entry.seeds else {}),
        },
    }


def decode_aes_key(text: str) -> bytes:
    """`aesKeyStr` -> 16 bytes: 16 hex bytes parted by commas, blanks, colons, dots or dashes, 32 hex digits, Base64."""
    text = text.strip()
    parts = re.split("[,:. -]+", text)
    if len(parts) == 1 and len(text) in (32, 34):
        text = text.removeprefix("0x")
        parts = [text[place : place + 2] for place in range(0, len(text), 2)]
    try:
        if len(parts) == 16 and all(re.fullmatch("[0-9a-fA-F]{1,2}", part) for part in parts):
            return bytes.fromhex("".join(part.rjust(2, "0") for part in parts))
        octets = base64.b64decode(text.translate(_URL_SAFE).rstrip("=") + "==", validate=True)
        if len(octets) == 16:
            return octets
    except ValueError:
        pass
    raise ProtocolError("not an AES key")


def encode_aes_key(key: bytes) -> str:
    """16 bytes -> the comma form, which every client reads."""
    return ",".join("%02x" % octet for octet in key)


def xor(octets: bytes, seed: int) -> bytes:
    """Code or decode `octets` with the seed: every byte XOR seed XOR table[length], by the producer's table."""
    mask = seed ^ frame.CRC_TABLE[len(octets) & 0xFF]
    return bytes(octet ^ mask for octet in octets)


def decode_secret(text: str) -> str:
    """`lockKey`, `adminPwd`, `noKeyPwd` -> digits. Up to ten characters are plain (lock-ble-commands.md 10.2)."""
    if len(text) <= _PLAIN_LEN:
        plain = text
    else:
        try:
            octets = bytes(int(part) for part in base64.b64decode(text, validate=True).split(b","))
        except (ValueError, binascii.Error):
            raise ProtocolError("not a coded secret") from None
        plain = xor(octets[:-1], octets[-1]).decode("latin-1")
    if not (plain.isascii() and plain.isdigit()):
        raise ProtocolError("coded secret is no number")
    return plain


def encode_secret(digits: str, seed: int) -> str:
    """Digits -> the coded form with any `seed` 0..255 (short numbers are coded too; readers accept both)."""
    octets = xor(digits.encode("ascii"), seed) + bytes((seed,))
    return base64.b64encode(",".join("%d" % octet for octet in octets).encode()).decode()
