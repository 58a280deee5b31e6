"""`gatehouse records`: what happened at a lock, and by whom; fetched, chosen, shown, exported, deleted. `gatehouse
upload` reads a whole log once more."""

import time
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from host_tools import screen
from host_tools.cli import common, times
from host_tools.cli.common import err, out, run
from host_tools.cli.reach import Gateway, target
from host_tools.errors import HostError
from host_tools.gateway import records_export, records_plot
from host_tools.gateway.record_words import is_alarm, words
from host_tools.gateway.records_batch import wall
from host_tools.owner import names, zones
from host_tools.owner.keybook import Entry
from host_tools.screen import Table

if TYPE_CHECKING:  # SQLAlchemy takes longer to load than most commands to run
    from host_tools.gateway.records_choice import Choice
    from host_tools.gateway.records_store import RecordStore

# What people call it -> methods of records
_KINDS: dict[str, tuple[str, ...]] = {
    **names.METHODS,
    "key": ("key",),
    "button": ("button", "inside"),
    "auto": ("auto_lock", "passage"),
    "sensor": ("sensor",),
}


def records(
    lock: common.Lock,
    via: Gateway,
    stored: Annotated[bool, typer.Option("--stored", help="Show what is kept here; do not ask the lock")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Stay, and show records as they arrive")] = False,
    size: Annotated[int, typer.Option("--last", "--size", help="Records on a page", min=1, max=200)] = 20,
    page: Annotated[int, typer.Option("--page", help="1 holds the newest", min=1)] = 1,
    since: Annotated[str, typer.Option("--since", help="From this time: yesterday, 2026-05-01, mon 15:00, 3d")] = "",
    until: Annotated[str, typer.Option("--until", help="Before this time: today, 2026-05-02T11:00, 2h")] = "",
    half_year: Annotated[bool, typer.Option("--half-year", help="The last six months")] = False,
    kind: Annotated[str, typer.Option("--kind", help="One of: " + ", ".join(_KINDS))] = "",
    person: Annotated[str, typer.Option("--person", help="Name of a credential, or a part of it")] = "",
    number: Annotated[int | None, typer.Option("--number", help="Number of a credential in records")] = None,
    listed: Annotated[bool, typer.Option("--listed", help="Without management events")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only what was refused")] = False,
    export: Annotated[str, typer.Option("--export", help="Write all that are chosen: FILE.csv or FILE.parquet")] = "",
    plot: Annotated[
        str, typer.Option("--plot", help="Openings per hour and person of all that are chosen: FILE.png, or - to show")
    ] = "",
    delete: Annotated[
        str, typer.Option("--delete", help="Delete here: the number of a record, or era/number, or era/number/date")
    ] = "",
    clear: Annotated[bool, typer.Option("--clear", help="Delete here all that are chosen")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before deleting")] = False,
    as_json: common.Json = False,
) -> None:
    """Fetch a lock's records through its gateway, keep them on this computer, show who opened with what."""
    from host_tools.gateway.records_store import RecordStore

    with common.reporting():
        ident, name = target(lock)
        entry = common.known_entry(ident)  # without it: names as the service has them, and nothing may be deleted
        with RecordStore() as store:
            whose = names.Names(entry, None if entry else store.names(ident))
            choice = _choice(since, until, half_year, kind, person, number, whose, lambda: zones.of(entry), clear)
            choice.listed, choice.failed = listed, failed
            if delete or clear:
                _delete(store, ident, name, entry, choice, delete, yes)
                return
            if not stored:
                run(_fetch(store, ident, name, whose, via, follow))
            if export:
                lines = (
                    records_export.row(each, ident, name, whose.of(each["method"], each["who"]))
                    for each in store.every(ident, choice)
                )
                out.print("%d records of %s in %s" % (records_export.write(Path(export), lines), name, export))
                return
            if plot:
                made = ((each, whose.of(each["method"], each["who"])) for each in store.every(ident, choice))
                _plot(records_plot.count(made, zones.of(entry)), name, plot, as_json)
                return
            rows = store.page(ident, choice, size, page)
            total = store.count(ident, choice)
            lost = store.lost(ident)
    for each in rows:
        each["name"] = whose.of(each["method"], each["who"])
        del each["id"]
    if as_json:
        out.print_json(data={"lock": ident, "lost": lost, "total": total, "page": page, "records": rows})
        return
    _show(rows, name, total, size, page, zones.of(entry))
    if lost:
        err.print("%d records are missing here: the lock had overwritten them before they could be read" % lost)
    if any(each["approx"] for each in rows):
        err.print("times marked ~ may be off by a change of the lock's clock")
    if any(not each["ts"] and wall(each["date"]) for each in rows):
        err.print("times marked * are what the lock's clock showed; its zone was not known")
    if any(each["conflict"] for each in rows):
        err.print("records marked ! contradict another one of the same lock, number and date")
    if any(not each["proven"] for each in rows):
        err.print("records marked ? bear no proof of your gateway: anybody at the broker may have written them")
    if any(each["damaged"] for each in rows):
        err.print("records marked # are damaged in the file: what could not be read is left out")


def _plot(found: records_plot.Openings, name: str, where: str, as_json: bool) -> None:
    if where != "-":
        records_plot.png(found, Path(where), name)
    if as_json:
        people = {who: found.hours(who) for who in found.people()}
        out.print_json(data={"ok": True, "openings": found.total, "timeless": found.timeless, "hours": people})
        return
    if where == "-":
        out.lines("\n".join([name, *records_plot.bars(found)]))
    else:
        out.print("%d openings of %s in %s" % (found.total, name, where))
    if found.timeless:
        err.print("%d openings are left out: it is not known at what hour they were" % found.timeless)


def _choice(
    since: str,
    until: str,
    half_year: bool,
    kind: str,
    person: str,
    number: int | None,
    whose: names.Names,
    where: times.Where,
    whole_only: bool,
) -> "Choice":
    from host_tools.gateway.records_choice import Choice

    choice = Choice(who=number)
    if half_year:
        choice.until = int(time.time()) + 1
        choice.since = records_export.six_months_before(choice.until - 1)
    if since:
        choice.since = times.read_moment(since, None, where, True)
    if until:
        choice.until = times.read_moment(until, None, where, True)
    if kind:
        if kind not in _KINDS:
            raise HostError("bad_request", "no such kind: %s" % kind, "one of: " + ", ".join(_KINDS))
        choice.methods = _KINDS[kind]
    if person:
        numbers = whose.numbers(person, whole_only)
        if not numbers:
            raise HostError("bad_request", "nobody is called %r in the key book" % person)
        choice.whose = [(names.METHODS[each], who) for each, who in numbers]
    return choice


def _delete(
    store: "RecordStore", ident: str, name: str, entry: Entry | None, choice: "Choice", which: str, yes: bool
) -> None:
    from host_tools.gateway.records_choice import Choice

    if entry is None:
        raise HostError("forbidden", "only who holds the keys of %s may delete its records" % name)
    if which:
        choice = Choice(ids=_which(store, ident, which))
    count = store.count(ident, choice)
    if count and not yes:
        screen.confirm("Delete %d records of %s on this computer?" % (count, name), abort=True)
    out.print("%d records of %s deleted here; the lock's own memory is as it was" % (store.delete(ident, choice), name))


def _which(store: "RecordStore", ident: str, which: str) -> list[int]:
    """Ids of the records meant by `number`, `era/number` or `era/number/date`. HostError unless it is clear which."""
    parts = which.split("/")
    if len(parts) > 3 or not all(part.isascii() and part.isdigit() for part in parts[:2]):
        raise HostError("bad_request", "%r is no record" % which, "write its number, or era/number, or era/number/date")
    epoch = int(parts[0]) if len(parts) > 1 else None
    found = store.find(ident, int(parts[min(len(parts), 2) - 1]), epoch, parts[2] if len(parts) == 3 else None)
    if len({(each["epoch"], each["date"]) for each in found}) > 1:
        ways = ["%d/%d/%s (%s)" % (each["epoch"], each["rec"], each["date"], each["ts"]) for each in found]
        raise HostError("bad_request", "several records have the number: %s" % ", ".join(ways), "write one of these")
    return [each["id"] for each in found]


def _when(record: dict, where: tzinfo | None) -> str:
    """Time at the lock; `~` before it when it may be off by a change of the clock. Where it is not known, what the
    lock's clock showed, with `*`."""
    if record.get("ts"):
        return ("~" if record.get("approx") else "") + common.local(record["ts"], where)
    shown = wall(record.get("date"))
    return "" if shown is None else "%s *" % shown.strftime("%Y-%m-%d %H:%M:%S")


def _show(rows: list[dict], name: str, total: int, size: int, page: int, where: tzinfo | None) -> None:
    pages = max(1, -(-total // size))
    title = name if pages == 1 else "%s, page %d of %d (%d records)" % (name, page, pages, total)
    table = Table("no.", "when", "what", "who", "battery", title=title)
    for each in rows:
        style = "bold red" if is_alarm(each["type"]) else "yellow" if each["ok"] is False else ""
        battery = "" if each["battery"] is None else "%s %%" % each["battery"]
        marks = "".join(sign for sign, is_so in _marks(each).items() if is_so)
        number = "%s %s" % ("" if each["rec"] is None else each["rec"], marks)
        table.add_row(number, _when(each, where), words(each["type"]), each["name"], battery, style=style)
    out.print(table if rows else "no such records of %s (a lock writes none for its thumb turn or key)" % name)


def _marks(record: dict) -> dict[str, bool]:
    return {"!": record["conflict"], "?": not record["proven"], "#": record["damaged"]}


async def _fetch(store: "RecordStore", ident: str, name: str, whose: names.Names, via: Gateway, follow: bool) -> None:
    from host_tools.gateway.records_inflow import Inflow

    async with via.connect() as gateways:
        inflow = Inflow(store, gateways, ident)
        await inflow.start()
        served = await gateways.serving(ident, via.gateway)
        with common.progress("reading the records of %s ..." % name):
            await inflow.fetch(served)
        if follow:
            async for item in inflow.items():
                who = whose.of(item.get("method"), item.get("who"))
                if screen.documents() is not None:
                    out.print_json_line({"lock": ident, "name": who, **item})
                    continue
                out.print("%s  %s  %s  %s" % (_when(item, common.zone_of(ident)), name, words(item.get("type")), who))


def upload(lock: common.Lock, via: Gateway, as_json: common.Json = False) -> None:
    """Read every record that the lock holds once more, also those that were fetched before."""
    from host_tools.gateway.records_choice import Choice
    from host_tools.gateway.records_store import RecordStore

    with common.reporting():
        ident, name = target(lock)
        with RecordStore() as store:
            read, new = run(_upload(store, ident, name, via))
            total = store.count(ident, Choice())
    if as_json:
        out.print_json(data={"lock": ident, "read": read, "new": new, "kept": total})
        return
    out.print("%s: %d records read, %d of them new here; %d are kept" % (name, read, new, total))


async def _upload(store: "RecordStore", ident: str, name: str, via: Gateway) -> tuple[int, int]:
    from host_tools.gateway.records_inflow import QUIET_S, Inflow

    async with via.connect() as gateways:
        inflow = Inflow(store, gateways, ident)
        await inflow.start()
        served = await gateways.serving(ident, via.gateway)
        with common.progress("%s: reading all its records ..." % name) as step:

            def show(data: dict) -> None:
                if isinstance(data.get("done"), int):
                    step("%s: %d of %s records ..." % (name, data["done"], data.get("total")))

            done = await inflow.upload(served, {}, show)
            await inflow.keep(QUIET_S)
        if done["next"] is not None:
            raise HostError("busy", "the gateway did not come to the end of the log", "try again later")
        return done["read"] + done["new"], inflow.new
