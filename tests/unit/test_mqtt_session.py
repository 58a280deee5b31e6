import asyncio
import unittest

from firmware.lib.errors import NetError
from firmware.net.mqtt_session import Outbox, Session
from firmware.system.timing import sleep_ms, ticks_add, ticks_ms
from tests.unit.tasks import cancel


class ReceivedTest(unittest.TestCase):
    def test_a_message_of_qos_2_is_first_once_until_it_is_released(self):
        session = Session(None, None)
        self.assertEqual([session.is_first(pid) for pid in (1, 2, 1, 2)], [True, True, False, False])
        session.released(1)
        session.released(77)
        self.assertEqual([session.is_first(pid) for pid in (1, 2)], [True, False])

    def test_a_broker_that_never_releases_costs_no_memory(self):
        session = Session(None, None)
        self.assertTrue(all(session.is_first(pid) for pid in range(1, 5000)))
        self.assertFalse(session.is_first(4999))
        self.assertTrue(session.is_first(1))  # long forgotten


class OutboxTest(unittest.TestCase):
    def test_what_waits_for_its_puback_or_to_be_written_has_an_age(self):
        ages = []

        async def story():
            outbox = Outbox()
            ages.append(outbox.oldest_ms())
            task = asyncio.create_task(outbox.publish("t", "payload", False))
            await sleep_ms(20)
            ages.append(outbox.oldest_ms() > 0)
            packet = outbox.pop_all()[0]
            outbox.acknowledge(packet[5] << 8 | packet[6])
            await task
            await sleep_ms(20)
            ages.append(outbox.oldest_ms() > 0)  # the broker does not read
            outbox.sent()
            ages.append(outbox.oldest_ms())

        asyncio.run(story())
        self.assertEqual(ages, [0, True, True, 0])

    def test_a_payload_in_pieces_is_one_message_whatever_comes_between(self):
        """The head says its length; an acknowledgement that is queued meanwhile goes before it or behind it."""

        async def story():
            outbox = Outbox()
            ack = b"\x40\x02\x00\x07"
            made = []

            def pieces():
                for size in (1, 0, 200, 500):
                    made.append(size)
                    yield b"x" * size

            outbox.enqueue(ack)
            task = asyncio.create_task(outbox.settle(outbox.submit_pieces("t", 701, pieces(), True)))
            await sleep_ms(20)
            outbox.enqueue(ack)
            taken = outbox.pop_all()
            self.assertEqual(made, [])  # nothing is made before it is written
            written = b"".join([part if isinstance(part, bytes) else b"".join(list(part)) for part in taken])
            self.assertEqual(written[:4] + written[-4:], ack + ack)
            packet = written[4:-4]
            head = b"\x33\xc2\x05\x00\x01t"  # QoS 1, retained; 2 + 1 + 2 + 701 octets
            self.assertEqual((packet[:6], packet[8:]), (head, b"x" * 701))
            self.assertFalse(task.done())
            outbox.acknowledge(packet[6] << 8 | packet[7])
            await task

        asyncio.run(story())

    def test_what_the_broker_sends_first_does_not_count_as_its_silence(self):
        """Retained messages stand before an acknowledgement: however long they take, they cost no session. A broker
        that says little, and never acknowledges, is found out all the same."""

        async def story():
            outbox = Outbox()
            waiter = outbox.expect()
            outbox.pop_all()
            ages = []
            for octets_per_ms in (40, 4, 1):
                waiter.since_ms = ticks_add(ticks_ms(), -100000)
                waiter.received = outbox.received
                outbox.received += 100000 * octets_per_ms
                ages.append(outbox.oldest_ms())
            return ages

        fast, slow, little = asyncio.run(story())
        self.assertEqual(fast, 0)
        self.assertTrue(slow < 1000)
        self.assertTrue(little >= 75000)

    def test_the_end_of_the_session_ends_every_wait(self):
        async def story():
            outbox = Outbox()
            tasks = [asyncio.create_task(outbox.publish("t", "payload", False)) for _ in range(12)]
            await sleep_ms(5)
            outbox.close()
            ends = []
            for task in tasks:
                try:
                    await task
                except NetError as err:
                    ends.append(err.code)
            return ends

        self.assertEqual(asyncio.run(story()), ["net"] * 12)

    def test_who_gives_up_leaves_room_for_others(self):
        async def story():
            outbox = Outbox()
            tasks = [asyncio.create_task(outbox.publish("t", "%d" % number, False)) for number in range(9)]
            await sleep_ms(5)
            before = len(outbox.pop_all())
            await cancel(tasks[0])
            await sleep_ms(5)
            after = len(outbox.pop_all())
            for task in tasks[1:]:
                await cancel(task)
            return before, after

        self.assertEqual(asyncio.run(story()), (8, 1))

    def test_acknowledgements_are_written_together_and_in_order(self):
        rng = 1
        for _ in range(200):
            outbox = Outbox()
            sent = b""
            for _ in range(40):
                rng = rng * 1103515245 + 12345 & 0x7FFFFFFF
                kind = rng >> 16 & 3
                packet = bytes((0x40, 2, rng >> 8 & 255, rng & 255)) if kind else bytes(rng >> 18 & 255)
                if packet:
                    outbox.enqueue(packet)
                    sent += packet
            parts = outbox.pop_all()
            self.assertEqual(b"".join(parts), sent)
            self.assertEqual(outbox.pop_all(), [])
        for number in range(100):
            outbox.enqueue(bytes((0x40, 2, 0, number)))
        parts = outbox.pop_all()
        self.assertTrue(len(parts) <= 7 and max([len(part) for part in parts]) <= 64)
