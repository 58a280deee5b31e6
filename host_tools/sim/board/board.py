"""One simulated board: a MicroPython process with a flash image, a serial console, pins, a watchdog and a clock.

Owns the process: why it ended, what the next one is told (reset cause, clock), and that it never outlives the site.
What is wired to the pins is `mechanics`; the radio and the broker are reached by the process itself.
"""

import asyncio
import json
import os
import re
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from host_tools.sim.board import flash_image, panel
from host_tools.sim.board.access_point import AccessPoint
from host_tools.sim.board.interpreter import SHIMS, SimError, command, is_frozen
from host_tools.sim.board.mechanics import TRAVEL_S, Mechanics
from host_tools.sim.board.nap import Nap
from host_tools.sim.board.pty_end import ProgramEnd, PtyEnd, open_pty, own_terminal, with_crlf

PWRON, HARD, WDT, DEEPSLEEP, SOFT = 1, 2, 3, 4, 5
_RAW = b"raw REPL; CTRL-B to exit\r\n"
_FRIENDLY = b'Type "help()" for more information.\r\n'
_STALE = 256 * 1024  # nobody reads the console: drop what waits
_AGAIN_S = 0.1
_HASTY_S = 0.5
_MAX_HASTY = 5
_HANG_S = 120.0  # no wait takes so long, however busy the machine is
_ANSWER_S = 30.0  # of a program on a console, which may have no such program
_NOTICE_S = 20.0  # a program that waits for nothing for so long stands still


@dataclass
class BoardSpec:
    """What makes one board differ from another. `base_mac`: 12 hex digits; the Bluetooth address is base + 2."""

    name: str
    role: str
    base_mac: str
    settings: dict = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)  # on its flash from the first start, by their path
    heapsize: str | None = None
    mpy: bool = True
    clock_backup: bool = False  # the clock runs on without power
    env: dict = field(default_factory=dict)
    flash_size: int = flash_image.SIZE
    bolt_travel_s: float = TRAVEL_S


_CAUSES = {"wdt": WDT, "reset": HARD, "crash": HARD, "soft": SOFT, "deepsleep": DEEPSLEEP}


class Board:
    """`start`, `kill` (a power cut), `restart`; `mechanics` is the world around it, `lines` what it has printed."""

    def __init__(
        self, spec: BoardSpec, index: int, folder: Path, leap_s: Callable[[], float], wifi: AccessPoint
    ) -> None:
        self.spec = spec
        self.name = spec.name
        self.role = spec.role
        self.index = index
        self.rssi_dbm = -52
        octets = bytes.fromhex(spec.base_mac)
        bluetooth = octets[:5] + bytes([octets[5] + 2 & 0xFF])
        self.mac = bluetooth.hex(":")
        self.id = octets.hex() if spec.role == "gateway" else bluetooth.hex()
        self.image = folder / (spec.base_mac + ".flash")
        self.log_path = folder / (spec.base_mac + "-" + spec.role + ".log")
        self.mechanics = Mechanics(self._put, self._put_analog, spec.bolt_travel_s)
        self.lines: deque[str] = deque(maxlen=20000)
        self.starts = 0
        self.crashes: list[str] = []
        self.bits: dict[int, bytes] = {}  # by pin: what was last sent to a strip of lights there
        self.env: dict[str, str] = {}  # where the site is; set by the site before the first start
        self._leap_s = leap_s
        self._wifi = wifi
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task | None = None
        self._inner: ProgramEnd | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._why = ""  # what the site is about to kill the process for
        self._cause = PWRON
        self._nap: Nap | None = None  # its deep sleep, from the request to the end
        self._wake_reason = 0
        self._hasty = 0  # ends in a row, each soon after its start
        self._next_cut: list | None = None
        self._clock_ahead_s: float | None = None  # the board's clock (seconds since 2000) minus the site's time
        self._offsets: list[tuple[float, float]] = []  # since when (host's time), its clock minus the host's
        self._rtc_memory = ""
        self._watchdog: asyncio.TimerHandle | None = None
        self._watchdog_s = 0.0
        self._is_raw = False
        self._swallow = b""
        self._tail = b""
        self._line = b""
        self._log = open(self.log_path, "ab", buffering=0)  # noqa: SIM115, closed in close()
        control, self._terminal = open_pty()
        self._outer = PtyEnd(control, self._typed)
        self.console = os.ttyname(self._terminal)
        self._held = asyncio.Event()
        self._leapt = asyncio.Event()
        self._reply: asyncio.Future | None = None
        self._changes: asyncio.Future | None = None
        self._turn = asyncio.Lock()

    # --- power

    @property
    def is_running(self) -> bool:
        """It has power and a process."""
        return self._process is not None and self._process.returncode is None

    @property
    def is_asleep(self) -> bool:
        """It is in deep sleep."""
        return self._nap is not None and not self.is_running

    @property
    def pid(self) -> int:
        """Of its process. Raises SimError while it has none."""
        if self._process is None:
            raise SimError("%s is without power" % self.name)
        return self._process.pid

    async def start(self) -> None:
        """Give it power, with the flash as it is (a fresh image at the first time). Nothing if it has power."""
        if self._keeper and not self._keeper.done():
            return
        if not self.image.exists():
            files = dict(self.spec.files)
            if self.spec.settings:
                files["/data/settings.json"] = flash_image.as_json(self.spec.settings)
            arguments = (self.image, self.role, files, self.spec.mpy, self.spec.flash_size)
            await asyncio.to_thread(flash_image.create, *arguments)
        self._cause, self._wake_reason = PWRON, 0
        self._is_raw = False
        if self._clock_ahead_s is None or not self.spec.clock_backup:
            self._clock_ahead_s = -time.time() - self._leap_s()  # 2000-01-01, and from there it runs
        self._rtc_memory = ""
        self._nap = None
        await self._spawn(b"")
        self._keeper = asyncio.create_task(self._keep())

    async def kill(self) -> None:
        """Cut the power (SIGKILL). The flash keeps what had been written."""
        self._end("power")
        while self._keeper and not self._keeper.done():
            await asyncio.wait([self._keeper], timeout=_AGAIN_S)
            self._end("power")  # it may have been about to start again, and without a process to end

    def reset(self) -> None:
        """Press its reset button: the program ends this moment, and starts again with empty memory."""
        self._hasty = 0  # nothing that it did
        self._end("reset")

    async def restart(self) -> None:
        """Cut the power and give it back."""
        await self.kill()
        await self.start()

    async def wait_off(self, timeout_s: float = _HANG_S) -> None:
        """Wait until it has lost its power, by `kill` or by `cut_power_after`."""
        if self._keeper:
            await asyncio.wait_for(asyncio.shield(self._keeper), timeout_s)

    def cut_power_after(self, changes: int, tear: str = "", seed: int = 1) -> None:
        """Cut the power at the (n+1)-th erase or program of its flash from now, files and NVS alike.

        That change is not made, or in part: `tear` is "prefix", "bits" or "noise", see shims/_power.py.
        """
        self.post("cut", changes, tear, seed)

    def cut_power_at_start(self, changes: int, tear: str = "", seed: int = 1) -> None:
        """The same, counted from the first change of its next start, whoever begins that."""
        self._next_cut = [changes, tear, seed]

    async def flash_changes(self, timeout_s: float = _HANG_S) -> int:
        """How many erases and programs of its flash there have been since it was started. Raises SimError."""
        async with self._turn:
            self._changes = asyncio.get_running_loop().create_future()
            self.post("changes")
            try:
                return await asyncio.wait_for(self._changes, timeout_s)
            except TimeoutError:
                raise SimError("%s did not tell its flash changes" % self.name) from None
            finally:
                self._changes = None

    async def close(self) -> None:
        """Power off and give everything back; the object is spent."""
        await self.kill()
        self._outer.close()
        os.close(self._terminal)
        self._log.close()

    def _end(self, why: str, *details) -> None:
        if self.is_running and self._process:
            self._why = why
            if why == "deepsleep":
                self._nap = Nap(self._leap_s, self.mechanics, *details)
            self._process.send_signal(signal.SIGKILL)
        elif self._nap:
            self._why = why
            self._nap.end()

    async def _spawn(self, typed: bytes) -> None:
        control, terminal = open_pty()
        env = {key: value for key, value in os.environ.items() if not key.startswith(("SIM_", "MICROPY"))}
        env |= {"SIM_FLASH": str(self.image), "SIM_MAC": self.spec.base_mac, "SIM_NAME": self.name}
        env |= {"SIM_FROZEN": "1"} if is_frozen() else {}
        env |= self.env | self.spec.env | ({"SIM_RAW": "1"} if self._is_raw else {})
        self._why = ""
        self._line = self._tail = self._swallow = b""
        if self._is_raw:
            self._swallow = b">>> "  # back into the raw REPL before anybody sees the other one
        self.starts += 1
        self._inner = ProgramEnd(control, self._printed)
        self._inner.send(typed)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command(self.spec.heapsize, "-i", str(SHIMS / "sim_boot.py"), role=self.role),
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
                env=env,
                cwd="/",
                start_new_session=True,
                preexec_fn=own_terminal,
            )
        finally:
            os.close(terminal)

    async def _keep(self) -> None:
        self._hasty = 0
        while True:
            assert self._process and self._inner
            began = time.monotonic()
            status = await self._process.wait()
            await asyncio.sleep(0)  # the last words
            self._inner.read()
            typed = self._inner.unread
            self._inner.close()
            self._stopped()
            if self._why == "deepsleep" and self._nap:
                self._note("deep sleep")
                self._wake_reason = await self._nap.over()
                self._nap = None
            else:
                self._wake_reason = 0
            why = self._why
            if why in ("power", "cut"):
                self._note("power off")
                return
            if not why:
                why = "crash"
                self.crashes.append("ended with status %d" % status)
            is_hasty = time.monotonic() - began < _HASTY_S and why not in ("soft", "deepsleep")
            self._hasty = self._hasty + 1 if is_hasty else 0
            self._note("%s, starting again" % why)
            if self._hasty >= _MAX_HASTY:
                self.crashes.append("ended %d times within %.1f s" % (self._hasty, _HASTY_S))
                self._note("given up: it ends at once, every time")
                return
            self._cause = _CAUSES[why]
            if self._cause == SOFT:
                self._outer.write(b"MPY: soft reboot\r\n")
            else:
                self._is_raw = False
            await self._spawn(typed)  # a serial port's adapter has a buffer, and keeps its power

    def _stopped(self) -> None:
        if self._watchdog:
            self._watchdog.cancel()
            self._watchdog = None
        self._wifi.leave(self)
        self.mechanics.power_off()

    def _note(self, text: str) -> None:
        self._log.write(b"\n*** board %s\n" % text.encode())

    # --- serial console

    def type_in(self, part: bytes) -> None:
        """What somebody types at its console."""
        self._typed(part)

    def _typed(self, part: bytes) -> None:
        if self._outer.backlog > _STALE:
            self._outer.drop()
        if self._inner:
            self._inner.send(part)

    def _printed(self, part: bytes) -> None:
        if self._swallow:
            self._tail += part
            if self._swallow not in self._tail:
                return
            if self._swallow != _RAW:
                self._swallow, self._tail = _RAW, b""
                if self._inner:
                    self._inner.send_to_repl(b"\x01")
                return
            part = self._tail[self._tail.index(_RAW) :]
            self._swallow = self._tail = b""
        self._log.write(part)
        recent = self._tail + part
        raw, friendly = recent.rfind(_RAW), recent.rfind(_FRIENDLY)
        if raw != friendly:
            self._is_raw = raw > friendly
        if self._outer.backlog < _STALE:
            self._outer.write(with_crlf(self._tail, part))
        else:
            self._outer.drop()
        self._tail = recent[-64:]
        *lines, self._line = (self._line + part).split(b"\n")
        for line in lines:
            self._on_line(line.decode(errors="replace").rstrip("\r"))

    def _on_line(self, line: str) -> None:
        self.lines.append(line)
        if line.startswith("{") and self._reply and not self._reply.done():
            try:
                self._reply.set_result(json.loads(line))
            except ValueError:
                pass

    async def ask(self, request: dict, timeout_s: float = _ANSWER_S) -> dict:
        """Send one JSON line to the program on the board's console, return its answer. Raises SimError on silence."""
        async with self._turn:
            if not self.is_running or not self._inner:
                raise SimError("%s is without power" % self.name)
            self._reply = asyncio.get_running_loop().create_future()
            self._inner.send(json.dumps(request).encode() + b"\n")
            try:
                return await asyncio.wait_for(self._reply, timeout_s)
            except TimeoutError:
                raise SimError(
                    "%s did not answer within %g s; see %s" % (self.name, timeout_s, self.log_path)
                ) from None
            finally:
                self._reply = None

    async def wait_line(self, pattern: str, timeout_s: float = _HANG_S, after: int = 0) -> str:
        """Wait for a printed line that `pattern` (a regular expression) is found in; `after`: skip so many lines."""
        deadline = time.monotonic() + timeout_s
        wanted = re.compile(pattern)
        while True:
            for line in list(self.lines)[after:]:
                if wanted.search(line):
                    return line
            if time.monotonic() > deadline:
                raise SimError(
                    "%s printed nothing like %r within %g s; see %s" % (self.name, pattern, timeout_s, self.log_path)
                )
            await asyncio.sleep(0.02)

    # --- the line to its shims

    def attach(self, writer: asyncio.StreamWriter) -> None:
        """The process has connected: tell it how it starts."""
        self._writer = writer
        ahead_s = self._clock_ahead_s
        clock_s = 0 if ahead_s is None else ahead_s + time.time() + self._leap_s()
        self._note_offset()
        facts: dict = {
            "cause": self._cause,
            "wake": self._wake_reason,
            "clock_s": clock_s,
            "rtc_memory": self._rtc_memory,
            "wifi": self._wifi.ssid,
        }
        if self._next_cut:
            facts["cut"], self._next_cut = self._next_cut, None
        facts |= {"inputs": self.mechanics.inputs, "adc": self.mechanics.analog} if self.role == "lock" else {}
        self.post("welcome", facts)

    def detach(self, writer: asyncio.StreamWriter) -> None:
        """That connection is over."""
        if self._writer is writer:
            self._writer = None
            self._held.set()
            self._leapt.set()

    def post(self, *message) -> None:
        """Send to the shims; nothing while the board is without power."""
        if self._writer:
            self._writer.write(json.dumps(message).encode() + b"\n")

    def on_message(self, verb: str, *args) -> None:
        """Act on what the shims say."""
        if verb == "pin":
            self.mechanics.on_pin(*args)
        elif verb == "pwm":
            self.mechanics.on_pwm(*args)
        elif verb == "wdt":
            self._watchdog_s = args[0] / 1000 * 1.1 + 0.1
            self._feed()
        elif verb == "feed":
            self._feed()
        elif verb == "clock":
            self._clock_ahead_s = args[0] - time.time() - self._leap_s()
            self._note_offset()
        elif verb == "rtc_memory":
            self._rtc_memory = args[0]
        elif verb == "wifi" and args[0] == "join":
            self._wifi.join(self, *args[1:])
        elif verb == "wifi":
            self._wifi.leave(self)
        elif verb == "changes":
            if self._changes and not self._changes.done():
                self._changes.set_result(args[0])
        elif verb == "held":
            self._held.set()
        elif verb == "leapt":
            self._leapt.set()
        elif verb == "ask" and args[0] == "time_of":
            self.post("answer", self._time_of(args[1]))
        elif verb == "bits":
            self.bits[args[0]] = bytes.fromhex(args[1])
        elif verb == "ready":
            if self._inner and self._process:
                self._inner.ready(self._process.pid, args[0])
        elif verb == "again":
            if self._inner:
                self._inner.interrupt()
        elif verb == "end":
            self._end(*args)

    def _note_offset(self) -> None:
        self._offsets.append((time.time(), (self._clock_ahead_s or 0.0) + self._leap_s()))

    def _time_of(self, host_s: int) -> int:
        """What the board's clock showed at a second of the host; 0 before its first start, when its image was made."""
        held = [offset_s for since_s, offset_s in self._offsets if since_s < host_s + 1]
        return max(0, int(host_s + held[-1])) if held else 0

    def _feed(self) -> None:
        if self._watchdog:
            self._watchdog.cancel()
        self._watchdog = asyncio.get_running_loop().call_later(self._watchdog_s, self._end, "wdt")

    def _put(self, pin: int, level: int) -> None:
        self.post("in", pin, level)

    def _put_analog(self, pin: int, level: int) -> None:
        self.post("adc", pin, level)

    # --- leaps of the site: `hold` all boards, `leap` all boards, `go`

    async def hold(self) -> None:
        """Let its program stand still at a moment at which it waits, having handled all that it was sent.

        Without power there is nothing to hold; a program that never waits (blocked, at its prompt) is left alone.
        """
        await self._answered(self._held, "hold")

    async def leap(self, seconds: float) -> None:
        """Move its ticks and clock, and wait until it has noticed; one that never waits notices when it does."""
        self._note_offset()
        await self._answered(self._leapt, "leap", round(seconds * 1000))

    def go(self) -> None:
        """End `hold`."""
        self.post("go")

    async def _answered(self, answer: asyncio.Event, *message) -> None:
        if self._writer:
            answer.clear()
            self.post(*message)
            with suppress(TimeoutError):
                await asyncio.wait_for(answer.wait(), _NOTICE_S)

    # --- what a lock's tests look at

    async def panel(self, request: dict) -> dict:
        """Act on the lock's panel or its surroundings, see `panel.act`."""
        return await panel.act(self, request)

    @property
    def bolt(self) -> str:
        """Where the bolt is, by the mechanics: locked, unlocked or between."""
        return self.mechanics.state()["bolt"]

    @property
    def movements(self) -> list:
        """Every (t, before, after) of the bolt since the site started, by the mechanics."""
        return self.mechanics.movements

    def jam(self, is_jammed: bool = True) -> None:
        """Make the bolt stick, or free it."""
        self.mechanics.jam(is_jammed)
