"""`gatehouse passcode`, `admin-code`, `erase-code`: codes for the keypad. Digits come from standard input."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer

from host_tools import screen, text
from host_tools.cli import common, ending, shared, times
from host_tools.cli.common import err, key_book, out, reporting
from host_tools.cli.options import App
from host_tools.cli.reach import Change, Gateway, done, target
from host_tools.errors import HostError, Pending, Unknown
from host_tools.gateway.credentials import Passcodes, issued_unused, prefix_clashes
from host_tools.near import ownership
from host_tools.owner import codes, minting, names, zones
from host_tools.owner.keybook import Entry
from host_tools.screen import Table, styled

app = App(no_args_is_help=True, help="Codes for the keypad.")
admin_app = App(no_args_is_help=True, help="The administrator's passcode, beside the lock.")

Named = Annotated[str, typer.Option("--name", help="Whose code it is"), shared.Called()]
Generate = Annotated[int, typer.Option("--generate", help="Make up a code of so many digits and show it")]
Short = Annotated[bool, typer.Option("--short", help="Allow 4 or 5 digits")]
Whose = Annotated[
    str, typer.Argument(metavar="[NAME]", help="Whose code, as listed; left out: its digits are asked for")
]
Mark = Annotated[
    int | None, typer.Option("--mark", help="Which code, by the number that lists and records give it", min=0)
]

_KINDS_HELP = "once, permanent, timed, erase; weekend, daily, workday, mon ... sun"


def _read_code(generate: int, short: bool, what: str = "passcode") -> str:
    if generate:
        if not 6 <= generate <= 9:
            raise HostError("bad_request", "--generate takes 6 to 9 digits")
        return shared.once(what, lambda: codes.random_code(generate))
    return codes.check(common.secret(what, again=screen.asks()), short)


def _do(lock: str, via: Gateway, what: str, work: Callable[[Passcodes], Awaitable[Any]]) -> tuple[str, Any]:
    """(name of the lock, what `work` returns). Errors end the command."""
    with reporting():
        entry = common.known_entry(lock)
    told = via.use(lock, what, lambda served, step: work(Passcodes(served, key_book(), entry, common.warn)))
    ending.settle()
    return told


def _show_code(code: str, as_json: bool = False, what: str = "passcode") -> None:
    """A code that was made up, before anybody is told of it: whatever comes, it is not lost."""
    (err if as_json else out).print(styled(what + ": ", (code, "bold"), " (the lock does not know it yet)"))


def _which(entry: Entry | None, whose: str, mark: int | None, what: str) -> tuple[str, names.Credential | None]:
    """(digits or "", the credential or None) of a code that is there. Digits never come from the command line."""
    if not whose and mark is None:
        code = common.secret(what)
        if entry is None:
            return code, None
        who = names.who_of(entry.aes, "passcode", None, code)
        return code, next((each for each in names.live(entry, "passcode") if who in each.who), None)
    if whose and mark is not None:
        raise HostError("bad_request", "a name or a mark, not both")
    if entry is None and whose:
        raise HostError("unknown_lock", "names are in the key book, and it does not know this lock", "give --mark")
    if entry is not None and whose:
        return "", names.pick(entry, "passcode", whose)
    known = names.live(entry, "passcode") if entry else []
    return "", next((each for each in known if mark in each.who), None)


def _warn_of_prefixes(entry: Entry | None, code: str, known: names.Credential | None, is_deleted: bool = False) -> None:
    """The shorter of two such codes opens while the longer is typed, but for our own locks (hardware-facts.md F44)."""
    if entry is None:
        return
    shorter, longer = prefix_clashes(entry, code, known)
    if is_deleted:
        for name in shorter:
            common.warn("the code of %s is the beginning of this one and stays: the same digits still open" % name)
        return
    for name in shorter:
        common.warn("the code of %s is the beginning of this one; the keypad may take the shorter" % name)
    for name in longer:
        common.warn("the code of %s goes on from this one; the keypad may take the shorter" % name)


def _recurring(days: str, opens: str, hours: str) -> dict:
    """When a recurring code opens, as arguments: the codes of keypads know sets of days and whole hours. HostError."""
    known = {tuple(times.read_days(word)): word for word in reversed(minting.RECURRING)}
    word = known.get(tuple(times.read_days(days)))
    if word is None:
        todo = "choose one of: " + ", ".join(minting.RECURRING)
        raise HostError("bad_request", "a code cannot recur on %s" % days, todo)
    if opens and hours.isdigit():
        begin, count = times.read_time_of_day(opens), int(hours)
    elif hours and not opens:
        begin, end = times.read_hours(hours)
        count, rest = divmod((end - begin) % 1440 or 1440, 60)
        if rest:
            raise HostError("bad_request", "a recurring code opens for whole hours", "write 08:00-18:00")
    else:
        raise HostError("bad_request", "a recurring code needs hours", "write --hours 08:00-18:00")
    if begin is None or begin == 1440 or not 1 <= count <= 24:
        raise HostError("bad_request", "a recurring code opens for 1 to 24 hours", "write --hours 08:00-18:00")
    return {"days": word, "from_min": begin, "hours": count}


@app.command("add", bulk=True)
def add(
    lock: common.Lock,
    via: Change,
    start: times.From = "",
    end: times.Until = "",
    once: Annotated[bool, typer.Option("--once", help="Opens one time, until its end")] = False,
    days: Annotated[
        str, typer.Option("--days", help="Recurring: one day, mon-fri, sat,sun, daily, workday, weekend")
    ] = "",
    opens: Annotated[str, typer.Option("--at", help="Recurring: opens at, such as 08:00")] = "",
    hours: Annotated[
        str, typer.Option("--hours", help="Recurring: 08:00-18:00, or with --at so many hours, 1 to 24")
    ] = "",
    name: Named = "",
    generate: Generate = 0,
    short: Short = False,
    as_json: common.Json = False,
) -> None:
    """Add a passcode; it is asked for, made up (--generate), or read from standard input."""
    with reporting():
        args: dict = {"code": _read_code(generate, short), "type": "permanent"}
        if days:
            args.update(type="cyclic", **_recurring(days, opens, hours))
        elif end or start or once:
            begin, until = times.read_period(start, end, common.where(lock))
            args.update(type="once" if once else "period", start=begin, end=until)
        entry = common.known_entry(lock)
        taken = [each.name for each in names.live(entry, "passcode")] if entry and name else []
        if text.key(name) in map(text.key, taken):
            common.warn("another code is %s's already: by this name neither can be chosen" % name)
        _warn_of_prefixes(entry, args["code"], None)
        if generate:
            _show_code(args["code"], as_json)

    state = "refused"

    async def work(asked: Passcodes) -> dict:
        nonlocal state
        try:
            result = await asked.add(args, name, bool(generate))
            state = "in the lock"
            return result
        except Pending:
            state = "waits at the gateway"
            raise
        except Unknown:
            state = "unknown"
            raise

    try:
        title, result = _do(lock, via, "adding a passcode", work)
    except typer.Exit:
        if generate:
            _say_state(args["code"], state, as_json)
        raise
    if as_json:
        out.print_json({**result, "passcode": args["code"], "state": state} if generate else result)
        return
    done(lock, title, "knows the passcode", result)
    if generate:
        _say_state(args["code"], state)


def _say_state(code: str, state: str, as_json: bool = False) -> None:
    """What a code that was made up is good for."""
    if as_json:
        out.print_json({"passcode": code, "state": state})
    elif state == "refused":
        out.print("passcode %s: not in the lock; do not hand it out" % code)
    elif state == "unknown":
        out.print("passcode %s: it may be in the lock, now or later; the key book keeps it (passcode list)" % code)
    elif state.startswith("waits"):
        out.print("passcode %s: good once the lock has it; the key book keeps it until then" % code)


@app.command("change", bulk=True)
def change(
    lock: common.Lock,
    via: Change,
    whose: Whose = "",
    mark: Mark = None,
    new: Annotated[bool, typer.Option("--new", help="Also other digits: a further line of standard input")] = False,
    start: times.From = "",
    end: times.Until = "",
    name: Annotated[str, typer.Option("--name", help="Whose code it is from now on"), shared.Called()] = "",
    short: Short = False,
    as_json: common.Json = False,
) -> None:
    """Change digits, period (both --from and --until) or name of a passcode, named or asked for."""
    with reporting():
        entry = common.known_entry(lock)
        code, known = _which(entry, whose, mark, "passcode to change")
        args: dict = {"code": code} if code else {"who": known.who[-1] if known else mark}
        if new:
            args["new_code"] = _read_code(0, short, "new passcode")
            _warn_of_prefixes(entry, args["new_code"], None)
        if bool(start) != bool(end):
            raise HostError("bad_request", "a period needs both start and end", "give --from and --until")
        if end:
            args["start"], args["end"] = times.read_period(start, end, common.where(lock))
        if len(args) == 1 and not name:
            raise HostError("bad_request", "nothing to change", "give --new, --from and --until, or --name")
    if len(args) == 1:
        with reporting():
            ident, title = target(lock)
            who = known.who[-1] if known else None if code else mark
            was = known or names.Credential("passcode", "", None, [])
            kept = names.remember(
                key_book(), ident, "passcode", None, name, code if who is None else "", "", was.start, was.end, who
            )
            if not kept:
                raise HostError("unknown_lock", "names are in the key book, and it does not know this lock")
        out.print("%s: the passcode is %s's" % (title, name))
        return
    by_mark = None if code else known or names.Credential("passcode", "", None, [mark or 0])
    title, result = _do(lock, via, "changing a passcode", lambda asked: asked.change(args, name, by_mark))
    done(lock, title, "changed the passcode", result, as_json)


@app.command("delete", bulk=True)
def delete(lock: common.Lock, via: Change, whose: Whose = "", mark: Mark = None, as_json: common.Json = False) -> None:
    """Delete a passcode: by name, by mark, or by its digits, which are asked for or read from standard input."""
    with reporting():
        entry = common.known_entry(lock)
        code, known = _which(entry, whose, mark, "passcode to delete")
        whos = known.who if known else []
        unused = entry is not None and any(row["who"] in whos for row in entry.minted)
    chosen = None if code else known
    name, existed = _do(
        lock, via, "deleting a passcode", lambda asked: asked.delete(code, chosen, None if code or known else mark)
    )
    if isinstance(existed, dict):  # the gateway keeps it
        done(lock, name, "", existed, as_json)
        return
    whom = "the passcode of %s" % known.name if known and known.name else "the passcode"
    if existed is False and (unused or not known):
        todo = "a `passcode reset` or an erase code kills it" if unused else "see `gatehouse passcode list`"
        why = "%s was never used, so the lock does not know it yet" % whom if unused else "it has no such passcode"
        with reporting():
            raise HostError("refused", "%s: %s; nothing was deleted" % (name, why), todo, "not_found", -2009)
    if as_json:
        out.print_json({"ok": True, "existed": existed, "name": known.name if known else ""})
    elif existed is False:
        out.print("%s: %s was not in the lock any more" % (name, whom))
    else:
        out.print("%s no longer takes %s" % (name, whom))
    _warn_of_prefixes(entry, code, known, True)


@app.command("clear", bulk=True)
def clear(
    lock: common.Lock, via: Change, yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False
) -> None:
    """Delete all passcodes that the lock holds. Codes that were made without it and never used stay good."""
    if not yes:
        screen.confirm("delete all passcodes of this lock?", abort=True)
    name, result = _do(lock, via, "deleting all passcodes", lambda asked: asked.clear())
    done(lock, name, "has no passcodes", result)


@app.command("reset", bulk=True)
def reset(
    lock: common.Lock, via: Change, yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False
) -> None:
    """Delete all passcodes and make every code that was ever made without the lock dead. The admin passcode stays."""
    if not yes:
        screen.confirm("reset all passcodes of this lock?", abort=True)
    name, result = _do(lock, via, "resetting the passcodes", lambda asked: asked.reset())
    done(lock, name, "has no passcodes, and no old one will do", result)


@app.command("list", bulk=True)
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
    items = [each for each in items if text.key(name) in text.key(str(each.get("name", "")))]
    if who is not None:
        items = [each for each in items if each.get("who") == who]
    if as_json:
        out.print_json(data=items)
        return
    table = Table("passcode", "name", "type", "from", "until", "state", title=title)
    where = zones.of(entry)
    for each in items:
        dates = [common.local(str(each[key]), where) if each.get(key) else "" for key in ("start", "end")]
        kind = str(each.get("type"))
        opens = each.get("from_min")
        if opens is not None:
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
    as_json: common.Json = False,
) -> None:
    """Make a passcode of nine digits that the lock knows by itself: no gateway, no link. Prints the text to hand over.

    Times are cut to the hour. It has to be used within 24 hours of its start (one-time: 6). A recurring code's --from
    and --until are its hours on the first day. Codes that start in the hour of an erasure are
    dead: give a later --from. A random entry of nine digits opens with a chance below 5 in a million.
    """
    with reporting():
        if kind not in minting.KINDS:
            raise HostError("bad_request", "no such type", _KINDS_HELP)
        needs_end = kind == minting.TIMED or kind in minting.RECURRING
        begin = times.read_moment(start or "now", None, common.where(lock))
        until = times.read_moment(end, begin, common.where(lock)) if end else None
        if needs_end != (until is not None):
            raise HostError("bad_request", "this type %s --until" % ("needs" if needs_end else "has no"))
        book = key_book()
        entry = book.find(lock)
        made = minting.mint(book, entry.id, kind, begin, until, name)
        entry = book.find(entry.id)
    _hand_over(entry, made, as_json)


@app.command("share")
def share(lock: common.Lock, whose: Whose = "", as_json: common.Json = False) -> None:
    """Print the text to hand over for a passcode. The digits of one that was written into the lock are asked for."""
    with reporting():
        entry = key_book().find(lock)
        chosen = names.pick(entry, "passcode", whose) if whose else None
        made = minting.again(entry, chosen.who) if chosen else None
        if made is None:
            code = (chosen.digits if chosen else "") or codes.check(common.secret("passcode to share"), short=True)
            who = names.who_of(entry.aes, "passcode", None, code)
            if chosen and who not in chosen.who:
                raise HostError("bad_request", "these are not the digits of %s's code" % chosen.name)
            made = minting.find(entry, code) or _stored(entry, code)
    _hand_over(entry, made, as_json)


def _hand_over(entry: Entry, made: minting.Minted, as_json: bool) -> None:
    """The text to hand over; for programs also what it says: Unix seconds, the kind, the limits, whose code it is."""
    text_of_it = minting.share_text(entry, made)
    if not as_json:
        out.lines(text_of_it)
        return
    who = names.who_of(entry.aes, "passcode", None, made.code)
    name = next((each.name for each in names.live(entry, "passcode") if who in each.who), "")
    facts: dict = {"passcode": made.code, "name": name, "type": made.kind, "start": made.start or None, "end": made.end}
    facts |= {"first_use_until": made.first_use_until or None, "limits": made.limits, "zone": entry.zone or None}
    out.print_json({"lock": {"mac": entry.mac, "name": entry.name}, **facts, "text": text_of_it})


def _stored(entry: Entry, code: str) -> minting.Minted:
    """A code that was written into the lock, as the key book knows it."""
    who = names.who_of(entry.aes, "passcode", None, code)
    for each in names.live(entry, "passcode"):
        if who in each.who:
            if each.pending:
                common.warn("whether the lock knows it is open (request %s): see passcode list" % each.pending)
            return minting.Minted(code, minting.STORED, each.start or 0, each.end, 0, each.name, each.limits)
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
        common.entry_of(lock)
        code = _read_code(generate, short, "admin passcode")
        if generate:
            _show_code(code, what="admin passcode")
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
        common.entry_of(lock)
        code = "" if remove else ownership.check_erase_code(_read_code(generate, False, "erase code"))
        if generate and code:
            _show_code(code, what="erase code")
    name = _set_code(lock, ownership.ERASE, code)
    out.print("%s has %s erase code" % (name, "no" if remove else "another"))
