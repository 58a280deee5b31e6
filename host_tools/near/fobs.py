"""Letting a key fob in, beside the lock: no gateway can do this (domain.md 2, key feature 8)."""

from collections.abc import Callable

from firmware.lib import opcodes
from firmware.lib.messages import fingerprint_client
from host_tools.errors import HostError
from host_tools.near.local_link import local_link
from host_tools.owner.keybook import Entry

_LISTEN_MS = 32000  # the lock listens for 30 s


async def add(
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
