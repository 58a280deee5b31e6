"""No store is forgotten: every one stands in the one list, is emptied by a reset and taken back with a pairing.

What a lock keeps on flash is found out without the list: every object that holds the vault, a cell or a journal.
"""

import os
import sys
import unittest

from firmware.lock.stores.bank import Bank, Store
from firmware.lock.stores.stores import Stores
from firmware.system.journal import Journal
from firmware.system.store import Cell
from firmware.system.vault import Vault
from tests.scratch import scratch
from tests.unit.lock_rig import START_S, Rig

FOLDER = scratch("lock-reset")
CARD = b"\x12\x34\x56\x78"
FINGER = b"template"
FOB = b"fob000"
LIMITS = b"\x00\x01\x01\x00\x00\x63\x01\x01\x00\x00"
UID = 0x4B000000
WINDOW = b"\x01\x07\x00\x08\x00\x09\x00"
SEEDS = bytes(61)

_OUTLIVE_A_RESET = ("Limits", "Clock")  # wrong-answer counters (RST-3); the RTC goes on, distrusted


def _add_passcode(stores):
    stores.passcodes.add(1, b"246810", LIMITS[:5])


def _add_fob(stores):
    stores.fobs.add(FOB, 90)
    stores.fobs.sighted(FOB, 80, 0)


def _set_seeds(stores):
    stores.keys.set_seeds(SEEDS)
    stores.offline.load()
    stores.offline.use(1, 400000, 3, 24000000)


def _add_cards(stores):
    stores.cards.add(CARD)
    stores.cards.mark_lost(CARD + CARD)


def _hold_open(stores):
    stores.passage.add(WINDOW)
    stores.passage.opened(24000000)


# How each kind of store comes to hold something; a kind that is missing here fails the test
FILLED = {
    "Ring": lambda stores: (stores.ring.append(b"record"), stores.ring.read(0), stores.ring.keep_cursor()),
    "Intent": lambda stores: stores.intent.begin("unlocked", b"record"),
    "Keys": lambda stores: stores.keys.set_admin_passcode(b"1357"),
    "Options": lambda stores: stores.options.change_all({"autolock_s": 60, "frozen": 1}),
    "Name": lambda stores: stores.name.set("Front door"),
    "Passcodes": _add_passcode,
    "Offline": _set_seeds,
    "Ekeys": lambda stores: stores.ekeys.add(UID, 12345, LIMITS + b"\x02"),
    "Cards": _add_cards,
    "Fingerprints": lambda stores: stores.fingerprints.add(FINGER),
    "Fobs": _add_fob,
    "Passage": _hold_open,
    "Limits": lambda stores: stores.limits.keypad.begin(10**6),
    "Clock": lambda stores: stores.clock.set((2026, 5, 12, 8, 0, 0), True),
}
IN_THE_VAULT = [kind for kind in FILLED if kind not in ("Ring", "Intent", "Limits", "Clock")]


def kind_of(thing):
    return type(thing).__name__


def parts(thing):
    """What an object of ours holds directly."""
    held = getattr(thing, "__dict__", None)
    found = []
    if held is not None and type(thing).__module__.startswith("firmware."):
        for each in held.values():
            found += list(each) if isinstance(each, (tuple, list)) else [each]
    elif hasattr(thing, "__self__"):  # a bound method
        found = [thing.__self__]
    elif hasattr(thing, "__closure__") and thing.__closure__:
        found = [cell.cell_contents for cell in thing.__closure__]
    return found


def reached(start):
    """(object, what it holds) of everything that hangs on `start`."""
    seen = {}
    todo = [start]
    while todo:
        thing = todo.pop()
        if id(thing) not in seen:
            seen[id(thing)] = (thing, parts(thing))
            todo += seen[id(thing)][1]
    return list(seen.values())


def state(store):
    """What a store holds, as plain values: its own attributes, its banks, its cell and its journal."""
    found = {}
    for name, value in store.__dict__.items():
        if isinstance(value, Bank):
            rows = []
            row = value.at(0)
            while row is not None:
                rows.append(row)
                row = value.at(row[0] + 1)
            found[name] = rows
        elif isinstance(value, Cell):
            kept = value.load()
            found[name] = kept if kept and any(kept) else None
        elif isinstance(value, Journal):
            found[name] = [wrapped for _, wrapped in value.records(0)]
        elif isinstance(value, (bool, int, str, bytes, type(None), list, dict)):
            found[name] = value
    return found


def fill(stores, kinds=FILLED):
    for kind in kinds:
        FILLED[kind](stores)


def states(stores, kinds=FILLED):
    return {kind_of(store): state(store) for store in stores.all if kind_of(store) in kinds}


class ResetTest(unittest.TestCase):
    def setUp(self):
        self.fresh = Rig(FOLDER)
        self.empty = states(self.fresh.device.stores)
        self.rig = Rig(FOLDER).paired()
        self.stores = self.rig.device.stores

    @unittest.skipIf(sys.implementation.name != "cpython", "MicroPython does not tell what a closure holds")
    def test_every_object_that_keeps_something_on_flash_is_in_the_list(self):
        keepers = [
            each for each, held in reached(self.rig.lock) if any(isinstance(x, (Vault, Cell, Journal)) for x in held)
        ]
        keepers = [each for each in keepers if type(each).__module__.startswith("firmware.lock")]
        banks = [each for each in keepers if isinstance(each, Bank)]
        counters = [each for each in keepers if kind_of(each) == "Counters"]
        owned = [x for store in self.stores.all for x in parts(store)]
        for each in banks + counters:
            self.assertTrue(any(each is x for x in owned), "%s is no store's" % kind_of(each))
        others = {kind_of(each) for each in keepers if each not in banks + counters}
        listed = {kind_of(store) for store in self.stores.all}
        self.assertEqual(others - {"Stores"} - listed, set())
        self.assertEqual((listed, len(self.stores.all)), (set(FILLED), len(FILLED)))
        for store in self.stores.all:
            self.assertTrue(isinstance(store, Store), kind_of(store))
        held = [store for store in self.stores.__dict__.values() if isinstance(store, Store)]
        self.assertEqual(sorted(map(kind_of, held)), sorted(FILLED))

    def test_every_class_of_the_vault_is_named_by_its_store(self):
        fill(self.stores)
        before = set(self.stores.vault.names())
        named = set()
        for store in self.stores.all:
            named.update(name for name, _ in store.CLASSES)
        self.assertEqual({name.split(".")[0] for name in before} - named, set())
        for kind in IN_THE_VAULT:  # each has something there, so that what follows is not proved over nothing
            store = next(store for store in self.stores.all if kind_of(store) == kind)
            self.assertTrue({name for name, _ in store.CLASSES} & {name.split(".")[0] for name in before}, kind)

    def emptied(self, stores, nvs):
        """Nothing of the owner is left: not in the stores, not in a file, not in NVS."""
        found = states(stores)
        for kind in FILLED:
            if kind not in _OUTLIVE_A_RESET:
                for name in self.empty[kind]:
                    if name != "_tag":
                        self.assertEqual(found[kind][name], self.empty[kind][name], "%s.%s" % (kind, name))
        self.assertEqual((os.listdir(FOLDER + "/vault"), stores.vault.names()), ([], []))
        self.assertEqual([key for _, key in nvs.values], [])
        self.assertFalse(stores.clock.is_trusted)
        self.assertEqual(stores.limits.keypad.consecutive, 1)

    def test_a_reset_leaves_nothing(self):
        fill(self.stores)
        full = states(self.stores)
        for kind in set(FILLED) - set(_OUTLIVE_A_RESET):
            self.assertNotEqual(full[kind], self.empty[kind], kind)
        self.rig.reset()
        self.emptied(self.stores, self.rig.nvs)
        again = Stores(FOLDER, self.rig.nvs, lambda: START_S, lambda seconds: None)
        self.emptied(again, self.rig.nvs)

    def test_a_reset_that_was_cut_leaves_nothing(self):
        fill(self.stores)
        self.rig.lock.ownership.promise_reset()
        again = Stores(FOLDER, self.rig.nvs, lambda: START_S, lambda seconds: None)
        self.emptied(again, self.rig.nvs)

    def test_a_pairing_that_breaks_off_takes_everything_along(self):
        self.rig.reset()
        self.rig.pair(finish=False)
        stores = self.rig.device.stores
        fill(stores, IN_THE_VAULT)
        full = states(stores)
        for kind in IN_THE_VAULT:
            self.assertNotEqual(full[kind], self.empty[kind], kind)
        self.rig.disconnect()
        found = states(stores, IN_THE_VAULT)
        for kind in IN_THE_VAULT:
            self.assertEqual(found[kind], self.empty[kind], kind)
        self.assertEqual(os.listdir(FOLDER + "/vault"), [])
        self.assertFalse(stores.clock.is_trusted)

    def test_each_kind_alone(self):
        for kind in IN_THE_VAULT:
            FILLED[kind](self.stores)
            self.rig.reset()
            self.assertEqual(states(self.stores, (kind,))[kind], self.empty[kind], kind)
            self.rig.paired()


if __name__ == "__main__":
    unittest.main()
