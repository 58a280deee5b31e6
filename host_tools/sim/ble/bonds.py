"""Bonds of one simulated board: the program keeps them, as on an ESP32, by _IRQ_GET_SECRET and _IRQ_SET_SECRET.

A secret is named by its kind (1: what we gave to a peer, 2: what the peer gave to us) and the peer's identity (address
type and address as NimBLE lays them out). Its value has the layout of NimBLE's `struct ble_store_value_sec`, which
programs store without looking inside.
"""

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bumble import hci, smp
from bumble.device import Connection

if TYPE_CHECKING:
    from host_tools.sim.ble.session import Session

OUR_SEC, PEER_SEC = 1, 2
_IRQ_GET_SECRET, _IRQ_SET_SECRET = 29, 30
_TRIES = 8  # NimBLE deletes, or makes room, until the program says that nothing is left; a program may not

# peer address, key size, EDIV, random number, LTK, IRK and CSRK with "present", then bit 0 authenticated, bit 1 SC
_LAYOUT = struct.Struct("<7sBH6x8s16sB16sB16sBB4x")


def peer_key(address: hci.Address) -> bytes:
    """The name of a peer's secrets."""
    return bytes((int(address.address_type) & 1,)) + bytes(address)


@dataclass
class Bond:
    """One half of a bond."""

    peer: bytes  # peer_key
    ltk: bytes
    ediv: int = 0
    rand: bytes = bytes(8)
    irk: bytes | None = None
    is_authenticated: bool = False
    is_secure: bool = False  # made by LE Secure Connections
    key_size: int = 16

    def encode(self) -> bytes:
        flags = int(self.is_authenticated) | int(self.is_secure) << 1
        irk = self.irk or bytes(16)
        return _LAYOUT.pack(
            self.peer, self.key_size, self.ediv, self.rand, self.ltk, 1, irk, bool(self.irk), bytes(16), 0, flags
        )

    @classmethod
    def decode(cls, raw: bytes | None) -> "Bond | None":
        """None for what is no bond, as NimBLE treats a secret of the wrong size."""
        if raw is None or len(raw) != _LAYOUT.size:
            return None
        peer, key_size, ediv, rand, ltk, has_ltk, irk, has_irk, _csrk, _has_csrk, flags = _LAYOUT.unpack(raw)
        if not has_ltk:
            return None
        return cls(peer, ltk, ediv, rand, irk if has_irk else None, bool(flags & 1), bool(flags & 2), key_size)


class Bonds:
    """Asks the program for bonds, and gives them to it."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._resolving: dict[bytes, bytes] = {}  # peer_key -> IRK

    def load(self, records: list[bytes]) -> None:
        """What the program knew when the radio came up, as NimBLE restores peers' resolving keys."""
        self._resolving = {}
        for raw in records:
            bond = Bond.decode(raw)
            if bond is not None and bond.irk:
                self._resolving[bond.peer] = bond.irk
        self._refresh()

    async def read(self, kind: int, link: Connection) -> Bond | None:
        """The bond with the peer of this link, or None."""
        try:
            answer = await self._session.ask(_IRQ_GET_SECRET, kind, 0, peer_key(link.peer_address))
        except TimeoutError:
            return None
        return Bond.decode(answer[0])

    async def write(self, kind: int, bond: Bond) -> None:
        """Hand one half to the program. One that has no room loses its oldest bond, as NimBLE does it."""
        for _ in range(_TRIES):
            if await self._set(kind, bond.peer, bond.encode()):
                break
            oldest = Bond.decode((await self._session.ask(_IRQ_GET_SECRET, PEER_SEC, 0, None))[0])
            if oldest is None:
                return
            await self._delete(oldest.peer)
        if kind == PEER_SEC and bond.irk:
            self._resolving[bond.peer] = bond.irk
            self._refresh()

    async def delete_peer(self, link: Connection) -> None:
        """Forget the peer of this link."""
        await self._delete(peer_key(link.peer_address))

    async def _delete(self, peer: bytes) -> None:
        for kind in (OUR_SEC, PEER_SEC):
            for _ in range(_TRIES):
                if not await self._set(kind, peer, None):
                    break
        if self._resolving.pop(peer, None):
            self._refresh()

    async def _set(self, kind: int, peer: bytes, value: bytes | None) -> bool:
        return bool((await self._session.ask(_IRQ_SET_SECRET, kind, peer, value))[0])

    def _refresh(self) -> None:
        known = [(irk, hci.Address(peer[1:], hci.AddressType(peer[0]))) for peer, irk in self._resolving.items()]
        self._session.resolve_by(smp.AddressResolver(known))
