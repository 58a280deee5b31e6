"""`gatehouse pair`, `import`, `forget`, `remote-unlock`: whose keys are where, and what only its owner may switch."""

import re
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from host_tools import screen
from host_tools.cli import common
from host_tools.cli.common import key_book, out, progress, run
from host_tools.cli.reach import Gateway
from host_tools.cli.shared import Called
from host_tools.errors import HostError
from host_tools.near import pairing, sightings
from host_tools.owner import zones
from host_tools.owner.keybook import Entry, KeyBook, lock_id

_TOUCH_S = 60
_CALLED = Called("name of the lock")


def pair(
    via: Gateway,
    name: Annotated[str, typer.Option("--name", help="What you call the lock"), _CALLED] = "",
    mac: Annotated[str, typer.Option("--mac", help="Pair with this one; else with the first that was touched")] = "",
    remote: Annotated[
        bool | None, typer.Option("--remote/--no-remote", help="Allow or forbid unlocking through a gateway")
    ] = None,
    hand_over: Annotated[
        bool | None, typer.Option("--import/--no-import", help="Hand the keys to a gateway, or do not ask")
    ] = None,
    zone: common.Zone = zones.HERE,
    confirm: Annotated[bool, typer.Option("--confirm", help="Ask a lock whether it kept a cut-off pairing")] = False,
) -> None:
    """Pair with a lock beside this computer and keep its keys in the key book."""
    asks = screen.asks()
    if confirm:
        _confirm(mac)
        return
    if not name and asks:
        name = screen.ask(_CALLED.what, default="")
        with common.reporting():
            name = _CALLED.taken(name) if name else ""
    if remote is None and asks:
        remote = screen.confirm("allow unlocking through a gateway (remote unlock)?", default=False)
    with common.reporting():
        place = zones.find(zone)
    entry = _pair(key_book(), name, mac, remote, place)
    if hand_over is None and asks:
        hand_over = screen.confirm("hand the keys to a gateway now?", default=True)
    if hand_over:
        run(_import(entry, via), is_change=True)
    else:
        out.print("next: gatehouse import '%s'" % entry.name)


def _pair(book: KeyBook, name: str, mac: str, remote: bool | None, place: zones.Place) -> Entry:
    wanted = _address(mac)
    out.print("warning: %s" % pairing.SNIFFING_WARNING, style="yellow")

    async def work(step: Callable[[str], None]) -> pairing.Outcome:
        step("waiting %d s for a touched lock that can be paired" % _TOUCH_S)
        sighting = await sightings.scan(
            lambda each: each.advert.settable and wanted in ("", lock_id(each.mac)), _TOUCH_S
        )
        if sighting is None:
            todo = "touch its keypad within %d s of starting; a paired lock must be reset first" % _TOUCH_S
            raise HostError("not_near", "no lock that can be paired was heard", todo)
        return await pairing.pair(sighting, book, name or sighting.name or sighting.mac, remote, place, step)

    outcome = common.run_near("touch the keypad of the lock ...", work)
    entry = outcome.entry
    switch = {True: "on", False: "off", None: "unknown"}[outcome.remote_unlock]
    values: dict = {"name": entry.name, "address": entry.mac, **outcome.details, "remote unlock": switch}
    values["time zone"] = entry.zone
    if outcome.autolock_s is not None:
        values["auto-lock"] = "%d s" % outcome.autolock_s if outcome.autolock_s else "off"
    if outcome.notes:
        values["notes"] = "; ".join(outcome.notes)
    common.show("paired", values, zone=zones.of(entry))
    out.print("keys kept in %s: back this file up, without it the lock has to be reset" % book.path)
    return entry


def _address(mac: str) -> str:
    """--mac as an id, "" only where it was not given. An error ends the command."""
    with common.reporting():
        ident = lock_id(mac)
        if mac and not re.fullmatch("[0-9a-f]{12}", ident):
            raise HostError("bad_request", "%r is no address" % mac, "write it like aa:bb:cc:dd:ee:ff")
    return ident


def _confirm(mac: str) -> None:
    book = key_book()
    with common.reporting():
        open_ones = [each for each in book.entries() if each.provisional and _address(mac) in ("", each.id)]
        if not open_ones:
            raise HostError("bad_request", "no pairing waits for a confirmation", "see `gatehouse keys list`")
        for entry in open_ones:
            if not common.run_near("asking %s ..." % entry.name, partial(pairing.confirm, entry, book)):
                raise HostError("not_near", "%s could not be asked" % entry.name, "go beside it, touch it, try again")
            out.print("%s is paired" % entry.name)


def hand_over(lock: common.Lock, via: Gateway) -> None:
    """Hand a lock's keys to a gateway, sealed so that only this gateway can read them."""
    run(_import(common.entry_of(lock), via), is_change=True)


async def _import(entry: Entry, via: Gateway) -> None:
    async with via.connect() as gateways:
        chosen = await gateways.choose(via.gateway)
        with progress("gateway %s is checking the keys at the lock ..." % chosen):
            result = await gateways.hand_over(chosen, entry)
    common.show("gateway %s has the keys of %s" % (chosen, entry.name), result.get("data") or {}, zone=zones.of(entry))
    if not entry.zone_rule:
        text = "note: the time zone of %s is not known: its clock is not set, and no date can be given; run `%s`"
        common.err.print(text % (entry.name, "gatehouse time zone '%s' --zone Europe/Berlin" % entry.name))


def forget(lock: common.Lock, via: Gateway) -> None:
    """Make a gateway forget a lock. The lock and your key book keep their keys."""
    entry = common.entry_of(lock)

    async def work() -> str:
        async with via.connect() as gateways:
            chosen = await gateways.choose(via.gateway, entry.id)
            await gateways.forget(chosen, entry)
            return chosen

    out.print("gateway %s has forgotten %s" % (run(work(), is_change=True), entry.name))


def remote_unlock(
    lock: common.Lock,
    on: Annotated[bool, typer.Option("--on/--off", help="Allow or forbid unlocking through a gateway")],
) -> None:
    """Change a lock's remote-unlock switch, beside the lock: no gateway can do this."""
    entry = common.entry_of(lock)
    is_on = common.run_near("looking for %s ..." % entry.name, lambda step: pairing.set_remote_unlock(entry, on))
    out.print("remote unlock of %s is %s" % (entry.name, "on" if is_on else "off"))
