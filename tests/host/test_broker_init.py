"""`gatehouse broker`: what it makes, taken as it is by a real mosquitto: who may say and hear what (T-ACL-1), who is
let in at all (T-GWA-1), and that nobody pushes a gateway off by its id (T-GWA-3)."""

import contextlib
import getpass
import json
import os
import queue
import shutil
import socket
import ssl
import stat
import subprocess
import threading
import time

import paho.mqtt.client as paho
import pytest

from host_tools.broker import files, rules
from host_tools.broker.authority import Authority, Identity, Plan
from host_tools.errors import HostError
from host_tools.gateway import tls
from host_tools.gateway.broker_address import TLS_PORT
from host_tools.sim.site.broker import reserve_port
from tests.host import pki
from tests.host.test_cli import gatehouse

MOSQUITTO = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
A, B, LOCK = "240ac4a00000", "240ac4a00004", "aabbccddeeff"
WAIT_S = 120.0
OBSERVER = "observer"

# security.md ACL-1, in words of its own: (topic, who may publish, who may hear)
_BOTH = {"owner", "homeassistant"}
TOPICS: list[tuple[str, set[str], set[str]]] = []
for gw in (A, B):
    root = "gatehouse/%s/" % gw
    TOPICS += [(root + leaf, {gw}, _BOTH | {"recorder"}) for leaf in ("status", "info")]
    TOPICS += [(root + leaf, {gw}, _BOTH) for leaf in ("metrics", "rsp")]
    TOPICS.append((root + "cmd", _BOTH, {gw}))
    root += "lock/%s/" % LOCK
    TOPICS += [(root + leaf, {gw}, _BOTH) for leaf in ("state", "rsp", "trigger")]
    TOPICS += [(root + leaf, {gw}, _BOTH | {"recorder"}) for leaf in ("availability", "event", "records")]
    TOPICS += [(root + leaf, _BOTH, {gw}) for leaf in ("cmd", "set")]
    TOPICS.append((root + "records/ack", _BOTH | {"recorder"}, {gw}))
    TOPICS.append(("homeassistant/device/%s/gatehouse_%s/config" % (gw, LOCK), {gw}, _BOTH))
    TOPICS += [(root + leaf, set(), set()) for leaf in ("nothing", "cmd/more", "state/more")]
TOPICS.append(("homeassistant/status", _BOTH, _BOTH | {A, B}))
TOPICS += [
    (topic, set(), set())
    for topic in (
        "gatehouse",
        "gatehouse/" + A,
        "gatehouse/owner/cmd",
        "gatehouse/240ac4a00008/cmd",
        "gatehouse/240ac4a00008/status",
        "other/%s/status" % A,
        "homeassistant/device/240ac4a00008/x/config",
        "homeassistant/lock/x/config",
        "x",
    )
]
ALL = [topic for topic, _, _ in TOPICS]
IDENTITIES = (A, B, "owner", "homeassistant", "recorder")


class Client:
    """One MQTT connection with an identity of the folder."""

    def __init__(self, rig, name, ident=None, port=None, files=None):
        self.heard: queue.Queue = queue.Queue()
        self.lost = threading.Event()
        self.codes: queue.Queue = queue.Queue()
        self._granted = threading.Event()
        is_gateway = len(name) == 12 and name.isalnum() and name[0].isdigit()
        self.mqtt = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=ident or "gatehouse-test-%d" % time.monotonic_ns()
        )
        folder = rig.folder / "identities" / name
        given = files or tls.Tls(str(folder / "ca.pem"), str(folder / "cert.pem"), str(folder / "key.pem"))
        self.mqtt.tls_set_context(tls.context(given))
        self.mqtt.on_connect = lambda *args: self.codes.put(args[3])
        self.mqtt.on_subscribe = lambda *_: self._granted.set()
        self.mqtt.on_message = lambda _, __, m: self.heard.put((m.topic, m.payload, m.retain))
        self.mqtt.on_disconnect = lambda *_: self.lost.set()
        self.mqtt.connect("127.0.0.1", port or (rig.port if is_gateway else rig.port + 1))
        self.mqtt.loop_start()

    def entered(self):
        """Itself, once the broker has let it in."""
        assert not self.codes.get(timeout=WAIT_S).is_failure
        return self

    def publish(self, topics, payload, retain=False):
        """Returns when the broker has acknowledged all."""
        sent = [self.mqtt.publish(topic, payload, 1, retain) for topic in topics]
        for info in sent:
            info.wait_for_publish(WAIT_S)
            assert info.is_published()

    def subscribe(self, *topics):
        """Returns when the broker has answered, and so when all has come that it had sent before."""
        self._granted.clear()
        self.mqtt.subscribe([(topic, 0) for topic in topics])  # with QoS 1 only twenty would come before it
        assert self._granted.wait(WAIT_S)

    def drained(self):
        found = []
        while not self.heard.empty():
            found.append(self.heard.get())
        return found

    def close(self):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


class Rig:
    """A folder made by the command, and mosquitto with its configuration."""

    def __init__(self, folder):
        self.folder = folder / "broker of the house"
        self.reserved = self._two_ports()
        arguments = ["broker", "init", str(self.folder), "--name", "127.0.0.1", "--name", "localhost"]
        arguments += ["--port", str(self.port), "--gateway", A, "--gateway", "24:0A:C4:A0:00:04"]
        arguments += ["--controller", "owner", "--controller", "homeassistant", "--controller", "gone"]
        made = gatehouse(*arguments)
        assert made.exit_code == 0, made.output
        assert gatehouse("broker", "add", OBSERVER, "--dir", str(self.folder)).exit_code == 0
        shutil.copytree(self.folder / "identities/gone", folder / "gone")
        self.gone = folder / "gone"
        assert gatehouse("broker", "remove", "gone", "--dir", str(self.folder)).exit_code == 0
        with open(self.folder / "broker/acl", "a") as file:  # one who sees all, so that what is not there is seen, too
            file.write("\nuser %s\ntopic readwrite #\n" % OBSERVER)
        text = (self.folder / "broker/gatehouse.conf").read_text()
        (folder / "conf").write_text("user %s\npersistence false\n%s" % (getpass.getuser(), text))
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(folder / "conf")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for port in (self.port, self.port + 1):
            while True:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                if self._process.poll() is not None:
                    raise AssertionError(self._process.stdout.read())
                time.sleep(0.05)
        threading.Thread(target=self._process.stdout.read, daemon=True).start()

    def _two_ports(self):
        while True:
            first = reserve_port()
            self.port = first.getsockname()[1]
            second = socket.socket()
            try:
                second.bind(("127.0.0.1", self.port + 1))
            except OSError:
                first.close()
                second.close()
                continue
            second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            return first, second

    def close(self):
        self._process.terminate()
        self._process.wait()
        for each in self.reserved:
            each.close()


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    if not MOSQUITTO:
        pytest.skip("mosquitto is not installed")
    rig = Rig(tmp_path_factory.mktemp("broker"))
    yield rig
    rig.close()


@pytest.fixture(scope="module")
def observer(rig):
    client = Client(rig, OBSERVER).entered()
    client.subscribe("#")
    yield client
    client.close()


def _retained(rig):
    """What the broker has retained, by topic."""
    late = Client(rig, OBSERVER).entered()
    late.subscribe("#")
    late.subscribe("marker")
    found = {topic: payload for topic, payload, retain in late.drained() if retain}
    late.close()
    return found


@pytest.mark.parametrize("name", IDENTITIES)
def test_each_identity_publishes_what_it_may_and_nothing_else(name, rig, observer):
    client = Client(rig, name).entered()
    for retain in (False, True):
        observer.drained()
        payload = ("%s %d" % (name, retain)).encode()
        client.publish(ALL, payload, retain)
        observer.subscribe("marker")
        came = {topic for topic, said, _ in observer.drained() if said == payload}
        assert came == {topic for topic, writers, _ in TOPICS if name in writers}
    kept = _retained(rig)
    assert {topic for topic in kept if kept[topic] == payload} == came
    observer.publish(kept, b"", True)
    client.close()


@pytest.mark.parametrize("name", IDENTITIES)
def test_each_identity_hears_what_it_may_and_nothing_else(name, rig, observer):
    allowed = {topic for topic, _, readers in TOPICS if name in readers}
    client = Client(rig, name).entered()
    client.subscribe("#", "$SYS/#", *ALL)
    client.drained()
    observer.publish(ALL, b"now")
    client.subscribe("marker")
    assert {topic for topic, _, _ in client.drained()} == allowed
    client.close()
    observer.publish(ALL, b"kept", True)
    late = Client(rig, name).entered()
    late.subscribe("gatehouse/+/#", "homeassistant/#", "#")
    late.subscribe("marker")
    assert {topic for topic, _, _ in late.drained()} == allowed
    late.close()
    observer.publish(ALL, b"", True)


def test_the_rules_say_what_the_broker_does():
    everybody = [Identity(A, "gateway"), Identity(B, "gateway"), Identity("recorder", "recorder")]
    everybody += [Identity(name, "controller") for name in ("owner", "homeassistant")]
    for identity in everybody:
        given = rules.rules(identity, [A, B])
        for topic, writers, readers in TOPICS:
            assert rules.may(given, "write", topic) == (identity.name in writers), (identity, topic)
            assert rules.may(given, "read", topic) == (identity.name in readers), (identity, topic)


def _foreign(rig, case, folder):
    """Files of somebody who calls himself gateway A."""
    own = rig.folder / "identities" / A
    ca = str(own / "ca.pem")
    if case == "none":
        return tls.Tls(ca)
    if case == "revoked":
        return tls.Tls(ca, str(rig.gone / "cert.pem"), str(rig.gone / "key.pem"))
    if case == "other_authority":
        signed = pki.issue(A, pki.issue("authority"))
    elif case == "self_signed":
        signed = pki.issue(A)
    else:
        (certificate,) = pki.certificates.certificates(rig.folder / "ca/ca.pem")
        authority = pki.certificates.private_key(rig.folder / "ca/ca-key.pem"), certificate
        signed = pki.issue(A, authority, (), (-3, -1))
    cert, key = pki.write(folder, case, signed)
    return tls.Tls(ca, str(cert), str(key))


@pytest.mark.parametrize("case", ["none", "other_authority", "self_signed", "expired", "revoked"])
def test_who_shows_no_good_certificate_is_not_let_in(case, rig, tmp_path, observer):
    observer.drained()
    for port in (rig.port, rig.port + 1):
        with pytest.raises((ssl.SSLError, OSError, queue.Empty)):
            client = Client(rig, A, "gatehouse-" + A, port, _foreign(rig, case, tmp_path))
            client.mqtt.publish("gatehouse/%s/status" % A, "forged", 1)
            client.lost.wait(WAIT_S)
            try:
                assert client.codes.get_nowait() is None
            finally:
                client.mqtt.loop_stop()
    observer.subscribe("marker")
    assert not observer.drained()


def test_nobody_pushes_a_gateway_off_the_broker_by_its_id(rig):
    gateway = Client(rig, A, "gatehouse-" + A).entered()
    gateway.subscribe("gatehouse/%s/cmd" % A)
    clients = []
    for name in (B, "owner", "homeassistant", "recorder"):
        for port in (rig.port, rig.port + 1):
            for ident in ("gatehouse-" + A, A):
                try:
                    client = Client(rig, name, ident, port)
                    client.codes.get(timeout=WAIT_S)
                    clients.append(client)
                except OSError:
                    pass
    owner = Client(rig, "owner").entered()
    owner.publish(["gatehouse/%s/cmd" % A], b"still there?")
    assert gateway.heard.get(timeout=WAIT_S)[1] == b"still there?"
    assert not gateway.lost.is_set()
    for client in (*clients, owner, gateway):
        client.close()


def test_one_identity_may_have_several_connections_where_tools_connect(rig):
    first, second = (Client(rig, "owner").entered() for _ in range(2))
    second.publish(["gatehouse/%s/cmd" % A], b"one")
    first.publish(["gatehouse/%s/cmd" % A], b"two")
    assert not first.lost.is_set() and not second.lost.is_set()
    first.close()
    second.close()


def test_what_is_secret_is_readable_by_its_owner_only_and_no_key_of_a_client_goes_to_the_broker(rig):
    for path in rig.folder.rglob("*"):
        if "key" in path.name or path.is_dir():
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    assert {path.name for path in (rig.folder / "broker").iterdir()} == {
        "ca.pem",
        "crl.pem",
        "server.pem",
        "server-key.pem",
        "acl",
        "gatehouse.conf",
    }
    keys = [path.read_bytes() for path in rig.folder.rglob("*key.pem")]
    assert len(set(keys)) == len(keys) == len(Authority.open(rig.folder).plan.identities) + 2


WRONG = (
    ["--name", "x", "--gateway", "240AC4"],
    ["--name", "x", "--gateway", "not hexadecim"],
    ["--name", "x", "--controller", A],
    ["--name", "x", "--controller", "a b"],
    ["--name", "x", "--controller", "#"],
    ["--name", "x", "--controller", "a\ntopic readwrite #"],
    ["--name", "x", "--recorder", "../../etc"],
    ["--name", "x", "--recorder", "owner"],
    ["--name", ""],
    ["--name", "a b"],
    ["--name", "mqtt://x"],
    ["--name", "x:8883"],
    ["--name", "x", "--base", "a/b"],
    ["--name", "x", "--base", "#"],
)


@pytest.mark.parametrize("arguments", WRONG, ids=str)
def test_a_wrong_name_is_refused_and_nothing_is_made(arguments, tmp_path):
    result = gatehouse("broker", "init", str(tmp_path / "new"), *arguments)
    assert result.exit_code != 0 and "error bad_request: " in result.stderr
    assert not (tmp_path / "new").exists()


def test_a_folder_is_never_made_over_another(tmp_path):
    (tmp_path / "mine").touch()
    assert "config: " in gatehouse("broker", "init", str(tmp_path), "--name", "x").stderr
    assert "config: " in gatehouse("broker", "add", "x", "--dir", str(tmp_path)).stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_each_identity_is_told_how_to_reach_the_broker(tmp_path):
    plan = Plan(["broker.home", "192.168.1.7"], TLS_PORT, "house", "/etc/mosquitto/gatehouse")
    authority = Authority.create(tmp_path / "new", plan, [(A, "gateway"), ("owner", "controller")])
    files.write_all(authority)
    settings = json.loads((tmp_path / "new/identities" / A / "settings.json").read_text())
    assert settings["mqtt_host"] == "broker.home" and settings["mqtt_port"] == 8883
    assert "port = 8884" in (tmp_path / "new/identities/owner/config.toml").read_text()
    assert "cafile /etc/mosquitto/gatehouse/ca.pem" in (tmp_path / "new/broker/gatehouse.conf").read_text()
    with pytest.raises(HostError) as caught:
        authority.add("owner", "recorder")
    assert caught.value.code == "conflict"
