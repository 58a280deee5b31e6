"""The log of a lock by others (hardware-facts.md F50 to F54): two cursors, refusals that are no end, a flag that falls
only when all was called off, and how often it is read."""

import asyncio
import random
import unittest

from firmware.gateway.pages import Pages
from firmware.lib import records
from firmware.lib.errors import LinkError, from_ble
from firmware.lib.messages import session_lock
from firmware.lib.opcodes import LOG
from tests.unit.test_gateway_records import Rig as PlainRig
from tests.unit.test_gateway_records import ack, unlocked

_HOUR_S = 3600


class RealLog:
    """What such a lock answers to 0x25. `log`: number -> record. `bookmark`: the number from which FFFF goes on.

    `refusals(cursor)` says whether it refuses this time; a refused FFFF passes its record over, as it was seen.
    """

    def __init__(self, log):
        self.log = log
        self.bookmark = 0
        self.refusals = lambda cursor: False
        self.asked = []
        self.beyond = None  # what a cursor beyond the newest record + 1 is answered with

    @property
    def has_unread(self):
        return any([number >= self.bookmark for number in self.log])

    def page(self, cursor):
        self.asked.append(cursor)
        start = self.bookmark if cursor == records.NEXT_UNREAD else cursor
        numbers = sorted([number for number in self.log if number >= start])
        is_refused = self.refusals(cursor)
        if cursor == records.NEXT_UNREAD and numbers:
            self.bookmark = numbers[0] + 1
        if is_refused:
            raise from_ble(LOG, 0x01)
        if cursor != records.NEXT_UNREAD and cursor > max(self.log, default=-1) + 1 and self.beyond is not None:
            return session_lock.encode_record(self.beyond, self.log[self.beyond])
        if not numbers:
            return session_lock.encode_record(0, None)
        return session_lock.encode_record(numbers[0], self.log[numbers[0]])


class Rig(PlainRig):
    def __init__(self, name, log=None, clears_flag=True):
        super().__init__(name, True, clears_flag)
        self.lock.model = "SN534-4P"
        self.real = RealLog({} if log is None else log)
        self.far._page = self.real.page

    def advertise(self):
        """The lock is heard."""
        self.lock.has_records = self.real.has_unread
        self.keeper.flagged(self.lock)

    def slice(self):
        """What the gateway does by itself, on one link."""
        return self.read(is_sliced=True)

    def until_idle(self, links=400):
        """Read whenever it is due, on one link each, until nothing is; how many links that took."""
        for count in range(links):
            until_s = self.now.s + 2 * _HOUR_S
            while not self.keeper.is_due(self.lock):
                self.now.s += 1
                if self.now.s > until_s:
                    return count
            self.slice()
            self.advertise()
        raise AssertionError("no end")

    def numbers(self):
        """Of what is stored."""
        return [entry.number for entry in self.keeper.buffer(self.lock).unsent(0)]

    def gaps(self):
        return sum([entry.gap for entry in self.keeper.buffer(self.lock).unsent(0)])


def log_of(*numbers):
    return {number: unlocked(number, 1780000000 + 60 * number) for number in numbers}


class Reading(unittest.TestCase):
    def test_by_number_first_and_then_called_off_until_empty(self):
        rig = Rig("log-plain", log_of(*range(7)))
        rig.advertise()
        self.assertEqual(rig.slice()["read"], 7)
        ffff = records.NEXT_UNREAD
        self.assertEqual(rig.real.asked, list(range(8)) + [ffff] * 8)
        self.assertFalse(rig.real.has_unread)
        rig.advertise()
        self.assertFalse(rig.keeper.is_due(rig.lock))

    def test_where_others_must_see_news_nothing_is_called_off(self):
        rig = Rig("log-leave", log_of(*range(7)), clears_flag=False)
        rig.advertise()
        self.assertEqual(rig.slice()["read"], 7)
        self.assertEqual((rig.real.bookmark, rig.numbers()), (0, list(range(7))))

    def test_a_log_without_news_is_not_called_off(self):
        rig = Rig("log-quiet", log_of(0, 1))
        rig.real.bookmark = 2
        rig.slice()
        rig.real.asked = []
        rig.slice()
        self.assertEqual(rig.real.asked, [2])

    def test_a_first_import_goes_in_slices(self):
        rig = Rig("log-slices", log_of(*range(374)))
        rig.advertise()
        links = rig.until_idle()
        self.assertEqual((rig.numbers(), rig.gaps(), rig.real.has_unread), (list(range(374)), 0, False))
        self.assertTrue(374 * 2 // 25 <= links <= 374 * 2 // 25 + 3, links)

    def test_who_asks_for_the_records_waits_for_records_only(self):
        rig = Rig("log-asked", log_of(*range(374)))
        self.assertEqual(rig.read()["read"], 374)
        self.assertTrue(len(rig.real.asked) < 374 + 30)
        rig.until_idle()
        self.assertFalse(rig.real.has_unread)

    def test_what_is_written_meanwhile_is_read_too(self):
        for when in (records.NEXT_UNREAD, 3, 0):
            rig = Rig("log-meanwhile", log_of(*range(4)))
            plain = rig.real.page

            def page(cursor, rig=rig, plain=plain, when=when):
                if cursor == when and 5 not in rig.real.log:
                    rig.real.log.update(log_of(4, 5))
                return plain(cursor)

            rig.far._page = page
            rig.advertise()
            rig.until_idle()
            self.assertEqual((rig.numbers(), rig.gaps(), rig.real.has_unread), (list(range(6)), 0, False))

    def test_no_cursor_beyond_the_newest_is_ever_asked_for(self):
        random.seed(7)
        for turn in range(20):
            rig = Rig("log-probe", log_of(*range(random.randrange(60))))
            rig.real.refusals = lambda cursor: random.randrange(12) == 0
            worst = [-1]
            plain = rig.real.page

            def page(cursor, rig=rig, plain=plain, worst=worst):
                if cursor != records.NEXT_UNREAD:
                    worst[0] = max(worst[0], cursor - max(rig.real.log, default=-1))
                return plain(cursor)

            rig.far._page = page
            rig.advertise()
            rig.until_idle()
            self.assertTrue(worst[0] <= 1, turn)

    def test_a_record_below_the_cursor_is_dropped(self):
        rig = Rig("log-below", log_of(*range(5)))
        rig.slice()
        rig.real.log = log_of(*range(3))  # the cursor is beyond the newest now
        rig.real.beyond = 2
        rig.slice()
        self.assertEqual((rig.numbers(), rig.keeper.buffer(rig.lock).cursor), (list(range(5)), 5))

    def test_a_log_that_begins_anew_is_read_from_its_beginning(self):
        for bookmark in (0, 1):
            rig = Rig("log-anew", log_of(*range(40)))
            rig.keeper.want(rig.lock)
            rig.until_idle()
            rig.real.log = {number: unlocked(number, 1790000000 + number) for number in range(4)}
            rig.real.bookmark = bookmark
            rig.advertise()
            rig.until_idle()
            self.assertEqual((rig.numbers(), rig.gaps()), (list(range(40)) + list(range(4)), 0))

    def test_an_old_record_with_a_wrong_date_does_not_look_like_a_new_log(self):
        rig = Rig("log-dates", log_of(*range(6)))
        rig.real.log[2] = unlocked(2, 1890000000)  # the clock was wrong then
        rig.real.bookmark = 0
        rig.advertise()
        rig.until_idle()
        self.assertEqual(rig.numbers(), list(range(6)))


class Refusing(unittest.TestCase):
    def test_every_pattern_of_refusals_costs_no_record(self):
        random.seed(3)
        for turn in range(40):
            count = random.randrange(1, 120)
            rig = Rig("refused-%d" % (turn % 2), log_of(*range(count)))
            rig.real.bookmark = random.randrange(count + 1)
            share = random.choice((2, 4, 20, 100))
            left = [200]

            def refuses(cursor, left=left, share=share):
                left[0] -= 1
                return left[0] > 0 and random.randrange(share) == 0

            rig.real.refusals = refuses
            rig.advertise()
            rig.keeper.want(rig.lock)
            rig.until_idle()
            self.assertEqual((rig.numbers(), rig.gaps()), (list(range(count)), 0), turn)
            self.assertFalse(rig.real.has_unread)

    def test_a_cursor_is_tried_twice_on_a_link_and_then_later(self):
        rig = Rig("refused-twice", log_of(*range(9)), clears_flag=False)
        refused = [5]
        rig.real.refusals = lambda cursor: cursor in refused
        result = rig.read()
        self.assertEqual((result["read"], result["more"]), (5, True))
        self.assertEqual(rig.real.asked[-2:], [5, 5])
        self.assertFalse(rig.keeper.is_due(rig.lock))
        rig.now.s += 3
        self.assertTrue(rig.keeper.is_due(rig.lock))
        refused.clear()
        self.assertEqual((rig.read()["read"], rig.numbers()), (4, list(range(9))))

    def test_a_record_that_is_refused_for_good_does_not_hide_the_later_ones(self):
        rig = Rig("refused-for-good", log_of(*range(9)))
        rig.real.refusals = lambda cursor: cursor == 5
        rig.real.bookmark = 6  # its bookmark has passed the record over
        rig.advertise()
        rig.until_idle()
        self.assertEqual((rig.numbers(), rig.gaps()), ([0, 1, 2, 3, 4, 6, 7, 8], 1))
        self.assertFalse(rig.real.has_unread)

    def test_a_lock_that_refuses_its_end_is_left_alone_for_hours_in_the_end(self):
        rig = Rig("refused-end", log_of(*range(3)))
        rig.real.refusals = lambda cursor: cursor == 3
        rig.advertise()
        began_s = rig.now.s
        links = 0
        while rig.now.s < began_s + 24 * _HOUR_S:
            if rig.keeper.is_due(rig.lock):
                rig.slice()
                rig.advertise()
                links += 1
            rig.now.s += 1
        self.assertEqual(rig.numbers(), [0, 1, 2])
        self.assertTrue(links <= 20, links)


class Pacing(unittest.TestCase):
    def day(self, rig, each_s, happens=None, hours=24, step_s=10):
        """The seconds at which a day's readings began; the lock is heard every `each_s` seconds, None for never."""
        began = []
        for second in range(0, hours * _HOUR_S, step_s):
            rig.now.s += step_s
            if happens:
                happens(second)
            if each_s and second % each_s == 0:
                rig.advertise()
            if rig.keeper.is_due(rig.lock):
                began.append(second)
                rig.slice()
        return began

    def test_a_flag_that_never_falls(self):
        for each_s in (10, 120, None):  # whoever repeats its advertisement, and who is not heard again
            rig = Rig("pace-stuck", log_of(*range(3)), clears_flag=False)
            rig.advertise()
            began = self.day(rig, each_s)
            pauses = [after - before for before, after in zip(began, began[1:])]
            self.assertEqual(pauses[:2], [300, 300])
            self.assertEqual(set(pauses[2:]), {6 * _HOUR_S})

    def test_a_flag_that_never_falls_and_a_door_in_use(self):
        rig = Rig("pace-used", clears_flag=False)

        def happens(second):
            if second % 60 == 0:
                number = len(rig.real.log)
                rig.real.log.update(log_of(number))

        began = self.day(rig, 10, happens, 3)
        self.assertTrue(min([after - before for before, after in zip(began, began[1:])]) >= 300)
        self.assertTrue(len(rig.numbers()) >= 3 * 60 - 5)

    def test_a_flag_that_falls_makes_news_of_the_next_record(self):
        rig = Rig("pace-falls")
        due = []

        def happens(second):
            if second % 60 == 0:
                due.append(second)
                rig.real.log.update(log_of(len(rig.real.log)))

        began = self.day(rig, 1, happens, 1, 1)
        self.assertEqual(len(rig.numbers()), len(due))
        self.assertTrue(max([min([at - then for at in began if at >= then]) for then in due[:50]]) <= 3)

    def test_another_radio_that_plays_with_the_flag_costs_a_reading_each_five_minutes(self):
        rig = Rig("pace-played")

        def advertise():
            rig.lock.has_records = not rig.lock.has_records
            rig.keeper.flagged(rig.lock)

        rig.advertise = advertise
        began = self.day(rig, 10, None, 6)
        self.assertTrue(len(began) <= 6 * 12 + 2, len(began))

    def test_what_was_commanded_is_read_at_once(self):
        rig = Rig("pace-commanded", log_of(0))
        rig.slice()
        for number in range(1, 5):
            rig.real.log.update(log_of(number))
            rig.keeper.want(rig.lock)
            self.assertTrue(rig.keeper.is_due(rig.lock))
            self.assertEqual(rig.slice()["read"], 1)

    def test_a_link_that_broke_is_tried_again_without_news(self):
        rig = Rig("pace-broken", log_of(*range(3)))
        rig.advertise()
        plain = rig.far._page

        def page(cursor):
            rig.far._page = plain
            raise LinkError("link lost")

        rig.far._page = page
        self.assertRaises(LinkError, rig.slice)
        rig.keeper.failed(rig.lock)
        rig.lock.has_records = False
        rig.until_idle()
        self.assertEqual(rig.numbers(), [0, 1, 2])


class Replaced(unittest.TestCase):
    def test_two_gateways_name_each_record_alike(self):
        log = log_of(*range(60))
        seen = []
        for name in ("first", "second"):
            rig = Rig("replaced-" + name, log)
            rig.keeper.want(rig.lock)
            rig.until_idle()
            while rig.keeper.waiting(rig.lock)[0]:
                rig.upload()
                batch = rig.batches()[-1]
                rig.uploads.acknowledged(rig.lock, ack(batch["from"], batch["to"]))
            names = [(batch["epoch"], item["rec"], item["date"]) for batch in rig.batches() for item in batch["items"]]
            seen.append(sorted(names))
        self.assertEqual(seen[0], seen[1])
        self.assertEqual(len(set(seen[0])), 60)


class Later(unittest.TestCase):
    """Tails that nobody has seen (hardware-facts.md F57): kept where nobody shows a credential, else dropped."""

    def test_a_gateway_keeps_the_tails_of_alarms_and_of_nothing_else_that_is_new(self):
        class Session:
            class lock:
                aes = bytes(16)

            async def ask(self, command, plain):
                body = bytes((0, 8, len(raw))) + raw
                return len(body).to_bytes(2, "big") + body

        for kind in range(102, 256):
            for tail in (b"", b"\x01\x02\x03", b"\x06123456"):
                raw = records.encode(kind, (2026, 11, 30, 12, 0, 0), 80, tail)
                number, kept, who = asyncio.run(Pages(Session()).at(7))
                self.assertEqual((number, who), (7, None))
                self.assertEqual(kept, raw if kind in (111, 115, 116) else raw[:8], kind)
