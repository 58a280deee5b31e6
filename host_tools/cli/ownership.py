"""`gatehouse delete`, `name`, `basics`, `rename`, `import-credentials`, `time zone`: the owner and the lock itself."""

import contextlib
import itertools
import shlex
import time
from collections.abc import Callable
from typing import Annotated

import typer

from firmware.lib.messages import settings_client
from host_tools import screen
from host_tools.cli import common
from host_tools.cli.common import key_book, out, reporting
from host_tools.cli.control import time_app
from host_tools.cli.reach import AnyChange, AnyGateway, Broker, done, is_kept
from host_tools.cli.shared import Called
from host_tools.errors import HostError
from host_tools.near import ownership, sightings, transfer
from host_tools.owner import zones
from host_tools.owner.keybook import Entry
from host_tools.screen import Table

_CALLED, _ADVERTISED = Called("name of the lock"), Called("lock's own name")


def delete(
    lock: common.Lock,
    via: Broker,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    no_gateway: Annotated[bool, typer.Option("--no-gateway", help="No gateway has its keys")] = False,
) -> None:
    """Give a lock up, beside it: it forgets you and everybody, then the gateways and your key book forget it."""
    entry = common.entry_of(lock)
    if not yes:
        screen.confirm("erase %s (%s) with all codes, cards and records?" % (entry.name, entry.mac), abort=True)
    with reporting():
        book = key_book()
        book.entries()

    async def work(step: Callable[[str], None]) -> tuple[bool, list[str]]:
        was_ours = await ownership.erase(entry)
        gateways: list[str] = []
        if not no_gateway:
            step("telling the gateways ...")
            async with via.connect() as reach:
                with contextlib.suppress(HostError):  # no gateway, or several: what matters is who is there
                    await reach.choose()
                gateways = await reach.forget_everywhere(entry)
        book.remove(entry.mac)
        return was_ours, gateways

    was_ours, gateways = common.run_near("erasing %s ..." % entry.name, work)
    out.print("%s is nobody's%s and can be paired again" % (entry.name, "" if was_ours else " (it was already)"))
    if gateways:
        out.print("forgotten by gateway %s" % ", ".join(gateways))


def name(
    lock: common.Lock,
    text: Annotated[str, typer.Argument(help="What the lock is to advertise, at most 20 bytes"), _ADVERTISED],
    via: AnyChange,
) -> None:
    """Change the name that the lock itself shows over Bluetooth. (Your own name for it: `rename`.)"""
    entry = common.entry_of(lock)
    with reporting():
        settings_client.name(text)  # its length in bytes
    if via.near:
        common.run_near("%s: naming it ..." % entry.name, lambda step: ownership.set_name(entry, text))
    else:
        _, result = via.ask(entry.id, "name_set", {"name": text})
        if is_kept(result):
            done(entry.id, entry.name, "", result)
            return
    out.print("%s advertises as %s" % (entry.name, text))


def rename(lock: common.Lock, alias: Annotated[str, typer.Argument(help="What you call it"), _CALLED]) -> None:
    """Call a lock otherwise in your key book."""
    entry = common.entry_of(lock)
    with reporting():
        ownership.rename(key_book(), entry, alias)
    out.print("%s is called %s" % (entry.mac, alias))


def basics(
    lock: common.Lock,
    via: AnyGateway,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show the admin passcode")] = False,
    as_json: common.Json = False,
) -> None:
    """What a lock is: number, address, battery, validity, name, features, admin passcode."""
    entry = common.entry_of(lock)
    if reveal and not out.is_terminal:
        with reporting():
            raise HostError("bad_request", "--reveal shows a secret on a terminal only")

    if via.near:
        facts = common.run_near("%s: asking it ..." % entry.name, lambda step: ownership.ask_basics(entry))
    else:
        facts = via.ask(entry.id, "info")[1].get("data") or {}
    common.show(entry.name, ownership.basics(entry, facts, reveal), as_json, zones.of(entry))


@time_app.command("zone", bulk=True)
def zone(
    lock: common.Lock,
    via: AnyChange,
    name: Annotated[str, typer.Option("--zone", help="Where it is: Europe/Berlin, here, UTC+2, or a POSIX rule")] = "",
    offset: Annotated[int | None, typer.Option("--utc-offset", help="Minutes ahead of UTC", min=-960, max=960)] = None,
    here: Annotated[bool, typer.Option("--from-computer", help="Where this computer is: as --zone here")] = False,
    fixed: Annotated[bool, typer.Option("--fixed", help="Changes one by one, where no rule tells them")] = False,
    as_json: common.Json = False,
) -> None:
    """Say in which time zone a lock is; its gateway then sets its clock when summer time begins and ends. Without an
    option: show what is known."""
    entry = common.entry_of(lock)
    if not name and offset is None and not here:
        common.show(entry.name, _zone_of(entry), as_json, zones.of(entry))
        if zones.is_outdated(entry):
            common.err.print("note: the clocks of %s change otherwise by now: run this with --zone again" % entry.zone)
        return
    with reporting():
        if (1 if name else 0) + (0 if offset is None else 1) + (1 if here else 0) != 1:
            raise HostError("bad_request", "which zone?", "give one of --zone, --utc-offset, --from-computer")
        place = zones.plain(offset) if offset is not None else zones.find(name or zones.HERE)
        rule = zones.choose(place, fixed)
        book = key_book()
    if via.near:
        text = "%s: setting its clock ..." % entry.name
        facts = common.run_near(text, lambda step: ownership.set_clock(book, entry, place.name, rule))
        _tell_gateways(via, entry)
    else:
        _, result = via.ask(entry.id, "zone_set", {"zone": rule})
        ownership.keep_zone(book, entry, place.name, rule)
        if is_kept(result):
            done(entry.id, entry.name, "", result, as_json)
            return
        facts = result.get("data") or {}
    common.show("%s shows the time of %s" % (entry.name, place.name), facts, as_json, zones.of(entry))


def _tell_gateways(via: AnyChange, entry: Entry) -> None:
    """What a lock was told beside it, its gateways have to know: else they set its clock back to the zone of before."""
    if not common.pins() and not via.broker:
        return

    async def work() -> tuple[list[str], list[HostError]]:
        async with via.connect() as reach:
            with contextlib.suppress(HostError):  # no gateway, or several: what matters is who is there
                await reach.choose("", entry.id)
            told, failed = await reach.tell_zone(entry)
            return list(map(reach.title, told)), failed

    async def whole() -> tuple[list[str], list[HostError]]:
        try:
            return await work()
        except HostError as error:
            return [], [error]

    told, failed = common.run(whole(), is_change=True)
    if told:
        common.err.print("note: told gateway %s, too" % ", ".join(told))
    for error in failed:
        common.warn("a gateway may still know another zone: %s" % error)
    if failed or not told:
        todo = "gatehouse time zone %s --zone %s" % (shlex.quote(entry.name), shlex.quote(entry.zone or ""))
        common.err.print("note: a gateway that serves it sets its clock back, unless you run: %s" % todo)


def _zone_of(entry: Entry) -> dict:
    """What is known of a lock's zone, for people and JSON."""
    where = zones.of(entry)
    if where is None:
        return {"zone": None, "rule": None, "next changes": []}
    now_s = int(time.time())
    turns = itertools.islice(zones.told(entry.zone_rule, now_s, now_s + 2 * 366 * 86400), 2)
    return {
        "zone": entry.zone,
        "rule": entry.zone_rule,
        "now": zones.when(now_s, where),
        "next changes": [zones.when(at_s, where) for at_s, _ in turns],
    }


def import_credentials(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The lock whose passcodes and cards are wanted")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The lock that is to take them")],
    as_json: common.Json = False,
) -> None:
    """Let in at one lock who is let in at another, beside both. Does nothing twice: run it again if it was cut off."""
    first, second = common.entry_of(source), common.entry_of(target)
    report = common.run_near("reading %s ..." % first.name, lambda step: transfer.copy(first, second, step))
    if as_json:
        out.print_json(data=[vars(item) for item in report])
    else:
        table = Table("what", "which", "state", "", title="%s to %s" % (first.name, second.name))
        for item in report:
            table.add_row(item.kind, item.what, item.state, item.why)
        out.print(table if report else "%s has nothing to import" % first.name)
    if any(item.state == transfer.FAILED for item in report):
        raise typer.Exit(1)


def scan(
    seconds: Annotated[float, typer.Option("--for", help="Listen so many seconds", min=1, max=120)] = 5,
    as_json: common.Json = False,
) -> None:
    """Locks near this computer: kind, battery, strength, and whether they can be added."""
    rows = [each.to_json() for each in common.run_near("listening ...", lambda step: sightings.scan_all(seconds))]
    if as_json:
        out.print_json(data=rows)
        return
    table = Table("name", "address", "kind", "battery", "strength", "")
    for row in rows:
        note = "can be added" if row["can_be_added"] else "has an owner: delete it there or reset it"
        battery = "" if row["battery"] is None else "%d %%" % row["battery"]
        table.add_row(row["name"], row["mac"], row["kind"], battery, row["strength"], note)
    out.print(table if rows else "no locks heard")


def touch(
    lock: common.Lock,
    limit: Annotated[
        int, typer.Option("--limit", help="Signal strength that counts as near, in dBm")
    ] = ownership.TOUCH_DBM,
    wait: Annotated[float, typer.Option("--for", help="Wait so many seconds for a touch", min=1)] = 60,
) -> None:
    """Open when the lock is touched while this computer is near it."""
    entry = common.entry_of(lock)
    common.run_near("touch %s ..." % entry.name, lambda step: ownership.open_when_touched(entry, limit, wait))
    out.print("%s is open" % entry.name)
