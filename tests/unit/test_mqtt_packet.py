import unittest

from firmware.lib import mqtt_packet
from firmware.lib.errors import ProtocolError


def publish(topic, payload, qos=0, pid=7, **flags):
    return mqtt_packet.encode_publish(topic, payload, qos=qos, pid=pid, **flags)


def legal(topic, payload, qos, pid):
    """A PUBLISH of any size and QoS, as a broker may send it."""
    topic = topic if isinstance(topic, bytes) else topic.encode()
    body = bytes((len(topic) >> 8, len(topic) & 255)) + topic + (bytes((pid >> 8, pid & 255)) if qos else b"") + payload
    size = len(body)
    head = bytearray((0x30 | qos << 1,))
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + body


class Encoding(unittest.TestCase):
    """Known answers, written out from the standard (MQTT 3.1.1 chapter 3)."""

    def test_connect_bare(self):
        want = b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x1e\x00\x02ab"
        self.assertEqual(mqtt_packet.encode_connect("ab", 30), want)

    def test_connect_with_will_user_and_password(self):
        packet = mqtt_packet.encode_connect("c", 60, "u", "p", ("t", b"off", True, 1))
        want = b"\x10\x1b\x00\x04MQTT\x04\xee\x00\x3c\x00\x01c\x00\x01t\x00\x03off\x00\x01u\x00\x01p"
        self.assertEqual(packet, want)

    def test_subscribe_and_puback(self):
        self.assertEqual(
            mqtt_packet.encode_subscribe(10, ["a/b", "c"]), b"\x82\x0c\x00\x0a\x00\x03a/b\x01\x00\x01c\x01"
        )
        self.assertEqual(mqtt_packet.encode_ack(0x1234), b"\x40\x02\x12\x34")
        self.assertEqual(mqtt_packet.encode_ack(0x1234, 0x50), b"\x50\x02\x12\x34")
        self.assertEqual(mqtt_packet.encode_ack(0x1234, 0x70), b"\x70\x02\x12\x34")

    def test_publish(self):
        self.assertEqual(publish("a", b"xy", retain=True), b"\x31\x05\x00\x01axy")
        self.assertEqual(publish("a", "xy", qos=1, dup=True), b"\x3a\x07\x00\x01a\x00\x07xy")

    def test_long_publish_has_a_length_of_several_bytes(self):
        self.assertEqual(publish("a", bytes(318))[:3], b"\x30\xc1\x02")

    def test_refuses_what_cannot_be_sent(self):
        for qos, pid in ((2, 1), (1, 0), (1, 65536)):
            with self.assertRaises(ValueError):
                publish("a", b"", qos, pid)


class Parsing(unittest.TestCase):
    def test_publish_comes_back_whole_and_byte_by_byte(self):
        raw = publish("gate/\u00e4", b"\x00\xff", qos=1, retain=True, dup=True)
        for size in (1, 2, 3, 1000):
            parser = mqtt_packet.Parser()
            packets = []
            for at in range(0, 3 * len(raw), size):
                packets += parser.feed((raw + raw + raw)[at : at + size])
            self.assertEqual(len(packets), 3)
            got = packets[2]
            self.assertEqual((got.type, got.topic, got.payload), (mqtt_packet.PUBLISH, "gate/\u00e4", b"\x00\xff"))
            self.assertEqual((got.qos, got.pid, got.retain, got.dup), (1, 7, True, True))

    def test_answers(self):
        parser = mqtt_packet.Parser()
        got = parser.feed(
            b"\x20\x02\x01\x00\x90\x04\x00\x0a\x01\x80\xd0\x00\x40\x02\x12\x34\x20\x02\x00\x05\x62\x02\x00\x07"
        )
        self.assertEqual([p.type for p in got], [2, 9, 13, 4, 2, 6])
        self.assertEqual(got[5].pid, 7)
        self.assertEqual((got[0].session_present, got[0].codes), (True, b"\x00"))
        self.assertEqual((got[1].pid, got[1].codes), (10, b"\x01\x80"))
        self.assertEqual((got[3].pid, got[4].codes), (0x1234, b"\x05"))

    def test_limits_of_topic_and_payload(self):
        for topic, payload in (("t" * 128, bytes(1024)), ("t", b"")):
            for qos in (0, 1):
                got = mqtt_packet.Parser().feed(publish(topic, payload, qos))
                self.assertEqual((got[0].topic, len(got[0].payload)), (topic, len(payload)))

    def test_message_over_the_limits_is_skipped_and_the_next_one_read(self):
        """decisions.md DEC-15, whichever limit it is over, and however it arrives."""
        topics = ("t", "t" * 128, "t" * 129, "t" * 1160, "t" * 5000, "t" * 65535, "")
        for topic in topics:
            for payload in (b"", bytes(1024), bytes(1025), bytes(1160), bytes(5000)):
                if 0 < len(topic) <= 128 and len(payload) <= 1024:
                    continue
                for qos in (0, 1, 2):
                    raw = legal(topic, payload, qos, 0x1234) + legal("next", b"x", 1, 9)
                    for size in (7, 255, 4096) if len(raw) < 20000 else (4096,):
                        parser = mqtt_packet.Parser()
                        got = []
                        for at in range(0, len(raw), size):
                            got += parser.feed(raw[at : at + size])
                        shown = [(each.topic, bytes(each.payload), each.qos, each.pid) for each in got]
                        skipped = (None, b"", qos, 0x1234 if qos else 0)
                        self.assertEqual(shown, [skipped, ("next", b"x", 1, 9)])

    def test_topic_that_no_one_should_have_sent_is_skipped(self):
        for topic in (b"+", b"a/#", b"a\x00b", b"\xc0\x80", b"\xed\xa0\x80", b"\xff", b""):
            for qos in (0, 1, 2):
                got = mqtt_packet.Parser().feed(legal(topic, b"x", qos, 5))
                self.assertEqual([(each.topic, each.pid) for each in got], [(None, 5 if qos else 0)])

    def test_a_message_of_megabytes_is_skipped_block_by_block(self):
        parser = mqtt_packet.Parser()
        self.assertEqual(parser.feed(b"\x32\x86\x80\x80\x02\x00\x02ab\x00\x07"), [])
        block = memoryview(bytes(65536))
        left = 4 << 20
        while left > 65536:
            self.assertEqual(parser.feed(block), [])
            left -= 65536
        got = parser.feed(block[:left]) + parser.feed(b"\xd0\x00")
        self.assertEqual([(each.type, each.topic, each.pid) for each in got], [(3, None, 7), (13, None, 0)])

    def test_declared_length_is_refused_before_the_body_comes(self):
        for head in (b"\x20\x03", b"\x40\x83", b"\xd0\x01", b"\x90\x13", b"\x62\x03", b"\x36", b"\x3e"):
            with self.assertRaises(ProtocolError):
                mqtt_packet.Parser().feed(head)

    def test_skipped_message_with_a_topic_that_runs_over_its_end_is_refused(self):
        for head in (b"\x30\x85\x09", b"\x32\x85\x09"):
            for size in (0x485 - 1, 0x485, 0xFFFF):
                with self.assertRaises(ProtocolError):
                    parser = mqtt_packet.Parser()
                    parser.feed(head + bytes((size >> 8, size & 255)))
                    parser.feed(bytes(0x485))
        with self.assertRaises(ProtocolError):  # packet id 0
            mqtt_packet.Parser().feed(legal("t", bytes(5000), 1, 0))

    def test_length_of_five_bytes_is_refused(self):
        with self.assertRaises(ProtocolError):
            mqtt_packet.Parser().feed(b"\x30\x80\x80\x80\x80")

    def test_broken_packets(self):
        for raw in (
            b"\x00\x00",  # no such type
            b"\x10\x00",  # only a client sends CONNECT
            b"\x21\x02\x00\x00",  # flags
            b"\x20\x02\x02\x00",
            b"\x20\x01\x00",
            b"\x40\x01\x00",
            b"\x90\x02\x00\x01",
            b"\x36\x05\x00\x01a\x00\x01",  # QoS 3
            b"\x30\x01\x00",
            b"\x30\x03\x00\x02a",
            b"\x60\x02\x00\x01",  # PUBREL without its flag
            b"\x32\x03\x00\x01a",
            b"\x32\x05\x00\x01a\x00\x00",  # packet id 0
        ):
            with self.assertRaises(ProtocolError):
                mqtt_packet.Parser().feed(raw)

    def test_cut_short_at_every_length_yields_nothing(self):
        raw = publish("topic", b"payload", 1)
        for size in range(len(raw)):
            self.assertEqual(mqtt_packet.Parser().feed(raw[:size]), [])

    def test_every_corrupted_octet_parses_or_raises_protocol_error(self):
        raw = publish("topic", b"payload", 1)
        for at in range(len(raw)):
            for value in range(256):
                bad = bytearray(raw)
                bad[at] = value
                try:
                    mqtt_packet.Parser().feed(bytes(bad))
                except ProtocolError:
                    pass
