"""GATT client of one simulated board: raw ATT procedures, results in order, then one "done" event with a status.

As on an ESP32 a read is one Read Request and a write one Write Request: what does not fit the MTU is cut off. (Servers
answer Read Blob, Prepare Write and Execute Write, for peers that use them.)
"""

import asyncio
import logging
import struct
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from bumble import att, core, hci
from bumble.core import UUID
from bumble.device import Connection
from bumble.gatt_client import Client

from host_tools.sim.ble.errno_words import (
    EALREADY,
    EBUSY,
    EINVAL,
    ENOMEM,
    HS_ATT,
    HS_ENOTCONN,
    HS_ETIMEOUT,
    BoardError,
)

if TYPE_CHECKING:
    from host_tools.sim.ble.session import Session

log = logging.getLogger(__name__)

_IRQ_SERVICE_RESULT, _IRQ_SERVICE_DONE = 9, 10
_IRQ_CHARACTERISTIC_RESULT, _IRQ_CHARACTERISTIC_DONE = 11, 12
_IRQ_DESCRIPTOR_RESULT, _IRQ_DESCRIPTOR_DONE = 13, 14
_IRQ_READ_RESULT, _IRQ_READ_DONE, _IRQ_WRITE_DONE = 15, 16, 17
_PROCEDURES = 4  # at a time, on all links: BLE_GATT_MAX_PROCS
_QUEUED = 24  # packets in flight at which NimBLE runs out of buffers


def check_queue(link: Connection) -> None:
    """Raise BoardError(ENOMEM) when this link has no buffer for one more packet."""
    queue = link.data_packet_queue
    if queue is not None and queue.pending >= _QUEUED:
        raise BoardError(ENOMEM)


class GattClient:
    """What the gattc_* methods ask for."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._mtu_asked: set[Connection] = set()
        self._running: list[tuple[Connection, int, tuple]] = []  # link, done event, its arguments but the status

    def commands(self) -> dict[str, Callable]:
        return {
            "disc_svc": self.discover_services,
            "disc_chr": self.discover_characteristics,
            "disc_dsc": self.discover_descriptors,
            "read": self.read,
            "write": self.write,
            "mtu": self.exchange_mtu,
        }

    def reset(self) -> None:
        """The radio went off."""
        self._running.clear()
        self._mtu_asked.clear()

    def link_lost(self, link: Connection) -> None:
        """What runs on this link has failed; the program learns so before the disconnection."""
        self._mtu_asked.discard(link)
        for each in [each for each in self._running if each[0] is link]:
            self._finish(each, HS_ENOTCONN)

    def mtu_exchanged(self, link: Connection) -> None:
        """Either end has exchanged the MTU: a link does so once."""
        self._mtu_asked.add(link)

    def _start(self, handle: int, steps: Callable[[Client], Coroutine], done: int, *args: object) -> None:
        link = self._session.gap.link(handle)
        if len(self._running) >= _PROCEDURES:
            raise BoardError(ENOMEM)
        procedure = link, done, args
        self._running.append(procedure)
        self._session.spawn(self._run(procedure, steps))

    async def _run(self, procedure: tuple[Connection, int, tuple], steps: Callable[[Client], Coroutine]) -> None:
        link = procedure[0]
        status = 0
        try:
            await steps(link.gatt_client)
        except att.ATT_Error as err:
            status = HS_ATT + err.error_code
        except (TimeoutError, core.TimeoutError):
            status = HS_ETIMEOUT
        except (core.BaseBumbleError, asyncio.CancelledError) as err:
            log.debug("%s: procedure: %r", self._session.name, err)
            status = HS_ENOTCONN
        self._finish(procedure, status)
        if status == HS_ETIMEOUT:  # no further request may follow on this link
            await self._session.gap.terminate(link)

    def _finish(self, procedure: tuple[Connection, int, tuple], status: int) -> None:
        for at, each in enumerate(self._running):
            if each is procedure:
                del self._running[at]
                link, done, args = procedure
                self._session.emit(done, link.handle, *args, status)
                return

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
                response = await self._request(client, asked, is_list=True)
                if response is None:
                    return
                if uuid is None:
                    items = [(first, last, bytes(one)) for first, last, one in response.attributes]
                else:
                    items = [(first, last, uuid) for first, last in response.handles_information]
                for first, last, one in items:
                    self._session.emit(_IRQ_SERVICE_RESULT, handle, first, last, [one])
                if not items:
                    return
                start = items[-1][1] + 1

        self._start(handle, steps, _IRQ_SERVICE_DONE)

    def discover_characteristics(self, handle: int, first: int, last: int, uuid: bytes | None) -> None:
        declaration = UUID.from_16_bits(0x2803)
        if any(done == _IRQ_CHARACTERISTIC_DONE for _, done, _ in self._running):
            raise BoardError(EBUSY)

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
                response = await self._request(client, asked, is_list=True)
                if response is None or not response.attributes:
                    break
                for at, value in response.attributes:
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
                response = await self._request(client, asked, is_list=True)
                if response is None or not response.information:
                    return
                for at, uuid in response.information:
                    self._session.emit(_IRQ_DESCRIPTOR_RESULT, handle, at, [bytes(uuid)])
                    start = at + 1

        self._start(handle, steps, _IRQ_DESCRIPTOR_DONE)

    def read(self, handle: int, value_handle: int) -> None:
        async def steps(client: Client) -> None:
            response = await self._request(client, att.ATT_Read_Request(attribute_handle=value_handle))
            self._session.emit(_IRQ_READ_RESULT, handle, value_handle, bytes(response.attribute_value))

        self._start(handle, steps, _IRQ_READ_DONE, value_handle)

    async def write(self, handle: int, value_handle: int, value: bytes, mode: int) -> None:
        if mode not in (0, 1):
            raise BoardError(EINVAL)
        link = self._session.gap.link(handle)
        value = value[: link.att_mtu - 3]
        if mode == 0:
            check_queue(link)
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
        self._session.spawn(self._exchange_mtu(link))

    async def _exchange_mtu(self, link: Connection) -> None:
        ours = self._session.mtu
        try:
            response = await self._request(link.gatt_client, att.ATT_Exchange_MTU_Request(client_rx_mtu=ours))
        except (core.BaseBumbleError, TimeoutError, hci.HCI_Error) as err:
            log.debug("%s: MTU exchange: %r", self._session.name, err)
            return
        link.on_att_mtu_update(min(ours, response.server_rx_mtu))
