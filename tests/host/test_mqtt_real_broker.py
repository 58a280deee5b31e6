"""`net/mqtt` on MicroPython against brokers that nobody here wrote, and against a peer that misbehaves."""

import contextlib
import os
import queue
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import iotcore
import paho.mqtt.client as paho
import pytest

from host_tools.sim.site.broker import reserve_port
from tests.micropython import LIBRARY, ROOT, interpreter

BOARD = ROOT / "tests/host/boards/mqtt_client.py"
BROKERS = ["iotcore", "mosquitto"]
WAIT_S = 120.0  # no wait takes so long, however busy the machine is


class Broker:
    """A broker that can be stopped and started again on its port."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.reserved = reserve_port()
        self.port = self.reserved.getsockname()[1]
        self._kind = kind
        self._directory = directory
        self._running: iotcore.Broker | subprocess.Popen | None = None

    def start(self) -> None:
        if self._kind == "iotcore":
            self._running = iotcore.Broker(port=self.port, listen="127.0.0.1")
            self._running.start()
            return
        settings = self._directory / "mosquitto.conf"
        settings.write_text("listener %d 127.0.0.1\nallow_anonymous true\npersistence false\n" % self.port)
        program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
        assert program
        self._running = subprocess.Popen([program, "-c", str(settings)], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise AssertionError("mosquitto does not listen")

    def stop(self) -> None:
        if isinstance(self._running, subprocess.Popen):
            self._running.terminate()
            self._running.wait(WAIT_S)
        elif self._running:
            self._running.stop()
        self._running = None


class Lines:
    """A MicroPython process, its printed lines, and waiting for one of them."""

    def __init__(self, port: int, keepalive_s: int = 30, messages: int = 0) -> None:
        env = dict(os.environ, MICROPYPATH=".frozen:%s:%s" % (ROOT, LIBRARY))
        arguments = [interpreter(), "-X", "heapsize=512K", str(BOARD), str(port), str(keepalive_s), str(messages)]
        self.process = subprocess.Popen(
            arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )
        self.seen: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line.rstrip())

    def expect(self, part: str, wait_s: float = WAIT_S) -> str:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                line = self._lines.get(timeout=max(deadline - time.monotonic(), 0.01))
            except queue.Empty:
                raise AssertionError("no %r among:\n%s" % (part, "\n".join(self.seen))) from None
            self.seen.append(line)
            if part in line:
                return line

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(WAIT_S)


class Watcher:
    """A second client (paho) that collects what is published below `t`."""

    def __init__(self, port: int) -> None:
        self.messages: queue.Queue[tuple[str, bytes, bool]] = queue.Queue()
        ready = threading.Event()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="watcher%d" % time.monotonic_ns())
        self.client.on_connect = lambda client, *_: client.subscribe("t/#", 1)
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = lambda _, __, m: self.messages.put((m.topic, m.payload, m.retain))
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert ready.wait(WAIT_S)

    def expect(self, topic: str, payload: bytes | None = None) -> tuple[str, bytes, bool]:
        deadline = time.monotonic() + WAIT_S
        while True:
            message = self.messages.get(timeout=max(deadline - time.monotonic(), 0.01))
            if message[0] == topic and payload in (None, message[1]):
                return message

    def publish(self, topic: str, payload: bytes, retain: bool = False) -> None:
        self.client.publish(topic, payload, 1, retain).wait_for_publish(WAIT_S)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    if request.param == "mosquitto" and not shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin"):
        pytest.skip("mosquitto is not installed")
    one = Broker(request.param, tmp_path)
    one.start()
    yield one
    one.stop()
    one.reserved.close()


@pytest.fixture
def watcher(broker: Broker) -> Iterator[Watcher]:
    one = Watcher(broker.port)
    yield one
    one.close()


@contextlib.contextmanager
def board(port: int, **arguments: int) -> Iterator[Lines]:
    one = Lines(port, **arguments)
    try:
        yield one
    finally:
        one.kill()


def test_connects_and_every_message_of_many_in_flight_arrives_once(broker: Broker, watcher: Watcher) -> None:
    with board(broker.port, messages=60) as lines:
        lines.expect("NOT_YET")
        lines.expect("ACKED 60 OF 60")
        assert watcher.expect("t/zero")[1] == b"\x00\xff"
        got = [watcher.expect("t/out/%d" % n)[1] for n in range(60)]
        assert got == [b"%d" % n for n in range(60)]
        assert watcher.messages.empty()


def test_last_will_is_published_after_a_kill(broker: Broker, watcher: Watcher) -> None:
    with board(broker.port) as lines:
        lines.expect("ACKED")
        watcher.expect("t/status", b"online")
        lines.kill()
        watcher.expect("t/status", b"offline")


def test_retained_flag_is_seen(broker: Broker, watcher: Watcher) -> None:
    watcher.publish("t/in/kept", b"old", retain=True)
    with board(broker.port) as lines:
        assert lines.expect("MESSAGE t/in/kept").endswith("b'old' 1 1")
        watcher.publish("t/in/fresh", b"new")
        assert lines.expect("MESSAGE t/in/fresh").endswith("b'new' 0 1")


def test_connects_again_after_the_broker_restarts(broker: Broker) -> None:
    with board(broker.port, messages=3) as lines:
        lines.expect("ACKED 3 OF 3")
        broker.stop()
        lines.expect("disconnected")
        broker.start()
        lines.expect("ACKED 3 OF 3")
        watcher = Watcher(broker.port)
        watcher.publish("t/in/x", b"again")
        lines.expect("MESSAGE t/in/x")
        watcher.close()


def test_oversize_payload_closes_the_connection_and_not_the_program(broker: Broker, watcher: Watcher) -> None:
    with board(broker.port) as lines:
        lines.expect("ACKED")
        watcher.publish("t/in/most", bytes(1024))
        lines.expect("MESSAGE t/in/most 1024")
        watcher.publish("t/big", bytes(1025))
        assert "too long" in lines.expect("disconnected") or "broken" in lines.seen[-1]
        lines.expect("UP")
        watcher.publish("t/in/y", b"alive")
        lines.expect("MESSAGE t/in/y")


class Rogue:
    """A broker of our own that accepts CONNECT and SUBSCRIBE and then does what the test says."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(WAIT_S)
        self.port = self._listener.getsockname()[1]

    def accept(self, connack: bytes = b"\x20\x02\x00\x00") -> socket.socket:
        peer, _ = self._listener.accept()
        peer.settimeout(WAIT_S)
        assert peer.recv(1024)[0] == 0x10
        peer.sendall(connack)
        if connack[3:] == b"\x00":
            subscribe = peer.recv(1024)
            assert subscribe[0] == 0x82
            peer.sendall(b"\x90\x04" + subscribe[2:4] + b"\x01\x01")
        return peer

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def rogue() -> Iterator[Rogue]:
    one = Rogue()
    yield one
    one.close()


def test_publisher_is_told_when_the_puback_never_comes(rogue: Rogue) -> None:
    with board(rogue.port, keepalive_s=4, messages=0) as lines:
        peer = rogue.accept()
        lines.expect("UP")
        deadline = time.monotonic() + WAIT_S
        peer.settimeout(0.2)
        ended = False
        while not ended and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                ended = not peer.recv(1024)
            if not ended:
                peer.sendall(b"\xd0\x00")  # alive, but it acknowledges nothing
        assert ended
        assert "no PUBACK" in lines.expect("disconnected")
        rogue.accept()
        lines.expect("UP")


def test_silent_broker_is_left_after_the_keepalive(rogue: Rogue) -> None:
    with board(rogue.port, keepalive_s=4) as lines:
        with rogue.accept():
            lines.expect("UP")
            lines.expect("disconnected")


@pytest.mark.parametrize(
    "bytes_sent",
    [b"\x30\xff\xff\xff\x7f", b"\x00\x00", b"\x36\x05\x00\x01a\x00\x01x", b"\x40\x03\x01"],
    ids=["longest", "no_type", "qos_3", "long_puback"],
)
def test_broken_packets_end_the_session_only(rogue: Rogue, bytes_sent: bytes) -> None:
    with board(rogue.port) as lines:
        with rogue.accept() as peer:
            lines.expect("UP")
            peer.sendall(bytes_sent)
            assert "ProtocolError" in lines.expect("disconnected")
        with rogue.accept():
            lines.expect("UP")


def test_refused_connection_is_tried_again(rogue: Rogue) -> None:
    with board(rogue.port) as lines:
        with rogue.accept(b"\x20\x02\x00\x05"):
            assert "code 5" in lines.expect("disconnected")
        with rogue.accept():
            lines.expect("UP")
