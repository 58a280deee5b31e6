"""`gatehouse ekey`: give people keys of their own for their phones, change them, take them away; open with one."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from firmware.lib import opcodes
from host_tools import screen, text
from host_tools.cli import common, ending, times
from host_tools.cli.common import key_book, out, reporting
from host_tools.cli.options import App
from host_tools.cli.reach import AnyChange, AnyGateway, done, is_kept
from host_tools.cli.shared import Called
from host_tools.errors import HostError
from host_tools.gateway.ekeys import GatewayEkeys
from host_tools.near import holder
from host_tools.near.ekeys import LocalEkeys
from host_tools.near.local_link import local_link
from host_tools.owner import ekeys, key_files, minting, zones
from host_tools.owner.ekeys import EkeyStore
from host_tools.owner.keybook import OWN_MODELS, Entry, KeyBook
from host_tools.screen import Table

app = App(no_args_is_help=True, help="Keys for other people's phones.")

Person = Annotated[str, typer.Argument(help="Whose ekey: the name that it was sent under")]
NewPerson = Annotated[str, typer.Argument(help="Whose ekey: any name"), Called("name of a person", 60)]
Remote = Annotated[bool | None, typer.Option("--remote/--no-remote", help="May open through a gateway")]


def _do(
    lock: str, via: AnyChange | AnyGateway, work: Callable[[KeyBook, Entry, EkeyStore], Awaitable]
) -> tuple[Entry, Any]:
    """Run `work` with what reaches the lock's ekeys -> (the lock's entry, what `work` returns)."""
    book, entry = key_book(), common.entry_of(lock)
    if not via.near:
        result = via.use(entry.id, "its ekeys", lambda served, _: work(book, entry, GatewayEkeys(served)))[1]
        ending.settle()
        return entry, result

    async def locally(step: Callable[[str], None]) -> Any:
        async with local_link(entry) as link:
            return await work(book, entry, LocalEkeys(link, entry))

    return entry, common.run_near("%s: asking the lock ..." % entry.name, locally)


def _tell(entry: Entry, result: Any, text: str) -> None:
    """What was done, or that the gateway keeps it for later."""
    if isinstance(result, dict) and is_kept(result):
        done(entry.id, entry.name, "", result)
    else:
        out.print(text)


def _period(kind: str, start: str, end: str, where: times.Where) -> tuple[int | None, int | None]:
    if kind in (ekeys.PERMANENT, ekeys.ONCE) and not (start or end):
        return None, None
    if kind == ekeys.PERMANENT:
        raise HostError("bad_request", "a permanent ekey has no period")
    if not end:
        raise HostError("bad_request", "the end must lie after the start", "give --until")
    begin = times.read_moment(start or "now", None, where)
    return begin, times.read_moment(end, begin, where)


def _hours(days: str, hours: str) -> dict | None:
    """As bundles have them: days 1 = Sunday."""
    limits = times.on_days(days, hours)
    if not limits:
        return None
    return {"days": sorted(day % 7 + 1 for day in limits["days"]), "from": limits["from_min"], "to": limits["to_min"]}


@app.command("send")
def send(
    lock: common.Lock,
    via: AnyChange,
    person: NewPerson,
    start: times.From = "",
    end: times.Until = "",
    once: Annotated[bool, typer.Option("--once", help="Opens one time")] = False,
    days: times.Days = "",
    hours: times.Hours = "",
    remote: Remote = None,
    to: Annotated[str, typer.Option("--to", help="New file for the bundle; default in the user data folder")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Also where it can be taken back by pairing anew only")] = False,
) -> None:
    """Give a person an ekey; a second one takes the place of the first. Without a period it is permanent."""
    with reporting():
        at_hours = _hours(days, hours)
        kind = ekeys.ONCE if once else ekeys.TIMED if end or start else ekeys.PERMANENT
        kind = ekeys.RECURRING if at_hours else kind
        ekey = ekeys.Ekey(0, person, kind, *_period(kind, start, end, common.where(lock)), bool(remote), hours=at_hours)
        ekeys.check(person, ekey)
        entry = key_book().find(lock)
        path = Path(to) if to else common.private_path("%s.%s.json" % (entry.id, text.file_part(person)))
    if entry.model and not entry.model.startswith(OWN_MODELS):
        common.err.print(
            "warning: this lock has one key for everybody. Whoever gets it can be kept out only by pairing the lock"
            " anew, and every limit of it is up to the phone that holds it.",
            style="yellow",
        )
        if not yes:
            with reporting():
                raise HostError("refused", "not sent", "add --yes, or give a passcode instead: gatehouse passcode add")
        with reporting():
            ekeys.send_shared(key_book(), entry, ekey, path)
        result = None
    else:
        _, result = _do(lock, via, lambda book, entry, store: ekeys.send(book, entry, store, ekey, path))
    _tell(entry, result, "%s has a %s ekey of %s" % (person, kind, entry.name))
    if not (isinstance(result, dict) and is_kept(result)):
        out.lines(minting.ekey_text(entry, person, kind, ekey.start, ekey.end, ekey.hours))
    common.err.print("wrote %s: hand it over privately; whoever reads it can open the lock" % path)


@app.command("list", bulk=True)
def list_(
    lock: common.Lock,
    via: AnyGateway,
    check: Annotated[bool, typer.Option("--check", help="Compare with what the lock holds")] = False,
    hide_days: Annotated[int, typer.Option("--hide", help="Hide what has been invalid for so many days")] = 0,
    as_json: common.Json = False,
) -> None:
    """Who has an ekey, and until when. Shows no secret."""
    with reporting():
        entry = key_book().find(lock)
        known = ekeys.ekeys_of(entry)
    in_lock = None
    if check:
        in_lock = _do(lock, via, lambda book, entry, store: store.all())[1]
        with reporting():
            ekeys.check_against(key_book(), entry, in_lock)
            known = ekeys.ekeys_of(entry)
    now_s = time.time()
    rows = []
    for each in known:
        state = each.word(now_s)
        if in_lock is not None and each.is_live and each.uid and each.uid not in in_lock:
            state = "used" if each.kind == ekeys.ONCE else "not in the lock"
        if hide_days and state == "expired" and now_s - (each.end or 0) > hide_days * 86400:
            continue
        rows.append({**vars(each), "state": state})
    if as_json:
        out.print_json(data=rows)
        return
    table = Table("person", "kind", "from", "until", "remote", "state", title=entry.name)
    for row in rows:
        dates = [common.when(row[key], zones.of(entry)) if row[key] else "" for key in ("start", "end")]
        style = "dim" if row["state"] in (ekeys.FROZEN, ekeys.DELETED, ekeys.RESET) else None
        style = "red" if row["state"] == "expired" else "yellow" if "expires" in row["state"] else style
        table.add_row(row["person"], row["kind"], *dates, "yes" if row["remote"] else "", row["state"], style=style)
    out.print(table if rows else "nobody has an ekey of %s" % entry.name)


def _freeze(lock: str, person: str, state: str, via: AnyChange) -> None:
    async def work(book: KeyBook, entry: Entry, store: EkeyStore) -> None:
        ekey = ekeys.live(entry, person)
        ekey.state = state
        await ekeys.change(book, entry, store, ekey)

    entry, result = _do(lock, via, work)
    _tell(entry, result, "the ekey of %s for %s is %s" % (person, entry.name, state))


@app.command("freeze", bulk=True)
def freeze(lock: common.Lock, via: AnyChange, person: Person) -> None:
    """Suspend a person's ekey."""
    _freeze(lock, person, ekeys.FROZEN, via)


@app.command("unfreeze", bulk=True)
def unfreeze(lock: common.Lock, via: AnyChange, person: Person) -> None:
    """Let a suspended ekey open again."""
    _freeze(lock, person, ekeys.NORMAL, via)


@app.command("change", bulk=True)
def change(
    lock: common.Lock,
    via: AnyChange,
    person: Person,
    start: times.From = "",
    end: times.Until = "",
    permanent: Annotated[bool, typer.Option("--permanent", help="No period any more")] = False,
    remote: Remote = None,
) -> None:
    """Change the period or the right to open through a gateway. The person's file stays as it is."""
    with reporting():
        period = _period(ekeys.TIMED, start, end, common.where(lock)) if end or start else None
        if permanent and period:
            raise HostError("bad_request", "a permanent ekey has no period")

    async def work(book: KeyBook, entry: Entry, store: EkeyStore) -> None:
        ekey = ekeys.live(entry, person)
        if (permanent or period) and ekey.kind not in (ekeys.PERMANENT, ekeys.TIMED):
            text = "the period of a %s ekey cannot be changed (-2023)" % ekey.kind
            raise HostError("refused", text, "send a new one")
        if permanent or period:
            ekey.kind = ekeys.PERMANENT if permanent else ekeys.TIMED
            ekey.start, ekey.end = period or (None, None)
        ekey.remote = ekey.remote if remote is None else remote
        ekeys.check(person, ekey)
        await ekeys.change(book, entry, store, ekey)

    entry, result = _do(lock, via, work)
    _tell(entry, result, "the ekey of %s for %s is changed" % (person, entry.name))


@app.command("delete", bulk=True)
def delete(lock: common.Lock, via: AnyChange, person: Person) -> None:
    """Take a person's ekey away, for ever, whatever copies there are."""
    entry, result = _do(lock, via, lambda book, entry, store: ekeys.delete(book, entry, store, person))
    _tell(entry, result, "%s has no ekey of %s any more" % (person, entry.name))


@app.command("reset")
def reset(
    lock: common.Lock, via: AnyChange, yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False
) -> None:
    """Take all ekeys away, and void all copies of your own bundle but for its administrator's part."""
    if not yes:
        screen.confirm("end every ekey of %s?" % lock, abort=True)
    entry, result = _do(lock, via, ekeys.reset)
    _tell(entry, result, "nobody has an ekey of %s any more" % entry.name)


@app.command("open")
def open_(
    file: Annotated[str, typer.Argument(help="The bundle that you were given")],
    close: Annotated[bool, typer.Option("--lock", help="Lock, do not unlock")] = False,
) -> None:
    """Open the door beside you with an ekey that you were given."""
    with reporting():
        held = holder.read(key_files.loads(common.read_text(file)))
    command = opcodes.LOCK if close else opcodes.UNLOCK
    battery = common.run_near("looking for %s ..." % held.name, lambda step: holder.operate(held, command))
    out.print("%s is %s (battery %d %%)" % (held.name, "locked" if close else "open", battery))
