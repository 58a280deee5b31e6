"""Cards: over the link, by tap and at the reader; one lock, looked at from outside."""

import unittest

from firmware.lib import dates, opcodes, records
from firmware.lib.messages import card_client as cards
from firmware.lib.messages import common
from firmware.lock.console import Panel
from firmware.lock.stores.held import MAX_CARDS
from tests.scratch import scratch
from tests.unit.lock_rig import Refused, Rig, erase

FOLDER = scratch("lock-cards")
CARD = cards.encode_id(3661413478)
LONG = cards.encode_id(0x0011223344556677)
OTHER = b"\x00\x00\x10\x01"
_DAY_S = 86400


class CardCase(unittest.TestCase):
    def setUp(self):
        self.rig = Rig(FOLDER).paired()

    def tearDown(self):
        erase(FOLDER)

    def ask(self, plain):
        """One 0x05 as administrator: the data."""
        rig = self.rig
        rig.connect()
        try:
            rig.log_in()
            return rig.ask(opcodes.CARD, plain)
        finally:
            rig.disconnect()

    def error(self, plain):
        try:
            self.ask(plain)
        except Refused as err:
            return err.error
        return 0

    def listed(self, op=cards.LIST):
        found = []
        cursor = 0
        while cursor is not None:
            cursor, entry = cards.entry(self.ask(cards.list_request(cursor, op)), op)
            if entry is not None:
                found.append((entry.id, entry.start, entry.end))
        return found

    def told(self, n):
        """(type, tail) of the newest records, the oldest first."""
        found = [records.decode(raw) for raw in self.rig.device.stores.ring.newest(n)]
        return [(each.type, each.tail) for each in reversed(found)]

    def tap(self, card):
        """True if the bolt moved out of the way. It is locked again afterwards."""
        rig = self.rig
        before = rig.pins.movements
        rig.lock.reader.present("card", card, rig.now_ms)
        rig.wait(400)
        moved = rig.pins.movements > before
        rig.wait(7000, 100)
        return moved

    def around(self, days):
        """date5 at midnight so many days from now."""
        return dates.from_seconds(self.rig.device.stores.clock.seconds() + days * _DAY_S)[:3] + (0, 0)


class TestLink(CardCase):
    def test_by_number(self):
        for card in (CARD, LONG):
            self.assertEqual(cards.added(self.ask(cards.add(card))), card)
            self.assertEqual(self.told(1), [(15, card)])
        self.assertEqual(self.listed(), [(CARD, dates.NO_START, dates.NO_END), (LONG, dates.NO_START, dates.NO_END)])
        self.rig.start()
        self.assertTrue(self.tap(CARD))
        self.assertEqual(self.told(1), [(17, CARD)])
        self.assertTrue(self.tap(LONG))
        self.assertFalse(self.tap(LONG[4:]))
        self.assertFalse(self.tap(b"\x00\x00\x00\x00" + CARD))

    def test_again_by_number_sets_the_period_and_by_tap_does_not(self):
        start, end = self.around(-1), self.around(2)
        self.ask(cards.add(CARD))
        self.ask(cards.add(CARD, start, end))
        self.assertEqual(self.listed(), [(CARD, start, end)])
        before = len(self.rig.device.stores.ring)
        self.ask(cards.add(CARD, start, end))
        self.assertEqual(len(self.rig.device.stores.ring), before)
        self.rig.connect()
        self.rig.log_in()
        self.rig.ask(opcodes.CARD, cards.enrol())
        self.assertFalse(self.tap(CARD))
        self.rig.disconnect()
        self.assertEqual(self.listed(), [(CARD, start, end)])

    def test_change_delete_clear(self):
        start, end = self.around(1), self.around(2)
        self.ask(cards.add(CARD))
        self.ask(cards.add(OTHER))
        cards.managed(self.ask(cards.modify(CARD, start, end)), cards.MODIFY)
        self.assertFalse(self.tap(CARD))
        self.assertEqual(self.told(1), [(25, CARD)])
        cards.managed(self.ask(cards.delete(CARD)), cards.DELETE)
        self.assertEqual(self.told(1), [(18, CARD)])
        self.assertEqual((self.error(cards.delete(CARD)), self.error(cards.modify(CARD, start, end))), (0x18, 0x18))
        self.assertFalse(self.tap(CARD))
        self.assertEqual(self.told(1), [(91, CARD)])
        cards.managed(self.ask(cards.clear()), cards.CLEAR)
        self.assertEqual(self.told(1), [(16, b"")])
        self.assertEqual(self.listed(), [])
        self.rig.start()
        self.assertFalse(self.tap(OTHER))

    def test_what_is_refused(self):
        start, end = self.around(1), self.around(2)
        self.assertEqual(self.error(cards.add(CARD, end, start)), 0x1D)
        self.assertEqual(self.error(b"\x02" + CARD + b"\x1a\x0d\x01\x00\x00" + b"\x63\x01\x01\x00\x00"), 0x1D)
        self.assertEqual(self.error(b"\x09"), 0x1B)
        self.ask(cards.add(CARD))
        self.rig.connect()
        self.rig.log_in()
        answer = self.rig.plain(opcodes.CARD, empty=True)  # one client's deletion of a long number
        self.assertEqual(answer, common.failure(opcodes.CARD, 0x17))
        self.rig.disconnect()
        self.assertEqual(len(self.rig.device.stores.cards), 1)
        self.rig.connect()
        self.assertEqual(self.rig.plain(opcodes.CARD, cards.clear()), common.failure(opcodes.CARD, 0x02))

    def test_the_same_bytes_again_get_the_same_answer(self):
        self.ask(cards.add(CARD))
        rig = self.rig
        rig.connect()
        rig.log_in()
        for _ in range(3):
            cards.managed(rig.ask(opcodes.CARD, cards.delete(CARD)), cards.DELETE)
        self.assertEqual([kind for kind, _ in self.told(2)], [15, 18])

    def test_full(self):
        store = self.rig.device.stores.cards
        limits = b"\x00\x01\x01\x00\x00\x63\x01\x01\x00\x00"
        self.rig.device.stores.vault.begin()  # a page is written once, not 32 times
        for number in range(MAX_CARDS):
            self.assertEqual(store.add(cards.encode_id(0x10000000 + 7919 * number), limits), None)
        self.rig.device.stores.vault.commit("cards.00")
        self.assertEqual(self.error(cards.add(CARD)), 0x04)
        cards.managed(self.ask(cards.delete(cards.encode_id(0x10000000))), cards.DELETE)
        self.ask(cards.add(CARD))
        self.assertEqual(self.error(cards.add(OTHER)), 0x04)
        self.rig.start()
        bank = self.rig.device.stores.cards.bank
        steps, pages = bank.comparisons, bank.pages_read
        self.assertTrue(self.tap(CARD))
        self.assertTrue(bank.comparisons - steps <= 13)
        self.assertEqual(bank.pages_read - pages, 1)

    def test_reset_forgets_all(self):
        self.ask(cards.add(CARD))
        self.ask(cards.mark_lost(OTHER))
        self.rig.reset()
        self.assertEqual(self.rig.device.stores.vault.names(), [])
        self.assertEqual((len(self.rig.device.stores.cards), self.rig.device.stores.cards.credential(OTHER)), (0, None))


class TestLost(CardCase):
    def test_a_lost_card_is_refused_until_it_is_found(self):
        self.ask(cards.add(CARD))
        for card in (CARD, LONG):
            cards.managed(self.ask(cards.mark_lost(card)), cards.MARK_LOST)
            cards.managed(self.ask(cards.mark_lost(card)), cards.MARK_LOST)
        self.assertEqual([entry[0] for entry in self.listed(cards.LIST_LOST)], [CARD, LONG])
        self.ask(cards.clear())
        self.rig.start()
        self.ask(cards.add(CARD))
        for card in (CARD, LONG):
            self.assertFalse(self.tap(card))
            self.assertEqual(self.told(1), [(51, card)])
        self.assertEqual(self.rig.device.stores.limits.cards.consecutive, 0)
        cards.managed(self.ask(cards.unmark_lost(CARD)), cards.UNMARK_LOST)
        self.assertEqual(self.error(cards.unmark_lost(CARD)), 0x18)
        self.assertTrue(self.tap(CARD))


class TestTap(CardCase):
    def setUp(self):
        super().setUp()
        self.rig.connect()
        self.rig.log_in()

    def enrol(self):
        self.assertEqual(cards.added(self.rig.ask(opcodes.CARD, cards.enrol())), None)
        self.assertEqual(self.rig.device.feedback.word, "enrol")

    def told_within(self, ms):
        """(ms until it came, the plain text) of the first frame that the lock sends by itself, or None."""
        from firmware.lib import crypto, frame
        from firmware.lib.frame import Reassembler

        for waited in range(0, ms, 20):
            for raw in self.rig.wait(20):
                parts = Reassembler()
                whole = [each for part in frame.chunks(raw, shaped=True) for each in parts.feed(bytes(part))]
                return waited + 20, crypto.decrypt(self.rig.key, frame.decode(whole[0]).payload)
        return None

    def present(self, card):
        self.rig.lock.reader.present("card", card, self.rig.now_ms)

    def test_one_after_the_other_with_the_same_request(self):
        for card in (CARD, LONG, CARD):
            self.enrol()
            self.present(card)
            waited, plain = self.told_within(1000)
            self.assertTrue(waited >= 200)
            self.assertEqual(cards.added(common.reply(plain)[2]), card)
            self.assertEqual(self.rig.device.feedback.word, "enrolled")
        self.assertEqual(self.rig.pins.movements, 0)
        self.assertEqual(self.told(2), [(15, CARD), (15, LONG)])

    def test_the_request_again_at_once_is_the_same_one(self):
        self.enrol()
        self.enrol()
        self.present(CARD)
        self.assertTrue(self.told_within(1000) is not None)
        self.assertEqual(self.told_within(12000), None)

    def test_nobody_comes(self):
        self.enrol()
        self.assertEqual(self.told_within(9000), None)
        self.assertEqual(self.told_within(2000)[1], common.failure(opcodes.CARD, 0x13))
        self.present(CARD)
        self.assertEqual(self.told(1)[0][0], 91)

    def test_it_keeps_an_idle_link(self):
        self.rig.wait(15000, 500)
        self.enrol()
        self.rig.wait(9500, 500)
        self.assertFalse(self.rig.engine.is_over)
        self.present(CARD)
        self.assertTrue(self.told_within(1000) is not None)

    def test_another_request_or_a_lost_link_ends_it(self):
        self.enrol()
        self.rig.ask(opcodes.STATUS, b"SCIENER")
        self.assertEqual(self.told_within(12000), None)
        self.enrol()
        self.rig.disconnect()
        self.present(CARD)
        self.assertEqual(self.told(1), [(91, CARD)])
        self.assertEqual(len(self.rig.device.stores.cards), 0)

    def test_a_store_that_is_full(self):
        self.rig.device.stores.cards.add = lambda card, limits: 0x04
        self.enrol()
        self.present(CARD)
        self.assertEqual(self.told_within(1000)[1], common.failure(opcodes.CARD, 0x04))


class TestReader(CardCase):
    def test_ten_unknown_cards_lock_out_cards_alone(self):
        self.ask(cards.add(CARD))
        for number in range(10):
            self.assertFalse(self.tap(cards.encode_id(number)))
        self.assertEqual([kind for kind, _ in self.told(2)], [91, 48])
        self.assertFalse(self.tap(CARD))
        self.assertEqual([kind for kind, _ in self.told(1)], [48])
        self.rig.start()
        self.assertFalse(self.tap(CARD))
        self.assertEqual(self.rig.device.stores.limits.keypad.consecutive, 0)
        self.rig.wait(300000, 1000)
        self.assertTrue(self.tap(CARD))
        self.assertEqual(
            (self.rig.device.stores.limits.cards.consecutive, self.rig.device.stores.limits.cards.spent), (0, 10)
        )

    def test_an_unlock_over_the_link_ends_the_lockout(self):
        self.ask(cards.add(CARD))
        for number in range(10):
            self.tap(cards.encode_id(number))
        self.rig.connect()
        self.rig.operate(opcodes.UNLOCK)
        self.rig.disconnect()
        self.rig.wait(7000, 100)
        self.assertTrue(self.tap(CARD))

    def test_without_a_clock_only_cards_without_limits_open(self):
        self.ask(cards.add(CARD, self.around(-1), self.around(1)))
        self.ask(cards.add(OTHER))
        self.assertTrue(self.tap(CARD))
        self.rig.start()  # the clock is lost
        self.assertFalse(self.tap(CARD))
        self.assertEqual(self.told(1), [(25, CARD)])
        self.assertTrue(self.tap(OTHER))

    def test_hours(self):
        rig = self.rig
        self.ask(cards.add(CARD))
        self.assertEqual(rig.device.stores.cards.set_windows(CARD, b"\x01\x01\x00\x08\x00\x0c\x00"), None)  # Mondays
        self.ask(cards.modify(CARD, (2026, 1, 1, 0, 0), (2027, 1, 1, 0, 0)))
        rig.device.stores.clock.set((2026, 5, 11, 9, 0, 0), True)
        self.assertTrue(self.tap(CARD))
        rig.device.stores.clock.set((2026, 5, 12, 9, 0, 0), True)
        self.assertFalse(self.tap(CARD))
        self.assertEqual(self.told(1), [(25, CARD)])
        self.assertEqual(rig.device.stores.cards.set_windows(OTHER, b""), 0x18)
        self.assertEqual(rig.device.stores.cards.set_windows(CARD, bytes(63)), 0x04)
        self.ask(cards.add(CARD))
        self.assertEqual(rig.device.stores.cards.windows(CARD), b"")
        self.assertTrue(self.tap(CARD))

    def test_counters_of_firmware_that_counted_no_cards_are_kept(self):
        from firmware.system.store import Cell

        Cell(FOLDER + "/state/limits").save(b"\x01\x02\x00\x00\x03\x04")
        self.rig.start()
        limits = self.rig.device.stores.limits
        self.assertEqual((limits.user.spent, limits.keypad.spent, limits.cards.spent), (2, 4, 0))
        self.assertFalse(limits.is_pausing)

    def test_panel(self):
        self.ask(cards.add(CARD))
        self.ask(cards.add(b"\x00\x00\x00\x00\x00\x00\x00\x07"))
        panel = Panel(self.rig.lock.keypad, self.rig.lock.reader, dict, lambda: self.rig.now_ms, True)
        for request, kind in (
            ({"number": 3661413478}, 17),
            ({"number": 1723612378}, 91),
            ({"number": 7, "bytes": 8}, 17),
            ({"number": 7}, 91),
        ):
            self.assertEqual(panel.handle(dict(request, do="card")), {"ok": True})
            self.rig.wait(7000, 100)
            self.assertEqual(self.told(1)[0][0], kind)
        for number in (-1, 1 << 64, "7", None, True):
            self.assertEqual(panel.handle({"do": "card", "number": number}), {"error": "bad_request"})
