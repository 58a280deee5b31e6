"""Lists of a lock with entries that nobody has described: such an entry is unknown, and the list goes on."""

import unittest

from firmware.lib.messages import card_client, fingerprint_client, passage_client, passcode_client
from firmware.lib.messages.session_client import device_text, features

_START = b"\x00\x01\x1f\x0e\x00"
_END = b"\x63\x0b\x1e\x0e\x00"
_CARD = b"\x01\x02\x03\x04" + _START + _END
_FINGER = b"\x01\x02\x03\x04\x00\x05" + _START + _END
_CODE = b"\x06123456\x06123456"
# hardware-facts.md F76, F14: what locks of the field say of themselves
_VERSIONS = ("4.3.1", "5.1.0", "6.0.14", "6.3.2", "6.4.5", "6.5.20.240724", "6.6.07", "6.7.13", "7.2.19.25092503")
_MODELS = ("SN484_PV53", "SN478", "SN656-NS", "SN534-4P-T78-BELL", "SN8503-T80-WIFID-BELL-RCI-NW", "SN609", "KT170")


class UnknownEntryTest(unittest.TestCase):
    def test_cards_of_every_length(self):
        for size in range(120):
            data = b"\x5a\x01\x00\x07" + (_CARD * 10)[:size]
            if size == 0:
                continue  # no entry and no end: not what a list says
            after, entry = card_client.entry(data)
            self.assertEqual((after, entry.id is not None), (7, size in (14, 18) and self.is_dated(data)), "%d" % size)
        self.assertEqual(card_client.entry(b"\x5a\x01\xff\xff"), (None, None))

    def is_dated(self, data):
        """Whether the ten bytes at the end are two dates: of the four lengths, that of a card of eight bytes is not."""
        return data[-10:] == _START + _END

    def test_cards_and_fingers_with_impossible_dates(self):
        for place in range(10):
            for decode, head, plain in (
                (card_client.entry, b"\x5a\x01\x00\x02", _CARD),
                (fingerprint_client.entry, b"\x5a\x06\x00\x02", _FINGER),
            ):
                bad = bytearray(plain)
                bad[len(plain) - 10 + place] = 0xFE
                after, entry = decode(head + bytes(bad))
                self.assertEqual((after, entry.start, entry.end), (2, None, None))

    def test_fingers_and_fobs_of_every_length(self):
        for size in range(1, 120):
            data = b"\x5a\x06\x00\x07" + (_FINGER * 10)[:size]
            after, entry = fingerprint_client.entry(data)
            self.assertEqual((after, entry.number is not None), (7, size == 16), "%d" % size)
            after, entry = fingerprint_client.fob_entry(data)
            self.assertEqual((after, entry.number is not None), (7, size == 18), "%d" % size)

    def test_passcodes_of_every_kind_and_length(self):
        trailers = {1: 5, 2: 10, 3: 10, 4: 7}
        for kind in range(256):
            for size in range(14):
                item = bytes((kind,)) + _CODE + (_START + b"\x03\xe8\x0b\x1e\x0e" + bytes(4))[:size]
                page = b"\x00\x05" + bytes((len(item),)) + item
                after, entries = passcode_client.page(bytes((0, len(page))) + page)
                entry = entries[0]
                self.assertEqual((after, entry.kind, entry.code), (5, kind, "123456"))
                if trailers.get(kind) != size:
                    self.assertEqual((entry.start, entry.end), (None, None), "%d %d" % (kind, size))
        for item in (b"", b"\x01", b"\x01\x06123", b"\x01\x04abcd\x041234" + _START):
            page = b"\x00\x05" + bytes((len(item),)) + item + bytes((len(_CODE) + 6,)) + b"\x01" + _CODE + _START
            _, entries = passcode_client.page(bytes((0, len(page))) + page)
            self.assertEqual([each.code for each in entries], [None, "123456"])

    def test_windows_several_in_one_answer(self):
        week, month = b"\x01\x05\x00\x08\x00\x17\x3b", b"\x02\x1f\x0c\x08\x00\x17\x3b"
        for windows in ([], [week], [week, month], [week] * 5, [b"\x03" + week[1:], week], [week, b"\x01\x05"]):
            data = b"\x5a\x01\x04" + b"".join(windows)
            after, listed = passage_client.entries(data)
            self.assertEqual((after, listed), (4 if windows else None, windows))
            self.assertEqual(
                [passage_client.is_known(raw) for raw in listed], [raw in (week, month) for raw in windows]
            )
        for end in (0, 255):
            self.assertEqual(passage_client.entries(b"\x5a\x01" + bytes((end,)) + week), (None, [week]))


class SayingsTest(unittest.TestCase):
    def test_all_words_of_the_features_count(self):
        for words in range(1, 9):
            data = b"\x5a" + b"".join([bytes((0, 0, 0, 1 + place)) for place in range(words)])
            mask = sum([(1 + place) << 32 * place for place in range(words)])
            self.assertEqual(features(data), (0x5A, mask))
        _, mask = features(b"\x5a" + bytes.fromhex("754cf5f7801c2f44"))  # hardware-facts.md F75
        self.assertTrue(mask >> 63 & 1)

    def test_what_locks_say_of_themselves(self):
        for text in _VERSIONS + _MODELS + tuple([model + "_PV53" for model in _MODELS]):
            self.assertEqual(device_text(text.encode()), text)
            self.assertEqual(device_text(text.encode() + b"\x00"), text)


if __name__ == "__main__":
    unittest.main()
