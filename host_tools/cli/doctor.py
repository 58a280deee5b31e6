"""`gatehouse doctor`: one page of what is wrong with a port, a gateway or a lock, and what to do about it; and a
bundle to send to whoever helps. Owns what is meant by the word on the line, and the page; what is found is
`host_tools.doctor`'s.
"""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from host_tools import text
from host_tools.cli import common, gateways, logs, statuses
from host_tools.cli.common import out, progress, run
from host_tools.cli.reach import Broker
from host_tools.doctor import bundle, findings
from host_tools.doctor import gateway as of_gateway
from host_tools.doctor import lock as of_lock
from host_tools.doctor import port as of_port
from host_tools.doctor.findings import ERROR, NOTE, OK, WARNING, Findings
from host_tools.doctor.masking import Mask, settings
from host_tools.errors import HostError
from host_tools.gateway import brokers
from host_tools.gateway.client import Gateways
from host_tools.owner.keybook import Entry, lock_id
from host_tools.screen import Table, styled

_STYLES = {OK: "green", NOTE: "dim", WARNING: "yellow", ERROR: "bold red"}
_LOOK_S = 1.5
_LOG_S = 5


@dataclass
class Page:
    """What has been found so far."""

    titled: bool = True  # by names; else by ids alone
    told: list[Findings] = field(default_factory=list)
    looked: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def add(self, made: Findings, found: dict) -> None:
        self.told.append(made)
        self.looked[made.about] = bundle.harmless(found)

    @property
    def rows(self) -> list[findings.Finding]:
        return [row for each in self.told for row in each.rows]


def doctor(
    via: Broker,
    target: Annotated[
        str,
        typer.Argument(
            metavar="[PORT|GATEWAY|LOCK]", help="A serial port, a gateway or a lock; else all that the key book knows"
        ),
    ] = "",
    bundle_: Annotated[
        Path | None, typer.Option("--bundle", help="Write a zip to send to whoever helps: no keys, codes or names")
    ] = None,
    with_names: Annotated[
        bool, typer.Option("--with-names", help="Leave names of locks, networks and hosts in the bundle")
    ] = False,
    as_json: common.Json = False,
) -> None:
    """Say what is wrong, and what to do about it. The status is that of the worst finding: 0 in order, 9 a warning,
    1 an error."""
    page = Page(titled=bundle_ is None or with_names)
    mask = Mask(with_names)
    with common.reporting():
        if logs.is_port(target):
            _see_port(page, target, mask, bundle_ is not None, with_names)
        else:
            _see_over_mqtt(page, target, via, bundle_ is not None)
        if bundle_ is not None:
            _learn(mask, via)
            bundle.write(bundle_, [each.to_json() for each in page.rows], page.looked, page.lines, mask)
    worst = findings.worst(page.rows)
    code = {ERROR: "fault", WARNING: "warning"}.get(worst, "ok")
    if as_json:
        rows = [each.to_json() for each in page.rows]
        more = {"bundle": str(bundle_)} if bundle_ is not None else {}
        out.print_json({"ok": code == "ok", "code": code, "msg": _summary(page.rows), "findings": rows, **more})
    else:
        _show(page)
        if bundle_ is not None:
            out.print("written: %s" % bundle_)
    if statuses.of(code):
        raise typer.Exit(statuses.of(code))


def _see_port(page: Page, port: str, mask: Mask, is_bundled: bool, with_names: bool) -> None:
    with progress("looking at %s ..." % port) as step:
        found = of_port.look(port, step)
        page.lines += ["%s: %s" % (port, each) for each in found["lines"]]
        if is_bundled and found["hello"]:
            shown = of_port.shown_settings(port)
            mask.add_settings(shown)
            found["settings"] = settings(shown, with_names)
    page.add(of_port.judge(port, found), found)


def _see_over_mqtt(page: Page, target: str, via: Broker, is_bundled: bool) -> None:
    """A gateway or a lock by its name; without one all of them."""
    wanted = _meant(target)

    async def work() -> None:
        with progress("looking ...") as step:
            async with via.connect() as reach:
                heard, retained = of_gateway.Heard(), of_lock.Retained()
                await reach.hear("metrics", lambda gateway, said: heard.take(reach, gateway, said))
                await reach.watch(
                    ("availability", "state"),
                    lambda gateway, lock, leaf, said: retained.take(reach, gateway, lock, leaf, said),
                )
                await of_gateway.settle(reach, _LOOK_S)
                chosen, locks = _chosen(wanted, target, reach)
                for ident in chosen:
                    step("gateway %s" % ident)
                    found = await of_gateway.look(reach, heard, ident)
                    page.add(of_gateway.judge("gateway %s" % _title(page, reach, ident), found), found)
                    if is_bundled and found.get("online"):
                        page.lines += await logs.some(reach, ident, _LOG_S)
                for lock, entry in locks:
                    name = entry.name if entry and page.titled else lock
                    step("lock %s" % name)
                    known = {"known": entry is not None, "zone_rule": entry.zone_rule if entry else ""}
                    found = await of_lock.look(reach, retained, lock, known, lambda each: _title(page, reach, each))
                    page.add(of_lock.judge("lock %s" % name, found), found)

    try:
        run(work_or_told(page, work))
    except typer.Exit:
        if not page.told:
            raise


async def work_or_told(page: Page, work: Any) -> None:
    """A broker that cannot be reached is a finding, too."""
    try:
        await work()
    except HostError as error:
        if statuses.of(error.code) != statuses.NETWORK:
            raise
        told = Findings("broker")
        told.add("broker_reached", ERROR, error.line())
        page.add(told, {})


def _title(page: Page, reach: Gateways, ident: str) -> str:
    return reach.title(ident) if page.titled else ident


def _meant(target: str) -> str | Entry | None:
    """A lock of the key book, the id of a gateway there, or None: all, or something that only the broker knows."""
    if not target:
        return None
    found: list[str | Entry] = []
    for find in (lambda: gateways.find(target).id, lambda: common.key_book().find(target)):
        try:
            found.append(find())
        except HostError as error:
            if error.code not in ("unknown_gateway", "unknown_lock", "bad_request", "unknown_name"):
                raise
    if len(found) > 1:
        raise HostError("bad_request", "%r is a gateway and a lock" % target, "give its id")
    return found[0] if found else None


def _chosen(
    wanted: str | Entry | None, target: str, reach: Gateways
) -> tuple[list[str], list[tuple[str, Entry | None]]]:
    """Ids of gateways to look at, and locks with their entries."""
    if isinstance(wanted, Entry):
        return [], [(wanted.id, wanted)]
    if wanted is not None:
        return [wanted], []
    if not target:
        book = common.key_book()
        return [each.id for each in book.gateways()], [(each.id, each) for each in book.entries()]
    ident = lock_id(target)
    named = [each for each in sorted(set(reach.info) | set(reach.online)) if target in (each, reach.name(each))]
    if len(named) == 1:
        return named, []
    if ident in reach.info or ident in reach.online:
        return [ident], []
    if of_lock.serving(reach, ident):
        return [], [(ident, None)]
    todo = "see `gatehouse gateway list`, `gatehouse keys list`; a port is written with its path"
    raise HostError("unknown_name", "%r is no port, gateway or lock" % text.printable(target, 64), todo)


def _learn(mask: Mask, via: Broker) -> None:
    """What must not stand in a bundle, as far as this computer knows it."""
    book = common.key_book()
    for entry in book.entries():
        mask.add_entry(entry)
    for gateway in book.gateways():
        mask.add_gateway(gateway)
    with contextlib.suppress(HostError):
        chosen = brokers.choose(brokers.Given(via.broker, via.ca, via.cert, via.key, via.insecure_broker))
        mask.add_names([chosen.host, chosen.user])
        mask.add_secrets([chosen.password])


def _summary(rows: list[findings.Finding]) -> str:
    counts = {each: sum(row.severity == each for row in rows) for each in (ERROR, WARNING)}
    told = ["%d %s%s" % (count, what, "s" if count > 1 else "") for what, count in counts.items() if count]
    return ", ".join(told) or "all in order"


def _show(page: Page) -> None:
    for each in page.told:
        table = Table("", "check", "finding", "what to do", title=each.about)
        for row in each.rows:
            table.add_row(styled((row.severity, _STYLES[row.severity])), row.code, row.finding, row.advice)
        out.print(table)
    out.print(_summary(page.rows) if page.rows else "nothing to look at: the key book is empty")
