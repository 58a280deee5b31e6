"""`gatehouse ekey`: give people keys of their own for their phones, change them, take them away; open with one."""

import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from firmware.lib import opcodes
from host_tools.cli import common, recurring
from host_tools.cli.common import key_book, out, progress, reporting, run
from host_tools.cli.moments import read_moment
from host_tools.errors import HostError
from host_tools.gateway import client as gateway_client
from host_tools.gateway.ekeys import GatewayEkeys
from host_tools.near import holder
from host_tools.near.ekeys import LocalEkeys
from host_tools.near.local_link import OWN, local_link
from host_tools.owner import ekeys
from host_tools.owner.ekeys import EkeyStore
from host_tools.owner.keybook import Entry, KeyBook

app = typer.Typer(no_args_is_help=True, help="Keys for other people's phones.")

Person = Annotated[str, typer.Argument(help="Whose ekey: any name")]
Near = Annotated[bool, typer.Option("--beside", help="Over Bluetooth from this computer, not through a gateway")]
Remote = Annotated[bool | None, typer.Option("--remote/--no-remote", help="May open through a gateway")]


@contextlib.asynccontextmanager
async def _way(entry: Entry, near: bool, broker: str, base: str, gateway: str) -> AsyncIterator[EkeyStore]:
    if near:
        common.go_near()
        async with local_link(entry) as link:
            yield LocalEkeys(link, entry)
        return
    async with gateway_client.connect(broker, base) as gateways:
        yield GatewayEkeys(gateways, await gateways.choose(gateway, entry.id), entry)


def _do(
    lock: str, near: bool, broker: str, base: str, gateway: str, work: Callable[[KeyBook, Entry, EkeyStore], Awaitable]
) -> tuple[Entry, object]:
    """Find the lock in the key book and run `work` with a way to it."""
    with reporting():
        book = key_book()
        entry = book.find(lock)

    async def all_of_it():
        with progress("%s: asking the lock ..." % entry.name):
            async with _way(entry, near, broker, base, gateway) as way:
                return await work(book, entry, way)

    return entry, run(all_of_it())


def _period(kind: str, start: str, end: str) -> tuple[int | None, int | None]:
    if kind in (ekeys.PERMANENT, ekeys.ONCE) and not (start or end):
        return None, None
    if kind == ekeys.PERMANENT:
        raise HostError("bad_request", "a permanent ekey has no period")
    begin = read_moment(start or "now")
    if not end:
        raise HostError("bad_request", "the end must lie after the start", "give --until")
    return begin, read_moment(end, begin)


def _hours(days: str, hours: str) -> dict | None:
    """As bundles have them: days 1 = Sunday."""
    found = recurring.on_days(days, hours)
    if not found:
        return None
    return {"days": sorted(day % 7 + 1 for day in found["days"]), "from": found["from_min"], "to": found["to_min"]}


@app.command("send")
def send(
    lock: common.Lock,
    person: Person,
    start: recurring.From = "",
    end: recurring.Until = "",
    once: Annotated[bool, typer.Option("--once", help="Opens one time")] = False,
    days: recurring.Days = "",
    hours: recurring.Hours = "",
    remote: Remote = None,
    to: Annotated[str, typer.Option("--to", help="New file for the bundle; default LOCK.PERSON.json")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Also where it can be taken back by pairing anew only")] = False,
    near: Near = False,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
) -> None:
    """Give a person an ekey; a second one takes the place of the first. Without a period it is permanent."""
    with reporting():
        at_hours = _hours(days, hours)
        kind = ekeys.ONCE if once else ekeys.TIMED if end or start else ekeys.PERMANENT
        kind = ekeys.RECURRING if at_hours else kind
        ekey = ekeys.Ekey(0, person, kind, *_period(kind, start, end), bool(remote), hours=at_hours)
        ekeys.check(person, ekey)
        entry = key_book().find(lock)
        path = Path(to or "%s.%s.json" % (entry.id, re.sub(r"[^A-Za-z0-9]+", "-", person)))
    if entry.model and not entry.model.startswith(OWN):
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
    else:
        _do(lock, near, broker, base, gateway, lambda book, found, way: ekeys.send(book, found, way, ekey, path))
    out.print("%s has a %s ekey of %s" % (person, kind, entry.name))
    common.err.print("wrote %s: hand it over privately; whoever reads it can open the lock" % path)


@app.command("list")
def list_(
    lock: common.Lock,
    check: Annotated[bool, typer.Option("--check", help="Compare with what the lock holds")] = False,
    hide_days: Annotated[int, typer.Option("--hide", help="Hide what has been invalid for so many days")] = 0,
    near: Near = False,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Who has an ekey, and until when. Shows no secret."""
    with reporting():
        entry = key_book().find(lock)
        known = ekeys.ekeys_of(entry)
    in_lock = None
    if check:
        in_lock = _do(lock, near, broker, base, gateway, lambda book, found, way: way.all())[1]
    now_s = time.time()
    rows = []
    for each in known:
        state = each.word(now_s)
        if in_lock is not None and each.is_live and each.uid and each.uid not in in_lock:  # type: ignore[operator]
            state = "used" if each.kind == ekeys.ONCE else "not in the lock"
        if hide_days and state == "expired" and now_s - (each.end or 0) > hide_days * 86400:
            continue
        rows.append({**vars(each), "state": state})
    if as_json:
        out.print_json(data=rows)
        return
    table = Table("person", "kind", "from", "until", "remote", "state", title=entry.name, title_justify="left")
    for row in rows:
        dates = [common.when(row[key]) if row[key] else "" for key in ("start", "end")]
        style = "dim" if row["state"] in (ekeys.FROZEN, ekeys.DELETED, ekeys.RESET) else None
        style = "red" if row["state"] == "expired" else "yellow" if "expires" in row["state"] else style
        table.add_row(row["person"], row["kind"], *dates, "yes" if row["remote"] else "", row["state"], style=style)
    out.print(table if rows else "nobody has an ekey of %s" % entry.name)


def _freeze(lock: str, person: str, state: str, near: bool, broker: str, base: str, gateway: str) -> None:
    async def work(book: KeyBook, entry: Entry, way: EkeyStore) -> None:
        ekey = ekeys.live(entry, person)
        ekey.state = state
        await ekeys.change(book, entry, way, ekey)

    entry, _ = _do(lock, near, broker, base, gateway, work)
    out.print("the ekey of %s for %s is %s" % (person, entry.name, state))


@app.command("freeze")
def freeze(
    lock: common.Lock,
    person: Person,
    near: Near = False,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
) -> None:
    """Suspend a person's ekey."""
    _freeze(lock, person, ekeys.FROZEN, near, broker, base, gateway)


@app.command("unfreeze")
def unfreeze(
    lock: common.Lock,
    person: Person,
    near: Near = False,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
) -> None:
    """Let a suspended ekey open again."""
    _freeze(lock, person, ekeys.NORMAL, near, broker, base, gateway)


@app.command("change")
def change(
    lock: common.Lock,
    person: Person,
    start: recurring.From = "",
    end: recurring.Until = "",
    permanent: Annotated[bool, typer.Option("--permanent", help="No period any more")] = False,
    remote: Remote = None,
    near: Near = False,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
) -> None:
    """Change the period or the right to open through a gateway. The person's file stays as it is."""
    with reporting():
        period = _period(ekeys.TIMED, start, end) if end or start else None
        if permanent and period:
            raise HostError("bad_request", "a permanent ekey has no period")

    async def work(book: KeyBook, entry: Entry, way: EkeyStore) -> None:
        ekey = ekeys.live(entry, person)
        if (permanent or period) and ekey.kind not in (ekeys.PERMANENT, ekeys.TIMED):
            text = "the period of a %s ekey cannot be changed (-2023)" % ekey.kind
            raise HostError("refused", text, "send a new one")
        if permanent or period:
            ekey.kind = ekeys.PERMANENT if permanent else ekeys.TIMED
            ekey.start, ekey.end = period or (None, None)
        ekey.remote = ekey.remote if remote is None else remote
        ekeys.check(person, ekey)
        await ekeys.change(book, entry, way, ekey)

    entry, _ = _do(lock, near, broker, base, gateway, work)
    out.print("the ekey of %s for %s is changed" % (person, entry.name))


@app.command("delete")
def delete(
    lock: common.Lock,
    person: Person,
    near: Near = False,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
) -> None:
    """Take a person's ekey away, for ever, whatever copies there are."""
    entry, _ = _do(lock, near, broker, base, gateway, lambda book, found, way: ekeys.delete(book, found, way, person))
    out.print("%s has no ekey of %s any more" % (person, entry.name))


@app.command("reset")
def reset(
    lock: common.Lock,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    near: Near = False,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
) -> None:
    """Take all ekeys away, and void all copies of your own bundle but for its administrator's part."""
    if not yes and not typer.confirm("end every ekey of %s?" % lock):
        raise typer.Exit(1)
    entry, _ = _do(lock, near, broker, base, gateway, ekeys.reset)
    out.print("nobody has an ekey of %s any more" % entry.name)


@app.command("open")
def open_(
    file: Annotated[str, typer.Argument(help="The bundle that you were given")],
    close: Annotated[bool, typer.Option("--lock", help="Lock, do not unlock")] = False,
) -> None:
    """Open the door beside you with an ekey that you were given."""
    with reporting():
        try:
            value = json.loads(Path(file).read_text())
        except (OSError, ValueError):
            raise HostError("bad_request", "%s cannot be read" % file)
        held = holder.read(value[0] if isinstance(value, list) and value else value)

    async def work() -> int:
        common.use_air()
        with progress("looking for %s ..." % held.name):
            return await holder.operate(held, opcodes.LOCK if close else opcodes.UNLOCK)

    battery = run(work())
    out.print("%s is %s (battery %d %%)" % (held.name, "locked" if close else "open", battery))
