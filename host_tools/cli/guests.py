"""`gatehouse passcode sync`: one code for each booking of a calendar."""

import time
from pathlib import Path
from typing import Annotated

import typer

from host_tools import screen, text
from host_tools.cli import common, ending, times
from host_tools.cli.common import err, key_book, out, reporting
from host_tools.cli.reach import Change
from host_tools.errors import HostError, Pending
from host_tools.gateway.credentials import Passcodes
from host_tools.owner import bookings, codes, guests, names, zones
from host_tools.owner.keybook import Entry
from host_tools.screen import Table, styled

_DIGITS = 6
_WORDS = {
    guests.ADD: "new",
    guests.MOVE: "moved",
    guests.RENAME: "renamed",
    guests.DELETE: "removed",
    guests.KEEP: "as it is",
    guests.WAITS: "waits at the gateway",
}


def sync(
    file: Annotated[str, typer.Argument(help='Calendar (.ics); "-" is standard input')],
    lock: common.Lock,
    via: Change,
    calendar: Annotated[
        str, typer.Option("--calendar", help="What the calendar is called here; else as its file. Others' codes stay")
    ] = "",
    check_in: Annotated[
        str, typer.Option("--check-in", help="From when guests of all-day bookings may open")
    ] = "15:00",
    check_out: Annotated[str, typer.Option("--check-out", help="And until when, on their last day")] = "11:00",
    ahead: Annotated[int, typer.Option("--ahead", help="Bookings that begin within so many days", min=1, max=366)] = 90,
    skip: Annotated[
        list[str] | None, typer.Option("--skip", help="No booking is what has this in its name; repeatable")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing")] = False,
    as_json: common.Json = False,
) -> None:
    """Give each booking of a calendar a code of its own, made up and good for its time only; take it away afterwards,
    or when the booking is gone. Run again, it changes what has changed. Codes of others are left alone."""
    with reporting():
        entry = common.entry_of(lock)
        zone = zones.RuleZone(zones.rule_of(entry))
        hours = bookings.Hours(_hour(check_in, "--check-in"), _hour(check_out, "--check-out"))
        found = bookings.read(_content(file), zone, time.time(), ahead, hours)
        unwanted = [text.key(each) for each in skip or () if text.key(each)]
        found = [each for each in found if not any(word in text.key(each.name) for word in unwanted)]
        label = text.name(calendar, "name of the calendar") if calendar else _label(file)
    done: list[dict] = []

    async def work(served, step) -> list[dict]:
        asked = Passcodes(served, key_book(), entry, common.warn)
        listed = await asked.list()
        steps = guests.plan(common.entry_of(entry.id), label, found, listed)
        for each in steps:
            if dry_run or each.do in (guests.KEEP, guests.WAITS):
                done.append(each.to_json())
                continue
            step("%s: %s" % (_WORDS[each.do], each.name))
            ending.settle(False)
            done.append(await carry_out(asked, entry.id, label, each, zone, as_json))
        return done

    try:
        name, _ = via.use(entry.id, "making codes for %d bookings" % len(found), work)
    except typer.Exit:
        if done and not dry_run:
            err.print("%d of the changes are done; the same command does the rest" % len(done))
        raise
    ending.settle()
    if as_json:
        out.print_json({"ok": True, "lock": entry.id, "calendar": label, "dry_run": dry_run, "bookings": done})
        return
    table = Table(
        "name", "from", "until", "code", "", title="%s, %s%s" % (name, label, " (planned)" if dry_run else "")
    )
    for each in done:
        period = [zones.when(each[key], zone, "%Y-%m-%d %H:%M") for key in ("start", "end")]
        table.add_row(each["name"], *period, each.get("passcode", ""), each.get("state") or _WORDS[each["do"]])
    out.print(table if done else "%s: the calendar has no bookings in the next %d days" % (name, ahead))


async def carry_out(
    asked: Passcodes, lock: str, label: str, step: guests.Step, zone: zones.RuleZone, as_json: bool
) -> dict:
    """One step -> what to tell of it. The row of a code is there before the code, and goes after it."""
    told = step.to_json()
    book = key_book()
    entry = common.entry_of(lock)
    booking, guest = step.booking, step.guest
    try:
        if step.do == guests.DELETE:
            assert guest is not None
            known = _known(entry, guest.who)
            if known is None:
                await asked.delete("", None, guest.who)
            else:
                await asked.delete("", known)
            guests.drop(book, lock, guest.who)
        elif step.do == guests.ADD:
            assert booking is not None
            code = _code(entry)
            who = names.who_of(entry.aes, "passcode", None, code)
            assert who is not None
            told["name"] = guests.free_name(entry, booking, zones.when(booking.start, zone, "%d %b"))
            (err if as_json else out).print(
                styled("passcode of %s: " % told["name"], (code, "bold"), " (the lock does not know it yet)")
            )
            guests.put(book, lock, guests.Guest(label, booking.key, booking.name, who, booking.start, booking.end))
            told["passcode"] = code
            args = {"code": code, "type": "period", "start": booking.start, "end": booking.end}
            await asked.add(args, told["name"], True)
        else:
            assert booking is not None and guest is not None
            known = _known(entry, guest.who)
            name = (
                ""
                if guest.name == booking.name
                else guests.free_name(entry, booking, zones.when(booking.start, zone, "%d %b"))
            )
            guests.put(book, lock, guests.Guest(label, booking.key, guest.name, guest.who, booking.start, booking.end))
            if step.do == guests.MOVE:
                period = {"who": guest.who, "start": booking.start, "end": booking.end}
                await asked.change(period, name, known or names.Credential("passcode", "", None, [guest.who]))
            elif known is not None:
                names.remember(
                    book,
                    lock,
                    "passcode",
                    None,
                    name,
                    start=known.start,
                    end=known.end,
                    who=guest.who,
                    pending=known.pending,
                )
            guests.put(
                book, lock, guests.Guest(label, booking.key, booking.name, guest.who, booking.start, booking.end)
            )
    except Pending:
        told["state"] = _WORDS[guests.WAITS]
    return told


def _known(entry: Entry, who: int) -> names.Credential | None:
    return next((each for each in names.live(entry, "passcode") if who in each.who), None)


def _code(entry: Entry) -> str:
    """A code that no other of the lock is."""
    taken = {who for each in names.live(entry, "passcode") for who in each.who}
    while True:
        code = codes.random_code(_DIGITS)
        if names.who_of(entry.aes, "passcode", None, code) not in taken:
            return code


def _hour(word: str, option: str) -> int:
    minutes = times.read_time_of_day(word)
    if minutes is None:
        raise HostError("bad_request", "%s %s is no time of day" % (option, text.printable(word, 40)), "write 15:00")
    return minutes


def _label(file: str) -> str:
    return text.tidy(Path(file).stem) if file != "-" else "calendar"


def _content(file: str) -> bytes:
    if file == "-":
        return screen.read_all(bookings.MAX_BYTES + 1)
    try:
        with open(file, "rb") as stream:
            return stream.read(bookings.MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise HostError(
            "io", "cannot read %s: %s" % (text.printable(file, 200), getattr(error, "strerror", None) or error)
        )
