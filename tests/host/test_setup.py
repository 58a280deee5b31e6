"""`gatehouse setup` on a simulated gateway without settings and a real broker: one dialogue, and back to the question
whose answer did not work. The questions are asked through the command itself, its input scripted.
"""

import json
import time

import pytest

from firmware.version import VERSION
from host_tools import screen
from host_tools.boards import flash, networks
from host_tools.doctor import port as of_port
from host_tools.owner.keybook import KeyBook
from host_tools.sim.site.broker import reserve_port
from tests.host.test_cli import book, gatehouse  # noqa: F401
from tests.host.test_doctor import HELLO, Typist, talker
from tests.host.test_provision import PASSWORD, USER, rig, tls_broker  # noqa: F401

pytestmark = pytest.mark.xdist_group("provision")  # its site


@pytest.fixture
def asked(monkeypatch):
    """Somebody sits at the terminal."""
    monkeypatch.setattr(screen, "asks", lambda: True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The key book of whom the rig's gateway belongs to, from the first test on."""
    return tmp_path_factory.mktemp("owner")


@pytest.fixture
def home(folder, monkeypatch):
    monkeypatch.setenv("GATEHOUSE_KEYS", str(folder / "keys.json"))
    monkeypatch.setenv("COLUMNS", "160")


def run(rig, *arguments, answers=()):  # noqa: F811
    """The command on the rig's gateway; `answers` are the lines that are typed."""
    return gatehouse("setup", *arguments, input="".join(each + "\n" for each in answers))


def fine(result):
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert PASSWORD not in result.output and "simulated" not in result.output
    return result


def test_from_a_board_without_settings_to_one_that_answers_by_five_steps(rig, home, asked, monkeypatch):  # noqa: F811
    board = rig.site.gateways[0]
    monkeypatch.setattr(networks, "ports", lambda: [(board.console, "a board")])
    answers = ["1", "simulated", "127.0.0.1:%d" % rig.port, USER, PASSWORD, "House"]
    result = fine(run(rig, "--insecure-broker", answers=answers))
    assert result.exit_code == 0, result.output
    assert [line[:6] for line in result.stdout.splitlines() if " of 5: " in line] == [
        "%d of 5" % n for n in range(1, 6)
    ]
    assert "sim  (" in result.stdout, "the network that the board hears"
    assert "gateway House (%s) works: 5 steps" % board.id in result.stdout
    assert "this computer has not" not in result.stdout
    assert [each.name for each in KeyBook().gateways()] == ["House"]
    # once more: what the board has is offered, and its passwords are kept
    again = fine(run(rig, "--port", board.console, "--insecure-broker", answers=["1", "", "", ""]))
    assert again.exit_code == 0 and "this computer has not the password" in again.stdout, again.output
    # and by options alone, which asks nothing, as JSON
    monkeypatch.setattr(screen, "asks", lambda: False)
    result = fine(gatehouse("setup", "--port", board.console, "--yes", "--insecure-broker", "--name", "Shed", "--json"))
    told = json.loads(result.stdout)
    assert (result.exit_code, told["ok"], told["id"], told["tls"]) == (0, True, board.id, False), result.output
    assert not told["answers"], "the password at the broker is the board's alone"


def test_over_bluetooth_from_an_add_window_and_a_wrong_password_leads_back_to_it(rig, home, asked, monkeypatch):  # noqa: F811
    board = rig.site.gateways[0]
    shown = rig.call(board.ask, {"do": "pop"})
    before = len(board.lines)
    rig.call(board.post, "in", 0, 0)  # its button, for more than three seconds, and less than ten
    time.sleep(4)
    rig.call(board.post, "in", 0, 1)
    rig.call(board.wait_line, "window open", 120, before)
    monkeypatch.setenv("GATEHOUSE_AIR", rig.site.air)
    answers = [shown["pop"], "1", "not this one", "127.0.0.1:%d" % rig.port, USER, PASSWORD, "Hall", "simulated"]
    result = fine(run(rig, "--ble", "--insecure-broker", answers=answers))
    assert result.exit_code == 0, result.output
    assert shown["pop"] not in result.output and "wifi_password: " in result.stderr
    assert "gateway Hall (%s) works: 5 steps" % board.id in result.stdout and "sim  (" in result.stdout


def test_a_wrong_password_leads_back_to_its_question_alone(rig, home, asked):  # noqa: F811
    board = rig.site.gateways[0]
    answers = ["1", "short", "not this one", "127.0.0.1:%d" % rig.port, USER, PASSWORD, "House", "simulated"]
    settings = {"wifi_ssid": "other", "wifi_password": "", "mqtt_user": None, "mqtt_password": None}
    rig.call(board.ask, {"do": "set", "settings": rig.good(**settings)})
    result = fine(run(rig, "--port", board.console, "--insecure-broker", answers=answers))
    assert result.exit_code == 0, result.output
    assert "that cannot be: wifi_password" in result.stderr and "wifi_password: " in result.stderr
    assert result.stdout.count("Which network?") == 1 and result.stdout.count("name of the gateway") == 1


def test_a_broker_that_is_not_there_leads_back_to_the_broker(rig, home, asked):  # noqa: F811
    board = rig.site.gateways[0]
    rig.call(board.ask, {"do": "set", "settings": rig.good()})
    with reserve_port() as closed:
        wrong = "127.0.0.1:%d" % closed.getsockname()[1]
        answers = ["1", wrong, "", "House", "127.0.0.1:%d" % rig.port]
        result = fine(run(rig, "--port", board.console, "--insecure-broker", answers=answers))
    assert result.exit_code == 0, result.output
    assert "broker_refused: " in result.stderr


def test_without_anybody_to_ask_what_is_missing_is_named(rig, home):  # noqa: F811
    board = rig.site.gateways[0]
    rig.call(board.ask, {"do": "set", "settings": rig.good()})
    other = gatehouse(
        "setup", "--port", board.console, "--ssid", "sim", "--yes", "--file", "-", input='{"mqtt_host":"a b"}'
    )
    assert other.exit_code == 2 and "error config: " in other.stderr, other.output


# --- ports


@pytest.mark.parametrize("count, code", [(0, "link"), (2, "bad_request")])
def test_none_and_several_boards_are_told(book, monkeypatch, count, code):  # noqa: F811
    monkeypatch.setattr(networks, "ports", lambda: [("/dev/port-%d" % n, "") for n in range(count)])
    result = gatehouse("setup", "--yes")
    assert result.exit_code and "error %s: " % code in result.stderr


def test_one_of_several_boards_is_chosen_by_its_number(book, asked, monkeypatch):  # noqa: F811
    typist = Typist(talker(hello=HELLO | {"role": "lock"}))
    monkeypatch.setattr(networks, "ports", lambda: [("/dev/no-such", "x"), (typist.port, "y")])
    try:
        result = gatehouse("setup", input="7\n2\n")
    finally:
        typist.close()
    assert "a number from 1 to 2" in result.stderr and "is a lock" in result.stderr and result.exit_code == 1


def test_an_older_firmware_is_flashed_and_a_refusal_leaves_it(book, asked, monkeypatch):  # noqa: F811
    flashed = []
    monkeypatch.setattr(flash, "flash", lambda *words: flashed.append(words[:2]))
    typist = Typist(talker(hello=HELLO | {"version": "0.0.1"}, settings={"ok": True, "settings": {}}))
    try:
        result = gatehouse("setup", "--port", typist.port, input="n\n")
        assert "error cancelled: " in result.stderr and not flashed
        gatehouse("setup", "--port", typist.port, "--yes")
    finally:
        typist.close()
    assert flashed == [("gateway", typist.port)]
    assert of_port.is_behind("0.0.1") and not of_port.is_behind(VERSION) and not of_port.is_behind(None)


@pytest.mark.parametrize(
    "told, count",
    [
        ([{"ssid": "a", "rssi": -50, "auth": 3}], 1),
        ([{"ssid": "a", "rssi": "x", "auth": 3}, {"ssid": 5}, None, {"ssid": "", "rssi": 1, "auth": 0}], 0),
        ({"a": 1}, 0),
        ([{"ssid": "a\x1b[2J", "rssi": -90, "auth": 99}] * 100, 40),
    ],
)
def test_networks_are_taken_as_far_as_they_are_some(told, count):
    typist = Typist(talker(networks={"ok": True, "networks": told}))
    try:
        found = networks.heard(typist.port)
    finally:
        typist.close()
    assert len(found) == count and all("\x1b" not in networks.shown(each) for each in found)
