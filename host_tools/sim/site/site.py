"""A simulated site: broker, time server, Wi-Fi, the air, gateways and locks, all started and ended together.

    async with Site(SiteSpec(gateways=1, locks=2)) as site:
        print(site.describe())
        await site.locks[0].panel({"do": "touch"})

Everything listens on 127.0.0.1 and on free ports. Boards' logs and flash images lie in `site.folder`.
"""

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

from host_tools.errors import HostError
from host_tools.gateway import brokers, local_brokers
from host_tools.owner import places
from host_tools.owner.gateways import Gateway
from host_tools.owner.keybook import KeyBook
from host_tools.owner.owning import Owning
from host_tools.sim.air.squatter import Squatter
from host_tools.sim.ble.radio import Radio
from host_tools.sim.board.access_point import AccessPoint
from host_tools.sim.board.board import Board, BoardSpec
from host_tools.sim.board.interpreter import SimError
from host_tools.sim.board.ports import BoardLines, JsonPort
from host_tools.sim.site import actions, house
from host_tools.sim.site.broker import HOST, Broker
from host_tools.sim.site.names import NameServer
from host_tools.sim.site.ntp import NtpServers
from host_tools.sim.site.site_plan import PASSWORD, SSID, SiteSpec, gateway_id
from host_tools.sim.site.timeline import Timeline
from host_tools.sim.site.uplink import Uplink

_LEAP_S = 120.0  # how long a leap waits for its moment
_LOOK_S = 0.01
_AGAIN_S = 10.0  # a board that was asked while it started is asked again
_HANG_S = 120.0  # no answer takes so long, however busy the machine is
_TURNS = 20  # of the event loop, from a packet on the air to the socket of a board


class Site:
    """Async context manager; entering starts everything, leaving ends it."""

    def __init__(self, spec: SiteSpec | None = None) -> None:
        self.spec = spec or SiteSpec()
        self.seed = random.SystemRandom().randrange(1 << 31) if self.spec.seed is None else self.spec.seed
        self.leap_s = 0.0
        self.folder = Path()
        self.gateways: list[Board] = []
        self.locks: list[Board] = []
        self.extra: list[Board] = []  # from `add`
        self.uplinks: list[Uplink] = []
        self.panels: list[JsonPort] = []
        self.wifi = AccessPoint(SSID, PASSWORD, self.seed)
        self.wifi.on_switch = self._wifi_switched
        self.broker = Broker(self.spec.broker, self.spec.broker_keeps, self.spec.secure)
        self.ntp = NtpServers(self.now)
        self.names = NameServer({house.NAME: HOST})
        self.radio = Radio(self.seed, self.spec.profile)
        self.control = JsonPort(lambda request: actions.answer(self, request))
        self.squatters: dict[str, Squatter] = {}  # by the Bluetooth address of their lock
        self.timeline = Timeline(self, self.spec.events)
        self._jobs: set[asyncio.Task] = set()
        self._leaping = asyncio.Lock()
        self._lines = BoardLines(self._by_base)
        self._is_temporary = False

    # --- names for what clients need

    @property
    def mqtt_host(self) -> str:
        """Where the broker listens."""
        return self.broker.host

    @property
    def mqtt_port(self) -> int:
        """Where the broker listens to whoever is no gateway."""
        return self.broker.tools_port

    def at_broker(self, name: str = house.OWNER) -> str | brokers.Broker:
        """The broker as `client.connect` takes it; `name`: as whom, where the broker is secure."""
        secure = self.broker.house
        return secure.broker(name) if secure else "%s:%d" % (self.mqtt_host, self.mqtt_port)

    @property
    def boards(self) -> list[Board]:
        """Gateways, then locks, then those of `add`."""
        return self.gateways + self.locks + self.extra

    @property
    def air(self) -> str:
        """The HCI port as a Bumble transport name, for GATEHOUSE_AIR."""
        return "tcp-client:%s:%d" % (HOST, self.radio.hci_port)

    @property
    def key_book(self) -> Path:
        """The key book of the site's owner, for GATEHOUSE_KEYS."""
        return self.folder / "keys.json"

    @property
    def record_store(self) -> Path:
        """The record store of the site's owner, for GATEHOUSE_RECORDS."""
        return self.folder / "records.db"

    def keys_file(self, lock: Board, kind: str = "virtualkey") -> Path:
        """Where a lock's bundle lies once the site's owner has paired it; `kind`: virtualkey or lockdata."""
        return self.folder / ("%s-%s.json" % (lock.id, kind))

    def now(self) -> float:
        """The site's Unix time: real time plus all leaps."""
        return time.time() + self.leap_s

    def board(self, name: str) -> Board:
        """A board by name, Bluetooth address or id. Raises SimError."""
        for board in self.boards:
            if name.lower() in (board.name.lower(), board.mac, board.id):
                return board
        raise SimError("no board %r; there are: %s" % (name, ", ".join(board.name for board in self.boards)))

    def add(self, spec: BoardSpec) -> Board:
        """One more board, without power yet; `Board.start` gives it. Its flash image may be put in place before."""
        board = self._make(spec, len(self.boards))
        self.extra.append(board)
        return board

    def describe(self) -> dict:
        """How to reach everything (architecture.md, "The simulator")."""
        gateways = [{"id": each.id, "topic": "gatehouse/" + each.id, "console": each.console} for each in self.gateways]
        locks = [
            {
                "mac": lock.mac,
                "name": lock.name,
                "panel": "%s:%d" % (HOST, port.port),
                "console": lock.console,
                "keys": str(self.keys_file(lock)),
                "lockdata": str(self.keys_file(lock, "lockdata")),
            }
            for lock, port in zip(self.locks, self.panels, strict=True)
        ]
        return {
            "mqtt": {
                "host": self.mqtt_host,
                "port": self.mqtt_port,
                **({"config": str(self.broker.house.config())} if self.broker.house else {}),
            },
            "air": {"hci": self.air},
            "gateways": gateways,
            "locks": locks,
            "control": "%s:%d" % (HOST, self.control.port),
            "keybook": str(self.key_book),
            "records": str(self.record_store),
            "logs": str(self.folder),
            "seed": self.seed,
            "unsigned": self.spec.is_unsigned,
        }

    def state(self) -> dict:
        """What goes on, for the control port."""
        boards = [
            {
                "name": each.name,
                "id": each.id,
                "running": each.is_running,
                "starts": each.starts,
                "crashes": each.crashes,
            }
            for each in self.boards
        ]
        timeline = self.timeline
        return {
            "leap_s": self.leap_s,
            "links_up": self.radio.links_up(),
            "wifi": self.wifi.is_up,
            "profile": self.radio.air.profile.name,
            "faults": self.radio.faults.describe(),
            "events": {"done": timeline.done, "failed": timeline.failures, "waiting": len(timeline.waiting)},
            "boards": boards,
        }

    # --- what a test or a story does to it

    async def leap(self, seconds: float, timeout_s: float = _LEAP_S) -> None:
        """Let every board's ticks and clock, and the time server, jump ahead while nothing is under way.

        Waits for its moment: no link is up, none is being established, no bolt moves, and every program has handled
        what it was sent. The air and the boards are held from the look to the leap, so that nothing starts in between.
        Raises SimError if there is no such moment within `timeout_s`. What the programs wait for runs out all the same:
        a broker's keepalive, a request's time.

        Ticks wrap after 12.4 days and compare over half of that, so take several leaps for more than a few days.
        """
        if seconds < 0:
            raise SimError("time does not go back")
        until_s = time.monotonic() + timeout_s
        async with self._leaping:
            while not await self._leap_now(seconds):
                if time.monotonic() > until_s:
                    why = self._busy_with() or "one thing followed the other"
                    raise SimError("no moment for a leap within %g s: %s" % (timeout_s, why))
                await asyncio.sleep(_LOOK_S)

    async def _leap_now(self, seconds: float) -> bool:
        if self._busy_with():
            return False
        self.radio.air.is_held = True
        boards = self.boards
        try:
            for _ in range(_TURNS):  # what the air has said is on its way to the boards then
                await asyncio.sleep(0)
            await asyncio.gather(*(board.hold() for board in boards))
            if self._busy_with():
                return False
            self.leap_s += seconds
            self.radio.air.leap_s = self.leap_s
            local_brokers.mark_leap(self.key_book, self.leap_s)
            await asyncio.gather(*(board.leap(seconds) for board in boards))
            return True
        finally:
            for board in boards:
                board.go()
            self.radio.air.is_held = False

    def _busy_with(self) -> str:
        """What a leap would tear, in words; empty if nothing is under way."""
        moving = ("the bolt of %s moves" % each.name for each in self.boards if each.mechanics.is_moving)
        return self.radio.air.busy_with() or next(moving, "")

    def switch_wifi(self, is_up: bool) -> None:
        """The access point, and with it every gateway's way to the broker."""
        self.wifi.switch(is_up)

    def spawn(self, job: Coroutine) -> asyncio.Task:
        """Run something beside the site; it ends with it."""
        task = asyncio.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task

    def _wifi_switched(self, is_up: bool) -> None:
        self.ntp.is_reachable = self.names.is_reachable = is_up
        for uplink in self.uplinks:
            uplink.switch(is_up)

    def start_events(self, report: Callable[[str], None] = lambda text: None) -> asyncio.Task:
        """Let the events of the description happen, counted from now; `report` hears of those that failed."""
        self.timeline.report = report
        return self.spawn(self.timeline.run())

    # --- start and end

    async def __aenter__(self) -> "Site":
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *exc) -> None:
        await self._stop()

    async def _start(self) -> None:
        if self.spec.folder:
            self.folder = Path(self.spec.folder).absolute()
            self.folder.mkdir(parents=True, exist_ok=True)
        else:
            self.folder = Path(tempfile.mkdtemp(prefix="gatehouse-"))
            self._is_temporary = True
        places.mark_simulated(self.folder)
        secure = None
        if self.broker.is_secure:
            ids = [gateway_id(index) for index in range(self.spec.gateways)]
            secure = await asyncio.to_thread(self.broker.furnish, self.folder / "broker", ids)
        await asyncio.gather(self.broker.start(), self.radio.start(HOST), self._lines.start(HOST))
        await asyncio.gather(self.ntp.start(HOST), self.names.start(HOST))
        for index in range(self.spec.gateways):
            uplink = Uplink(HOST, self.broker.port, self.seed + index)
            await uplink.start()
            self.uplinks.append(uplink)
            gateway = self._make(self.spec.gateway(index, uplink.port, self.ntp.hosts, secure), index)
            self.gateways.append(gateway)
            at = self.spec.gateway_plan(index).at
            if at:
                self.radio.place(gateway.mac, *at)
        for index in range(self.spec.locks):
            lock = self._make(self.spec.lock(index), self.spec.gateways + index)
            self.locks.append(lock)
            self.panels.append(JsonPort(lock.panel))
            await self.panels[-1].start(HOST)
            at = self.spec.lock_plan(index).at
            assert at
            self.radio.place(lock.mac, *at)
            manners = self.spec.manners(index)
            if manners:
                self.radio.air.manners[lock.mac] = manners
        await self.control.start(HOST)
        for role in (self.locks, self.gateways):
            for board in role[:1]:  # makes the role's flash image, which the others copy
                await board.start()
            await asyncio.gather(*(board.start() for board in role[1:]))
        local_brokers.mark_keys(self.mqtt_port, self.key_book)
        if self.spec.provisioned and self.spec.owned:
            for gateway in self.gateways:
                await self.own(gateway)

    async def own(self, gateway: Board, book: Path | None = None) -> Gateway:
        """Make a gateway the site's owner's, as `provision` does over USB -> its entry in the site's key book, or in
        another one. Raises SimError."""
        address = "%s:%d" % (HOST, self.mqtt_port)
        owning = Owning(KeyBook(book or self.key_book), gateway.id, name=gateway.name, broker=address, simulated=True)
        try:
            return owning.settle(await self._asked(gateway, owning.request()))
        except HostError as error:
            raise SimError("%s is not owned: %s" % (gateway.name, error.line()))

    async def _asked(self, board: Board, request: dict) -> dict:
        """The answer of a board that is starting, and may start once more: it is asked again and again."""
        until_s = time.monotonic() + _HANG_S
        while True:
            try:
                return await board.ask(request, _AGAIN_S)
            except SimError:
                if time.monotonic() > until_s:
                    raise
                await asyncio.sleep(_LOOK_S)

    def pins(self) -> list[Gateway]:
        """The gateways in the site's key book, for a connection."""
        return KeyBook(self.key_book).gateways()

    async def _stop(self) -> None:
        local_brokers.unmark_keys(self.mqtt_port)
        for port in (*self.panels, self.control):
            port.stop()
        for job in tuple(self._jobs):
            job.cancel()
        for squatter in self.squatters.values():
            await squatter.stop()
        await self.wifi.close()
        await asyncio.gather(*(board.close() for board in self.boards), return_exceptions=True)
        self._lines.stop()
        for uplink in self.uplinks:
            await uplink.stop()
        await self.radio.stop()
        self.ntp.stop()
        self.names.stop()
        await self.broker.close()
        if self._is_temporary and not self.spec.keep_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _by_base(self, base_mac: str) -> Board | None:
        return next((board for board in self.boards if board.spec.base_mac == base_mac), None)

    def _make(self, spec: BoardSpec, index: int) -> Board:
        board = Board(spec, index, self.folder, lambda: self.leap_s, self.wifi)
        ports = {"SIM_BOARD": self._lines.port, "SIM_RADIO": self.radio.port, "SIM_NAMES": self.names.port}
        board.env = {key: "%s:%d" % (HOST, port) for key, port in ports.items()}
        return board
