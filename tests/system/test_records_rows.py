"""Records from the lock's keypad to the owner's table: told at once, each once, all of them when asked for."""

import asyncio
import json

from typer.testing import CliRunner

from firmware.lib import marks
from host_tools.cli.main import app
from host_tools.owner import names
from host_tools.owner.keybook import KeyBook
from tests.system.bench import Bench

CODE = "739105"
OTHER = "846205"
EVENTS = 50


async def gatehouse(bench: Bench, folder, *arguments: str, status: int = 0) -> str:
    """Run a command of the owner's at this site's broker, with the bench's key book."""
    env = {
        "GATEHOUSE_MQTT": "%s:%d" % (bench.site.mqtt_host, bench.site.mqtt_port),
        "GATEHOUSE_KEYS": str(bench.book.path),
        "GATEHOUSE_RECORDS": str(folder / "records.db"),
        "COLUMNS": "200",
    }
    done = await asyncio.to_thread(CliRunner(env=env).invoke, app, arguments)
    assert done.exit_code == status, done.output
    return done.stdout


async def give(bench: Bench, code: str) -> None:
    assert (await bench.ask("passcode_add", {"code": code}))["code"] == "ok"


async def take(bench: Bench, code: str) -> None:
    assert (await bench.ask("passcode_delete", {"code": code}))["code"] == "ok"


async def enter(bench: Bench, code: str) -> None:
    await bench.lock.panel({"do": "keys", "digits": code + "#"})


def of_type(bench: Bench, type: int) -> list[dict]:
    return [item for item in bench.records() if item["type"] == type]


def test_f034_an_entry_at_the_keypad_is_on_mqtt_within_10_s(shared):
    async def story(bench):
        await give(bench, CODE)
        await bench.until_linkless()
        known = len(of_type(bench, 4))
        with bench.soon(10):
            await enter(bench, CODE)
            await bench.until(lambda: len(of_type(bench, 4)) > known, "the record")
        item = of_type(bench, 4)[-1]
        who = marks.of_passcode(bytes.fromhex(shared.entry.aes), CODE.encode())
        assert (item["list"], item["ok"], item["who"]) == (4, True, who)
        event = await bench.mqtt.wait(
            lambda message: message.topic == bench.topic("event") and message.value["rec"] == item["rec"]
        )
        assert (event.value["event_type"], event.value["type"], event.value["who"]) == ("unlock", 4, who)
        await enter(bench, OTHER)
        await bench.until(lambda: of_type(bench, 7), "the wrong entry")
        assert (of_type(bench, 7)[-1]["who"], of_type(bench, 7)[-1]["ok"]) == (None, False)
        await take(bench, CODE)
        for message in bench.mqtt.messages:
            assert message.topic.endswith("cmd") or (CODE not in message.text and OTHER not in message.text)

    shared.run(story)


def test_f108_f102_the_owner_sees_who_opened_with_what(shared, tmp_path):
    async def story(bench):
        assert (await bench.ask("autolock_set", {"seconds": 1}))["code"] == "ok"
        for code, name in ((CODE, "Ada"), (OTHER, "Ben")):
            await give(bench, code)
            names.remember(KeyBook(bench.book.path), shared.entry.mac, "passcode", None, name, secret=code)
            await bench.until(lambda: bench.lock.bolt == "locked", "locked")
            before = len(bench.lock.movements)
            await enter(bench, code)
            await bench.until(lambda before=before: len(bench.lock.movements) > before, "opened")
        assert (await bench.ask("unlock"))["code"] == "ok"
        await gatehouse(bench, tmp_path, "upload", shared.entry.mac)
        shown = await gatehouse(bench, tmp_path, "records", shared.entry.mac, "--person", "Ada", "--listed")
        assert "unlocked by passcode" in shown and "Ada" in shown
        assert "Ben" not in shown and "gateway" not in shown
        shown = await gatehouse(bench, tmp_path, "records", shared.entry.mac, "--kind", "ekey", "--json")
        assert {each["name"] for each in json.loads(shown)["records"]} == {"gateway"}
        for code in (CODE, OTHER):
            await take(bench, code)
        assert (await bench.ask("autolock_set", {"seconds": 5}))["code"] == "ok"

    shared.run(story)


def test_f102_two_unlocks_are_two_records_whoever_took_them_before(shared, tmp_path):
    """With a recorder beside the owner's, which takes what comes, and without one."""

    async def unlocks(bench, folder) -> tuple[int, int]:
        shown = json.loads(await gatehouse(bench, folder, "records", shared.entry.mac, "--json", "--size", "200"))
        assert len(shown["records"]) == shown["total"] and not shown["lost"]
        return shown["total"], len([each for each in shown["records"] if each["method"] == "gateway"])

    async def story(bench):
        try:
            for number, bench.mqtt.is_recorder in enumerate((True, False)):
                folder = tmp_path / str(number)
                folder.mkdir()
                before = len(bench.records())
                _, earlier = await unlocks(bench, folder)
                for _ in range(2):
                    assert (await bench.ask("unlock"))["code"] == "ok"
                    await bench.until(lambda: bench.lock.bolt == "locked", "locked")
                await bench.until(lambda before=before: len(bench.records()) > before, "records are told")
                total, now = await unlocks(bench, folder)
                assert now == earlier + 2
                assert total == (await bench.lock.panel({"do": "state"}))["records"]
        finally:
            bench.mqtt.is_recorder = True

    shared.run(story)


def test_f124_every_record_is_read_again_with_progress_and_kept_once(shared, tmp_path):
    async def story(bench):
        held = (await bench.lock.panel({"do": "state"}))["records"]
        seen = len(bench.mqtt.messages)
        result = await bench.ask("upload")
        assert (result["code"], result["data"]["next"]) == ("ok", None)
        assert result["data"]["read"] + result["data"]["new"] >= held
        steps = [
            message.value["data"]
            for message in bench.mqtt.messages[seen:]
            if message.topic == bench.topic("rsp") and message.value["code"] == "progress"
        ]
        assert steps and {step["total"] for step in steps} == {result["data"]["read"]}
        first: dict = {}
        for item in bench.records():  # a double says the same as the first
            assert first.setdefault((item["epoch"], item["rec"]), item) == item
        told = json.loads(await gatehouse(bench, tmp_path, "upload", shared.entry.mac, "--json"))
        assert told["kept"] == told["read"] >= held
        again = json.loads(await gatehouse(bench, tmp_path, "upload", shared.entry.mac, "--json"))
        assert (again["new"], again["kept"] >= told["kept"]) == (again["kept"] - told["kept"], True)

    shared.run(story)


def test_f106_clearing_the_owner_s_records_leaves_the_lock_s(shared, tmp_path):
    async def story(bench):
        await gatehouse(bench, tmp_path, "upload", shared.entry.mac)
        held = (await bench.lock.panel({"do": "state"}))["records"]
        await gatehouse(bench, tmp_path, "records", shared.entry.mac, "--clear", "--yes")
        shown = json.loads(await gatehouse(bench, tmp_path, "records", shared.entry.mac, "--stored", "--json"))
        assert shown["total"] == 0
        assert (await bench.lock.panel({"do": "state"}))["records"] == held

    shared.run(story)


def test_f123_a_diagnosis_has_all_parts_and_no_secret(shared, tmp_path):
    async def story(bench):
        entry = shared.entry
        assert (await bench.ask("passcode_add", {"code": "12"}))["code"] == "bad_request"
        await give(bench, CODE)
        path = tmp_path / "diagnosis.json"
        await gatehouse(bench, tmp_path, "diagnose", entry.mac, "--to", str(path))
        await take(bench, CODE)
        text = path.read_text()
        found = json.loads(text)
        assert found["missing"] == {}
        assert found["id"] == entry.id and found["lock"]["battery"] == 100
        assert found["report"]["firmware"] == found["host"]["gatehouse"] == found["gateway"]["version"]
        assert found["report"]["heap"] > 0 and found["report"]["uptime_s"] >= 0
        assert found["stores"]["stores"]["passcodes"] == 1
        assert found["report"]["clock_trusted"] is True
        assert found["settings"]["remote_unlock"] is True and found["settings"]["auto_lock_s"] == 5
        assert ("passcode_add", "bad_request") in [(each["op"], each["code"]) for each in found["errors"]]
        for secret in (entry.aes, str(entry.admin_ps), str(entry.unlock_key), entry.admin_passcode, CODE):
            assert secret and secret not in text

    shared.run(story)


def test_f105_an_hour_without_network_and_50_events_cost_no_record_and_double_none(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            await bench.adopt()
            await give(bench, CODE)
            await bench.until(lambda: of_type(bench, 93), "records are read")
            await bench.until_linkless()
            bench.site.switch_wifi(False)
            for _ in range(EVENTS):
                await enter(bench, CODE)
            held = 0
            while held < EVENTS:  # entries while the bolt is on its way are recorded when it has arrived
                await asyncio.sleep(0.05)
                held = (await bench.lock.panel({"do": "state"}))["records"]
            await bench.site.leap(3600)
            bench.site.switch_wifi(True)
            await bench.until(lambda: len({item["rec"] for item in bench.records()}) >= held, "all records")
            items = bench.records()
            once = {(item["epoch"], item["rec"]): item for item in items}  # how a consumer tells what came twice
            assert sorted(rec for _, rec in once) == list(range(held)), "each once"
            assert all(item == once[item["epoch"], item["rec"]] | {"gap": item["gap"]} for item in items)
            assert not [item for item in items if item["gap"]]
            assert len([item for item in once.values() if item["type"] == 4]) == EVENTS

    asyncio.run(story())
