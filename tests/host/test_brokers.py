"""Which broker a command uses, and that it is never one without TLS unless the owner said so (security.md TLS-2, 3)."""

import os
import subprocess
import sys

import pytest

from host_tools.errors import HostError
from host_tools.gateway import brokers, local_brokers
from host_tools.gateway.brokers import Given
from host_tools.gateway.tls import SYSTEM, Tls

FILE = """
default = "home"
[brokers.home]
host = "broker.home"
ca = "ca.pem"
cert = "/abs/owner.pem"
key = "~/owner-key.pem"
user = "owner"
password_file = "password"
[brokers.shed]
host = "192.168.1.7:1884"
insecure = true
[brokers.cloud]
host = "mqtts://broker.example"
password_env = "CLOUD"
[brokers.apart]
host = "::1"
port = 8884
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("GATEHOUSE_")]:
        monkeypatch.delenv(name)
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    (tmp_path / "password").write_text("hunter2\n")
    monkeypatch.setenv("GATEHOUSE_CONFIG", str(path))
    monkeypatch.setenv("CLOUD", "sky")
    return path


def test_each_broker_of_the_file_is_used_as_it_stands_there(config):
    home = brokers.choose()
    folder = str(config.parent)
    files = Tls(folder + "/ca.pem", "/abs/owner.pem", os.path.expanduser("~/owner-key.pem"))
    assert (home.host, home.port, home.tls, home.user, home.password) == (
        "broker.home",
        8883,
        files,
        "owner",
        "hunter2",
    )
    assert "hunter2" not in repr(home) + str(home)
    shed, cloud, apart = (brokers.choose(name) for name in ("shed", "cloud", "apart"))
    assert (shed.host, shed.port, shed.tls) == ("192.168.1.7", 1884, None)
    assert (cloud.host, cloud.port, cloud.tls, cloud.password) == ("broker.example", 8883, Tls(SYSTEM), "sky")
    assert (apart.host, apart.port, apart.tls) == ("::1", 8884, Tls(SYSTEM))


def test_the_command_goes_over_the_environment_and_that_over_the_file(config):
    assert brokers.choose("", {"GATEHOUSE_MQTT": "shed"}).host == "192.168.1.7"
    assert brokers.choose("cloud", {"GATEHOUSE_MQTT": "shed"}).host == "broker.example"
    other = brokers.choose("", {"GATEHOUSE_MQTT": "b.example", "GATEHOUSE_MQTT_CA": "a", "GATEHOUSE_MQTT_USER": "ada"})
    assert (other.host, other.port, other.tls, other.user) == ("b.example", 8883, Tls("a"), "ada")
    assert brokers.choose(Given("home", ca="mine.pem")).tls.ca == "mine.pem"
    # a login of the environment belongs to its own broker
    assert brokers.choose("shed", {"GATEHOUSE_MQTT_USER": "ada", "GATEHOUSE_MQTT_PASSWORD": "x"}).password is None


TEXTS = ("broker.home", "broker.home:1883", "192.168.1.7", "127.0.0.1", "localhost", "[::1]:1883", "broker.home:8883")


@pytest.mark.parametrize("text", TEXTS)
def test_without_a_word_of_the_owner_every_broker_is_asked_for_tls(text, config):
    assert brokers.choose(text, {}).tls == Tls(SYSTEM)
    for environ in ({}, {"GATEHOUSE_MQTT_INSECURE": "0"}, {"GATEHOUSE_MQTT_INSECURE": ""}):
        with pytest.raises(HostError) as caught:
            brokers.choose("mqtt://" + text, environ)
        assert caught.value.code == "config" and "--insecure-broker" in caught.value.todo


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("environ", [{}, {"GATEHOUSE_MQTT_CA": "a"}])
def test_the_owner_may_allow_it(text, environ, config):
    for name in ("", "mqtt://"):
        assert brokers.choose(Given(name + text, insecure=True), environ).tls is None
    assert brokers.choose("mqtt://" + text, {"GATEHOUSE_MQTT_INSECURE": "1"} | environ).tls is None
    # what is allowed in general gives way to a certificate and to mqtts://
    assert brokers.choose("mqtts://" + text, {"GATEHOUSE_MQTT_INSECURE": "1"}).tls
    assert brokers.choose(text, {"GATEHOUSE_MQTT_INSECURE": "1", "GATEHOUSE_MQTT_CA": "a"}).tls == Tls("a")


CONTRADICTIONS = (
    Given("mqtts://broker", insecure=True),
    Given("broker", ca="a", insecure=True),
    Given("mqtt://broker", ca="a"),
    Given("mqtt://broker", cert="a", key="b"),
    Given("shed", ca="a", insecure=True),
)


@pytest.mark.parametrize("given", CONTRADICTIONS, ids=str)
def test_contradictions_are_told(given, config):
    with pytest.raises(HostError) as caught:
        brokers.choose(given, {"GATEHOUSE_MQTT_INSECURE": "1"})
    assert caught.value.code == "config"


WRONG_FILES = (
    "default = 'home'",
    "default = 1",
    "brokers = 1",
    "[brokers]\nhome = 1",
    "[brokers.home]",
    "[brokers.home]\nhost = ''",
    "[brokers.home]\nhost = 1",
    "[brokers.home]\nhost = 'a'\nport = true",
    "[brokers.home]\nhost = 'a'\nport = 0",
    "[brokers.home]\nhost = 'a'\nport = '1'",
    "[brokers.home]\nhost = 'a:1'\nport = 2",
    "[brokers.home]\nhost = 'a'\npassword = 'hunter2'",
    "[brokers.home]\nhost = 'mqtts://u:hunter2@a'",
    "[brokers.home]\nhost = 'a'\npassword_env = 'NOT_SET'",
    "[brokers.home]\nhost = 'a'\npassword_file = 'nothing'",
    "[brokers.home]\nhost = 'a'\ninsecure = 'yes'",
    "[brokers.home]\nhost = 'a'\ninsecure = true\nca = 'x'",
    "[brokers.home]\nhost = 'mqtts://a'\ninsecure = true",
    "[brokers.home]\nhost = 'mqtt://a'",
    "[brokers.home]\nhost = 'a'\ntls = false",
    "broker = 'a'",
    "not toml",
    "\xff",
)


@pytest.mark.parametrize("text", WRONG_FILES)
def test_a_wrong_file_is_refused_and_never_half_used(text, config):
    config.write_bytes(text.encode("latin-1"))
    with pytest.raises(HostError) as caught:
        brokers.choose()
    assert caught.value.code == ("io" if "nothing" in text else "config")
    assert "hunter2" not in caught.value.line()


def test_no_file_is_no_fault_unless_it_was_named(config, monkeypatch, tmp_path):
    config.unlink()
    with pytest.raises(HostError):
        brokers.choose()
    monkeypatch.delenv("GATEHOUSE_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert brokers.choose("", {}).host == "localhost"


def test_a_running_site_of_this_user_on_this_computer_counts_as_told(config, monkeypatch, tmp_path):
    monkeypatch.setattr(local_brokers.tempfile, "gettempdir", lambda: str(tmp_path))
    local_brokers.mark(21000)
    assert brokers.choose("127.0.0.1:21000", {}).tls is None
    assert brokers.choose("mqtt://localhost:21000", {"GATEHOUSE_MQTT_CA": "a"}).tls is None
    for elsewhere in ("127.0.0.1:21001", "192.168.1.7:21000", "broker.home:21000"):
        assert brokers.choose(elsewhere, {}).tls
    folder = next(tmp_path.glob("gatehouse-sites-*"))
    (folder / "21002").write_text(str(_ended()))  # a site that was killed
    assert brokers.choose("127.0.0.1:21002", {}).tls
    folder.chmod(0o777)  # somebody else may have put the mark there
    assert brokers.choose("127.0.0.1:21000", {}).tls
    folder.chmod(0o700)
    local_brokers.unmark(21000)
    assert brokers.choose("127.0.0.1:21000", {}).tls


def _ended() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid
