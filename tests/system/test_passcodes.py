"""Passcodes of all types, from the owner's tools to the bolt: made without it, written through a gateway, erased."""

import asyncio
import json
import time

import pytest
from typer.testing import CliRunner

from firmware.lib import opcodes, records
from firmware.lib.messages import card_client, passcode_client, session_client, settings_client
from host_tools.cli.main import app
from host_tools.errors import HostError
from host_tools.gateway import credentials
from host_tools.near import ownership
from host_tools.owner import minting, names, zones
from host_tools.sim.site.owner import connect
from tests.system.bench import HANG_S

HOUR_S = 3600
DAY_S = 24 * HOUR_S


@pytest.fixture(scope="module")
def local(alone):
    """A site without a gateway, whose lock locks itself after a second."""
    alone.run(lambda bench: quickly(bench, alone.entry))
    return alone.run


@pytest.fixture(scope="module")
def quick(shared):
    """The site with a gateway, whose lock locks itself after a second."""
    shared.run(lambda bench: quickly(bench, bench.book.entries()[0]))
    return shared.run


async def quickly(bench, entry):
    async with bench.beside(entry) as link:
        await link.exchange(opcodes.AUTO_LOCK, settings_client.auto_lock_set(1))


def entry_of(bench):
    return bench.book.entries()[0]


def mint(bench, kind, start_s=0, hours=None, name=""):
    """A code that starts so many seconds from now, by the site's time."""
    now = bench.site.now()
    start = int(now + start_s)
    end = None if hours is None else start + hours * HOUR_S
    return minting.mint(bench.book, bench.lock.id, kind, start, end, name, now)


async def held(bench):
    return (await bench.lock.panel({"do": "state"}))["records"]


async def opens(bench, code, act=None):
    """Type it, or do something else at the panel, and wait for the record that tells what became of it.

    True if the bolt moved, which is then locked.
    """
    await bench.until(lambda: bench.lock.bolt == "locked", "locked")
    before, told = len(bench.lock.movements), await held(bench)
    await bench.lock.panel(act or {"do": "keys", "digits": code + "#"})
    async with asyncio.timeout(HANG_S):
        while await held(bench) == told:
            pass
    moved = bench.moves(since=before)[:1] == [("locked", "unlocked")]
    if moved:
        await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
    return moved


async def types(bench, n):
    """Types of the newest records, read beside the lock as its administrator."""
    found = []
    async with bench.beside(entry_of(bench)) as link:
        cursor = 0
        while cursor is not None:
            cursor, page = session_client.log_page(await link.exchange(opcodes.LOG, session_client.log_request(cursor)))
            found += [records.decode(raw).type for raw in page]
    return [each for each in found if each not in (26, 45)][-n:]


async def through(bench, work):
    """Run `work(passcodes)` through the gateway."""
    entry = entry_of(bench)
    async with connect(bench.site) as gateways:
        served = await gateways.serving(entry.id, bench.gateway.id)
        return await work(credentials.Passcodes(served, bench.book, entry))


async def number(work):
    """The TTLock number of a refusal."""
    with pytest.raises(HostError) as caught:
        await work
    return caught.value.ttlock


def test_guests_of_a_calendar_open_during_their_stay_and_never_after_it(quick, tmp_path):
    form = "BEGIN:VEVENT\nUID:%s\nSUMMARY:%s\nDTSTART:%s\nDTEND:%s\nEND:VEVENT\n"

    async def story(bench):
        entry, now = entry_of(bench), bench.site.now()
        env = {
            "GATEHOUSE_MQTT": "%s:%d" % (bench.site.mqtt_host, bench.site.mqtt_port),
            "GATEHOUSE_KEYS": str(bench.book.path),
        }

        async def sync(*stays):
            at = [
                [time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now + each * HOUR_S)) for each in stay[2:]]
                for stay in stays
            ]
            events = "".join(form % (*stay[:2], *when) for stay, when in zip(stays, at, strict=True))
            (tmp_path / "rooms.ics").write_text("BEGIN:VCALENDAR\n%sEND:VCALENDAR\n" % events)
            words = ("passcode", "sync", str(tmp_path / "rooms.ics"), entry.name, "--json", "--ahead", "366")
            done = await asyncio.to_thread(CliRunner(env=env).invoke, app, words)
            assert done.exit_code == 0, done.output
            return json.loads(done.stdout)["bookings"]

        await through(bench, lambda passcodes: passcodes.add({"code": "739155", "type": "permanent"}, "Owner"))
        first = await sync(("a", "Ada", -1, 30), ("b", "Flo", 24, 48))
        assert [(each["do"], each["name"]) for each in first] == [("add", "Ada"), ("add", "Flo")]
        ada, flo = (each["passcode"] for each in first)
        assert await opens(bench, ada) and not await opens(bench, flo)
        again = await sync(("a", "Ada", -1, 30), ("b", "Flo", 24, 48))
        assert [each["do"] for each in again] == ["keep", "keep"]
        moved = await sync(("a", "Ada", -1, 30), ("b", "Flo", -2, 48))
        assert sorted(each["do"] for each in moved) == ["keep", "move"]
        assert await opens(bench, flo)
        gone = await sync(("b", "Flo", -2, 48))
        assert [(each["do"], each["name"]) for each in gone] == [("delete", "Ada"), ("keep", "Flo")]
        assert not await opens(bench, ada) and await opens(bench, flo)
        assert [each["do"] for each in await sync()] == ["delete"]
        assert not await opens(bench, flo) and await opens(bench, "739155")
        assert (await bench.ask("passcode_clear"))["ok"]  # others use this lock, too

    quick(story)


def test_f029_a_code_made_with_no_gateway_opens(local):
    async def story(bench):
        assert not bench.site.gateways
        assert await opens(bench, mint(bench, "permanent").code)

    local(story)


def test_f071_a_permanent_code_used_on_its_first_day_works_later_and_an_unused_one_does_not(local):
    async def story(bench):
        used, unused = mint(bench, "permanent"), mint(bench, "permanent")
        assert await opens(bench, used.code)
        await bench.leap(25 * HOUR_S)
        assert await opens(bench, used.code)
        assert not await opens(bench, unused.code)
        assert (await types(bench, 1)) == [11]

    local(story)


def test_f072_a_timed_code_opens_inside_its_hours_and_is_issued_once(local):
    async def story(bench):
        made = mint(bench, "timed", 0, 2)
        assert made.start % HOUR_S == 0 and made.end - made.start == 2 * HOUR_S
        with pytest.raises(HostError) as caught:
            mint(bench, "timed", 0, 2)
        assert caught.value.ttlock == -1026
        with pytest.raises(HostError, match="a year at most"):
            mint(bench, "timed", 0, 367 * 24)
        assert await opens(bench, made.code)
        await bench.leap(2 * HOUR_S)
        assert not await opens(bench, made.code)
        assert (await types(bench, 1)) == [11]

    local(story)


def test_f073_a_one_time_code_opens_once_and_within_six_hours(local):
    async def story(bench):
        first, second = mint(bench, "once"), mint(bench, "once")
        assert await opens(bench, first.code)
        assert not await opens(bench, first.code)
        printed = len(bench.lock.lines)
        bench.lock.reset()
        await bench.lock.wait_line("lock started", after=printed)
        await bench.leap(6 * HOUR_S)
        assert not await opens(bench, second.code)
        assert not await opens(bench, first.code)
        assert (await types(bench, 2)) == [11, 11]

    local(story)


def test_f074_each_recurring_code_opens_on_its_days_and_hours_only(local):
    async def story(bench):
        to_hour = HOUR_S - bench.site.now() % HOUR_S
        wall = zones.local(bench.site.now(), zones.of(entry_of(bench))).timetuple()
        await bench.leap(to_hour + (12 - wall.tm_hour - 1) % 24 * HOUR_S + 60)  # a minute past noon
        made = {kind: mint(bench, kind, 0, 1) for kind in minting.RECURRING}
        day_before = None
        opened = 0
        for _ in range(7):
            now = bench.site.now()
            today = [each for each in made.values() if each.start <= now < each.start + DAY_S]
            for each in today:
                assert await opens(bench, each.code), each.kind
                opened += 1
            if day_before:
                assert not await opens(bench, day_before)
            day_before = next(each.code for each in today if len(each.kind) == 3 and each.kind in minting.RECURRING)
            await bench.leap(HOUR_S)
            if opened == len(today):  # the first day
                assert not await opens(bench, made["daily"].code)
            await bench.leap(DAY_S - HOUR_S)
        assert opened == 10
        assert await opens(bench, made["daily"].code)

    local(story)


def test_f075_an_erase_code_leaves_the_admin_passcode_alone(local):
    async def story(bench):
        entry = entry_of(bench)
        custom, used, unused = "864209", mint(bench, "permanent"), mint(bench, "permanent")
        async with bench.beside(entry) as link:
            await link.exchange(opcodes.PASSCODE, passcode_client.add(passcode_client.PERMANENT, custom))
            await link.exchange(opcodes.CARD, card_client.add(card_client.encode_id(3661413478)))
        assert await opens(bench, used.code)
        assert await opens(bench, custom)
        assert not await opens(bench, mint(bench, "erase").code)
        assert (await types(bench, 2)) == [10, 8]
        for code in (custom, used.code, unused.code):
            assert not await opens(bench, code)
        assert await opens(bench, entry.admin_passcode)
        assert await opens(bench, None, {"do": "card", "number": 3661413478})
        await bench.leap(HOUR_S)
        assert await opens(bench, mint(bench, "permanent").code)
        await ownership.set_code(bench.book, entry, ownership.ERASE, "9753102")
        assert not await opens(bench, "9753102")
        assert (await types(bench, 2)) == [10, 8]

    local(story)


def test_f083_the_admin_passcode_is_changed_beside_the_lock_and_opens(local):
    async def story(bench):
        entry = entry_of(bench)
        before = entry.admin_passcode
        for code in ("7193", "719304682"):
            await ownership.set_code(bench.book, entry, ownership.ADMIN, code)
            assert await opens(bench, code)
            assert (await types(bench, 1)) == [92]
        assert not await opens(bench, before)
        await bench.leap(HOUR_S)  # the codes of an hour in which there was an erasure are dead
        made = mint(bench, "permanent")
        async with bench.beside(entry) as link:
            await link.exchange(opcodes.SWITCHES, settings_client.switch_set(settings_client.PRIVACY, True))
        told = await held(bench)
        await bench.lock.panel({"do": "privacy", "on": True})
        while await held(bench) == told:
            pass
        assert not await opens(bench, made.code)
        assert (await types(bench, 1)) == [38]
        assert await opens(bench, "719304682")
        await bench.lock.panel({"do": "privacy", "on": False})
        assert await ownership.read_admin_code(bench.book, entry) == entry_of(bench).admin_passcode == "719304682"

    local(story)


def test_f076_a_custom_code_of_any_length_opens_by_the_minute(quick):
    async def story(bench):
        now = int(bench.site.now())
        for code in ("7391", "739154826"):
            assert (await bench.ask("passcode_add", {"code": code}))["ok"]
            assert await opens(bench, code)
        for code in ("739", "7391548260"):
            assert (await bench.ask("passcode_add", {"code": code}))["ttlock"] == -3006
        period = {"code": "739155", "type": "period", "start": now - 120, "end": now + 120}
        assert (await bench.ask("passcode_add", period))["ok"]
        assert (await bench.ask("passcode_add", period))["ok"]
        assert (await bench.ask("passcode_add", period | {"end": now + 180}))["ttlock"] == -3007
        assert await opens(bench, "739155")
        assert (await bench.ask("passcode_clear"))["ok"]

    quick(story)


def test_f077_trivial_codes_are_refused(quick):
    async def story(bench):
        for code in ("111111", "123456"):
            assert (await bench.ask("passcode_add", {"code": code}))["ttlock"] == -2032

    quick(story)


def test_f078_f080_codes_are_listed_with_name_state_and_validity_and_shared_as_text(quick):
    async def story(bench):
        await through(bench, lambda asked: asked.add({"code": "482915", "type": "permanent"}, "Anna"))
        made = mint(bench, "once", name="Post")
        entry = entry_of(bench)
        listed = await through(bench, lambda asked: asked.list())
        assert [(each["name"], each["type"], each["code"]) for each in listed] == [("Anna", "permanent", "******")]
        assert listed[0]["who"] == names.who_of(entry.aes, "passcode", None, "482915")
        waiting = credentials.issued_unused(entry, listed)
        assert [(each["name"], each["state"]) for each in waiting] == [("Post", "not used yet")]
        text = minting.share_text(entry, made)
        assert entry.name in text and made.code in text and "once" in text
        assert (await through(bench, lambda asked: asked.clear()))["ok"]

    quick(story)


def test_f031_f079_a_changed_code_opens_and_the_old_one_does_not(quick):
    async def story(bench):
        await through(bench, lambda asked: asked.add({"code": "482916", "type": "permanent"}, "Anna"))
        await through(bench, lambda asked: asked.change({"code": "482916", "new_code": "482917"}, ""))
        assert await opens(bench, "482917")
        assert not await opens(bench, "482916")
        assert (await types(bench, 1)) == [7]
        listed = await through(bench, lambda asked: asked.list())
        assert [each["name"] for each in listed] == ["Anna"]
        made = mint(bench, "timed", 0, 3)
        change = {"code": made.code, "start": made.start, "end": made.end + HOUR_S}
        assert await number(through(bench, lambda asked: asked.change(change, ""))) == -3008
        assert await number(through(bench, lambda asked: asked.change(dict(change, code="482999"), ""))) == -2009
        assert await opens(bench, made.code)
        assert (await through(bench, lambda asked: asked.change(change, "")))["ok"]
        assert await through(bench, lambda asked: asked.delete("482917")) is True
        assert not await opens(bench, "482917")

    quick(story)


def test_f081_a_deleted_code_is_dead_and_deleting_it_again_is_ok(quick):
    async def story(bench):
        made = mint(bench, "permanent")
        assert await opens(bench, made.code)
        for may_be_told in ((True,), (True, False)):  # on the same link the lock gives the answer of before again
            assert await through(bench, lambda asked: asked.delete(made.code)) in may_be_told
        assert not await opens(bench, made.code)

    quick(story)


def test_f082_a_reset_kills_all_codes_and_gives_new_seeds(quick):
    async def story(bench):
        before = entry_of(bench).seeds
        unused, used = mint(bench, "permanent"), mint(bench, "permanent")
        assert (await bench.ask("passcode_add", {"code": "482918"}))["ok"]
        assert await opens(bench, used.code)
        assert (await bench.ask("passcode_reset", {"seeds": "00" * 61}))["code"] == "bad_request"
        assert (await through(bench, lambda asked: asked.reset()))["ok"]
        entry = entry_of(bench)
        assert entry.seeds != before and not entry.next_seeds and not entry.minted
        for code in (unused.code, used.code, "482918"):
            assert not await opens(bench, code)
        assert await opens(bench, entry.admin_passcode)
        assert await opens(bench, mint(bench, "permanent").code)

    quick(story)
