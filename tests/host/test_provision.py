"""`gatehouse provision` at a simulated gateway and a real mosquitto with passwords: it ends when the gateway answers
over MQTT, or names where the way there ends, each with its own code."""

import asyncio
import getpass
import json
import shutil
import socket
import subprocess
import threading
import time

import aiomqtt
import pytest

from firmware.gateway import settings as gateway_settings
from host_tools.boards import board_files, provisioning, serial_console
from host_tools.boards.serial_console import SerialConsole
from host_tools.cli import boards
from host_tools.errors import HostError
from host_tools.gateway import brokers, tls
from host_tools.sim.site.broker import reserve_port
from host_tools.sim.site.site import Site, SiteSpec
from tests.host import pki
from tests.host.test_cli import gatehouse

USER, PASSWORD = "gate way", "p\u00e4ss word" + "x" * 60
WIFI = {"wifi_ssid": "sim", "wifi_password": "simulated", "insecure_broker": True}
NO_TLS = {"mqtt_ca": None, "mqtt_cert": None, "mqtt_key": None}  # what an earlier test may have set
# It may subscribe below `secret`, and hears nothing
_ACL = "user %s\ntopic readwrite #\ntopic deny secret/#\n"
_PATH = ":/usr/sbin:/usr/bin"
MOSQUITTO = shutil.which("mosquitto", path=_PATH), shutil.which("mosquitto_passwd", path=_PATH)


pytestmark = pytest.mark.xdist_group("provision")


class Rig:
    """A site with a gateway that has no settings, in a thread of its own, and a broker that asks for a password."""

    def __init__(self, folder):
        self._folder = folder
        self._ready = threading.Event()
        self._over = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._live(),), daemon=True)
        self._thread.start()
        assert self._ready.wait(120)
        self.reserved = reserve_port()
        self.port = self.reserved.getsockname()[1]
        (folder / "passwords").touch(0o600)
        subprocess.run([MOSQUITTO[1], "-b", folder / "passwords", USER, PASSWORD], check=True)
        text = (
            "listener %d 127.0.0.1\nallow_anonymous false\npassword_file %s\nacl_file %s\npersistence false\nuser %s\n"
        )
        (folder / "acl").write_text(_ACL % USER)
        (folder / "acl").chmod(0o600)
        (folder / "conf").write_text(text % (self.port, folder / "passwords", folder / "acl", getpass.getuser()))
        self._broker = subprocess.Popen([MOSQUITTO[0], "-c", folder / "conf"], stderr=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self._broker.poll() is None
                time.sleep(0.05)

    async def _live(self):
        self._over = asyncio.Event()
        async with Site(SiteSpec(gateways=1, locks=0, profile="ideal", provisioned=False)) as self.site:
            await self.site.gateways[0].ask({"do": "hello"}, 60)
            self._ready.set()
            await self._over.wait()

    def call(self, function, *args):
        """Run something in the site's own thread."""

        async def work():
            result = function(*args)
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(120)

    def good(self, **more):
        return {
            **WIFI,
            **NO_TLS,
            "mqtt_host": "127.0.0.1",
            "mqtt_port": self.port,
            "mqtt_user": USER,
            "mqtt_password": PASSWORD,
        } | more

    def provision(self, settings, is_leaping=False):
        """The command's result; `is_leaping`: the board's time-outs pass by leaps."""
        (self._folder / "settings.json").write_text(json.dumps(settings))
        over = threading.Event()

        def leap():
            while not over.wait(1):
                self.call(self.site.leap, 5)

        thread = threading.Thread(target=leap)
        if is_leaping:
            thread.start()
        try:
            console = self.site.gateways[0].console
            return gatehouse("provision", "--port", console, "--file", str(self._folder / "settings.json"))
        finally:
            over.set()
            if is_leaping:
                thread.join()

    def close(self):
        self._broker.terminate()
        self._broker.wait()
        self.reserved.close()
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(120)


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    if not all(MOSQUITTO):
        pytest.skip("mosquitto is not installed")
    rig = Rig(tmp_path_factory.mktemp("provision"))
    yield rig
    rig.close()


def _fails(rig, code, settings, is_leaping=False):
    result = rig.provision(settings, is_leaping)
    assert result.exit_code != 0, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error ")]
    assert line.startswith("error %s: " % code), result.stderr
    assert PASSWORD not in result.output and "simulated" not in result.output
    return line


class TlsBroker:
    """mosquitto as `gatehouse broker init` sets it up, for the rig's gateway."""

    def __init__(self, folder, gateway):
        self.folder = folder / "tls"
        self.reserved = reserve_port()
        self.port = self.reserved.getsockname()[1]
        made = ["broker", "init", str(self.folder), "--name", "127.0.0.1", "--gateway", gateway]
        assert gatehouse(*made, "--port", str(self.port)).exit_code == 0
        self.identity = self.folder / "identities" / gateway
        conf = folder / "tls.conf"
        text = (self.folder / "broker/gatehouse.conf").read_text()
        conf.write_text("user %s\npersistence false\n%s" % (getpass.getuser(), text))
        self._process = subprocess.Popen([MOSQUITTO[0], "-c", conf], stderr=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port + 1), 1).close()
                return
            except OSError:
                assert self._process.poll() is None
                time.sleep(0.05)

    def close(self):
        self._process.terminate()
        self._process.wait()
        self.reserved.close()


@pytest.fixture(scope="module")
def tls_broker(rig, tmp_path_factory):
    broker = TlsBroker(tmp_path_factory.mktemp("tls"), rig.site.gateways[0].id)
    yield broker
    broker.close()


_WIFI = {"wifi_ssid": "sim", "wifi_password": "simulated", "insecure_broker": None}


@pytest.mark.parametrize(
    "code, changes",
    [
        ("tls_authority", {"mqtt_ca": "other.pem", "mqtt_cert": None, "mqtt_key": None}),
        ("tls_client", {"mqtt_cert": None, "mqtt_key": None}),
        ("tls_client", {"mqtt_cert": "alien.der", "mqtt_key": "alien-key.der"}),
        ("tls_none", {"mqtt_port": 0}),
        ("", {}),
    ],
    ids=str,
)
def test_certificates_reach_the_board_and_their_faults_have_codes(rig, tls_broker, code, changes, monkeypatch):
    folder = tls_broker.identity
    pki.write(folder, "other", pki.issue("other"))
    pki.write(folder, "alien", pki.issue(rig.site.gateways[0].id, pki.issue("authority")))
    settings = json.loads((folder / "settings.json").read_text()) | _WIFI | {"mqtt_user": None, "mqtt_password": None}
    settings = board_files.located(settings | changes, folder)
    if changes.get("mqtt_port") == 0:
        settings["mqtt_port"] = rig.port  # the plain one
    if code:
        _fails(rig, code, settings)
        return
    config = tls_broker.folder / "identities/owner/config.toml"
    monkeypatch.setenv("GATEHOUSE_CONFIG", str(config))
    result = rig.provision(settings)
    assert result.exit_code == 0, result.output
    assert "answers over MQTT" in result.stdout  # asked by this computer with an identity of its own
    monkeypatch.delenv("GATEHOUSE_CONFIG")
    result = rig.provision(settings)
    assert "is at its broker, over TLS" in result.stdout


def test_the_pin_of_hubs_works_over_tls_and_nowhere_else(rig, tls_broker, monkeypatch):
    settings = json.loads((tls_broker.identity / "settings.json").read_text()) | _WIFI
    settings |= {"mqtt_user": None, "mqtt_password": None}
    config = tls_broker.folder / "identities/owner/config.toml"
    monkeypatch.setenv("GATEHOUSE_CONFIG", str(config))
    result = rig.provision(board_files.located(settings, tls_broker.identity))
    assert result.exit_code == 0, result.output

    def is_on():
        return json.loads(gatehouse("remote-pin", "show", "--json").stdout)["remote_pin"]

    async def answers(*payloads):
        """Of a lock whose keys the gateway has not: the PIN is what comes first."""
        lock = "gatehouse/%s/lock/0a0b0c0d0e0f/" % rig.site.gateways[0].id
        own = brokers.choose()
        context = tls.context(own.tls)
        async with aiomqtt.Client(own.host, own.port, identifier="gatehouse-hub", tls_context=context) as hub:
            await hub.subscribe(lock + "rsp", qos=1)
            found = []
            answer = aiter(hub.messages)
            for payload in payloads:  # one by one: refusals do not wait for the receipts of other answers
                await hub.publish(lock + "set", payload, qos=1)
                told = json.loads((await anext(answer)).payload)
                found.append((told["code"], told["data"].get("reason")))
            return found

    right, wrong = '{"do":"UNLOCK","code":"402913"}', '{"do":"UNLOCK","code":"402914"}'
    try:
        assert not is_on() and asyncio.run(answers(right)) == [("forbidden", None)]
        assert gatehouse("remote-pin", "set", input="402913\n").exit_code == 0
        assert is_on()
        told = asyncio.run(answers(right, wrong, "UNLOCK", right, *[wrong] * 5, right))
        assert told[:4] == [("unknown_lock", None), ("forbidden", "wrong_pin"), ("forbidden", "no_pin"), told[0]]
        assert told[4:] == [("forbidden", "wrong_pin")] * 5 + [("rate_limited", "pin_shut")]
        plain = rig.good(**{key: None for key in ("mqtt_user", "mqtt_password")})
        assert "remote_pin needs mqtt_ca" in _fails(rig, "config", plain)
    finally:
        monkeypatch.setenv("GATEHOUSE_CONFIG", str(config))
        assert gatehouse("remote-pin", "clear").exit_code == 0
    assert not is_on() and asyncio.run(answers(right)) == [("forbidden", None)]
    log = b"".join(board.log_path.read_bytes() for board in rig.site.boards)
    assert b"402913" not in log and b"pin_shut" in log


def test_it_ends_when_the_gateway_answers_over_mqtt(rig):
    result = rig.provision(rig.good())
    assert result.exit_code == 0, result.output
    assert "gateway %s has its settings and answers over MQTT" % rig.site.gateways[0].id in result.stdout


@pytest.mark.parametrize(
    "code, changes",
    [
        ("wifi_name", {"wifi_ssid": "sims"}),
        ("wifi_password", {"wifi_password": "not this one"}),
        ("broker_name", {"mqtt_host": "broker.invalid"}),
        ("login", {"mqtt_password": "not this one"}),
        ("login", {"mqtt_user": "nobody"}),
        ("login", {"mqtt_user": "", "mqtt_password": ""}),
    ],
)
def test_where_the_way_ends_is_told(rig, code, changes):
    line = _fails(rig, code, rig.good(**changes), is_leaping=True)
    shown = [value for value in changes.values() if value and "not this" not in value]
    assert not shown or any(value in line for value in shown)


def test_a_network_without_addresses_is_told(rig):
    rig.call(setattr, rig.site.wifi, "has_dhcp", False)
    try:
        _fails(rig, "address", rig.good(), is_leaping=True)
    finally:
        rig.call(setattr, rig.site.wifi, "has_dhcp", True)


def test_a_port_where_nobody_or_something_else_listens_is_told(rig):
    with reserve_port() as closed:
        assert str(closed.getsockname()[1]) in _fails(
            rig, "broker_refused", rig.good(mqtt_port=closed.getsockname()[1])
        )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        _fails(rig, "broker_silent", rig.good(mqtt_port=silent.getsockname()[1]), is_leaping=True)


def test_a_gateway_that_may_not_answer_is_told(rig, monkeypatch):
    monkeypatch.setattr(boards, "ANSWER_S", 3)
    assert "no answer comes over MQTT" in _fails(rig, "no_answer", rig.good(mqtt_base="secret"))


EXTREMES = [
    {
        "mqtt_base": "b",
        "keepalive_s": 4,
        "name": "",
        "presence_s": 600,
        "expiry_s": 1,
        "unlock_per_min": 1,
        "unlock_per_h": 1,
        "other_per_min": 1,
        "clock_max_drift_s": 2,
        "linger_ms": 0,
        "ntp_hosts": ["127.0.0.1", "a"],
        "ntp_host": "",
        "ntp_port": 1,
        "records_ack": "consumer",
        "records_clear": True,
        "discovery": False,
        "discovery_prefix": "h",
        "unsigned_unlock": True,
    },
    {
        "mqtt_base": "\u00e4" * 16,
        "keepalive_s": 3600,
        "name": "\u00e4" * 24,
        "presence_s": 86400,
        "expiry_s": 30,
        "unlock_per_min": 10000,
        "unlock_per_h": 100000,
        "other_per_min": 10000,
        "clock_max_drift_s": 3600,
        "linger_ms": 4000,
        "ntp_hosts": ["%d%s.invalid:65535" % (n, (("n" * 62 + ".") * 3)[:-1]) for n in range(5)],
        "ntp_host": "",
        "ntp_port": 65535,
        "records_ack": "puback",
        "records_clear": False,
        "discovery": True,
        "discovery_prefix": "h" * 32,
        "unsigned_unlock": False,
    },
]


@pytest.mark.parametrize("extremes", EXTREMES, ids=["least", "most"])
def test_what_is_accepted_works(rig, extremes):
    fixed = {"wifi_ssid", "wifi_password", "mqtt_host", "mqtt_port", "mqtt_user", "mqtt_password", *NO_TLS}
    fixed.add("remote_pin")  # for TLS only: test_the_pin_of_hubs_...
    fixed |= {"ip_address", "ip_router", "ip_dns"}  # together, where there is no DHCP: tests/system/test_window.py
    given = {key: value for key, value in rig.good().items() if value is not None}
    keys = set(gateway_settings.TABLE.check(given).as_dict())
    assert set(extremes) | fixed | {"insecure_broker"} == keys, "a setting is not in this test"
    result = rig.provision(rig.good(**extremes))
    assert result.exit_code == 0, result.output
    nothing = {key: None for key in extremes}
    assert rig.provision(rig.good(**nothing)).exit_code == 0


@pytest.mark.parametrize("ssid, password", [("\U0001f3e0" * 8, "p" * 63), ("s", "12345678"), ("s" * 32, "")])
def test_names_and_passwords_of_networks_work_at_their_extremes(rig, ssid, password):
    wifi = rig.site.wifi
    usual = wifi.ssid, wifi.password
    rig.call(setattr, wifi, "ssid", ssid)
    rig.call(wifi.change_password, password)
    try:
        result = rig.provision(rig.good(wifi_ssid=ssid, wifi_password=password))
        assert result.exit_code == 0, result.output
    finally:
        rig.call(setattr, wifi, "ssid", usual[0])
        rig.call(wifi.change_password, usual[1])


@pytest.mark.parametrize(
    "changes, key",
    [
        ({"mqtt_host": "http://broker"}, "mqtt_host"),
        ({"mqtt_host": "mqtt://broker/topic"}, "mqtt_host"),
        ({"mqtt_host": "::1"}, "mqtt_host"),
        ({"mqtt_host": "broker "}, "mqtt_host"),
        ({"mqtt_host": "broker:99999"}, "mqtt_port"),
        ({"wifi_password": "1234567"}, "wifi_password"),
        ({"wifi_ssid": "\u00e4" * 17}, "wifi_ssid"),
        ({"mqtt_port": 0}, "mqtt_port"),
        ({"mqtt_port": 70000}, "mqtt_port"),
        ({"mqtt_base": "home/+"}, "mqtt_base"),
        ({"ntp_host": "pool ntp org"}, "ntp_host"),
        ({"ntp_hosts": ["pool ntp org", "a"]}, "ntp_hosts"),
        ({"ntp_hosts": "pool.ntp.org"}, "ntp_hosts"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_sent(tmp_path, changes, key):
    settings = {**WIFI, "mqtt_host": "broker", **changes}
    (tmp_path / "s.json").write_text(json.dumps(settings))
    result = gatehouse("provision", "--port", str(tmp_path / "no such port"), "--file", str(tmp_path / "s.json"))
    assert result.exit_code != 0
    assert result.stderr.startswith("error config: ") and key in result.stderr, result.stderr


@pytest.mark.parametrize(
    "host, found",
    [
        ("mqtt://broker", {"mqtt_host": "broker"}),
        ("mqtt://broker:1884/", {"mqtt_host": "broker", "mqtt_port": 1884}),
        ("mqtts://Broker", {"mqtt_host": "broker", "mqtt_port": 8883}),
        (
            "mqtt://me:p%40ss@10.0.0.1:1",
            {"mqtt_host": "10.0.0.1", "mqtt_port": 1, "mqtt_user": "me", "mqtt_password": "p@ss"},
        ),
        ("mqtt://[fd00::1]:1883", {"mqtt_host": "fd00::1", "mqtt_port": 1883}),
        ("broker:1884", {"mqtt_host": "broker", "mqtt_port": 1884}),
        ("b\u00fccher.example", {"mqtt_host": "xn--bcher-kva.example"}),
        ("fd00::1", {"mqtt_host": "fd00::1"}),
        ("[fd00::1]", {"mqtt_host": "[fd00::1]"}),
        ("[fd00::1]:1884", {"mqtt_host": "[fd00::1]", "mqtt_port": 1884}),
    ],
)
def test_the_broker_as_people_write_it(host, found):
    assert provisioning.normal({"mqtt_host": host}) == found


def test_a_port_that_contradicts_the_url_is_told():
    with pytest.raises(HostError) as caught:
        provisioning.normal({"mqtt_host": "broker:1884", "mqtt_port": 1883})
    assert "mqtt_port" in str(caught.value)


def test_the_board_refuses_by_itself_and_tells_what_is_wrong(rig):
    with SerialConsole(rig.site.gateways[0].console, 20) as console:
        reply = console.ask({"do": "set", "settings": {"mqtt_host": "mqtt://broker", "wifi_password": "1234567"}}, 20)
        assert (reply["ok"], reply["code"]) == (False, "config")
        assert "mqtt_host is a URL" in reply["msg"] and "wifi_password has not" in reply["msg"]
        assert console.ask({"do": "hello"}, 20)["faults"] == []


def test_a_lock_is_not_provisioned():
    async def run():
        async with Site(SiteSpec(gateways=0, locks=1, profile="ideal")) as site:
            await site.locks[0].ask({"do": "hello"}, 30)
            with pytest.raises(HostError) as caught:
                await asyncio.to_thread(provisioning.provision, site.locks[0].console, {"wifi_ssid": "x"})
            assert "no gateway" in str(caught.value)

    asyncio.run(run())


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"a":'])
def test_settings_must_be_an_object(text):
    with pytest.raises(HostError):
        serial_console.read_settings(text)


def test_over_bluetooth_it_ends_the_same_way(rig, tmp_path, monkeypatch):
    gateway = rig.site.gateways[0]
    assert gatehouse("gateway", "reset", "--port", gateway.console, "--yes").exit_code == 0
    while (asked := gatehouse("gateway", "pop", "--port", gateway.console, "--json")).exit_code:
        pass  # it forgets everything, and starts anew
    shown = json.loads(asked.stdout)
    assert json.loads(shown["qr"]) == {"ver": "v1", "name": shown["name"], "pop": shown["pop"], "transport": "ble"}

    monkeypatch.setenv("GATEHOUSE_AIR", "127.0.0.1:%d" % rig.site.radio.hci_port)
    for name, text in (("settings", json.dumps(rig.good())), ("pop", shown["pop"] + "\n"), ("wrong", "a" * 16)):
        (tmp_path / name).write_text(text)
    given = "provision", "--ble", shown["name"], "--file", str(tmp_path / "settings"), "--pop-file"
    for pop, status, told in (("wrong", 1, "error wrong_pop: "), ("pop", 0, "answers over MQTT")):
        while shown["name"] not in gatehouse("provision", "--ble", "--list").output:
            pass
        result = gatehouse(*given, str(tmp_path / pop))
        assert result.exit_code == status and told in result.output, result.output
    assert shown["pop"] not in result.output and PASSWORD not in result.output


@pytest.mark.parametrize("given", [(), ("--ble", "--port", "x"), ("--list", "--port", "x"), ("NAME", "--port", "x")])
def test_one_way_to_the_gateway_must_be_chosen(given):
    result = gatehouse("provision", *given)
    assert result.exit_code == 2 and "over USB or over Bluetooth" in result.stderr
