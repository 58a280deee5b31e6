"""A broker of the house's own, made by `gatehouse broker init` and taken as it is by a real mosquitto; its clients, and
who may say and hear what there (security.md ACL-1)."""

import contextlib
import getpass
import queue
import shutil
import socket
import subprocess
import threading
import time

import paho.mqtt.client as paho
import pytest

from host_tools.gateway import tls
from host_tools.sim.site.broker import find_mosquitto, reserve_ports
from tests.host.test_cli import gatehouse

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
        self.reserved = reserve_ports(2)
        self.port = self.reserved[0].getsockname()[1]
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
            [find_mosquitto(), "-c", str(folder / "conf")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
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

    def close(self):
        self._process.terminate()
        self._process.wait()
        for each in self.reserved:
            each.close()


def running(tmp_path_factory):
    """What a module's fixture yields: a Rig, until the module is through."""
    if not find_mosquitto():
        pytest.skip("mosquitto is not installed")
    rig = Rig(tmp_path_factory.mktemp("broker"))
    yield rig
    rig.close()
