"""Secrets to plant, and every way in which one could show up: a byte string as it is, in hexadecimal with separators,
in base64 at any offset, as numbers, swapped, backwards, in BCD, as a list (security.md LOG-5, T-LOG-1).
"""

import base64
import json
import random
from collections.abc import Iterable

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


class Canaries:
    """Named secrets. `hits(where, content)` tells which of them show, in which form."""

    def __init__(self) -> None:
        self._forms: dict[tuple[str, str], bytes] = {}
        self.searched = 0

    def plant(self, name: str, forms: dict[str, bytes]) -> None:
        """From now on `name` is looked for."""
        for how, form in forms.items():
            if len(form) >= SHORTEST:
                self._forms[name, how] = form

    def plant_entry(self, entry: Entry) -> None:
        """Everything that the key book holds of a lock."""
        self.plant("aes", of_key(bytes.fromhex(entry.aes)))
        self.plant("admin_ps", of_number(entry.admin_ps))
        self.plant("unlock_key", of_number(entry.unlock_key))
        self.plant("seeds", of_key(bytes.fromhex(entry.seeds)))
        if entry.admin_passcode:
            self.plant("admin passcode", of_code(entry.admin_passcode))
        for name in ("adminPwd", "lockKey", "aesKeyStr", "unlockKey"):  # as other programs write them
            value = bundles.virtual_key(entry).get(name)
            if isinstance(value, str):
                self.plant(name, of_text(value))

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
