"""What the tests of the radio share: an air, boards on it, and boards that a test drives line by line."""

import ast
import asyncio
import atexit
import contextlib
import functools
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from host_tools.boards.stage import find_aioble
from host_tools.sim.ble.radio import Radio
from tests.micropython import ROOT, interpreter, interpreters

HANG_S = 120.0  # no wait takes so long, however busy the machine is
SHIMS = ROOT / "host_tools/sim/shims"
RADIO_SHIMS = ("bluetooth.py", "_whole.py", "_bluetooth_uuid.py", "_bluetooth_values.py", "_air_stream.py")
PROGRAMS = ROOT / "tests/host"
LOCK, GATEWAY = "240ac4000010", "240ac4000020"  # base MACs: the Bluetooth address is 2 above
LOCK_ADDRESS = "24:0a:c4:00:00:12"

(
    CENTRAL_CONNECT,
    CENTRAL_DISCONNECT,
    GATTS_WRITE,
    GATTS_READ_REQUEST,
    SCAN_RESULT,
    SCAN_DONE,
    PERIPHERAL_CONNECT,
    PERIPHERAL_DISCONNECT,
    SERVICE_RESULT,
    SERVICE_DONE,
    CHARACTERISTIC_RESULT,
    CHARACTERISTIC_DONE,
    DESCRIPTOR_RESULT,
    DESCRIPTOR_DONE,
    READ_RESULT,
    READ_DONE,
    WRITE_DONE,
    NOTIFY,
    INDICATE,
    INDICATE_DONE,
    MTU_EXCHANGED,
) = range(1, 22)
CONNECTION_UPDATE, ENCRYPTION_UPDATE, GET_SECRET, SET_SECRET, PASSKEY_ACTION = range(27, 32)

on_every_port = pytest.mark.parametrize(
    "port", interpreters(), ids=lambda path: "32 bits" if "micropython32" in path else "default"
)


@functools.cache
def radio_shims() -> str:
    """A folder with the radio's shims and this run's aioble: these boards have the host's clock, and no site."""
    folder = Path(tempfile.mkdtemp(prefix="gatehouse-shims-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in RADIO_SHIMS:
        (folder / name).symlink_to(SHIMS / name)
    (folder / "aioble").symlink_to(find_aioble(simulator=True))
    return str(folder)


class Board:
    """One MicroPython process on the air."""

    def __init__(self, radio: Radio, mac: str, program: str, *args: str, on: str | None = None) -> None:
        self._command = (on or interpreter(), str(PROGRAMS / program), *args)
        self._env = {
            **os.environ,
            "MICROPYPATH": f".frozen:{radio_shims()}",
            "SIM_RADIO": f"127.0.0.1:{radio.port}",
            "SIM_MAC": mac,
        }
        self._folder = tempfile.TemporaryDirectory(prefix="gatehouse-board-")  # aioble keeps secrets where it stands
        self.lines: list[str] = []

    async def __aenter__(self):
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=self._folder.name,
            env=self._env,
            stdin=pipe,
            stdout=pipe,
            stderr=asyncio.subprocess.STDOUT,
        )
        return self

    async def line(self, word: str, timeout_s: float = HANG_S) -> list[str]:
        """Wait for the line that begins with `word`."""
        async with asyncio.timeout(timeout_s):
            while raw := await self._process.stdout.readline():
                text = raw.decode().strip()
                self.lines.append(text)
                if text.split(" ")[0] == word:
                    return text.split(" ")[1:]
        raise AssertionError(f"no {word!r} in {self.lines}")

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        self._folder.cleanup()

    async def __aexit__(self, *_: object) -> None:
        await self.kill()


class Refused(Exception):
    """The board's call raised OSError(number)."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Remote(Board):
    """A board with `radio_remote.py`: the test is its program. Secrets live in `flash`, over restarts too."""

    def __init__(self, radio: Radio, mac: str, port: str, flash: Path) -> None:
        super().__init__(radio, mac, "radio_remote.py", str(flash), on=port)
        self.events: list[tuple[int, list]] = []  # those that no `event` has taken yet
        self._answers: asyncio.Queue[str] = asyncio.Queue()
        self._changed = asyncio.Event()

    async def __aenter__(self):
        await super().__aenter__()
        await self.line("up")
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reader.cancel()
        await self.kill()

    async def _read(self) -> None:
        while raw := await self._process.stdout.readline():
            text = raw.decode().rstrip()
            self.lines.append(text)
            if text.startswith("E "):
                self.events.append(ast.literal_eval(text[2:]))
                self._changed.set()
            elif text[:2] in ("= ", "! ", "? "):
                self._answers.put_nowait(text)

    async def do(self, line: str):
        """Run one line on the board -> its value. Raises Refused(number), and AssertionError for anything else."""
        self._process.stdin.write(line.encode() + b"\n")
        text = await asyncio.wait_for(self._answers.get(), HANG_S)
        if text.startswith("! "):
            raise Refused(ast.literal_eval(text[2:]))
        assert text.startswith("= "), f"{line}: {text}\n{self.lines[-20:]}"
        return ast.literal_eval(text[2:])

    async def refused(self, line: str) -> int:
        """The OSError number that this line raises; 0 when it raises none."""
        try:
            await self.do(line)
        except Refused as err:
            return err.number
        return 0

    async def fails(self, line: str) -> str:
        """Kind and text of the exception, not an OSError, that this line raises."""
        self._process.stdin.write(line.encode() + b"\n")
        return (await asyncio.wait_for(self._answers.get(), HANG_S))[2:]

    async def event(self, number: int, timeout_s: float = HANG_S) -> list:
        """The arguments of the next event of this kind; earlier ones of other kinds stay."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    for at, (kind, args) in enumerate(self.events):
                        if kind == number:
                            del self.events[at]
                            return args
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"no event {number}; {self.events} {self.lines[-30:]}") from None

    async def order(self, *numbers: int) -> list[int]:
        """Wait for the last of these events -> the order in which all of them came, which takes them away."""
        await self.event(numbers[-1])
        found = [kind for kind, _ in self.events if kind in numbers] + [numbers[-1]]
        self.events = [each for each in self.events if each[0] not in numbers]
        return found

    def count(self, number: int) -> int:
        """How many events of this kind wait."""
        return sum(kind == number for kind, _ in self.events)

    async def scanned(self, seconds: float = 0.4, active: bool = False) -> dict[tuple[int, bytes], set]:
        """Scan -> (address type, address) -> {(PDU type, payload)}."""
        await self.do(f"ble.gap_scan({round(seconds * 1000)}, 30000, 30000, {active})")
        await self.event(SCAN_DONE)
        found: dict[tuple[int, bytes], set] = {}
        for kind, args in self.events:
            if kind == SCAN_RESULT:
                found.setdefault((args[0], args[1]), set()).add((args[2], args[4]))
        self.events = [each for each in self.events if each[0] != SCAN_RESULT]
        return found


@contextlib.asynccontextmanager
async def air(profile: str = "ideal", seed: int = 1):
    """An air in this process."""
    radio = Radio(seed, profile)
    await radio.start()
    try:
        yield radio
    finally:
        await radio.stop()


async def eventually(check, timeout_s: float = HANG_S) -> None:
    """Wait until `check()` holds."""
    async with asyncio.timeout(timeout_s):
        while not check():
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def boards(port: str, folder: Path, count: int = 2, is_on: bool = True, profile: str = "ideal"):
    """`count` driven boards on one air: the first is the peripheral of most tests. Yields the radio and the boards."""
    async with air(profile) as radio, contextlib.AsyncExitStack() as stack:
        made = []
        for number in range(count):
            board = Remote(radio, f"240ac40000{16 + 16 * number:02x}", port, folder / f"flash{number}")
            made.append(await stack.enter_async_context(board))
            if is_on:
                await board.do("ble.active(True)")
                made[-1].events.clear()
        yield radio, *made


def address(number: int = 0) -> bytes:
    """The Bluetooth address of the `number`th board of `boards`."""
    return bytes.fromhex(f"240ac40000{18 + 16 * number:02x}")


async def linked(peripheral: Remote, central: Remote, number: int = 0) -> tuple[int, int]:
    """Connect -> the handles at the peripheral and at the central."""
    await peripheral.do("ble.gap_advertise(20_000, b'\\x02\\x01\\x06')")
    await central.do(f"ble.gap_connect(0, {address(number)!r})")
    return (await peripheral.event(CENTRAL_CONNECT))[0], (await central.event(PERIPHERAL_CONNECT))[0]
