"""Cards over the whole chain: written through the gateway, enrolled at the door, held to the reader, recorded."""

import asyncio
import datetime

import pytest

from firmware.lib import opcodes
from firmware.lib.messages import card_client
from firmware.lock.stores.held import MAX_CARDS
from host_tools.sim.site import owner
from tests.faults import canaries
from tests.system.bench import SOAK, Bench

CARD = 3661413478
TURNED = 1723612378  # the same card for a reader that starts at its other end
OTHER = 2712847316
DAY_S = 86400


@pytest.fixture(scope="module")
def quick(shared):
    """The shared site, whose lock locks itself after a second."""

    async def story(bench):
        assert (await bench.ask("autolock_set", {"seconds": 1}))["ok"]

    shared.run(story)
    return shared


async def do(bench, op, args=None):
    """An operation that has to succeed -> its data."""
    result = await bench.ask(op, args)
    assert result["ok"], result
    return result.get("data")


async def tap(bench, number):
    """Hold a card to the lock -> True if it opened; the door is locked again afterwards."""
    await bench.until_at_rest("locked")
    if not await bench.opens({"do": "card", "number": number}):
        assert (await bench.lock.panel({"do": "state"}))["sound"] in ("refused", "lockout")
        return False
    await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
    return True


async def listed(bench, **args):
    items, cursor = [], 0
    while cursor is not None:
        page = await do(bench, "card_list", {"cursor": cursor, **args})
        items += page["items"]
        cursor = page["next"]
    return items


async def recorded(bench, kind, count=1):
    """Wait until so many records of this type were published."""
    await bench.ask("records_read")
    await bench.until(
        lambda: len({(i["epoch"], i["rec"]) for i in bench.records() if i.get("type") == kind}) >= count,
        "record %d" % kind,
    )


def test_f032_a_card_number_written_through_the_gateway_opens_the_lock(quick):
    async def story(bench):
        assert not await tap(bench, CARD)
        await do(bench, "card_add", {"number": str(CARD)})
        assert await tap(bench, CARD)
        await recorded(bench, 17)
        await do(bench, "card_clear")

    quick.run(story)


def test_f084_a_card_is_enrolled_at_the_door_and_a_time_out_is_told(quick):
    async def story(bench):
        async def enrol(ident):
            return asyncio.create_task(bench.ask("card_enrol", {}, id=ident))

        first = await enrol("door-1")
        await bench.until(lambda: bench.progress("door-1"), "the lock waits")
        assert bench.progress("door-1")[0]["state"] == "adding"
        assert (await bench.lock.panel({"do": "state"}))["sound"] == "enrol"
        before = len(bench.lock.movements)
        await bench.lock.panel({"do": "card", "number": CARD})
        result = await first
        assert result["ok"], result
        assert [item["who"] for item in await listed(bench)] == [result["data"]["who"]]
        assert len(bench.lock.movements) == before
        assert await tap(bench, CARD)
        second = await (await enrol("door-2"))
        assert (second["code"], second["data"]["ble"]) == ("refused", 0x13)
        await do(bench, "card_clear")

    quick.run(story)


def test_f085_outside_its_validity_a_card_leaves_record_25_and_does_not_open(quick):
    async def story(bench):
        now = int(bench.site.now())
        await do(bench, "card_add", {"number": CARD})
        await do(bench, "card_add", {"number": OTHER, "start": now + DAY_S, "end": now + 2 * DAY_S})
        assert await tap(bench, CARD)
        assert not await tap(bench, OTHER)
        await recorded(bench, 25)
        assert [(item["slot"], item["type"], item["status"]) for item in await listed(bench)] == [(0, 1, 1), (1, 1, 3)]
        await bench.leap(DAY_S + 120)
        assert await tap(bench, OTHER)
        await bench.leap(DAY_S)
        assert not await tap(bench, OTHER)
        assert await tap(bench, CARD)
        await recorded(bench, 25, 2)
        assert [item["status"] for item in await listed(bench)] == [1, 2]
        await do(bench, "card_clear")

    quick.run(story)


def test_f086_f090_a_number_read_elsewhere_is_issued_in_either_byte_order(quick):
    async def story(bench):
        first = await do(bench, "card_add", {"number": TURNED, "order": "reversed"})
        assert await tap(bench, CARD)
        assert not await tap(bench, TURNED)
        assert await do(bench, "card_add", {"number": CARD, "order": "as_read"}) == first
        await do(bench, "card_delete", {"number": TURNED, "order": "reversed"})
        assert not await tap(bench, CARD)

    quick.run(story)


def test_f087_a_card_is_listed_changed_and_deleted(quick):
    async def story(bench):
        now = int(bench.site.now())
        await do(bench, "card_add", {"number": CARD})
        await do(bench, "card_add", {"number": OTHER})
        items = await listed(bench)
        assert [(item["slot"], item["status"]) for item in items] == [(0, 1), (1, 1)]
        assert "start" not in items[0] and "end" not in items[0]
        past = await bench.ask("card_change", {"slot": 1, "start": now - DAY_S, "end": now - 60})
        assert (past["code"], past["ttlock"], past["job_state"]) == ("bad_request", -3, 7)
        assert await tap(bench, OTHER), "what is refused changes nothing"
        await do(bench, "card_change", {"slot": 1, "start": now + DAY_S, "end": now + 2 * DAY_S})
        assert (await listed(bench))[1]["status"] == 3
        assert not await tap(bench, OTHER)
        assert (await bench.ask("card_change", {"number": OTHER}))["code"] == "bad_request"
        await do(bench, "card_change", {"number": OTHER, "end": now + DAY_S})
        assert await tap(bench, OTHER)
        for _ in range(2):  # gone already is what was wanted
            await do(bench, "card_delete", {"number": OTHER})
        assert not await tap(bench, OTHER)
        assert await tap(bench, CARD)
        missing = await bench.ask("card_change", {"number": OTHER, "end": now + DAY_S})
        assert (missing["code"], missing["ttlock"], missing["data"]["reason"]) == ("refused", -1021, "not_found")
        await recorded(bench, 18)
        await do(bench, "card_clear")

    quick.run(story)


def test_f088_after_a_reset_of_all_cards_none_opens_and_lost_ones_stay_lost(quick):
    async def story(bench):
        for number in (CARD, OTHER):
            await do(bench, "card_add", {"number": number})
        await do(bench, "card_lost", {"number": OTHER})
        assert not await tap(bench, OTHER)
        await recorded(bench, 51)
        await do(bench, "card_clear")
        await recorded(bench, 16)
        assert not await tap(bench, CARD)
        assert await listed(bench) == []
        assert len(await listed(bench, lost=True)) == 1
        await do(bench, "card_add", {"number": OTHER})
        assert not await tap(bench, OTHER)
        await do(bench, "card_lost", {"number": OTHER, "lost": False})
        assert await tap(bench, OTHER)
        await do(bench, "card_clear")

    quick.run(story)


def test_card_numbers_leave_neither_by_mqtt_nor_by_a_log_or_flash(quick):
    secrets = canaries.Canaries()
    for name, number in (("card", CARD), ("turned", TURNED), ("other", OTHER)):
        secrets.plant(name, canaries.of_number(number))

    async def story(bench):
        assert secrets.hits("a command", str(CARD).encode())
        await do(bench, "card_add", {"number": CARD})
        assert await tap(bench, CARD)
        assert not await tap(bench, OTHER)
        await listed(bench)
        await do(bench, "card_delete", {"number": CARD})
        await recorded(bench, 91)
        found = []
        for message in bench.mqtt.messages:
            if not message.topic.endswith("/cmd"):
                found += secrets.hits(message.topic, (message.topic + " " + message.text).encode())
        for board in bench.site.boards:
            found += secrets.hits(board.name, board.log_path.read_bytes())
            found += secrets.hits(board.name + "'s flash", board.image.read_bytes())
        assert not found

    quick.run(story)


def test_f085_a_recurring_card_opens_in_its_hours_only(quick):
    async def story(bench):
        clock = (await bench.lock.panel({"do": "state"}))["clock"]
        today = datetime.date.fromisoformat(clock[:10]).isoweekday()
        whole = {"from_min": 0, "to_min": 1440}
        other = [day for day in range(1, 8) if day not in (today, today % 7 + 1)]  # midnight may come meanwhile
        await do(bench, "card_add", {"number": CARD, "days": other, **whole})
        assert not await tap(bench, CARD)
        await recorded(bench, 25)
        assert [(item["type"], len(item["hours"])) for item in await listed(bench)] == [(4, 5)]
        await do(bench, "card_add", {"number": CARD, "days": [today, today % 7 + 1], **whole})
        assert await tap(bench, CARD)
        await do(bench, "card_clear")

    quick.run(story)


@pytest.mark.skipif(not SOAK, reason="a minute: make soak; tests/unit/test_lock_cards.py has the limit")
def test_f089_the_card_after_the_thousandth_is_refused_as_one_too_many(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            entry = await bench.pair()
            for first in range(0, MAX_CARDS, 250):  # a login ends after two minutes
                async with bench.beside(entry) as link:
                    for number in range(first, first + 250):
                        plain = card_client.add(card_client.encode_id(0x10000000 + 7919 * number))
                        assert card_client.added(await link.exchange(opcodes.CARD, plain))
            await owner.hand_over(bench.site, bench.gateway, entry)
            result = await bench.ask("card_add", {"number": CARD})
            assert (result["code"], result["ttlock"], result["data"]["reason"]) == ("refused", -4056, "full")
            assert await tap(bench, 0x10000000 + 7919 * (MAX_CARDS - 1))
            await do(bench, "card_delete", {"slot": 0})
            await do(bench, "card_add", {"number": CARD})

    asyncio.run(story())
