"""Vectors of kinds "codec" and "credential": host tools only."""

import pytest

from firmware.lib.errors import ProtocolError
from host_tools.near import pairing
from host_tools.owner import bundles, key_files
from host_tools.owner.keybook import Entry
from tests.vectors import vectors

FOUND = [
    vector
    for name in ("vectors-link.json", "vectors-commands.json")
    for vector in vectors.load(name)
    if vector["kind"] in ("codec", "credential")
]


@pytest.mark.parametrize("vector", FOUND, ids=lambda vector: vector["name"])
def test_vector(vector):
    if "seed" in vector:
        plain, seed = bytes.fromhex(vector["plaintext"]), vector["seed"]
        assert bundles.xor(plain, seed).hex() == vector["encoded"]
        assert bundles.xor(bytes.fromhex(vector["encoded"]), seed) == plain
        return
    decoded = vector["decoded"]
    if isinstance(decoded, dict) and "key" in decoded:
        assert bundles.decode_aes_key(vector["input"]).hex() == decoded["key"]
        return
    digits = decoded["decoded"] if isinstance(decoded, dict) else decoded
    assert bundles.decode_secret(vector["input"]) == digits
    if len(vector["input"]) > 10:
        seed = vectors.octets(vector["encoded"])[-1] if "encoded" in vector else 41
        assert bundles.decode_secret(bundles.encode_secret(digits, seed)) == digits


def test_count():
    assert len(FOUND) == 13


@pytest.mark.parametrize("text", ["", "zz" * 16, "1,2,3", "0f" * 15, "001,1e" + ",00" * 14])
def test_bad_keys_are_refused(text):
    with pytest.raises(ProtocolError):
        bundles.decode_aes_key(text)


@pytest.mark.parametrize("text", ["", "abc", "not base64 at all", "MzAwLDMwMCwzMDA="])
def test_bad_secrets_are_refused(text):
    with pytest.raises(ProtocolError):
        bundles.decode_secret(text)


def test_remote_unlock_change_is_the_vectors_request():
    for vector in vectors.load("vectors-commands.json"):
        if vector["name"] == "k_remote_unlock_on":
            assert pairing.change_switch(True).hex() == vector["plaintext"]


def test_an_exported_key_says_whose_it_is():
    """hardware-facts.md F83, F84: 110301 and a number for the administrator's, neither for a shared key; no member that
    older loaders refuse."""
    for admin_ps, kind, text in ((1234567890, "110301", "1234567890"), (0, "110302", "")):
        written = bundles.virtual_key(Entry("aa:bb:cc:11:22:33", "Hall", "0f" * 16, admin_ps, 4711, zone_rule="UTC0"))
        assert (written["userType"], written["adminPs"]) == (kind, text)
        assert "featureValue" not in written
        (again,) = key_files.read(written).locks
        assert (again.entry.admin_ps, again.entry.unlock_key) == (admin_ps, 4711)
