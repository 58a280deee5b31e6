"""What the tests of the one decision draw: doors, and moments near the edges; and how they compare with the oracle.

Edges are starts, ends, 6 and 24 hours after a start, midnights, ends of months, leap days.
"""

import os
from datetime import datetime, time, timedelta

from hypothesis import event, settings
from hypothesis import strategies as st

from firmware.lib import credentials, validity
from tests.host.validity_oracle import Door

MINUTE = timedelta(minutes=1)
EPOCH = datetime(2000, 1, 1)
LAST = datetime(2099, 12, 31, 23, 59)

# More for a long search: GATEHOUSE_EXAMPLES=20000
MANY = settings(max_examples=int(os.environ.get("GATEHOUSE_EXAMPLES", "250")), deadline=None)


def minutes(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - EPOCH) // MINUTE


def wire(moment: datetime | None, end: bool = False) -> bytes:
    """Five bytes of the wire; None: the "always" of our clients."""
    if moment is None:
        moment = datetime(2099, 1, 1) if end else EPOCH
    return bytes((moment.year - 2000, moment.month, moment.day, moment.hour, moment.minute))


def clip(moment: datetime) -> datetime:
    return min(max(moment, EPOCH), LAST)


EDGES = [
    datetime(2024, 2, 28, 23, 59),
    datetime(2024, 2, 29),
    datetime(2024, 3, 1),
    datetime(2025, 2, 28),
    datetime(2025, 3, 1),
    datetime(2025, 12, 31, 23, 0),
    datetime(2026, 1, 1),
    datetime(2026, 4, 30, 22, 0),
    datetime(2028, 2, 29, 12, 0),
    datetime(2096, 2, 29, 23, 0),
    datetime(2001, 1, 1),
    datetime(2098, 12, 31, 23, 59),
]
# Credentials begin in 2001 to 2098: the years 2000 and 2099 mean "always".
STARTS = st.one_of(
    st.sampled_from(EDGES),
    st.datetimes(datetime(2001, 1, 1), datetime(2098, 12, 31, 23, 59)).map(
        lambda at: at.replace(second=0, microsecond=0)
    ),
    st.builds(
        lambda edge, n: min(max(edge + n * MINUTE, datetime(2001, 1, 1)), datetime(2098, 12, 31, 23, 59)),
        st.sampled_from(EDGES),
        st.integers(-3000, 3000),
    ),
)


def moments(*anchors: datetime | None) -> st.SearchStrategy[datetime]:
    """Moments on, just before, just after and some days around the anchors."""
    near = st.sampled_from([at for at in anchors if at is not None])
    step = st.one_of(
        st.sampled_from([0, -1, 1, 2, -60, 60, 59, -1440, 1440, 1439, 7 * 1440]),
        st.integers(-200, 200),
        st.integers(-9 * 1440, 9 * 1440),
        st.integers(0, 40000000),
    )
    return st.builds(lambda at, n: clip(at + n * MINUTE), near, step)


DOORS = st.builds(
    Door,
    frozen=st.sampled_from([False, False, False, True]),
    double_locked=st.sampled_from([False, False, False, True]),
    locked_out=st.sampled_from([False, False, False, True]),
    flat=st.sampled_from([False, False, False, True]),
    trusted=st.sampled_from([True, True, False]),
    remote_unlock=st.booleans(),
)
OPEN_DOOR = Door()
CLOCK_TIMES = st.builds(time, st.integers(0, 23), st.sampled_from([0, 0, 1, 30, 59]))


def situation(door: Door, now: datetime) -> validity.Situation:
    at = validity.Situation((now - EPOCH) // MINUTE)
    at.is_frozen = door.frozen
    at.is_double_locked = door.double_locked
    at.is_locked_out = door.locked_out
    at.is_battery_low = door.flat
    at.is_clock_trusted = door.trusted
    at.is_remote_unlock_on = door.remote_unlock
    return at


def agree(credential: credentials.Credential, door: Door, now: datetime, reasons: set[str]) -> validity.Verdict:
    """The lock opens exactly if the oracle knows no reason against it, and otherwise names one of the reasons."""
    verdict = validity.decide(credential, situation(door, now))
    assert verdict.opens is (not reasons), (verdict.why, reasons)
    if reasons:
        assert verdict.why in reasons
        assert verdict.then is None, "something follows from a refusal"
    event("opens" if verdict.opens else str(verdict.why))
    return verdict
