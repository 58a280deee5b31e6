"""Durable requests over the whole chain: what waits for a lock that is away, and what becomes of it."""

from tests.system.bench import Bench
from tests.system.owner_signs import id_of

_ADDED = 93  # record type of the lock: a passcode was added


async def _leave(bench: Bench) -> None:
    """Let the lock fall silent, and be so for longer than a gateway tries its luck."""
    bench.site.radio.faults.sleep(bench.lock.mac, 36000)
    await bench.leap(100)


async def _return(bench: Bench) -> None:
    """It is heard again."""
    bench.site.radio.faults.sleep(bench.lock.mac, 0)


async def _put(bench: Bench, op: str, args: dict, ident: str, **more) -> dict:
    """Send a request that waits -> the data of the first message, which says that the lock is not near."""
    seen = len(bench.mqtt.messages)
    await bench.send({"id": ident, "op": op, "args": args} | more)
    reply = await bench.mqtt.wait(lambda m: m.topic == bench.topic("rsp") and m.value["id"] == id_of(ident), after=seen)
    assert reply.value["code"] == "progress" and "ok" not in reply.value, reply.text
    assert not reply.value["data"]["near"], reply.text
    return reply.value["data"]


async def _result(bench: Bench, ident: str) -> dict:
    await bench.until(lambda: bench.results(ident), "a result of %s" % ident)
    (result,) = bench.results(ident)
    return result


async def _added(bench: Bench) -> int:
    """How many passcodes the lock's own log says were ever added."""
    read = await bench.ask("records_read")
    assert read["ok"], read
    held = (await bench.lock.panel({"do": "state"}))["records"]

    def told(*types: int) -> set:
        return {(item["epoch"], item["rec"]) for item in bench.records() if not types or item["type"] in types}

    await bench.until(lambda: len(told()) >= held, "all records on MQTT")
    return len(told(_ADDED))


def test_f137_a_job_given_out_of_range_survives_two_power_cuts_and_happens_once(shared):
    async def story(bench: Bench) -> None:
        before = await _added(bench)
        await _leave(bench)
        found = await _put(bench, "passcode_add", {"code": "480213"}, "durable")
        assert (found["state"], found["job_state"], found["near"]) == ("adding", 4, False), found
        for _ in range(2):
            printed = len(bench.gateway.lines)
            await bench.gateway.restart()
            await bench.gateway.wait_line("jobs jobs_wait .*count=1", after=printed)
            await bench.gateway.wait_line("clock synced", after=printed)
        assert not bench.results("durable")
        assert (await _put(bench, "passcode_add", {"code": "480213"}, "durable"))["state"] == "adding"
        (waiting,) = (await bench.ask("jobs"))["data"]["items"]
        assert (waiting["id"], waiting["job_state"]) == (id_of("durable"), 4) and "480213" not in str(waiting)
        assert b"480213" not in bench.gateway.image.read_bytes()
        await _return(bench)
        result = await _result(bench, "durable")
        assert (result["ok"], result["job_state"]) == (True, 1), result
        printed = len(bench.gateway.lines)
        await bench.gateway.restart()
        await bench.gateway.wait_line("clock synced", after=printed)
        again = await bench.ask("passcode_add", {"code": "480213"}, id="durable")
        assert again["code"] == "ok" and (await bench.ask("jobs"))["data"]["items"] == []
        assert await _added(bench) == before + 1
        assert (await bench.ask("passcode_delete", {"code": "480213"}))["ok"]

    shared.run(story)


def test_f137_what_is_refused_or_comes_too_late_has_failed(shared):
    async def story(bench: Bench) -> None:
        assert (await bench.ask("passcode_add", {"code": "112358"}))["job_state"] == 1
        await _leave(bench)
        change = {"code": "998877", "new_code": "887766"}  # the lock has no such passcode
        assert (await _put(bench, "passcode_change", change, "none"))["state"] == "modifying"
        late = {"keep": 60}
        assert (await _put(bench, "autolock_set", {"seconds": 9}, "late", **late))["state"] == "modifying"
        await bench.leap(61)
        result = await _result(bench, "late")
        assert (result["code"], result["job_state"]) == ("expired", 7), result
        await _return(bench)
        result = await _result(bench, "none")
        assert (result["code"], result["job_state"], result["data"]["reason"]) == ("refused", 7, "not_found"), result
        result = await bench.ask("passcode_delete", {"code": "112358"})
        assert (result["ok"], result["job_state"]) == (True, 1)

    shared.run(story)


def test_f137_order_is_kept_and_what_is_withdrawn_or_overtaken_does_not_happen(shared):
    async def story(bench: Bench) -> None:
        await _leave(bench)
        for ident, op, code in (
            ("kept", "passcode_add", "314159"),
            ("gone", "passcode_add", "271828"),
            ("overtaken", "passcode_add", "161803"),
            ("last", "passcode_delete", "161803"),
        ):
            await _put(bench, op, {"code": code}, ident)
        assert (await _result(bench, "overtaken"))["code"] == "cancelled"
        assert (await bench.ask("cancel", {"id": id_of("gone")}))["data"] == {"cancelled": True, "running": False}
        assert (await _result(bench, "gone"))["code"] == "cancelled"
        assert (await bench.ask("cancel", {"id": "nothing"}))["data"]["reason"] == "not_found"
        await _return(bench)
        assert (await _result(bench, "last"))["code"] == (await _result(bench, "kept"))["code"] == "ok"
        heard = [m.value["id"] for m in bench.mqtt.messages if m.topic == bench.topic("rsp") and "ok" in m.value]
        assert heard.index(id_of("kept")) < heard.index(id_of("last"))
        assert len((await bench.ask("passcode_list"))["data"]["items"]) == 1
        moved = len(bench.lock.movements)
        await bench.lock.panel({"do": "keys", "digits": "314159#"})
        await bench.until(lambda: len(bench.lock.movements) > moved, "the bolt moves")
        assert (await bench.ask("passcode_delete", {"code": "314159"}))["ok"]

    shared.run(story)
