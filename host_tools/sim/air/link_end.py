"""One end of a link on the air: holds packets back until the connection event that carries them, or loses them.

Overrides Bumble's `controller.Connection`, see `controller.py`. What both ends share is `air.AirLink`.
"""

import asyncio
import collections

from bumble import controller, hci, ll

from host_tools.sim.air.air import AirLink
from host_tools.sim.air.faults import CENTRAL, PERIPHERAL, Cut


class LinkEnd(controller.Connection):
    """One end of a link: holds packets back until the connection event that carries them."""

    link_state: AirLink
    other: "LinkEnd | None" = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._queue: collections.deque[tuple[hci.HCI_AclDataPacket, float]] = collections.deque()
        self._timer: asyncio.Handle | None = None

    def on_hci_acl_data_packet(self, packet: hci.HCI_AclDataPacket) -> None:
        """One fragment from our host."""
        state = self.link_state
        held_s = state.air.faults.delay_s(state.record.peripheral, self.side)
        self._queue.append((packet, asyncio.get_running_loop().time() + held_s))
        self.wake()

    @property
    def side(self) -> str:
        """Which end this is."""
        return CENTRAL if self.role == hci.Role.CENTRAL else PERIPHERAL

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be sent."""
        return not self._queue

    def wake(self) -> None:
        """Take part in the next connection event, if there is something to send."""
        state = self.link_state
        if self._timer is None and self._queue and not state.is_silent and not state.is_over:
            loop = asyncio.get_running_loop()
            ready_s = self._queue[0][1]
            if ready_s > loop.time():
                self._timer = loop.call_at(ready_s, self._rouse)
            else:
                self._timer = state.at_next_event(self._event)

    def _rouse(self) -> None:
        """The first packet has been held back long enough."""
        self._timer = None
        self.wake()

    def _event(self, sent: int = 0) -> None:
        self._timer = None
        state = self.link_state
        if state.is_silent or state.is_over or self.other is None or not self._queue:
            return
        if sent >= state.air.profile.packets_per_event or self._queue[0][1] > asyncio.get_running_loop().time():
            self.wake()  # the event is over: go on at the next
            return
        record, faults = state.record, state.air.faults
        if state.air.loses_data(self, self.other):
            record.lost[self.side] += 1
            self.wake()  # the event closes because nobody acknowledged
            return
        for tap in state.air.taps:
            tap(record, self.side, bytes(self._queue[0][0].data))
        cut = faults.cut_at(record.peripheral, self.side, record.number)
        if cut is not None and not cut.is_delivered:
            self._cut(cut)
            return
        packet, _ = self._queue.popleft()
        record.packets[self.side] += 1
        manners = state.air.manners.get(record.peripheral)
        if manners is None or not manners.swallows(record.number, self.side, packet, state.air.stream):
            self.assembler.feed_packet(faults.damaged(record.peripheral, self.side, packet))
        if cut is not None:
            self._cut(cut)
            return
        done = hci.HCI_Number_Of_Completed_Packets_Event(connection_handles=[self.handle], num_completed_packets=[1])
        self.controller.send_hci_packet(done)
        if not self._queue:
            return
        if not state.interval_s:
            self.wake()
            return
        # 1M PHY: preamble to CRC 8 us per byte, two inter-frame spaces and the empty acknowledgement
        on_air_s = (10 + packet.data_total_length) * 8e-6 + 380e-6
        self._timer = asyncio.get_running_loop().call_later(on_air_s, self._event, sent + 1)

    def _cut(self, cut: Cut) -> None:
        self.link_state.fall_silent(for_good=True)
        if cut.reset is not None:
            cut.reset()

    def on_acl_pdu(self, pdu: bytes) -> None:
        """A whole L2CAP PDU has crossed: hand it to the other side's host."""
        if self.other is not None:
            self.other.controller.send_hci_packet(hci.HCI_AclDataPacket(self.other.handle, 2, 0, len(pdu), pdu))

    def send_ll_control_pdu(self, packet: ll.ControlPdu) -> None:
        self.link_state.at_next_event(self._deliver_control, packet, is_control=True)

    def _deliver_control(self, packet: ll.ControlPdu) -> None:
        state = self.link_state
        if self.other is not None and not state.is_silent and not state.is_over:
            self.other.controller.on_ll_control_pdu(self.self_address, packet)

    def close(self, reason: int) -> None:
        """The link is over; tell our host, if it still has power."""
        if self._timer is not None:
            self._timer.cancel()
        if self.controller.le_connections.get(self.peer_address) is self:
            self.controller.on_le_disconnected(self, reason)
