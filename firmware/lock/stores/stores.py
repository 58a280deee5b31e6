"""Everything that the lock keeps on flash, in one list, and what a start, a roll-back and a reset do to all of it.

Owns the vault, its transaction (security.md PAIR-2) and its wipe (security.md RST-2). What is not in the list is not
kept: a store that is added there is read, rolled back and reset with all others. What a store means is its module's.
"""

from firmware.lib import dates, records
from firmware.lib.errors import ProtocolError
from firmware.lock.stores.bank import classes
from firmware.lock.stores.clock import Clock
from firmware.lock.stores.ekeys import Ekeys
from firmware.lock.stores.held import Cards, Fingerprints, Fobs
from firmware.lock.stores.keys import KEYS, Keys
from firmware.lock.stores.limits import Limits
from firmware.lock.stores.offline import Offline
from firmware.lock.stores.options import Name, Options
from firmware.lock.stores.passage import Passage
from firmware.lock.stores.passcodes import Passcodes
from firmware.lock.stores.ring import Intent, Ring
from firmware.system import store
from firmware.system.journal import Journal
from firmware.system.store import Cell
from firmware.system.vault import Vault


class Stores:
    """`is_damaged`: the keys of an owner are there and cannot be read; nobody may pair until a reset by the button."""

    def __init__(self, folder, nvs, rtc_s, set_rtc, now_ms=0, is_clock_lost=False):
        """The stores below `folder`, which is made where missing, as they are after a start."""
        for name in ("ring", "state"):
            store.make_folder("%s/%s" % (folder, name))
        state = folder + "/state/"
        self.vault = vault = Vault(folder + "/vault", nvs)
        self.ring = Ring(Journal(folder + "/ring", 50, 11, 0), Cell(state + "cursor"), vault)
        self.intent = Intent(Cell(state + "intent"), self.ring, vault)
        self.keys = Keys(vault)
        self.options = Options(vault)
        self.name = Name(vault)
        self.passcodes = Passcodes(vault)
        self.offline = Offline(vault)
        self.ekeys = Ekeys(vault)
        self.cards = Cards(vault)
        self.fingerprints = Fingerprints(vault)
        self.fobs = Fobs(vault)
        self.passage = Passage(vault)
        self.limits = Limits(Cell(state + "limits"), now_ms, Cell(state + "ekeys"))
        self.clock = Clock(rtc_s, set_rtc, folder + "/clock.json")
        self.all = (
            self.ring,
            self.intent,
            self.keys,
            self.options,
            self.name,
            self.passcodes,
            self.offline,
            self.ekeys,
            self.cards,
            self.fingerprints,
            self.fobs,
            self.passage,
            self.limits,
            self.clock,
        )
        self.is_damaged = False
        if vault.is_wiping:  # a reset that a power cut interrupted is finished before anything is read
            self._wipe()
        elif vault.load(KEYS) is None:
            self.is_damaged = vault.is_damaged(KEYS)
            if not self.is_damaged:
                self._remove_all()
        self.clock.start(is_clock_lost, _newest_s(self.ring))
        self._load()

    def _classes(self):
        """The names of all classes that the vault may hold."""
        names = set(self.vault.names())
        for each in self.all:
            for name, capacity in each.CLASSES:
                names.update(classes(name, capacity))
        return sorted(names)

    def _remove_all(self):
        """Nobody's lock: a pairing may have been cut before its last store."""
        for name in self._classes():
            self.vault.remove(name)

    def _load(self):
        for each in self.all:
            each.load()
        if not self.keys.is_paired:
            self.clock.distrust()  # it was set by a client whose pairing broke off, or by the owner before

    # Pairing: nothing that is changed between `begin` and `commit` is on flash

    def begin(self):
        """From here on every change in the vault is held in RAM."""
        self.vault.begin()

    def commit(self):
        """Store what was held, the keys last: they make the rest count."""
        self.vault.commit(KEYS)

    def roll_back(self):
        """Forget what was held."""
        self.vault.rollback()
        self._load()

    # Reset

    def promise_reset(self):
        """First phase: durably promised; a start finishes what a power cut interrupts."""
        self.vault.mark_wipe()

    def reset(self):
        """Second phase: nothing of the owner's is left. Wrong-answer counters stay (security.md RST-3)."""
        self._wipe()
        self.is_damaged = False
        self._load()

    def _wipe(self):
        self.vault.wipe(self._classes(), self._wipe_others)

    def _wipe_others(self):
        for each in self.all:
            each.wipe()


def _newest_s(ring):
    """Time of the newest record, 0 without one that can be read."""
    raw = ring.latest()
    try:
        date = None if raw is None else records.decode(raw).date
    except ProtocolError:
        date = None
    return 0 if date is None else dates.to_seconds(date)
