"""The locks this gateway serves. Owns their entries in a vault, one class per lock, and what is known of each from
advertisements, pushes and answers, and the signs that another radio imitates one of them.

An advertisement tells state, battery, strength and unread records without a connection (lock-ble-link.md 2), a dormant
lock's nothing of the bolt (hardware-facts.md F1). What is known stays known until it is told otherwise, with its source
and its time; what was never told is None. Locks of other owners are not kept and not reported (domain.md 6.2).
"""

import asyncio
import hashlib
import json

from firmware.gateway import lock as locks
from firmware.lib import advert, opcodes
from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages import session_client
from firmware.system.timing import ticks_add, ticks_diff, ticks_ms

MAX_LOCKS = const(64)
_NEAR_S = const(1800)  # a lock unseen for longer is "not near" (domain.md 6.2)
_FRESH_S = const(10)  # a lock heard this recently is worth an attempt to connect (hardware-facts.md F6)
_GRACE_S = const(30)
_RSSI_STEP_DBM = const(8)  # a change of strength below this is no news
_ALARM_S = const(60)  # the same alarm about a lock again after this time only
_SETTLE_MS = const(300)  # advertisements of the moment before the link may still come out of a queue
_FLIPS = const(12)  # more than anybody turns a key; two advertisers make twice as many in the time
_WITHIN_MS = const(15000)
_LINGER_S = const(10)  # a foreign lock's advertisement shows a movement so late (hardware-facts.md F8)
_JUST_S = const(3)  # 0x14 should agree with a movement acknowledged this recently (hardware-facts.md F33)
_RISE = const(10)  # per cent
_RISE_S = const(180)  # after our own link a lock may advertise a full battery for some seconds (hardware-facts.md F35)
_STAYS_S = const(300)  # unless it stays
_OPEN_S = const(60)  # beyond the time of auto-lock (hardware-facts.md F73)


class Registry:
    """`vault` keeps the locks, and encrypts what others keep of them; `now_s` is a clock that only rises."""

    def __init__(self, vault, now_s, log, presence_s=_NEAR_S):
        self.vault = vault
        self._now_s = now_s
        self._log = log.area("registry")
        self._presence_s = presence_s
        self._locks = {}
        self._sighted = asyncio.Event()
        self._candidate = None  # a lock about to be imported: listened for, not yet served
        self._twins = Twins()
        self._alarms = {}  # (lock id, why) -> second of the last one
        self._listeners: dict = {}  # event -> functions
        self._load()

    def on(self, event, listener):
        """Call `listener(lock)` at each `event`: "changed", something worth publishing; "kept", something that is kept
        on flash; "records", the lock says that
        it has unread ones, or no more; "sighted", for the first time since start or after it was away; "heard", it is
        worth an attempt to connect again; "listed", the list of locks has changed; "removing", its keys are about to be
        forgotten or replaced; "removed", it is no longer served. At an "alarm", another radio may imitate the lock, or
        it does not lock itself: call `listener(lock, why)`.
        """
        self._listeners.setdefault(event, []).append(listener)

    def _emit(self, event, *details):
        for listener in self._listeners.get(event, ()):
            listener(*details)

    def _load(self):
        for id in self.vault.names():
            packed = self.vault.load(id)
            try:
                lock = locks.from_dict(json.loads(packed.decode()) if packed else None)
            except (KeyError, TypeError, ValueError):
                self._log.error("lock_file_damaged", lock=id)
                continue
            self._share_texts(lock)
            self._locks[lock.address] = lock

    def _share_texts(self, lock):
        """There are few models and zones: what is equal for several locks becomes one object."""
        for other in self._locks.values():
            for key in ("model", "hardware", "firmware", "zone", "features"):
                if getattr(lock, key) and getattr(other, key) == getattr(lock, key):
                    setattr(lock, key, getattr(other, key))

    def __len__(self):
        return len(self._locks)

    def all(self):
        """Every known lock, in the order of ids."""
        return [self._locks[address] for address in sorted(self._locks)]

    def get(self, address):
        """The lock with this address (six bytes), or None."""
        return self._locks.get(address)

    def by_id(self, id):
        """The lock with this id (12 hex digits), or None."""
        return self._locks.get(bytes.fromhex(id))

    def save(self, lock):
        """Keep what was learned of a lock that is served. Costs no flash where nothing is new."""
        if self._locks.get(lock.address) is lock:
            self._store(lock)

    def _store(self, lock):
        self._share_texts(lock)
        packed = json.dumps(lock.as_dict()).encode()
        print_ = hashlib.sha256(packed).digest()[:8]
        if lock.kept != print_:
            self.vault.save(lock.id, packed)
            lock.kept = print_
            self._emit("kept", lock)

    def listen_for(self, lock):
        """Take sightings of a lock that is not served yet; None ends it."""
        self._candidate = lock

    def add(self, lock):
        """Serve a lock from now on, in place of one with the same address."""
        known = self._locks.get(lock.address)
        if known and (known.aes, known.admin_ps, known.unlock_key) != (lock.aes, lock.admin_ps, lock.unlock_key):
            self._emit("removing", known)
        self._store(lock)
        self._locks[lock.address] = lock
        self._log.info("lock_added", addr=lock.address, locks=len(self._locks))
        self.changed(lock)
        self._emit("listed", lock)

    def remove(self, lock):
        """Stop serving a lock, and forget its keys."""
        if lock.address in self._locks:
            self._emit("removing", lock)
            del self._locks[lock.address]
            self.vault.remove(lock.id)
            self._log.info("lock_removed", addr=lock.address, locks=len(self._locks))
            self._emit("removed", lock)
            self._emit("listed", lock)

    # --- presence

    def is_present(self, lock):
        """Heard within the presence time (availability)."""
        return lock.seen_s is not None and self._now_s() - lock.seen_s <= self._presence_s

    def presence(self, lock):
        """The same as True or False; None right after the start: a lock that was not heard yet need not be away."""
        return None if lock.seen_s is None and self._now_s() < _GRACE_S else self.is_present(lock)

    def is_near(self, lock):
        """False when the lock has not been heard for 30 minutes; before that it is worth a try."""
        if lock.seen_s is None:
            return lock is self._candidate or self._now_s() <= _NEAR_S
        return self._now_s() - lock.seen_s <= _NEAR_S

    def age_s(self, lock):
        """Seconds since the lock was last heard, or None."""
        return None if lock.seen_s is None else self._now_s() - lock.seen_s

    def is_fresh(self, lock):
        """Heard so recently that an attempt to connect is worth its time."""
        return lock.seen_s is not None and self._now_s() - lock.seen_s <= _FRESH_S

    async def until_fresh(self, lock):
        """Return once the lock is heard, or was a moment ago. The caller sets the deadline."""
        while not self.is_fresh(lock):
            self._sighted.clear()
            await self._sighted.wait()

    def reached(self, lock):
        """A link to the lock is up, which is as good as an advertisement."""
        lock.seen_s = lock.link_s = self._now_s()

    def sighting(self, address, addr_type, rssi_dbm, manufacturer):
        """An advertisement with manufacturer data; called for every one of them, so the unchanged case is short."""
        lock = self._locks.get(address)
        if lock is None:
            lock = self._candidate
            if lock is None or lock.address != address:
                return
        if self._twins.sighted(address, manufacturer):
            self.alarm(lock, "two_advertisers")
        first = not self.is_present(lock)
        was_fresh = self.is_fresh(lock)
        now_s = lock.seen_s = self._now_s()
        lock.addr_type = addr_type
        news = first
        if lock.rssi_dbm is None or abs(lock.rssi_dbm - rssi_dbm) >= _RSSI_STEP_DBM:
            lock.rssi_dbm = rssi_dbm
            news = True
        if manufacturer != lock.advert:
            lock.advert = manufacturer
            lock.tells = False
            seen = advert.decode_manufacturer(manufacturer)
            if manufacturer[0] == 5 and manufacturer[1] == 3 and self._is_its_own(lock, seen):
                news = self._advertised(lock, seen) or news
        if lock.tells:  # an awake lock says anew how it stands, again and again
            lock.told_s, lock.src = now_s, "advert"
            self._watch_auto_lock(lock, now_s)
        self._sighted.set()
        if not was_fresh:
            self._emit("heard", lock)
        if lock is self._candidate:
            return
        if news:
            self.changed(lock)
        if first:
            self._log.info("sighted", addr=address, rssi_dbm=rssi_dbm)
            self._emit("sighted", lock)
        elif lock.has_records:
            self._emit("records", lock)

    def _is_its_own(self, lock, seen):
        """Whether an advertisement of protocol 5.3 is of this lock, and of its scene (security.md DWN-1)."""
        if seen is None or not seen.is_stated or seen.address != lock.address:
            return False
        return lock.pin is None or seen.scene == lock.pin

    # --- another radio in a lock's place (security.md 2.1)

    def linked(self, address):
        """A link to this lock has been opened: a lock is silent now. None: it has ended."""
        self._twins.linked(address)

    def answered(self, lock):
        """The lock has answered on its link."""
        if self._twins.answered(lock.address):
            self.alarm(lock, "two_advertisers")

    def alarm(self, lock, why):
        """Another radio may be imitating `lock`: log it and emit it, at most once a minute for each reason."""
        key = lock.id, why
        now_s = self._now_s()
        if key in self._alarms and now_s - self._alarms[key] < _ALARM_S:
            return
        if len(self._alarms) >= MAX_LOCKS:
            self._alarms.clear()
        self._alarms[key] = now_s
        self._log.warn("alarm", addr=lock.address, why=why)
        self._emit("alarm", lock, why)

    def _advertised(self, lock, seen):
        if seen.settable:
            self._log.warn("lock_was_reset", addr=lock.address)
        had_records = lock.has_records
        lock.has_records = seen.has_records
        if had_records and not lock.has_records:
            self._emit("records", lock)
        if not lock.verified:
            lock.scene = seen.scene  # some locks refuse a header with another one (hardware-facts.md F22)
        members = {"battery": self._believed(lock, seen.battery)}
        if lock.rise_s is not None:
            lock.advert = None  # look again each time
        if seen.unlocked is not None:  # else it is dormant: the state known last stays
            state = locks.UNLOCKED if seen.unlocked else locks.LOCKED
            if self._lags_behind(lock, state):
                lock.advert = None
            elif not (lock.jammed and seen.unlocked):  # "not known to be locked", which a stuck bolt is, too
                members["state"] = state
                lock.tells = True
        return self._take_over(lock, members, "advert")

    def _lags_behind(self, lock, state):
        """Whether an advertisement contradicts a movement that it may not show yet; our own lock shows it at once."""
        if lock.is_own or lock.command is None or self._now_s() - lock.command[1] > _LINGER_S:
            return False
        return state != lock.command[0]

    def _believed(self, lock, battery):
        """An advertised level, or None for a rise that followed a link of ours and has not stayed yet."""
        if lock.battery is None or battery <= lock.battery + _RISE:
            lock.rise_s = None
            return battery
        now_s = self._now_s()
        if lock.rise_s is None:
            if lock.link_s is None or now_s - lock.link_s > _RISE_S:
                return battery
            lock.rise_s = now_s
        if now_s - lock.rise_s < _STAYS_S:
            return None
        lock.rise_s = None
        return battery

    def _watch_auto_lock(self, lock, now_s):
        """An awake lock that shows as open for longer than its auto-lock allows: once for each opening."""
        if lock.state != locks.UNLOCKED or lock.opened_s is None or lock.has_windows or not lock.auto_lock_s:
            return
        if now_s - lock.opened_s > lock.auto_lock_s + _OPEN_S:
            lock.opened_s = None
            self.alarm(lock, "still_open")

    # --- state

    def _take_over(self, lock, members, src):
        """Set attributes of a lock from what is not None; True if something changed. `src` told it."""
        state = members.get("state")
        if state is not None:  # the only case in which our lock does not know
            members["jammed"] = lock.is_own and state == locks.UNKNOWN
            lock.src = src
            lock.told_s = self._now_s()
            if state != locks.UNLOCKED:
                lock.opened_s = None
            elif lock.state != state or src == "command":  # each one starts the time of auto-lock anew
                lock.opened_s = lock.told_s
        has_changed = False
        for name in members:
            if members[name] is not None and getattr(lock, name) != members[name]:
                setattr(lock, name, members[name])
                has_changed = True
        return has_changed

    def update(self, lock, src="command", **members):
        """What a lock answered, pushed or recorded, by attribute: state byte of 0x14, door ("open" or "closed"),
        battery percent, auto_lock_s, tampered, last, and of `settings` those that it told; None is not known."""
        self.reached(lock)
        if members.get("settings"):
            members["settings"] = dict(lock.settings, **members["settings"])
        if self._take_over(lock, members, src):
            self.changed(lock)

    def moved(self, lock, state, battery=None):
        """The lock has acknowledged a movement to `state`."""
        lock.command = state, self._now_s()
        lock.advert = None
        self.update(lock, state=state, battery=battery)

    def status(self, lock, battery, state, door, src="query"):
        """What 0x14 says, asked for or pushed; `door` as byte. Some locks always say the same: what contradicts a
        movement acknowledged a moment ago is not taken over, and after two of these in a row nothing that such a lock
        says of bolt and door (hardware-facts.md F33)."""
        was = lock.said, lock.doubts
        if not lock.is_asked_in_vain:
            self._judge(lock, state)
        if lock.is_asked_in_vain or lock.doubts != was[1] and abs(lock.doubts) > abs(was[1]):
            state = door = None
        elif state != locks.UNKNOWN:
            lock.said |= 1 << state
        if was != (lock.said, lock.doubts):
            self.save(lock)
        before = lock.seq
        self.update(lock, src, state=state, door=None if door is None else locks.DOORS[door], battery=battery)
        if lock.seq == before and was[1] != lock.doubts:
            self.changed(lock)  # whether the state is assumed

    def standing(self, lock):
        """What is known of the bolt, who told it, how many seconds ago, whether it is but assumed; None: unknown."""
        word = lock.word()
        if word is None:
            return {"lock": None, "src": None, "age_s": None, "assumed": None}
        age_s = None if lock.told_s is None else self._now_s() - lock.told_s
        return {"lock": word, "src": lock.src, "age_s": age_s, "assumed": lock.doubts != 0}

    def _judge(self, lock, state):
        """Count contradictions in a row; those of one direction, as a constant answer agrees with the other."""
        wanted, since_s = lock.command or (None, 0)
        passed_s = self._now_s() - since_s
        if wanted is None or passed_s > _JUST_S or state == locks.UNKNOWN:
            return
        is_open, was_opened = state == locks.UNLOCKED, wanted == locks.UNLOCKED
        way = -1 if was_opened else 1
        if is_open == was_opened:
            if lock.doubts * way > 0:
                lock.doubts = 0
        elif not was_opened or passed_s < (lock.auto_lock_s or (1 if lock.auto_lock_s is None else _JUST_S + 1)):
            lock.doubts = max(lock.doubts * way, 0) * way + way

    def pushed(self, lock, echo, data):
        """A frame that answers no request (lock-ble-link.md 8.12)."""
        try:
            push = session_client.pushed(echo, data)
        except ProtocolError as err:
            self._log.debug("push_ignored", addr=lock.address, err=err)
            return
        if push[0] == "status":
            self.status(lock, push[1], push[2], push[3], "push")
        elif echo != opcodes.LOG:
            self.update(lock, "push", battery=push[1])
            if push[0] == "operated":
                lock.has_records = True
                self._emit("records", lock)

    def changed(self, lock):
        """Something about the lock is news."""
        lock.seq += 1
        if self._locks.get(lock.address) is lock:
            self._emit("changed", lock)


class Twins:
    """Two radios that advertise under one address: a lock, and one that imitates it (security.md 2.1).

    A lock that serves a client is silent, so what advertises while the lock goes on answering is another. And a lock
    changes what it advertises when people use it; two of them, received in turns, seem to change back and forth all
    the time. Remembers one link, and of each address the last two contents; entries beyond `max_count` are dropped.
    """

    def __init__(self, max_count=64):
        self._max_count = max_count
        self._sightings = {}  # address -> [content, content before, flips, tick of the first]
        self._address = None
        self._since_ms = ticks_ms()
        self._is_doubled = False

    def linked(self, address, since_ms=0):
        """A link to `address` has begun, so many milliseconds from now; None: it has ended."""
        self._address = address
        self._since_ms = ticks_add(ticks_ms(), since_ms)
        self._is_doubled = False

    def answered(self, address):
        """The lock has answered on its link. True if another radio advertised in its name after the link had begun."""
        is_doubled = address == self._address and self._is_doubled
        self._is_doubled = False
        return is_doubled

    def sighted(self, address, content):
        """An advertisement. True when its content has gone back and forth too often."""
        now_ms = ticks_ms()
        if address == self._address and ticks_diff(now_ms, self._since_ms) > _SETTLE_MS:
            self._is_doubled = True
        entry = self._sightings.get(address)
        if entry is None:
            if len(self._sightings) >= self._max_count:
                self._sightings.pop(next(iter(self._sightings)))
            self._sightings[address] = [content, None, 0, now_ms]
            return False
        if content == entry[0]:
            return False
        if content != entry[1]:
            entry[2] = 0
        elif not entry[2] or ticks_diff(now_ms, entry[3]) > _WITHIN_MS:
            entry[2] = 1
            entry[3] = now_ms
        else:
            entry[2] += 1
        entry[1] = entry[0]
        entry[0] = content
        if entry[2] < _FLIPS:
            return False
        entry[2] = 0
        return True
