"""What is secret and goes, or takes the place of another, is told before it does, so that a sweep is promised; and what
a sweep does to the results of requests (SECURITY.md, "What lies on a gateway's flash")."""

import binascii
import hashlib
import os
import unittest

from firmware.gateway import certificates, issuers, pin_ops, provisioning
from firmware.gateway.admission import CONFLICT, KNOWN, LOST, NEW, RUNNING, Ids
from firmware.gateway.registry import Registry
from firmware.lib.errors import BadRequest
from firmware.system.journal import Journal
from tests.unit.command_rig import GATEWAY
from tests.unit.gateway_rig import ADDRESS, Now, fresh_folder, known_lock, nvs, quiet_log, vault

GOOD = {"wifi_ssid": "home", "mqtt_host": "broker", "insecure_broker": True}
KEYS = [bytes((number,)) * 32 for number in range(4)]


class Told:
    """Notes, at each call, what `look()` shows then: the old secret must still be there."""

    def __init__(self, look):
        self.seen = []
        self._look = look

    def __call__(self, *_):
        self.seen.append(self._look())


class PromiseTest(unittest.TestCase):
    def test_issuers(self):
        folder = fresh_folder("forgets_issuers")
        all = issuers.Issuers(nvs(folder), folder=folder)
        all.on_replacing = told = Told(lambda: sorted(all.kept()))
        all.own(KEYS[0])
        kept = all.kept()
        for name, key, count in (("guest", KEYS[1], 0), ("guest", KEYS[1], 0), ("guest", KEYS[2], 1)):
            kept[name] = {"key": key.hex()}
            all.store(kept)
            self.assertEqual(len(told.seen), count, name)
        del kept["guest"]
        all.store(kept)
        self.assertEqual(told.seen, [["guest", "owner"]] * 2)

    def test_keys_of_a_lock(self):
        folder = fresh_folder("forgets_locks")
        registry = Registry(vault(folder), Now(), quiet_log(), 1800)
        told = Told(lambda: registry.get(ADDRESS).aes)
        registry.on("removing", told)
        for change, count in (({}, 0), ({}, 0), ({"name": "Hall"}, 0), ({"unlock_key": 8}, 1), ({"admin_ps": 9}, 2)):
            lock = known_lock(ADDRESS)
            for key in change:
                setattr(lock, key, change[key])
            registry.add(lock)
            self.assertEqual(len(told.seen), count, change)
        registry.remove(registry.get(ADDRESS))
        self.assertEqual(len(told.seen), 3)

    def test_settings_the_pin_and_the_private_key(self):
        folder = fresh_folder("forgets_settings")
        path = folder + "/settings.json"
        told = Told(lambda: sorted(os.listdir(folder)))
        console = provisioning.Provisioning(GATEWAY, None, path, changing=told)
        console.handle({"do": "set", "settings": GOOD})
        self.assertEqual(told.seen, [])
        console.handle({"do": "set", "settings": {"wifi_password": "12345678"}})
        self.assertEqual(len(told.seen), 1)

        def put(name, octets, at=0):
            piece = {"name": name, "at": at, "hex": binascii.hexlify(octets).decode(), "crc": binascii.crc32(octets)}
            certificates.put(folder, piece, told)

        put("ca", b"\x30\x01")
        put("ca", b"\x30\x02")  # public
        put("key", b"\x30\x01")
        put("key", b"\x02", 2)
        self.assertEqual(len(told.seen), 1)
        put("key", b"\x30\x03")
        self.assertEqual(len(told.seen), 2)
        for octets in (b"\x30\x03", b"\x31\x03"):
            put("key", octets)
            before = len(told.seen)
            digest = hashlib.sha256(b"another" if octets[0] == 0x30 else octets).digest()
            end = {"name": "key", "sha256": binascii.hexlify(digest).decode()}
            self.assertRaises(BadRequest, lambda: certificates.put(folder, end, told))  # noqa: B023
            self.assertEqual(len(told.seen), before + 1)
            self.assertTrue("mqtt_key.part" in told.seen[-1])
        put("key", b"\x30\x04")
        before = len(told.seen)
        certificates.tidy(folder, {}, told)
        self.assertEqual(len(told.seen), before + 1)

        saved, provisioning.PATH = provisioning.PATH, path
        try:
            used = []
            told.seen.clear()
            self.assertRaises(BadRequest, lambda: pin_ops.run("pin_set", {"pin": "1"}, used.append, told))
            self.assertEqual((used, told.seen), ([], []))
            pin_ops.run("pin_clear", {}, used.append, told)
            self.assertEqual((used, len(told.seen)), ([None], 1))
        finally:
            provisioning.PATH = saved


class ResultsTest(unittest.TestCase):
    def setUp(self):
        self.folder = fresh_folder("forgets_results")
        self.now = Now()
        self.again()

    def again(self):
        self.journal = Journal(self.folder, 4, 11)
        self.ids = Ids(self.journal, self.now, vault(self.folder + "-board"))

    def ask(self, id):
        return self.ids.look(id, hashlib.sha256(id.encode()).digest()[:8])

    def finish(self, id, text=b'{"code":"ok"}'):
        self.assertEqual(self.ask(id)[0], NEW)
        self.ids.done(id, hashlib.sha256(id.encode()).digest()[:8], text)

    def test_results_go_and_ids_stay(self):
        digest = hashlib.sha256(b"running").digest()[:8]
        for count in (0, 1, 3, 4, 5, 17, 40):
            self.setUp()
            ids = ["%d" % number for number in range(count)]
            for id in ids[: count // 2]:
                self.finish(id)
            self.assertEqual(self.ask("running")[0], NEW)
            self.ids.start("running", digest, b"[1]")
            for id in ids[count // 2 :]:
                self.finish(id)
            others = []
            for _ in self.ids.erase_results():
                others.append("meanwhile %d" % len(others))
                self.finish(others[-1])
            lengths = [len(entry) for _, entry in self.journal.records() if entry[0] & 0x7F == 2]
            self.assertEqual((lengths.count(17), len(lengths)), (count, count + len(others)))
            for is_again in (False, True):
                self.assertEqual([self.ask(id)[0] for id in ids], [LOST] * count, (count, is_again))
                self.assertEqual([self.ask(id)[0] for id in others], [KNOWN] * len(others), (count, is_again))
                self.assertEqual(self.ask("running")[0], RUNNING)
                self.assertEqual(self.ids.look("running", bytes(8))[0], CONFLICT)
                self.assertEqual(self.ids.interrupted(), [(digest, b"[1]")] if is_again else [])
                self.again()

    def test_a_younger_result_is_kept_and_an_older_id_forgotten(self):
        self.finish("old")
        self.now.s += 601
        self.finish("young")
        for _ in self.ids.erase_results():
            pass
        self.finish("after")
        self.assertEqual([self.ask(id)[0] for id in ("young", "after", "old")], [LOST, KNOWN, NEW])
        self.again()
        self.assertEqual([self.ask(id)[0] for id in ("young", "after")], [LOST, KNOWN])


if __name__ == "__main__":
    unittest.main()
