"""The same faults over the air: a real lock board, real links, leaps of the site's clock."""

import asyncio
import random
import time
from pathlib import Path

import pytest
from bleak.exc import BleakError

from firmware.lib import crypto, frame, opcodes
from firmware.lib.errors import AuthError, LinkError
from firmware.lib.messages import common, session_client
from host_tools.near import sightings
from host_tools.near.lock_link import LockLink, connect
from host_tools.owner.keybook import Entry
from tests.faults.impostor import Impostor
from tests.faults.programs import mutants
from tests.faults.rows import Row
from tests.system.bench import HANG_S, Bench

_GONE = (BleakError, EOFError, OSError, LinkError)
_PACE_S = 0.1
_WRONG_SUM = 0x08
_DAY_S = 86400


async def found(entry: Entry) -> sightings.Sighting:
    heard = await sightings.scan(lambda heard: heard.mac == entry.mac, 20)
    assert heard, "the lock is not heard"
    return heard


async def throw(lock: sightings.Sighting, key: bytes, left: int) -> int:
    """Mutated frames on one link until the lock ends it, at most `left`; how many were written."""
    sent = 0
    try:
        async with connect(lock, key) as link:
            while sent < left:
                raw, _ = mutants.request((key, key, crypto.DEFAULT_KEY))
                if not raw:
                    continue
                await link.channel.write(raw, random.choice((1, 7, 20, 20, 20)))
                await asyncio.sleep(_PACE_S)  # the lock has looked at it, and has hung up if it was the third
                sent += 1
    except _GONE:
        pass  # as it should be, after three of them
    return sent


class Flood:
    """Answers every request with a burst of mutated answers, the right one somewhere among them or missing."""

    def __init__(self, key: bytes, burst: int) -> None:
        self._key = key
        self._burst = burst
        self.frames = 0

    def __call__(self, request: frame.Frame) -> list[bytes]:
        answers = []
        for _ in range(self._burst):
            command = random.choice((request.command, opcodes.STATUS, opcodes.LOG, random.randrange(256)))
            plain = common.success(command, mutants.noise(random.randrange(20)))
            raw = frame.encode(opcodes.ANSWER, crypto.encrypt(self._key, mutants.mutate(plain, 200)), 2)
            answers.append(mutants.mutate(raw) if random.getrandbits(1) else raw)
        self.frames += len(answers)
        return [raw for raw in answers if raw]


async def garbage_to_the_lock(bench: Bench, entry: Entry, row: Row) -> None:
    """Mutated frames until the lock has had enough of them, then a right client."""
    key = bytes.fromhex(entry.aes)
    lock = await found(entry)
    before = len(bench.lock.movements)
    wanted = row.count(12, 300)
    links = sent = 0
    while sent < wanted:
        sent += await throw(lock, key if links % 2 else bytes(16), wanted - sent)
        links += 1
    row.tried(sent)
    row.figure("links", links)
    row.check(len(bench.lock.movements) == before, "the bolt moved")
    row.check(not bench.lock.crashes, "the lock crashed: %s" % bench.lock.crashes)
    async with connect(lock, key) as link:
        began = time.monotonic()
        status = session_client.status(await link.exchange(opcodes.STATUS, session_client.status_request()))
        row.figure("served_s", round(time.monotonic() - began, 2))
        row.check(status[1] == 0, "valid traffic is not served")  # within the six seconds that an exchange is given
        challenge = session_client.challenge(await link.exchange(opcodes.CHECK_USER, session_client.check_user()))
        await link.exchange(opcodes.UNLOCK, session_client.operate(challenge, entry.unlock_key, 1))
    row.check(len(bench.lock.movements) == before + 1, "a right unlock does not move the bolt")


async def flood_to_the_gateway(bench: Bench, entry: Entry, row: Row) -> None:
    """Somebody in the lock's place, then the lock again."""
    await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
    await bench.until_linkless()
    await bench.lock.kill()
    flood = Flood(bytes.fromhex(entry.aes), 20)
    wanted = row.count(20, 1500)
    async with Impostor(bench.site.radio.air, entry.mac, flood):
        while flood.frames < wanted:
            await bench.ask(random.choice(("state", "lock", "autolock_get")))
    row.tried(flood.frames)
    row.figure("flood", flood.frames)
    await bench.lock.start()
    await bench.lock.wait_line("lock started")
    before = len(bench.lock.movements)
    deadline = time.monotonic() + HANG_S
    while not (said := await bench.ask("unlock"))["ok"] and time.monotonic() < deadline:
        pass
    row.check(said["ok"] and len(bench.lock.movements) == before + 1, "the real lock is not served: %s" % said)
    row.check(not bench.gateway.crashes, "the gateway crashed: %s" % bench.gateway.crashes)


@pytest.mark.row(
    "R-13-air", "mutated frames over the air to a lock board, floods to a gateway board; then valid traffic"
)
def test_garbage_over_the_air_moves_and_breaks_nothing(row: Row, tmp_path: Path) -> None:
    async def story() -> None:
        random.seed(row.seed)
        async with Bench(tmp_path, seed=row.seed, gateway_settings={"expiry_s": 4}) as bench:
            entry = await bench.adopt()
            await bench.until_linkless()
            await garbage_to_the_lock(bench, entry, row)
            await flood_to_the_gateway(bench, entry, row)

    asyncio.run(story())


class Guesser:
    """Somebody with the link's key and without the unlock key, beside a lock board."""

    def __init__(self, lock: sightings.Sighting, entry: Entry) -> None:
        self.lock = lock
        self.entry = entry
        self.evaluated = 0

    async def guess(self, link: LockLink, unlock_key: int) -> bool:
        """True if the answer was looked at."""
        challenge = session_client.challenge(await link.exchange(opcodes.CHECK_USER, session_client.check_user()))
        try:
            await link.exchange(opcodes.UNLOCK, session_client.operate(challenge, unlock_key, 1))
        except AuthError as err:
            return err.ble == _WRONG_SUM
        return True

    async def until_refused(self) -> bool:
        """Wrong sums on one link as fast as it allows, then a right one: True if that was not looked at either."""
        async with connect(self.lock, bytes.fromhex(self.entry.aes)) as link:
            while await self.guess(link, random.randint(1, 0x7FFFFFFF)):
                self.evaluated += 1
            return not await self.guess(link, self.entry.unlock_key)


@pytest.mark.row("T-BRF-1-air", "wrong sums over the air, the site leaping from pause to pause")
def test_guesses_over_the_air_are_bounded(row: Row, tmp_path: Path) -> None:
    async def story() -> None:
        async with Bench(tmp_path, seed=row.seed, gateways=0) as bench:
            entry = await bench.pair()
            await bench.until_linkless()
            guesser = Guesser(await found(entry), entry)
            before = len(bench.lock.movements)
            span_s = row.count(600, _DAY_S)
            pauses = [60, 120, 240, 480, 960, 1920]
            passed_s = 0
            while passed_s < span_s:
                row.check(await guesser.until_refused(), "a right answer was looked at in a pause")
                row.check(len(bench.lock.movements) == before, "the bolt moved")
                await bench.until_linkless()
                leap_s = pauses.pop(0) if pauses else 3600
                await bench.site.leap(leap_s)
                passed_s += leap_s
            allowed = 5 + 6 + 24 if span_s == _DAY_S else 5 + 4
            row.check(5 <= guesser.evaluated <= allowed, "%d guesses evaluated in %d s" % (guesser.evaluated, passed_s))
            row.figure("evaluated", guesser.evaluated)
            row.figure("in_s", passed_s)
            await bench.lock.panel({"do": "keys", "digits": entry.admin_passcode + "#"})
            await bench.until(lambda: bench.lock.bolt == "unlocked", "the keypad works")
            row.check(not bench.lock.crashes, "the lock crashed: %s" % bench.lock.crashes)

    asyncio.run(story())
