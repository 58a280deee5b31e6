"""GATT of one simulated board: the server's attribute table and the client's raw ATT procedures.

The values of the server live in the board process. A read or write by a peer is an event that the board's handler
answers (`_IRQ_GATTS_READ_REQUEST`, `_IRQ_GATTS_WRITE`); here are only handles, permissions and subscriptions.
"""

import asyncio
import logging
import struct
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from bumble import att, core, gatt_server, hci
from bumble.core import UUID
from bumble.device import Connection
from bumble.gatt import Characteristic, Descriptor, Service
from bumble.gatt_client import Client

from host_tools.sim.errno_words import EALREADY, EINVAL, ENOMEM, BoardError

if TYPE_CHECKING:
    from host_tools.sim.board_session import Session

log = logging.getLogger(__name__)

_IRQ_GATTS_WRITE, _IRQ_GATTS_READ_REQUEST = 3, 4
_IRQ_SERVICE_RESULT, _IRQ_SERVICE_DONE = 9, 10
_IRQ_CHARACTERISTIC_RESULT, _IRQ_CHARACTERISTIC_DONE = 11, 12
_IRQ_DESCRIPTOR_RESULT, _IRQ_DESCRIPTOR_DONE = 13, 14
_IRQ_READ_RESULT, _IRQ_READ_DONE, _IRQ_WRITE_DONE = 15, 16, 17
_IRQ_INDICATE_DONE = 20
_NOTIFY, _INDICATE = 0x10, 0x20
_QUEUED = 24  # packets in flight at which NimBLE runs out of buffers
_HS_ENOTCONN, _HS_ETIMEOUT = 7, 13  # NimBLE's host error numbers, as *_DONE events carry them
_PERMISSIONS = (
    (0x0002, Characteristic.Permissions.READABLE),
    (0x000C, Characteristic.Permissions.WRITEABLE),
    (0x0200, Characteristic.Permissions.READ_REQUIRES_ENCRYPTION),
    (0x0400, Characteristic.Permissions.READ_REQUIRES_AUTHENTICATION),
    (0x0800, Characteristic.Permissions.READ_REQUIRES_AUTHORIZATION),
    (0x1000, Characteristic.Permissions.WRITE_REQUIRES_ENCRYPTION),
    (0x2000, Characteristic.Permissions.WRITE_REQUIRES_AUTHENTICATION),
    (0x4000, Characteristic.Permissions.WRITE_REQUIRES_AUTHORIZATION),
)


def _permissions(flags: int) -> Characteristic.Permissions:
    wanted = Characteristic.Permissions(0)
    for mask, permission in _PERMISSIONS:
        if flags & mask:
            wanted |= permission
    return wanted


def _check_queue(link: Connection) -> None:
    queue = link.data_packet_queue
    if queue is not None and queue.pending >= _QUEUED:
        raise BoardError(ENOMEM)


class GattServer:
    """What gatts_register_services, gatts_notify, gatts_indicate and gatts_write(send_update=True) ask for."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._order = asyncio.Lock()  # writes reach the board in the order of the air

    def commands(self) -> dict[str, Callable]:
        return {"services": self.register, "notify": self.notify, "indicate": self.indicate, "update": self.update}

    @property
    def _server(self) -> gatt_server.Server:
        device = self._session.device
        assert device is not None  # commands are refused while the radio is off
        return device.gatt_server

    def register(self, tree: list) -> list:
        """Replace all services. `tree` = [[uuid, [[uuid, flags, [[uuid, flags]…]]…]]…] → [handles of each service]."""
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
                one = Characteristic(
                    UUID.from_bytes(char_uuid),
                    Characteristic.Properties(flags & 0xFF),
                    _permissions(flags),
                    b"",
                )
                one.value = self._value(one)
                extra: list[Descriptor] = []
                visible.append(one)
                if flags & (_NOTIFY | _INDICATE):  # the CCCD comes first, as NimBLE places it
                    both = Descriptor.READABLE | Descriptor.WRITEABLE
                    cccd = Descriptor(UUID.from_16_bits(0x2902), both, server.make_descriptor_value(one))
                    extra.append(cccd)
                for desc_uuid, desc_flags in descriptors:
                    each = Descriptor(UUID.from_bytes(desc_uuid), _permissions(desc_flags), b"")
                    each.value = self._value(each)
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
                Characteristic(UUID.from_16_bits(0x2A00), read, Characteristic.READABLE, name),
                Characteristic(UUID.from_16_bits(0x2A01), read, Characteristic.READABLE, b"\0\0"),
            ],
        )
        changed = Characteristic(
            UUID.from_16_bits(0x2A05), Characteristic.Properties.INDICATE, Characteristic.Permissions(0), b""
        )
        return gap, Service(UUID.from_16_bits(0x1801), [changed])

    def _value(self, attribute: att.Attribute) -> att.AttributeValue:
        async def read(link: Connection) -> bytes:
            try:
                code, value = await self._session.ask(_IRQ_GATTS_READ_REQUEST, link.handle, attribute.handle)
            except TimeoutError as err:
                raise att.ATT_Error(att.ErrorCode.UNLIKELY_ERROR, attribute.handle) from err
            if code:
                raise att.ATT_Error(code, attribute.handle)
            return value

        async def write(link: Connection, value: bytes) -> None:
            try:
                async with self._order:
                    await self._session.ask(_IRQ_GATTS_WRITE, link.handle, attribute.handle, bytes(value))
            except TimeoutError as err:
                raise att.ATT_Error(att.ErrorCode.UNLIKELY_ERROR, attribute.handle) from err

        return att.AttributeValue(read=read, write=write)

    def _attribute(self, handle: int) -> att.Attribute:
        attribute = self._server.get_attribute(handle)
        if attribute is None:
            raise BoardError(EINVAL)
        return attribute

    async def notify(self, link_handle: int, handle: int, value: bytes) -> None:
        link, attribute = self._session.gap.link(link_handle), self._attribute(handle)
        _check_queue(link)
        await self._server.notify_subscriber(link, attribute, value, force=True)

    def indicate(self, link_handle: int, handle: int, value: bytes) -> None:
        link, attribute = self._session.gap.link(link_handle), self._attribute(handle)
        _check_queue(link)
        self._session.spawn(self._indicate(link, attribute, value))

    async def _indicate(self, link: Connection, attribute: att.Attribute, value: bytes) -> None:
        status = 0
        try:
            await self._server.indicate_subscriber(link, attribute, value, force=True)
        except (core.BaseBumbleError, TimeoutError) as err:
            log.debug("%s: indication: %r", self._session.name, err)
            status = _HS_ETIMEOUT
        self._session.emit(_IRQ_INDICATE_DONE, link.handle, attribute.handle, status)

    async def update(self, handle: int, value: bytes) -> None:
        """Notify or indicate whoever has subscribed."""
        server, attribute = self._server, self._attribute(handle)
        for link, subscriptions in tuple(server.subscribers.items()):
            wish = subscriptions.get(handle)
            if wish and wish[0] & 1:
                await server.notify_subscriber(link, attribute, value, force=True)
            elif wish and wish[0] & 2:
                self._session.spawn(self._indicate(cast(Connection, link), attribute, value))


class GattClient:
    """What the gattc_* methods ask for: raw ATT requests, results in order, then one "done" event with a status."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._mtu_asked: set[Connection] = set()

    def commands(self) -> dict[str, Callable]:
        return {
            "disc_svc": self.discover_services,
            "disc_chr": self.discover_characteristics,
            "disc_dsc": self.discover_descriptors,
            "read": self.read,
            "write": self.write,
            "mtu": self.exchange_mtu,
        }

    def _start(self, handle: int, steps: Callable[[Client], Coroutine], done: int, *args: object) -> None:
        link = self._session.gap.link(handle)
        self._session.spawn(self._run(link, steps, done, args))

    async def _run(self, link: Connection, steps: Callable[[Client], Coroutine], done: int, args: tuple) -> None:
        status = 0
        try:
            await steps(link.gatt_client)
        except att.ATT_Error as err:
            status = 0x100 + err.error_code  # BLE_HS_ERR_ATT_BASE
        except (core.BaseBumbleError, TimeoutError, asyncio.CancelledError) as err:
            log.debug("%s: procedure: %r", self._session.name, err)
            status = _HS_ENOTCONN
        device = self._session.device
        if device is not None and device.connections.get(link.handle) is link:
            self._session.emit(done, link.handle, *args, status)

    @staticmethod
    async def _request(client: Client, request: att.ATT_PDU, is_list: bool = False) -> Any:
        """One request. None where a list has ended. Raises ATT_Error, TimeoutError."""
        response = await client.send_request(request)
        if response is None:
            raise TimeoutError("no ATT response")
        if response.op_code == att.Opcode.ATT_ERROR_RESPONSE:
            if is_list and response.error_code == att.ErrorCode.ATTRIBUTE_NOT_FOUND:
                return None
            raise att.ATT_Error(response.error_code, response.attribute_handle_in_error)
        return response

    def discover_services(self, handle: int, uuid: bytes | None) -> None:
        primary = UUID.from_16_bits(0x2800)

        async def steps(client: Client) -> None:
            start = 1
            while start <= 0xFFFF:
                asked: att.ATT_PDU
                where = {"starting_handle": start, "ending_handle": 0xFFFF}
                if uuid is None:
                    asked = att.ATT_Read_By_Group_Type_Request(attribute_group_type=primary, **where)
                else:
                    asked = att.ATT_Find_By_Type_Value_Request(attribute_type=primary, attribute_value=uuid, **where)
                found = await self._request(client, asked, is_list=True)
                if found is None:
                    return
                if uuid is None:
                    items = [(first, last, bytes(one)) for first, last, one in found.attributes]
                else:
                    items = [(first, last, uuid) for first, last in found.handles_information]
                for first, last, one in items:
                    self._session.emit(_IRQ_SERVICE_RESULT, handle, first, last, [one])
                if not items:
                    return
                start = items[-1][1] + 1

        self._start(handle, steps, _IRQ_SERVICE_DONE)

    def discover_characteristics(self, handle: int, first: int, last: int, uuid: bytes | None) -> None:
        declaration = UUID.from_16_bits(0x2803)

        async def steps(client: Client) -> None:
            held: tuple = ()  # its end is known only when the next one, or none, follows

            def report(end: int) -> None:
                if held and (uuid is None or held[3] == uuid):
                    self._session.emit(_IRQ_CHARACTERISTIC_RESULT, handle, end, held[1], held[2], [held[3]])

            start = first
            while start <= last:
                asked = att.ATT_Read_By_Type_Request(
                    starting_handle=start, ending_handle=last, attribute_type=declaration
                )
                found = await self._request(client, asked, is_list=True)
                if found is None or not found.attributes:
                    break
                for at, value in found.attributes:
                    report(at - 1)
                    properties, value_handle = struct.unpack_from("<BH", value)
                    held = (at, value_handle, properties, bytes(value[3:]))
                start = held[0] + 1
            report(last)

        self._start(handle, steps, _IRQ_CHARACTERISTIC_DONE)

    def discover_descriptors(self, handle: int, first: int, last: int) -> None:
        async def steps(client: Client) -> None:
            start = first + 1
            while start <= last:
                asked = att.ATT_Find_Information_Request(starting_handle=start, ending_handle=last)
                found = await self._request(client, asked, is_list=True)
                if found is None or not found.information:
                    return
                for at, uuid in found.information:
                    self._session.emit(_IRQ_DESCRIPTOR_RESULT, handle, at, [bytes(uuid)])
                    start = at + 1

        self._start(handle, steps, _IRQ_DESCRIPTOR_DONE)

    def read(self, handle: int, value_handle: int) -> None:
        async def steps(client: Client) -> None:
            found = await self._request(client, att.ATT_Read_Request(attribute_handle=value_handle))
            self._session.emit(_IRQ_READ_RESULT, handle, value_handle, bytes(found.attribute_value))

        self._start(handle, steps, _IRQ_READ_DONE, value_handle)

    async def write(self, handle: int, value_handle: int, value: bytes, with_response: int) -> None:
        link = self._session.gap.link(handle)
        value = value[: link.att_mtu - 3]
        if not with_response:
            _check_queue(link)
            command = att.ATT_Write_Command(attribute_handle=value_handle, attribute_value=value)
            await link.gatt_client.send_command(command)
            return

        async def steps(client: Client) -> None:
            await self._request(client, att.ATT_Write_Request(attribute_handle=value_handle, attribute_value=value))

        self._start(handle, steps, _IRQ_WRITE_DONE, value_handle)

    def exchange_mtu(self, handle: int) -> None:
        link = self._session.gap.link(handle)
        if link in self._mtu_asked:
            raise BoardError(EALREADY)
        self._mtu_asked.add(link)
        link.on("disconnection", lambda _reason: self._mtu_asked.discard(link))
        self._session.spawn(self._exchange_mtu(link))

    async def _exchange_mtu(self, link: Connection) -> None:
        ours = self._session.mtu
        try:
            found = await self._request(link.gatt_client, att.ATT_Exchange_MTU_Request(client_rx_mtu=ours))
        except (core.BaseBumbleError, TimeoutError, hci.HCI_Error) as err:
            log.debug("%s: MTU exchange: %r", self._session.name, err)
            return
        link.on_att_mtu_update(min(ours, found.server_rx_mtu))
