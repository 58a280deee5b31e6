"""The site's MQTT broker: iotcore's, or mosquitto when asked for. On 127.0.0.1 only."""

import asyncio
import random
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from iotcore import Broker as Embedded

from host_tools.gateway import local_brokers
from host_tools.sim.board.interpreter import SimError
from host_tools.sim.board.pty_end import die_with_parent

HOST = "127.0.0.1"
_MAX_PAYLOAD = 1024 * 1024
_READY_S = 60
_PORTS = 20000, 32000
# Written at every change, so that what a power cut leaves is what was retained; mosquitto drops root's rights otherwise
_KEEPING = "persistence true\npersistence_location %s/\nautosave_on_changes true\nautosave_interval 1\nuser root\n"


def reserve_port() -> socket.socket:
    """A TCP port that is ours until the socket is closed; a broker can listen on it as often as it likes.

    It lies below those that systems give to outgoing connections: while no broker listens, nobody else gets it, and no
    client that tries to connect meets itself there.
    """
    while True:
        reserved = socket.socket()
        try:
            reserved.bind((HOST, random.SystemRandom().randrange(*_PORTS)))
        except OSError:
            reserved.close()
            continue
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # from here on: the broker sets it, too
        return reserved


class Broker:
    """`stop` and `start` keep the port, so clients meet the same broker again; what it retained is forgotten, unless
    it is a mosquitto that `keeps` it on its disk. `close` gives all back.
    """

    def __init__(self, kind: str = "iotcore", keeps: bool = False) -> None:
        if kind not in ("iotcore", "mosquitto"):
            raise SimError("no broker %r; choose iotcore or mosquitto" % kind)
        if kind == "mosquitto" and not _mosquitto():
            raise SimError("mosquitto is not installed; use the embedded broker, or install Debian's package")
        if keeps and kind != "mosquitto":
            raise SimError("only mosquitto keeps what it retained on a disk")
        self.kind = kind
        self.keeps = keeps
        self.host = HOST
        self._reserved = reserve_port()
        self.port = self._reserved.getsockname()[1]
        self._embedded: Embedded | None = None
        self._process: subprocess.Popen | None = None
        self._folder: tempfile.TemporaryDirectory | None = None

    @property
    def is_running(self) -> bool:
        """True from `start` to `stop`."""
        return self._embedded is not None or self._process is not None

    async def start(self) -> None:
        """Return once it accepts connections."""
        if not self.is_running:
            await asyncio.to_thread(self._start)
            local_brokers.mark(self.port)

    async def stop(self) -> None:
        """End it as a power cut would; connections break."""
        await asyncio.to_thread(self._stop)

    async def close(self) -> None:
        """End it for good."""
        await self.stop()
        if self._folder:
            self._folder.cleanup()
        local_brokers.unmark(self.port)
        self._reserved.close()

    def _start(self) -> None:
        if self.kind == "mosquitto":
            self._start_mosquitto()
            return
        embedded = Embedded(port=self.port, listen=HOST, max_payload_size=_MAX_PAYLOAD)
        deadline = time.monotonic() + _READY_S
        while True:
            try:
                embedded.start()
                break
            except OSError as err:  # the port of a broker that has just ended can be taken for a moment
                if time.monotonic() > deadline:
                    raise SimError("the broker cannot listen on port %d: %s" % (self.port, err)) from err
                time.sleep(0.1)
        self._embedded = embedded

    def _start_mosquitto(self) -> None:
        self._folder = self._folder or tempfile.TemporaryDirectory()
        config = Path(self._folder.name) / "mosquitto.conf"
        text = "listener %d %s\nallow_anonymous true\n" % (self.port, HOST)
        config.write_text(text + (_KEEPING % self._folder.name if self.keeps else "persistence false\n"))
        self._process = subprocess.Popen(
            [_mosquitto() or "", "-c", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            try:
                socket.create_connection((HOST, self.port), 0.2).close()
                return
            except OSError:
                time.sleep(0.05)
        self._stop()
        raise SimError("mosquitto did not listen on port %d within %d s" % (self.port, _READY_S))

    def _stop(self) -> None:
        embedded, self._embedded = self._embedded, None
        process, self._process = self._process, None
        if embedded:
            embedded.stop()
        if process:
            process.kill()
            process.wait()


def _mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
