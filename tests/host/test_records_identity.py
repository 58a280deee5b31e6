"""The same record once, another one never taken for it: gateways replaced, locks paired anew, numbers that wrap,
records that contradict each other, files of older releases, and the order in which they are shown."""

import itertools
import json
import random
import sqlite3

import pytest

from firmware.lib import dates, marks, records, reports
from host_tools.errors import HostError
from host_tools.gateway.database import SQLITE_VERSION
from host_tools.gateway.records_batch import NUMBERS, Batch, read_batch
from host_tools.gateway.records_choice import Choice
from host_tools.gateway.records_store import RecordStore

LOCK, OTHER = "240ac4b00002", "240ac4b00003"
KEY, NEXT_KEY = bytes(range(16)), bytes(range(1, 17))
ERA, NEXT_ERA = marks.era(KEY), marks.era(NEXT_KEY)
DAY = 1790000000
_FIRST_RELEASE = """CREATE TABLE records (
 lock TEXT NOT NULL, epoch INTEGER NOT NULL, rec INTEGER NOT NULL, type INTEGER, event TEXT, method TEXT, ok INTEGER,
 who INTEGER, ts TEXT, battery INTEGER%s, PRIMARY KEY (lock, epoch, rec)) WITHOUT ROWID;
CREATE TABLE gaps (
 lock TEXT NOT NULL, epoch INTEGER NOT NULL, before INTEGER NOT NULL, lost INTEGER NOT NULL,
 PRIMARY KEY (lock, epoch, before)) WITHOUT ROWID;"""
_LATER = ", list INTEGER, button INTEGER, accessory_battery INTEGER, gone INTEGER"


def item(rec, ts, type=4, who=77, battery=90, offset_min=0, shown=True):
    """As a gateway makes it. `shown`: it could tell the time."""
    raw = records.encode(type, dates.from_unix(ts + 60 * offset_min), battery)
    return reports.record_item(rec, records.decode(raw), ts if shown else None, who)


def log_of(*numbers, begin=DAY, **more):
    return [item(number, begin + 60 * number, **more) for number in numbers]


def batch(items, era=ERA, gap=0):
    return Batch(era, items[0]["rec"], items[-1]["rec"], gap, items)


@pytest.fixture
def store(tmp_path):
    with RecordStore(tmp_path / "records.db") as made:
        yield made


def shown(store, lock=LOCK):
    return [each["rec"] for each in store.every(lock, Choice())]


class TestSameOrAnother:
    def test_a_replaced_gateway_and_a_second_one_double_nothing_and_hide_nothing(self, store):
        assert store.keep(LOCK, batch(log_of(*range(40)))) == 40
        assert store.keep(LOCK, batch(log_of(*range(50)))) == 10, "another gateway begins at the oldest"
        assert store.keep(LOCK, batch(log_of(*range(30, 50)))) == 0
        assert shown(store) == list(range(50))

    def test_a_lock_paired_anew_begins_at_0_again(self, store):
        store.keep(LOCK, batch(log_of(*range(40))))
        assert store.keep(LOCK, batch(log_of(0, 1, 2, begin=DAY + 86400), NEXT_ERA)) == 3
        assert shown(store) == [*range(40), 0, 1, 2]

    @pytest.mark.parametrize("era", [ERA, NEXT_ERA])
    def test_an_entry_is_never_taken_for_another(self, store, era):
        """Whatever of its name differs: lock, era, number or date."""
        store.keep(LOCK, batch([item(5, DAY)]))
        burglar = {"lock": (LOCK, OTHER), "era": (ERA, NEXT_ERA), "rec": (5, 6), "ts": (DAY, DAY + 1)}
        names = {(LOCK, ERA, 5, DAY)}
        for lock, number_era, rec, ts in itertools.product(*burglar.values()):
            is_new = (lock, number_era, rec, ts) not in names
            names.add((lock, number_era, rec, ts))
            assert store.keep(lock, batch([item(rec, ts)], number_era)) == is_new
        assert len(shown(store)) + len(shown(store, OTHER)) == len(names) == 16

    def test_numbers_that_begin_anew_differ_by_their_date(self, store):
        store.keep(LOCK, batch(log_of(65532, 65533)))
        assert store.keep(LOCK, batch(log_of(0, 1, begin=DAY + 60 * NUMBERS))) == 2
        assert store.keep(LOCK, batch(log_of(65532, begin=DAY + 120 * NUMBERS))) == 1
        assert shown(store) == [65532, 65533, 0, 1, 65532]
        assert not any(each["conflict"] for each in store.every(LOCK, Choice()))

    @pytest.mark.parametrize(
        "other", [{"type": 1}, {"battery": 50}, {"who": 78}, {"type": 17, "battery": 12}], ids=lambda each: str(each)
    )
    def test_what_contradicts_is_kept_and_marked(self, store, other):
        store.keep(LOCK, batch([item(3, DAY), item(4, DAY + 60)]))
        assert store.keep(LOCK, batch([item(3, DAY, **other)])) == 1
        assert store.keep(LOCK, batch([item(3, DAY, **other)])) == 0, "and once"
        assert [(each["rec"], each["conflict"]) for each in store.every(LOCK, Choice())] == [
            (3, True),
            (3, True),
            (4, False),
        ]

    def test_what_one_gateway_does_not_know_contradicts_nothing_and_is_completed(self, store):
        store.keep(LOCK, batch([item(3, DAY, who=None, shown=False)]))
        assert store.keep(LOCK, batch([item(3, DAY)])) == 0
        assert store.keep(LOCK, batch([item(3, DAY, who=None, shown=False)])) == 0
        (found,) = store.last(LOCK, 5)
        assert (found["who"], found["ts"], found["conflict"]) == (77, reports.iso(DAY), False)

    def test_every_order_of_arrival_leaves_the_same(self, tmp_path):
        """Records of two pairings with numbers that wrap, in batches from three gateways, each several times."""
        random.seed(5)
        log = [(ERA, number % NUMBERS, DAY + 60 * (number - 65500)) for number in range(65500, 65580)]
        log += [(NEXT_ERA, number, DAY + 60 * (100 + number)) for number in range(40)]
        expected = [(era, rec) for era, rec, _ in log]
        for turn in range(4):
            with RecordStore(tmp_path / ("%d.db" % turn)) as store:
                new = 0
                jobs = [random.sample(range(len(log)), len(log)) for _ in range(3)]
                for place in itertools.chain(*jobs):
                    era, rec, ts = log[place]
                    new += store.keep(LOCK, batch([item(rec, ts)], era))
                found = [(each["epoch"], each["rec"]) for each in store.every(LOCK, Choice())]
                assert (new, found) == (len(log), expected)
                assert [(each["epoch"], each["rec"]) for each in store.page(LOCK, Choice(), 30, 2)] == expected[-60:-30]


class TestOrder:
    def test_records_without_a_time_stand_behind_the_one_before_them(self, store):
        items = [
            item(0, DAY),
            reports.record_item(1, records.decode(records.encode(14, (2000, 1, 1, 0, 0, 0), 90)), None, None),
            reports.record_item(2, records.decode(records.encode(4, (2000, 1, 1, 0, 9, 0), 90)), None, None),
            item(3, DAY + 600),
        ]
        store.keep(LOCK, batch(items))
        assert shown(store) == [0, 1, 2, 3]

    def test_a_lock_whose_zone_is_not_known_is_in_the_order_of_its_clock(self, store):
        store.keep(LOCK, batch(log_of(*range(5, 10), shown=False)))
        store.keep(LOCK, batch(log_of(*range(5), shown=False)))
        assert shown(store) == list(range(10))


class TestDeleting:
    def test_what_was_deleted_stays_away_and_what_has_its_number_comes(self, store):
        store.keep(LOCK, batch(log_of(*range(5))))
        assert store.delete(LOCK, Choice(ids=[store.find(LOCK, 2)[0]["id"]])) == 1
        assert store.keep(LOCK, batch(log_of(*range(5)))) == 0
        assert shown(store) == [0, 1, 3, 4]
        assert store.keep(LOCK, batch(log_of(2, begin=DAY + 60 * NUMBERS))) == 1, "its number again, much later"
        assert store.keep(LOCK, batch(log_of(2), NEXT_ERA)) == 1, "of another pairing"

    def test_nothing_of_it_is_left_in_the_file(self, store, tmp_path):
        gone = item(2, DAY + 123456, who=1234567)
        store.keep(LOCK, batch([item(1, DAY), gone]))
        store.delete(LOCK, Choice(ids=[store.find(LOCK, 2)[0]["id"]]))
        octets = (tmp_path / "records.db").read_bytes()
        assert gone["ts"].encode() not in octets and gone["date"].encode() not in octets
        base = sqlite3.connect(tmp_path / "records.db")
        columns = [row[1] for row in base.execute("PRAGMA table_info(records)")]
        row = dict(zip(columns, base.execute("SELECT * FROM records WHERE gone=1").fetchone(), strict=True))
        told = {name for name, value in row.items() if value is not None}
        assert told == {"id", "lock", "epoch", "rec", "date", "place", "gone"} and not row["place"]


class TestLacking:
    def test_what_the_store_lacks_is_asked_for_once(self, store):
        assert store.lacking(LOCK, ERA, 0) == []
        assert store.lacking(LOCK, ERA, 5) == [(0, 4)]
        store.keep(LOCK, batch(log_of(10, 11, 12)))
        store.keep(LOCK, batch(log_of(20), gap=3))
        assert store.lacking(LOCK, ERA, 23) == [(0, 9), (13, 19), (21, 22)]
        store.asked(LOCK, ERA, 0, 9)
        assert (store.lacking(LOCK, ERA, 23), store.lost(LOCK)) == ([(13, 19), (21, 22)], 3)
        store.asked(LOCK, ERA, 13, 19)
        assert (store.lacking(LOCK, ERA, 21), store.lost(LOCK)) == ([], 7)
        store.keep(LOCK, batch(log_of(13, 14, 17)))  # another gateway had them
        assert store.lost(LOCK) == 4
        assert store.lacking(LOCK, NEXT_ERA, 2) == [(0, 1)]

    def test_numbers_that_have_wrapped(self, store):
        store.keep(LOCK, batch(log_of(65530, 65532)))
        store.keep(LOCK, batch(log_of(1, begin=DAY + 60 * NUMBERS)))
        assert store.lacking(LOCK, ERA, 3) == [(65531, 65531), (65533, 65533), (0, 0), (2, 2)]

    def test_what_is_deleted_is_not_asked_for_again(self, store):
        store.keep(LOCK, batch(log_of(*range(5))))
        store.delete(LOCK, Choice())
        assert store.lacking(LOCK, ERA, 5) == []

    @pytest.mark.parametrize("gap", [NUMBERS, 1 << 31])
    def test_a_gap_without_end_is_bounded(self, store, gap):
        store.keep(LOCK, batch(log_of(5), gap=gap))
        assert store.lost(LOCK) == NUMBERS - 1


class TestFirstRelease:
    """Its files: one epoch for each gateway and pairing, no date, `gone` in the later ones."""

    @staticmethod
    def file(path, rows, has_more=True, gaps=()):
        base = sqlite3.connect(path)
        base.executescript(_FIRST_RELEASE % (_LATER if has_more else ""))
        for lock, epoch, each, gone in rows:
            if not has_more:
                values = (lock, epoch, *(each[n] for n in ("rec", "type", "event", "method", "ok", "who", "ts")), 90)
            elif gone:
                values = (lock, epoch, each["rec"], *(None,) * 10, 1)
            else:
                names = ("rec", "type", "event", "method", "ok", "who", "ts", "battery", "list")
                values = (lock, epoch, *(each[name] for name in names), None, None, None)
            base.execute("INSERT INTO records VALUES (%s)" % ",".join("?" * len(values)), values)
        base.executemany("INSERT INTO gaps VALUES (?,?,?,?)", gaps)
        base.commit()
        base.close()
        return path

    @pytest.mark.parametrize("has_more", [True, False])
    def test_all_is_still_there_and_comes_once(self, tmp_path, has_more):
        log = log_of(*range(60))
        path = self.file(tmp_path / "old.db", [(LOCK, 0, each, False) for each in log], has_more, [(LOCK, 0, 9, 2)])
        for _ in range(2):
            with RecordStore(path) as store:
                assert shown(store) == list(range(60)) and store.lost(LOCK) == 0
        with RecordStore(path) as store:
            assert store.keep(LOCK, batch(log)) == 0, "the gateway, updated, sends all of it again"
            assert store.keep(LOCK, batch(log_of(60, 61))) == 2
            assert shown(store) == list(range(62))
            assert {(each["epoch"], len(each["date"])) for each in store.every(LOCK, Choice())} == {(ERA, 12)}

    def test_what_it_ignored_is_taken_now(self, tmp_path):
        """A replaced gateway's records had the numbers of older ones."""
        path = self.file(tmp_path / "old.db", [(LOCK, 0, each, False) for each in log_of(*range(10))])
        with RecordStore(path) as store:
            assert store.keep(LOCK, batch(log_of(*range(10), begin=DAY + 3600), NEXT_ERA)) == 10
            assert shown(store) == [*range(10), *range(10)]

    @pytest.mark.parametrize("order", ["rising", "falling", "mixed"])
    def test_what_was_deleted_in_it_stays_away(self, tmp_path, order):
        log = log_of(*range(12))
        rows = [(LOCK, 3, each, each["rec"] in (0, 5, 11)) for each in log]
        with RecordStore(self.file(tmp_path / "old.db", rows)) as store:
            assert shown(store) == [n for n in range(12) if n not in (0, 5, 11)]
            places = list(range(12))
            random.Random(4).shuffle(places) if order == "mixed" else places.sort(reverse=order == "falling")
            for place in places:
                store.keep(LOCK, batch([log[place]]))
            assert shown(store) == [n for n in range(12) if n not in (0, 5, 11)]
            # and the same numbers of another pairing do come
            assert store.keep(LOCK, batch(log_of(*range(12), begin=DAY + 10**6), NEXT_ERA)) == 12

    def test_times_made_with_another_offset_are_the_same_records(self, tmp_path):
        log = log_of(*range(20))
        old = [each | {"ts": reports.iso(DAY + 60 * each["rec"] - 7200)} for each in log[:10]] + log[10:]
        with RecordStore(self.file(tmp_path / "old.db", [(LOCK, 0, each, False) for each in old])) as store:
            for each in reversed(log):
                assert store.keep(LOCK, batch([each])) == 0

    def test_a_file_of_a_later_release_is_left_alone(self, tmp_path):
        base = sqlite3.connect(tmp_path / "new.db")
        base.execute("PRAGMA user_version=%d" % (SQLITE_VERSION + 1))
        base.commit()
        with pytest.raises(HostError, match="later release"):
            RecordStore(tmp_path / "new.db")

    def test_a_taking_over_that_fails_leaves_the_file_as_it_was(self, tmp_path):
        path = self.file(tmp_path / "old.db", [(LOCK, 0, each, False) for each in log_of(1, 2)])
        base = sqlite3.connect(path)
        base.execute("CREATE TABLE notices (x)")  # in the way of the last step
        base.commit()
        before = path.read_bytes()
        with pytest.raises(HostError):
            RecordStore(path)
        assert path.read_bytes() == before
        base.execute("DROP TABLE notices")
        with RecordStore(path) as store:
            assert shown(store) == [1, 2]

    def test_a_gateway_of_the_first_release_is_understood(self, store):
        old = [{name: value for name, value in each.items() if name != "date"} for each in log_of(*range(5))]
        assert store.keep(LOCK, batch(old, 0)) == 5
        assert store.keep(LOCK, batch(old, 0)) == 0
        burglar = {**old[3], "ts": reports.iso(DAY + 10**5)}  # another gateway's number 3
        assert store.keep(LOCK, batch([burglar], 0)) == 1
        assert store.keep(LOCK, batch(log_of(*range(5)))) == 0, "updated, it names the era"
        assert len(shown(store)) == 6


class TestBatch:
    def test_what_is_no_batch_is_refused(self):
        good = {"epoch": ERA, "from": 1, "to": 1, "gap": 0, "items": [item(1, DAY)]}
        assert read_batch(json.dumps(good)).first == 1
        for key in good:
            for wrong in (None, "1", -1, 1.5, True, 1 << 70, [], {}, [[]], [{}]):
                with pytest.raises(HostError):
                    read_batch(json.dumps({**good, key: wrong}))
        for key in ("rec", "date", "type", "list", "event", "method", "ok", "who", "ts", "battery", "button"):
            for wrong in (1.5, [1], {"a": 1}, 1 << 70, "x" * 10**6, -1):
                with pytest.raises(HostError):
                    read_batch(json.dumps({**good, "items": [{**item(1, DAY), key: wrong}]}))
        for text in ("", "nonsense", "[]", "null", "1", "[" * 100000):
            with pytest.raises(HostError):
                read_batch(text)
