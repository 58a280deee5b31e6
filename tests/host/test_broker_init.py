"""`gatehouse broker`: the rules and files that it makes, who can read them, what it refuses. Who is let in, and who may
say and hear what at a real mosquitto, is in tests/faults/test_own_broker.py."""

import json
import stat

import pytest

from host_tools.broker import files, rules
from host_tools.broker.authority import Authority, Identity, Plan
from host_tools.errors import HostError
from host_tools.gateway.broker_address import TLS_PORT
from tests.faults.own_broker import TOPICS, A, B, Client, running
from tests.host.test_cli import gatehouse


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    yield from running(tmp_path_factory)


def test_the_rules_say_what_the_broker_does():
    everybody = [Identity(A, "gateway"), Identity(B, "gateway"), Identity("recorder", "recorder")]
    everybody += [Identity(name, "controller") for name in ("owner", "homeassistant")]
    for identity in everybody:
        given = rules.rules(identity, [A, B])
        for topic, writers, readers in TOPICS:
            assert rules.may(given, "write", topic) == (identity.name in writers), (identity, topic)
            assert rules.may(given, "read", topic) == (identity.name in readers), (identity, topic)


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
