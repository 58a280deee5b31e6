"""One code for each booking: whatever is cut off, the next run ends with the bookings in the lock, once each."""

import asyncio
import itertools
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.cli import guests as command
from host_tools.errors import HostError, Unknown
from host_tools.gateway.credentials import Passcodes
from host_tools.owner import guests, names, zones
from host_tools.owner.bookings import Booking
from host_tools.owner.keybook import KeyBook
from tests.host.test_cli import ENTRY

ZONE = zones.RuleZone("CET-1CEST,M3.5.0,M10.5.0/3")
BASE = 1_900_000_020 - 1_900_000_020 % 60
MINE = 77  # the mark of a code that somebody else made


class Cut(Exception):
    """The computer loses its power."""


class Served:
    """A lock behind its gateway: what it holds, by mark. After `left` requests the next is cut off, before or after the
    lock has done it."""

    ident = ENTRY.mac.replace(":", "")

    def __init__(self) -> None:
        self.held = {MINE: {"who": MINE, "start": None, "end": None}}
        self.changes = 0
        self.left: int | None = None
        self.how = "before"
        self._idents = itertools.count()

    async def items(self, op, args=None, on_page=None):
        return [dict(each) for each in self.held.values()] if op == "passcode_list" else []

    async def command(self, op, args=None, secret=False, on_progress=None, on_sending=None):
        ident = "r%d" % next(self._idents)
        if on_sending:
            on_sending(ident)
        self.left = None if self.left is None else self.left - 1
        is_cut = self.left is not None and self.left < 0
        if is_cut and self.how == "before":
            raise Cut
        data = self._do(op, args or {})
        if is_cut:
            raise Unknown(ident, "no answer", "") if self.how == "unknown" else Cut
        return {"ok": True, "id": ident, "data": data}

    def _do(self, op, args):
        self.changes += 1
        if op == "passcode_delete":
            assert args["who"] != MINE
            return {"existed": self.held.pop(args["who"], None) is not None}
        who = args.get("who", names.who_of(ENTRY.aes, "passcode", None, args.get("code", "")))
        assert (op == "passcode_add") == (who not in self.held) and args["start"] < args["end"]
        stamps = {key: zones.local(args[key], ZONE).isoformat() for key in ("start", "end")}
        self.held[who] = {"who": who, "type": "period", **stamps}
        return {}


async def run(book, served, bookings, calendar="airy"):
    entry = next(each for each in book.entries() if each.id == served.ident)
    asked = Passcodes(served, book, entry)
    listed = await asked.list()
    entry = next(each for each in book.entries() if each.id == served.ident)
    steps = guests.plan(entry, calendar, bookings, listed)
    for step in steps:
        if step.do not in (guests.KEEP, guests.WAITS):
            await command.carry_out(asked, served.ident, calendar, step, ZONE, True)
    return [each.do for each in steps]


def in_lock(served):
    return sorted(
        (names.unix_of(each["start"]), names.unix_of(each["end"])) for who, each in served.held.items() if who != MINE
    )


STAYS = st.dictionaries(
    st.sampled_from("abcde"),
    st.tuples(st.sampled_from(["Ada", "ada", "Flo"]), st.integers(0, 5), st.integers(1, 3)),
    max_size=4,
)


def made(stays):
    return [
        Booking(key, name, BASE + first * 3600, BASE + (first + length) * 3600)
        for key, (name, first, length) in stays.items()
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(STAYS, st.none() | st.integers(0, 4), st.sampled_from(["before", "after", "unknown"])), max_size=4
    ),
    STAYS,
)
def test_after_a_run_the_lock_has_one_code_for_each_booking_and_a_second_run_does_nothing(tmp_path_factory, runs, last):
    folder = tmp_path_factory.mktemp("book")
    book, served = KeyBook(folder / "keys.json"), Served()
    book.put(ENTRY)
    os.environ["GATEHOUSE_KEYS"] = str(folder / "keys.json")
    try:
        for stays, left, how in runs:
            served.left, served.how = left, how
            try:
                asyncio.run(run(book, served, made(stays)))
            except (Cut, HostError):
                assert left is not None
        served.left = None
        asyncio.run(run(book, served, made(last)))
        wanted = made(last)
        assert in_lock(served) == sorted((each.start, each.end) for each in wanted)
        rows = guests.of(book.find(ENTRY.name))
        assert {each.who for each in rows} == set(served.held) - {MINE}
        assert {(each.key, each.name) for each in rows} == {(each.key, each.name) for each in wanted}
        called = [each.name for each in names.live(book.find(ENTRY.name), "passcode")]
        assert len({each.casefold() for each in called}) == len(called) == len(wanted)
        changes = served.changes
        assert set(asyncio.run(run(book, served, made(last)))) <= {guests.KEEP}
        assert served.changes == changes and MINE in served.held
        other = [Booking("z", "Max", BASE, BASE + 60)]
        assert asyncio.run(run(book, served, other, "other")) == [guests.ADD]
        assert len(in_lock(served)) == len(wanted) + 1
        asyncio.run(run(book, served, [], "other"))
        assert in_lock(served) == sorted((each.start, each.end) for each in wanted)
    finally:
        del os.environ["GATEHOUSE_KEYS"]
