"""Time servers that walk a house's clocks, against the rules of mqtt.md 2.3: `time_walks.py SEED N`.

N houses, each with three servers, a gateway (its `Timekeeper` and `Clocks` are the real ones), a lock whose crystal
drifts, and weeks to live. One server lies, or all three do alike, from the start or from some day on: at once forward
or back, to and fro, or in steps that grow. The gateway restarts, the lock writes records and loses its power, the owner
signs a command now and then. After each step three codes are tried at the lock: one of next week, one that has expired
an hour ago, and one that is good today. In a house whose servers all lie the gateway's own time is judged from the
first signed time on; a lock that has lost its power before is set by that lie, and is judged again once it is set by a
signed time.

Then a client with the lock's key alone walks the real clock of a lock (`lock/stores/clock`) in steps: T-CLK-3.
"""

import json
import random
import sys

from firmware.gateway.admission import Refusal
from firmware.gateway.background import Clocks
from firmware.gateway.lock import Lock
from firmware.lib import dates, opcodes
from firmware.lib.messages import session_lock
from firmware.lib.timekeeper import TRUSTED, Timekeeper, agreed
from firmware.lock.stores.clock import Clock as LockClock
from firmware.system import store
from tests.faults.programs.score import Score, scratch
from tests.unit.gateway_rig import quiet_log, run

_NOW_S = 1795481374
_BUILD_MS = 1767225600000
_HOUR = 3600
_DAY = 86400
_WEEK = 7 * _DAY
_STEPS_S = (_HOUR, _HOUR, _HOUR, 4 * _HOUR, _DAY)
_JUMPS_S = (301, 1800, _HOUR, 5 * _HOUR, _DAY - 1, _WEEK, 8 * _WEEK, 365 * _DAY)
_GROWTHS_S = (4, 60, 290, _HOUR)  # an hour
_RULES = ("UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "<+0530>-5:30", "AEST-10AEDT,M10.1.0,M4.1.0/3")
_SURE_S = 15  # servers that agree within 5 s, and what a clock drifts in an hour
# What servers may move the clock away from a signed time: it may be 30 s off then, and a crystal drifts since
_NEAR_S = 330
_DRIFT_PARTS = 10000


def _some(choices):
    return choices[random.getrandbits(16) % len(choices)]


class Lies:
    """What the hostile servers tell: the truth and so many seconds."""

    def __init__(self):
        self.kind = _some(("jump", "walk", "alternate", "hours"))
        self.sign = _some((1, -1))
        self.size_s = _some(_GROWTHS_S if self.kind == "walk" else _JUMPS_S)
        self.from_s = _some((0, 0, 2 * _HOUR, 3 * _DAY))
        self.count = 0

    def now(self, age_s):
        """At this age of the house."""
        if age_s < self.from_s:
            return 0
        self.count += 1
        if self.kind == "walk":
            return self.sign * self.size_s * (age_s - self.from_s) // _HOUR
        if self.kind == "alternate":
            return self.size_s * (1 if self.count // 4 % 2 else -1)
        if self.kind == "hours":  # as if the zone's clocks changed again and again
            return self.sign * _HOUR * (1 + (age_s - self.from_s) // _DAY)
        return self.sign * self.size_s

    def __str__(self):
        return "%s %d s" % (self.kind, self.sign * self.size_s)


class Registry:
    """Keeps a lock over restarts of its gateway."""

    kept = None

    def changed(self, lock):
        """Its state is published; nobody listens."""

    def save(self, lock):
        self.kept = lock.as_dict()


class Buffer:
    """The one record that counts: the newest."""

    cursor = 0
    date = None

    def last_date(self):
        return self.date


class Log:
    """Stands for `Records`: nothing is left to read."""

    def __init__(self):
        self.newest = Buffer()

    def buffer(self, lock):
        return self.newest

    async def read(self, session, must_yield):
        return {"more": False, "cursor": self.newest.cursor}


class House:
    """`count` servers of three lie."""

    def __init__(self, count):
        self.lies = Lies()
        self.count = count
        self.age_s = 0
        self.log = Log()
        self.registry = Registry()
        self.lock = Lock(b"\xaa\xbb\xcc\x11\x22\x33", bytes(range(16)))
        self.lock.zone = _some(_RULES)
        self.lock.admin_ps = 1
        self.parts = _some((0, 50000, -50000, 30000))  # its crystal is off by one in so many
        self.drifted_ms = 0
        self.offset_s = 0  # of the lock's clock, as UTC, from the truth
        self.zone_s = 0  # what it shows beside, as its zone
        self.is_lost = False
        self.is_given_up = False  # it was lost, and set by nothing but lies
        self.mask = _some((15, 15, 3, 1))  # how often a server answers
        self.signed_s = None  # age at the last signed time
        self.floor_ms = _BUILD_MS
        self.moved = []
        self._start()
        self._show()

    # --- the gateway

    def _start(self):
        self.up_s = self.age_s
        self.jumped_s = 0
        self.signed_s = None
        self.keeper = Timekeeper(self.floor_ms, _BUILD_MS)
        if self.registry.kept:
            from firmware.gateway.lock import from_dict

            self.lock = from_dict(self.registry.kept)
        self.clocks = Clocks(self, self.registry, quiet_log())
        self.clocks.records = self.log
        self.clocks.on_moved = lambda lock, moved_s: self.moved.append(moved_s)

    @property
    def true_s(self):
        return _NOW_S + self.age_s

    @property
    def mono_ms(self):
        return (self.age_s - self.up_s) * 1000

    @property
    def trusted(self):
        return self.keeper.state == TRUSTED

    def now(self):
        return self.keeper.now_ms(self.mono_ms) // 1000

    @property
    def is_signed(self):
        age_ms = self.keeper.signed_age_ms(self.mono_ms)
        return age_ms is not None and age_ms <= _DAY * 1000

    def uptime(self):
        return self.mono_ms // 1000

    def ask_servers(self):
        """As `net/clock` does, until it rests for an hour."""
        for _ in range(4):
            lie_s = self.lies.now(self.age_s)
            told = []
            for place in range(3):
                says_s = lie_s if place < self.count else 0
                if random.getrandbits(4) & self.mask:
                    told.append((self.true_s + says_s) * 1000 + random.getrandbits(6) - self.mono_ms)
            offset_ms = agreed(told, 3)
            if offset_ms is not None:
                was_trusted = self.trusted
                moved_ms = self.keeper.sample(offset_ms + self.mono_ms, self.mono_ms)
                if moved_ms is not None:
                    if was_trusted and not -5000 <= moved_ms <= 5000:
                        self.jumped_s = self.now()
                    self._keep_floor()
                    return
            self.age_s += 61 if self.trusted else 2

    def _keep_floor(self):
        self.floor_ms = self.keeper.floor_to_keep(self.mono_ms) or self.floor_ms

    def sign(self):
        """The owner asks for something."""
        age_s = random.getrandbits(4)
        self.keeper.signed((self.true_s - age_s // 2) * 1000, self.mono_ms, age_s * 1000, True)
        self._keep_floor()
        self.signed_s = self.age_s

    # --- the lock

    def _show(self):
        """Whoever paired it has set its clock."""
        from firmware.lib import zone

        self.zone_s = 60 * zone.offset_at(self.lock.zone, self.true_s)

    @property
    def wall_s(self):
        return self.true_s + self.offset_s + self.zone_s

    async def ask(self, opcode):  # the link, as `Clocks` uses it
        assert opcode == opcodes.GET_CLOCK
        return session_lock.encode_clock(dates.from_unix(self.wall_s))

    async def change(self, opcode, plain, is_admin):
        assert opcode == opcodes.SET_CLOCK
        wall_s = dates.to_unix(session_lock.decode_set_clock(plain))
        from firmware.lib import zone

        # who opens goes by what the clock would show, had it the offset of now
        self.zone_s = 60 * zone.offset_at(self.lock.zone, self.true_s)
        self.offset_s = wall_s - self.zone_s - self.true_s
        is_lie = self.count == 3 and self.signed_s is None
        self.is_given_up = is_lie and (self.is_lost or self.is_given_up)
        self.is_lost = False

    def record(self, kind=1):
        self.log.newest.cursor += 1
        self.log.newest.date = bytes((year2(self.wall_s),)) + bytes(dates.from_unix(self.wall_s)[1:])
        if kind == 14:
            self.clocks.lost(self.lock)

    def lose_power(self):
        """As our own lock: it goes on from its newest record, and trusts its clock no more."""
        if self.log.newest.date:
            self.offset_s = dates.to_unix(dates.decode6(self.log.newest.date)) - self.zone_s - self.true_s
            self.is_lost = True
            self.record(14)

    def look(self):
        """What the gateway's plan does."""
        if self.clocks.is_due(self.lock):
            try:
                run(self.clocks.correct(self, 30))
            except Refusal:
                pass

    def opens(self, start_s, end_s):
        """Whether a code for this span of time opens, by the clock of the lock; both as true seconds from now."""
        return not self.is_lost and start_s <= self.offset_s < end_s


def year2(unix_s):
    return dates.from_unix(unix_s)[0] - 2000


def _live(house, score, days):
    """-> the furthest that the lock's clock was off while it was judged."""
    far_s = 0
    first_s = _some((0, 60, _HOUR, 2 * _DAY, 99 * _DAY))  # when the owner signs first
    while house.age_s < days * _DAY:
        house.ask_servers()
        if house.age_s >= first_s and (house.signed_s is None or not random.getrandbits(5)):
            house.sign()
        house.look()
        where = "%d of 3, %s, from %d s; age %d s, lock %d s off" % (
            house.count,
            house.lies,
            house.lies.from_s,
            house.age_s,
            house.offset_s,
        )
        if not house.is_given_up:
            if not house.is_lost:
                far_s = max(far_s, abs(house.offset_s))
            score.check(not house.opens(_WEEK - _DAY, 2 * _WEEK), "a code of next week opens: " + where)
            score.check(not house.opens(-_WEEK, -_HOUR), "an expired code opens: " + where)
            score.check(house.is_lost or house.opens(-_HOUR, _HOUR), "a code of now does not open: " + where)
        if house.count == 1 or house.signed_s is not None:
            bound_s = _SURE_S
            if house.count > 1:
                bound_s = _NEAR_S + (house.age_s - house.signed_s) // _DRIFT_PARTS
            off_s = house.now() - house.true_s
            score.check(not house.trusted or abs(off_s) <= bound_s, "the gateway is %d s off: %s" % (off_s, where))
        step_s = _some(_STEPS_S)
        house.age_s += step_s
        if house.parts:
            house.drifted_ms += step_s * 1000 // house.parts
            house.offset_s += house.drifted_ms // 1000
            house.drifted_ms %= 1000
        luck = random.getrandbits(6)
        if luck < 12:
            house.record()
        elif luck < 14:
            house._start()
        elif luck < 16:
            house.lose_power()
    house.mask = 15
    for _ in range(4):
        house.age_s += _HOUR
        house.ask_servers()
        house.look()
    score.check(house.count == 3 or not house.is_lost, "the clock is still lost: %s" % house.lies)
    return far_s


def _client_walks(score, name):
    """S1 client: whatever steps it takes, since the administrator's last setting the clock moves by 300 s at most."""
    path = scratch(name)
    store.remove(path)
    rtc = [800000000]

    def set_rtc(seconds):
        rtc[0] = seconds

    def start(is_lost=False):
        clock = LockClock(lambda: rtc[0], set_rtc, path)
        clock.start(is_lost, newest_s[0])
        return clock

    newest_s = [rtc[0]]
    clock = start()
    clock.set(dates.from_seconds(rtc[0]), True)
    true_s = rtc[0]
    sign = _some((1, -1, 0))
    step_s = _some((120, 119, 1, 299, 301, 3600))
    for turn in range(60):
        way = sign or _some((1, -1))
        clock.set(dates.from_seconds(rtc[0] + way * step_s), False)
        passed_s = _some((0, 1, 60))
        rtc[0] += passed_s
        true_s += passed_s
        score.check(abs(rtc[0] - true_s) <= 300, "%d steps of %d s: %d s" % (turn, way * step_s, rtc[0] - true_s))
        luck = random.getrandbits(4)
        if luck == 0:
            clock = start()  # a restart forgets nothing
        elif luck == 1:
            newest_s[0] = rtc[0]
            clock.record_written()
    return abs(rtc[0] - true_s)


def main():
    random.seed(int(sys.argv[1]))
    score = Score()
    far = {1: 0, 3: 0}
    walked_s = 0
    moves = 0
    for number in range(int(sys.argv[2])):
        count = (1, 3)[number % 2]
        house = House(count)
        far[count] = max(far[count], _live(house, score, 30))
        moves += len(house.moved)
        if number % 4 == 0:
            walked_s = max(walked_s, _client_walks(score, "time-walks"))
    score.figures = {"one_liar_off_s": far[1], "three_off_s": far[3], "client_walked_s": walked_s, "far_moves": moves}
    print(json.dumps({"n": score.n, "failures": score.failures, "figures": score.figures}))


main()
