"""The controlling end of a pseudo terminal on the event loop: reads by callback, writes without ever blocking."""

import asyncio
import os
import pty
import termios
from collections.abc import Callable

_CHUNK = 4096


def open_pty(interrupts: bool) -> tuple[int, int]:
    """A terminal that passes every byte as it is -> (controlling end, terminal end).

    With `interrupts` Ctrl-C becomes SIGINT for the program that runs on it, until that program turns this off, which
    MicroPython does while its REPL reads: just what a board's serial port does.
    """
    control, terminal = pty.openpty()
    modes = termios.tcgetattr(terminal)
    modes[0] = modes[1] = 0
    modes[3] = termios.ISIG | termios.NOFLSH if interrupts else 0
    modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
    termios.tcsetattr(terminal, termios.TCSANOW, modes)
    os.set_blocking(control, False)
    return control, terminal


class PtyEnd:
    """Owns the descriptor. `on_bytes(part)` gets what arrives, `on_end()` comes once when the other end is gone."""

    def __init__(self, fd: int, on_bytes: Callable[[bytes], None], on_end: Callable[[], None] | None = None) -> None:
        self._fd = fd
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
        if self._fd < 0 or not part:
            return
        if not self._out:
            self._loop.add_writer(self._fd, self._flush)
        self._out += part
        self._flush()

    def drop(self) -> None:
        """Forget what has not been read by the other end."""
        if self._out:
            self._out.clear()
            self._loop.remove_writer(self._fd)
        termios.tcflush(self._fd, termios.TCOFLUSH)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _flush(self) -> None:
        while self._out:
            try:
                done = os.write(self._fd, self._out[:_CHUNK])
            except BlockingIOError:
                return
            except OSError:  # the program is gone
                self._out.clear()
                break
            del self._out[:done]
        self._loop.remove_writer(self._fd)

    def read(self) -> None:
        """Take what has arrived; the event loop calls it, too."""
        try:
            part = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if part:
            self._on_bytes(part)
            return
        self._loop.remove_reader(self._fd)
        if self._on_end:
            self._on_end()
