"""Bumble's host for radios in the site's process, without the text of every packet for a log that nobody reads.

Bumble 0.0.236 writes out each HCI packet four times on its way, in colours, also while its log is silent: 40 % of the
work of an air full of advertisements.
"""

from bumble import hci
from bumble.host import Host


class QuietHost(Host):
    """Does what Host does with a packet; what it leaves out is the log, and a snooper's."""

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """To the controller."""
        if self.hci_sink:
            self.hci_sink.on_packet(bytes(packet))

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """From the controller: events and data are all that ours sends."""
        if isinstance(packet, hci.HCI_Event):
            self.on_hci_event_packet(packet)
        elif isinstance(packet, hci.HCI_AclDataPacket):
            self.on_hci_acl_data_packet(packet)
        else:
            super().on_hci_packet(packet)
