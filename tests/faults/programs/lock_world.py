"""A lock on a chip whose power may go: the unit tests' rig on littlefs, what its state is, and how that is judged."""

from firmware.lib import records
from firmware.lock.stores.options import OPTIONS
from tests.faults.programs import cuts, held_flows
from tests.faults.programs.cuts import DATA, differences, misfits
from tests.unit.lock_rig import START_S, Pin, Pins, Refused, Rig

_POWERED_ON = 14
_WRONG = 7
_LOCKED_OUT = 48
_OF_STARTS = (_LOCKED_OUT, 65, 66)  # records that a start may add: a lockout begun anew, a bolt that did not arrive
_MOVED = (1, 4, 17, 20, 26, 28, 46, 47, 55, 92)
_BY_RULES = ("counters", "cursor", "records")
_OF_FINGERS = (20, 21, 22, 23)
_FULL = 440  # what a full store holds at least beside records of power-on
_SURE = 380


def _told(record):
    """The tail of a record, of a finger's number only the place: a cut may cost a number."""
    return record.tail[4:] if record.type in _OF_FINGERS else record.tail


class LockWorld(Rig):
    """The lock, the client beside it, and the door: all that outlives a loss of power but for the flash."""

    def __init__(self, chip, rtc=START_S, client_key=None):
        self.folder = DATA
        self.now_ms = 1000
        self.rtc = rtc
        self.pins = Pins()
        self.button = Pin()
        self.nvs = chip.key_store()
        self.settings = {"clock_backup": True}
        self.pushes = []
        self.link = (0, 0)
        self.wrong = []
        self.acked = False
        self.is_again = False
        self.client_key = client_key
        self.moved_before = 0  # movements when the present step began
        self.most_moves = None
        self.consumes = None  # digits that are used up by opening once
        self.is_offline_once = False  # the step shows a one-time code that was made without the lock
        self.once_uid = None  # an ekey that is used up by opening once
        self.delivered = None  # number of the record that the client has read last

    def plain(self, command, plain=b"", key=None, empty=False):
        """As the rig does; what was done is kept, for whoever wants to know which commands have been cut."""
        answer = super().plain(command, plain, key, empty)
        if answer == b"" or (answer and answer[1] == 1):
            cuts.done.add("%02x.%02x" % (command, plain[0] if plain else 0))
        return answer

    def ack(self):
        """Whoever asked has been told."""
        self.acked = True

    def physical(self):
        """What a copy of the flash does not hold, for `revert`."""
        pins = self.pins
        return self.rtc, self.client_key, pins.switch_locked.active, pins.switch_unlocked.active, pins.movements

    def revert(self, physical):
        """As it was at `physical`."""
        pins = self.pins
        self.rtc, self.client_key, pins.switch_locked.active, pins.switch_unlocked.active, pins.movements = physical

    def power_lost(self):
        """What happens at the door: a motor that runs takes the bolt all the way; nobody presses any more."""
        self.pins.step()
        self.pins.motor.drive(0)
        self.button.active = False

    def start(self, lost_power=True):
        super().start(lost_power)
        if self.client_key is not None and self.device.stores.keys.is_paired:
            self.key = self.client_key

    def attempt(self, action):
        """Do it and be told. When it is done again, a refusal (exists already, is gone already) is an answer, too."""
        try:
            action()
        except Refused:
            if not self.is_again:
                raise
        self.ack()

    # --- what is found after a start

    def history(self):
        """(type, tail) of all records kept, the oldest first, without those of power-on."""
        found = [records.decode(raw) for raw in self.device.stores.ring.since(0)]
        return [(each.type, _told(each)) for each in found if each.type != _POWERED_ON]

    def _codes(self):
        found = []
        item = self.device.stores.passcodes.at(0)
        while item is not None:
            found.append(item)
            item = self.device.stores.passcodes.at(item[0] + 1)
        return found

    def _cards(self):
        found = []
        cards = self.device.stores.cards
        for lost in (False, True):
            item = cards.at(0, lost)
            while item is not None:
                found.append(item + (cards.windows(item[1]),))
                item = cards.at(item[0] + 1, lost)
        return found

    def _ekeys(self):
        ekeys = self.device.stores.ekeys
        found = [(ekeys.flag_pos, ekeys.next_uid)]
        item = ekeys.at(0)
        while item is not None:
            found.append(item + (ekeys.unlock_key(item[0]),))
            item = ekeys.at(item[0] + 1)
        return found

    def _unread(self):
        if self.delivered is None:
            return None
        page = self.device.stores.ring.read(records.NEXT_UNREAD)
        return None if page is None else page[0]

    def state(self):
        device = self.device
        keys = device.stores.keys
        options = device.stores.options
        limits = device.stores.limits
        owner = (keys.aes == self.client_key, keys.admin_ps, keys.unlock_key, keys.admin_passcode)
        return {
            "keys": owner if keys.is_paired else None,
            "blocked": device.stores.is_damaged,
            "wiping": device.stores.vault.is_wiping,
            "passcodes": self._codes(),
            "ekeys": self._ekeys(),
            "fingers": held_flows.state(device)[0],
            "fobs": held_flows.state(device)[1],
            "cards": self._cards(),
            "erase": keys.erase_code,
            "name": device.stores.name.text,
            "seeds": device.stores.vault.load("seeds"),
            "offline": device.stores.vault.load("offline"),
            "options": {name: getattr(options, name) for name, _, _ in OPTIONS},
            "passage": [device.stores.passage.at(place) for place in range(len(device.stores.passage))],
            "clock": device.stores.clock.is_trusted,
            "counters": [(guard.consecutive, guard.spent) for guard in (limits.user, limits.admin, limits.keypad)],
            "records": self.history(),
            "cursor": self._unread(),
        }

    # --- judging

    def judge(self, before, after, found, is_acked):
        """Texts of what is wrong with `found`, when `before` or `after` should be there, and `after` if it was told."""
        wrong = misfits(before, after, found, is_acked, _BY_RULES)
        wrong += self._judge_counters(before["counters"], after["counters"], found["counters"], is_acked)
        if before["keys"] is not None and found["keys"] is None:  # the reset
            if any(found[kind] for kind in ("records", "passcodes", "cards", "fingers", "fobs")):
                wrong.append("something outlived the reset")
        else:
            wrong += self._judge_records(before, after, found, is_acked)
        if self.once_uid is not None and self.pins.movements > self.moved_before:
            if self.once_uid in [each[1] for each in found["ekeys"][1:]]:
                wrong.append("an ekey opened and was not used up")
        is_there = any(self.consumes in item[1] for item in found["passcodes"]) if self.consumes else False
        if is_there and self.pins.movements > self.moved_before:
            wrong.append("a code opened and was not used up")
        if self.is_offline_once and self.pins.movements > self.moved_before and found["offline"] == before["offline"]:
            wrong.append("a code made without the lock opened and was not used up")
        if found["keys"] is None and found["clock"]:
            wrong.append("a clock that nobody has set is trusted")
        if self.delivered is not None and found["cursor"] != before["cursor"]:
            if found["cursor"] is not None and not self.delivered - 16 < found["cursor"] <= self.delivered + 1:
                wrong.append("read cursor at %s, delivered %s" % (found["cursor"], self.delivered))
        return wrong

    @staticmethod
    def _judge_counters(before, after, found, is_acked):
        wrong = []
        for place, was in enumerate(before):
            want, is_ = after[place], found[place]
            begun = (was[0] + 1, was[1] + 1)
            if is_ not in ((want,) if is_acked else (was, want, begun)):
                wrong.append("counters %s, was %s, to be %s" % (found, before, after))
        return wrong

    def _judge_records(self, before, after, found, is_acked):
        new = _added(before["records"], found["records"])
        wanted = [] if after["keys"] is None else _added(before["records"], after["records"])
        if new is None:
            return ["records were lost: %r of %r" % (found["records"][-3:], before["records"][-3:])]
        known = [each for each in new if each[0] not in _OF_STARTS]
        told = [each for each in wanted if each[0] not in _OF_STARTS]
        if known != told[: len(known)]:
            return ["records %r, to be %r" % (new, wanted)]
        wrong = []
        kinds = [each[0] for each in new]
        if is_acked and (len(known) < len(told) or (_LOCKED_OUT in [e[0] for e in wanted]) > (_LOCKED_OUT in kinds)):
            wrong.append("acknowledged records %r are %r" % (wanted, new))
        moved = self.pins.movements - self.moved_before
        recorded = sum([1 for kind in kinds if kind in _MOVED])
        if moved != recorded:
            wrong.append("the bolt moved %d times, recorded %d" % (moved, recorded))
        judged = sum([1 for kind in kinds if kind == _WRONG])
        if judged and found["counters"][2][0] < before["counters"][2][0] + judged:
            wrong.append("an entry was judged and not counted")
        return wrong

    def judge_end(self, wanted, found):
        """The same once everything has been done, some of it again."""
        wrong = differences(wanted, found, _BY_RULES)
        if self.most_moves is not None and self.pins.movements > self.most_moves:
            wrong.append("the bolt moved %d times" % self.pins.movements)
        return wrong


def _added(old, new):
    """What `new` has behind `old`, or None when something of it is gone (but for the oldest of a full store)."""
    if new[: len(old)] == old:
        return new[len(old) :]
    if len(old) >= _FULL:
        recent = old[-_SURE:]
        for at in range(len(new) - _SURE, -1, -1):
            if new[at : at + _SURE] == recent:
                return new[at + _SURE :]
    return None
