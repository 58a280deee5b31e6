"""Where the command line takes a broker to be, and what it says of the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.errors import HostError
from host_tools.gateway import broker_address
from host_tools.gateway.broker_address import BrokerAddress

RIGHT = {
    "localhost": ("localhost", 1883),
    "broker.home:1884": ("broker.home", 1884),
    " broker.home ": ("broker.home", 1883),
    "192.168.1.7": ("192.168.1.7", 1883),
    "192.168.1.7:8883": ("192.168.1.7", 8883),
    "::1": ("::1", 1883),
    "[::1]": ("::1", 1883),
    "[::1]:1884": ("::1", 1884),
    "fd00::7": ("fd00::7", 1883),
    "[fe80::1%eth0]:1884": ("fe80::1%eth0", 1884),
    "Home.Local": ("home.local", 1883),
    "HOMEASSISTANT.LOCAL.:1884": ("homeassistant.local", 1884),
    "mqtt://broker.home": ("broker.home", 1883),
    "mqtt://broker.home/": ("broker.home", 1883),
    "MQTT://broker.home:1884": ("broker.home", 1884),
    "mqtt://[fd00::7]:1884": ("fd00::7", 1884),
    "tcp://192.168.1.7": ("192.168.1.7", 1883),
    "mqtt://[::1]": ("::1", 1883),
    "broker:": ("broker", 1883),
}
WRONG = (
    "",
    " ",
    ":1883",
    "broker:0",
    "broker:65536",
    "broker:mqtt",
    "broker:1883:1884",
    "broker/home",
    "bro ker",
    "[::1",
    "[broker]:1883",
    "[::1]1883",
    "::1::2",
    "mqtt://",
    "mqtt://broker/topic",
    "mqtt://:1883",
    "http://broker",
    "ws://broker",
    "wss://broker",
    "https://broker",
    "broker:\u0661",
    "a\x00b",
)


@pytest.mark.parametrize("text", RIGHT)
def test_an_address_is_read_however_it_is_written(text):
    found = broker_address.read(text)
    assert (found.host, found.port, found.user) == (*RIGHT[text], None)
    assert broker_address.read(str(found)) == found  # and what is shown can be given again


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_address_is_refused_with_what_to_write(text):
    with pytest.raises(HostError) as caught:
        broker_address.read(text)
    assert caught.value.code == "config" and "host" in caught.value.todo


@pytest.mark.parametrize(
    "text, is_tls, port",
    [
        ("mqtts://broker.home", True, 8883),
        ("MQTTS://broker.home:8884", True, 8884),
        ("ssl://[::1]", True, 8883),
        ("mqtt://broker.home", False, 1883),
        ("broker.home", None, 1883),
        ("broker.home:8883", None, 8883),
    ],
)
def test_a_url_says_whether_there_is_tls_and_a_name_does_not(text, is_tls, port):
    found = broker_address.read(text)
    assert (found.is_tls, found.port, found.has_port) == (is_tls, port, text[-4:].isdigit())


def test_a_url_may_carry_the_login_and_never_shows_its_password():
    found = broker_address.read("mqtt://ada%40home:p%3Aw%2Fx@broker.home:1884")
    assert found == BrokerAddress("broker.home", 1884, "ada@home", "p:w/x")
    assert "p:w" not in repr(found) + str(found) and "ada" not in str(found)
    with pytest.raises(HostError) as caught:
        broker_address.read("mqtt://ada:hunter2@bro ker")
    assert "hunter2" not in str(caught.value) + caught.value.todo


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text):
    try:
        found = broker_address.read(text)
    except HostError as err:
        assert err.code == "config"
        return
    assert found.host and 0 < found.port < 65536
