"""The flows of R-01 over a gateway, and what must hold after a link was cut anywhere in them (security.md 4.2)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from firmware.lib import opcodes
from host_tools.sim.air.faults import CENTRAL, PERIPHERAL, SIDES
from tests.faults.posts import FrameTap, Post
from tests.faults.rows import Row

_FAILURES = ("link", "link_timeout", "expired", "not_near", "protocol")  # all of them say: nothing was done
_UNKNOWN = "outcome_unknown"
_TRIES = 3
_RESET = {None: "", CENTRAL: ", gateway restarted", PERIPHERAL: ", lock restarted"}


class Case(NamedTuple):
    """Where the link is cut: at the n-th packet of one side, before or after delivery; whose host is reset then."""

    sender: str
    at: int
    is_delivered: bool
    resets: str | None = None

    def __str__(self) -> str:
        when = "after" if self.is_delivered else "before"
        return "cut %s the %s's packet %d%s" % (when, self.sender, self.at, _RESET[self.resets])


def every_case(packets: dict[str, int], with_resets: bool) -> list[Case]:
    """All cuts of a flow in which so many packets are sent."""
    cases = []
    for sender in SIDES:
        for at in range(1, packets[sender] + 1):
            cases += [Case(sender, at, False), Case(sender, at, True)]
            if with_resets:
                cases += [Case(sender, at, True, CENTRAL), Case(sender, at, True, PERIPHERAL)]
    return cases


async def share(cases: list, workers: list[Callable[[Any], Awaitable[bool]]]) -> list:
    """Every worker takes case after case. -> those that nobody reached.

    A worker says whether its flow came as far as the cut: one may need a packet less than the one that was counted.
    Such a case is tried again, twice.
    """
    waiting = [(case, _TRIES) for case in cases]
    missed = []

    async def work(attempt: Callable[[Any], Awaitable[bool]]) -> None:
        while waiting:
            case, tries = waiting.pop(0)
            if not await attempt(case):
                if tries > 1:
                    waiting.append((case, tries - 1))
                else:
                    missed.append(case)

    await asyncio.gather(*(work(each) for each in workers))
    return missed


class Flow:
    """One command over MQTT. Derive: `op`, `prepare`, `judge`."""

    name = op = ""

    def __init__(self, post: Post, tap: FrameTap, row: Row) -> None:
        self.post = post
        self.tap = tap
        self.row = row
        self.recoveries_s: list[float] = []
        self._is_settled = False

    def args(self) -> dict | None:
        """Arguments of the next attempt."""
        return None

    async def prepare(self) -> None:
        """Bring the lock to where the flow begins."""

    async def judge(self, case: Case, code: str | None) -> str | None:
        """What is wrong after a cut and the result `code` (None: a reset gateway gave none), or None."""
        raise NotImplementedError

    async def count(self) -> dict[str, int]:
        """A dry run: how many packets each side sends until the result is there.

        The second of two counts: the first one may find more to do, such as records of the flow before.
        """
        if not self._is_settled:
            self._is_settled = True
            await self.count()
        await self.post.until_quiet()
        await self.prepare()
        await self.post.until_quiet()
        before = self.post.bench.site.radio.last_link
        result = await self.post.ask(self.op, self.args())
        packets = self.post.packets(before)
        assert result["ok"], (self.name, result)
        await self.judge(Case(CENTRAL, 0, True), result["code"])
        return packets

    async def attempt(self, case: Case) -> bool:
        """Cut once, and see what becomes of it. False when the flow ended before the cut."""
        post = self.post
        site = post.bench.site
        await post.until_quiet()
        await self.prepare()
        await post.until_quiet()
        board = {CENTRAL: post.gateway, PERIPHERAL: post.lock}.get(case.resets or "")
        happened: list[float] = []

        def at_the_cut() -> None:
            happened.append(time.monotonic())
            if board:  # by its power: six resets within a minute are a crash loop, and end in safe mode
                site.spawn(board.restart())

        cut = site.radio.faults.cut(post.lock.mac, case.sender, case.at, case.is_delivered, at_the_cut)
        before, ident = site.radio.last_link, "%s-%d" % (self.op, time.monotonic_ns())
        code = await self._ask(case, ident)
        if not cut.has_happened:
            site.radio.faults.lift(cut)
            return False
        answered_s = time.monotonic()
        if code != "ok":
            answered_s = await self._until_served()
        self.recoveries_s.append(answered_s - happened[0])
        fault = await self.judge(case, code) or self._repeated(before) or self._answers(case, ident)
        self.row.check(not fault, "%s, %s -> %s: %s" % (self.name, case, code, fault))
        return True

    async def _ask(self, case: Case, ident: str) -> str | None:
        try:
            found = await self.post.ask(self.op, self.args(), timeout_s=8 if case.resets == CENTRAL else 60, id=ident)
        except AssertionError:
            if case.resets == CENTRAL:
                return None  # its answer may have been in the memory that the reset has emptied
            raise
        return found["code"]

    async def _until_served(self) -> float:
        """The lock is served again: an innocent command is answered."""
        for _ in range(6):
            try:
                if (await self.post.ask("state", timeout_s=40))["ok"]:
                    break
            except AssertionError:
                continue
        else:
            self.row.fail("%s: not served again" % self.name)
        return time.monotonic()

    def _repeated(self, before: int) -> str | None:
        """An unlock or lock frame that left twice."""
        mine = {link.number for link in self.post.bench.site.radio.links(self.post.lock.mac, before)}
        for command, word in ((opcodes.UNLOCK, "UNLOCK"), (opcodes.LOCK, "LOCK")):
            left = self.tap.frames.count
            times = sum(left((number, CENTRAL, command)) for number in mine)
            if times > 1:
                return "%d %s frames left" % (times, word)
        return None

    def _answers(self, case: Case, ident: str) -> str | None:
        number = len(self.post.results(ident))
        least = 0 if case.resets == CENTRAL else 1
        return None if least <= number <= 1 else "%d results" % number


class Motion(Flow):
    """unlock, lock: at most one movement, and no word that the bolt belies."""

    def __init__(self, post: Post, tap: FrameTap, row: Row, op: str) -> None:
        super().__init__(post, tap, row)
        self.name = self.op = op
        self.from_, self.to = ("locked", "unlocked") if op == "unlock" else ("unlocked", "locked")
        self._moved = 0

    def _agrees(self) -> bool:
        told = self.post.told("state")
        return bool(told) and told.value["lock"] == self.post.lock.bolt.upper()

    async def prepare(self) -> None:
        await self.post.turn(self.from_)
        assert await self.post.until(self._agrees, "the gateway knows the bolt", 30)
        self._moved = len(self.post.lock.movements)

    async def judge(self, case: Case, code: str | None) -> str | None:
        lock = self.post.lock
        agrees = await self.post.until(self._agrees, "gateway and bolt agree", 30)
        moves = [(move[1], move[2]) for move in lock.movements[self._moved :]]
        if len(moves) > 1:
            return "%d movements" % len(moves)
        if code == "ok" and moves != [(self.from_, self.to)]:
            return "false ok, %s" % lock.bolt
        if code in _FAILURES and moves:
            return "it moved all the same"
        if code not in ("ok", None, _UNKNOWN, *_FAILURES):
            return "unexpected"
        return None if agrees else "the gateway says %s, the bolt is %s" % (self.post.told("state"), lock.bolt)


class FirstUnlock(Motion):
    """unlock by a gateway that has just started: it has to discover the lock's database first."""

    def __init__(self, post: Post, tap: FrameTap, row: Row) -> None:
        super().__init__(post, tap, row, "unlock")
        self.name = "first_unlock"

    async def prepare(self) -> None:
        gateway = self.post.gateway
        seen = len(gateway.lines)
        await gateway.restart()
        await gateway.wait_line("mqtt connected", after=seen)
        await super().prepare()


class PasscodeAdd(Flow):
    """passcode_add: there, or not there, and the word says which."""

    name = op = "passcode_add"

    def __init__(self, post: Post, tap: FrameTap, row: Row) -> None:
        super().__init__(post, tap, row)
        self._code = ""

    def args(self) -> dict:
        return {"code": self._code, "type": "permanent"}

    async def prepare(self) -> None:
        if self._code:
            assert (await self.post.ask("passcode_delete", self.args()))["ok"]
        self._code = "%06d" % (100000 + time.monotonic_ns() // 1000 % 899999)

    async def judge(self, case: Case, code: str | None) -> str | None:
        listed = await self.post.ask("passcode_list")
        if not listed["ok"]:
            return "the list cannot be read: %s" % listed["code"]
        number = len(listed["data"]["items"])
        if number > 1:
            return "%d passcodes for one" % number
        if code == "ok" and not number:
            return "false ok"
        if code in _FAILURES and number:
            return "it is stored all the same"
        return None if code in ("ok", None, _UNKNOWN, *_FAILURES) else "unexpected"


class RecordsRead(Flow):
    """records_read: whatever was cut off, every record arrives, and none with two contents."""

    name = op = "records_read"

    async def prepare(self) -> None:
        """Leave something to read: one turn by the admin passcode, far from the gateway's ears."""
        faults = self.post.bench.site.radio.faults
        faults.sleep(self.post.lock.mac, 3600)  # so that the gateway does not read it before it is asked to
        try:
            await self.post.open_at_the_keypad()
        finally:
            faults.sleep(self.post.lock.mac, 0)

    async def judge(self, case: Case, code: str | None) -> str | None:
        total = (await self.post.lock.panel({"do": "state"}))["records"]
        if not await self.post.until(lambda: len(self._keys()) >= total, "all records", 60):
            return "%d of %d records arrived" % (len(self._keys()), total)
        contents: dict = {}
        for epoch, item in self.post.records():
            if contents.setdefault((epoch, item["rec"]), item) != item:
                return "record %d has two contents" % item["rec"]
        return None if len({epoch for epoch, _ in self._keys()}) == 1 else "the epoch has changed"

    def _keys(self) -> set:
        return {(epoch, item["rec"]) for epoch, item in self.post.records()}
