"""`--no-wait` over a real broker with a scripted gateway: the command ends at once, and the key book claims nothing."""

import asyncio
import contextlib
import json
import threading
import time
from dataclasses import replace

import aiomqtt
import pytest

from host_tools.owner import names
from host_tools.sim.site.broker import Broker
from tests.host.gateway_end import PUBLIC, GatewayEnd, pinned
from tests.host.test_cli import ENTRY, book, gatehouse  # noqa: F401

GATEWAY = "240ac4a00000"
KEPT = {"code": "progress", "data": {"state": "adding", "job_state": 4, "near": False}}


class ScriptedGateway:
    """`answers` maps an operation to the body of its message; {"ok": ...} ends a request, None is no message. After it
    `on_told(request)` is called. In a thread of its own."""

    def __init__(self) -> None:
        self.answers: dict[str, dict | None] = {}
        self.asked: list[dict] = []
        self.opened: list[dict] = []  # the sealed arguments among them
        self.end = GatewayEnd()
        self.on_told = lambda request: None
        self.broker = Broker()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._ready.wait(20)

    @property
    def at(self) -> tuple[str, str]:
        return "--broker", "%s:%d" % (self.broker.host, self.broker.port)

    async def _serve(self) -> None:
        await self.broker.start()
        self._task = asyncio.current_task()
        with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
            async with aiomqtt.Client(self.broker.host, self.broker.port) as client:
                self._client = client
                await client.subscribe("gatehouse/%s/#" % GATEWAY, qos=1)
                info = {"id": GATEWAY, "x25519": PUBLIC, "locks": [{"mac": ENTRY.id}]}
                await client.publish("gatehouse/%s/status" % GATEWAY, "online", qos=1, retain=True)
                await client.publish("gatehouse/%s/info" % GATEWAY, json.dumps(info), qos=1, retain=True)
                self._ready.set()
                async for message in client.messages:
                    topic = str(message.topic)
                    if not topic.endswith("/cmd"):
                        continue
                    request, text = self.end.take(topic, bytes(message.payload), self._answer)
                    if request is not None:
                        self.asked.append(request)
                        if "sealed" in request:
                            self.opened.append(self.end.opened(topic, request))
                    if text is not None:
                        await client.publish(topic[:-3] + "rsp", text, qos=1)
                    if request is not None:
                        self.on_told(request)
        await self.broker.stop()

    def _answer(self, request: dict) -> dict | None:
        return self.answers.get(request["op"], {"ok": True, "code": "ok", "ms": 1})

    def say(self, request: dict, body: dict) -> None:
        """Publish an answer, from `on_told`."""
        topic = "gatehouse/%s/lock/%s/rsp" % (GATEWAY, ENTRY.id)
        text = self.end.sign(topic[:-3] + "cmd", {"id": request["id"], "op": request["op"]} | body)
        asyncio.get_running_loop().create_task(self._client.publish(topic, text, qos=1))

    def close_soon(self) -> None:
        """The broker and the gateway end, from `on_told`."""
        self._task.cancel()

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(20)


@pytest.fixture
def gateway(book):  # noqa: F811
    book.put(replace(ENTRY, model="GATEHOUSE-L1"))
    book.change_gateway(GATEWAY, lambda known: pinned(GATEWAY))
    gateway = ScriptedGateway()
    yield gateway
    gateway.close()


def known(book, kind):  # noqa: F811
    return [each for each in names.Names(book.find("front door")).credentials if each.kind == kind]


@pytest.mark.parametrize("where", ["before", "after"])
def test_what_the_gateway_keeps_is_told_at_once_and_noted_as_pending(book, gateway, where):  # noqa: F811
    gateway.answers["passcode_add"] = KEPT
    command = ["passcode", "add", "front door", "--name", "Ada", "--generate", "6", *gateway.at]
    began_s = time.monotonic()
    result = gatehouse(*(["--no-wait", *command] if where == "before" else [*command, "--no-wait"]))
    assert result.exit_code == 0, result.output
    assert time.monotonic() - began_s < 20, "it was waited for"
    ident = gateway.asked[-1]["id"]
    assert "the gateway keeps it as %s" % ident in result.stdout and "gatehouse jobs" in result.stdout
    assert "knows the passcode" not in result.stdout
    assert "passcode: " in result.stdout, "digits that were made up are known to nobody else"
    (credential,) = known(book, "passcode")
    assert (credential.name, credential.pending, credential.gone) == ("Ada", ident, None)

    gateway.answers["passcode_list"] = {"ok": True, "code": "ok", "data": {"items": []}}
    gateway.answers["jobs"] = {"ok": True, "code": "ok", "data": {"items": [{"id": ident, "state": "adding"}]}}
    assert "waits as %s" % ident in gatehouse("passcode", "list", "front door", *gateway.at).stdout
    assert known(book, "passcode")[0].pending == ident, "it still waits"


def _add(gateway):
    gateway.answers["passcode_add"] = KEPT
    result = gatehouse("passcode", "add", "front door", "--name", "Ada", "--no-wait", *gateway.at, input="739105\n")
    assert result.exit_code == 0, result.output
    gateway.answers["jobs"] = {"ok": True, "code": "ok", "data": {"items": []}}


def test_a_pending_code_that_the_lock_lists_later_is_there(book, gateway):  # noqa: F811
    _add(gateway)
    (credential,) = known(book, "passcode")
    item = {"code": "******", "type": "period", "who": credential.who[0], "start": "2026-01-01T00:00:00+00:00"}
    item["end"] = "2026-01-02T00:00:00+00:00"
    gateway.answers["passcode_list"] = {"ok": True, "code": "ok", "data": {"items": [item]}}
    listed = gatehouse("passcode", "list", "front door", *gateway.at).stdout
    assert "Ada" in listed and "waits" not in listed
    (credential,) = known(book, "passcode")
    assert (credential.pending, credential.gone) == ("", None)
    assert (credential.start, credential.end) == (1767225600, 1767312000)


def test_a_pending_code_that_came_to_nothing_is_gone(book, gateway):  # noqa: F811
    _add(gateway)
    gateway.answers["passcode_list"] = {"ok": True, "code": "ok", "data": {"items": []}}
    assert "no passcodes" in gatehouse("passcode", "list", "front door", *gateway.at).stdout
    (credential,) = known(book, "passcode")
    assert credential.pending == "" and credential.gone


def test_a_refusal_ends_the_command_and_notes_nothing(book, gateway):  # noqa: F811
    gateway.answers["passcode_add"] = {"ok": False, "code": "refused", "data": {"reason": "full"}}
    result = gatehouse("passcode", "add", "front door", "--name", "Ada", "--no-wait", *gateway.at, input="739105\n")
    assert result.exit_code == 1 and result.stderr.startswith("error refused: "), result.output
    assert known(book, "passcode") == []


def test_a_deletion_that_waits_leaves_the_credential(book, gateway):  # noqa: F811
    assert gatehouse("card", "add", "front door", "--name", "Ada", *gateway.at, input="123456\n").exit_code == 0
    assert known(book, "card")[0].pending == ""
    gateway.answers["card_delete"] = KEPT
    result = gatehouse("card", "delete", "front door", "--no-wait", "--json", *gateway.at, input="123456\n")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["code"], told["id"]) == ("progress", gateway.asked[-1]["id"])
    (card,) = known(book, "card")
    assert (card.pending, card.gone) == (told["id"], None)
    gateway.answers["jobs"] = {"ok": True, "code": "ok", "data": {"items": []}}
    gateway.answers["card_list"] = {"ok": True, "code": "ok", "data": {"items": []}}
    assert "has no cards" in gatehouse("card", "list", "front door", *gateway.at).stdout
    assert known(book, "card")[0].gone


def test_an_ekey_that_waits_keeps_its_bundle_until_the_lock_has_it(book, gateway, tmp_path):  # noqa: F811
    gateway.answers["ekey_list"] = {"ok": True, "code": "ok", "data": {"flag_pos": 0, "next_uid": 77, "items": []}}
    gateway.answers["ekey_add"] = KEPT
    result = gatehouse("ekey", "send", "front door", "Mia", "--no-wait", "--to", "mia.json", *gateway.at)
    assert result.exit_code == 0 and "keeps it as" in result.stdout, result.output
    assert (tmp_path / "mia.json").exists()
    assert [each["state"] for each in book.find("front door").ekeys] == ["sending"]
    item = {"uid": 77, "start": None, "end": None, "remote": False, "once": False, "state": "normal"}
    gateway.answers["ekey_list"] = {"ok": True, "code": "ok", "data": {"items": [item]}}
    assert "normal" in gatehouse("ekey", "list", "front door", "--check", *gateway.at).stdout
    assert [each["state"] for each in book.find("front door").ekeys] == ["normal"]


def test_an_ekey_that_waits_takes_the_place_of_the_one_before(book, gateway, tmp_path):  # noqa: F811
    ekey = {"uid": 76, "person": "Mia", "kind": "permanent", "start": None, "end": None, "remote": False}
    book.put(replace(ENTRY, model="GATEHOUSE-L1", ekeys=[{**ekey, "state": "normal", "sent": 1, "hours": None}]))
    gateway.answers["ekey_list"] = {"ok": True, "code": "ok", "data": {"flag_pos": 0, "next_uid": 77, "items": []}}
    gateway.answers["ekey_add"] = gateway.answers["ekey_delete"] = KEPT
    result = gatehouse("ekey", "send", "front door", "Mia", "--no-wait", "--to", "mia.json", *gateway.at)
    assert result.exit_code == 0, result.output
    assert [(each["op"], each.get("args")) for each in gateway.asked[1:]] == [
        ("ekey_add", None),  # its arguments are sealed
        ("ekey_delete", {"uid": 76}),
    ]


def test_a_change_of_an_ekey_that_waits_is_sent_whole(book, gateway):  # noqa: F811
    ekey = {"uid": 77, "person": "Mia", "kind": "permanent", "start": None, "end": None, "remote": False}
    book.put(replace(ENTRY, ekeys=[{**ekey, "state": "normal", "sent": 1, "hours": None}]))
    for op in ("ekey_change", "ekey_freeze"):
        gateway.answers[op] = KEPT
    result = gatehouse("ekey", "freeze", "front door", "Mia", "--no-wait", *gateway.at)
    assert result.exit_code == 0 and "is frozen" not in result.stdout, result.output
    assert [each["op"] for each in gateway.asked] == ["ekey_change", "ekey_freeze"]
    assert book.find("front door").ekeys[0]["state"] == "normal"


def test_names_are_kept_also_of_a_lock_that_is_given_by_its_name(book, gateway):  # noqa: F811
    gateway.answers["fingerprint_enrol"] = {"ok": True, "code": "ok", "ms": 1, "data": {"number": 5}}
    assert gatehouse("fingerprint", "enrol", "front door", "--name", "Ada", *gateway.at).exit_code == 0
    assert [(each.name, each.number) for each in known(book, "fingerprint")] == [("Ada", 5)]
