"""Secrets to plant, and every way in which one could show up: a byte string as it is, in hexadecimal with separators,
in base64 at any offset, as numbers, swapped, backwards, in BCD, as a list (security.md LOG-5, T-LOG-1).
"""

import base64
import json
import random
from collections.abc import Callable, Iterable
from typing import Any

from host_tools.owner import bundles
from host_tools.owner.keybook import Entry

SHORTEST = 5  # bytes of a form: shorter ones turn up by chance


def digits(count: int = 9) -> str:
    """A code that no address, time or number of a site contains but by a chance of one in a thousand million."""
    first = random.choice("123456789")
    return first + "".join(random.choice("0123456789") for _ in range(count - 1))


def text(length: int = 20) -> str:
    """A password."""
    return "".join(random.choice("abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789") for _ in range(length))


def _lists(octets: bytes) -> Iterable[str]:
    for number in ("%d", "0x%02x", "%02x", "%x"):
        for comma in (", ", ",", " ", "; "):
            yield comma.join(number % octet for octet in octets)


def _of_bytes(octets: bytes) -> dict[str, bytes]:
    """Forms of a byte string; lower case where letters come in both."""
    found = {"raw": octets, "repr": repr(octets)[2:-1].encode()}
    for separator in ("", ":", "-", " ", "\\x", " 0x"):
        found["hex %r" % separator] = separator.join("%02x" % octet for octet in octets).encode()
    for shift in range(3):  # the characters that depend on nothing before or after
        encoded = base64.b64encode(bytes(shift) + octets)
        whole = encoded[4 if shift else 0 : len(encoded) - 4 if (len(octets) + shift) % 3 else len(encoded)]
        found["base64 at %d" % shift] = whole
        found["base64url at %d" % shift] = whole.translate(bytes.maketrans(b"+/", b"-_"))
    for escape in ("\\u%04x", "\\x%02x", "%%%02x"):  # JSON, logs, addresses
        found["escaped like %s" % escape] = "".join(escape % octet for octet in octets).encode()
    for indent in (1, 2):
        found["JSON list, indented by %d" % indent] = json.dumps(list(octets), indent=indent)[1:-1].strip().encode()
    found["decimal"] = str(int.from_bytes(octets, "big")).encode()
    found["decimal, swapped"] = str(int.from_bytes(octets, "little")).encode()
    for form in _lists(octets):
        found["list like %s" % form[:6]] = form.encode()
    return found


def of_key(key: bytes) -> dict[str, bytes]:
    """A key or another byte string, forwards and backwards."""
    found = _of_bytes(key)
    return found | {"reversed, " + how: form for how, form in _of_bytes(key[::-1]).items()}


def of_number(value: int) -> dict[str, bytes]:
    """A 32-bit secret: its digits, and its four bytes in both orders."""
    found = {"digits": str(value).encode(), "digits reversed": str(value)[::-1].encode()}
    found |= {how: form for how, form in of_key(value.to_bytes(4, "big")).items() if "raw" not in how}
    return found


def of_code(code: str) -> dict[str, bytes]:
    """Digits that somebody types."""
    found = {how: form for how, form in of_key(code.encode()).items()}
    packed = code + "f" * (len(code) % 2)
    found["bcd"] = bytes.fromhex(packed)
    found["bcd, swapped"] = bytes(octet >> 4 | (octet & 15) << 4 for octet in bytes.fromhex(packed))
    found |= {"number, " + how: form for how, form in of_number(int(code)).items()}
    return found


def of_text(secret: str) -> dict[str, bytes]:
    """A password."""
    return of_key(secret.encode())


def of_card(number: int) -> dict[str, bytes]:
    """A card's number: its digits, and its bytes."""
    return of_key(number.to_bytes(8, "big")) | {"digits": str(number).encode()}


# Every kind of secret that there is -> in which forms it is looked for. A test of canaries plants all of them, or says
# why it has one not: so none is forgotten that comes later.
KINDS: dict[str, Callable[[Any], dict[str, bytes]]] = {
    "aes": of_key,
    "admin_ps": of_number,
    "unlock_key": of_number,
    "seeds": of_key,
    "admin passcode": of_code,
    "bundle": of_text,  # keys of a lock as other programs write them
    "code": of_code,
    "card": of_card,
    "ekey": of_number,
    "PIN": of_code,
    "wifi password": of_text,
    "broker password": of_text,
    "issuer key": of_key,  # the owner's, and those of further issuers: what an issuer's file holds
    "key of records": of_key,
    "gateway key": of_key,  # X25519, to which arguments are sealed
    "TLS key": of_key,  # of an identity at the broker
    "passphrase": of_text,  # of a key book and its backups
    "proof of possession": of_text,  # of provisioning over BLE
}


class Canaries:
    """Named secrets. `hits(where, content)` tells which of them show, in which form."""

    def __init__(self) -> None:
        self._forms: dict[tuple[str, str], bytes] = {}
        self._kinds: set[str] = set()
        self.searched = 0

    def add(self, kind: str, value: Any, which: str = "") -> None:
        """From now on a secret of one of KINDS is looked for, under the name of its kind, or as `which`."""
        self._kinds.add(kind)
        self.plant(which or kind, KINDS[kind](value))

    def missing(self) -> set[str]:
        """KINDS of which none was added."""
        return set(KINDS) - self._kinds

    def plant(self, name: str, forms: dict[str, bytes]) -> None:
        """From now on `name` is looked for."""
        for how, form in forms.items():
            if len(form) >= SHORTEST:
                self._forms[name, how] = form

    def plant_entry(self, entry: Entry) -> None:
        """Everything that the key book holds of a lock."""
        self.add("aes", bytes.fromhex(entry.aes))
        self.add("admin_ps", entry.admin_ps)
        self.add("unlock_key", entry.unlock_key)
        self.add("seeds", bytes.fromhex(entry.seeds))
        if entry.admin_passcode:
            self.add("admin passcode", entry.admin_passcode)
        for name in ("adminPwd", "lockKey", "aesKeyStr", "unlockKey"):  # as other programs write them
            value = bundles.virtual_key(entry).get(name)
            if isinstance(value, str):
                self.add("bundle", value, name)

    def __len__(self) -> int:
        return len(self._forms)

    def hits(self, where: str, content: bytes, but_for: tuple[str, ...] = ()) -> list[str]:
        """Forms found in `content`, as it is and with its letters in lower case; `but_for`: names that may be there."""
        lower = content.lower()
        found = []
        for (name, how), form in self._forms.items():
            if name in but_for:
                continue
            self.searched += 1
            if form in content or form.lower() in lower:
                found.append("%s: %s as %s" % (where, name, how))
        return found
