"""Cards through the gateway, at locks of ours and at others that do not do what they say."""

import unittest

from firmware.lib import dates, marks, opcodes
from firmware.lib.errors import from_ble
from firmware.lib.messages import card_client, card_lock, common
from tests.unit.command_rig import Rig

CARD = 3661413478
WHO = 0xDA3CBC66
_ALWAYS = dates.encode5(dates.NO_START) + dates.encode5(dates.NO_END)


class Far:
    """The card store of a lock that is not ours; with `is_deaf` it says yes to a change and keeps the old period."""

    def __init__(self, rig, is_deaf=False):
        self.cards = []
        self.is_deaf = is_deaf
        self.asked = []
        plain = rig.far._answer
        rig.far._answer = lambda command, body: self.answer(body) if command == opcodes.CARD else plain(command, body)
        rig.lock.features |= 1 << 1
        rig.lock.model = "OTHER-1"

    def answer(self, body):
        request = card_lock.decode_manage(body)
        op = request[0]
        self.asked.append(op)
        if op == card_lock.LIST:
            if request[1] >= len(self.cards):
                return card_lock.encode_list(90, op, None)
            return card_lock.encode_list(90, op, request[1] + 1, *self.cards[request[1]])
        if op == card_lock.CLEAR:
            self.cards = []
        else:
            known = [card for card in self.cards if card[0] == request[1]]
            if op == card_lock.ADD:
                if known:
                    raise from_ble(opcodes.CARD, 0x14)
                self.cards.append(request[1:])
                return card_lock.encode_added(90, request[1])
            if not known:
                raise from_ble(opcodes.CARD, 0x18)
            if op == card_lock.DELETE:
                self.cards.remove(known[0])
            elif not self.is_deaf:
                self.cards[self.cards.index(known[0])] = request[1:]
        return card_lock.encode_managed(90, op)


class CardsTest(unittest.TestCase):
    def test_numbers_in_both_orders_and_lengths(self):
        encode = card_client.encode_id
        self.assertEqual(encode(CARD), b"\xda\x3c\xbc\x66")
        self.assertEqual(encode(1723612378, True), b"\xda\x3c\xbc\x66")
        self.assertEqual(encode(0x0411223344556677), b"\x04\x11\x22\x33\x44\x55\x66\x77")
        self.assertEqual(encode(0x04112233445566), b"\x00\x04\x11\x22\x33\x44\x55\x66")
        self.assertEqual(encode(0x66554433221104, True), b"\x00\x04\x11\x22\x33\x44\x55\x66")
        self.assertEqual(encode(0x7766554433221104, True), b"\x04\x11\x22\x33\x44\x55\x66\x77")

    def test_added_once_listed_masked_and_deleted_for_good(self):
        rig = Rig("cards")
        far = Far(rig)
        result = rig.ask("card_add", {"number": str(CARD)})
        self.assertEqual(result["data"], {"who": marks.of_card(rig.lock.aes, WHO)})
        self.assertEqual(rig.ask("card_add", {"number": 1723612378, "order": "reversed"})["code"], "ok")
        self.assertEqual(far.cards, [(b"\xda\x3c\xbc\x66", _ALWAYS)])
        found = rig.ask("card_list")["data"]
        self.assertEqual(found["next"], None)
        self.assertEqual(found["items"], [{"slot": 0, "who": result["data"]["who"], "type": 1, "status": 1}])
        who = found["items"][0]["who"]
        changed = rig.ask("card_change", {"slot": 0, "who": who ^ 1, "end": 1990000000})
        self.assertEqual((changed["code"], changed["data"]["reason"]), ("refused", "not_found"))
        self.assertEqual(rig.ask("card_delete", {"slot": 0, "who": who ^ 1})["code"], "ok")
        self.assertEqual(len(rig.ask("card_list")["data"]["items"]), 1)
        self.assertEqual(rig.ask("card_delete", {"slot": 0, "who": who})["code"], "ok")
        self.assertEqual(rig.ask("card_delete", {"slot": 0})["code"], "ok")
        self.assertEqual(rig.ask("card_delete", {"number": CARD})["code"], "ok")
        self.assertEqual(far.cards, [])

    def test_a_schedule_that_cannot_be_asked_for_is_unknown(self):
        # hardware-facts.md F45; features: with hours, without, not known
        for hours, has_hours in ((1 << 34, True), (0, False)):
            rig = Rig("schedule")
            Far(rig)
            rig.lock.features |= hours
            rig.ask("card_add", {"number": CARD})
            item = rig.ask("card_list")["data"]["items"][0]
            self.assertEqual((item.get("schedule"), item["type"]), ("unknown", None) if has_hours else (None, 1))

    def test_an_entry_that_cannot_be_read_does_not_end_the_list(self):
        rig = Rig("unknown cards")
        far = Far(rig)
        for number in (1, 2, 3):
            rig.ask("card_add", {"number": number})
        answer = far.answer
        far.answer = lambda body: answer(body)[:-3] if body == b"\x01\x00\x01" else answer(body)
        items = rig.ask("card_list")["data"]["items"]
        self.assertEqual([each["slot"] for each in items], [0, 1, 2])
        self.assertEqual([each.get("unknown") for each in items], [None, True, None])
        self.assertEqual(items[1]["who"], None)

    def test_a_change_without_effect_is_made_by_deleting_and_adding(self):
        for is_deaf, more in ((False, []), (True, [card_lock.DELETE, card_lock.ADD, card_lock.LIST])):
            rig = Rig("deaf cards")
            far = Far(rig, is_deaf)
            rig.ask("card_add", {"number": CARD})
            far.asked = []
            start = 1790000000
            result = rig.ask("card_change", {"number": CARD, "start": start, "end": start + 86400})
            self.assertEqual(result["code"], "ok")
            self.assertEqual(far.asked, [card_lock.MODIFY, card_lock.LIST] + more)
            self.assertEqual(dates.decode5(far.cards[0][1]), dates.from_seconds(start - 946684800)[:5])

    def test_what_is_refused_without_the_radio(self):
        rig = Rig("bad cards")
        far = Far(rig)
        for op, args in (
            ("card_add", {}),
            ("card_add", {"slot": 1}),
            ("card_add", {"number": "12x"}),
            ("card_add", {"number": -1}),
            ("card_add", {"number": True}),
            ("card_add", {"number": str(1 << 64)}),
            ("card_add", {"number": 1, "order": "sideways"}),
            ("card_add", {"number": 1, "start": 1790000000, "end": 1780000000}),
            ("card_add", {"number": 1, "days": [1]}),
            ("card_change", {"number": 1}),
            ("card_change", {"number": 1, "slot": 1, "end": 1790000000}),
            ("card_delete", {"slot": -1}),
            ("card_clear", {"slot": 1}),
            ("card_list", {"cursor": -1}),
            ("card_lost", {"number": 1, "lost": 1}),
        ):
            self.assertEqual(rig.ask(op, args)["code"], "bad_request", "%s %s" % (op, args))
        self.assertEqual((far.asked, rig.opened), ([], 0))
        rig.lock.features &= ~2
        result = rig.ask("card_list")
        self.assertEqual((result["code"], result["ttlock"], rig.opened), ("unsupported", -4043, 0))

    def test_a_full_store_and_a_lock_without_lost_cards(self):
        rig = Rig("full cards")
        Far(rig)
        rig.far.faults[opcodes.CARD] = from_ble(opcodes.CARD, 0x04)
        result = rig.ask("card_add", {"number": 1})
        self.assertEqual((result["code"], result["ttlock"], result["data"]["reason"]), ("refused", -4056, "full"))
        self.assertEqual(rig.ask("card_lost", {"number": 1})["code"], "unsupported")

    def test_a_link_that_broke_after_an_addition_is_followed_by_the_same_again(self):
        from firmware.lib.errors import LinkError

        rig = Rig("torn cards")
        far = Far(rig)
        lost = LinkError("link lost")
        lost.sent = True
        rig.far.faults[opcodes.CARD] = lost
        self.assertEqual(rig.ask("card_add", {"number": 7})["code"], "ok")
        self.assertEqual(far.cards, [(common.number(7, 4), _ALWAYS)])
