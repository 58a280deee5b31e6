"""Gateways in the key book: how they come in, stay private, migrate, and go to further computers."""

import json
import stat
from dataclasses import asdict, replace

import pytest

from firmware.lib import envelope
from host_tools.errors import HostError
from host_tools.owner import gateways
from host_tools.owner.gateways import Gateway
from host_tools.owner.keybook import KeyBook
from host_tools.owner.owning import Owning
from tests.host.gateway_end import KEY, PUBLIC, pinned
from tests.host.test_cli import ENTRY, book, gatehouse  # noqa: F401
from tests.host.test_cli_no_wait import GATEWAY, ScriptedGateway

OWNED = {"ok": True, "public": PUBLIC}


def own(at, reply=OWNED, **more):
    owning = Owning(at, GATEWAY, **more)
    request = owning.request()
    assert KeyBook(at.path)._contents().gateways[GATEWAY].key == request["issuer"], "the key is kept before it goes"
    return request, owning.settle(reply)


def test_owning_keeps_the_key_before_and_pins_after(tmp_path):
    at = KeyBook(tmp_path / "keys.json")
    request, entry = own(at, name="Hall\n", broker="b:1883")
    assert request["do"] == "own" and len(request["issuer"]) == 64
    assert at.gateway(GATEWAY) == entry and (entry.public, entry.name, entry.issuer) == (PUBLIC, "Hall", "owner")
    again, _ = own(at)
    assert again == request, "the same owner is no other one"
    assert stat.S_IMODE(at.path.stat().st_mode) == 0o600
    assert entry.record_key == envelope.record_key(bytes.fromhex(request["issuer"]))


@pytest.mark.parametrize(
    "reply, code",
    [
        ({"ok": False, "code": "owned"}, "owned"),
        ({"ok": False, "code": "bad_request", "msg": "no such request"}, "unsupported"),
        ({"ok": True}, "unsupported"),
        ({"ok": True, "public": "00"}, "bad_request"),
    ],
)
@pytest.mark.parametrize("before", [None, pinned(GATEWAY), pinned(GATEWAY, issuer="kitchen")])
def test_a_gateway_that_is_not_ours_leaves_the_book_as_it_was(tmp_path, reply, code, before):
    at = KeyBook(tmp_path / "keys.json")
    if before:
        at.change_gateway(GATEWAY, lambda known: before)
    with pytest.raises(HostError) as caught:
        own(at, reply)
    assert caught.value.code == code
    if code != "bad_request":
        assert at.gateway(GATEWAY) == before
    else:
        assert not before or at.gateways()


def test_a_book_of_before_stays_readable_and_takes_gateways(tmp_path):
    """An older release refuses a book with gateways, so that it cannot lose them; one without it reads as before."""
    for phrase in (None, "correct horse"):
        at = KeyBook(tmp_path / ("%s.json" % phrase), lambda again, said=phrase: said)
        at.put(ENTRY)
        at.protect(phrase)
        old = json.loads(at.path.read_text())
        assert old["gatehouse_keys"] == 1
        at.change_gateway(GATEWAY, lambda known: pinned(GATEWAY))
        new = json.loads(at.path.read_text())
        assert new["gatehouse_keys"] == 2 and (KEY.hex() in at.path.read_text()) is (phrase is None)
        read = KeyBook(at.path, lambda again, said=phrase: said)
        assert read.entries() == [ENTRY] and read.gateways() == [pinned(GATEWAY)]
        read.put(replace(ENTRY, name="Other"))
        assert read.gateways() == [pinned(GATEWAY)]
        read.change_gateway(GATEWAY, lambda known: None)
        assert json.loads(at.path.read_text())["gatehouse_keys"] == 1


@pytest.mark.parametrize(
    "change",
    [{"id": "x"}, {"public": "zz"}, {"public": "AB" * 32}, {"key": ""}, {"key": 5}, {"issuer": "Owner"}]
    + [{"issuer": ""}, {"issuer": "a" * 17}, {"records": "00"}, {"simulated": "yes"}, {"name": None}],
)
def test_a_damaged_entry_is_named_and_opens_nothing(tmp_path, change):
    at = KeyBook(tmp_path / "keys.json")
    at.change_gateway(GATEWAY, lambda known: pinned(GATEWAY))
    value = json.loads(at.path.read_text())
    value["gateways"][0].update(change)
    at.path.write_text(json.dumps(value))
    with pytest.raises(HostError) as caught:
        at.gateways()
    assert caught.value.code == "keys"


def test_an_entry_never_shows_its_keys():
    shown = repr(pinned(GATEWAY, issuer="kitchen", records="cd" * 32))
    assert KEY.hex() not in shown and "cd" * 32 not in shown


def test_a_file_for_another_computer_has_a_key_of_its_own_and_no_more():
    owner = pinned(GATEWAY, name="Hall")
    for is_recorder in (True, False):
        issuer = gateways.for_issuer(owner, "kitchen", is_recorder)
        kept = gateways.to_file(issuer)
        assert KEY.hex() not in json.dumps(kept)
        assert gateways.from_file(json.loads(json.dumps(kept))) == issuer
        assert (issuer.record_key == owner.record_key) is is_recorder
    for value in ([], {}, asdict(owner), gateways.to_file(owner), {**kept, "key": 1}, {**kept, "public": ""}):
        with pytest.raises(HostError):
            gateways.from_file(value)


@pytest.fixture
def gateway(book):  # noqa: F811
    book.put(ENTRY)
    found = ScriptedGateway()
    yield found
    found.close()


def test_the_owner_lets_a_computer_in_and_out(book, gateway, tmp_path, monkeypatch):  # noqa: F811
    book.change_gateway(GATEWAY, lambda known: pinned(GATEWAY, name="Hall"))
    args = ("--ops", "lock,unlock", "--locks", ENTRY.name, "--unlock-per-min", "3", "--recorder")
    path = tmp_path / "kitchen.json"
    done = gatehouse("issuer", "add", "kitchen", *args, "--to", str(path), *gateway.at)
    assert done.exit_code == 0, done.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    issuer = gateways.from_file(json.loads(path.read_text()))
    assert issuer.key not in done.output
    told = gateway.opened[-1]
    assert told == {
        "name": "kitchen",
        "key": issuer.key,
        "ops": ["lock", "unlock"],
        "locks": [ENTRY.id],
        "rates": {"unlock_per_min": 3},
    }
    gateway.answers["issuers"] = {"ok": True, "data": {"items": [{"name": "kitchen", "ops": "*", "locks": [ENTRY.id]}]}}
    listed = gatehouse("issuer", "list", *gateway.at)
    assert "kitchen" in listed.output and ENTRY.id in listed.output
    assert gatehouse("issuer", "remove", "kitchen", *gateway.at).exit_code == 0
    assert gateway.asked[-1]["args"] == {"name": "kitchen"}

    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "other" / "keys.json"))
    assert gatehouse("issuer", "import", str(path)).exit_code == 0
    assert KeyBook().gateway(GATEWAY) == issuer
    shown = gatehouse("gateway", "keys")
    assert "kitchen" in shown.output and issuer.key not in shown.output
    assert gatehouse("issuer", "add", "other", *gateway.at).exit_code != 0, "only the owner may"
    monkeypatch.setenv("GATEHOUSE_KEYS", str(book.path))
    assert gatehouse("issuer", "import", str(path)).exit_code != 0
    assert KeyBook().gateway(GATEWAY).issuer == "owner", "an owner's key is not given up unasked"


def test_an_issuer_that_the_gateway_refuses_leaves_no_file(book, gateway, tmp_path):  # noqa: F811
    book.change_gateway(GATEWAY, lambda known: pinned(GATEWAY))
    gateway.answers["issuer_add"] = {"ok": False, "code": "refused", "data": {"reason": "full"}}
    path = tmp_path / "kitchen.json"
    assert gatehouse("issuer", "add", "kitchen", "--to", str(path), *gateway.at).exit_code != 0
    assert not path.exists()
    for name in ("owner", "Kitchen", "", "a" * 17, "a b"):
        assert gatehouse("issuer", "add", name, *gateway.at).exit_code != 0


def test_the_owner_sets_and_clears_the_pin_of_hubs(book, gateway):  # noqa: F811
    book.change_gateway(GATEWAY, lambda known: pinned(GATEWAY, name="Hall"))
    for wrong in ("", "123", "123456789", "12a4", "\u0664" * 4, " 1234"):
        done = gatehouse("remote-pin", "set", *gateway.at, input=wrong + "\n")
        assert done.exit_code != 0 and (not wrong or wrong not in done.output)
    assert not gateway.asked
    done = gatehouse("remote-pin", "set", *gateway.at, input="402913\n")
    assert done.exit_code == 0, done.output
    assert gateway.opened[-1] == {"pin": "402913"} and "402913" not in done.output
    assert "402913" not in json.dumps(gateway.asked), "sealed, and nowhere else"
    for flags, is_on in ((["remote_pin"], True), ([], False), (None, False)):
        gateway.answers["info"] = {"ok": True, "data": {"flags": flags}}
        shown = gatehouse("remote-pin", "show", "--json", *gateway.at)
        assert json.loads(shown.output)["remote_pin"] is is_on
    assert gatehouse("remote-pin", "clear", *gateway.at).exit_code == 0
    assert gateway.asked[-1]["op"] == "pin_clear" and "args" not in gateway.asked[-1]
    gateway.answers["pin_set"] = {"ok": False, "code": "refused", "msg": "remote_pin needs mqtt_ca"}
    done = gatehouse("remote-pin", "set", *gateway.at, input="402913\n")
    assert done.exit_code != 0 and "mqtt_ca" in done.output


def test_gateways_are_shown_and_dropped(book):  # noqa: F811
    assert "gatehouse provision" in gatehouse("gateway", "keys").output
    book.change_gateway(GATEWAY, lambda known: pinned(GATEWAY, name="Hall"))
    facts = json.loads(gatehouse("gateway", "show", "hall", "--json").output)
    assert (facts["public_key"], facts["issuer"], facts["records"]) == (PUBLIC, "owner", True)
    assert KEY.hex() not in gatehouse("gateway", "show", GATEWAY).output
    assert gatehouse("gateway", "show", "cellar").exit_code != 0
    assert gatehouse("gateway", "remove", "hall", "--yes").exit_code == 0
    assert not book.gateways()


def test_a_gateway_without_a_key_cannot_be_made():
    with pytest.raises(HostError):
        Gateway(GATEWAY, PUBLIC, "")
