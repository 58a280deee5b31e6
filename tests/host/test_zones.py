"""Zones on the host: from places to rules, unknown zones, and dates over the change of clocks wherever they show."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.lib import dates, zone
from host_tools.cli import times
from host_tools.errors import HostError
from host_tools.near import holder
from host_tools.owner import bundles, ekeys, key_files, minting, zones
from host_tools.owner.keybook import Entry, KeyBook
from tests.host.tzif import ramadan, tzif
from tests.micropython import ROOT

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"
FEBRUARY = int(datetime(2027, 2, 1, tzinfo=UTC).timestamp())
AES = "00112233445566778899aabbccddeeff"


def berlin(**more) -> Entry:
    return Entry("24:0a:c4:b0:00:02", "Front door", AES, 11, 22, zone="Europe/Berlin", zone_rule=BERLIN, **more)


@pytest.fixture
def book(tmp_path, monkeypatch) -> KeyBook:
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "keys.json"))
    return KeyBook(tmp_path / "keys.json")


@pytest.mark.parametrize(
    "text,name,rule",
    [
        ("Europe/Berlin", "Europe/Berlin", BERLIN),
        ("europe/berlin", "Europe/Berlin", BERLIN),
        ("Europe/Dublin", "Europe/Dublin", "IST-1GMT0,M10.5.0,M3.5.0/1"),
        ("UTC", "UTC", "UTC0"),
        ("UTC+2", "UTC+02:00", "<+02>-2"),
        ("-03:30", "UTC-03:30", "<-0330>3:30"),
        (BERLIN, BERLIN, BERLIN),
    ],
)
def test_zones_as_people_name_them(text, name, rule):
    found = zones.find(text, FEBRUARY)
    assert (found.name, found.rule, found.missed) == (name, rule, [])
    assert zones.choose(found, False) == rule


@pytest.mark.parametrize("text,hint", [("Berlin", "Europe/Berlin"), ("Europe/Berln", "Europe/Berlin"), ("", "UTC+2")])
def test_what_is_no_zone_is_refused_with_what_may_be_meant(text, hint):
    with pytest.raises(HostError) as caught:
        zones.find(text)
    assert caught.value.code == "bad_request" and hint in caught.value.todo


def test_a_place_whose_rule_does_not_tell_its_changes_says_so_and_offers_them(monkeypatch):
    """As Morocco's for many years: an hour back for Ramadan, by a table, and a rule without changes."""
    turns, content = ramadan()
    monkeypatch.setattr(zones, "raw", lambda name: content)
    found = zones.find("Africa/Casablanca", FEBRUARY)
    assert found.missed == [at_s for at_s, _ in turns[:5]]
    with pytest.raises(HostError) as caught:
        zones.choose(found, False)
    assert (
        all(day in str(caught.value) for day in ("2027-02-07", "2028-03-05", "2029-01-14"))
        and "--fixed" in caught.value.todo
    )
    rule = zones.choose(found, True)
    assert list(zones.told(rule, FEBRUARY, FEBRUARY + 900 * 86400)) == turns
    assert list(zones.changes(zones.RuleZone(rule), FEBRUARY, FEBRUARY + 60 * 86400)) == turns[:2]


def test_a_place_whose_rule_is_wrong_today_says_so(monkeypatch):
    monkeypatch.setattr(zones, "raw", lambda name: tzif([(FEBRUARY - 5, 120)], 60, ""))
    found = zones.find("Africa/Casablanca", FEBRUARY)
    assert (found.rule, found.missed, found.fixed) == ("<+02>-2", [FEBRUARY], "@120")


def test_a_rule_that_a_new_law_has_overtaken_is_noticed(monkeypatch):
    assert not zones.is_outdated(berlin(), FEBRUARY)
    assert not zones.is_outdated(Entry("24:0a:c4:b0:00:02", "Door", AES, 1, 2), FEBRUARY)
    monkeypatch.setattr(zones, "raw", lambda name: tzif([], 60, "CET-1"))  # no summer time any more
    assert zones.is_outdated(berlin(), FEBRUARY)


@given(
    name=st.sampled_from(["Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "America/Nuuk", "Asia/Gaza"]),
    at_s=st.integers(FEBRUARY, FEBRUARY + 700 * 86400),
)
def test_datetimes_of_a_rule_are_those_of_the_place(name, at_s):
    mine, real = (
        datetime.fromtimestamp(at_s, each) for each in (zones.RuleZone(zones.find(name).rule), ZoneInfo(name))
    )
    assert (mine.replace(tzinfo=None), mine.fold) == (real.replace(tzinfo=None), real.fold)
    assert mine.utcoffset() == real.utcoffset()
    assert mine.timestamp() == at_s
    assert zones.read_local(mine.replace(tzinfo=None, fold=0).isoformat(), mine.tzinfo) in (
        at_s,
        at_s - 3600,
        at_s - 1800,
    )


def test_times_are_shown_with_their_zone():
    summer = int(datetime(2027, 3, 29, 9, 0, tzinfo=UTC).timestamp())
    assert zones.when(summer, zones.of(berlin()), "%Y-%m-%d %H:%M") == "2027-03-29 11:00 CEST"
    assert zones.when(FEBRUARY, zones.RuleZone("<+0545>-5:45")) == "2027-02-01 05:45:00 UTC+05:45"


# --- a guest's stay over the change of clocks


def test_a_stay_over_the_change_that_is_entered_in_february():
    """`--until 2027-03-29T11:00` means eleven o'clock at the door, wherever the computer stands."""
    where = zones.of(berlin())
    begin, until = times.read_period("2027-03-26T15:00", "2027-03-29T11:00", lambda: where)
    assert (begin, until) == (1806069600, 1806310800)
    assert until - begin == (3 * 24 - 4 - 1) * 3600
    assert zone.to_wall(BERLIN, until)[:5] == (2027, 3, 29, 11, 0)


def test_a_minted_code_over_the_change(book):
    book.put(berlin(seeds=minting.make_seeds()))
    begin, until = (
        times.read_moment(text, None, lambda: zones.of(berlin())) for text in ("2027-03-26T11:00", "2027-03-29T11:00")
    )
    made = minting.mint(book, "24:0a:c4:b0:00:02", "timed", begin, until, now_s=FEBRUARY)
    assert (made.start, made.end) == (begin, until)
    text = minting.share_text(book.find("front door"), made)
    assert "2027-03-26 11:00" in text and "2027-03-29 11:00" in text
    assert minting.find(book.find("front door"), made.code).end == until


def test_a_recurring_ekey_is_judged_by_the_time_at_the_door_in_winter_and_summer():
    entry = berlin()
    hours = {"days": [1, 2, 3, 4, 5, 6, 7], "from": 22 * 60, "to": 6 * 60}
    ekey = ekeys.Ekey(7, "Ann", ekeys.RECURRING, FEBRUARY, FEBRUARY + 300 * 86400, hours=hours)
    held = holder.read(json.loads(json.dumps(bundles.person_key(entry, ekey, 5, 0))))
    for month, utc_hours in ((2, (21, 4)), (7, (20, 3))):  # 22:00 and 05:00 at the door
        for hour in range(24):
            at_s = datetime(2027, month, 10, hour, 30, tzinfo=UTC).timestamp()
            opens = hour >= utc_hours[0] or hour <= utc_hours[1]
            if opens:
                holder.judge(held, at_s)
            else:
                with pytest.raises(HostError):
                    holder.judge(held, at_s)


# --- an unknown zone


def test_one_module_applies_offsets():
    """What is not `zone` reads no offset of a zone, adds none, and asks no clock of this computer for a local time."""
    for path in sorted((*(ROOT / "firmware").rglob("*.py"), *(ROOT / "host_tools").rglob("*.py"))):
        text = path.read_text()
        if path.name in ("zone.py", "shown.py", "zones.py") or "sim" in path.parts:
            continue
        for word in ("localtime(", "tm_gmtoff", "60 * offset", "offset_min *", "* offset_min", ".utcoffset("):
            wanted = path.name == "background.py" and word == "60 * offset"  # by the offset that a clock shows
            assert wanted or word not in text, "%s: %s" % (path, word)


def lock_data() -> dict:
    admin = {"adminPs": 1, "unlockKey": 2}
    return {"address": "24:0A:C4:B0:00:02", "privateData": {"aesKey": AES, "admin": admin}}


def test_a_key_file_without_a_zone_says_nothing_of_it(book):
    entry = key_files.read([lock_data()]).locks[0].entry
    assert (entry.zone, entry.zone_rule) == ("", "")
    book.put(entry)
    for work in (
        lambda: zones.rule_of(entry),
        lambda: bundles.virtual_key(entry),
        lambda: minting.mint(book, entry.mac, "permanent"),
    ):
        entry.seeds = minting.make_seeds()
        book.put(entry)
        with pytest.raises(HostError) as caught:
            work()
        assert caught.value.code == "no_zone" and "time zone" in caught.value.todo


@pytest.mark.parametrize("key", ["timezoneRawOffSet", "timezoneRawOffset"])
@pytest.mark.parametrize("ms,name,rule", [(7200000, "UTC+02:00", "<+02>-2"), (0, "UTC+00:00", "UTC0")])
def test_a_key_file_with_an_offset_has_a_plain_one(key, ms, name, rule):
    item = bundles.virtual_key(berlin())
    del item["timezoneRawOffSet"]
    entry = key_files.read({**item, key: ms}).locks[0].entry
    assert (entry.zone, entry.zone_rule) == (name, rule)


def test_an_entry_of_the_first_release_keeps_what_it_knew(book):
    for offset, paired_at, rule in ((120, 0, "<+02>-2"), (0, 5, "UTC0"), (0, 0, "")):
        kept = {"mac": "24:0a:c4:b0:00:02", "name": "Door", "aes": AES, "admin_ps": 1, "unlock_key": 2}
        kept.update(utc_offset_min=offset, paired_at=paired_at)
        book.path.write_text(json.dumps({"gatehouse_keys": 1, "locks": [kept]}))
        book.path.chmod(0o600)
        assert book.find("door").zone_rule == rule


def test_an_export_says_the_offset_of_today():
    offset = datetime.now(ZoneInfo("Europe/Berlin")).utcoffset()
    assert bundles.virtual_key(berlin())["timezoneRawOffSet"] == offset // timedelta(milliseconds=1)


def test_dates_beyond_the_calendar_are_refused():
    for text in ("1999-12-31T23:00", "2100-01-01T02:00", "9999-01-01T00:00"):
        with pytest.raises(HostError):
            times.read_moment(text, None, lambda: zones.of(berlin()))
    assert dates.UNIX_2000 == times.read_moment("2000-01-01T01:00", None, lambda: zones.of(berlin()))
