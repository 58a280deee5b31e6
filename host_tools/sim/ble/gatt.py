"""GATT server of one simulated board: the attribute table, permissions, subscriptions.

The values live in the board process. A read or write by a peer is an event that the board's handler answers
(`_IRQ_GATTS_READ_REQUEST`, `_IRQ_GATTS_WRITE`). Checks and ATT errors are NimBLE's. The client is `gattc.py`.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from bumble import att, core, gatt_server
from bumble.core import UUID
from bumble.device import Connection
from bumble.gatt import Characteristic, Descriptor, Service

from host_tools.sim.ble.errno_words import E2BIG, EBUSY, EINVAL, HS_ENOTCONN, HS_ETIMEOUT, BoardError
from host_tools.sim.ble.gattc import check_queue

if TYPE_CHECKING:
    from host_tools.sim.ble.session import Session

log = logging.getLogger(__name__)

_IRQ_GATTS_WRITE, _IRQ_GATTS_READ_REQUEST = 3, 4
_IRQ_INDICATE_DONE = 20
_READ, _WRITE, _NOTIFY, _INDICATE = 0x02, 0x0C, 0x10, 0x20  # _WRITE: with or without response
_READ_ENCRYPTED, _READ_AUTHENTICATED = 0x0200, 0x0400
_WRITE_ENCRYPTED, _WRITE_AUTHENTICATED = 0x1000, 0x2000
_SERVICES = 8  # MP_BLUETOOTH_NIMBLE_MAX_SERVICES
_READABLE = Characteristic.Permissions.READABLE
_BOTH = Characteristic.Permissions.READABLE | Characteristic.Permissions.WRITEABLE


class GattServer:
    """What gatts_register_services, gatts_notify, gatts_indicate and gatts_write(send_update=True) ask for."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._order = asyncio.Lock()  # writes reach the board in the order of the air
        self._indicating: list[tuple[Connection, int]] = []  # link and value handle, until confirmed

    def commands(self) -> dict[str, Callable]:
        return {
            "services": self.register,
            "notify": self.notify,
            "indicate": self.indicate,
            "subscribed": self.subscribed,
        }

    @property
    def _server(self) -> gatt_server.Server:
        device = self._session.device
        assert device is not None  # commands are refused while the radio is off
        return device.gatt_server

    def reset(self) -> None:
        """The radio went off."""
        self._indicating.clear()

    def link_lost(self, link: Connection) -> None:
        """Indications on this link have failed; the program learns so before the disconnection."""
        for each in [each for each in self._indicating if each[0] is link]:
            self._indicated(each, HS_ENOTCONN)

    # --- table
    def register(self, tree: list) -> list:
        """Replace all services. `tree` = [[uuid, [[uuid, flags, [[uuid, flags]…]]…]]…] → [handles of each service]."""
        if self._session.gap.is_busy:
            raise BoardError(EBUSY)
        if len(tree) > _SERVICES:
            raise BoardError(E2BIG)
        server = self._server
        for table in (server.attributes, server.services, server.attributes_by_handle, server.subscribers):
            table.clear()
        for service in self._standard():
            server.add_service(service)
        handles = []
        for uuid, characteristics in tree:
            built: list[Characteristic] = []
            visible: list[att.Attribute] = []
            for char_uuid, flags, descriptors in characteristics:
                one = Characteristic(UUID.from_bytes(char_uuid), Characteristic.Properties(flags & 0xFF), _BOTH, b"")
                one.value = self._value(one, flags)
                extra: list[Descriptor] = []
                visible.append(one)
                if flags & (_NOTIFY | _INDICATE):  # the CCCD comes first, as NimBLE places it
                    extra.append(Descriptor(UUID.from_16_bits(0x2902), _BOTH, self._subscription(one, flags)))
                for desc_uuid, desc_flags in descriptors:
                    each = Descriptor(UUID.from_bytes(desc_uuid), _BOTH, b"")
                    each.value = self._value(each, desc_flags & (_READ | _WRITE))  # no security on descriptors
                    extra.append(each)
                    visible.append(each)
                one.descriptors = extra
                built.append(one)
            server.add_service(Service(UUID.from_bytes(uuid), built))
            handles.append([each.handle for each in visible])
        return [handles]

    def _standard(self) -> tuple[Service, Service]:
        """GAP and GATT services as NimBLE has them, so that the board's own handles begin where they do on an ESP32."""
        read = Characteristic.Properties.READ
        name = att.AttributeValue(read=lambda _link: bytes(self._session.gap_name))
        gap = Service(
            UUID.from_16_bits(0x1800),
            [
                Characteristic(UUID.from_16_bits(0x2A00), read, _READABLE, name),
                Characteristic(UUID.from_16_bits(0x2A01), read, _READABLE, b"\0\0"),
            ],
        )
        changed = Characteristic(
            UUID.from_16_bits(0x2A05), Characteristic.Properties.INDICATE, Characteristic.Permissions(0), b""
        )
        return gap, Service(UUID.from_16_bits(0x1801), [changed])

    def _subscription(self, characteristic: Characteristic, flags: int) -> att.AttributeValue:
        """The client characteristic configuration of one characteristic, each link's own."""
        allowed = (1 if flags & _NOTIFY else 0) | (2 if flags & _INDICATE else 0)

        def read(link: Connection) -> bytes:
            return self._server.read_cccd(link, characteristic)

        def write(link: Connection, value: bytes) -> None:
            if len(value) != 2:
                raise att.ATT_Error(att.ErrorCode.INVALID_ATTRIBUTE_LENGTH)
            if int.from_bytes(value, "little") & ~allowed:
                raise att.ATT_Error(att.ErrorCode.REQUEST_NOT_SUPPORTED)
            self._server.write_cccd(link, characteristic, bytes(value))

        return att.AttributeValue(read=read, write=write)

    async def _check(
        self, link: Connection, attribute: att.Attribute, flags: int, needed: tuple[int, int, int]
    ) -> None:
        """Raise the ATT error that NimBLE answers this access with. `needed`: access, encrypted, authenticated."""
        access, encrypted, authenticated = needed
        if not flags & access:
            refusal = att.ErrorCode.READ_NOT_PERMITTED if access == _READ else att.ErrorCode.WRITE_NOT_PERMITTED
            raise att.ATT_Error(refusal, attribute.handle)
        if not flags & (encrypted | authenticated):
            return
        security = self._session.pairing.security(link)
        if not security.is_encrypted:
            is_bonded = await self._session.pairing.is_bonded(link)
            code = att.ErrorCode.INSUFFICIENT_ENCRYPTION if is_bonded else att.ErrorCode.INSUFFICIENT_AUTHENTICATION
            raise att.ATT_Error(code, attribute.handle)
        if flags & authenticated and not security.is_authenticated:
            raise att.ATT_Error(att.ErrorCode.INSUFFICIENT_AUTHENTICATION, attribute.handle)

    def _value(self, attribute: att.Attribute, flags: int) -> att.AttributeValue:
        async def read(link: Connection) -> bytes:
            await self._check(link, attribute, flags, (_READ, _READ_ENCRYPTED, _READ_AUTHENTICATED))
            try:
                code, value = await self._session.ask(_IRQ_GATTS_READ_REQUEST, link.handle, attribute.handle)
            except TimeoutError as err:
                raise att.ATT_Error(att.ErrorCode.UNLIKELY_ERROR, attribute.handle) from err
            if code:
                raise att.ATT_Error(code & 0xFF, attribute.handle)
            return value

        async def write(link: Connection, value: bytes) -> None:
            await self._check(link, attribute, flags, (_WRITE, _WRITE_ENCRYPTED, _WRITE_AUTHENTICATED))
            try:
                async with self._order:
                    await self._session.ask(_IRQ_GATTS_WRITE, link.handle, attribute.handle, bytes(value))
            except TimeoutError as err:
                raise att.ATT_Error(att.ErrorCode.UNLIKELY_ERROR, attribute.handle) from err

        return att.AttributeValue(read=read, write=write)

    # --- values on their way to peers
    @staticmethod
    def _bare(handle: int) -> att.Attribute:
        """An attribute to send a value under: NimBLE does not look whether it exists."""
        if not 0 < handle <= 0xFFFF:
            raise BoardError(EINVAL)
        bare: att.Attribute = att.Attribute(UUID.from_16_bits(0x2803), _READABLE, b"")
        bare.handle = handle
        return bare

    async def notify(self, link_handle: int, handle: int, value: bytes) -> None:
        link, attribute = self._session.gap.link(link_handle), self._bare(handle)
        check_queue(link)
        await self._server.notify_subscriber(link, attribute, value, force=True)

    def indicate(self, link_handle: int, handle: int, value: bytes) -> None:
        link, attribute = self._session.gap.link(link_handle), self._bare(handle)
        check_queue(link)
        indication = link, handle
        self._indicating.append(indication)
        self._session.spawn(self._indicate(indication, attribute, value))

    async def _indicate(self, indication: tuple[Connection, int], attribute: att.Attribute, value: bytes) -> None:
        link = indication[0]
        try:
            await self._server.indicate_subscriber(link, attribute, value, force=True)
        except (TimeoutError, core.TimeoutError):
            self._indicated(indication, HS_ETIMEOUT)
            await self._session.gap.terminate(link)
        except (core.BaseBumbleError, KeyError) as err:  # the link went meanwhile
            log.debug("%s: indication: %r", self._session.name, err)
            self._indicated(indication, HS_ENOTCONN)
        else:
            self._indicated(indication, 0)

    def _indicated(self, indication: tuple[Connection, int], status: int) -> None:
        for at, each in enumerate(self._indicating):
            if each is indication:
                del self._indicating[at]
                self._session.emit(_IRQ_INDICATE_DONE, indication[0].handle, indication[1], status)
                return

    def subscribed(self, handle: int) -> list:
        """Who has subscribed to a value: [[[connection handle, whether by indication]…]]."""
        targets = []
        for link, subscriptions in self._server.subscribers.items():
            cccd = subscriptions.get(handle)
            if cccd and cccd[0] & 3:
                targets.append([cast(Connection, link).handle, not cccd[0] & 1])
        return [targets]
