import os
import unittest

from firmware.lock.stores.bank import Bank, classes
from firmware.system import store
from firmware.system.vault import Vault
from tests.scratch import scratch
from tests.unit.fake_nvs import Nvs
from tests.unit.lock_rig import erase

FOLDER = scratch("bank")


def key(n):
    return b"%04d" % n


def row(n, text=b""):
    return key(n) + b"|" + text


def key_of(packed):
    return packed[:4]


class BankTest(unittest.TestCase):
    def setUp(self):
        erase(FOLDER)
        store.make_folder(FOLDER)
        self.nvs = Nvs()
        self.bank = self.start()

    def tearDown(self):
        erase(FOLDER)

    def start(self, capacity=100):
        self.vault = Vault(FOLDER, self.nvs)
        bank = Bank(self.vault, "cards", capacity, key_of)
        bank.load()
        return bank

    def walk(self, bank):
        found = []
        item = bank.at(0)
        while item is not None:
            found.append(item)
            item = bank.at(item[0] + 1)
        return found

    def test_found_by_the_whole_key_and_after_a_start(self):
        for n in range(70):
            self.assertEqual(self.bank.put(key(n), row(n, b"x" * (n % 40))), n)
        for bank in (self.bank, self.start()):
            self.assertEqual(len(bank), 70)
            for n in range(70):
                self.assertEqual(bank.find(key(n)), (n, row(n, b"x" * (n % 40))))
            for other in (b"0070", b"000", b"00000", b""):
                self.assertEqual(bank.find(other), None)
            self.assertEqual([slot for slot, _ in self.walk(bank)], list(range(70)))
        self.assertEqual(sorted(os.listdir(FOLDER))[:2], ["cards.00.a", "cards.00.b"])

    def test_replacing_keeps_the_slot(self):
        for n in range(3):
            self.bank.put(key(n), row(n))
        self.assertEqual(self.bank.put(key(1), row(1, b"other")), 1)
        self.assertEqual(len(self.bank), 3)
        self.assertEqual(self.start().find(key(1)), (1, row(1, b"other")))

    def test_removed_is_gone_and_its_slot_free(self):
        for n in range(40):
            self.bank.put(key(n), row(n))
        self.assertTrue(self.bank.remove(key(35)))
        self.assertFalse(self.bank.remove(key(35)))
        self.assertTrue(self.bank.remove(key(3)))
        for bank in (self.bank, self.start()):
            self.assertEqual(len(bank), 38)
            self.assertEqual(bank.find(key(3)), None)
            self.assertEqual(bank.at(3), (4, row(4)))
        self.bank = self.start()
        self.assertEqual(self.bank.put(key(90), row(90)), 3)
        self.assertEqual(self.bank.put(key(91), row(91)), 35)
        self.assertEqual(self.start().find(key(91)), (35, row(91)))

    def test_full(self):
        bank = self.start(33)
        for n in range(33):
            self.assertEqual(bank.put(key(n), row(n)), n)
        self.assertEqual(bank.put(key(33), row(33)), None)
        self.assertEqual(bank.put(key(32), row(32, b"longer")), 32)
        bank.remove(key(0))
        self.assertEqual(bank.put(key(33), row(33)), 0)

    def test_cleared_for_good(self):
        for n in range(40):
            self.bank.put(key(n), row(n))
        kept = {}
        for name in os.listdir(FOLDER):
            with open(FOLDER + "/" + name, "rb") as file:
                kept[name] = file.read()
        self.bank.clear()
        self.assertEqual((len(self.bank), self.bank.find(key(1)), self.bank.at(0)), (0, None, None))
        self.assertEqual(self.vault.names(), ["cards"])
        self.assertEqual([name for _, name in self.nvs.values if name[:2] == "v."], ["v.cards"])
        for name in kept:  # a file system that gives old pages back
            with open(FOLDER + "/" + name, "wb") as file:
                file.write(kept[name])
        self.bank = self.start()
        self.assertEqual((len(self.bank), self.vault.names()), (0, ["cards"]))
        self.assertEqual(self.bank.put(key(5), row(5)), 0)
        self.assertEqual(self.walk(self.start()), [(0, row(5))])

    def test_a_lost_head_revives_nothing(self):
        self.bank.put(key(1), row(1))
        self.bank.clear()
        self.bank.put(key(2), row(2))
        for copy in ("cards.a", "cards.b"):
            with open(FOLDER + "/" + copy, "wb") as file:
                file.write(b"damaged")
        self.bank = self.start()
        self.assertEqual(len(self.bank), 0)
        self.bank.put(key(3), row(3))
        self.assertEqual(self.walk(self.start()), [(0, row(3))])

    def test_in_a_transaction(self):
        self.vault.begin()
        self.bank.put(key(1), row(1))
        self.assertEqual(self.bank.find(key(1)), (0, row(1)))
        self.vault.rollback()
        self.bank.load()
        self.assertEqual((len(self.bank), self.bank.find(key(1))), (0, None))
        self.vault.begin()
        self.bank.put(key(1), row(1))
        self.bank.clear()
        self.bank.put(key(2), row(2))
        self.vault.commit("cards")
        for bank in (self.bank, self.start()):
            self.assertEqual(self.walk(bank), [(0, row(2))])

    def test_wiped_with_all_that_is_left_of_it(self):
        for n in range(40):
            self.bank.put(key(n), row(n))
        os.remove(FOLDER + "/cards.01.a")  # a removal that was cut behind the files
        os.remove(FOLDER + "/cards.01.b")
        self.vault.wipe(classes("cards", 100), lambda: None)
        self.assertEqual((os.listdir(FOLDER), list(self.nvs.values)), ([], []))
        self.bank.load()
        self.assertEqual(len(self.bank), 0)

    def test_a_flash_that_refuses_changes_nothing(self):
        for n in range(3):
            self.bank.put(key(n), row(n))
        save = self.vault.save

        def refuse(name, plain):
            raise OSError(28)

        self.vault.save = refuse
        for change in (
            lambda: self.bank.put(key(7), row(7)),
            lambda: self.bank.put(key(1), row(1, b"x")),
            lambda: self.bank.remove(key(1)),
            self.bank.clear,
        ):
            self.assertRaises(OSError, change)
            self.assertEqual(self.walk(self.bank), [(n, row(n)) for n in range(3)])
            self.assertEqual((self.bank.find(key(1)), self.bank.find(key(7))), ((1, row(1)), None))
        self.vault.save = save
        self.assertEqual(self.bank.put(key(7), row(7)), 3)

    def test_a_decision_costs_a_few_steps_and_one_page(self):
        bank = self.start(200)
        for n in range(200):
            bank.put(key(n), row(n))
        for wanted, most_pages in ((key(150), 1), (b"none", 0)):
            steps, pages = bank.comparisons, bank.pages_read
            bank.find(wanted)
            self.assertTrue(bank.comparisons - steps <= 10)
            self.assertTrue(bank.pages_read - pages <= most_pages)
