"""Pairing, encryption and passkeys of one simulated board, as NimBLE does them for MicroPython.

Bumble speaks the protocol. Here is what a program sees: gap_pair encrypts with the bond where there is one and pairs
else; the peripheral's gap_pair is a security request; the encryption update comes before the secrets of a new bond;
a peer that pairs anew loses its old bond first; every failure but our own "no" to a comparison is an encryption update.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bumble import core, hci, pairing, smp
from bumble.device import Connection
from bumble.keys import PairingKeys

from host_tools.sim.ble.bonds import OUR_SEC, PEER_SEC, Bond, Bonds, peer_key
from host_tools.sim.ble.errno_words import EALREADY, EINVAL, ENOENT, SM_NUMERIC_COMPARISON, BoardError

if TYPE_CHECKING:
    from host_tools.sim.ble.session import Session

log = logging.getLogger(__name__)

_IRQ_ENCRYPTION_UPDATE, _IRQ_PASSKEY_ACTION = 28, 31
_INPUT, _DISPLAY, _COMPARE = 2, 3, 4
_PASSKEYS = 1_000_000
_KEY_SIZE = 16
_KEYS = (  # what both ends distribute
    pairing.PairingDelegate.KeyDistribution.DISTRIBUTE_ENCRYPTION_KEY
    | pairing.PairingDelegate.KeyDistribution.DISTRIBUTE_IDENTITY_KEY
    | pairing.PairingDelegate.KeyDistribution.DISTRIBUTE_SIGNING_KEY
)


@dataclass
class Security:
    """How safe one link is."""

    is_encrypted: bool = False
    is_authenticated: bool = False
    is_bonded: bool = False

    @property
    def fields(self) -> tuple[int, int, int, int]:
        """As _IRQ_ENCRYPTION_UPDATE carries them."""
        size = _KEY_SIZE if self.is_encrypted else 0
        return int(self.is_encrypted), int(self.is_authenticated), int(self.is_bonded), size


class _Passkey(int):
    """A number that Bumble's `assert passkey` takes for given, 000000 too."""

    def __bool__(self) -> bool:
        return True


class _Procedure:
    """One pairing or encryption under way on one link."""

    def __init__(self, timer: asyncio.TimerHandle) -> None:
        self.timer = timer
        self.bond: Bond | None = None  # set: the link is being encrypted with it
        self.action = 0
        self.answer: asyncio.Future[int] | None = None
        self.is_rejected = False  # by our own program, which needs no report


class _Prompt(pairing.PairingDelegate):
    """Bumble's questions, put to the program."""

    def __init__(self, owner: "Pairing", link: Connection, io: int) -> None:
        capability = self.IoCapability(io) if 0 <= io <= 4 else self.NO_OUTPUT_NO_INPUT
        super().__init__(capability, _KEYS, _KEYS)
        self._owner = owner
        self._link = link

    async def accept(self) -> bool:
        return await self._owner.accept(self._link)

    async def compare_numbers(self, number: int, digits: int) -> bool:
        return bool(int(await self._owner.prompt(self._link, _COMPARE, number)))

    async def get_number(self) -> int:
        return await self._owner.prompt(self._link, _INPUT, 0)

    async def generate_passkey(self) -> int:
        return await self._owner.prompt(self._link, _DISPLAY, 0)


class Pairing:
    """What gap_pair and gap_passkey ask for, and the state of security of every link."""

    timeout_s = 30.0  # of one procedure: Core, Vol 3 Part H, 3.4

    def __init__(self, session: "Session") -> None:
        self._session = session
        self.bonds = Bonds(session)
        # bond, mitm, io, le_secure of BLE().config(); the ESP32's NimBLE begins with Secure Connections on
        self.settings: dict[str, int] = {"le_secure": 1}
        self._security: dict[Connection, Security] = {}
        self._procedures: dict[Connection, _Procedure] = {}

    def commands(self) -> dict[str, Callable]:
        return {"pair": self.pair, "passkey": self.passkey}

    def config(self, link: Connection) -> pairing.PairingConfig:
        """For Bumble: how to pair on this link."""
        kind = pairing.PairingConfig.AddressType
        return pairing.PairingConfig(
            sc=bool(self.settings["le_secure"]),
            mitm=bool(self.settings.get("mitm", 0)),
            bonding=bool(self.settings.get("bond", 0)),
            delegate=_Prompt(self, link, self.settings.get("io", pairing.PairingDelegate.NO_OUTPUT_NO_INPUT)),
            identity_address_type=kind.RANDOM if self._session.identity.is_identity_random else kind.PUBLIC,
        )

    def reset(self) -> None:
        """The radio went off."""
        for each in self._procedures.values():
            each.timer.cancel()
        self._procedures.clear()
        self._security.clear()

    def security(self, link: Connection) -> Security:
        return self._security.setdefault(link, Security())

    async def is_bonded(self, link: Connection) -> bool:
        """Whether the program knows a bond with this link's peer."""
        return await self.bonds.read(PEER_SEC, link) is not None

    # --- procedures
    def _begin(self, link: Connection) -> _Procedure:
        timer = asyncio.get_running_loop().call_later(self.timeout_s, self._expire, link)
        procedure = self._procedures[link] = _Procedure(timer)
        return procedure

    def _end(self, link: Connection) -> _Procedure | None:
        procedure = self._procedures.pop(link, None)
        if procedure is not None:
            procedure.timer.cancel()
        device = self._session.device
        if device is not None:  # the next request on this link shall not meet a finished session
            device.smp_manager.sessions.pop(link.handle, None)
        return procedure

    def _expire(self, link: Connection) -> None:
        self._end(link)
        self._report(link)

    def _report(self, link: Connection) -> None:
        self._session.emit(_IRQ_ENCRYPTION_UPDATE, link.handle, *self.security(link).fields)

    def pair(self, handle: int) -> None:
        link = self._session.gap.link(handle)
        if link in self._procedures:
            raise BoardError(EALREADY)
        procedure = self._begin(link)
        if link.role == hci.Role.CENTRAL:
            self._session.spawn(self._secure(link, procedure))
        else:
            link.device.request_pairing(link)

    async def _secure(self, link: Connection, procedure: _Procedure, least: bool = False) -> None:
        """Encrypt with the bond, or pair. `least`: a bond without authentication will not do."""
        bond = await self.bonds.read(PEER_SEC, link)
        try:
            if bond is not None and (bond.is_authenticated or not least):
                procedure.bond = bond
                await link.device.send_async_command(
                    hci.HCI_LE_Enable_Encryption_Command(
                        connection_handle=link.handle,
                        random_number=bond.rand,
                        encrypted_diversifier=bond.ediv,
                        long_term_key=bond.ltk,
                    )
                )
            else:
                await link.pair()
        except (core.BaseBumbleError, hci.HCI_Error, asyncio.CancelledError) as err:
            log.debug("%s: pairing: %r", self._session.name, err)  # its own event reports it

    async def accept(self, link: Connection) -> bool:
        """A peer wants to pair. One that has a bond with us forgot it: so do we (NimBLE's "repeat pairing")."""
        self._begin(link)
        if await self.is_bonded(link):
            await self.bonds.delete_peer(link)
            return not await self.is_bonded(link)
        return True

    async def long_term_key(self, handle: int, rand: bytes, ediv: int) -> bytes | None:
        """For the chip: a central encrypts this link, with the key of a pairing under way or of a bond."""
        device = self._session.device
        link = device.lookup_connection(handle) if device is not None else None
        if device is None or link is None:
            return None
        held = device.smp_manager.get_long_term_key(link, rand, ediv)
        if held is not None:
            return held
        procedure = self._procedures.get(link) or self._begin(link)
        procedure.bond = await self.bonds.read(OUR_SEC, link)
        if procedure.bond is None:
            self._end(link)
            return None
        return procedure.bond.ltk

    def watch(self, link: Connection) -> None:
        """Follow a new link."""
        link.on("pairing", lambda keys: self._on_paired(link, keys))
        link.on("pairing_failure", lambda _reason: self._on_failure(link))
        link.on("connection_encryption_change", lambda: self._on_encryption(link))
        link.on("connection_encryption_failure", lambda _code: self._on_failure(link))
        link.on("security_request", lambda auth_req: self._on_security_request(link, auth_req))

    def link_lost(self, link: Connection) -> None:
        """A procedure under way on this link has failed; the program learns so before the disconnection."""
        if self._end(link) is not None:
            self._report(link)
        self._security.pop(link, None)

    def _on_encryption(self, link: Connection) -> None:
        security = self.security(link)
        security.is_encrypted = bool(link.encryption)
        procedure = self._procedures.get(link)
        if procedure is not None and procedure.bond is None:
            session = link.device.smp_manager.sessions.get(link.handle)
            security.is_authenticated = session is not None and _is_authenticated(session)
            return  # pairing goes on: keys are exchanged now
        if procedure is not None and procedure.bond is not None:
            security.is_authenticated = procedure.bond.is_authenticated
            security.is_bonded = True
        self._end(link)
        self._report(link)

    def _on_failure(self, link: Connection) -> None:
        procedure = self._end(link)
        if procedure is None or not procedure.is_rejected:
            self._report(link)

    def _on_security_request(self, link: Connection, auth_req: int) -> None:
        if link.role == hci.Role.CENTRAL and link not in self._procedures:
            is_mitm = bool(auth_req & smp.AuthReq.MITM)
            if not auth_req & smp.AuthReq.BONDING:
                self._begin(link)
                self._session.spawn(self._pair(link))
            else:
                self._session.spawn(self._secure(link, self._begin(link), least=is_mitm))

    async def _pair(self, link: Connection) -> None:
        try:
            await link.pair()
        except (core.BaseBumbleError, hci.HCI_Error, asyncio.CancelledError) as err:
            log.debug("%s: pairing: %r", self._session.name, err)

    def _on_paired(self, link: Connection, keys: PairingKeys) -> None:
        session = link.device.smp_manager.sessions[link.handle]
        security = self.security(link)
        security.is_encrypted = True
        security.is_authenticated = _is_authenticated(session)
        security.is_bonded = session.bonding
        self._end(link)
        self._report(link)
        if session.bonding:
            self._session.spawn(self._keep(link, session, keys))

    async def _keep(self, link: Connection, session: smp.Session, keys: PairingKeys) -> None:
        """Give both halves of a new bond to the program."""
        peer = peer_key(link.peer_address)
        ours = Bond(peer, session.ltk, session.ltk_ediv, session.ltk_rand, irk=link.device.irk)
        theirs = Bond(peer, session.ltk, irk=keys.irk.value if keys.irk else None)
        if not session.sc:
            theirs.ltk, theirs.ediv = session.peer_ltk or b"", session.peer_ediv or 0
            theirs.rand = session.peer_rand or bytes(8)
        for kind, bond in ((OUR_SEC, ours), (PEER_SEC, theirs)):
            bond.is_authenticated = _is_authenticated(session)
            bond.is_secure = session.sc
            try:
                await self.bonds.write(kind, bond)
            except TimeoutError:
                log.warning("%s: the program does not take its secrets", self._session.name)

    # --- passkeys
    async def prompt(self, link: Connection, action: int, number: int) -> int:
        """Ask the program, and wait until it calls gap_passkey."""
        procedure = self._procedures[link]
        procedure.action = action
        procedure.answer = asyncio.get_running_loop().create_future()
        self._session.emit(_IRQ_PASSKEY_ACTION, link.handle, action, number)
        return _Passkey(await procedure.answer)

    def passkey(self, handle: int, action: int, passkey: int) -> None:
        if action not in (_INPUT, _DISPLAY, _COMPARE):
            raise BoardError(EINVAL)
        device = self._session.device
        link = device.connections.get(handle) if device is not None else None
        procedure = self._procedures.get(link) if link is not None else None
        if procedure is None:
            raise BoardError(ENOENT)
        answer = procedure.answer
        if answer is not None and answer.done():
            raise BoardError(EALREADY)
        if answer is None or action != procedure.action:
            raise BoardError(EINVAL)
        if action != _COMPARE and not 0 <= passkey < _PASSKEYS:
            raise BoardError(EINVAL)
        if action == _COMPARE and not passkey:
            procedure.is_rejected = True
            answer.set_result(0)
            raise BoardError(SM_NUMERIC_COMPARISON)
        answer.set_result(passkey)


def _is_authenticated(session: smp.Session) -> bool:
    return session.pairing_method != smp.PairingMethod.JUST_WORKS
