"""Which codes of a lock belong to which bookings, and what makes them agree with a calendar. Pure but for the key book.

Owns the rows `guests` of a lock's entry: the calendar's name, the booking's key and name, the code's mark. A row is
written before its code is sent, and goes after its code: so a code of a booking always has one, and what was cut off is
seen by comparing with what the lock holds. A code without a row was made by somebody else and is left alone.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from host_tools import text
from host_tools.owner import names, rows
from host_tools.owner.bookings import Booking
from host_tools.owner.keybook import Entry, KeyBook

ADD, MOVE, RENAME, DELETE, KEEP, WAITS = "add", "move", "rename", "delete", "keep", "waits"


@dataclass
class Guest:
    """A code that was made for a booking. `who` is its mark; `start` and `end` what was last asked for."""

    calendar: str
    key: str
    name: str
    who: int
    start: int
    end: int


@dataclass
class Step:
    """What is to be done about one booking: `booking` None where it is gone, `guest` None where it has no code."""

    do: str
    booking: Booking | None
    guest: Guest | None

    @property
    def name(self) -> str:
        if self.booking is not None:
            return self.booking.name
        assert self.guest is not None
        return self.guest.name

    def to_json(self) -> dict:
        """For --json and the table."""
        shown = self.booking or self.guest
        assert shown is not None
        return {"do": self.do, "name": self.name, "start": shown.start, "end": shown.end}


def of(entry: Entry) -> list[Guest]:
    """The codes of bookings of every calendar."""
    return rows.read(entry.guests, Guest, entry.name)


def plan(entry: Entry, calendar: str, bookings: Iterable[Booking], listed: list[dict]) -> list[Step]:
    """What makes the lock agree. `listed`: the codes that it holds; the key book has been settled by them."""
    held = {each.get("who"): each for each in listed}
    pending = {who for each in names.pending_of(entry, "passcode") for who in each.who}
    wanted = {each.key: each for each in bookings}
    steps: list[Step] = []
    served: set[str] = set()
    for guest in of(entry):
        if guest.calendar != calendar:
            continue
        booking = wanted.get(guest.key)
        if booking is None or guest.key in served:
            steps.append(Step(DELETE, None, guest))
        elif guest.who in held or guest.who in pending:
            served.add(guest.key)
            steps.append(Step(_state(booking, guest, held.get(guest.who), guest.who in pending), booking, guest))
        else:  # it never arrived, or somebody deleted it: its digits are gone
            steps.append(Step(DELETE, None, guest))
    steps += [Step(ADD, each, None) for key, each in wanted.items() if key not in served]
    order = (DELETE, MOVE, RENAME, ADD, WAITS, KEEP)  # what frees places goes first
    return sorted(steps, key=lambda each: order.index(each.do))


def _state(booking: Booking, guest: Guest, item: dict | None, is_pending: bool) -> str:
    period = (booking.start, booking.end)
    if is_pending:
        agrees = (guest.start, guest.end) == period
    else:
        agrees = item is not None and (names.unix_of(item.get("start")), names.unix_of(item.get("end"))) == period
    if not agrees:
        return MOVE
    if guest.name != booking.name:
        return RENAME
    return WAITS if is_pending else KEEP


def free_name(entry: Entry, booking: Booking, day: str) -> str:
    """What the code is called: as the booking, with its first day where another code is called so."""
    taken = {text.key(each.name) for each in names.live(entry, "passcode")}
    name, count = booking.name, 1
    while text.key(name) in taken:
        name = "%s (%s%s)" % (booking.name, day, ", %d" % count if count > 1 else "")
        count += 1
    return name


def put(book: KeyBook, lock: str, guest: Guest) -> None:
    """Add or replace the row of a code."""
    _change(book, lock, lambda kept: [each for each in kept if each.who != guest.who] + [guest])


def drop(book: KeyBook, lock: str, who: int) -> None:
    """The code is gone."""
    _change(book, lock, lambda kept: [each for each in kept if each.who != who])


def _change(book: KeyBook, lock: str, make: Callable[[list[Guest]], list[Guest]]) -> None:
    def change(entry: Entry) -> None:
        entry.guests = [vars(each) for each in make(of(entry))]

    book.update(lock, change)
