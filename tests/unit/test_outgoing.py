import unittest

from firmware.gateway.outgoing import Outgoing
from tests.unit.gateway_rig import Broker, quiet_log


class OutgoingTest(unittest.TestCase):
    def test_when_full_the_oldest_goes_and_is_counted(self):
        outgoing = Outgoing(Broker(), quiet_log(), 4)
        for number in range(6):
            outgoing.put("t", "%d" % number)
        self.assertEqual((len(outgoing), outgoing.dropped), (4, 2))

    def test_what_is_spare_never_displaces_a_result(self):
        outgoing = Outgoing(Broker(), quiet_log(), 4)
        for _ in range(5):
            outgoing.put("t", "spare", False, True)
        outgoing.put("t", "result")
        self.assertEqual((len(outgoing), outgoing.dropped), (3, 3))
