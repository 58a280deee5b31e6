"""The service of endpoints: what a central may read, and when; one central at a time."""

import unittest

from firmware.ble.endpoints import Endpoints

CONNECT, DISCONNECT, WRITE, READ = 1, 2, 3, 4
SERVICE = "021a9004-0382-4aea-bff4-6b3f1c5adfb4"
REFUSED = 2


class Ble:
    """`bluetooth.BLE`, as much as an endpoint needs."""

    def __init__(self):
        self.values = {}
        self.sizes = {}
        self.dropped = []
        self.adverts = []

    def gatts_register_services(self, services):
        ((_, values),) = services
        self.values = {handle: b"" for handle in range(10, 10 + 2 * len(values))}
        return (tuple(sorted(self.values)),)

    def gatts_set_buffer(self, handle, size):
        self.sizes[handle] = size

    def gatts_write(self, handle, octets):
        self.values[handle] = bytes(octets)

    def gatts_read(self, handle):
        return self.values[handle]

    def gap_disconnect(self, handle):
        self.dropped.append(handle)

    def gap_advertise(self, interval_us, adv_data, resp_data, connectable):
        self.adverts.append((bytes(adv_data), bytes(resp_data)))


class Radio:
    def __init__(self):
        self.ble = Ble()
        self.is_on = False

    def serve(self, server):
        self.server = server
        return self.ble

    def start(self):
        self.is_on = True

    def stop(self):
        self.is_on = False
        self.server.stop()

    def uuid(self, number):
        return number


class EndpointsTest(unittest.TestCase):
    def setUp(self):
        self.radio = Radio()
        self.ble = self.radio.ble
        self.told = []
        self.answers = {b"ask": b"answer", b"none": None, b"empty": b""}
        self.server = Endpoints(
            self.radio,
            SERVICE,
            (("first", "1"), ("second", "2")),
            lambda: self.told.append("open"),
            self.write,
            lambda: self.told.append("close"),
        )

    def write(self, place, octets):
        self.told.append((place, octets))
        return self.answers[octets]

    def put(self, link, handle, octets):
        self.ble.values[handle] = octets
        self.server.irq(WRITE, (link, handle))
        return self.ble.values[handle]

    def read(self, link, handle):
        """0 or None: the stack may answer with the value."""
        return self.server.irq(READ, (link, handle))

    def test_names_stand_in_the_descriptions_and_may_be_read_by_anybody(self):
        self.assertEqual((self.ble.values[11], self.ble.values[13]), (b"first", b"second"))
        self.assertIsNone(self.read(1, 11))
        self.assertEqual(self.ble.sizes, {10: 512, 12: 512})

    def test_the_answer_stands_when_the_handler_has_returned(self):
        self.server.irq(CONNECT, (1, 0, b"peer"))
        self.assertEqual(self.read(1, 10), REFUSED)
        self.assertEqual(self.put(1, 10, b"ask"), b"answer")
        self.assertIsNone(self.read(1, 10))
        self.assertIsNone(self.read(1, 10))  # a long value is read in parts
        self.assertEqual(self.read(1, 12), REFUSED)
        self.assertEqual(self.put(1, 12, b"empty"), b"")
        self.assertIsNone(self.read(1, 12))
        self.assertEqual(self.read(1, 10), REFUSED)
        self.assertEqual(self.put(1, 12, b"none"), b"")
        self.assertEqual(self.read(1, 12), REFUSED)
        self.assertEqual(self.told, ["open", (0, b"ask"), (1, b"empty"), (1, b"none")])

    def test_another_central_hears_nothing_and_says_nothing(self):
        self.server.irq(CONNECT, (1, 0, b"peer"))
        self.server.irq(CONNECT, (2, 0, b"other"))
        self.assertEqual(self.ble.dropped, [2])
        self.put(2, 10, b"ask")
        self.put(1, 10, b"ask")
        self.assertEqual(self.read(2, 10), REFUSED)
        self.server.irq(DISCONNECT, (2, 0, b"other"))
        self.assertTrue(self.server.is_linked)
        self.assertEqual(self.told, ["open", (0, b"ask")])
        self.server.irq(DISCONNECT, (1, 0, b"peer"))
        self.assertFalse(self.server.is_linked)
        self.server.irq(CONNECT, (3, 0, b"peer"))
        self.assertEqual(self.read(3, 10), REFUSED)
        self.assertEqual(self.told, ["open", (0, b"ask"), "close", "open"])

    def test_it_is_found_by_name_and_service(self):
        self.server.advertise("PROV_723985")
        advert, response = self.ble.adverts[0]
        self.assertEqual(advert[:5], b"\x02\x01\x06\x11\x07")
        self.assertEqual(bytes(reversed(advert[5:])).hex(), SERVICE.replace("-", ""))
        self.assertEqual(response, b"\x0c\x09PROV_723985")
        self.assertTrue(len(advert) <= 31 and len(response) <= 31)

    def test_the_radio_is_off_afterwards(self):
        self.server.irq(CONNECT, (1, 0, b"peer"))
        self.server.close()
        self.assertEqual((self.radio.is_on, self.server.is_linked), (False, False))


if __name__ == "__main__":
    unittest.main()
