"""A child process on a pseudo terminal: it cannot outlive the site, and the event loop never blocks on its terminal."""

import asyncio
import ctypes
import fcntl
import os
import pty
import re
import signal
import sys
import termios
from collections.abc import Callable

from host_tools.sim.board import interrupt

_CHUNK = 4096
_LOOK_S = 0.005
_PATIENCE_S = 3.0
_SOON_S = 0.1  # by then an interrupt takes any moment
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def die_with_parent() -> None:
    """For preexec_fn: on Linux the child is killed when its parent ends, however that ends."""
    if _prctl:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def own_terminal() -> None:
    """For preexec_fn, in a new session: standard input is the controlling terminal, its hang-up the child's end."""
    die_with_parent()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def open_pty() -> tuple[int, int]:
    """A terminal that passes every byte as it is -> (controlling end, terminal end)."""
    control, terminal = pty.openpty()
    modes = termios.tcgetattr(terminal)
    modes[0] = modes[1] = 0
    modes[3] = 0
    modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
    termios.tcsetattr(terminal, termios.TCSANOW, modes)
    os.set_blocking(control, False)
    return control, terminal


def with_crlf(before: bytes, part: bytes) -> bytes:
    """`part`, which came after `before`, lines ended as a board ends them: the unix port writes LF alone."""
    last = before[-1:] if before.endswith(b"\r") else b""
    return re.sub(rb"(?<!\r)\n", b"\r\n", last + part)[len(last) :]


class PtyEnd:
    """Owns the descriptor. `on_bytes(part)` gets what arrives, `on_end()` comes once when the other end is gone."""

    def __init__(self, fd: int, on_bytes: Callable[[bytes], None], on_end: Callable[[], None] | None = None) -> None:
        self.fd = fd
        self._on_bytes = on_bytes
        self._on_end = on_end
        self._out = bytearray()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self.read)

    @property
    def backlog(self) -> int:
        """Bytes written and not yet taken by the other end's buffer."""
        return len(self._out)

    def write(self, part: bytes) -> None:
        """Send, now or when there is room. Nothing happens after `close`."""
        if self.fd < 0 or not part:
            return
        if not self._out:
            self._loop.add_writer(self.fd, self._flush)
        self._out += part
        self._flush()

    def drop(self) -> None:
        """Forget what has not been read by the other end."""
        if self._out:
            self._out.clear()
            self._loop.remove_writer(self.fd)
        termios.tcflush(self.fd, termios.TCOFLUSH)

    def close(self) -> None:
        """Give the descriptor back."""
        if self.fd >= 0:
            self._loop.remove_reader(self.fd)
            self._loop.remove_writer(self.fd)
            os.close(self.fd)
            self.fd = -1

    def _flush(self) -> None:
        while self._out:
            try:
                done = os.write(self.fd, self._out[:_CHUNK])
            except BlockingIOError:
                return
            except OSError:  # the program is gone
                self._out.clear()
                break
            del self._out[:done]
        self._loop.remove_writer(self.fd)

    def read(self) -> None:
        """Take what has arrived; the event loop calls it, too."""
        try:
            part = os.read(self.fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if part:
            self._on_bytes(part)
            return
        self._loop.remove_reader(self.fd)
        if self._on_end:
            self._on_end()


class ProgramEnd(PtyEnd):
    """The end that types for a MicroPython process.

    From `ready` on, Ctrl-C interrupts the program that runs (`interrupt` finds the moment), and is a byte like others
    while the REPL reads, as on a board. MicroPython throws away what has been typed when it goes to its prompt; what
    follows a Ctrl-C therefore waits here until the REPL reads.
    """

    def __init__(self, fd: int, on_bytes: Callable[[bytes], None]) -> None:
        super().__init__(fd, on_bytes)
        self._waiting: bytearray | None = bytearray()
        self._pid = 0
        self._depth_at = 0
        self._began = 0.0
        self._is_interrupting = False

    @property
    def unread(self) -> bytes:
        """What was typed and has not reached the program."""
        return b"\x03" * self._is_interrupting + bytes(self._waiting or b"")

    def ready(self, pid: int, depth_at: int) -> None:
        """The program has begun and can be interrupted; see `interrupt.interrupt` for the arguments."""
        self._pid, self._depth_at = pid, depth_at
        modes = termios.tcgetattr(self.fd)
        modes[3] = 0 if interrupt.CAN_LOOK else termios.ISIG | termios.NOFLSH
        termios.tcsetattr(self.fd, termios.TCSANOW, modes)
        self._release()

    def send(self, part: bytes) -> None:
        """Type into the terminal, for the program or the REPL."""
        if self._waiting is not None:
            self._waiting += part
            return
        at = part.find(b"\x03")
        if at < 0 or self._repl_reads():
            self.write(part)
            return
        self.write(part[:at])
        self.interrupt()
        self._waiting = bytearray(part[at + 1 :])

    def interrupt(self) -> None:
        """Ctrl-C, for the program that runs."""
        if not interrupt.CAN_LOOK:
            self.write(b"\x03")
        self._is_interrupting = interrupt.CAN_LOOK
        self._began = self._loop.time()
        if self._waiting is None:
            self._waiting = bytearray()
            self._loop.call_soon(self._look)

    def send_to_repl(self, part: bytes) -> None:
        """Type once the REPL reads; after a while, for a program that will not be interrupted, in any case."""
        self._waiting = (self._waiting or bytearray()) + part
        self._began = self._loop.time()
        self._look()

    def _repl_reads(self) -> bool:
        if interrupt.CAN_LOOK:
            return interrupt.is_at_prompt(self._pid)
        return not termios.tcgetattr(self.fd)[3] & termios.ISIG

    def _look(self) -> None:
        if self.fd < 0:
            return
        waited_s = self._loop.time() - self._began
        if self._is_interrupting:
            moment = interrupt.interrupt(self._pid, self._depth_at, waited_s > _SOON_S, waited_s > _PATIENCE_S)
            if moment is interrupt.Moment.INTERRUPTED:
                self._is_interrupting = False
                self._began = self._loop.time()
            elif moment is interrupt.Moment.PROMPT or waited_s > 2 * _PATIENCE_S:  # or it wants no interrupts
                self._is_interrupting = False
                self.write(b"\x03")
                self._release()
                return
        elif self._repl_reads() or waited_s > _PATIENCE_S:
            self._release()
            return
        self._loop.call_later(_LOOK_S, self._look)

    def _release(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting:
            self.send(bytes(waiting))
