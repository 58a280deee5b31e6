"""Alerts of `gatehouse serve`: which there are, and that one event is one message, whatever is told of it, in whatever
order, how often, by whichever instance, and across restarts."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from firmware.lib import dates, records, reports
from host_tools.gateway.database import Database
from host_tools.gateway.records_batch import Batch
from host_tools.gateway.records_schema import ALERTS, NAMES, NOTICES
from host_tools.gateway.records_store import RecordStore
from host_tools.serve import alerting, alerts
from host_tools.serve.alerting import Alerting
from host_tools.serve.alerts import BAD, GOOD, Episode, Incident, Level, Reading, Rules
from host_tools.serve.config import Target
from host_tools.serve.metrics import Metrics
from host_tools.serve.sender import Sender
from tests.host import postgres

server = postgres.fixture()
LOCK, GATEWAY = "240ac4b00002", "240ac4a00000"
NOW = 1790000000.0
RULES = Rules()
ALL = {"phone": frozenset(alerts.KINDS)}


class House:
    """One database, and as many instances as are asked for; each call is of the next one."""

    def __init__(self, path, targets=None, off=(), rules=RULES):
        self.base = Database(path)
        self.instances = itertools.cycle([Alerting(rules, targets or ALL, off) for _ in range(2)])
        self.now = NOW

    def tell(self, *told):
        """Each in a transaction of its own; how many alerts began."""
        began = 0
        for each in told:
            with self.base.writing() as base:
                alerting.hold(self.base, base, [each.subject])
                began += next(self.instances).judge(base, each, self.now)
        return began

    def later(self, seconds):
        """Time passes; how many alerts began by it."""
        self.now += seconds
        began = 0
        one = next(self.instances)
        with self.base.reading() as base:
            due = one.due(base)
        for kind, subject in due:
            with self.base.writing() as base:
                alerting.hold(self.base, base, [subject])
                began += one.settle(base, kind, subject, self.now)
        return began

    def records(self, *types, gap_s=1, battery=90, begin=0):
        """Records arrive, of these types, so many seconds apart."""
        items = []
        for number, type in enumerate(types, begin):
            at = int(self.now) - 100 + gap_s * number
            raw = records.encode(type, dates.from_unix(at), battery)
            items.append(reports.record_item(number, records.decode(raw), at, None))
        with self.base.writing() as base:
            alerting.hold(self.base, base, [LOCK])
            new = RecordStore(self.base).file(base, LOCK, Batch(1 << 40, begin, begin + len(items) - 1, 0, items, True))
            return next(self.instances).of_records(base, LOCK, new, self.now)

    def told(self):
        with self.base.reading() as base:
            return [tuple(row) for row in base.execute(select(NOTICES.c.title, NOTICES.c.target))]

    def lasting(self):
        with self.base.reading() as base:
            return base.scalars(select(ALERTS.c.kind).where(ALERTS.c.ended.is_(None))).all()


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path / "r.db")
    yield made
    made.base.close()


# What happens -> the alerts that begin by it
@pytest.mark.parametrize(
    "types, kinds",
    [
        ((44,), ["tamper"]),
        ((29,), ["tamper"]),
        ((44, 44, 29), ["tamper"]),
        ((48,), ["wrong_codes"]),
        ((64,), ["door"]),
        ((50,), ["alarm"]),
        ((116,), ["alarm"]),
        ((7, 7, 7, 7), []),
        ((7, 7, 7, 7, 7), ["wrong_codes"]),
        ((7, 25, 22, 11, 7, 7, 48), ["wrong_codes"]),
        ((4, 1, 26, 45, 30, 31, 14), []),
        ((44, 64, 50), ["tamper", "door", "alarm"]),
    ],
)
def test_records_that_are_worth_a_message(house, types, kinds):
    assert house.records(*types) == len(kinds)
    titles = [alerts.WORDS[kind][0] % LOCK for kind in kinds]
    assert sorted(title for title, _ in house.told()) == sorted(titles)
    assert house.records(*types) == 0, "they come again"
    assert len(house.told()) == len(kinds)


def test_wrong_codes_far_apart_are_none(house):
    assert house.records(*[7] * 20, gap_s=int(RULES.wrong_codes_s) // 4 + 1) == 0


@pytest.mark.parametrize(
    "percents, began",
    [
        ((90, 50, 20), 1),
        ((20, 21, 25, 29, 19, 20), 1),
        ((20, 30, 20), 2),
        ((21, 29), 0),
        ((5, 5, 5), 1),
        ((100, 0, 100, 0), 2),
    ],
)
def test_a_battery_is_told_once_until_it_was_changed(house, percents, began):
    total = 0
    for percent in percents:
        house.now += 60
        total += house.tell(alerts.of_battery(LOCK, house.now, percent, RULES))
    assert total == began == len(house.told())


@pytest.mark.parametrize("kind, subject", [("lock_away", LOCK), ("gateway_away", GATEWAY), ("door", LOCK)])
def test_what_lasts_is_told_when_it_lasts_and_not_when_it_flaps(house, kind, subject):
    delay, back = RULES.delay_s(kind), RULES.good_s(kind)
    assert house.tell(Reading(kind, subject, house.now, BAD)) == 0
    assert house.later(delay - 1) == 0
    assert house.later(2) == 1 and house.later(1000) == 0
    assert house.tell(Reading(kind, subject, house.now, BAD)) == 0
    house.tell(Reading(kind, subject, house.now, GOOD))
    house.later(back + 1)
    assert house.lasting() == []
    for _ in range(30):  # short ones
        house.tell(Reading(kind, subject, house.now, BAD))
        assert house.later(delay / 2) == 0
        house.tell(Reading(kind, subject, house.now, GOOD))
        assert house.later(1) == 0
    assert len(house.told()) == 1


def test_one_that_is_back_for_a_moment_is_the_same_event(house):
    house.tell(Reading("gateway_away", GATEWAY, house.now, BAD))
    assert house.later(RULES.gateway_away_s + 1) == 1
    for _ in range(5):
        house.tell(Reading("gateway_away", GATEWAY, house.now, GOOD))
        house.later(RULES.back_s / 2)
        house.tell(Reading("gateway_away", GATEWAY, house.now, BAD))
        assert house.later(RULES.gateway_away_s * 2) == 0
    assert len(house.told()) == 1


def test_a_record_and_what_the_lock_says_of_itself_are_one_event(house):
    for order in itertools.permutations(range(3)):
        told = [Incident("tamper", LOCK, house.now - 5), Reading("tamper", LOCK, house.now - 3, BAD)]
        told.append(Incident("tamper", LOCK, house.now - 1))
        assert house.tell(*(told[place] for place in order)) == 1
        house.tell(Reading("tamper", LOCK, house.now, GOOD))
        house.now += 10 * RULES.quiet_s


def test_history_is_told_to_nobody(house):
    assert house.tell(Incident("tamper", LOCK, house.now - RULES.max_age_s - 1)) == 0
    assert house.tell(Reading("battery", LOCK, house.now - RULES.max_age_s - 1, BAD)) == 0
    assert house.tell(Incident("tamper", LOCK, house.now - RULES.max_age_s + 60)) == 1


def test_who_wants_what(tmp_path):
    targets = {"phone": frozenset({"tamper"}), "mail": frozenset(alerts.KINDS)}
    house = House(tmp_path / "r.db", targets, off=["alarm"])
    house.tell(*(Incident(kind, LOCK, NOW) for kind in ("tamper", "impostor", "alarm")))
    assert sorted(target for _, target in house.told()) == ["mail", "mail", "phone"]


def test_the_owner_s_name_is_told(house):
    with house.base.writing() as base:
        base.execute(NAMES.insert().values(subject=LOCK, kind="lock", who=0, name="Front door"))
    house.tell(Incident("impostor", LOCK, NOW))
    assert house.told()[0][0] == "Front door: IMPOSTOR"


SECONDS = st.lists(st.integers(0, 40000), min_size=1, max_size=12)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(times=SECONDS, order=st.randoms(use_true_random=False), copies=st.integers(1, 3))
def test_incidents_in_any_order_any_number_of_times(tmp_path_factory, times, order, copies):
    """In the order of time: one message for each cluster. In any order: at least that, never one for a repeat."""
    quiet = RULES.quiet_s
    ordered = sorted(times)
    clusters = 1 + sum(b - a > quiet for a, b in itertools.pairwise(ordered))
    for told in (ordered, order.sample(times, len(times))):
        house = House(tmp_path_factory.mktemp("h") / "r.db")
        house.now = NOW + 50000
        began = house.tell(*(Incident("tamper", LOCK, NOW + each) for each in told))
        again = house.tell(*(Incident("tamper", LOCK, NOW + each) for each in told * copies))
        house.base.close()
        assert again == 0 and clusters <= began <= len(set(times))
        assert told is not ordered or began == clusters


@given(readings=st.lists(st.tuples(st.integers(0, 1000), st.sampled_from([GOOD, BAD, None])), max_size=30))
def test_a_level_is_what_was_told_of_the_latest_moment(readings):
    level = None
    for at, value in readings:
        level = alerts.updated(level, Reading("door", LOCK, at, value))
    known = [(at, place, value) for place, (at, value) in enumerate(readings) if value is not None]
    assert (level.value if level else None) == (max(known)[2] if known else None)


@given(
    value=st.sampled_from([GOOD, BAD]),
    is_open=st.booleans(),
    lasting=st.floats(0, 5000),
    kind=st.sampled_from(alerts.KINDS),
)
def test_nothing_begins_twice_or_ends_twice(value, is_open, lasting, kind):
    todo = alerts.settle(kind, Level(value, 0, 0), is_open, lasting, RULES)
    assert todo != "begin" or (value == BAD and not is_open)
    assert todo != "end" or (value == GOOD and is_open)


@pytest.mark.parametrize(
    "gateways, value",
    [
        ({}, None),
        ({"a": (True, True)}, GOOD),
        ({"a": (True, False)}, BAD),
        ({"a": (False, True)}, None),
        ({"a": (None, True)}, None),
        ({"a": (False, False)}, None),
        ({"a": (True, False), "b": (True, True)}, GOOD),
        ({"a": (True, False), "b": (False, True)}, BAD),
    ],
)
def test_a_lock_is_there_for_any_gateway_that_is_there(gateways, value):
    assert alerts.reach(gateways) == value


@pytest.mark.parametrize("at, is_of_it", [(-700, False), (-500, True), (50, True), (700, True), (701, False)])
def test_what_an_episode_holds(at, is_of_it):
    assert Episode(0, 100).holds(at, 600) == is_of_it
    assert Episode(0, None).holds(max(at, 0), 600)


class TestSending:
    """Through the database, as two instances do it."""

    @staticmethod
    def senders(house, results):
        sent = []

        def send(target, title, body):
            result = results.pop(0) if results else True
            if isinstance(result, BaseException):
                raise result
            sent.append((target.name, title, result))
            return result

        target = Target("phone", "secret://")
        told = []
        made = [Sender(house.base, (target,), Metrics(), told.append, send, lambda: house.now) for _ in range(2)]
        return made, sent, told

    def test_each_is_sent_once_by_whoever_comes_first(self, house):
        (one, other), sent, _ = self.senders(house, [])
        house.tell(Incident("tamper", LOCK, NOW), Incident("impostor", LOCK, NOW))
        for each in (one, other, one, other):
            each.work()
        assert len(sent) == 2

    def test_a_receiver_that_refuses_gets_it_again_ever_more_rarely_for_a_day(self, house):
        (one, other), sent, told = self.senders(house, [False] * 10**4)
        house.tell(Incident("tamper", LOCK, NOW))
        tries = []
        while house.now < NOW + 2 * 86400:
            if one.work() + other.work():
                tries.append(house.now - NOW)
            house.now += 10 if len(tries) < 4 else 300
        pauses = [b - a for a, b in itertools.pairwise(tries)]
        assert 50 < len(tries) < 200 and pauses[0] <= 20 and max(pauses) <= 1200 and tries[-1] <= 86400
        assert "given up" in told[-1] and "secret" not in "".join(told)

    def test_one_whose_sender_died_is_not_sent_again_but_told(self, house):
        (one, other), sent, told = self.senders(house, [SystemExit()])
        house.tell(Incident("tamper", LOCK, NOW))
        with pytest.raises(SystemExit):
            one.work()
        for _ in range(100):
            other.work()
            house.now += 60
        assert sent == [] and len(told) == 1 and "may not have arrived" in told[0]


def test_hold_takes_both_of_a_pair(house):
    with house.base.writing() as base:
        alerting.hold(house.base, base, ["%s/%s" % (GATEWAY, LOCK)])


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_instances_that_judge_and_send_at_the_same_moment_tell_it_once(kind, request, tmp_path):
    """Six of them, each with connections of its own: records, a level that has lasted, an incident."""
    where = tmp_path / "r.db" if kind == "sqlite" else request.getfixturevalue("server").empty()
    houses = [House(where) for _ in range(6)]
    sent: list[str] = []
    begin = threading.Barrier(len(houses))

    def send(target, title, body):
        sent.append(title)
        return True

    def work(house):
        sender = Sender(house.base, (Target("phone", "x://"),), Metrics(), lambda text: None, send, lambda: house.now)
        begin.wait()
        house.records(44, *[7] * 6, battery=10)
        house.tell(Incident("impostor", GATEWAY, NOW), Reading("gateway_away", GATEWAY, NOW - 400, BAD))
        house.later(1)
        for _ in range(8):
            sender.work()

    with ThreadPoolExecutor(len(houses)) as pool:
        for done in [pool.submit(work, house) for house in houses]:
            done.result()
    assert sorted(sent) == sorted(title for title, _ in houses[0].told())
    kinds = ("tamper", "wrong_codes", "battery", "impostor", "gateway_away")
    subjects = {"impostor": GATEWAY, "gateway_away": GATEWAY}
    assert sorted(sent) == sorted(alerts.WORDS[each][0] % subjects.get(each, LOCK) for each in kinds)
    with houses[0].base.reading() as base:
        assert Alerting(RULES, ALL).active(base)["gateway_away"] == 1
    for house in houses:
        house.base.close()
