"""The pairing of R-01: the host tool pairs, the link is cut somewhere, lock and key book must agree in the end."""

import asyncio
import time
from pathlib import Path

from firmware.lib import opcodes
from firmware.lib.errors import FirmwareError
from host_tools.errors import HostError
from host_tools.near import lock_link, pairing, sightings
from host_tools.owner import zones
from host_tools.owner.keybook import Entry, KeyBook
from host_tools.sim.air.faults import PERIPHERAL, SIDES
from host_tools.sim.board.board import Board
from host_tools.sim.site.site import Site
from tests.faults.link_drops import Case
from tests.faults.rows import Row

_NOT_KEPT = ("link", "link_timeout", "protocol", "refused")


class Pairing:
    """Pairs one lock again and again, each time from its factory state."""

    def __init__(self, site: Site, lock: Board, folder: Path, row: Row) -> None:
        self.site = site
        self.lock = lock
        self.book = KeyBook(folder / (lock.id + ".json"))
        self.row = row
        self.recoveries_s: list[float] = []

    async def count(self) -> dict[str, int]:
        """A dry run: how many packets each side sends."""
        before = self.site.radio.last_link
        code = await self._pair()
        assert code == "ok", code
        links = self.site.radio.links(self.lock.mac, before)
        packets = {side: sum(link.packets[side] for link in links) for side in SIDES}
        await self._reset()
        return packets

    async def attempt(self, case: Case) -> bool:
        """Cut once, settle what is left, and bring the lock back. False when pairing ended before the cut."""
        happened: list[float] = []

        def at_the_cut() -> None:
            happened.append(time.monotonic())
            if case.resets == PERIPHERAL:
                self.site.spawn(self.lock.restart())

        cut = self.site.radio.faults.cut(self.lock.mac, case.sender, case.at, case.is_delivered, at_the_cut)
        code = await self._pair()
        if not cut.has_happened:
            self.site.radio.faults.lift(cut)
        else:
            fault = await self._judge(code)
            self.recoveries_s.append(time.monotonic() - happened[0])
            self.row.check(not fault, "pair, %s -> %s: %s" % (case, code, fault))
        await self._reset()
        return cut.has_happened

    async def _pair(self) -> str:
        """`ok`, or the code of the tool's error."""
        found = None
        for _ in range(5):  # the one adapter may be busy with another lock for longer than a touch lasts
            await self.lock.panel({"do": "touch"})
            found = await sightings.scan(lambda heard: heard.mac == self.lock.mac and heard.advert.settable, 10)
            if found:
                break
        assert found, "%s cannot be paired" % self.lock.name
        try:
            await pairing.pair(found, self.book, self.lock.name, allow_remote=True, place=zones.plain(0))
        except HostError as err:
            return err.code
        return "ok"

    def _entry(self) -> Entry | None:
        return next((entry for entry in self.book.entries() if entry.mac == self.lock.mac), None)

    async def _is_paired(self) -> bool:
        """What the lock itself says, once it has noticed the end of the link."""
        while True:
            linked = any(link.record.peripheral == self.lock.mac for link in self.site.radio.air.links)
            state = await self.lock.panel({"do": "state"})
            if "paired" in state and not linked:
                return state["paired"]
            await asyncio.sleep(0.05)

    async def _judge(self, code: str) -> str | None:
        if code == "outcome_unknown":
            entry = self._entry()
            if entry is None or not entry.provisional:
                return "no provisional keys are kept"
            for _ in range(4):
                try:
                    if await pairing.confirm(entry, self.book):
                        break
                except HostError as err:
                    if err.code != "refused":
                        return "cannot be settled: %s" % err.code
                    break
            else:
                return "cannot be settled"
        elif code not in ("ok", *_NOT_KEPT):
            return "unexpected"
        entry, is_paired = self._entry(), await self._is_paired()
        if code == "ok" and not is_paired:
            return "false ok"
        if is_paired != bool(entry) or (entry and entry.provisional):
            return "the lock is %s, the book has %s keys" % ("paired" if is_paired else "new", "its" if entry else "no")
        return None if not entry or await self._opens(entry) else "the kept keys do not open it"

    async def _opens(self, entry: Entry, and_reset: bool = False) -> bool:
        for _ in range(3):
            found = await sightings.scan(lambda heard: heard.mac == self.lock.mac, 20)
            if found is None:
                continue
            try:
                async with lock_link.connect(found, bytes.fromhex(entry.aes)) as link:
                    await link.login(entry.admin_ps, entry.unlock_key)
                    if and_reset:
                        await link.exchange(opcodes.RESET)
                return True
            except FirmwareError:
                continue
        return False

    async def _reset(self) -> None:
        """Back to the factory state, by the owner's keys or, where there are none, by button and keypad."""
        entry = self._entry()
        if entry:
            assert await self._opens(entry, and_reset=True), "%s cannot be reset" % self.lock.name
            self.book.remove(entry.mac)
        while await self._is_paired():
            await asyncio.sleep(0.1)
