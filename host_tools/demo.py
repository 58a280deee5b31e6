"""`make demo`: starts a site and shows the main job on it, step by step. A step counts only when a witness saw it.

Real in it: both firmware images on MicroPython, the radio protocol, broker and MQTT. The witnesses: the mechanics
around each lock's board (they know pins, not firmware), what the lock shows on its panel, what arrives on MQTT.
The broker is mosquitto where that is installed, with TLS, certificates and access rules as `gatehouse broker init`
makes them; else the embedded one, with TLS and logins; without TLS only where this computer's MicroPython has none.
"""

import argparse
import asyncio
import contextlib
import os
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from firmware.lib import mqtt_packet, opcodes
from firmware.lib.errors import FirmwareError
from firmware.lib.messages import session_client
from host_tools.errors import HostError
from host_tools.gateway import brokers, tls
from host_tools.gateway import client as gateway_client
from host_tools.gateway.records_batch import read_batch
from host_tools.near import pairing, sightings
from host_tools.near.lock_link import connect
from host_tools.owner import codes
from host_tools.owner.keybook import Entry, KeyBook
from host_tools.screen import Screen, Table, out, styled
from host_tools.sim.ble import bleak_air
from host_tools.sim.board.board import Board
from host_tools.sim.board.interpreter import SimError
from host_tools.sim.site import owner
from host_tools.sim.site.broker import find_mosquitto
from host_tools.sim.site.house import HUB, has_tls
from host_tools.sim.site.site import Site, SiteSpec

JAM = "GATEHOUSE_DEMO_JAM"
_NAMES = ("Front door", "Back door")
_AUTO_LOCK_S = 2
_WRONG_BY_S = 600
_REFUSAL_S = 30
_CONNACK = b"\x20"
_OPENINGS = 3  # while the broker is away
_SPEC = SiteSpec(gateways=1, locks=2, profile="home")
_RECORD_PASSCODE, _RECORD_WRONG = 4, 7


def spec_of(kind: str = "") -> SiteSpec:
    """The site of the demo, with this broker, or with the best that there is."""
    is_secure = has_tls()
    best = "mosquitto" if is_secure and find_mosquitto() else "iotcore"
    return replace(_SPEC, broker=kind or best, secure=is_secure)


class NotTrue(Exception):
    """A step did not happen; the text says what was seen instead."""


class Story:
    """Prints the steps as they happen and keeps them for the closing table."""

    def __init__(self, console: Screen) -> None:
        self.console = console
        self.rows: list[tuple[str, str, float]] = []
        self._evidence: list[str] = []

    def saw(self, what: str) -> None:
        """Note what proves the present step."""
        self._evidence.append(what)

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """One step; whatever goes wrong in it becomes NotTrue."""
        self._evidence = []
        began_s = time.monotonic()
        try:
            with self.console.status(what):
                yield
        except (HostError, SimError, FirmwareError, NotTrue, TimeoutError, OSError) as err:
            text = err.line() if isinstance(err, HostError) else str(err) or type(err).__name__
            self.console.print(styled(("✗ ", "bold red"), what))
            self.console.print(styled(("    " + text, "red")))
            raise NotTrue("%s: %s" % (what, text))
        took_s = time.monotonic() - began_s
        proof = "; ".join(self._evidence)
        self.rows.append((what, proof, took_s))
        self.console.print(styled(("✓ ", "bold green"), "%-58s " % what, ("%6.2f s" % took_s, "dim")))
        self.console.print(styled(("    " + proof, "dim")))


def require(is_so: object, otherwise: str) -> None:
    """NotTrue unless it is so."""
    if not is_so:
        raise NotTrue(otherwise)


async def until(is_so: Callable[[], bool], within_s: float, otherwise: str) -> None:
    """Wait for something that is seen from outside."""
    deadline_s = time.monotonic() + within_s
    while not is_so():
        require(time.monotonic() < deadline_s, "%s (waited %g s)" % (otherwise, within_s))
        await asyncio.sleep(0.02)


class Witness:
    """What arrives on the record topics, acknowledged as a controller does; survives the broker's restart."""

    def __init__(self) -> None:
        self.seen: dict[str, list[tuple[int, int, int]]] = {}  # lock -> (epoch, record, type), each arrival
        self.lost = 0
        self.unproven = 0  # batches without the gateway's mac
        self._tasks: set[asyncio.Task] = set()

    async def attach(self, gateways: gateway_client.Gateways) -> None:
        """Listen on this connection."""

        def receive(gateway: str, lock: str, _leaf: str, text: str) -> None:
            if not gateways.proven(gateway, lock, text):
                self.unproven += 1
                return
            batch = read_batch(text)
            self.lost += batch.gap
            for item in batch.items:
                self.seen.setdefault(lock, []).append((batch.epoch, item["rec"], item["type"]))
            task = asyncio.ensure_future(gateways.acknowledge(gateway, lock, batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        await gateways.watch(("records",), receive)

    def count(self, lock: str) -> int:
        """Different records of a lock that have arrived."""
        return len(set(self.seen.get(lock, ())))

    def repeats(self, lock: str) -> int:
        """Arrivals beyond the first of each record."""
        return len(self.seen.get(lock, ())) - self.count(lock)

    def of_type(self, lock: str, kind: int) -> int:
        """Different records of one type."""
        return sum(1 for _, _, each in set(self.seen.get(lock, ())) if each == kind)


class Demo:
    """The story. One instance tells it once."""

    def __init__(self, site: Site, story: Story, book: KeyBook) -> None:
        self.site = site
        self.story = story
        self.book = book
        self.entries: list[Entry] = []
        self.witness = Witness()
        self.code = codes.random_code(6)
        self.gateway = site.gateways[0].id

    @contextlib.asynccontextmanager
    async def _broker(self):
        async with owner.connect(self.site) as gateways:
            await self.witness.attach(gateways)
            yield gateways

    async def tell(self) -> None:
        """All steps; NotTrue at the first that did not happen."""
        for place, lock in enumerate(self.site.locks):
            await self._pair(lock, _NAMES[place])
        async with self._broker() as gateways:
            with self.story.step("The gateway comes online at the broker"):
                await gateways.choose(self.gateway, wait_s=30)
                self.story.saw("retained status online, its X25519 key is the one of its console")
            for entry in self.entries:
                await self._hand_over(gateways, entry)
            await self._strangers()
            await self._auto_lock(gateways)
            await self._unlock(gateways)
            await self._passcode(gateways)
            await self._clock(gateways)
            await self._all_arrived("The records of the day so far arrive", {})
        await self._broker_away()

    async def _panel(self, lock: Board, request: dict) -> dict:
        reply = await lock.panel(request)
        fault = reply.get("error") or (None if reply.get("ok", True) else reply.get("code"))
        require(not fault, "the panel of %s answered %s" % (lock.name, fault))
        return reply

    async def _pair(self, lock: Board, name: str) -> None:
        with self.story.step("Owner pairs with %s (%s), remote unlock on" % (name, lock.mac)):
            await self._panel(lock, {"do": "touch"})
            sighting = await sightings.scan(lambda each: each.mac == lock.mac and each.advert.settable, 20)
            require(sighting, "the touched lock did not advertise that it can be paired")
            assert sighting
            outcome = await pairing.pair(sighting, self.book, name, allow_remote=True)
            shown = await self._panel(lock, {"do": "state"})
            require(shown.get("paired"), "the lock itself does not say that it is paired")
            require(outcome.remote_unlock, "the remote-unlock switch is not on (%s)" % "; ".join(outcome.notes))
            self.entries.append(outcome.entry)
            self.story.saw("the lock says paired, model %s; keys in the key book" % outcome.entry.model)

    async def _hand_over(self, gateways: gateway_client.Gateways, entry: Entry) -> None:
        with self.story.step("Its keys are handed to the gateway, sealed: %s" % entry.name):
            result = await gateways.hand_over(self.gateway, entry)

            def known() -> bool:
                return entry.id in [
                    str(each.get("mac")).replace(":", "") for each in gateways.info[self.gateway].get("locks", [])
                ]

            await until(known, 10, "the gateway does not list the lock")
            self.story.saw("result ok after %s ms, listed in the gateway's info" % result.get("ms"))

    async def _auto_lock(self, gateways: gateway_client.Gateways) -> None:
        lock, entry = self.site.locks[0], self.entries[0]
        with self.story.step("MQTT sets auto-lock of %s to %d s" % (entry.name, _AUTO_LOCK_S)):
            await gateways.command(self.gateway, entry.id, "autolock_set", {"seconds": _AUTO_LOCK_S})
            shown = await self._panel(lock, {"do": "state"})
            require(shown.get("autolock_s") == _AUTO_LOCK_S, "the lock has %s s" % shown.get("autolock_s"))
            self.story.saw("the lock shows %d s" % _AUTO_LOCK_S)

    async def _unlock(self, gateways: gateway_client.Gateways) -> None:
        lock, entry = self.site.locks[0], self.entries[0]
        with self.story.step("MQTT UNLOCK opens %s" % entry.name):
            require(lock.bolt == "locked", "the bolt is %s before the command" % lock.bolt)
            before = len(lock.movements)
            result = await gateways.command(self.gateway, entry.id, "unlock")
            self._moved_once(lock, before)
            self.story.saw("signed; bolt moved exactly once, locked to unlocked; result in %s ms" % result.get("ms"))
        await self._locks_again(lock, entry)
        with self.story.step("MQTT UNLOCK without a signature is refused"):
            await self._unsigned(entry)
            require(len(lock.movements) == before + 2, "the bolt moved")
            self.story.saw("code forbidden; the bolt did not move")

    async def _unsigned(self, entry: Entry) -> None:
        """Somebody whom the broker knows, and the gateway does not: a hub without a key."""
        async with gateway_client.connect(self.site.at_broker(HUB)) as hub:
            try:
                await hub.command(await hub.choose(self.gateway), entry.id, "unlock")
            except HostError as error:
                require(error.code == "forbidden", "the answer was %s" % error.line())
                return
        raise NotTrue("the gateway did it")

    async def _strangers(self) -> None:
        """Who has no identity at the broker, and who comes without TLS."""
        house = self.site.broker.house
        if house is None:
            return
        with self.story.step("Who has no identity at the broker is not let in"):
            plain = brokers.Broker(self.site.mqtt_host, self.site.mqtt_port, None)
            for what, broker in (("without an identity", house.stranger()), ("without TLS", plain)):
                answer = await asyncio.to_thread(_greeting, broker)
                require(answer[:1] != _CONNACK, "the broker answers %s" % what)
            self.story.saw("a CONNECT without an identity, and one without TLS: no word of MQTT came back")

    def _moved_once(self, lock: Board, before: int) -> None:
        moves = [(each.before, each.after) for each in lock.movements[before:]]
        require(moves, "the bolt did not move")
        require(moves == [("locked", "unlocked")], "the bolt moved otherwise than once: %s" % moves)

    async def _locks_again(self, lock: Board, entry: Entry) -> None:
        with self.story.step("%s locks itself" % entry.name):
            await until(lambda: lock.bolt == "locked", _AUTO_LOCK_S + 8, "the bolt stays %s" % lock.bolt)
            self.story.saw("the bolt is out again")

    async def _type(self, lock: Board, digits: str) -> None:
        await self._panel(lock, {"do": "keys", "digits": digits + "#"})

    async def _opens_by_code(self, lock: Board) -> None:
        before = len(lock.movements)
        await self._type(lock, self.code)
        await until(lambda: lock.bolt == "unlocked", 5, "the code did not open: the bolt is %s" % lock.bolt)
        self._moved_once(lock, before)

    async def _passcode(self, gateways: gateway_client.Gateways) -> None:
        lock, entry = self.site.locks[0], self.entries[0]
        with self.story.step("Somebody types a code that %s does not know" % entry.name):
            before = len(lock.movements)
            await self._type(lock, self.code)
            await asyncio.sleep(1.5)
            require(len(lock.movements) == before and lock.bolt == "locked", "the bolt moved")
            self.story.saw("the bolt did not move")
        with self.story.step("A passcode is added over MQTT, sealed"):
            args = {"code": self.code, "type": "permanent"}
            result = await gateways.command(self.gateway, entry.id, "passcode_add", args, secret=True)
            self.story.saw("result ok after %s ms" % result.get("ms"))
        with self.story.step("The same code, typed at the keypad, opens"):
            await self._opens_by_code(lock)
            self.story.saw("bolt moved exactly once, locked to unlocked")
        await self._locks_again(lock, entry)

    async def _clock_error(self, lock: Board, entry: Entry) -> float:
        """Seconds by which the lock's clock, as it shows it, is ahead."""
        shown = await self._panel(lock, {"do": "state"})
        here = datetime(*pairing.local_date6(entry.zone_rule))
        return (datetime.fromisoformat(shown["clock"]) - here).total_seconds()

    async def _clock(self, gateways: gateway_client.Gateways) -> None:
        lock, entry = self.site.locks[1], self.entries[1]
        with self.story.step("Its owner sets the clock of %s ten minutes wrong" % entry.name):
            sighting = await sightings.scan(lambda each: each.mac == lock.mac, 20)
            require(sighting, "the lock was not heard")
            assert sighting
            async with connect(sighting, bytes.fromhex(entry.aes)) as link:
                await link.login(entry.admin_ps, entry.unlock_key)
                wrong = pairing.local_date6(entry.zone_rule, time.time() + _WRONG_BY_S)
                await link.exchange(opcodes.SET_CLOCK, session_client.set_clock(wrong))
            ahead_s = await self._clock_error(lock, entry)
            require(abs(ahead_s - _WRONG_BY_S) <= 3, "the lock's clock is %+.0f s" % ahead_s)
            self.story.saw("the lock shows a time %+.0f s off" % ahead_s)
        with self.story.step("MQTT time_sync sets it right"):
            result = await gateways.command(self.gateway, entry.id, "time_sync")
            ahead_s = await self._clock_error(lock, entry)
            require(abs(ahead_s) <= 3, "the lock's clock is still %+.0f s off" % ahead_s)
            self.story.saw("the lock shows a time %+.0f s off; result in %s ms" % (ahead_s, result.get("ms")))

    async def _all_arrived(self, what: str, more: dict[int, int]) -> None:
        """Every record that the locks hold has arrived, each once. `more`: type -> how many of the first lock's."""
        with self.story.step(what):
            for lock, entry in zip(self.site.locks, self.entries, strict=True):
                await self._arrived(lock, entry)
            first = self.entries[0].id
            for kind, count in more.items():
                arrived = self.witness.of_type(first, kind)
                require(arrived == count, "%d records of type %d arrived, not %d" % (arrived, kind, count))
            require(not self.witness.unproven, "%d batches without a mac" % self.witness.unproven)
            require(not self.witness.lost, "the gateway reports %d lost records" % self.witness.lost)

    async def _arrived(self, lock: Board, entry: Entry) -> None:
        held = (await self._panel(lock, {"do": "state"}))["records"]
        await until(
            lambda: self.witness.count(entry.id) >= held,
            60,
            "%s holds %d records, %d arrived" % (entry.name, held, self.witness.count(entry.id)),
        )
        await asyncio.sleep(1)  # time for one too many
        held = (await self._panel(lock, {"do": "state"}))["records"]
        came, again = self.witness.count(entry.id), self.witness.repeats(entry.id)
        require(came == held, "%s holds %d records, %d arrived" % (entry.name, held, came))
        require(not again, "%d records of %s arrived twice" % (again, entry.name))
        self.story.saw("%s: %d of %d, none twice, all proven by their mac" % (entry.name, came, held))

    async def _broker_away(self) -> None:
        lock, entry = self.site.locks[0], self.entries[0]
        opened = self.witness.of_type(entry.id, _RECORD_PASSCODE)
        with self.story.step("The broker is stopped"):
            await self.site.broker.stop()
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(self.site.mqtt_host, self.site.mqtt_port)
                writer.close()
                raise NotTrue("something still listens on the broker's port")
            self.story.saw("nothing listens on port %d" % self.site.mqtt_port)
        with self.story.step("%s is opened %d times at its keypad meanwhile" % (entry.name, _OPENINGS)):
            for _ in range(_OPENINGS):
                await self._opens_by_code(lock)
                await until(lambda: lock.bolt == "locked", _AUTO_LOCK_S + 8, "the bolt stays %s" % lock.bolt)
            self.story.saw("%d times in and out, by the mechanics" % _OPENINGS)
        with self.story.step("The gateway fetches and keeps these records"):
            fetched = await sightings.scan(lambda each: each.mac == lock.mac and not each.advert.has_records, 60)
            require(fetched, "the lock still advertises unread records")
            require(self.witness.of_type(entry.id, _RECORD_PASSCODE) == opened, "records came without a broker")
            self.story.saw("the lock advertises no unread records; none has arrived anywhere")
        async with contextlib.AsyncExitStack() as stack:
            with self.story.step("The broker is started again, and the gateway returns"):
                await self.site.broker.start()
                gateways = await stack.enter_async_context(self._broker())
                await gateways.choose(self.gateway, wait_s=90)
                self.story.saw("retained status online")
            kinds = {_RECORD_PASSCODE: opened + _OPENINGS, _RECORD_WRONG: 1}
            await self._all_arrived("All records arrive, exactly once each", kinds)


def _greeting(broker: brokers.Broker) -> bytes:
    """All that a broker says to a CONNECT until it closes."""
    plain = socket.create_connection((broker.host, broker.port), _REFUSAL_S)
    with plain:
        try:
            trusted = tls.context(broker.tls) if broker.tls else None
            stream = trusted.wrap_socket(plain, server_hostname=broker.host) if trusted else plain
            stream.sendall(mqtt_packet.encode_connect("gatehouse-nobody", 60))
            return b"".join(iter(lambda: stream.recv(64), b""))
        except TimeoutError:
            raise NotTrue("the broker keeps a stranger waiting")
        except OSError:
            return b""


def closing(story: Story, total_s: float) -> Table:
    """What happened, in one table."""
    table = Table("", "what happened", "seen by", "took", title="A door opens")
    for number, (what, proof, took_s) in enumerate(story.rows, 1):
        table.add_row(str(number), what, proof, "%.2f s" % took_s)
    table.add_section()
    table.add_row("", "%d steps, each of them seen to happen" % len(story.rows), "", "%.1f s" % total_s)
    return table


def hints(site: Site, book: KeyBook, code: str) -> str:
    """What to try while the site stays up."""
    panel = site.describe()["locks"][0]["panel"]
    tool = Path(sys.executable).with_name("gatehouse")
    house = site.broker.house
    where = "_MQTT=%s:%d" % (site.mqtt_host, site.mqtt_port)
    lines = (
        "The site stays up; Ctrl-C ends it. In another terminal:",
        "",
        "  export GATEHOUSE%s" % ("_CONFIG=%s" % house.config() if house else where),
        *(("  unset GATEHOUSE_MQTT",) if house and os.environ.get("GATEHOUSE_MQTT") else ()),
        "  export GATEHOUSE_AIR=%s" % site.air,
        "  export GATEHOUSE_KEYS=%s" % book.path,
        "  export GATEHOUSE_RECORDS=%s" % book.path.with_name("records.db"),
        "  %s monitor" % tool,
        "  %s unlock '%s'" % (tool, _NAMES[0]),
        "  %s records '%s' --follow" % (tool, _NAMES[0]),
        "  %s passcode add '%s' --generate 6" % (tool, _NAMES[1]),
        '  %s sim panel %s \'{"do":"keys","digits":"%s#"}\'' % (tool, panel, code),
    )
    return "\n".join(lines)


async def run(console: Screen, once: bool, jam: bool, kind: str = "") -> int:
    """Tell the story; the exit status."""
    story = Story(console)
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gatehouse-demo-") as folder:
        async with contextlib.AsyncExitStack() as stack:
            try:
                with story.step("A site starts: broker, virtual radio, one gateway, two locks"):
                    site = await stack.enter_async_context(Site(replace(spec_of(kind), folder=Path(folder))))
                    await _listen(site)
                    story.saw("seed %s; MicroPython runs on all three boards" % site.seed)
                    story.saw(site.broker.words)
                    (gateway,) = site.pins()
                    story.saw("gateway %s is its owner's: keys exchanged over its console" % gateway.id)
                book = KeyBook(site.key_book)
                bleak_air.install(site.air)
                if jam:
                    site.locks[0].jam()
                    console.print("  (the bolt of %s has been made to jam)" % _NAMES[0])
                demo = Demo(site, story, book)
                await demo.tell()
            except NotTrue as err:
                console.print(styled(("The demo failed.", "bold red"), " %s" % err))
                return 1
            console.print(closing(story, time.monotonic() - began_s))
            if not once:
                console.lines(hints(site, book, demo.code))
                await asyncio.Event().wait()
    return 0


async def _listen(site: Site) -> None:
    """All boards answer on their consoles."""
    asking: list[Awaitable[dict]] = [board.ask({"do": "hello"}, 30) for board in site.boards]
    for board, reply in zip(site.boards, await asyncio.gather(*asking), strict=True):
        require(reply.get("role") == board.role, "%s says it is %r" % (board.name, reply.get("role")))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m host_tools.demo", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--once", action="store_true", help="end after the story, with status 0 only if it all happened"
    )
    parser.add_argument("--jam", action="store_true", help="make the first lock's bolt jam, to see the demo fail")
    parser.add_argument("--broker", choices=("mosquitto", "iotcore"), default="", help="default: the best there is")
    options = parser.parse_args()
    jam = options.jam or os.environ.get(JAM, "") not in ("", "0")
    try:
        status = asyncio.run(run(out, options.once, jam, options.broker))
    except KeyboardInterrupt:
        status = 130 if options.once else 0
    sys.exit(status)


if __name__ == "__main__":
    main()
