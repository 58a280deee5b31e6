"""Does at a simulated site what an owner does at a real one: pairs the locks and hands their keys to the gateway.

The real tools do it, over the simulated air and the real broker; only the touch of the keypad comes from the panel.
"""

import contextlib
import json

from host_tools.gateway import client as gateway_client
from host_tools.near import pairing, sightings
from host_tools.owner import bundles, zones
from host_tools.owner.keybook import Entry, KeyBook
from host_tools.sim.ble import bleak_air
from host_tools.sim.board.board import Board
from host_tools.sim.board.interpreter import SimError
from host_tools.sim.site.site import Site

_HANG_S = 120  # no step takes so long, however busy the machine is


async def pair(site: Site, lock: Board, book: KeyBook, allow_remote: bool = True) -> Entry:
    """Touch `lock` and pair with it; its keys are in `book` then. Raises HostError, SimError."""
    bleak_air.install(site.radio.hci_port)
    await lock.wait_line("lock started")
    await lock.panel({"do": "touch"})
    sighting = await sightings.scan(lambda each: each.mac == lock.mac and each.advert.settable, _HANG_S)
    if sighting is None:
        raise SimError("%s does not advertise that it can be paired" % lock.name)
    outcome = await pairing.pair(sighting, book, lock.name, allow_remote=allow_remote, place=zones.plain(0))
    if allow_remote and not outcome.remote_unlock:
        raise SimError("the remote-unlock switch of %s is not on: %s" % (lock.name, "; ".join(outcome.notes)))
    return outcome.entry


def connect(site: Site) -> contextlib.AbstractAsyncContextManager[gateway_client.Gateways]:
    """The site's owner at its broker: he signs, at the site's time."""
    return gateway_client.connect(site.at_broker(), pins=site.pins, now_s=site.now)


async def hand_over(site: Site, gateway: Board, entry: Entry) -> None:
    """Import one lock's keys, sealed, into `gateway`. Raises HostError."""
    async with connect(site) as gateways:
        await gateways.hand_over(await gateways.choose(gateway.id, wait_s=_HANG_S), entry)


async def adopt_all(site: Site) -> None:
    """Pair every lock, write its bundle beside the site's key book, and hand it to the first gateway."""
    book = KeyBook(site.key_book)
    for lock in site.locks:
        entry = await pair(site, lock, book)
        if site.gateways:
            await hand_over(site, site.gateways[0], entry)
        for path, bundle in (
            (site.keys_file(lock), bundles.virtual_key(entry)),
            (site.keys_file(lock, "lockdata"), bundles.lock_data(entry)),
        ):
            path.write_text(json.dumps([bundle], indent=2) + "\n")
