"""Reading a lock's log, keeping it over resets, sending it on: every record once by (lock, era, number, date)."""

import hashlib
import json
import os
import struct
import unittest

from firmware.gateway import records as keeping
from firmware.gateway.background import Clocks
from firmware.gateway.buffer import Buffer
from firmware.gateway.outgoing import Uploads
from firmware.gateway.records import Records
from firmware.gateway.registry import Registry
from firmware.gateway.scheduler import Expired, Job
from firmware.gateway.session import Session
from firmware.lib import dates, envelope, marks, opcodes, records
from firmware.lib.errors import AuthError, BadRequest, LinkError, NetError, from_ble
from firmware.lib.topics import Topics
from firmware.system.journal import Journal
from firmware.system.store import Cell
from firmware.system.timing import ticks_add, ticks_ms
from tests.unit.gateway_rig import (
    Broker,
    LinkedLock,
    Now,
    Outbox,
    Refusal,
    UnixClock,
    fresh_folder,
    known_lock,
    quiet_log,
    run,
    vault,
)

_KEY = bytes(16)
_OTHER_KEY = b"another key     "
_ERA = marks.era(bytes(range(16)))  # of the lock that the rig knows
_UNIX_2000 = 946684800
_DATE = dates.encode6(dates.from_seconds(1780000000 - _UNIX_2000)).hex()  # of `unlocked`


def unlocked(number, unix_s=1780000000):
    return records.encode(4, dates.from_seconds(unix_s - _UNIX_2000), 90, records.by_code(b"%06d" % number))


def opened(folder, key):
    """The buffer in `folder` of a board that keeps its key beside."""
    return Buffer(folder, key, vault(folder + "-board"))


def ack(first, last, era=_ERA, **more):
    """`…/records/ack` of a batch."""
    return json.dumps(dict({"epoch": era, "from": first, "to": last}, **more)).encode()


class BufferTest(unittest.TestCase):
    def test_the_cursor_follows_from_what_is_stored(self):
        folder = fresh_folder("buffer")
        buffer = opened(folder, _KEY)
        self.assertEqual(buffer.cursor, 0)
        for number in (300, 301, 305):
            buffer.append(number, unlocked(number))
        found = [(entry.number, entry.gap) for entry in buffer.unsent(0)]
        self.assertEqual(found, [(300, 0), (301, 0), (305, 3)])
        buffer.acknowledge(2)
        again = opened(folder, _KEY)
        self.assertEqual((again.cursor, again.pending(), again.era), (306, 1, marks.era(_KEY)))

    def test_new_keys_begin_a_new_era_and_what_waits_keeps_its_own(self):
        folder = fresh_folder("buffer2")
        opened(folder, _KEY).append(41, unlocked(1))
        for _ in range(2):
            buffer = opened(folder, _OTHER_KEY)
            self.assertEqual((buffer.era, buffer.cursor), (marks.era(_OTHER_KEY), 0))
        buffer.append(0, unlocked(2))
        opened(folder, b"a third key     ").append(7, unlocked(3))
        buffer = opened(folder, _KEY)  # and back: the first pairing's era is the same again
        buffer.append(42, unlocked(4))
        buffer = opened(folder, _KEY)
        eras = [marks.era(key) for key in (_KEY, _OTHER_KEY, b"a third key     ", _KEY)]
        found = [(entry.era, entry.number, entry.gap) for entry in buffer.unsent(0)]
        self.assertEqual(found, [(era, number, 0) for era, number in zip(eras, (41, 0, 7, 42))])
        self.assertEqual(buffer.cursor, 43)
        buffer.acknowledge(4)
        opened(folder, _OTHER_KEY).append(1, unlocked(5))
        again = opened(folder, _OTHER_KEY)
        self.assertEqual([(entry.era, entry.number) for entry in again.unsent(again.sent)], [(eras[1], 1)])

    def test_every_gateway_names_the_same_era_and_every_pairing_another(self):
        keys = [bytes((n,)) * 16 for n in range(200)]
        for key in keys[:3]:
            eras = {opened(fresh_folder("gateway%d" % n), key).era for n in range(3)}
            self.assertEqual(eras, {marks.era(key)})
        self.assertEqual(len({marks.era(key) for key in keys}), len(keys))
        # HMAC-SHA-256 of the text `era` under the key, by openssl: the first 48 bits
        self.assertEqual(marks.era(bytes(range(16))), 101612107176945)

    def test_numbers_wrap_within_the_era(self):
        folder = fresh_folder("buffer3")
        buffer = opened(folder, _KEY)
        for number in (65532, 65533, 0, 2):
            buffer.append(number, unlocked(number))
        found = [(entry.era, entry.number, entry.gap) for entry in buffer.unsent(0)]
        era = marks.era(_KEY)
        self.assertEqual(found, [(era, 65532, 0), (era, 65533, 0), (era, 0, 0), (era, 2, 1)])
        self.assertEqual(opened(folder, _KEY).cursor, 3)

    def test_a_wrap_that_skips_the_last_numbers_is_a_gap(self):
        buffer = opened(fresh_folder("buffer4"), _KEY)
        buffer.append(65530, unlocked(1))
        buffer.append(1, unlocked(2))
        self.assertEqual([entry.gap for entry in buffer.unsent(1)], [4])

    def test_what_the_first_release_left_is_sent_in_the_era_of_the_key(self):
        folder = fresh_folder("buffer5")
        buffer = opened(folder, _KEY)
        for number in (65533, 0, 1):
            buffer.append(number, unlocked(number))
        # As that release kept it: a fingerprint of the key, and another turn since the numbers had wrapped
        old = hashlib.sha256(b"gatehouse-epoch" + _KEY).digest()[:6]
        Cell(folder + "/state").save(struct.pack(">II6s", 0, 0, old))
        journal = Journal(folder, 64, 34)
        journal.append(struct.pack(">HHI", 1, 2, 0) + unlocked(2))
        for _ in range(2):
            buffer = opened(folder, _KEY)
            self.assertEqual((buffer.era, buffer.cursor, buffer.pending()), (marks.era(_KEY), 3, 4))
            found = [(entry.era, entry.number) for entry in buffer.unsent(0)]
            self.assertEqual(found, [(marks.era(_KEY), number) for number in (65533, 0, 1, 2)])

    def test_what_earlier_releases_kept_in_clear_is_still_sent(self):
        folder = fresh_folder("buffer6")
        opened(folder, _KEY)
        journal = Journal(folder, 64, 34)
        journal.append(struct.pack(">HHI", 0, 4, 0) + unlocked(4))
        who = 0x012345678901
        journal.append(struct.pack(">HHIHI", 0, 5, 1 << 31, who >> 32, who & 0xFFFFFFFF) + unlocked(5))
        buffer = opened(folder, _KEY)
        buffer.append(7, unlocked(7), who)
        found = [(entry.number, entry.gap, entry.who, entry.raw) for entry in opened(folder, _KEY).unsent(0)]
        wanted = [(4, 0, None, unlocked(4)), (5, 0, who, unlocked(5)), (7, 1, who, unlocked(7))]
        self.assertEqual(found, wanted)

    def test_a_record_is_on_flash_encrypted_only_and_under_another_key_it_is_a_gap(self):
        folder = fresh_folder("buffer7")
        buffer = opened(folder, _KEY)
        for number in range(40):
            buffer.append(number, unlocked(number))
        for name in os.listdir(folder):
            with open(folder + "/" + name, "rb") as file:
                kept = file.read()
            self.assertEqual([n for n in range(40) if unlocked(n)[1:] in kept], [], name)
        other = Buffer(folder, _KEY, vault(folder + "-other"))
        self.assertEqual((other.cursor, other.last_date(), list(other.unsent(0))), (40, None, []))
        other.append(40, unlocked(40))
        self.assertEqual([(entry.number, entry.gap) for entry in other.unsent(0)], [(40, 40)])


class Rig:
    def __init__(self, name, by_consumer=False, clears_flag=True):
        folder = fresh_folder(name)
        self.now = Now()
        self.clock = UnixClock()
        self.broker = Broker()
        self.events = Outbox()
        self.far = LinkedLock()
        self.lock = known_lock()
        log = quiet_log()
        self.registry = Registry(vault(folder + "/locks"), self.now, log)
        self.registry.add(self.lock)
        topics = Topics("001122334455")
        self.clocks = Clocks(self.clock, self.registry, log)
        self.folder = folder + "/records"
        self.keeper = Records(
            self.folder, self.registry, self.clocks, self.clock, self.events, topics, self.now, log, clears_flag
        )
        self.uploads = Uploads(self.registry, self.keeper, topics, self.broker, self.now, log, by_consumer)

    def session(self):
        """A link for the job `job`, whose marks are kept in `marked`."""
        self.marked = []
        self.job = job = Job(self.lock, ticks_add(ticks_ms(), 60000))
        job.mark = lambda: self.marked.append(job.was_sent)
        session = Session(self.far, self.lock, self.registry, job.deadline_ms)
        session.begin(job)
        return session

    def read(self, must_yield=lambda: False, is_sliced=False):
        return run(self.keeper.read(self.session(), must_yield, None, is_sliced))

    def upload(self):
        async def work():
            while await self.uploads.offer(self.lock):
                pass

        run(work())

    def batches(self):
        return [json.loads(payload) for _, payload, _, _ in self.broker.sent]


class ReadingTest(unittest.TestCase):
    def test_a_log_is_read_once_and_arrives_in_batches(self):
        rig = Rig("reading")
        rig.far.records = [unlocked(number) for number in range(40)]
        self.assertEqual(rig.read(), {"read": 40, "epoch": _ERA, "cursor": 40, "more": False})
        self.assertEqual(rig.read()["read"], 0)
        rig.upload()
        items = [item["rec"] for batch in rig.batches() for item in batch["items"]]
        self.assertEqual(items, list(range(40)))
        for _, payload, _, qos in rig.broker.sent:
            self.assertTrue(len(payload) < 1024)
            self.assertEqual(qos, 1)
        self.assertEqual(rig.keeper.buffer(rig.lock).pending(), 0)

    def test_no_digits_are_kept_or_sent(self):
        rig = Rig("digits")
        rig.far.records = [unlocked(number + 987650) for number in range(3)]
        rig.read()
        for entry in rig.keeper.buffer(rig.lock).unsent(0):
            self.assertFalse(b"98765" in entry.raw)
        rig.upload()
        self.assertFalse("98765" in "".join(payload for _, payload, _, _ in rig.broker.sent))

    def test_who_opened_is_known_by_a_mark_and_asked_as_administrator_only_for_codes(self):
        rig = Rig("who")
        at = dates.from_seconds(rig.clock.unix_s - _UNIX_2000)
        card = records.encode(17, at, 90, records.by_card(b"\xda\x3c\x4f\x66"))
        rig.far.masks = True
        rig.far.records = [card]
        rig.read()
        self.assertFalse(opcodes.CHECK_ADMIN in rig.far.asked)
        wrong = records.encode(7, at, 90, records.by_wrong_code(b"864202"))
        fob = records.encode(55, at, 90, b"\x33\x22\x11\xcc\xbb\xaa\x02\x50")
        finger = records.encode(20, at, 90, (123456789012).to_bytes(6, "big"))
        rig.far.records = [card, wrong, unlocked(864201), unlocked(864203), fob, finger]
        rig.read()
        self.assertEqual(rig.far.asked.count(opcodes.CHECK_ADMIN), 1)
        rig.upload()
        items = [item for batch in rig.batches() for item in batch["items"]]
        key = rig.lock.aes
        self.assertEqual(
            [item["who"] for item in items],
            [
                marks.of_card(key, 0xDA3C4F66),
                None,
                marks.of_passcode(key, b"864201"),
                marks.of_passcode(key, b"864203"),
                marks.of_fob(key, b"\xaa\xbb\xcc\x11\x22\x33"),
                123456789012,
            ],
        )
        self.assertEqual([item["list"] for item in items], [7, 4, 4, 4, 55, 8])
        self.assertEqual([item["ok"] for item in items], [True, False, True, True, True, True])
        self.assertEqual((items[4]["button"], items[4]["accessory_battery"]), (2, 80))
        for entry in rig.keeper.buffer(rig.lock).unsent(0):
            self.assertFalse(b"8642" in entry.raw or b"\x3c\x4f" in entry.raw or b"\x11\xcc" in entry.raw)

    def test_a_lock_that_does_not_take_us_for_its_administrator_still_gives_its_records(self):
        rig = Rig("nobody")
        rig.far.masks = True
        refused = AuthError("no")
        refused.ble = 2
        rig.far.faults = {opcodes.CHECK_ADMIN: Refusal(refused)}
        rig.far.records = [unlocked(864201), unlocked(864203)]
        self.assertEqual(rig.read()["read"], 2)
        rig.upload()
        self.assertEqual([item["who"] for item in rig.batches()[0]["items"]], [None, None])
        self.assertEqual(rig.far.asked.count(opcodes.CHECK_ADMIN), 1)

    def test_a_clock_that_was_never_set_costs_the_date_and_not_the_record(self):
        rig = Rig("unset")
        rig.lock.zone = "<+02>-2"
        rig.far.records = [unlocked(0, _UNIX_2000 + 60), unlocked(1)]
        self.assertEqual(rig.read()["read"], 2)
        rig.upload()
        items = rig.batches()[0]["items"]
        self.assertEqual([(item["rec"], item["ts"] is None) for item in items], [(0, True), (1, False)])

    def test_a_broken_walk_goes_on_where_it_stopped(self):
        rig = Rig("broken")
        rig.far.records = [unlocked(number) for number in range(20)]
        rig.far.faults = {}
        count = [0]
        plain = rig.far._page

        def page(cursor):
            count[0] += 1
            if count[0] == 8:
                raise LinkError("link lost")
            return plain(cursor)

        rig.far._page = page
        with self.assertRaises(LinkError):
            rig.read()
        rig.keeper.close(rig.lock)  # as after a reset
        self.assertEqual(rig.read(), {"read": 13, "epoch": _ERA, "cursor": 20, "more": False})
        rig.upload()
        self.assertEqual([batch["gap"] for batch in rig.batches()], [0] * len(rig.batches()))

    def test_a_walk_gives_way(self):
        rig = Rig("yield")
        rig.far.records = [unlocked(number) for number in range(20)]
        turns = [0]

        def wanted():
            turns[0] += 1
            return turns[0] > 5

        self.assertEqual(rig.read(wanted), {"read": 5, "epoch": _ERA, "cursor": 5, "more": True})
        self.assertTrue(rig.keeper.is_due(rig.lock))
        self.assertEqual(rig.read()["read"], 15)

    def test_what_the_lock_has_overwritten_is_a_gap(self):
        rig = Rig("gap")
        rig.far.records = [unlocked(number) for number in range(3)]
        rig.read()
        rig.upload()
        rig.far.first = 50
        rig.far.records = [unlocked(number) for number in range(50, 53)]
        rig.read()
        rig.upload()
        last = rig.batches()[-1]
        self.assertEqual((last["from"], last["to"], last["gap"]), (50, 52, 47))

    def test_young_records_are_events_and_old_ones_are_not(self):
        rig = Rig("events")
        rig.far.records = [unlocked(1, rig.clock.unix_s - 3600), unlocked(2, rig.clock.unix_s - 5)]
        rig.read()
        self.assertEqual(len(rig.events.put_in), 1)
        event = json.loads(rig.events.put_in[0][1])
        self.assertEqual((event["event_type"], event["method"], event["rec"]), ("unlock", "passcode", 1))
        self.assertEqual(rig.lock.last["method"], "passcode")

    def test_a_power_on_record_asks_for_the_clock(self):
        rig = Rig("poweron")
        rig.lock.clock_s = rig.clock.unix_s
        self.assertFalse(rig.clocks.is_due(rig.lock))
        rig.far.records = [records.encode(14, (2000, 1, 1, 0, 0, 0), 90)]
        rig.read()
        self.assertTrue(rig.clocks.is_due(rig.lock))


class UploadTest(unittest.TestCase):
    def test_records_wait_for_the_broker(self):
        rig = Rig("away")
        rig.far.records = [unlocked(number) for number in range(12)]
        rig.read()
        rig.broker.is_up = False
        with self.assertRaises(NetError):
            rig.upload()
        rig.keeper.close(rig.lock)
        rig.broker.is_up = True
        rig.upload()
        self.assertEqual([item["rec"] for batch in rig.batches() for item in batch["items"]], list(range(12)))

    def test_a_lock_imported_anew_while_a_batch_is_on_its_way_keeps_one_buffer(self):
        rig = Rig("anew")
        rig.far.records = [unlocked(number) for number in range(70)]
        rig.read()
        plain = rig.broker.publish

        async def publish(topic, payload, retain=False, qos=0):
            rig.broker.publish = plain
            renewed = known_lock()
            renewed.aes = _OTHER_KEY
            rig.keeper.renew(renewed)
            await plain(topic, payload, retain, qos)

        rig.broker.publish = publish
        rig.upload()
        self.assertEqual([item["rec"] for batch in rig.batches() for item in batch["items"]], list(range(70)))
        rig.far.records = [unlocked(number) for number in range(3)]
        self.assertEqual(rig.read(), {"read": 3, "epoch": marks.era(_OTHER_KEY), "cursor": 3, "more": False})
        rig.upload()
        self.assertEqual(rig.batches()[-1]["epoch"], marks.era(_OTHER_KEY))
        again = Buffer(rig.folder + "/" + rig.lock.id, _OTHER_KEY, rig.registry.vault)
        self.assertEqual((again.era, again.cursor, again.pending()), (marks.era(_OTHER_KEY), 3, 0))

    def test_one_batch_is_out_and_comes_again_ever_more_rarely(self):
        rig = Rig("consumer", True)
        rig.far.records = [unlocked(number) for number in range(7)]
        rig.read()
        pauses = []
        for _ in range(8):
            began_s = rig.now.s
            seen = len(rig.broker.sent)
            while len(rig.broker.sent) == seen:
                rig.now.s += 1
                rig.upload()
            pauses.append(rig.now.s - began_s)
        self.assertEqual(pauses, [1, 30, 60, 120, 240, 480, 600, 600])
        self.assertEqual({(batch["from"], batch["to"]) for batch in rig.batches()}, {(0, 2)})
        for offer_again in (lambda: rig.uploads.offer_again(rig.lock), rig.uploads.offer_again):
            seen = len(rig.broker.sent)
            offer_again()  # somebody asked for the records; the broker is there again
            rig.upload()
            self.assertEqual(len(rig.broker.sent), seen + 1)

    def test_a_batch_that_did_not_reach_the_broker_goes_out_as_soon_as_it_is_there(self):
        rig = Rig("consumer-away", True)
        rig.far.records = [unlocked(number) for number in range(3)]
        rig.read()
        rig.broker.is_up = False
        for _ in range(3):
            self.assertRaises(NetError, rig.upload)
        rig.broker.is_up = True
        rig.upload()
        self.assertEqual(len(rig.broker.sent), 1)

    def test_an_acknowledgement_names_what_was_sent_or_it_is_none(self):
        rig = Rig("consumer-ack", True)
        rig.far.records = [unlocked(number) for number in range(7)]
        rig.read()
        early = ack(0, 2)
        rig.uploads.acknowledged(rig.lock, early)
        self.assertEqual(rig.keeper.buffer(rig.lock).pending(), 7)  # nothing was sent yet
        rig.upload()
        for wrong in (
            b"nonsense",
            b'{"epoch":%d,"to":2}' % _ERA,
            b'{"epoch":"%d","from":0,"to":2}' % _ERA,
            ack(0, 2, era=_ERA + 1),
            ack(0, 3),
            ack(1, 2),
            ack(3, 5),
            ack(2, 0),
            ack(None, 2),
            ack(0, [2]),
            ack(False, 2),
            ack(0, True),
            ack(0, 2.0),
            ack(0, 2, era=float(_ERA)),
            ack(0, 2, date=_DATE.replace("1", "2")),
            ack(0, 2, date=_DATE[:-2]),
            ack(0, 2, date=_DATE + "00"),
            ack(0, 2, date=""),
            ack(0, 2, date="x" * 12),
            ack(0, 2, date=7),
            ack(0, 2, date=[_DATE]),
        ):
            rig.uploads.acknowledged(rig.lock, wrong)
            self.assertEqual(rig.keeper.buffer(rig.lock).pending(), 7, wrong)
        rig.uploads.acknowledged(rig.lock, ack(0, 1, date=_DATE))  # the first records of it
        self.assertEqual(rig.keeper.buffer(rig.lock).pending(), 5)
        rig.upload()
        self.assertEqual([(batch["from"], batch["to"]) for batch in rig.batches()], [(0, 2), (2, 4)])
        rig.uploads.acknowledged(rig.lock, ack(0, 2))  # late, of before
        rig.uploads.acknowledged(rig.lock, ack(2, 4))
        self.assertEqual(rig.keeper.buffer(rig.lock).pending(), 2)

    def test_an_owners_batches_are_proven_and_only_his_recorder_acknowledges_them(self):
        rig = Rig("proven", True)
        key = envelope.record_key(bytes(range(32)))
        rig.uploads.record_key = lambda: key
        rig.far.records = [unlocked(number) for number in range(3)]
        rig.read()
        rig.upload()
        topic, payload, _, _ = rig.broker.sent[0]
        self.assertTrue(envelope.verify(key, topic, payload.encode()) and len(payload) < 1024)
        body = json.loads(payload)
        named = {"epoch": body["epoch"], "from": body["from"], "to": body["to"], "iat": 1}
        ack = json.dumps(dict(named, date=_DATE))
        good = envelope.sign(key, topic + "/ack", ack)
        other = topic.replace(rig.lock.id, "000000000000") + "/ack"
        for forged in (
            ack,
            good[:-1],
            good.replace('"iat": 1', '"iat": 2'),
            envelope.sign(bytes(32), topic + "/ack", ack),
            envelope.sign(key, topic, ack),
            envelope.sign(key, other, ack),
            payload,
        ):
            self.assertFalse(rig.uploads.is_awaited(rig.lock, forged.encode()), forged)
        for undated in (named, dict(named, date=None), dict(named, date=_DATE.replace("1", "2"))):
            signed = envelope.sign(key, topic + "/ack", json.dumps(undated)).encode()
            self.assertTrue(rig.uploads.is_awaited(rig.lock, signed))
            rig.uploads.acknowledged(rig.lock, signed)
            self.assertEqual(rig.keeper.buffer(rig.lock).pending(), 3, undated)
        self.assertTrue(rig.uploads.is_awaited(rig.lock, good.encode()))
        rig.uploads.acknowledged(rig.lock, good.encode())
        self.assertFalse(rig.uploads.is_awaited(rig.lock, good.encode()), "nothing is out")
        self.assertEqual(rig.keeper.buffer(rig.lock).pending(), 0)
        run(rig.uploads.send(rig.lock, body["epoch"], body["items"], ticks_add(ticks_ms(), 1000)))
        topic, payload, _, _ = rig.broker.sent[-1]
        self.assertTrue(envelope.verify(key, topic, payload.encode()))

    def test_no_old_acknowledgement_moves_the_cursor_when_the_numbers_come_again(self):
        rig = Rig("consumer-wrap", True)
        buffer = rig.keeper.buffer(rig.lock)
        old = []
        for turn in range(3):  # 65534 records lie between two turns; the buffer keeps what waits only
            for number in range(4):
                buffer.append(number, unlocked(number, 1780000000 + turn * 40000000 + number), None, True)
            rig.now.s += 700
            rig.upload()
            batch = rig.batches()[-1]
            self.assertEqual((batch["from"], batch["to"]), (0, len(batch["items"]) - 1))
            for each in old:
                rig.uploads.acknowledged(rig.lock, each)
                self.assertEqual(rig.keeper.buffer(rig.lock).pending(), 4, each)
            while buffer.pending():
                batch = rig.batches()[-1]
                old.append(ack(batch["from"], batch["to"], date=batch["items"][-1]["date"]))
                rig.uploads.acknowledged(rig.lock, old[-1])
                rig.upload()
                buffer = rig.keeper.buffer(rig.lock)

    def test_a_consumer_may_be_faster_than_the_brokers_receipt(self):
        rig = Rig("consumer-fast", True)
        rig.far.records = [unlocked(number) for number in range(3)]
        rig.read()
        plain = rig.broker.publish

        async def publish(topic, payload, retain=False, qos=0):
            await plain(topic, payload, retain, qos)
            rig.uploads.acknowledged(rig.lock, ack(0, 2))

        rig.broker.publish = publish
        rig.upload()
        self.assertEqual(rig.keeper.buffer(rig.lock).pending(), 0)

    def test_a_batch_ends_where_the_numbers_or_the_era_do(self):
        rig = Rig("consumer-rows")
        buffer = rig.keeper.buffer(rig.lock)
        for number in (65532, 65533, 0, 1, 3):
            buffer.append(number, unlocked(number))
        buffer.rekey(_OTHER_KEY)
        buffer.append(4, unlocked(4))
        rig.upload()
        found = [(batch["from"], batch["to"], batch["gap"]) for batch in rig.batches()]
        self.assertEqual(found, [(65532, 65533, 0), (0, 1, 0), (3, 3, 1), (4, 4, 0)])

    def test_what_finds_no_room_stays_in_the_lock_and_is_told_of_all_the_same(self):
        before = keeping.FULL
        keeping.FULL = full = 40
        try:
            self.fill(full)
        finally:
            keeping.FULL = before

    def fill(self, full):
        rig = Rig("consumer-full", True)
        rig.far.records = [unlocked(number, rig.clock.unix_s - 5) for number in range(full + 20)]
        self.assertEqual(rig.read()["read"], full + 20)
        self.assertEqual(rig.keeper.waiting(rig.lock)[0], full)
        self.assertEqual(len(rig.events.put_in), full + 20)
        rig.far.records.append(unlocked(full + 20, rig.clock.unix_s - 5))
        self.assertEqual(rig.read()["read"], 1)  # and each once
        self.assertEqual(json.loads(rig.events.put_in[-1][1])["rec"], full + 20)
        again = 0
        while rig.keeper.waiting(rig.lock)[0]:
            rig.upload()
            batch = rig.batches()[-1]
            rig.uploads.acknowledged(rig.lock, ack(batch["from"], batch["to"]))
            if rig.keeper.is_due(rig.lock):
                again += rig.read()["read"]
        self.assertEqual(again, 21)  # from where the buffer ended, and not once for each batch that went
        numbers = [item["rec"] for batch in rig.batches() for item in batch["items"]]
        self.assertEqual(sorted(set(numbers)), list(range(full + 21)))
        self.assertEqual(sum([batch["gap"] for batch in rig.batches()]), 0)

    def test_two_buffers_are_open_and_the_others_go_on_where_they_were(self):
        rig = Rig("packed", by_consumer=True)
        locks = [rig.lock] + [known_lock(b"\xaa\xbb\xcc\x11\x22" + bytes((n,))) for n in range(4)]
        for lock in locks[1:]:
            rig.registry.add(lock)
        rig.far.records = [unlocked(number) for number in range(40)]
        for lock in locks:
            rig.lock = lock
            rig.read()
        first = rig.keeper.buffer(locks[0])
        first.append(40, unlocked(40))
        for lock in locks:
            rig.lock = lock
            self.assertEqual(run(rig.uploads.offer(lock)), False)  # one batch is out
        self.assertFalse(rig.keeper.buffer(locks[0]) is first)
        self.assertEqual([rig.keeper.waiting(lock) for lock in locks], [(41, True)] + [(40, True)] * 4)
        for lock in locks:
            batch = json.loads(rig.broker.sent[locks.index(lock)][1])
            rig.uploads.acknowledged(lock, ack(batch["from"], batch["to"]))
            rig.lock = lock
            rig.upload()
            again = Buffer(rig.folder + "/" + lock.id, lock.aes, rig.registry.vault)  # as a restart does it
            kept = rig.keeper.buffer(lock)
            self.assertEqual((kept.sent, kept.cursor, kept.era), (again.sent, again.cursor, again.era))
            self.assertEqual(kept.pending(), again.pending())
        rig.keeper.buffer(locks[0]).append(45, unlocked(45))
        self.assertEqual([entry.gap for entry in rig.keeper.buffer(locks[0]).unsent(0)][-1], 4)

    def test_the_buffer_of_the_lock_that_is_read_stays_open(self):
        rig = Rig("reading")
        locks = [known_lock(b"\xaa\xbb\xcc\x11\x22" + bytes((n,))) for n in range(4)]
        for lock in locks:
            rig.registry.add(lock)
        rig.far.records = [unlocked(number) for number in range(20)]

        def others_come():
            for lock in locks:
                rig.keeper.buffer(lock)
            return False

        rig.read(others_come)
        self.assertEqual(rig.keeper.waiting(rig.lock), (20, False))
        self.assertEqual(Buffer(rig.folder + "/" + rig.lock.id, rig.lock.aes, rig.registry.vault).cursor, 20)


class ClocksTest(unittest.TestCase):
    def test_a_clock_is_set_only_when_it_is_off(self):
        rig = Rig("clocks")
        rig.lock.zone = "<+01>-1"
        local = dates.from_seconds(rig.clock.unix_s + 3600 - _UNIX_2000)
        rig.far.clock6 = dates.from_seconds(rig.clock.unix_s + 3600 - 20 - _UNIX_2000)
        self.assertEqual(run(rig.clocks.correct(rig.session())), {"drift_s": -20, "set": False, "left_s": -20})
        rig.far.clock6 = (2000, 1, 1, 0, 0, 0)
        self.assertTrue(run(rig.clocks.correct(rig.session()))["set"])
        self.assertEqual(rig.far.clock6, local)
        self.assertFalse(rig.clocks.is_due(rig.lock))
        rig.clock.unix_s += 86400
        self.assertTrue(rig.clocks.is_due(rig.lock))
        rig.clock.trusted = False
        self.assertFalse(rig.clocks.is_due(rig.lock))

    def test_a_clock_whose_setting_got_no_answer_may_have_been_set(self):
        for sent in (True, False):
            rig = Rig("clocks")
            rig.far.clock6 = (2000, 1, 1, 0, 0, 0)
            session = rig.session()
            rig.far.faults[opcodes.SET_CLOCK] = lost = LinkError("link lost")
            lost.sent = sent
            self.assertRaises(LinkError, run, rig.clocks.correct(session, 0, "<+01>-1"))
            self.assertEqual((rig.marked, rig.job.was_sent), ([False], sent))
            self.assertEqual(rig.lock.zone, "UTC0")  # the lock has not said that it shows the other zone
            run(rig.clocks.correct(session, 0, "<+01>-1"))
            self.assertEqual((rig.lock.zone, rig.job.was_sent), ("<+01>-1", True))

    def test_a_refusal_takes_back_that_something_may_have_been_done(self):
        rig = Rig("refused-change")
        session = rig.session()
        rig.far.faults[opcodes.SET_CLOCK] = from_ble(opcodes.SET_CLOCK, 0x1D)
        self.assertRaises(BadRequest, run, session.change(opcodes.SET_CLOCK, b"\x1a\x05\x0b\x0e\x17\x07"))
        self.assertFalse(rig.job.was_sent)
        rig.far.faults[opcodes.SET_CLOCK] = from_ble(opcodes.SET_CLOCK, 0x02)  # the login is over
        run(session.change(opcodes.SET_CLOCK, b"\x1a\x05\x0b\x0e\x17\x07"))
        self.assertTrue(rig.job.was_sent)
        self.assertEqual(rig.far.asked.count(opcodes.CHECK_ADMIN), 2)
        rig.far.faults[opcodes.SET_CLOCK] = from_ble(opcodes.SET_CLOCK, 0x1D)
        self.assertRaises(BadRequest, run, session.change(opcodes.SET_CLOCK, b"\x1a\x05\x0b\x0e\x17\x07"))
        self.assertTrue(rig.job.was_sent)  # the change before was accepted

    def test_a_change_is_not_begun_when_it_might_act_too_late(self):
        rig = Rig("late-change")
        session = rig.session()
        session.deadline_ms = ticks_add(ticks_ms(), 300)
        self.assertRaises(Expired, run, session.change(opcodes.SET_CLOCK, b"\x1a\x05\x0b\x0e\x17\x07"))
        self.assertFalse(rig.job.was_sent)
        self.assertFalse(opcodes.SET_CLOCK in rig.far.asked)
