"""Ekeys of persons: sent with the owner's tools, opened with the person's, refused when they are no more."""

import asyncio
import json
import stat
import time
from pathlib import Path

import pytest

from firmware.lib import opcodes
from host_tools.errors import HostError
from host_tools.gateway.ekeys import GatewayEkeys
from host_tools.near import holder
from host_tools.near.ekeys import LocalEkeys
from host_tools.near.local_link import local_link
from host_tools.owner import ekeys
from host_tools.owner.ekeys import Ekey
from host_tools.sim.site.owner import connect
from tests.system.bench import Bench

HOUR_S = 3600


@pytest.fixture(scope="module")
def quick(shared):
    """The shared site, whose lock locks itself after a second."""

    async def story(bench):
        assert (await bench.ask("autolock_set", {"seconds": 1}))["ok"]

    shared.run(story)
    return shared


async def through(bench, work):
    """Run `work(entry, way)` with the way through the gateway."""
    entry = bench.book.entries()[0]
    async with connect(bench.site) as gateways:
        return await work(entry, GatewayEkeys(await gateways.serving(entry.id, bench.gateway.id)))


async def near(bench, work):
    """The same beside the lock."""
    entry = bench.book.entries()[0]
    async with local_link(entry) as link:
        return await work(entry, LocalEkeys(link, entry))


async def send(bench, path: Path, ekey: Ekey, way=through) -> dict:
    """Send; the bundle as the person gets it."""
    await way(bench, lambda entry, reach: ekeys.send(bench.book, entry, reach, ekey, path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return json.loads(path.read_text())


async def opens(bench, bundle: dict, command: int = opcodes.UNLOCK, now_s: float | None = None) -> str:
    """ "ok", or the code and text of the refusal; the bolt is locked again afterwards and moved only for "ok"."""
    await bench.until(lambda: bench.lock.bolt == "locked", "locked")
    before = len(bench.lock.movements)
    try:
        await holder.operate(holder.read(bundle), command, now_s)
    except HostError as err:
        assert len(bench.lock.movements) == before
        return "%s %s" % (err.code, err)
    assert bench.moves(since=before)[0] == ("locked", "unlocked")
    await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
    return "ok"


def live(bench, person: str) -> Ekey:
    return ekeys.live(bench.book.entries()[0], person)


def test_f058_a_timed_ekey_opens_from_its_start_to_its_end(tmp_path):
    async def story():
        async with Bench(tmp_path, gateways=0) as bench:
            await bench.pair()
            begin = int(bench.site.now()) + HOUR_S
            ekey = Ekey(0, "Anna", ekeys.TIMED, begin, begin + 2 * HOUR_S)
            bundle = await send(bench, tmp_path / "anna.json", ekey, near)
            assert (bundle["startTime"], bundle["endTime"]) == (1000 * begin, 1000 * (begin + 2 * HOUR_S))
            assert (bundle["userType"], bundle["adminPs"], bundle["keyType"]) == ("110302", "", 0)
            assert live(bench, "anna").word(begin - 1) == "not active yet"
            assert "0x11" in await opens(bench, bundle)
            await bench.leap(HOUR_S + 70)
            assert await opens(bench, bundle) == "ok"
            await bench.leap(2 * HOUR_S)
            assert "0x0e" in await opens(bench, bundle)
            assert live(bench, "anna").word(begin + 2 * HOUR_S) == "expired"

    asyncio.run(story())


def test_f059_a_permanent_ekey_opens_by_any_clock(tmp_path):
    async def story():
        async with Bench(tmp_path, gateways=0) as bench:
            await bench.pair()
            bundle = await send(bench, tmp_path / "ben.json", Ekey(0, "Ben", ekeys.PERMANENT), near)
            assert (bundle["startTime"], bundle["endTime"]) == (0, 0)
            assert await opens(bench, bundle) == "ok"
            await bench.leap(400 * 86400)
            assert await opens(bench, bundle) == "ok"

    asyncio.run(story())


def test_f062_without_the_right_a_remote_unlock_is_refused_and_the_phone_still_opens(quick, tmp_path):
    async def story(bench):
        bundle = await send(bench, tmp_path / "carl.json", Ekey(0, "Carl", ekeys.PERMANENT))
        uid = bundle["uid"]
        still = len(bench.lock.movements)
        refused = await bench.ask("unlock", {"ekey": uid})
        assert (refused["code"], refused["ttlock"]) == ("remote_unlock_disabled", -3046), refused
        assert len(bench.lock.movements) == still
        await bench.until_linkless()
        assert await opens(bench, bundle) == "ok"

        async def allow(entry, way):
            ekey = ekeys.live(entry, "carl")
            ekey.remote = True
            await ekeys.change(bench.book, entry, way, ekey)

        await through(bench, allow)
        assert (await bench.ask("unlock", {"ekey": uid}))["code"] == "ok"
        await bench.until(
            lambda: (uid, 28) in [(item["who"], item["type"]) for item in bench.records()], "the record of the unlock"
        )
        assert (await bench.ask("unlock", {"ekey": uid + 1}))["code"] == "forbidden"

    quick.run(story)


def test_f066_a_frozen_ekey_is_refused_everywhere_until_it_is_thawed(quick, tmp_path):
    async def story(bench):
        bundle = await send(bench, tmp_path / "dora.json", Ekey(0, "Dora", ekeys.PERMANENT, remote=True))

        def turn(state):
            async def work(entry, way):
                ekey = ekeys.live(entry, "Dora")
                ekey.state = state
                await ekeys.change(bench.book, entry, way, ekey)

            return work

        await through(bench, turn(ekeys.FROZEN))
        assert live(bench, "dora").word(0) == "frozen"
        refused = await bench.ask("unlock", {"ekey": bundle["uid"]})
        assert (refused["code"], refused["ttlock"], refused["data"]["reason"]) == ("refused", -2025, "frozen"), refused
        items = (await bench.ask("ekey_list"))["data"]["items"]
        assert [item["state"] for item in items if item["uid"] == bundle["uid"]] == ["frozen"]
        await bench.until_linkless()
        assert "0x1c" in await opens(bench, bundle)
        await near(bench, turn(ekeys.NORMAL))
        assert await opens(bench, bundle) == "ok"
        assert (await bench.ask("ekey_list"))["ok"]  # the gateway hears of what was changed beside the lock
        assert (await bench.ask("unlock", {"ekey": bundle["uid"]}))["code"] == "ok"

    quick.run(story)


def test_f063_a_second_ekey_of_the_same_person_takes_the_place_of_the_first(quick, tmp_path):
    async def story(bench):
        first = await send(bench, tmp_path / "one.json", Ekey(0, "Emil", ekeys.PERMANENT))
        second = await send(bench, tmp_path / "two.json", Ekey(0, "emil", ekeys.PERMANENT))
        await bench.until_linkless()
        assert "0x0d" in await opens(bench, first)
        assert await opens(bench, second) == "ok"
        await through(bench, lambda entry, way: ekeys.delete(bench.book, entry, way, "Emil"))
        await bench.until_linkless()
        assert "0x0d" in await opens(bench, second)
        for person in ("administrator", "me"):
            with pytest.raises(HostError, match="-20(19|20)"):
                await send(bench, tmp_path / "no.json", Ekey(0, person, ekeys.PERMANENT))
        assert not (tmp_path / "no.json").exists()

    quick.run(story)


def test_f065_a_changed_period_counts_at_the_next_use_and_shows_in_the_list(quick, tmp_path):
    async def story(bench):
        now = int(bench.site.now())
        bundle = await send(bench, tmp_path / "ivy.json", Ekey(0, "Ivy", ekeys.TIMED, now - 60, now + HOUR_S))
        await bench.until_linkless()
        assert await opens(bench, bundle, now_s=now) == "ok"
        ekey = live(bench, "Ivy")
        ekey.start, ekey.end = now - 2 * HOUR_S, now - HOUR_S
        await through(bench, lambda entry, way: ekeys.change(bench.book, entry, way, ekey))
        await bench.until_linkless()
        kept = live(bench, "Ivy")
        assert (kept.start, kept.end, kept.word(now)) == (ekey.start, ekey.end, "expired")
        assert await opens(bench, bundle, now_s=now) != "ok", "the lock's own window counts, not the bundle's"
        ekey.end = now + HOUR_S
        await through(bench, lambda entry, way: ekeys.change(bench.book, entry, way, ekey))
        await bench.until_linkless()
        assert await opens(bench, bundle, now_s=now) == "ok"

    quick.run(story)


def test_f060_an_ekey_that_opens_once_opens_once(quick, tmp_path):
    async def story(bench):
        bundle = await send(bench, tmp_path / "once.json", Ekey(0, "Fay", ekeys.ONCE))
        assert bundle["endTime"] == 1
        await bench.until_linkless()
        assert await opens(bench, bundle) == "ok"
        assert "0x0d" in await opens(bench, bundle)

    quick.run(story)


def test_f061_a_recurring_ekey_is_judged_by_the_person_s_client(quick, tmp_path):
    async def story(bench):
        now = int(bench.site.now())
        day = (time.gmtime(now).tm_wday + 1) % 7 + 1  # 1 = Sunday
        hours = {"days": [day], "from": 0, "to": 1440}
        ekey = Ekey(0, "Gil", ekeys.RECURRING, now - 60, now + 9 * 86400, hours=hours)
        bundle = await send(bench, tmp_path / "gil.json", ekey)
        assert (bundle["keyType"], bundle["weekDays"]) == (4, [day])
        await bench.until_linkless()
        assert await opens(bench, bundle, now_s=now) == "ok"
        assert "this day" in await opens(bench, bundle, now_s=now + 86400)
        assert await opens(bench, bundle, now_s=now + 7 * 86400) == "ok"

    quick.run(story)


def test_f067_t_rev_1_nothing_that_a_person_kept_opens_after_the_ekey_is_deleted(quick, tmp_path):
    async def story(bench):
        bundle = await send(bench, tmp_path / "hal.json", Ekey(0, "Hal", ekeys.PERMANENT, remote=True))
        other = await send(bench, tmp_path / "ida.json", Ekey(0, "Ida", ekeys.PERMANENT))
        await bench.until_linkless()
        assert await opens(bench, bundle) == "ok"
        await near(bench, lambda entry, way: ekeys.delete(bench.book, entry, way, "Hal"))
        for edit in (
            {},
            {"startTime": 1, "endTime": 4 * 10**12},
            {"lockFlagPos": 99},
            {"uid": 0},
            {"uid": 4711},
            {"uid": other["uid"]},
            {"uid": bundle["uid"] + 100},
        ):
            said = await opens(bench, bundle | edit)
            assert "0x0d" in said or "0x08" in said, (edit, said)
            is_theirs = edit.get("uid", bundle["uid"]) >= bundle["uid"] and edit.get("uid") != other["uid"]
            assert ("0x0d" in said) == is_theirs, (edit, said)
        assert [line for line in bench.lock.lines if "ekey_refused" in line]
        assert (await bench.ask("ekey_list"))["ok"]
        assert (await bench.ask("unlock", {"ekey": bundle["uid"]}))["code"] == "forbidden"
        await bench.until_linkless()
        assert await opens(bench, other) == "ok"

    quick.run(story)


def test_t_rev_2_the_same_after_a_power_cycle_and_a_gateway_that_hands_out_an_old_request_again(quick, tmp_path):
    async def story(bench):
        bundle = await send(bench, tmp_path / "jan.json", Ekey(0, "Jan", ekeys.PERMANENT))
        await near(bench, lambda entry, way: ekeys.delete(bench.book, entry, way, "Jan"))
        printed = len(bench.lock.lines)
        await bench.lock.restart()
        await bench.lock.wait_line("lock started", after=printed)
        entry = bench.book.entries()[0]
        async with local_link(entry) as link:  # what the queue held: the same uid with the same secret
            with pytest.raises(Exception, match="0x0d"):
                await LocalEkeys(link, entry).add(bundle["uid"], int(bundle["unlockKey"]), Ekey(0, "", "once").limits)
        assert "0x0d" in await opens(bench, bundle)
        assert "0x0d" in await opens(bench, bundle | {"endTime": 4 * 10**12, "lockFlagPos": 7})
        assert "0x08" in await opens(bench, bundle | {"uid": 0})

    quick.run(story)


def test_f068_a_reset_ends_every_ekey_and_not_the_administrator(quick, tmp_path):
    async def story(bench):
        people = ("Kai", "Leo")
        mine = [await send(bench, tmp_path / (who + ".json"), Ekey(0, who, ekeys.PERMANENT)) for who in people]
        await through(bench, lambda entry, way: ekeys.reset(bench.book, entry, way))
        entry = bench.book.entries()[0]
        assert entry.flag_pos == 1 and not [each for each in ekeys.ekeys_of(entry) if each.is_live]
        await bench.until_linkless()
        for bundle in mine:
            assert "0x0d" in await opens(bench, bundle)
            assert "0x0d" in await opens(bench, bundle | {"lockFlagPos": 1})
        async with bench.beside(entry):  # the administrator logs in
            pass
        assert (await bench.ask("unlock"))["code"] == "ok"
        assert (await bench.ask("lock"))["code"] == "ok"
        again = await send(bench, tmp_path / "again.json", Ekey(0, "Kai", ekeys.PERMANENT))
        assert again["lockFlagPos"] == 1
        await bench.until_linkless()
        assert await opens(bench, again) == "ok"

    quick.run(story)


def test_an_ekey_of_a_lock_with_one_key_for_everybody_says_so(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from host_tools.cli.main import app
    from host_tools.owner.keybook import Entry, KeyBook

    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "keys.json"))
    monkeypatch.chdir(tmp_path)
    KeyBook().put(
        Entry(
            "24:0a:c4:b0:00:02",
            "Shed",
            "00112233445566778899aabbccddeeff",
            11,
            22,
            model="SN9100",
            zone="UTC",
            zone_rule="UTC0",
        )
    )
    refused = CliRunner().invoke(app, ("ekey", "send", "shed", "Mia", "--until", "+2d"))
    assert refused.exit_code == 1 and "pairing" in refused.stderr and "--yes" in refused.stderr
    assert not list(tmp_path.glob("*.Mia.json"))
    sent = CliRunner().invoke(app, ("ekey", "send", "shed", "Mia", "--until", "+2d", "--yes", "--to", "mia.json"))
    assert sent.exit_code == 0, sent.stderr
    bundle = json.loads((tmp_path / "mia.json").read_text())
    assert (bundle["unlockKey"], bundle["adminPs"], bundle["uid"]) == ("22", "", 0)
    shown = CliRunner().invoke(app, ("ekey", "list", "shed")).stdout
    assert "Mia" in shown and "expires in" in shown
