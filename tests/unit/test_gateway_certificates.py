"""Certificates and keys over the console: whole and intact, or refused; what no setting names does not stay."""

import binascii
import hashlib
import os
import unittest

from firmware.gateway import certificates
from firmware.gateway.provisioning import Provisioning
from firmware.lib.errors import BadRequest
from tests.scratch import scratch

CONTENT = b"\x30\x82" + bytes(range(256)) * 3
OTHER = b"\x30\x82other"


def digest(content):
    return binascii.hexlify(hashlib.sha256(content).digest()).decode()


def piece(content, at=0, name="ca", **changes):
    made = {"do": "put", "name": name, "at": at}
    made["hex"] = binascii.hexlify(content).decode()
    made["crc"] = binascii.crc32(content) & 0xFFFFFFFF
    made.update(changes)
    return made


class CertificatesTest(unittest.TestCase):
    def setUp(self):
        self.folder = scratch("certificates")
        os.mkdir(self.folder)
        self.settings = self.folder + "/settings.json"
        self.console = Provisioning("240ac4a00000", None, self.settings)

    def tearDown(self):
        for name in os.listdir(self.folder):
            os.remove(self.folder + "/" + name)
        os.rmdir(self.folder)

    def ask(self, request):
        return self.console.handle(request)

    def bring(self, content, name="ca", step=100):
        for at in range(0, len(content), step):
            reply = self.ask(piece(content[at : at + step], at, name))
            self.assertEqual(reply, {"ok": True, "size": min(at + step, len(content))})
        return self.ask({"do": "put", "name": name, "sha256": digest(content)})["path"]

    def test_a_file_arrives_as_it_was_sent(self):
        for name in certificates.KINDS:
            path = self.bring(CONTENT, name)
            with open(path, "rb") as file:
                self.assertEqual(file.read(), CONTENT)
        self.assertEqual(len(os.listdir(self.folder)), 3)

    def test_a_piece_may_come_again_and_a_file_from_the_start(self):
        self.ask(piece(OTHER, 0))
        self.ask(piece(CONTENT[:50], 0))
        self.ask(piece(CONTENT[50:], 50))
        self.ask(piece(CONTENT[50:], 50))
        path = self.ask({"do": "put", "name": "ca", "sha256": digest(CONTENT)})["path"]
        with open(path, "rb") as file:
            self.assertEqual(file.read(), CONTENT)

    def test_what_is_not_right_is_refused_and_leaves_no_file_to_use(self):
        wrong = [
            piece(CONTENT, name="../ca"),
            piece(CONTENT, name=None),
            piece(CONTENT, at=1),
            piece(CONTENT, at=-1),
            piece(CONTENT, at=None),
            piece(CONTENT, at="0"),
            piece(CONTENT, at=True),
            piece(CONTENT, crc=1),
            piece(CONTENT, crc=None),
            piece(CONTENT, hex="zz"),
            piece(CONTENT, hex="3"),
            piece(CONTENT, hex=None),
            piece(CONTENT, hex=5),
            piece(b""),
            piece(bytes(8193)),
            {"do": "put", "name": "ca", "sha256": digest(CONTENT)},
        ]
        for request in wrong:
            with self.assertRaises(BadRequest):
                self.ask(request)
        self.assertEqual(os.listdir(self.folder), [])
        for content, said in ((CONTENT, digest(OTHER)), (CONTENT, None), (b"no DER", digest(b"no DER"))):
            self.ask(piece(content))
            with self.assertRaises(BadRequest):
                self.ask({"do": "put", "name": "ca", "sha256": said})
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_new_file_leaves_the_old_one_until_settings_name_it(self):
        good = {"wifi_ssid": "home", "mqtt_host": "broker"}
        old = self.bring(CONTENT)
        self.ask({"do": "set", "settings": dict(good, mqtt_ca=old)})
        new = self.bring(OTHER)
        self.ask(piece(CONTENT, 0, "key"))
        self.assertEqual(len([name for name in os.listdir(self.folder) if name.startswith("mqtt_")]), 3)
        self.ask({"do": "set", "settings": {"mqtt_ca": new}})
        left = [name for name in os.listdir(self.folder) if name.startswith("mqtt_")]
        self.assertEqual([self.folder + "/" + name for name in left], [new])
        self.ask({"do": "set", "settings": {"mqtt_ca": None, "insecure_broker": True}})
        self.assertEqual([name for name in os.listdir(self.folder) if name.startswith("mqtt_")], [])


if __name__ == "__main__":
    unittest.main()
