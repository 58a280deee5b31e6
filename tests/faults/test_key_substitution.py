"""A broker that lies about whose key is whose (mqtt.md 2): whatever stands in a topic that a host tool reads, nothing
is ever sealed or signed to anybody but the gateway that was pinned, and the tool says why it stops."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from host_tools.errors import HostError
from host_tools.gateway.client import Gateways
from host_tools.owner.keybook import Entry
from host_tools.sim.site import owner
from tests.faults.rows import Row
from tests.faults.stranger import ID, PUBLIC, Stranger
from tests.system.bench import Bench
from tests.system.conftest import shared  # noqa: F401

SITE = {"broker": "mosquitto"}
_CODE = "cd" * 32  # key of a further issuer


@dataclass
class Lie:
    """What stands in which topics, what is answered to whom, and the code with which the tools stop; "": they go on,
    and what they say and hear is the real gateway's."""

    name: str
    code: str
    left: Callable[[Bench, dict], dict] = lambda bench, info: {}
    answers: dict = field(default_factory=dict)
    gateway: str = ""


def _own(bench: Bench, leaf: str) -> str:
    return "gatehouse/%s/%s" % (bench.gateway.id, leaf)


def _info(**members) -> Callable[[Bench, dict], dict]:
    return lambda bench, info: {_own(bench, "info"): info | members}


def _other(is_dead: bool = True, **members) -> Callable[[Bench, dict], dict]:
    """The stranger says that he is a gateway, with the owner's lock; and that the real one is off line."""

    def left(bench: Bench, info: dict) -> dict:
        told = {**info, "id": ID, "x25519": PUBLIC, **members}
        topics: dict = {"gatehouse/%s/info" % ID: told, "gatehouse/%s/status" % ID: "online"}
        return topics | ({_own(bench, "status"): "offline"} if is_dead else {})

    return left


def _hello(**members) -> Callable[[str, dict], str]:
    told = {"nonce": "00" * 16, "time": 1790000000, "trusted": True, "public": PUBLIC} | members
    return lambda topic, request: Stranger.signed(topic, request, data=told)


def _plain(topic: str, request: dict) -> str:
    return Stranger.unsigned(topic, request, data={"nonce": "00" * 16, "public": PUBLIC, "lock": "LOCKED"})


def _of_the_lock(bench: Bench, info: dict) -> dict:
    told = {"lock": "UNLOCKED", "x25519": PUBLIC, "nonce": "00" * 16}
    return {bench.topic("availability"): "offline", bench.topic("state"): told}


_OLD = {"op": "hello", "ok": True, "code": "ok", "data": {"nonce": "00" * 16, "public": PUBLIC}}
_OPS = ("hello", "state", "import", "passcode_add", "issuer_add")
LIES = [
    Lie("another key", "gateway_key", _info(x25519=PUBLIC)),
    Lie("a key of another form", "", _info(x25519="00")),
    Lie("no key", "", _info(x25519=None)),
    Lie("another nonce", "", _info(nonce="00" * 16)),
    Lie("another id", "", _info(id=ID)),
    Lie("another name", "", _info(name="Elsewhere")),
    Lie("other members", "", _info(owner=False, features=[], flags=["unsigned_unlock"], version="0.0.1")),
    Lie("no locks", "unknown_lock", _info(locks=[])),
    Lie("another gateway beside it", "", _other(False)),
    Lie("another gateway in its place", "not_owned", _other()),
    Lie("in its place, by its name", "not_owned", _other(), gateway="Gateway"),
    Lie("in its place, its key, too", "not_owned", lambda b, i: _other(x25519=i["x25519"])(b, i)),
    Lie("off line", "net", lambda bench, info: {_own(bench, "status"): "offline"}),
    Lie("hello answered by the stranger", "", answers={"hello": _hello()}),
    Lie("hello answered without a mac", "", answers={"hello": _plain}),
    Lie("everything answered, signed", "", answers=dict.fromkeys(_OPS, _hello())),
    Lie("everything answered, unsigned", "", answers=dict.fromkeys(_OPS, _plain)),
    Lie("state and availability", "", _of_the_lock),
    Lie("an old answer, retained", "", lambda bench, info: {_own(bench, "rsp"): {"id": "00" * 16, **_OLD}}),
]


async def _use(gateways: Gateways, bench: Bench, lie: Lie, entry: Entry) -> None:
    """A question, and commands whose arguments are sealed."""
    lock = bench.lock.id
    chosen = await gateways.choose(lie.gateway, lock, wait_s=1 if lie.code else 60)
    state = await gateways.command(chosen, lock, "state")
    assert state["data"]["src"], "not the gateway's answer: %s" % state  # the stranger's have no source
    await gateways.command(chosen, None, "issuer_add", {"name": "kitchen", "key": _CODE}, secret=True)
    await gateways.hand_over(chosen, entry)


async def _stopped(work: Awaitable) -> str:
    try:
        await work
    except HostError as error:
        assert error.todo and error.line(), "the tool does not say what to do"
        return error.code
    return ""


async def _judge(bench: Bench, row: Row, lie: Lie, stranger: Stranger, nonces: set, entry: Entry) -> None:
    """Nothing that he heard was for him."""
    for topic, request in stranger.commands():
        is_secret = "sealed" in request or "mac" in request
        row.check(bench.gateway.id in topic or not is_secret, "%s: signed to %s" % (lie.name, topic))
        row.check(ID not in topic, "%s: said to %s: %s" % (lie.name, topic, request))
        row.check("nonce" not in request or request["nonce"] in nonces, "%s: a nonce of his" % lie.name)
        row.check("sealed" not in request or not stranger.can_read(topic, request), "%s: sealed to him" % lie.name)
        for word in (entry.aes, _CODE):
            row.check(word not in json.dumps(request), "%s: in clear" % lie.name)


@pytest.mark.row("KEY-SUB", "other keys, nonces, ids and names in every topic that a host tool reads, and in answers")
def test_nothing_is_sealed_or_signed_to_a_key_of_a_topic(row: Row, shared) -> None:  # noqa: F811
    async def story(bench: Bench) -> None:
        true = [m for m in bench.mqtt.messages if m.topic == _own(bench, "info")][-1].value
        lies = LIES if row.count(0, 1) else [each for number, each in enumerate(LIES) if each.code or number % 5 == 2]
        commands = 0
        for lie in lies:
            async with Stranger(bench) as stranger:
                stranger.answers = lie.answers
                for topic, payload in lie.left(bench, true).items():
                    await stranger.leave(topic, payload)
                seen = len(bench.mqtt.messages)
                async with owner.connect(bench.site) as gateways:
                    code = await _stopped(_use(gateways, bench, lie, shared.entry))
                row.check(code == lie.code, "%s: ended with %r, not %r" % (lie.name, code, lie.code))
                told = [m for m in bench.mqtt.messages[seen:] if m.topic == _own(bench, "rsp")]
                nonces = {m.value["data"]["nonce"] for m in told if bench.is_proven(m) and m.value["op"] == "hello"}
                await _judge(bench, row, lie, stranger, nonces, shared.entry)
                commands += len(stranger.commands())
            for leaf, payload in (("info", json.dumps(true)), ("status", "online")):
                await bench.mqtt.publish(_own(bench, leaf), payload, retain=True)
        row.figure("commands", commands)
        assert (await bench.ask("state"))["ok"]

    shared.run(story)
