"""Signed commands at the tools' end, over a real broker: what they bear, which answers are believed, what becomes of a
gateway that is not the pinned one."""

import asyncio
import json
import time
from dataclasses import replace

import aiomqtt
import pytest

from firmware.gateway.operations import table
from firmware.lib import envelope
from host_tools.errors import HostError, Unknown
from host_tools.gateway import signing
from host_tools.gateway.signing import Signer
from host_tools.owner.keybook import Entry
from tests.host.gateway_end import KEY, PUBLIC, GatewayEnd, pinned
from tests.host.test_gateway_client import ENTRY, GATEWAY, LOCK, refusal, with_gateway

RSP = "gatehouse/%s/lock/%s/rsp" % (GATEWAY, LOCK)
OTHER_KEY = bytes(32)


def answers_of_others(ident):
    """What others may put on the topic of results, by what is wrong with it."""
    good = {"id": ident, "op": "unlock", "ok": True, "code": "ok", "data": {"lock": "UNLOCKED"}}
    text = envelope.sign(KEY, RSP, json.dumps(good))
    yield "unsigned", RSP, json.dumps(good)
    yield "of another key", RSP, envelope.sign(OTHER_KEY, RSP, json.dumps(good))
    yield "of another topic", RSP, envelope.sign(KEY, RSP.replace(LOCK, "240ac4b00006"), json.dumps(good))
    yield "on another topic", RSP.replace(LOCK, "240ac4b00006"), text
    yield "altered", RSP, text.replace("UNLOCKED", "LOCKED")
    yield "mac cut", RSP, text[:-3] + '"}'
    yield "mac in capitals", RSP, text[:-66] + text[-66:-2].upper() + '"}'
    yield "blank behind", RSP, text + " "
    yield "member behind", RSP, text[:-1] + ',"ok":true}'
    yield "a refusal", RSP, json.dumps(good | {"ok": False, "code": "forbidden"})


def test_no_answer_of_anybody_else_is_believed():
    async def work(gateways, asked, broker):
        async def lie():
            async with aiomqtt.Client(broker.host, broker.port) as client:
                while not asked:
                    await asyncio.sleep(0.01)
                for _, topic, text in answers_of_others(asked[0][1]["id"]):
                    await client.publish(topic, text, qos=1)

        lying = asyncio.create_task(lie())
        err = await refusal(gateways.command(await gateways.choose(), LOCK, "unlock", wait_s=2))
        await lying
        assert isinstance(err, Unknown) and "somebody answered" in str(err)

    with_gateway(work, lambda request: None)


def test_a_session_is_used_again_and_begun_anew_when_it_has_ended():
    refused = []

    def refuse(request):
        if len(refused) < 1 and request["op"] == "lock":
            end.nonces.clear()
            refused.append(request)
        return None

    end = GatewayEnd(refuse)

    async def work(gateways, asked, _broker):
        for op in ("state", "state", "lock", "state"):
            await gateways.command(await gateways.choose(), LOCK, op)
        assert end.hellos == 2
        assert [request["op"] for _, request in asked] == ["state", "state", "lock", "state"]
        assert asked[2][1]["id"] == refused[0]["id"] and asked[2][1]["seq"] != refused[0]["seq"]
        assert len({request["seq"] for _, request in asked}) == 4

    with_gateway(work, end=end)


def test_a_session_that_always_ends_is_told_and_not_tried_for_ever():
    end = GatewayEnd(lambda request: "stale_nonce")

    async def work(gateways, _asked, _broker):
        err = await refusal(gateways.command(await gateways.choose(), LOCK, "lock"))
        assert err.code == "stale_nonce" and end.hellos == 3

    with_gateway(work, end=end)


def test_no_clock_that_is_set_back_and_no_old_key_book_locks_the_owner_out():
    """The gateway tells the highest number that it has seen of this issuer: whoever is behind goes on from there."""
    end = GatewayEnd()
    rest = [0, -1, -60, 3600, -3600, -86400, 10**9, -(10**9), -(10**9), 0, -1.5e9]
    clock = [0.0]

    async def work(gateways, asked, _broker):
        for number, apart_s in enumerate(rest):
            clock[0] = apart_s
            await gateways.command(GATEWAY, LOCK, "state")
            assert len(asked) == number + 1, apart_s

    for _ in range(2):  # of two processes the second knows nothing of the first
        with_gateway(work, end=end, now_s=lambda: time.time() + clock[0])
    # the same in one process after another, and some at once
    for apart_s in rest[-2:]:
        clock[0] = apart_s

        async def at_once(gateways, asked, _broker):
            await asyncio.gather(*(gateways.command(GATEWAY, LOCK, "state") for _ in range(5)))
            assert len(asked) == 5

        with_gateway(at_once, end=end, now_s=lambda: time.time() + clock[0])


@pytest.mark.parametrize("code", ["replayed", "retained"])
def test_what_is_said_of_a_copy_is_not_taken_for_the_answer(code):
    """Who repeats a signed request gets it refused, under its own id: the tool goes on waiting for its result."""
    said = []

    def refuse(request):
        said.append(request["id"])
        return code if len(said) == 1 else None

    async def work(gateways, _asked, broker):
        if code == "retained":  # nothing is sent again; the result follows by itself

            async def result():
                async with aiomqtt.Client(broker.host, broker.port) as client:
                    while not said:
                        await asyncio.sleep(0.01)
                    body = {"id": said[0], "op": "lock", "ok": True, "code": "ok"}
                    await client.publish(RSP, envelope.sign(KEY, RSP, json.dumps(body)), qos=1)

            asyncio.get_running_loop().create_task(result())
        assert (await gateways.command(await gateways.choose(), LOCK, "lock"))["ok"]
        assert len(set(said)) == 1

    with_gateway(work, end=GatewayEnd(refuse))


def test_another_key_than_the_pinned_one_stops_everything():
    async def work(gateways, asked, _broker):
        chosen = await gateways.choose()
        for op, secret in (("unlock", False), ("state", False), ("passcode_add", True)):
            err = await refusal(gateways.command(chosen, LOCK, op, {"code": "739154"}, secret))
            assert err.code == "gateway_key" and "provision" in err.line()
        assert not asked

    with_gateway(work, told_key="ab" * 32)
    with_gateway(work, end=GatewayEnd(public="ab" * 32))


def test_a_gateway_that_is_not_the_owners_any_more_is_told():
    async def work(gateways, asked, _broker):
        err = await refusal(gateways.command(await gateways.choose(), LOCK, "lock", wait_s=1))
        assert err.code == "no_answer" and "provision it again" in err.todo
        assert not asked

    with_gateway(work, end=GatewayEnd(key=OTHER_KEY))


def test_nothing_is_sealed_to_a_key_that_a_topic_told():
    async def work(gateways, asked, _broker):
        chosen = await gateways.choose()
        err = await refusal(gateways.hand_over(chosen, ENTRY))
        assert err.code == "not_owned" and "gatehouse provision" in err.todo
        signed = table.SIGNED | table.SEALED
        for of_lock in (True, False):
            for op in table.operations(of_lock):
                lock = LOCK if of_lock else None
                if table.rules(op, of_lock) & signed:
                    assert (await refusal(gateways.command(chosen, lock, op))).code == "not_owned", op
        for args in ({"code": "4711"}, {"new_code": "4711", "who": 1}, {"number": "12"}):
            assert (await refusal(gateways.command(chosen, LOCK, "card_add", args))).code == "not_owned"
        assert (await refusal(gateways.command(chosen, LOCK, "card_add", {}, secret=True))).code == "not_owned"
        assert not asked

    with_gateway(work, pins=[])
    with_gateway(work, pins=[replace(pinned(GATEWAY), public="")])


def test_what_holds_a_secret_is_sealed_whoever_asks():
    """Whatever the caller says: by the firmware's table, and by what the arguments are called."""
    secret = {"code", "new_code", "seeds", "unlock_key", "key", "pin", "aes"}
    for of_lock in (True, False):
        lock = LOCK if of_lock else None
        for op in table.operations(of_lock):
            is_sealed = bool(table.rules(op, of_lock) & table.SEALED)
            assert signing.must_seal(op, lock, None) == is_sealed, op
            assert signing.must_sign(op, lock) == bool(table.rules(op, of_lock) & table.SIGNED), op
            for name in secret | {"start", "slot"}:
                assert signing.must_seal(op, lock, {"start": 1, name: 1}) == (is_sealed or name in secret), (op, name)
        assert signing.must_seal("card_lost", LOCK, {"number": "1"})
        assert not signing.must_seal("fingerprint_delete", LOCK, {"number": 1})

    async def work(gateways, asked, _broker):
        await gateways.command(GATEWAY, LOCK, "passcode_delete", {"code": "402913"})
        await gateways.command(GATEWAY, None, "pin_set", {"pin": "402913"})
        await gateways.command(GATEWAY, LOCK, "emergency_unlock")
        assert ["sealed" in request for _, request in asked] == [True, True, False]
        assert not any("args" in request for _, request in asked)
        assert "402913" not in json.dumps(asked)

    with_gateway(work)


LONG = Entry(
    "24:0a:c4:b0:00:02",
    "\u00e4" * 60,
    "00" * 16,
    0xFFFFFFFF,
    0xFFFFFFFF,
    zone_rule="@60," + ",".join("%d=0" % (1771120800 + place) for place in range(34)),
)


def test_what_is_too_long_is_told_before_anything_is_sent_and_a_long_zone_follows():
    async def work(gateways, asked, _broker):
        chosen = await gateways.choose()
        told = []
        err = await refusal(gateways.command(chosen, LOCK, "name_set", {"name": "x" * 900}, on_sending=told.append))
        assert err.code == "too_long" and not asked and not told
        await gateways.hand_over(chosen, LONG)
        (first, imported), (_, zoned) = asked
        assert (imported["op"], zoned["op"], zoned["args"]) == ("import", "zone_set", {"zone": LONG.zone_rule})
        assert "zone" not in GatewayEnd().opened(first, imported)

    with_gateway(work)


def test_two_signers_of_one_computer_stay_within_the_window():
    now = [1_800_000_000.0]
    signers = [Signer(pinned(GATEWAY), now_s=lambda: now[0]) for _ in range(2)]
    for signer in signers:
        signer.begin({"nonce": "00" * 16, "public": PUBLIC, "time": None, "trusted": False})
    window, seen = envelope.Window(), 0
    for step in range(400):
        now[0] += 0.001 * (1 + step % 50)
        seq = json.loads(signers[step % 2].sign(LOCK, {"op": "state"}))["seq"]
        seen += window.take(seq)
    assert seen == 400 and seq <= envelope.MAX_SEQ


def test_a_simulated_gateway_gets_its_own_time_and_a_real_one_this_computers():
    for simulated, ahead in ((True, 86400), (False, 0)):
        signer = Signer(pinned(GATEWAY, simulated=simulated), now_s=lambda: 1_800_000_000.0)
        signer.begin({"nonce": "00" * 16, "public": PUBLIC, "time": 1_800_086_400, "trusted": True})
        members = signer.members("x", LOCK, "unlock", None, False, 30)
        assert members["iat"] == 1_800_000_000 + ahead and members["exp"] == members["iat"] + 30
        assert signer.is_apart() is not simulated


@pytest.mark.parametrize("told", [None, {}, {"nonce": 5, "public": PUBLIC}, {"nonce": "00"}])
def test_a_hello_without_sense_is_refused(told):
    signer = Signer(pinned(GATEWAY))
    with pytest.raises(HostError):
        signer.begin(told)
    assert signer.nonce is None


def test_an_expired_command_tells_that_the_clocks_differ():
    async def work(gateways, _asked, _broker):
        err = await refusal(gateways.command(await gateways.choose(), LOCK, "lock"))
        assert err.code == "expired" and "apart" in err.todo

    with_gateway(work, end=GatewayEnd(lambda request: "expired", clock=1_800_000_000))
