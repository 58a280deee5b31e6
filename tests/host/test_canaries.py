"""The search itself: a secret that leaks in any form is found."""

import base64
import json

import pytest

from tests.faults import canaries

_KEY = bytes.fromhex("a7e34c9f0d5b82617f11d0c3948e26ba")
_LEAKS = [
    _KEY,
    _KEY.hex().upper().encode(),
    ":".join("%02X" % octet for octet in _KEY).encode(),
    repr(_KEY).encode(),
    str(list(_KEY)).encode(),
    str(int.from_bytes(_KEY, "little")).encode(),
    _KEY[::-1].hex().encode(),
    *(base64.b64encode(b"xyz"[:shift] + _KEY + b"tail") for shift in range(4)),
    base64.urlsafe_b64encode(b"?" + _KEY + b"?"),
    "".join("\\u%04X" % octet for octet in _KEY).encode(),
    json.dumps(list(_KEY), indent=1).encode(),
    json.dumps({"key": _KEY.hex().upper()}).encode(),
]


@pytest.mark.parametrize("leak", _LEAKS, ids=lambda leak: leak[:24].decode("latin-1"))
def test_key_is_found(leak: bytes) -> None:
    found = canaries.Canaries()
    found.plant("key", canaries.of_key(_KEY))
    assert found.hits("log", b"before " + leak + b" after")
    assert not found.hits("log", b"before " + bytes(40) + b" after")


def test_code_is_found_in_any_dress() -> None:
    found = canaries.Canaries()
    found.plant("code", canaries.of_code("907351264"))
    as_list = ", ".join(str(octet) for octet in b"907351264").encode()
    for leak in (b"907351264", b"462153709", bytes.fromhex("907351264f"), b"%08x" % 907351264, as_list):
        assert found.hits("log", b"x" + leak + b"y"), leak
    assert not found.hits("log", b"907351263 90735126", ())
