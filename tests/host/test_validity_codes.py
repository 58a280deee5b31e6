"""The one decision against an oracle of its own (`validity_oracle`): passcodes."""

from datetime import datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.lib import credentials, offline_codes, validity
from tests.host import validity_oracle as oracle
from tests.host.validity_draws import (
    CLOCK_TIMES,
    DOORS,
    EPOCH,
    MANY,
    MINUTE,
    OPEN_DOOR,
    STARTS,
    agree,
    minutes,
    moments,
    situation,
    wire,
)
from tests.host.validity_oracle import DAY, HOUR, Daily

# Codes of the algorithm


@MANY
@given(data=st.data(), kind=st.sampled_from([1, 2, 3]), start=STARTS, used=st.booleans(), door=DOORS)
def test_offline_codes_of_one_period(data, kind, start, used, door):
    end = None
    if kind == 3:
        hours = data.draw(st.one_of(st.integers(1, 30), st.integers(1, 366 * 24)))
        end = start + hours * HOUR + data.draw(st.integers(0, 59)) * MINUTE
    begins = oracle.on_the_hour(start)
    now = data.draw(moments(start, begins, begins + 6 * HOUR, begins + 24 * HOUR, end))
    credential = offline_codes.limits(kind, minutes(start), minutes(end), used)
    limited = kind != 2 or not used
    own = oracle.offline(kind, start, end, used, now)
    verdict = agree(credential, door, now, oracle.at_the_door(door, own, limited=limited))
    if verdict.opens:
        expected = validity.USE_UP if kind == 1 else None if used else validity.NOTE_FIRST_USE
        assert verdict.then == expected


@MANY
@given(data=st.data(), kind=st.sampled_from(sorted(oracle.RECURRING)), start=STARTS, used=st.booleans(), door=DOORS)
def test_offline_recurring_codes(data, kind, start, used, door):
    start = oracle.on_the_hour(start)
    end = start + data.draw(st.integers(1, 24)) * HOUR
    now = data.draw(moments(start, end, start + 24 * HOUR, start + 48 * HOUR, end + 7 * DAY, start + 7 * DAY))
    credential = offline_codes.limits(kind, minutes(start), minutes(end), used)
    own = oracle.offline(kind, start, end, used, now)
    verdict = agree(credential, door, now, oracle.at_the_door(door, own))
    if verdict.opens:
        assert verdict.then == (None if used else validity.NOTE_FIRST_USE)


@MANY
@given(data=st.data(), start=STARTS, door=DOORS)
def test_offline_erase_code_lives_for_a_day_and_opens_nothing(data, start, door):
    begins = oracle.on_the_hour(start)
    now = data.draw(moments(begins, begins + 24 * HOUR))
    own = oracle.offline(4, start, None, False, now)
    reasons = oracle.at_the_door(door, own) - {"low_battery"}  # erasing needs no motor
    verdict = validity.decide(offline_codes.limits(4, minutes(start)), situation(door, now))
    assert not verdict.opens
    assert (verdict.why is None) is (not reasons), (verdict.why, reasons)
    if reasons:
        assert verdict.why in reasons and verdict.then is None
    else:
        assert verdict.then == validity.ERASE_ALL


@MANY
@given(data=st.data(), kind=st.sampled_from(range(1, 15)), start=STARTS, used=st.booleans())
def test_offline_codes_made_before_the_barrier_are_dead(data, kind, start, used):
    end = start + 5 * HOUR if kind == 3 or kind >= 5 else None
    begins = oracle.on_the_hour(start)
    now = data.draw(moments(begins, begins + HOUR))
    barred = data.draw(moments(begins))
    at = situation(OPEN_DOOR, now)
    credential = offline_codes.limits(kind, minutes(start), minutes(end), used)
    before = validity.decide(credential, at)
    at.barred_min = minutes(barred)
    verdict = validity.decide(credential, at)
    if begins <= barred:
        assert verdict.why is not None and not verdict.opens and verdict.then is None
        assert before.why is not None or verdict.why == "barred"
    else:
        assert (verdict.why, verdict.then) == (before.why, before.then)


# Codes written into the lock


@MANY
@given(data=st.data(), kind=st.sampled_from([1, 2, 3]), start=st.none() | STARTS, used=st.booleans(), door=DOORS)
def test_stored_passcodes(data, kind, start, used, door):
    end = data.draw(st.none() | STARTS) if kind > 1 else None
    now = data.draw(moments(start, end, datetime(2026, 5, 11, 12, 0)))
    trailer = wire(start) + (wire(end, end=True) if kind > 1 else b"")
    used = used and kind == 2
    own = oracle.stored(kind, start, end, 0, used, now)
    limited = kind == 2 or end is not None
    verdict = agree(
        credentials.passcode(kind, trailer, used), door, now, oracle.at_the_door(door, own, limited=limited)
    )
    if verdict.opens:
        assert verdict.then == (validity.USE_UP if kind == 2 else None)


@MANY
@given(data=st.data(), code=st.integers(1000, 1239), opens=CLOCK_TIMES, first=st.none() | STARTS, door=DOORS)
def test_stored_recurring_passcodes(data, code, opens, first, door):
    start = datetime.combine(first.date() if first else EPOCH.date(), opens)
    anchor = start if first else datetime.combine(data.draw(STARTS).date(), opens)
    lasts = oracle.schedule_of(code)[1]
    now = data.draw(moments(anchor, anchor + lasts, anchor + 7 * DAY, anchor + lasts - DAY))
    own = oracle.stored(4, start, None, code, False, now)
    verdict = agree(
        credentials.passcode(4, wire(start) + code.to_bytes(2, "big")), door, now, oracle.at_the_door(door, own)
    )
    assert verdict.then is None


@pytest.mark.parametrize("base", sorted(oracle.SCHEDULES))
def test_every_schedule_code_at_every_edge_of_two_weeks(base):
    begin = datetime(2024, 2, 24)  # over a leap day and an end of the month
    tried = opened = 0
    for code in range(base, base + 24):
        for opens in (time(0, 0), time(8, 0), time(23, 0), time(17, 30)):
            credential = credentials.passcode(4, wire(datetime.combine(EPOCH.date(), opens)) + code.to_bytes(2, "big"))
            days, lasts = oracle.schedule_of(code)
            daily = Daily(opens, lasts, days)
            for day in range(14):
                for edge in (datetime.combine(begin.date() + day * DAY, opens) + shift for shift in (0 * DAY, lasts)):
                    for now in (edge - MINUTE, edge, edge + MINUTE):
                        verdict = validity.decide(credential, situation(OPEN_DOOR, now))
                        assert verdict.opens is daily.is_open(now), (code, opens, now)
                        tried += 1
                        opened += verdict.opens
    assert 0 < opened < tried == 24 * 4 * 14 * 6


def test_every_minute_of_a_week_of_every_recurring_type():
    start = datetime(2026, 8, 31, 22, 0)  # a Monday; the end of a month within the week
    end = start + 5 * HOUR  # over midnight
    for kind in oracle.RECURRING:
        credential = offline_codes.limits(kind, minutes(start), minutes(end), True)
        for n in range(-1440, 8 * 1440, 7 if kind != 8 else 1):
            now = start + n * MINUTE
            verdict = validity.decide(credential, situation(OPEN_DOOR, now))
            assert verdict.opens is (not oracle.offline(kind, start, end, True, now)), (kind, now)
