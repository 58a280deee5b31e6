"""The long vector of RFC 7748 5.2, and agreement with another implementation; too slow for a MicroPython run."""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.lib import x25519

_KEYS = st.binary(min_size=32, max_size=32)


def test_thousand_iterations_give_the_value_of_the_rfc() -> None:
    scalar = point = b"\x09" + bytes(31)
    for _ in range(1000):
        scalar, point = x25519.shared(scalar, point), scalar
    assert scalar.hex() == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"


@settings(max_examples=50, deadline=None)
@given(_KEYS)
def test_public_keys_agree_with_cryptography(secret: bytes) -> None:
    assert x25519.public_key(secret) == X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
