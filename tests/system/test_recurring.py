"""Recurring hours of a card over the whole chain: inside them it opens, on another day it does not."""

import datetime

from tests.system.test_fingerprints import record_of

CARD = 2882400001


def test_f085_a_card_with_recurring_hours_opens_on_its_days_only(shared):
    async def story(bench):
        async def tap() -> None:
            assert (await bench.lock.ask({"do": "card", "number": CARD})).get("ok")

        daily = {"number": CARD, "days": [1, 2, 3, 4, 5, 6, 7], "from_min": 0, "to_min": 1440}
        added = await bench.ask("card_add", daily)
        assert added["ok"], added
        seen = len(bench.records())
        await tap()
        await bench.until(lambda: bench.lock.bolt == "unlocked", "unlocked")
        await record_of(bench, 17, seen)
        assert (await bench.ask("lock"))["ok"]

        far = (datetime.datetime.now(datetime.UTC).isoweekday() + 2) % 7 + 1  # in three days, wherever midnight falls
        changed = await bench.ask("card_add", {**daily, "days": [far]})
        assert changed["ok"], changed
        items = (await bench.ask("card_list"))["data"]["items"]
        assert [item["hours"] for item in items] == [[[1, far, 0, 1440]]]
        since = len(bench.lock.movements)
        await tap()
        await record_of(bench, 25, seen)
        assert len(bench.lock.movements) == since
        assert (await bench.ask("card_clear"))["ok"]

    shared.run(story)
