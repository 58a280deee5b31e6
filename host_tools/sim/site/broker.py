"""The site's MQTT broker: iotcore's, or mosquitto when asked for. On 127.0.0.1 only."""

import asyncio
import getpass
import random
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from host_tools.gateway import local_brokers
from host_tools.sim.board.interpreter import SimError
from host_tools.sim.board.pty_end import die_with_parent
from host_tools.sim.site.house import House

if TYPE_CHECKING:
    from iotcore import Broker as Embedded

HOST = "127.0.0.1"
_MAX_PAYLOAD = 1024 * 1024
_READY_S = 60
_PORTS = 20000, 32000
_KEEPING = "persistence true\npersistence_location %s/\n"


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


def reserve_ports(count: int) -> list[socket.socket]:
    """The same for ports that follow one another."""
    while True:
        reserved = [reserve_port()]
        try:
            for further in range(1, count):
                reserved.append(socket.socket())
                reserved[-1].bind((HOST, reserved[0].getsockname()[1] + further))
        except OSError:
            for each in reserved:
                each.close()
            continue
        for each in reserved:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return reserved


class Broker:
    """`stop` and `start` keep the port, so clients meet the same broker again; what it retained is forgotten, unless
    it is a mosquitto that `keeps` it on its disk. `close` gives all back.

    A secure one is that of a house, which `furnish` makes: TLS, and a port of its own for whoever is no gateway.
    """

    def __init__(self, kind: str = "iotcore", keeps: bool = False, is_secure: bool = False) -> None:
        if kind not in ("iotcore", "mosquitto"):
            raise SimError("no broker %r; choose iotcore or mosquitto" % kind)
        if kind == "mosquitto" and not find_mosquitto():
            raise SimError("mosquitto is not installed; use the embedded broker, or install Debian's package")
        if keeps and kind != "mosquitto":
            raise SimError("only mosquitto keeps what it retained on a disk")
        self.kind = kind
        self.keeps = keeps
        self.host = HOST
        self.is_secure = is_secure
        self.house: House | None = None
        self._reserved = reserve_ports(2 if is_secure else 1)
        self.port = self._reserved[0].getsockname()[1]
        self.tools_port = self._reserved[-1].getsockname()[1]
        self._embedded: Embedded | None = None
        self._process: subprocess.Popen | None = None
        self._folder: tempfile.TemporaryDirectory | None = None

    def furnish(self, folder: Path, gateways: list[str]) -> House:
        """Make what a secure broker needs in the new `folder`; `gateways`: ids."""
        self.house = House(folder, self.kind, HOST, self.port, gateways)
        return self.house

    @property
    def words(self) -> str:
        """What it is, and what it asks of its clients."""
        name = "mosquitto" if self.kind == "mosquitto" else "embedded broker"
        return "%s: %s" % (name, self.house.words if self.house else "over loopback, without TLS")

    @property
    def is_running(self) -> bool:
        """True from `start` to `stop`."""
        return self._embedded is not None or self._process is not None

    async def start(self) -> None:
        """Return once it accepts connections."""
        if not self.is_running:
            if self.is_secure and not self.house:
                raise SimError("a secure broker is furnished first")
            await asyncio.to_thread(self._start)
            if not self.is_secure:
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
        for each in self._reserved:
            each.close()

    def _start(self) -> None:
        if self.kind == "mosquitto":
            self._start_mosquitto()
            return
        from iotcore import Broker as Embedded

        if self.house:
            self._folder = self._folder or tempfile.TemporaryDirectory()
            config = Path(self._folder.name) / "rumqttd.toml"
            config.write_text(self.house.embedded(_MAX_PAYLOAD))
            config.chmod(0o600)
            embedded = Embedded(config_path=str(config))
        else:
            embedded = Embedded(port=self.port, listen=HOST, max_payload_size=_MAX_PAYLOAD)
        deadline = time.monotonic() + _READY_S
        while True:
            try:
                embedded.start(_READY_S)
                break
            except RuntimeError as err:
                raise SimError("the embedded broker does not start: %s" % err) from err
            except OSError as err:  # the port of a broker that has just ended can be taken for a moment
                if time.monotonic() > deadline:
                    raise SimError("the broker cannot listen on port %d: %s" % (self.port, err)) from err
                time.sleep(0.1)
        self._embedded = embedded

    def _start_mosquitto(self) -> None:
        self._folder = self._folder or tempfile.TemporaryDirectory()
        config = Path(self._folder.name) / "mosquitto.conf"
        anonymous = "listener %d %s\nallow_anonymous true\n" % (self.port, HOST)
        text = "user %s\n" % getpass.getuser()  # mosquitto drops root's rights otherwise, and with them its files
        text += self.house.mosquitto() if self.house else anonymous
        config.write_text(text + (_KEEPING % self._folder.name if self.keeps else "persistence false\n"))
        self._process = subprocess.Popen(
            [find_mosquitto() or "", "-c", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            try:
                for port in {self.port, self.tools_port}:
                    socket.create_connection((HOST, port), 0.2).close()
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
            process.terminate() if self.keeps else process.kill()  # it writes what it keeps when it ends
            process.wait()


def find_mosquitto() -> str | None:
    """Its path, where it is installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
