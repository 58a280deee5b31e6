"""The radio chip of a simulated board: Bumble's controller with what its link leaves out.

With `link_end` the only module that overrides Bumble's internals (0.0.236, pinned; `tests/host/test_radio.py` checks
the signatures).
Bumble's own link delivers everything at once and to everybody. Here: PDU types and scan responses in reports, scan
windows, signal strength and range, a radio that is off, connection events with loss, data in flight bounded by HCI
flow control, supervision time-out, failed and cancelled connection attempts, two boards with one address in turn.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from bumble import att, controller, hci, ll, smp
from bumble.core import PhysicalTransport
from bumble.device import Connection as HostConnection

from host_tools.sim.air.air import Advert, Air, AirLink
from host_tools.sim.air.link_end import LinkEnd

ADV_IND, ADV_SCAN_IND, ADV_NONCONN_IND, SCAN_RSP = 0, 2, 3, 4
_ADVERT_DELAY_S = 0.010  # advDelay: up to 10 ms at random on top of the interval (Core, Vol 6 Part B, 4.4.2.2)
_SLOT_S = 0.000625
_UPDATE_EVENTS = 6  # events until new connection parameters hold


class Advertiser(controller.LegacyAdvertiser):
    """Advertises at the interval its host chose, with the random delay of the specification."""

    controller: "RadioController"
    _due_s = 0.0

    def start(self) -> None:
        """The first one at once; the others keep to its schedule, however late this process is."""
        super().start()
        self._due_s = asyncio.get_running_loop().time()

    def _on_timer_fired(self) -> None:
        loop = asyncio.get_running_loop()
        air = self.controller.link
        air.late_s.append(loop.time() - self._due_s)
        self.send_advertising_data()
        delay_s = air.stream("advdelay", self.address).random() * _ADVERT_DELAY_S
        self._due_s = max(loop.time(), self._due_s + self.advertising_interval_min * _SLOT_S + delay_s)
        self.timer_handle = loop.call_at(self._due_s, self._on_timer_fired)

    def send_advertising_data(self) -> None:
        if self.enabled:
            kind = int(self.advertising_type)
            advert = Advert(self.address, kind, bytes(self.advertising_data), bytes(self.scan_response_data))
            self.controller.adverts += 1
            self.controller.link.advertise(self.controller, advert)


class RadioController(controller.Controller):
    """One radio on the air, from power-on to power-off."""

    link: Air
    le_connections: dict[hci.Address, LinkEnd]  # type: ignore[assignment]
    pending_le_connection: Any = None
    le_acl_data_packet_length = 251
    total_num_le_acl_data_packets = 12
    supported_max_tx_octets = 251
    supported_max_rx_octets = 251
    le_features = controller.Controller.le_features & ~(
        hci.LeFeatureMask.LE_EXTENDED_ADVERTISING | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
    )

    def __init__(self, name: str, air: Air, public_address: hci.Address) -> None:
        super().__init__(name, link=air, public_address=public_address)
        self.mac = bytes(public_address)[::-1].hex(":")
        self._random_address = hci.Address.ANY_RANDOM
        self.le_legacy_advertiser = Advertiser(self)
        self.resolver = smp.AddressResolver([])  # peers' identity resolving keys, and whose they are
        self.is_powered = True
        self._scan_began_s = 0.0
        self._reported: set[tuple] = set()
        self.adverts = 0  # sent so far
        self.reports = 0  # advertisements and scan responses heard while scanning
        # Takes reports of a host in this process, past HCI's coding, which costs more than all the rest
        self.on_report: Callable[[hci.HCI_LE_Advertising_Report_Event.Report], None] | None = None

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """To the host; see `air_host.QuietHost` for what is left out."""
        if self.host:
            asyncio.get_running_loop().call_soon(self.host.on_packet, bytes(packet))

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """From the host."""
        if isinstance(packet, hci.HCI_Command):
            self.on_hci_command_packet(packet)
        elif isinstance(packet, hci.HCI_AclDataPacket):
            self.on_hci_acl_data_packet(packet)
        else:
            super().on_hci_packet(packet)

    # --- hearing
    def on_hci_le_set_scan_enable_command(
        self, command: hci.HCI_LE_Set_Scan_Enable_Command
    ) -> hci.HCI_StatusReturnParameters:
        self._scan_began_s = asyncio.get_running_loop().time()
        self._reported.clear()
        return super().on_hci_le_set_scan_enable_command(command)

    def is_listening(self) -> bool:
        """Whether an advertisement sent now meets our receiver. An initiator listens all the time."""
        if self.pending_le_connection:
            return True
        if not self.le_scan_enable:
            return False
        if self.le_scan_window >= self.le_scan_interval:
            return True
        passed = (asyncio.get_running_loop().time() - self._scan_began_s) / _SLOT_S
        return passed % self.le_scan_interval < self.le_scan_window

    def hear(self, advert: Advert, rssi_dbm: int) -> None:
        """One advertisement that reached us."""
        if not self.is_powered:
            return
        if self.le_scan_enable:
            self._report(advert, advert.kind, advert.data, rssi_dbm)
            if self.le_scan_type == 1 and advert.kind in (ADV_IND, ADV_SCAN_IND):
                self._report(advert, SCAN_RSP, advert.response, rssi_dbm)
        if self.wants(advert):
            self.create_le_connection(advert.address)

    def wants(self, advert: Advert) -> bool:
        """Whether we would answer this advertisement with CONNECT_IND."""
        pending = self.pending_le_connection
        return bool(pending) and advert.kind == ADV_IND and self._is_from(advert.address, pending.peer_address)

    def _is_from(self, address: hci.Address, wanted: hci.Address) -> bool:
        """Whether a packet's address is the one wanted, or a private one of it (the resolving list)."""
        return address == wanted or (address.is_resolvable and self.resolver.resolve(address) == wanted)

    def _report(self, advert: Advert, kind: int, payload: bytes, rssi_dbm: int) -> None:
        if self.filter_duplicates:
            seen = (bytes(advert.address), kind)
            if seen in self._reported:
                return
            self._reported.add(seen)
        self.reports += 1
        report = hci.HCI_LE_Advertising_Report_Event.Report(
            event_type=hci.HCI_LE_Advertising_Report_Event.EventType(kind),
            address_type=advert.address.address_type,
            address=advert.address,
            data=payload,
            rssi=rssi_dbm,
        )
        if self.on_report is not None:
            self.on_report(report)
        else:
            self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    # --- links
    def on_hci_le_create_connection_command(self, command: hci.HCI_LE_Create_Connection_Command) -> None:
        if command.peer_address in self.le_connections:
            code = hci.HCI_ErrorCode.CONNECTION_ALREADY_EXISTS_ERROR
            self._send_hci_command_status(code, command.op_code)
            return
        super().on_hci_le_create_connection_command(command)

    def on_hci_le_create_connection_cancel_command(
        self, _command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> hci.HCI_StatusReturnParameters:
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        gone = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=hci.Role.CENTRAL,
            peer_address_type=pending.peer_address.address_type,
            peer_address=pending.peer_address,
            connection_interval=0,
            peripheral_latency=0,
            supervision_timeout=0,
            central_clock_accuracy=0,
        )
        # Command Complete has to reach the host before this event does
        asyncio.get_running_loop().call_soon(self.send_hci_packet, gone)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def create_le_connection(self, peer_address: hci.Address) -> None:
        """Answer the peer's advertisement with CONNECT_IND. A failed attempt is a link until it ends with 0x3E."""
        pending = self.pending_le_connection
        other = self.link.advertiser(peer_address)
        is_public = pending.own_address_type == hci.OwnAddressType.PUBLIC
        own_address = self.public_address if is_public else self.random_address
        if other is None or peer_address in self.le_connections or own_address in other.le_connections:
            return  # it has another central, or has not noticed yet that our last link is dead: keep waiting
        self.pending_le_connection = None
        units = pending.connection_interval_max  # what most controllers choose
        mine = self._open(hci.Role.CENTRAL, own_address, peer_address)
        ends = [mine]
        pair = self.public_address, other.public_address
        if not self.link.misses_connect(*pair):
            theirs = other._open(hci.Role.PERIPHERAL, peer_address, own_address)
            mine.other, theirs.other = theirs, mine
            ends.append(theirs)
            other.le_legacy_advertiser.stop()
        state = AirLink(self.link, (self.mac, other.mac), ends, units * 0.00125, pending.supervision_timeout * 0.01)
        self.link.links.add(state)
        for end in ends:
            end.link_state = state
            end.controller.send_hci_packet(
                hci.HCI_LE_Connection_Complete_Event(
                    status=hci.HCI_ErrorCode.SUCCESS,
                    connection_handle=end.handle,
                    role=end.role,
                    peer_address_type=end.peer_address.address_type,
                    peer_address=end.peer_address,
                    connection_interval=units,
                    peripheral_latency=pending.max_latency,
                    supervision_timeout=pending.supervision_timeout,
                    central_clock_accuracy=0,
                )
            )
        if len(ends) == 1:
            state.fail()

    def _open(self, role: hci.Role, own: hci.Address, peer: hci.Address) -> LinkEnd:
        end = LinkEnd(
            controller=self,
            handle=self.allocate_connection_handle(),
            role=role,
            self_address=own,
            peer_address=peer,
            link=self.link,
            transport=PhysicalTransport.LE,
            link_type=hci.HCI_Connection_Complete_Event.LinkType.ACL,
        )
        self.le_connections[peer] = end
        return end

    def on_hci_disconnect_command(self, command: hci.HCI_Disconnect_Command) -> None:
        """LL_TERMINATE_IND leaves at a connection event, after what is queued."""
        end = self.find_le_connection_by_handle(command.connection_handle)
        if end is None:
            code = hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
            self._send_hci_command_status(code, command.op_code)
            return
        self._send_hci_command_status(hci.HCI_COMMAND_STATUS_PENDING, command.op_code)
        self._terminate(cast(LinkEnd, end), command.reason, 8)

    def _terminate(self, end: LinkEnd, reason: int, tries: int) -> None:
        state = end.link_state
        if not state.is_over and not end.is_idle and not state.is_silent and tries:
            state.at_next_event(self._terminate, end, reason, tries - 1)
        else:
            state.at_next_event(state.end, reason, end)

    def on_hci_le_connection_update_command(self, command: hci.HCI_LE_Connection_Update_Command) -> None:
        end = self.find_le_connection_by_handle(command.connection_handle)
        if end is None:
            code = hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
            self._send_hci_command_status(code, command.op_code)
            return
        self._send_hci_command_status(hci.HCI_COMMAND_STATUS_PENDING, command.op_code)
        state = cast(LinkEnd, end).link_state
        state.after_events(_UPDATE_EVENTS, self._update, state, command)

    @staticmethod
    def _update(state: AirLink, command: hci.HCI_LE_Connection_Update_Command) -> None:
        if state.is_over or state.is_silent:
            return
        state.timeout_s = command.supervision_timeout * 0.01
        state.set_interval(command.connection_interval_max * 0.00125)
        for end in state.ends:
            end.controller.send_hci_packet(
                hci.HCI_LE_Connection_Update_Complete_Event(
                    status=hci.HCI_ErrorCode.SUCCESS,
                    connection_handle=end.handle,
                    connection_interval=command.connection_interval_max,
                    peripheral_latency=command.max_latency,
                    supervision_timeout=command.supervision_timeout,
                )
            )

    def on_le_long_term_key_reply(
        self, connection: controller.Connection, request: ll.EncReq, long_term_key: bytes | None
    ) -> None:
        """Two ends with different keys cannot read each other: the link ends at both."""
        if long_term_key is not None and long_term_key != request.ltk:
            reason = hci.HCI_ErrorCode.CONNECTION_TERMINATED_DUE_TO_MIC_FAILURE_ERROR
            cast(LinkEnd, connection).link_state.end(reason)
            return
        super().on_le_long_term_key_reply(connection, request, long_term_key)

    # --- power
    def on_hci_reset_command(self, command: hci.HCI_Reset_Command) -> hci.HCI_StatusReturnParameters:
        self._go_quiet()
        return super().on_hci_reset_command(command)

    def power_off(self) -> None:
        """Silence from now on. Peers learn of it by supervision time-out; the address is free at once."""
        self.is_powered = False
        self._go_quiet()
        self.set_packet_sink(None)
        self.link.controllers.discard(self)

    def _go_quiet(self) -> None:
        self.le_legacy_advertiser.stop()
        self.le_scan_enable = False
        self.pending_le_connection = None
        for end in tuple(self.le_connections.values()):
            end.link_state.fall_silent(for_good=True)
        self.le_connections.clear()


def hand_over_values(connection: HostConnection, on_notify: Callable, on_indicate: Callable) -> None:
    """Give every value a peer sends to (handle, value) callbacks, subscribed or not, as NimBLE does."""
    client = connection.gatt_client

    def notification(pdu: att.ATT_Handle_Value_Notification) -> None:
        on_notify(pdu.attribute_handle, bytes(pdu.attribute_value))

    def indication(pdu: att.ATT_Handle_Value_Indication) -> None:
        on_indicate(pdu.attribute_handle, bytes(pdu.attribute_value))
        client.send_confirmation(att.ATT_Handle_Value_Confirmation())

    client.on_att_handle_value_notification = notification  # type: ignore[method-assign,assignment]
    client.on_att_handle_value_indication = indication  # type: ignore[method-assign,assignment]
