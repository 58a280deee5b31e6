"""What boards go through while their heap is measured: one site on 32-bit interpreters, stores full, step by step.

Story `use`: a gateway that knows 15 locks starts, gets a sixteenth whose stores are full (250 passcodes, 500 records),
imports its keys, unlocks and locks it, adds to and lists its passcodes, and uploads its records. Story `pair`: a
factory-fresh lock is paired and logged in to. The other 15 locks are known and not on the air.
"""

import ast
import asyncio
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import full_stores
from bench.images import build_image, put_nvs
from host_tools.boards import fetch32, stage
from host_tools.owner.keybook import Entry
from host_tools.sim.board import flash_image
from host_tools.sim.board.board import Board
from host_tools.sim.board.interpreter import command
from host_tools.sim.site import owner
from tests.system.bench import Bench

STANDIN = stage.ROOT / "host_tools" / "sim" / "standin"
PROBE = Path(__file__).parent / "programs" / "probe.py"
BARE = Path(__file__).parent / "programs" / "bare.py"
KNOWN = 15
RATES = {"other_per_min": 60}  # more takes a larger table of ids
UNREAD = 120  # of 500: the upload goes on long enough to reach its steady state
STORIES = (("use", "gateway"), ("use", "lock"), ("pair", "lock"))
SIMULATED = ("time", "bluetooth", "machine", "esp32", "network")
BUILDS = ("stock", "frozen")
NAME_BYTES = 7  # pointer, hash, length
_FIRST_POOL = 20
_POOL_HEAD = 32
_PLENTY = "1000k"  # and not so large that main.py takes it for PSRAM
_LOOKS = 3
_BETWEEN_LOOKS_S = 0.2
_STORY_S = 90
_BROKEN = re.compile(r"MemoryError|memory allocation failed|Traceback|Unhandled exception")


@dataclass
class Mark:
    """Bytes alive after a step, the most that was alive while the board waited during it (mode `peak`), and how many
    names (qstr) the interpreter had.
    """

    alive: int
    peak: int
    names: int


@dataclass
class Share:
    """What the simulator takes of a heap: bytes alive without firmware, of them a table for so many names."""

    alive: int
    names: int

    def without_firmware(self, names: int) -> int:
        """Its bytes on a board with `names` names in all. The table of names doubles when it is full. The simulator
        brings hundreds that a board has in flash, so the firmware is charged for its own names and for no empty room.
        """
        return self.alive - name_table(self.names) + name_table(names) - NAME_BYTES * (names - self.names)


def name_table(names: int) -> int:
    """Bytes of MicroPython's table for so many names: pools of 20, 40, 80, ... entries (py/qstr.c)."""
    total, size = 0, _FIRST_POOL
    while names > 0:
        total += NAME_BYTES * size + _POOL_HEAD
        names -= size
        size *= 2
    return total


@dataclass
class Run:
    """What came of one story. `marks`: role -> step -> Mark. `failed`: the step that did not succeed and why, or ""."""

    marks: dict[str, dict[str, Mark]]
    failed: str = ""


class Broken(Exception):
    """The measured board has run out of memory or started again."""


@contextmanager
def on_32_bits(build: str) -> Iterator[None]:
    """Boards run on the 32-bit port of `build`, with the stand-in for aioble, so that figures compare between machines.

    For `stock`: `.mpy` files on littlefs. For `frozen`: the port that `make frozen` builds.
    """
    kept = {name: os.environ.get(name) for name in ("GATEHOUSE_BUILD", "GATEHOUSE_MICROPYTHON", "GATEHOUSE_AIOBLE")}
    os.environ["GATEHOUSE_BUILD"] = build
    os.environ["GATEHOUSE_MICROPYTHON"] = str(fetch32.find32())
    os.environ.setdefault("GATEHOUSE_AIOBLE", str(STANDIN))
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


async def ask(board: Board, label: str) -> Mark:
    """Let the probe on `board` tell what lies on its heap."""
    board.post("heap", label)
    _, _, alive, peak = (await board.wait_line(r"^\*heap\* %s " % label, 20)).split()
    told = next(line for line in reversed(board.lines) if line.startswith("qstr pool:"))
    found = re.search(r"n_qstr=(\d+)", told)
    assert found, told
    return Mark(int(alive), int(peak), int(found[1]))


class Story:
    """One run. `heaps`: role -> size as -X takes it, or "" for plenty; the boards named there are measured."""

    def __init__(self, story: str, build: str, heaps: dict[str, str], mode: str = "") -> None:
        self.story = story
        self.build = build
        self.heaps = heaps
        self.mode = mode
        self.run = Run({role: {} for role in heaps})
        self._step = "start"

    async def play(self) -> Run:
        """Never raises for what the measured boards do: `Run.failed` tells."""
        with tempfile.TemporaryDirectory(prefix="gatehouse-heap-") as name, on_32_bits(self.build):
            self._folder = Path(name)
            gateways = 0 if self.story == "pair" else 1
            async with Bench(
                self._folder / "bench", gateways=gateways, locks=1, seed=1, gateway_settings=RATES
            ) as self._bench:
                await self._prepare()
                telling = asyncio.create_task(self._tell())
                watching = asyncio.create_task(self._watch())
                done, _ = await asyncio.wait((telling, watching), timeout=_STORY_S, return_when=asyncio.FIRST_COMPLETED)
                problem = next((task.exception() for task in done), TimeoutError("not within %d s" % _STORY_S))
                if problem is not None:
                    self.run.failed = "%s: %s" % (self._step, str(problem) or type(problem).__name__)
                for task in (telling, watching):
                    task.cancel()
                await asyncio.gather(telling, watching, return_exceptions=True)
        return self.run

    @property
    def _measured(self) -> list[Board]:
        return [board for board in self._bench.site.boards if board.role in self.heaps]

    async def _prepare(self) -> None:
        """Give the boards their flash, and the measured ones their limits."""
        bench = self._bench
        for board in bench.site.boards:
            await board.kill()
        for board in self._measured:
            board.spec.env.update({"SIM_PROBE": str(PROBE)} | ({"PROBE_MODE": self.mode} if self.mode else {}))
            board.spec.heapsize = self.heaps[board.role] or _PLENTY
        if self.story == "use":
            full = full_stores.full_lock(self._folder / "full", UNREAD)
            await put_nvs(bench.lock, full.nvs, self._folder / "nvs")
            self._entry = Entry(bench.lock.mac, "Front door", full.aes.hex(), full.admin_ps, full.unlock_key)
            self._write(bench.lock, full.files)
            owner_key = next(bytes.fromhex(pin.key) for pin in bench.site.pins() if pin.id == bench.gateway.id)
            known = full_stores.known_locks(self._folder / "known", KNOWN, owner_key)
            await put_nvs(bench.gateway, known.nvs, self._folder / "nvs")
            self._write(bench.gateway, known.files)
        else:
            self._write(bench.lock, {})
        for board in reversed(bench.site.boards):
            await board.start()

    def _write(self, board: Board, files: dict[str, bytes]) -> None:
        settings = {"/data/settings.json": flash_image.as_json(board.spec.settings)}
        build_image(board, self._folder / board.role, files | settings)

    async def _watch(self) -> None:
        """Raise Broken as soon as a measured board shows that it is out of memory."""
        starts = {board.name: board.starts for board in self._measured}
        while True:
            for board in self._measured:
                for line in board.lines:
                    if _BROKEN.search(line):
                        raise Broken("%s: %s" % (board.role, line))
                if board.starts != starts[board.name]:
                    raise Broken("%s: it started again" % board.role)
            await asyncio.sleep(0.05)

    async def _mark(self, step: str) -> None:
        """The step named before is over: ask the boards what is alive. What is still on its way out is not counted: of
        a few looks the smallest figure is kept.
        """
        for board in self._measured:
            looks = []
            for number in range(_LOOKS):
                looks.append(await ask(board, "%s-%d" % (step, number)))
                await asyncio.sleep(_BETWEEN_LOOKS_S)
            alive, peak = min(each.alive for each in looks), max(each.peak for each in looks)
            self.run.marks[board.role][step] = Mark(alive, peak, max(each.names for each in looks))

    async def _do(self, step: str, doing) -> None:
        self._step = step
        await doing
        await self._mark(step)

    async def _tell(self) -> None:
        bench = self._bench
        await self._do("boot", self._boot())
        if self.story == "pair":
            await self._do("pair", self._pair())
            await self._do("log_in", self._log_in())
            return
        await self._do("import", owner.hand_over(bench.site, bench.gateway, self._entry))
        await self._do("unlock", self._ask("unlock"))
        await self._do("lock", self._ask("lock"))
        await self._do("passcode_list", self._ask("passcode_list"))
        await self._do("passcode_add", self._change_passcodes())
        await self._do("records", self._upload())

    async def _boot(self) -> None:
        await self._bench.lock.wait_line(r"lock started", 20)
        for gateway in self._bench.site.gateways:
            await gateway.wait_line(r"mqtt connected", 20)
            await gateway.wait_line("clock synced", 20)  # what that takes in passing is not of this step

    async def _ask(self, op: str, args: dict | None = None, code: str = "ok") -> None:
        result = await self._bench.ask(op, args)
        assert result["code"] == code, "%s: %s" % (op, result)

    async def _change_passcodes(self) -> None:
        await self._ask("passcode_add", {"code": "864209"}, code="refused")  # full, and says so
        await self._ask("passcode_delete", {"code": "100000"})
        await self._ask("passcode_add", {"code": "864209"})

    async def _upload(self) -> None:
        bench = self._bench
        await bench.until(lambda: len({item["rec"] for item in bench.records()}) >= UNREAD, "all records", 45)

    async def _pair(self) -> None:
        self._entry = await self._bench.pair()

    async def _log_in(self) -> None:
        async with self._bench.beside(self._entry):
            pass


async def simulators_share(role: str, build: str) -> Share:
    """What is alive on a board of `role` that runs no firmware, without asyncio and what every interpreter has."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-heap-") as name, on_32_bits(build):
        folder = Path(name)
        async with Bench(folder / "bench", gateways=1, locks=1, seed=1, gateway_settings=RATES) as bench:
            board = bench.gateway if role == "gateway" else bench.lock
            await board.kill()
            board.spec.env["SIM_PROBE"] = str(PROBE)
            build_image(board, folder / "image", {}, BARE)
            await board.start()
            await board.wait_line("bare started", 10)
            mark = await ask(board, "bare")
            return Share(mark.alive - await _plain(), mark.names)


def import_order(role: str) -> list[str]:
    """Modules of `role`, each behind those that it imports at its top; the libraries first."""
    order: list[str] = [*SIMULATED, "asyncio.stream"]
    order += ["umqtt.simple"] * (role == "gateway")
    order += ["aioble", "aioble.peripheral", "aioble.server"] * (role == "lock")
    paths = stage.modules(role)
    names = {".".join(path.relative_to(stage.ROOT).with_suffix("").parts): path for path in paths}

    def visit(name: str) -> None:
        if name in order or name not in names:
            return
        for node in ast.parse(names[name].read_text()).body:
            if isinstance(node, ast.ImportFrom):
                for each in (node.module or "", *("%s.%s" % (node.module, alias.name) for alias in node.names)):
                    visit(each)
        order.append(name)

    for name in sorted(names, key=lambda name: (names[name].name != "app.py", name)):
        if not name.endswith("__init__"):
            visit(name)
    return order


async def module_sizes(role: str) -> dict[str, int]:
    """Bytes that each module of `role` takes on the heap once it is imported, without those that it imports."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-heap-") as name, on_32_bits("stock"):
        folder = Path(name)
        async with Bench(folder / "bench", gateways=1, locks=1, seed=1, gateway_settings=RATES) as bench:
            board = bench.gateway if role == "gateway" else bench.lock
            await board.kill()
            board.spec.env.update({"SIM_PROBE": str(PROBE), "PROBE_IMPORT": " ".join(import_order(role))})
            build_image(board, folder / "image", {})
            await board.start()
            await board.wait_line(r"^\*imported\*", 20)
            told = [line.split() for line in board.lines if line.startswith("*import* ")]
    return {name: int(size) for _, name, size in told}


async def _plain() -> int:
    program = "import gc, asyncio\nasync def f(): pass\nasyncio.run(f())\ngc.collect()\nprint(gc.mem_alloc())"
    process = await asyncio.create_subprocess_exec(
        *command(None, "-c", program), stdout=asyncio.subprocess.PIPE, cwd="/"
    )
    told, _ = await process.communicate()
    return int(told)
