"""Signed messages: known answers, every altered byte, what is no signature, nonces, the window of numbers."""

import json
import unittest

from firmware.lib import envelope, topics

_FOLDER = __file__.rsplit("/", 1)[0] if "/" in __file__ else "."
_KEY = bytes(range(32))
_TOPIC = "gatehouse/001122334455/cmd"
_SECRET = bytes(range(16))


def _vectors():
    with open(_FOLDER + "/../../docs/spec/signed-messages.json") as file:
        return json.load(file)


class KnownAnswers(unittest.TestCase):
    def test_signed_payloads(self):
        rows = _vectors()["signed"]
        self.assertTrue(len(rows) >= 4)
        for row in rows:
            key = bytes.fromhex(row["key"])
            self.assertEqual(envelope.sign(key, row["topic"], row["unsigned"]), row["payload"])
            payload = row["payload"].encode()
            self.assertTrue(envelope.verify(key, row["topic"], payload))
            self.assertFalse(envelope.verify(key, row["topic"] + "x", payload))
            self.assertFalse(envelope.verify(bytes(32), row["topic"], payload))

    def test_nonces(self):
        for row in _vectors()["nonces"]:
            secret = bytes.fromhex(row["secret"])
            self.assertEqual(envelope.nonce(secret, row["tick_s"], row["iss"]), row["nonce"])
            self.assertEqual(envelope.nonce_tick(secret, row["nonce"], row["iss"]), row["tick_s"])

    def test_record_key(self):
        for row in _vectors()["record_keys"]:
            self.assertEqual(envelope.record_key(bytes.fromhex(row["owner"])).hex(), row["records"])


class Mac(unittest.TestCase):
    def test_every_altered_dropped_or_doubled_byte_is_noticed(self):
        text = envelope.sign(_KEY, _TOPIC, '{"id":"1","op":"unlock","iss":"owner"}').encode()
        for at in range(len(text)):
            flipped = bytearray(text)
            flipped[at] ^= 1
            for bad in (bytes(flipped), text[:at] + text[at + 1 :], text[:at] + text[at : at + 1] + text[at:]):
                if bad != text:
                    self.assertFalse(envelope.verify(_KEY, _TOPIC, bad), "at %d" % at)

    def test_what_is_no_signature(self):
        signed = envelope.sign(_KEY, _TOPIC, '{"a":1}').encode()
        tail = signed[-74:]
        for payload in (
            b"",
            b"{}",
            tail,
            b"{" + tail,
            signed + b" ",
            signed[:-1],
            signed.upper(),
            signed.replace(b',"mac"', b', "mac"'),
            signed.replace(b'"mac":"', b'"mac": "'),
        ):
            self.assertFalse(envelope.verify(_KEY, _TOPIC, payload), payload)
        self.assertTrue(envelope.verify(_KEY, _TOPIC, signed))

    def test_one_wrong_sign_at_any_place_is_seen(self):
        signed = envelope.sign(_KEY, _TOPIC, '{"id":"1"}').encode()
        for place in range(len(signed) - 66, len(signed) - 2):
            for octet in b"g/:@`G\x00\xff ":
                self.assertFalse(envelope.is_signed(signed[:place] + bytes((octet,)) + signed[place + 1 :]))
        for place in range(12):
            for sign in "g/:@`A\u00e4 ":
                text = "0123456789abcdef"[:place] + sign + "0123456789abcdef"[place + 1 :]
                self.assertFalse(topics.is_id(text[:12]), text)
                self.assertEqual(envelope.is_name(text), sign == "g", text)
                self.assertEqual(envelope.nonce_tick(bytes(16), 2 * text, "owner"), None)

    def test_only_an_object_with_a_member_is_signed(self):
        for text in ("", "{}", "[1]", "1"):
            with self.assertRaises(ValueError):
                envelope.sign(_KEY, _TOPIC, text)

    def test_topic_and_payload_do_not_run_into_each_other(self):
        one = envelope.sign(_KEY, "a", '{"b":1}')[-66:]
        self.assertNotEqual(one, envelope.sign(_KEY, 'a\x00{"b":1', "{x}")[-66:])


class Issuers(unittest.TestCase):
    def test_the_name_is_found_as_it_stands(self):
        for text, name in (
            ('{"iss":"owner","mac":"x"}', "owner"),
            ('{ "iss" : "hall-2" }', "hall-2"),
            ('{"args":{"iss":"a"},"iss":"b"}', "b"),
            ('{"iss":"0123456789abcdef"}', "0123456789abcdef"),
        ):
            self.assertEqual(envelope.issuer_of(text.encode()), name)
        for text in (
            "{}",
            '{"iss":1}',
            '{"iss":""}',
            '{"iss":"Owner"}',
            '{"iss":"0123456789abcdefg"}',
            '{"iss":"ow ner"}',
            '{"iss"',
            '{"iss":"a',
            '{"a":"iss"}',
            '{"iss":"\u00e4"}',
        ):
            self.assertEqual(envelope.issuer_of(text.encode()), None, text)

    def test_names(self):
        for name in ("owner", "a", "-", "0123456789abcdef"):
            self.assertTrue(envelope.is_name(name))
        for name in ("", "A", "a b", "a_b", "0123456789abcdefg", "\u00e4", None, 1, ["a"]):
            self.assertFalse(envelope.is_name(name))


class Nonces(unittest.TestCase):
    def test_it_is_of_one_session_and_one_issuer(self):
        text = envelope.nonce(_SECRET, 77, "owner")
        self.assertEqual(envelope.nonce_tick(_SECRET, text, "owner"), 77)
        self.assertEqual(envelope.nonce_tick(bytes(16), text, "owner"), None)
        self.assertEqual(envelope.nonce_tick(_SECRET, text, "other"), None)
        for at in range(32):
            bad = text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]
            self.assertEqual(envelope.nonce_tick(_SECRET, bad, "owner"), None)

    def test_what_has_not_the_form(self):
        text = envelope.nonce(_SECRET, 0xABCDEF01, "owner")
        for bad in ("", text[:-1], text + "0", text.upper(), text[:-1] + "g", text[:-1] + "\u0660", None, 5, [text]):
            self.assertEqual(envelope.nonce_tick(_SECRET, bad, "owner"), None)


class Windows(unittest.TestCase):
    def test_each_number_once_within_64_below_the_highest(self):
        window = envelope.Window()
        self.assertTrue(window.take(1000))
        self.assertFalse(window.take(1000))
        for seq in range(999, 936, -1):
            self.assertTrue(window.take(seq))
            self.assertFalse(window.take(seq))
        self.assertFalse(window.take(936))
        self.assertTrue(window.take(1063))
        self.assertFalse(window.take(1000))  # still remembered
        self.assertFalse(window.take(999))
        self.assertTrue(window.take(1001))
        self.assertTrue(window.take(1 << 53))
        self.assertFalse(window.take(1063))
        window.clear()
        self.assertTrue(window.take(0))

    def test_as_a_set_of_all_numbers_would(self):
        draw = 1
        window = envelope.Window()
        seen = set()
        top = -1
        for _ in range(3000):
            draw = (draw * 1103515245 + 12345) & 0x7FFFFFFF
            seq = 5000 + (draw >> 8) % 200 + len(seen) // 4
            expected = seq not in seen and seq > top - 64
            self.assertEqual(window.take(seq), expected)
            if expected:
                seen.add(seq)
                top = max(top, seq)


if __name__ == "__main__":
    unittest.main()
