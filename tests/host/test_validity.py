"""The one decision against an oracle of its own (`validity_oracle`): who opens, and why not. Passcodes have a module of
their own.
"""

from datetime import datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from firmware.lib import credentials, offline_codes, validity
from firmware.lib import windows as wire_windows
from tests.host import validity_oracle as oracle
from tests.host.validity_draws import (
    CLOCK_TIMES,
    DOORS,
    EPOCH,
    LAST,
    MANY,
    MINUTE,
    OPEN_DOOR,
    STARTS,
    agree,
    clip,
    minutes,
    moments,
    situation,
    wire,
)
from tests.host.validity_oracle import DAY, HOUR, Daily, Door

# Cards, fingerprints, fobs


@st.composite
def card_windows(draw):
    """(seven bytes of the wire, what they mean)"""
    opens, closes = draw(CLOCK_TIMES), draw(CLOCK_TIMES)
    lasts = oracle.span(opens, closes)
    hours = bytes((opens.hour, opens.minute, closes.hour, closes.minute))
    kind = draw(st.sampled_from([1, 2, 3]))
    if kind == 1:
        day = draw(st.integers(1, 7))
        return bytes((1, day, 0)) + hours, Daily(opens, lasts, frozenset([oracle.WEEKDAYS[day - 1]]))
    if kind == 2:
        return bytes((2, 0, 0)) + hours, Daily(opens, lasts, oracle.EVERY_DAY)
    day = draw(st.sampled_from([1, 2, 15, 28, 29, 30, 31]))
    return bytes((3, day, 0)) + hours, Daily(opens, lasts, month_day=day)


@MANY
@given(
    data=st.data(),
    start=st.none() | STARTS,
    end=st.none() | STARTS,
    windows=st.lists(card_windows(), max_size=8),
    door=DOORS,
)
def test_cards_fingerprints_and_fobs(data, start, end, windows, door):
    anchors = [start, end]
    if windows:
        daily = windows[0][1]
        day = data.draw(STARTS).date()
        anchors += [datetime.combine(day, daily.opens), datetime.combine(day, daily.opens) + daily.lasts]
    now = data.draw(moments(*anchors, datetime(2026, 1, 31, 23, 59)))
    credential = credentials.dated(wire(start), wire(end, end=True), b"".join(raw for raw, _ in windows))
    own = oracle.dated(start, end, [meant for _, meant in windows], now)
    limited = end is not None or bool(windows)
    verdict = agree(credential, door, now, oracle.at_the_door(door, own, limited=limited))
    assert verdict.then is None
    credential.is_lost = True
    lost = validity.decide(credential, situation(door, now))
    assert not lost.opens and lost.why in {"lost", "frozen", "lockout"}


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ((2000, 1, 1, 0, 0), (2099, 1, 1, 0, 0)),  # lock-ble-commands.md 1.2: all of them say "always"
        ((2000, 1, 1, 0, 0), (2099, 12, 1, 23, 59)),
        ((2000, 1, 31, 14, 0), (2099, 12, 31, 14, 0)),
    ],
)
def test_what_clients_send_for_always_is_permanent(start, end):
    credential = credentials.dated(wire(datetime(*start)), wire(datetime(*end)))
    for now in (EPOCH, datetime(2026, 1, 1), LAST):
        for trusted in (True, False):
            assert validity.decide(credential, situation(Door(trusted=trusted), now)).opens


# Ekeys and the administrator


@MANY
@given(
    data=st.data(),
    window=st.none() | st.tuples(STARTS, STARTS),
    position=st.integers(0, 3),
    reset_to=st.integers(0, 3),
    is_admin=st.booleans(),
    is_remote=st.booleans(),
    door=DOORS,
)
def test_ekeys(data, window, position, reset_to, is_admin, is_remote, door):
    start, end = window or (None, None)
    now = data.draw(moments(start, end, datetime(2026, 5, 5)))
    date5 = [None if at is None else (at.year, at.month, at.day, at.hour, at.minute) for at in (start, end)]
    credential = credentials.ekey(date5[0], date5[1], position)
    credential.is_admin = is_admin
    credential.is_remote = is_remote
    own = oracle.bounds(start, end, now) | ({"revoked"} if position < reset_to else set())
    reasons = oracle.at_the_door(door, own, admin=is_admin, limited=window is not None, remote=is_remote)
    at = situation(door, now)
    at.flag_pos = reset_to
    verdict = validity.decide(credential, at)
    assert verdict.opens is (not reasons), (verdict.why, reasons)
    assert verdict.why in (reasons or {None})
    assert verdict.then is None
    claim = validity.claim_refusal(credential, at)  # what 0x55 answers, before anything is proved
    own = oracle.at_the_door(Door(trusted=door.trusted), own, limited=window is not None)
    assert claim in (own or {None})


@given(door=DOORS, now=STARTS)
def test_admin_passcode_opens_whatever_the_clock_and_the_inside_button_say(door, now):
    reasons = oracle.at_the_door(door, set(), admin=True, limited=False)
    agree(credentials.admin(), door, now, reasons)


@given(door=DOORS, now=STARTS)
def test_nothing_unknown_opens(door, now):
    verdict = validity.decide(None, situation(door, now))
    assert not verdict.opens
    expected = {word for word, is_so in (("frozen", door.frozen), ("lockout", door.locked_out)) if is_so} or {"unknown"}
    assert verdict.why in expected


@given(door=DOORS, now=STARTS)
def test_locking(door, now):
    why = validity.lock_refusal(situation(door, now))
    expected = {word for word, is_so in (("frozen", door.frozen), ("low_battery", door.flat)) if is_so}
    assert why in (expected or {None})


# Passage mode


@st.composite
def passage_windows(draw):
    """(seven bytes of the wire, what they mean)"""
    if draw(st.sampled_from([True, False, False])):
        hours, opens, lasts = bytes(4), time(0, 0), DAY
    else:
        first = draw(st.integers(0, 1438))
        last = draw(st.one_of(st.just(1439), st.integers(0, 1439).filter(lambda each: each != first)))
        hours = bytes((first // 60, first % 60, last // 60, last % 60))
        opens = time(first // 60, first % 60)
        last = 1440 if last == 1439 else last  # the wire has no 24:00: 23:59 stands for it
        lasts = (last - first) * MINUTE + (DAY if last < first else 0 * MINUTE)  # an end before the start: next day
    if draw(st.booleans()):
        day = draw(st.integers(0, 7))
        days = oracle.EVERY_DAY if day == 0 else frozenset([oracle.WEEKDAYS[day - 1]])
        return bytes((1, day, 0)) + hours, Daily(opens, lasts, days)
    day, month = draw(st.sampled_from([1, 28, 29, 30, 31])), draw(st.sampled_from([0, 0, 2, 2, 3, 12]))
    return bytes((2, day, month)) + hours, Daily(opens, lasts, month_day=day, month=month)


@MANY
@given(data=st.data(), windows=st.lists(passage_windows(), max_size=5), day=STARTS, door=DOORS, switch=st.booleans())
def test_passage_windows_hold_the_door_and_end_together(data, windows, day, door, switch):
    anchors = [datetime.combine(day.date(), daily.opens) for _, daily in windows] or [day]
    now = data.draw(moments(*anchors, *[at + daily.lasts for at, (_, daily) in zip(anchors, windows, strict=False)]))
    now = min(now, datetime(2099, 11, 1))
    strip = oracle.passage_minutes([daily for _, daily in windows], now, 10 * 1440)
    at = situation(door, now)
    at.passage = wire_windows.passage(b"".join(raw for raw, _ in windows))
    at.passage_unlocks = switch
    verdict = validity.decide(credentials.admin(), at)
    holds = strip[0] and door.trusted
    assert (verdict.open_until_min is not None) is (holds and verdict.opens)
    until = validity.passage_until(at)
    assert (until is not None) is holds
    if until is not None:
        length = until - at.now_min
        assert all(strip[: min(length, len(strip))])
        assert length >= 7 * 1440 or not strip[length]  # or it looks again after a week
    itself = validity.decide_passage(at)
    assert itself.opens is (holds and switch and not (door.frozen or door.double_locked or door.flat))
    assert itself.open_until_min == (until if itself.opens else None)


# The clock: zones, daylight saving


@MANY
@given(data=st.data(), year=st.integers(2024, 2090), hour=st.integers(0, 23), lasts=st.integers(1, 24))
def test_hours_follow_the_wall_clock_over_both_changes_of_daylight_saving(data, year, hour, lasts):
    """A lock whose offset is pushed at each change opens by the clock on the wall: no window in the hour left out, two
    real hours for the hour that comes twice."""
    month = data.draw(st.sampled_from([3, 10]))
    utc = datetime(year, month, 24) + data.draw(st.integers(0, 9 * 1440)) * MINUTE
    zone = data.draw(st.sampled_from([timedelta(hours=1), timedelta(0), timedelta(hours=2), timedelta(hours=-1)]))
    wall = utc + oracle.european_offset(utc, zone)
    code = data.draw(st.sampled_from(sorted(oracle.SCHEDULES))) + lasts - 1
    trailer = bytes((0, 1, 1, hour, 0)) + code.to_bytes(2, "big")
    days, length = oracle.schedule_of(code)
    verdict = validity.decide(credentials.passcode(4, trailer), situation(OPEN_DOOR, wall))
    assert verdict.opens is Daily(time(hour, 0), length, days).is_open(wall)


def real_minutes_open(day: datetime, trailer: bytes) -> int:
    """Real minutes within 24 hours of UTC in which a Central European lock opens."""
    credential = credentials.passcode(4, trailer)
    opened = 0
    for n in range(24 * 60):
        utc = day + n * MINUTE
        wall = utc + oracle.european_offset(utc, HOUR)
        opened += validity.decide(credential, situation(OPEN_DOOR, wall)).opens
    return opened


def test_the_hour_left_out_never_comes_and_the_hour_twice_comes_twice():
    night = bytes((0, 1, 1, 2, 0)) + (1024).to_bytes(2, "big")  # every day from 02:00 for one hour
    assert real_minutes_open(datetime(2026, 3, 28, 20), night) == 0
    assert real_minutes_open(datetime(2026, 3, 29, 20), night) == 60
    assert real_minutes_open(datetime(2026, 10, 24, 20), night) == 120
    working_day = bytes((0, 1, 1, 8, 0)) + (1024 + 9).to_bytes(2, "big")
    for day in (datetime(2026, 3, 28, 20), datetime(2026, 3, 29, 20), datetime(2026, 10, 24, 20)):
        assert real_minutes_open(day, working_day) == 600


@MANY
@given(data=st.data(), start=STARTS, quarters=st.integers(-48, 56), pushed=st.sampled_from([0, 0, -60, 30, 60]))
def test_periods_hold_in_every_zone_and_follow_an_offset_that_changes(data, start, quarters, pushed):
    """A period given in UTC, written in the lock's local time: right by UTC, until the lock's offset changes."""
    zone = quarters * 15 * MINUTE
    end = start + data.draw(st.integers(1, 90 * 1440)) * MINUTE
    utc = data.draw(moments(start, end))
    local = [at + zone for at in (start, end, utc)]
    if not (2001 <= local[0].year and local[1].year <= 2098 and EPOCH + HOUR <= local[2] <= LAST - HOUR):
        return
    credential = credentials.passcode(3, wire(local[0]) + wire(local[1], end=True))
    verdict = validity.decide(credential, situation(OPEN_DOOR, local[2] + pushed * MINUTE))
    assert verdict.opens is (start <= utc + pushed * MINUTE < end)


# A lock's life: consumption made durable by the caller, the clock set back and forth


class Life(RuleBasedStateMachine):
    """One offline code of each type, used over weeks on a lock whose clock is set forward and backward."""

    @initialize(start=STARTS)
    def begin(self, start):
        self.start = min(oracle.on_the_hour(start), datetime(2098, 10, 1))
        self.end = self.start + 5 * HOUR
        self.now = self.start
        self.used = dict.fromkeys(range(1, 15), False)
        self.opened = dict.fromkeys(range(1, 15), 0)
        self.is_erased = False

    @rule(step=st.one_of(st.integers(1, 90), st.sampled_from([60, 359, 360, 1439, 1440, 1441, 10080])))
    def time_passes(self, step):
        self.now = clip(self.now + step * MINUTE)

    @rule(step=st.sampled_from([-10080, -1440, -361, -60, -5, 5, 60]))
    def clock_is_set(self, step):
        self.now = clip(self.now + step * MINUTE)

    @rule(kind=st.sampled_from([1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]))
    def present(self, kind):
        at = situation(OPEN_DOOR, self.now)
        at.barred_min = minutes(self.start) if self.is_erased else None
        end = self.end if kind == 3 or kind >= 5 else None
        credential = offline_codes.limits(kind, minutes(self.start), minutes(end), self.used[kind])
        verdict = validity.decide(credential, at)
        expected = oracle.offline(kind, self.start, end, self.used[kind], self.now)
        assert verdict.opens is (not expected and not self.is_erased)
        if verdict.opens:
            self.opened[kind] += 1
            assert (verdict.then is None) is self.used[kind]
            self.used[kind] = True

    @precondition(lambda self: not self.is_erased)
    @rule()
    def erase(self):
        verdict = validity.decide(offline_codes.limits(4, minutes(self.start)), situation(OPEN_DOOR, self.now))
        self.is_erased = verdict.then == validity.ERASE_ALL
        assert self.is_erased is (not oracle.offline(4, self.start, None, False, self.now))

    @invariant()
    def one_time_codes_open_once(self):
        assert getattr(self, "opened", {1: 0})[1] <= 1


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
