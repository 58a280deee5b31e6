import os
import unittest

from firmware.system import store
from firmware.system.vault import Vault
from tests.scratch import scratch
from tests.unit.fake_nvs import Nvs
from tests.unit.lock_rig import erase

FOLDER = scratch("vault")


def flip(name, at=22):
    with open(FOLDER + "/" + name, "rb") as file:
        raw = bytearray(file.read())
    raw[at] ^= 1
    with open(FOLDER + "/" + name, "wb") as file:
        file.write(raw)


def copy(name):
    with open(FOLDER + "/" + name, "rb") as file:
        return file.read()


class VaultTest(unittest.TestCase):
    def setUp(self):
        erase(FOLDER)
        store.make_folder(FOLDER)
        self.nvs = Nvs()

    def tearDown(self):
        erase(FOLDER)

    def vault(self):
        return Vault(FOLDER, self.nvs)

    def test_keeps_and_hides(self):
        vault = self.vault()
        for n in range(5):
            vault.save("keys", b"canary %d" % n)
        self.assertEqual(self.vault().load("keys"), b"canary 4")
        self.assertEqual(sorted(os.listdir(FOLDER)), ["keys.a", "keys.b"])
        for name in os.listdir(FOLDER):
            self.assertFalse(b"canary" in copy(name))

    def test_transaction(self):
        vault = self.vault()
        vault.save("options", b"old")
        vault.begin()
        vault.save("options", b"new")
        self.assertEqual(vault.load("options"), b"new")
        vault.rollback()
        self.assertEqual(vault.load("options"), b"old")
        vault.begin()
        vault.save("options", b"new")
        vault.commit("keys")
        self.assertEqual(vault.load("options"), b"new")

    def test_one_damaged_copy_is_made_good_from_the_other(self):
        for name in ("keys.a", "keys.b"):
            for at in (0, 3, 4, 22, -1):
                self.vault().save("keys", b"secret")
                whole = copy(name)
                flip(name, at)
                self.assertEqual(self.vault().load("keys"), b"secret")
                self.assertEqual(copy(name), whole)

    def test_both_copies_damaged_is_damage_and_nothing_is_taken_from_them(self):
        self.vault().save("keys", b"secret")
        flip("keys.a")
        flip("keys.b")
        self.assertTrue(self.vault().load("keys") is None)
        self.assertTrue(self.vault().is_damaged("keys"))
        self.assertFalse(self.vault().is_damaged("options"))

    def test_files_of_another_key_count_as_damage(self):
        self.vault().save("keys", b"secret")
        other = Vault(FOLDER, Nvs())
        self.assertTrue(other.load("keys") is None)
        self.assertTrue(other.is_damaged("keys"))

    def test_files_that_are_gone_count_as_damage(self):
        self.vault().save("keys", b"secret")
        erase(FOLDER)
        store.make_folder(FOLDER)
        self.assertTrue(self.vault().load("keys") is None)
        self.assertTrue(self.vault().is_damaged("keys"))

    def test_files_of_an_older_state_are_refused(self):
        self.vault().save("passcodes", b"with the deleted one")
        old = copy("passcodes.a")
        self.vault().save("passcodes", b"without")
        for name in ("passcodes.a", "passcodes.b"):
            with open(FOLDER + "/" + name, "wb") as file:
                file.write(old)
        self.assertTrue(self.vault().load("passcodes") is None)
        self.assertTrue(self.vault().is_damaged("passcodes"))
        self.vault().save("passcodes", b"new")
        self.assertEqual(self.vault().load("passcodes"), b"new")

    def test_a_save_that_was_cut_is_completed(self):
        vault = self.vault()
        vault.save("keys", b"old")
        before = {name: copy(name) for name in ("keys.a", "keys.b")}
        counted = dict(self.nvs.values)
        vault.save("keys", b"new")
        after = copy("keys.a")
        for name in ("keys.a", "keys.b"):
            for values in (counted, self.nvs.values):
                for each in before:
                    with open(FOLDER + "/" + each, "wb") as file:
                        file.write(after if each == name else before[each])
                nvs = Nvs()
                nvs.values = dict(values)
                self.assertEqual(Vault(FOLDER, nvs).load("keys"), b"new")
                self.assertEqual((copy("keys.a"), copy("keys.b")), (after, after))
                flip(name)
                self.assertEqual(Vault(FOLDER, nvs).load("keys"), b"new")

    def test_removed_is_as_never_stored(self):
        vault = self.vault()
        vault.save("aabbccddeeff", b"lock")
        self.assertEqual(vault.names(), ["aabbccddeeff"])
        vault.remove("aabbccddeeff")
        self.assertEqual((vault.names(), vault.load("aabbccddeeff")), ([], None))
        self.assertFalse(vault.is_damaged("aabbccddeeff"))

    def test_one_entry_of_the_key_is_enough(self):
        self.vault().save("keys", b"secret")
        for name in ("dsk", "dsk2"):
            self.nvs.erase("gatehouse", name)
            self.assertEqual(self.vault().load("keys"), b"secret")
            self.assertTrue(self.nvs.get("gatehouse", name) is not None)

    def test_wipe_destroys_the_key(self):
        vault = self.vault()
        vault.save("keys", b"secret")
        old = copy("keys.b")
        wrapped = vault.wrap(b"record")
        vault.mark_wipe()
        self.assertTrue(self.vault().is_wiping)
        vault.wipe(("keys",), lambda: None)
        self.assertFalse(vault.is_wiping)
        self.assertEqual((vault.is_damaged("keys"), vault.unwrap(wrapped)), (False, None))
        vault.save("options", b"of the next owner")
        with open(FOLDER + "/keys.b", "wb") as file:
            file.write(old)
        self.assertTrue(self.vault().load("keys") is None)
        self.assertFalse(self.vault().unwrap(wrapped) == b"record")
