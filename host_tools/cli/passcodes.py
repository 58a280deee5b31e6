"""`gatehouse passcode`, `admin-code`, `erase-code`: codes for the keypad. Digits come from standard input."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from host_tools import screen
from host_tools.cli import common, times
from host_tools.cli.common import err, key_book, out, reporting
from host_tools.cli.options import App
from host_tools.cli.reach import Change, Gateway, done, target
from host_tools.errors import HostError, Pending
from host_tools.gateway.credentials import Passcodes, issued_unused, prefix_clash
from host_tools.near import ownership
from host_tools.owner import codes, minting, names
from host_tools.owner.keybook import Entry
from host_tools.screen import Table, styled

app = App(no_args_is_help=True, help="Codes for the keypad.")
admin_app = App(no_args_is_help=True, help="The administrator's passcode, beside the lock.")

Named = Annotated[str, typer.Option("--name", help="Whose code it is")]
Generate = Annotated[int, typer.Option("--generate", help="Make up a code of so many digits and show it")]
Short = Annotated[bool, typer.Option("--short", help="Allow 4 or 5 digits")]

_KINDS_HELP = "once, permanent, timed, erase; weekend, daily, workday, mon ... sun"


def _read_code(generate: int, short: bool, what: str = "passcode") -> str:
    if generate:
        if not 6 <= generate <= 9:
            raise HostError("bad_request", "--generate takes 6 to 9 digits")
        return codes.random_code(generate)
    return codes.check(common.secret(what, again=screen.asks()), short)


def _do(lock: str, via: Gateway, what: str, work: Callable[[Passcodes], Awaitable[Any]]) -> tuple[str, Any]:
    """(name of the lock, what `work` returns). Errors end the command."""
    with reporting():
        entry = common.known_entry(lock)
    return via.use(lock, what, lambda served, step: work(Passcodes(served, key_book(), entry)))


def _minutes(text: str) -> int:
    minutes = times.read_time_of_day(text)
    if minutes is None or minutes == 1440:
        raise HostError("bad_request", "%r is no time of day" % text, "write 08:00")
    return minutes


@app.command("add")
def add(
    lock: common.Lock,
    via: Change,
    start: times.From = "",
    end: times.Until = "",
    once: Annotated[bool, typer.Option("--once", help="Opens one time, until its end")] = False,
    days: Annotated[str, typer.Option("--days", help="Recurring: weekend, daily, workday, mon ... sun")] = "",
    opens: Annotated[str, typer.Option("--at", help="Recurring: opens at, such as 08:00")] = "",
    hours: Annotated[int, typer.Option("--hours", help="Recurring: for so many hours, 1 to 24")] = 0,
    name: Named = "",
    generate: Generate = 0,
    short: Short = False,
) -> None:
    """Add a passcode; it is asked for, made up (--generate), or read from standard input."""
    with reporting():
        args: dict = {"code": _read_code(generate, short), "type": "permanent"}
        if days:
            if days not in minting.RECURRING or not opens or not 1 <= hours <= 24:
                raise HostError("bad_request", "a recurring code needs --days, --at and --hours")
            args.update(type="cyclic", days=days, from_min=_minutes(opens), hours=hours)
        elif end or start or once:
            begin, until = times.read_period(start, end)
            args.update(type="once" if once else "period", start=begin, end=until)
        entry = common.known_entry(lock)
        if entry is not None and prefix_clash(entry, args["code"]):
            warning = (
                "warning: it is the beginning of another code, or goes on from one; the keypad may take the shorter"
            )
            err.print(warning, style="yellow")

    async def work(asked: Passcodes) -> dict:
        is_known = True
        try:
            return await asked.add(args, name)
        except HostError as error:
            is_known = isinstance(error, Pending)  # the gateway goes on with it
            raise
        finally:
            if generate and is_known:
                out.print(styled("passcode: ", (args["code"], "bold")))

    title, result = _do(lock, via, "adding a passcode", work)
    done(title, "knows the passcode", result)


@app.command("change")
def change(
    lock: common.Lock,
    via: Change,
    new: Annotated[bool, typer.Option("--new", help="Also other digits: a second line of standard input")] = False,
    start: times.From = "",
    end: times.Until = "",
    name: Named = "",
    short: Short = False,
) -> None:
    """Change digits, period (both --from and --until) or name of a passcode, which is asked for."""
    with reporting():
        args: dict = {"code": common.secret("passcode to change")}
        if new:
            args["new_code"] = _read_code(0, short, "new passcode")
        if bool(start) != bool(end):
            raise HostError("bad_request", "a period needs both start and end", "give --from and --until")
        if end:
            args["start"], args["end"] = times.read_period(start, end)
        if len(args) == 1 and not name:
            raise HostError("bad_request", "nothing to change", "give --new, --from and --until, or --name")
    if len(args) == 1:
        with reporting():
            ident, title = target(lock)
            names.remember(key_book(), ident, "passcode", None, name, args["code"])
        out.print("%s: the passcode is %s's" % (title, name))
        return
    title, result = _do(lock, via, "changing a passcode", lambda asked: asked.change(args, name))
    done(title, "changed the passcode", result)


@app.command("delete")
def delete(lock: common.Lock, via: Change) -> None:
    """Delete a passcode, which is asked for or read from standard input."""
    with reporting():
        code = common.secret("passcode to delete")
        entry = common.known_entry(lock)
        unused = entry is not None and minting.find(entry, code) is not None
    name, result = _do(lock, via, "deleting a passcode", lambda asked: asked.delete(code))
    done(name, "no longer takes the passcode", result)
    if unused:
        err.print("if it was never used, the lock does not know it: a `passcode reset` or an erase code kills it")


@app.command("clear")
def clear(
    lock: common.Lock, via: Change, yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False
) -> None:
    """Delete all passcodes that the lock holds. Codes that were made without it and never used stay good."""
    if not yes:
        screen.confirm("delete all passcodes of this lock?", abort=True)
    name, result = _do(lock, via, "deleting all passcodes", lambda asked: asked.clear())
    done(name, "has no passcodes", result)


@app.command("reset")
def reset(
    lock: common.Lock, via: Change, yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False
) -> None:
    """Delete all passcodes and make every code that was ever made without the lock dead. The admin passcode stays."""
    if not yes:
        screen.confirm("reset all passcodes of this lock?", abort=True)
    name, result = _do(lock, via, "resetting the passcodes", lambda asked: asked.reset())
    done(name, "has no passcodes, and no old one will do", result)


@app.command("list")
def list_(
    lock: common.Lock,
    via: Gateway,
    name: Annotated[str, typer.Option("--name", help="Only those whose name holds this")] = "",
    code: Annotated[bool, typer.Option("--code", help="Only the code that is asked for")] = False,
    as_json: common.Json = False,
) -> None:
    """Passcodes in the lock, masked, and those that were made without it and not used yet."""
    with reporting():
        entry = common.known_entry(lock)
        who = None
        if code:
            if entry is None:
                raise HostError("unknown_lock", "a code is searched for with the key book's keys only")
            who = names.who_of(entry.aes, "passcode", None, common.secret("passcode to search for"))
    title, items = _do(lock, via, "reading its passcodes", lambda asked: asked.list())
    for each in items:
        each.setdefault("state", "in the lock")
    if entry is not None:
        items += issued_unused(common.entry_of(entry.id), items)
    items = [each for each in items if name.lower() in str(each.get("name", "")).lower()]
    if who is not None:
        items = [each for each in items if each.get("who") == who]
    if as_json:
        out.print_json(data=items)
        return
    table = Table("passcode", "name", "type", "from", "until", "state", title=title)
    for each in items:
        dates = [common.local(str(each[key])) if each.get(key) else "" for key in ("start", "end")]
        kind = str(each.get("type"))
        if "from_min" in each:
            opens = int(each["from_min"])
            kind = "%s %02d:%02d, %s h" % (each.get("days"), opens // 60, opens % 60, each.get("hours"))
        table.add_row(str(each.get("code")), str(each.get("name", "")), kind, *dates, str(each["state"]))
    out.print(table if items else "%s has no passcodes" % title)


@app.command("mint")
def mint(
    lock: common.Lock,
    kind: Annotated[str, typer.Option("--type", help=_KINDS_HELP)],
    start: times.From = "",
    end: times.Until = "",
    name: Named = "",
) -> None:
    """Make a passcode of nine digits that the lock knows by itself: no gateway, no link. Prints the text to hand over.

    Times are cut to the hour. It has to be used within 24 hours of its start (one-time: 6). A recurring code's --from
    and --until are its hours on the first day. Codes that start in the hour of an erasure are
    dead: give a later --from. A random entry of nine digits opens with a chance below 4 in a million.
    """
    with reporting():
        if kind not in minting.KINDS:
            raise HostError("bad_request", "no such type", _KINDS_HELP)
        needs_end = kind == minting.TIMED or kind in minting.RECURRING
        begin = times.read_moment(start or "now")
        until = times.read_moment(end, begin) if end else None
        if needs_end != (until is not None):
            raise HostError("bad_request", "this type %s --until" % ("needs" if needs_end else "has no"))
        book = key_book()
        entry = book.find(lock)
        made = minting.mint(book, entry.id, kind, begin, until, name)
    out.lines(minting.share_text(entry, made))


@app.command("share")
def share(lock: common.Lock) -> None:
    """Print the text to hand over for a passcode that was made with `mint`, or added; it is asked for."""
    with reporting():
        entry = key_book().find(lock)
        code = codes.check(common.secret("passcode to share"), short=True)
        made = minting.find(entry, code) or _stored(entry, code)
    out.lines(minting.share_text(entry, made))


def _stored(entry: Entry, code: str) -> minting.Minted:
    """A code that was written into the lock, as the key book knows it."""
    who = names.who_of(entry.aes, "passcode", None, code)
    for each in names.Names(entry).credentials:
        if each.kind == "passcode" and who in each.who and not each.gone:
            if each.pending:
                err.print("warning: it waits at a gateway as %s, the lock does not know it yet" % each.pending)
            return minting.Minted(code, minting.STORED, each.start or 0, each.end, 0, each.name)
    raise HostError(
        "refused", "the key book does not know this code", "see `gatehouse passcode list`", "not_found", -2009
    )


def _set_code(lock: str, which: str, code: str) -> str:
    book, entry = key_book(), common.entry_of(lock)
    common.run_near("looking for %s ..." % entry.name, lambda step: ownership.set_code(book, entry, which, code))
    return entry.name


@admin_app.command("set")
def admin_set(lock: common.Lock, generate: Generate = 0, short: Short = False) -> None:
    """Give the lock another administrator's passcode; it opens always, also a door that is locked from inside."""
    with reporting():
        code = _read_code(generate, short, "admin passcode")
    out.print("%s has another admin passcode" % _set_code(lock, ownership.ADMIN, code))


@admin_app.command("show")
def admin_show(
    lock: common.Lock,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show the digits, on a terminal only")] = False,
) -> None:
    """Read the administrator's passcode from the lock, over the local link, as its administrator."""
    with reporting():
        book = key_book()
        entry = book.find(lock)
        if reveal and not out.is_terminal:
            raise HostError("bad_request", "digits are shown on a terminal only")
    code = common.run_near("looking for %s ..." % entry.name, lambda step: ownership.read_admin_code(book, entry))
    shown = code if reveal else "*" * len(code)
    out.print("%s: %s" % (entry.name, shown or "no admin passcode"))


def erase_code(
    lock: common.Lock,
    remove: Annotated[bool, typer.Option("--remove", help="No erase code any more")] = False,
    generate: Annotated[int, typer.Option("--generate", help="Make up one of 7 to 9 digits and show it")] = 0,
) -> None:
    """Set, beside the lock, the code that removes all passcodes when it is typed; cards and fingers stay."""
    with reporting():
        code = "" if remove else ownership.check_erase_code(_read_code(generate, False, "erase code"))
    name = _set_code(lock, ownership.ERASE, code)
    out.print("%s has %s erase code" % (name, "no" if remove else "another"))
    if generate:
        out.print(styled("erase code: ", (code, "bold")))
