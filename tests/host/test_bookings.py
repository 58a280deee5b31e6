"""Calendars of every kind become bookings by the clock of the lock; those that would never end are refused."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.errors import HostError
from host_tools.owner import bookings, zones

BERLIN = ZoneInfo("Europe/Berlin")
ZONE = zones.RuleZone("CET-1CEST,M3.5.0,M10.5.0/3")
NOW = datetime(2026, 10, 1, 12, tzinfo=BERLIN)
HOURS = bookings.Hours()


def calendar(*events, head=""):
    lines = "".join("BEGIN:VEVENT\n%s\nEND:VEVENT\n" % each.strip() for each in events)
    return (
        ("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n%s%sEND:VCALENDAR\n" % (head, lines)).replace("\n", "\r\n").encode()
    )


def read(*events, ahead=90, head=""):
    return bookings.read(calendar(*events, head=head), ZONE, NOW.timestamp(), ahead, HOURS)


def stays(*events, **options):
    told = [
        (each.name, zones.local(each.start, BERLIN), zones.local(each.end, BERLIN)) for each in read(*events, **options)
    ]
    return [(name, start.strftime("%m-%d %H:%M"), end.strftime("%m-%d %H:%M")) for name, start, end in told]


@pytest.mark.parametrize(
    ("event", "start", "end"),
    [
        ("DTSTART;VALUE=DATE:20261010\nDTEND;VALUE=DATE:20261013", "10-10 15:00", "10-13 11:00"),
        ("DTSTART;VALUE=DATE:20261010", "10-10 15:00", "10-11 11:00"),
        ("DTSTART;VALUE=DATE:20261010\nDTEND;VALUE=DATE:20261010", "10-10 15:00", "10-11 11:00"),
        ("DTSTART;VALUE=DATE:20261010\nDURATION:P2D", "10-10 15:00", "10-12 11:00"),
        ("DTSTART:20261010T120000\nDTEND:20261010T140000", "10-10 12:00", "10-10 14:00"),
        ("DTSTART:20261010T120000Z\nDTEND:20261010T140000Z", "10-10 14:00", "10-10 16:00"),
        ("DTSTART;TZID=America/New_York:20261010T120000\nDURATION:PT2H", "10-10 18:00", "10-10 20:00"),
        ("DTSTART:20261024T120000\nDTEND:20261026T120000", "10-24 12:00", "10-26 12:00"),  # over the end of summer
        ("DTSTART;VALUE=DATE:20261024\nDTEND;VALUE=DATE:20261026", "10-24 15:00", "10-26 11:00"),
        ("DTSTART:20260901T100010\nDTEND:20261201T110059", "09-01 10:00", "12-01 11:00"),  # has begun
    ],
)
def test_a_booking_is_by_the_clock_of_the_lock(event, start, end):
    assert stays("UID:1\nSUMMARY:Ada\n" + event) == [("Ada", start, end)]


@pytest.mark.parametrize(
    "event",
    [
        "DTSTART:20261010T120000\nDTEND:20261010T140000\nSTATUS:CANCELLED",
        "DTSTART:20261010T120000",  # has no length
        "DTSTART:20261010T120000\nDTEND:20261010T110000",
        "DTSTART:20260910T120000\nDTEND:20260910T140000",  # is over
        "DTSTART:20270310T120000\nDTEND:20270310T140000",  # is far away
    ],
)
def test_what_is_no_booking_now_gets_no_code(event):
    assert stays("UID:1\nSUMMARY:Ada\n" + event) == []


def test_a_series_with_a_moved_a_cancelled_and_a_left_out_day_over_the_end_of_summer():
    zone = ";TZID=Europe/Berlin:"
    told = stays(
        "UID:1\nSUMMARY:W\nDTSTART%s20261010T120000\nDTEND%s20261010T140000\nRRULE:FREQ=WEEKLY;COUNT=5\nEXDATE%s20261017T120000"
        % (zone, zone, zone),
        "UID:1\nRECURRENCE-ID%s20261024T120000\nSUMMARY:M\nDTSTART%s20261025T180000\nDTEND%s20261025T190000"
        % (zone, zone, zone),
        "UID:1\nRECURRENCE-ID%s20261031T120000\nSTATUS:CANCELLED\nDTSTART%s20261031T120000\nDTEND%s20261031T130000"
        % (zone, zone, zone),
    )
    assert told == [
        ("W", "10-10 12:00", "10-10 14:00"),
        ("M", "10-25 18:00", "10-25 19:00"),
        ("W", "11-07 12:00", "11-07 14:00"),
    ]


def test_a_booking_that_is_moved_or_renamed_keeps_its_key_and_every_one_has_its_own():
    at = "UID:%s\nSUMMARY:%s\nDTSTART:202610%sT120000\nDTEND:202610%sT140000"
    (first,), (second,) = read(at % (1, "Ada", 10, 10)), read(at % (1, "Ada L.", 12, 12))
    assert first.key == second.key and first.start != second.start
    series = "UID:1\nSUMMARY:W\nDTSTART:20261010T120000\nDTEND:20261010T140000\nRRULE:FREQ=DAILY;COUNT=9"
    assert len({each.key for each in read(series, at % (2, "Flo", 10, 10))}) == 10


def test_the_newest_of_the_same_uid_counts_and_twins_are_one():
    at = "UID:%s\nSEQUENCE:%d\nSUMMARY:Ada\nDTSTART:202610%d12T120000\nDTEND:202610%d12T140000".replace("%d12T", "%dT")
    assert stays(at % (1, 2, 11, 11), at % (1, 1, 10, 10)) == [("Ada", "10-11 12:00", "10-11 14:00")]
    assert len(read(at % (1, 1, 10, 10), at % (2, 1, 10, 10))) == 1
    assert len(read(at.replace("UID:%s\n", "") % (1, 10, 10), at.replace("UID:%s\n", "") % (1, 11, 11))) == 2


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "Booking of 2026-10-10"),
        ("a" * 300, "a" * 40),
        ("\u202eAda\\, B.\\n[red]", "Ada, B. [red]"),
        ("🏠 Zoë", "🏠 Zoë"),
    ],
)
def test_names_are_made_fit_for_a_screen(name, told):
    assert read("UID:1\nSUMMARY:%s\nDTSTART;VALUE=DATE:20261010" % name)[0].name == told


def rule(text, start="20260110T100000"):
    return "UID:1\nSUMMARY:D\nDTSTART:%s\nDURATION:PT1H\nRRULE:%s" % (start, text)


DEEP = "BEGIN:X\n" * 50 + "END:X\n" * 50
HOSTILE = {
    "secondly": calendar(rule("FREQ=SECONDLY")),
    "hours of days": calendar(rule("FREQ=DAILY;BYHOUR=1,2,3")),
    "30 February": calendar(rule("FREQ=DAILY;COUNT=5;BYMONTH=2;BYMONTHDAY=30")),
    "30 February, yearly": calendar(rule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")),
    "two rules": calendar(rule("FREQ=DAILY\nRRULE:FREQ=WEEKLY")),
    "no frequency": calendar(rule("COUNT=5")),
    "interval": calendar(rule("FREQ=DAILY;INTERVAL=100000000")),
    "year 1": calendar(rule("FREQ=DAILY", "00010101T100000")),
    "long ago": calendar(rule("FREQ=DAILY", "19800101T100000")),
    "many rules": calendar(*(rule("FREQ=YEARLY").replace("UID:1", "UID:%d" % each) for each in range(201))),
    "many bookings": calendar(*(rule("FREQ=DAILY").replace("UID:1", "UID:%d" % each) for each in range(3))),
    "many events": calendar(*["UID:1\nDTSTART:20261010T100000"] * 4001),
    "many dates": calendar("UID:1\nDTSTART:20261010T100000\n" + "RDATE:20261010T100000,20261011T100000\n" * 1001),
    "a long line": calendar("UID:1\nDTSTART:20261010T100000\nDESCRIPTION:" + "a" * 30_000),
    "deep": calendar(head=DEEP),
    "Mars": calendar("UID:1\nDTSTART;TZID=Mars/Base:20261010T100000\nDURATION:PT1H"),
    "no start": calendar("UID:1\nSUMMARY:x"),
    "no date": calendar("UID:1\nDTSTART:tomorrow"),
    "two starts": calendar("UID:1\nDTSTART:20261010T100000\nDTSTART:20261011T100000"),
    "no text": b"BEGIN:VCALENDAR\xff\x00\x80END:VCALENDAR",
    "cut off": calendar("UID:1\nDTSTART:20261010T100000")[:-9],
    "a page": b"<html>Sign in</html>",
    "empty": b"",
    "huge": calendar() + b" " * bookings.MAX_BYTES,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_calendar_that_is_none_or_has_no_end_is_one_clear_error(kind):
    with pytest.raises(HostError) as error:
        bookings.read(HOSTILE[kind], ZONE, NOW.timestamp(), 90, HOURS)
    assert error.value.code == "bad_request" and str(error.value).startswith("the calendar ")
    assert len(str(error.value)) < 300


def test_an_empty_calendar_and_one_in_another_encoding_are_calendars():
    assert read() == []
    told = calendar("UID:1\nSUMMARY:Zoë\nDTSTART;VALUE=DATE:20261010").decode()
    for encoding in ("utf-8-sig", "utf-16", "latin-1"):
        try:
            found = bookings.read(told.encode(encoding), ZONE, NOW.timestamp(), 90, HOURS)
        except HostError as error:
            assert encoding == "latin-1", error
        else:
            assert [each.name for each in found] == ["Zoë"]


@settings(max_examples=60, deadline=None)
@given(
    st.dates(date(2026, 9, 25), date(2027, 1, 5)),
    st.integers(0, 1439),
    st.integers(1, 5000),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", ""]),
)
def test_every_time_means_the_moment_that_its_zone_says(day, minute, length, place):
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)
    zone = ZoneInfo(place or "Europe/Berlin")
    start = wall.replace(tzinfo=zone)
    end = (start.astimezone(UTC) + timedelta(minutes=length)).astimezone(zone)
    form, mark = "%Y%m%dT%H%M%S", ";TZID=%s:" % place if place not in ("", "UTC") else ":"
    tail = "Z" if place == "UTC" else ""
    told = read(
        "UID:1\nDTSTART%s%s%s\nDTEND%s%s%s" % (mark, start.strftime(form), tail, mark, end.strftime(form), tail)
    )
    is_now = end.timestamp() > NOW.timestamp() and start.timestamp() < NOW.timestamp() + 90 * 86400
    if end.fold or start.fold or start.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != wall:
        return  # a doubled or a missing hour: which one is meant is not written
    assert [(each.start, each.end) for each in told] == ([(start.timestamp(), end.timestamp())] if is_now else [])


LINES = [
    *calendar(rule("FREQ=WEEKLY")).decode().split("\r\n"),
    *("RDATE:x", "EXDATE:20261010T100000", "DTEND;VALUE=DATE:20261011", "DURATION:-P1D", "SEQUENCE:x", "TZID:?"),
    *("RECURRENCE-ID:20261010T100000", "BEGIN:VTIMEZONE", "END:VTIMEZONE", "X-WR-TIMEZONE:Nowhere", "CALSCALE:JULIAN"),
    *("RRULE:", 'SUMMARY;X="', "\0", "UID:"),
]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=25))
def test_lines_in_any_order_are_bookings_or_one_error(lines):
    content = "\r\n".join(["BEGIN:VCALENDAR", *lines, "END:VCALENDAR"]).encode()
    try:
        found = bookings.read(content, ZONE, NOW.timestamp(), 30, HOURS)
    except HostError as error:
        assert error.code == "bad_request"
    else:
        assert len(found) <= bookings.MAX_BOOKINGS and all(each.start < each.end for each in found)
