"""Openings per hour and person: by the clock of the lock, every opening counted once, names never markup."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.errors import HostError
from host_tools.gateway import records_plot
from host_tools.owner import zones

ZONE = zones.RuleZone("CET-1CEST,M3.5.0,M10.5.0/3")


def record(moment, type=4, ok=True):
    return {"type": type, "ok": ok, "ts": moment and moment.strftime("%Y-%m-%dT%H:%M:%SZ")}


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 400 * 24), st.sampled_from([4, 17, 20, 29, 11]), st.booleans(), st.text(max_size=5))
    )
)
def test_every_opening_is_counted_once_at_the_hour_of_the_lock(made):
    rows = [(record(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=each[0]), *each[1:3]), each[3]) for each in made]
    found = records_plot.count(rows, ZONE)
    opened = [row for row, _ in rows if row["type"] in (4, 17, 20) and row["ok"]]
    assert found.total == len(opened) and found.timeless == 0
    for hour in range(24):
        here = [each for each in opened if datetime.fromisoformat(each["ts"]).astimezone(ZONE).hour == hour]
        assert sum(found.hours(who)[hour] for who in found.people()) == len(here)
    assert len(found.people()) <= 11
    assert len(records_plot.bars(found)) == 25 + len(found.people())


def test_what_has_no_hour_is_told_apart_and_nobodys_number_is_nobody():
    noon = datetime(2026, 7, 1, 10, tzinfo=UTC)
    found = records_plot.count([(record(noon), "Ada"), (record(noon), "123"), (record(None), "Ada")], ZONE)
    assert (found.people(), found.hours("Ada")[12], found.hours("unknown")[12], found.timeless) == (
        ["Ada", "unknown"],
        1,
        1,
        1,
    )
    assert records_plot.count([(record(noon), "Ada")], None).timeless == 1


def test_a_picture_is_written_whatever_people_are_called(tmp_path):
    noon = datetime(2026, 7, 1, 10, tzinfo=UTC)
    names = ["Ada", r"$\frac", "_hidden", "", "[red]", "Zoë", "$x$"]
    records_plot.png(records_plot.count([(record(noon), each) for each in names], ZONE), tmp_path / "p.png", "A $ door")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    records_plot.png(records_plot.Openings(), tmp_path / "none.png", "Door")
    for path in (tmp_path / "p.gif", tmp_path / "gone" / "p.png"):
        with pytest.raises(HostError):
            records_plot.png(records_plot.Openings(), path, "Door")
