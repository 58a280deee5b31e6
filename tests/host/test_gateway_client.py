"""Finding gateways and sending commands, over a real broker with a scripted gateway."""

import asyncio
import contextlib
import json
import time

import aiomqtt
import pytest

from firmware.lib import envelope
from host_tools.errors import HostError, Pending
from host_tools.gateway import client as gateway_client
from host_tools.owner.keybook import Entry
from host_tools.sim.site.broker import Broker
from tests.host.gateway_end import KEY, PUBLIC, GatewayEnd, pinned

GATEWAY, OTHER, LOCK = "240ac4a00000", "240ac4a00004", "240ac4b00002"
ENTRY = Entry("24:0a:c4:b0:00:02", "Front door", "00" * 16, 11, 22)


def with_gateway(
    work, reply=None, others=(), end=None, pins=None, told_key=PUBLIC, told_name="Hall", crowd=(), now_s=time.time
):
    """Run `work(gateways, asked, broker)` beside a gateway that answers `reply(request)` and notes these. `end`: how it
    signs; `pins`: what the key book has; `told_key` and `told_name`: what its `info` shows; `crowd`: ids of strangers,
    who say all this of themselves before it does; `now_s`: this computer's clock."""
    end = end or GatewayEnd()

    async def serve(broker, asked):
        async with aiomqtt.Client(broker.host, broker.port) as client:
            await client.subscribe("gatehouse/%s/#" % GATEWAY, qos=1)
            for gateway in (*crowd, GATEWAY, *others):
                info = {"id": gateway, "name": told_name, "x25519": told_key, "locks": [{"mac": LOCK}]}
                await client.publish("gatehouse/%s/status" % gateway, "online", qos=1, retain=True)
                await client.publish("gatehouse/%s/info" % gateway, json.dumps(info), qos=1, retain=True)
            async for message in client.messages:
                topic = str(message.topic)
                if topic.endswith("/cmd"):
                    request, text = end.take(topic, bytes(message.payload), reply or (lambda request: {}))
                    if request is not None:
                        asked.append((topic, request))
                    if text is not None:
                        await client.publish(topic[:-3] + "rsp", text, qos=1)

    async def run():
        broker = Broker()
        await broker.start()
        asked = []
        serving = asyncio.create_task(serve(broker, asked))
        known = [pinned(GATEWAY)] if pins is None else pins
        try:
            async with gateway_client.connect(
                "%s:%d" % (broker.host, broker.port), pins=lambda: known, now_s=now_s
            ) as gateways:
                await asyncio.wait_for(work(gateways, asked, broker), 120)
        finally:
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
                await serving
            await broker.stop()

    asyncio.run(run())


def refusal(work):
    """The HostError that awaiting `work` ends with."""

    async def caught():
        with pytest.raises(HostError) as info:
            await work
        return info.value

    return caught()


def test_the_only_gateway_is_found_and_its_answer_is_returned():
    async def work(gateways, asked, _broker):
        chosen = await gateways.choose(lock=LOCK)
        assert chosen == GATEWAY
        result = await gateways.command(chosen, LOCK, "state")
        assert result["data"] == {"lock": "LOCKED"}
        ((topic, request),) = asked
        assert topic == "gatehouse/%s/lock/%s/cmd" % (GATEWAY, LOCK)
        assert set(request) == {"id", "op", "iat", "exp", "iss", "nonce", "seq", "mac"}

    with_gateway(work, lambda request: {"data": {"lock": "LOCKED"}})


def test_unlocking_expires_by_itself():
    async def work(gateways, asked, _broker):
        await gateways.command(await gateways.choose(), LOCK, "unlock")
        assert asked[0][1]["exp"] > 1_700_000_000

    with_gateway(work)


def test_several_gateways_must_be_told_apart_and_unknown_locks_named():
    async def work(gateways, _asked, _broker):
        assert (await refusal(gateways.choose())).todo == "choose one with --gateway NAME"
        assert await gateways.choose(OTHER) == OTHER
        err = await refusal(gateways.choose(lock="000000000000", wait_s=0.3))
        assert err.code == "unknown_lock"
        assert "gatehouse import" in err.todo

    with_gateway(work, others=(OTHER,), pins=[])


def test_a_stranger_who_says_that_he_is_a_gateway_is_not_chosen():
    async def work(gateways, _asked, _broker):
        assert await gateways.choose(lock=LOCK) == GATEWAY

    with_gateway(work, others=(OTHER,))


def test_no_crowd_of_strangers_hides_the_owners_gateway():
    """As many as are kept and more, under its name, with its lock; each says that he is on line."""
    crowd = tuple("0bad%08x" % number for number in range(300))

    async def work(gateways, _asked, _broker):
        for ident in ("", GATEWAY, "Hall"):
            assert await gateways.choose(ident, LOCK, wait_s=60) == GATEWAY
        assert len(gateways.info) <= 257
        stranger = next(ident for ident in gateways.info if ident != GATEWAY)
        assert await gateways.choose(stranger, LOCK) == stranger, "by the very id"
        assert (await refusal(gateways.command(stranger, LOCK, "import", {}, secret=True))).code == "not_owned"

    with_gateway(work, crowd=crowd, pins=[pinned(GATEWAY, name="Hall")])


@pytest.mark.parametrize("which", ["", "Hall", "Cellar"])
def test_a_stranger_is_never_the_gateway_that_was_meant(which):
    async def work(gateways, _asked, _broker):
        err = await refusal(gateways.choose(which, LOCK, wait_s=0.3))
        assert err.code == "not_owned" and GATEWAY in str(err) and "--gateway" in err.todo

    with_gateway(work, pins=[pinned(OTHER, name="Hall")], told_name="Cellar" if which == "Cellar" else "Hall")


def test_the_key_books_name_counts_before_what_a_topic_says():
    async def work(gateways, _asked, _broker):
        assert await gateways.choose("Hall", LOCK) == GATEWAY
        assert gateways.name(GATEWAY) == "Hall"
        assert (await refusal(gateways.choose("Cellar", wait_s=0.3))).code == "unknown_gateway"

    with_gateway(work, pins=[pinned(GATEWAY, name="Hall")], told_name="Cellar")


def test_keys_are_handed_over_so_that_only_the_gateway_can_read_them():
    async def work(gateways, asked, _broker):
        await gateways.choose()
        await gateways.hand_over(GATEWAY, ENTRY)
        topic, request = asked[0]
        assert topic == "gatehouse/%s/cmd" % GATEWAY
        assert ENTRY.aes not in json.dumps(request)
        opened = GatewayEnd().opened(topic, request)
        assert (opened["mac"], opened["aes"], opened["admin_ps"]) == (ENTRY.mac, ENTRY.aes, 11)

    with_gateway(work)


def test_a_refusal_says_why_and_what_to_do():
    async def work(gateways, _asked, _broker):
        err = await refusal(gateways.command(await gateways.choose(), LOCK, "unlock"))
        assert (err.code, err.todo) == ("refused", "change the lock's batteries")
        assert "low_battery" in err.line()

    with_gateway(work, lambda request: {"ok": False, "code": "refused", "data": {"reason": "low_battery"}})


def test_silence_is_an_unknown_outcome():
    async def work(gateways, _asked, _broker):
        err = await refusal(gateways.command(await gateways.choose(), LOCK, "unlock", wait_s=0.3))
        assert err.code == "outcome_unknown"

    with_gateway(work, lambda request: None)


def test_a_broker_that_goes_away_is_told_at_once():
    async def work(gateways, asked, broker):
        waiting = asyncio.create_task(gateways.command(await gateways.choose(), LOCK, "unlock"))
        while not asked:
            await asyncio.sleep(0.02)
        await broker.stop()
        err = await asyncio.wait_for(refusal(waiting), 120)
        assert err.code == "outcome_unknown"
        assert "broker" in str(err)

    with_gateway(work, lambda request: None)


def test_a_request_that_the_gateway_keeps_is_told_by_its_id():
    """A reply of {"ok": ...} is the scripted gateway's own; the messages on the way are sent beside it."""

    async def work(gateways, asked, broker):
        heard = []

        async def on_the_way():
            async with aiomqtt.Client(broker.host, broker.port) as client:
                while not asked:
                    await asyncio.sleep(0.01)
                body = {"id": asked[-1][1]["id"], "op": "passcode_add", "code": "progress"}
                for found in ({"press": 1}, {"state": "adding", "job_state": 4}):
                    topic = "gatehouse/%s/lock/%s/rsp" % (GATEWAY, LOCK)
                    forged = body | {"data": {"press": 99, "job_state": 4}}
                    for text in (json.dumps(forged), envelope.sign(KEY, topic, json.dumps(body | {"data": found}))):
                        await client.publish(topic, text, qos=1)

        telling = asyncio.create_task(on_the_way())
        chosen = await gateways.choose()
        err = await refusal(gateways.command(chosen, LOCK, "passcode_add", wait_s=1, on_progress=heard.append))
        await telling
        assert isinstance(err, Pending) and err.ident == asked[0][1]["id"]
        assert heard == [{"press": 1}, {"state": "adding", "job_state": 4}]
        asked.clear()
        telling = asyncio.create_task(on_the_way())
        began_s = asyncio.get_running_loop().time()
        err = await refusal(gateways.command(chosen, LOCK, "passcode_add", is_patient=False))
        await telling
        assert asyncio.get_running_loop().time() - began_s < 20, "it was waited for"
        assert isinstance(err, Pending) and err.ident == asked[0][1]["id"]
        assert (err.message["code"], err.message["id"]) == ("progress", asked[0][1]["id"])

    with_gateway(work, lambda request: None)


def test_every_gateway_of_a_lock_is_told_its_zone():
    kept = Entry("24:0a:c4:b0:00:02", "Front door", "00" * 16, 11, 22, zone="Asia/Kolkata", zone_rule="IST-5:30")
    for reply, refuse, told, codes in (
        (lambda request: {}, lambda request: None, [GATEWAY], []),
        (lambda request: {"code": "progress", "data": {"job_state": 6}}, lambda request: None, [GATEWAY], []),
        (None, lambda request: "forbidden", [], ["forbidden"]),
    ):

        async def work(gateways, asked, _broker, told=told, codes=codes):
            await gateways.choose("", LOCK)
            found, failed = await gateways.tell_zone(kept)
            assert (found, [error.code for error in failed]) == (told, codes)
            assert [request["args"] for _, request in asked] == [{"zone": "IST-5:30"}] * len(told)
            assert await gateways.tell_zone(kept, GATEWAY) == ([], [])

        with_gateway(work, reply, end=GatewayEnd(refuse))
