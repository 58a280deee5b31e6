"""`net/mqtt` on MicroPython against brokers that nobody here wrote, and against a peer that misbehaves."""

import base64
import contextlib
import hashlib
import json
import os
import queue
import random
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

from host_tools.sim.site.broker import find_mosquitto, reserve_port
from tests.host.test_clock_ntp import Reply, server
from tests.host.test_resolver import answer
from tests.micropython import LIBRARY, ROOT, interpreter

BOARD = ROOT / "tests/host/boards/mqtt_client.py"
BROKERS = ["iotcore", "mosquitto"]
WAIT_S = 120.0  # no wait takes so long, however busy the machine is


class Broker:
    """A broker that can be stopped and started again on its port; `more` are further settings of mosquitto."""

    more = ""

    def __init__(self, kind: str, directory: Path) -> None:
        self.reserved = reserve_port()
        self.port = self.reserved.getsockname()[1]
        self.kind = kind
        self._directory = directory
        self._running: iotcore.Broker | subprocess.Popen | None = None

    def start(self) -> None:
        if self.kind == "iotcore":
            self._running = iotcore.Broker(port=self.port, listen="127.0.0.1")
            self._running.start()
            return
        settings = self._directory / "mosquitto.conf"
        listener = "persistence false\nlistener %d 127.0.0.1\n%s" % (self.port, self.more)
        settings.write_text(listener if "allow_anonymous" in listener else listener + "allow_anonymous true\n")
        program = find_mosquitto()
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

    def __init__(self, port: int, keepalive_s: int = 30, messages: int = 0, **how: object) -> None:
        env = dict(os.environ, MICROPYPATH=".frozen:%s:%s" % (ROOT, LIBRARY), HOW=json.dumps(how))
        arguments = [interpreter(), "-X", "heapsize=512K", str(BOARD), str(port)]
        arguments += [str(keepalive_s), str(messages)]
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
    if request.param == "mosquitto" and not find_mosquitto():
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
def board(port: int, **arguments: object) -> Iterator[Lines]:
    one = Lines(port, **arguments)  # type: ignore[arg-type]
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


def test_no_message_takes_the_link_down_nor_costs_the_next_one(broker: Broker, watcher: Watcher) -> None:
    """decisions.md DEC-15: over the limits in every way that a broker passes on, live and retained."""
    with board(broker.port, topics=["t/in/+"]) as lines:
        lines.expect("ACKED")
        watcher.publish("t/in/most", bytes(1024))
        lines.expect("MESSAGE t/in/most 1024")
        skipped = 0
        for topic, size in (
            ("big", 1025),
            ("big", 5000),
            ("big", 120000 if broker.kind == "mosquitto" else 12000),
            ("n" * 130, 1),
            ("n" * 2000, 3000),
        ):
            for qos in (0, 1, 2):
                watcher.client.publish("t/in/" + topic, bytes(size), qos).wait_for_publish(WAIT_S)
                skipped += 1
                lines.expect("skipped total=%d" % skipped)
                watcher.client.publish("t/in/y", b"alive", qos).wait_for_publish(WAIT_S)
                lines.expect("MESSAGE t/in/y")
        watcher.publish("t/in/kept", bytes(4000), retain=True)
        lines.expect("skipped")
        assert not any("disconnected" in line for line in lines.seen)
    with board(broker.port, topics=["t/in/+"]) as lines:  # retained: it comes with every connection
        lines.expect("skipped total=1")
        watcher.publish("t/in/y", b"alive")
        lines.expect("MESSAGE t/in/y")


def legal(topic: bytes, payload: bytes, qos: int, pid: int) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic + (pid.to_bytes(2, "big") if qos else b"") + payload
    size, head = len(body), bytearray((0x30 | qos << 1,))
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(head) + bytes((size,)) + body


def test_any_mixture_of_packets_that_a_broker_may_send_is_acknowledged(rogue: "Rogue") -> None:
    """Every QoS 1 and 2 message is acknowledged in its way, every small one handed on once, and the link stays."""
    draw = random.Random(20261130)
    with board(rogue.port, keepalive_s=600) as lines, rogue.accept() as peer:
        lines.expect("UP")
        wanted, acks, sent = [], [], b""
        for pid in range(1, 301):
            qos = draw.choice((0, 1, 2))
            topic = draw.choice((b"t/in/%d" % pid, b"t" * 129, b"t/in/+", b"x" * 4000))
            payload = bytes(draw.choice((0, 1, 1024, 1025, 3000)))
            sent += legal(topic, payload, qos, pid)
            if topic.startswith(b"t/in/%d" % pid) and len(payload) <= 1024:
                wanted.append("MESSAGE %s %d" % (topic.decode(), len(payload)))
            if qos:
                acks.append((b"\x40\x02" if qos == 1 else b"\x50\x02") + pid.to_bytes(2, "big"))
            if qos == 2:
                if draw.random() < 0.3:  # once more before the release: not handed on again
                    sent += legal(topic, payload, 2, pid)
                    acks.append(acks[-1])
                sent += b"\x62\x02" + pid.to_bytes(2, "big")
                acks.append(b"\x70\x02" + pid.to_bytes(2, "big"))
            sent += draw.choice((b"", b"", b"\xd0\x00", b"\x40\x02\xff\xfe"))
        sent += legal(b"t/in/last", b"command", 1, 999)
        while sent:
            size = draw.choice((1, 7, 100, 1400, 30000))
            peer.sendall(sent[:size])
            sent = sent[size:]
        lines.expect("MESSAGE t/in/last 7")
        assert [line.rsplit(" b'", 1)[0] for line in lines.seen if line.startswith("MESSAGE")][:-1] == wanted
        heard = b""
        while b"\x40\x02\x03\xe7" not in heard:  # of the last message
            heard += peer.recv(65536)
        at = 0
        for ack in acks:
            at = heard.index(ack, at) + 4
        assert not any("disconnected" in line for line in lines.seen)


ACCOUNT = {"user": "u" * 512, "password": "p\u00e4" * 170 + "pp"}  # 512 bytes each, as tokens are long


class GuardedBroker(Broker):
    """mosquitto with its plugin of accounts: one account, which may subscribe to `allowed` only."""

    def __init__(self, directory: Path, allowed: list[str]) -> None:
        super().__init__("mosquitto", directory)
        salt = bytes(12)
        key = hashlib.pbkdf2_hmac("sha512", ACCOUNT["password"].encode(), salt, 101, 64)
        account = {"username": ACCOUNT["user"], "roles": [{"rolename": "board"}], "iterations": 101}
        account |= {"password": base64.b64encode(key).decode(), "salt": base64.b64encode(salt).decode()}
        rules = [
            {"acltype": kind, "topic": "#", "allow": True} for kind in ("publishClientSend", "publishClientReceive")
        ]
        rules += [{"acltype": "subscribePattern", "topic": topic, "allow": True} for topic in allowed]
        default = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False, "unsubscribe": True}
        accounts = directory / "accounts.json"
        accounts.write_text(
            json.dumps(
                {"clients": [account], "roles": [{"rolename": "board", "acls": rules}], "defaultACLAccess": default}
            )
        )
        self.plugin = next(iter(sorted(Path("/usr/lib").glob("**/mosquitto_dynamic_security.so"))), None)
        self.more = "user root\nallow_anonymous false\nplugin %s\nplugin_opt_config_file %s\n" % (self.plugin, accounts)


@contextlib.contextmanager
def guarded(directory: Path, allowed: list[str]) -> Iterator[GuardedBroker]:
    one = GuardedBroker(directory, allowed)
    if not one.plugin:
        pytest.skip("mosquitto has no plugin of accounts here")
    one.start()
    try:
        yield one
    finally:
        one.stop()
        one.reserved.close()


def test_refused_subscription_is_named_and_does_not_stop_the_board(tmp_path: Path) -> None:
    """And an account whose name and password have 512 bytes each logs in."""
    with guarded(tmp_path, ["t/in/cmd", "t/in/set"]) as broker:
        topics = ["t/in/cmd", "t/in/other", "t/in/set", "homeassistant/status"]
        with board(broker.port, topics=topics, messages=2, **ACCOUNT) as lines:
            assert lines.expect("UP") == "UP ['t/in/other', 'homeassistant/status']"
            lines.expect("ACKED 2 OF 2")
            assert [line for line in lines.seen if "subscription_refused" in line and "t/in/other" in line]
            watcher = paho.Client(paho.CallbackAPIVersion.VERSION2)
            watcher.username_pw_set(ACCOUNT["user"], ACCOUNT["password"])
            watcher.connect("127.0.0.1", broker.port)
            watcher.loop_start()
            for name in ("cmd", "other", "set"):
                watcher.publish("t/in/" + name, name, 1).wait_for_publish(WAIT_S)
            lines.expect("MESSAGE t/in/set")
            watcher.disconnect()
            watcher.loop_stop()
            assert not any("t/in/other" in line for line in lines.seen if line.startswith("MESSAGE"))


def test_without_its_first_subscription_a_board_says_so_and_tries_again(tmp_path: Path) -> None:
    with guarded(tmp_path, ["t/in/set"]) as broker:
        with board(broker.port, topics=["t/in/cmd", "t/in/set"], **ACCOUNT) as lines:
            assert "refused the subscription to t/in/cmd" in lines.expect("disconnected")
            lines.expect("disconnected")
            assert not any(line.startswith("UP") for line in lines.seen)


@pytest.mark.parametrize("host", ["::1", "[::1]", "127.0.0.1", "gate.home.", "GATE.HOME"])
def test_broker_is_found_however_its_place_is_written(host: str, tmp_path: Path) -> None:
    one = Broker("mosquitto", tmp_path)
    one.more = "listener %d ::1\nallow_anonymous true\n" % one.port
    one.start()
    try:
        names: Reply = lambda count, request: [answer(request, bytes((127, 0, 0, 1)))]  # noqa: E731
        with server(names) as dns, board(one.port, host=host, dns=dns) as lines:
            lines.expect("UP")
    finally:
        one.stop()
        one.reserved.close()


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
        assert "no acknowledgement" in lines.expect("disconnected")
        rogue.accept()
        lines.expect("UP")


def test_silent_broker_is_left_after_the_keepalive(rogue: Rogue) -> None:
    with board(rogue.port, keepalive_s=4) as lines:
        with rogue.accept():
            lines.expect("UP")
            lines.expect("disconnected")


@pytest.mark.parametrize(
    "bytes_sent",
    [b"\x30\x03\x00\x07x", b"\x00\x00", b"\x36\x05\x00\x01a\x00\x01x", b"\x40\x03\x01", b"\x60\x02\x00\x01"],
    ids=["topic_overruns", "no_type", "qos_3", "long_puback", "pubrel_without_flag"],
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
