"""Passage mode from the MQTT topic to the bolt; windows pass by leaps of the site."""

import datetime

CODE = "864209"


async def _now(bench):
    """(weekday 1-7, minute of the day) of the lock."""
    text = (await bench.lock.panel({"do": "state"}))["clock"]
    at = datetime.datetime.fromisoformat(text)
    return at.isoweekday(), at.hour * 60 + at.minute


async def _leap_to(bench, minute):
    """To this minute of the day, today or tomorrow."""
    _, now = await _now(bench)
    await bench.leap(((minute - now) % 1440) * 60 + 1)


async def _opens(bench):
    await bench.lock.panel({"do": "keys", "digits": CODE + "#"})
    await bench.until(lambda: bench.lock.bolt == "unlocked", "opened by the code")


async def _prepare(bench):
    await bench.ask("passage_clear")
    assert (await bench.ask("passcode_add", {"code": CODE, "type": "permanent"}))["ok"]
    assert (await bench.ask("autolock_set", {"seconds": 1}))["ok"]
    await bench.until(lambda: bench.lock.bolt == "locked", "locked")


async def _recorded(bench, kind, seen):
    """Wait until a record of this type is among those that arrived after `seen` of them -> their types."""

    def types():
        return [item["type"] for item in bench.records()[seen:]]

    await bench.until(lambda: kind in types(), "record %d" % kind)
    return types()


def test_f115_five_windows_by_weekday_and_no_sixth(shared):
    async def story(bench):
        await _prepare(bench)
        hours = {"from_min": 480, "to_min": 600}
        result = await bench.ask("passage_add", {"weekdays": [1, 2, 3, 4, 5], **hours})
        wanted = [{"weekday": day, **hours} for day in (1, 2, 3, 4, 5)]
        assert result["data"]["items"] == wanted
        assert (await bench.ask("passage_add", {"weekdays": [1], **hours}))["ok"]  # is there already
        result = await bench.ask("passage_add", {"weekdays": [6], **hours})
        assert (result["code"], result["data"]["reason"], result["ttlock"]) == ("refused", "full", -4056)
        for _ in range(2):  # deleting what is gone is fine
            assert (await bench.ask("passage_delete", {"weekdays": [5], **hours}))["data"]["items"] == wanted[:4]
        assert (await bench.ask("passage_clear"))["ok"]
        assert (await bench.ask("passage_list"))["data"]["items"] == []

    shared.run(story)


def test_f115_one_unlock_in_a_window_keeps_it_open_until_its_end(shared):
    async def story(bench):
        await _prepare(bench)
        weekday, minute = await _now(bench)
        if minute > 1200:
            await _leap_to(bench, 600)
            weekday, minute = await _now(bench)
        args = {"weekdays": [weekday], "from_min": minute, "to_min": minute + 120}
        assert (await bench.ask("passage_add", args))["ok"]
        assert bench.lock.bolt == "locked"  # by itself nothing opens
        seen = len(bench.records())
        await _opens(bench)
        await _leap_to(bench, minute + 60)
        await bench.until(lambda: bench.lock.bolt == "unlocked", "still open")
        await _leap_to(bench, minute + 121)
        await bench.until(lambda: bench.lock.bolt == "locked", "locked at the end")
        await _recorded(bench, 45, seen)
        await _opens(bench)
        await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock again")

    shared.run(story)


def test_f116_f117_opens_by_itself_at_the_start_and_stays_locked_after_a_lock_by_hand(shared):
    async def story(bench):
        await _prepare(bench)
        _, minute = await _now(bench)
        if minute > 1080:
            await _leap_to(bench, 600)
            _, minute = await _now(bench)
        assert (await bench.ask("setting_set", {"name": "passage_auto_unlock", "value": True}))["ok"]
        start = minute + 120
        assert (await bench.ask("passage_add", {"from_min": start, "to_min": start + 120}))["ok"]
        seen = len(bench.records())
        await _leap_to(bench, start)
        await bench.until(lambda: bench.lock.bolt == "unlocked", "opened by itself")
        await bench.until_at_rest("unlocked")  # sooner its motor would turn the bolt back
        await bench.lock.panel({"do": "turn", "to": "locked"})
        await bench.until_at_rest("locked")
        await _leap_to(bench, start + 60)
        moved = len(bench.lock.movements)
        await _opens(bench)  # the next unlock: open again, and it stays
        await _leap_to(bench, start + 100)
        assert bench.lock.bolt == "unlocked" and len(bench.lock.movements) == moved + 1
        await _leap_to(bench, start + 121)
        await bench.until(lambda: bench.lock.bolt == "locked", "locked at the end")
        types = await _recorded(bench, 45, seen)
        assert types.count(63) == 1
        assert (await bench.ask("setting_set", {"name": "passage_auto_unlock", "value": False}))["ok"]

    shared.run(story)
