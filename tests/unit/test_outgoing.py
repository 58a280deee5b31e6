import asyncio
import unittest

from firmware.gateway.outgoing import Outgoing, States, Uploads
from firmware.lib.errors import NetError
from firmware.lib.topics import Topics
from firmware.system.supervisor import Lease
from tests.unit.gateway_rig import Broker, Now, UnixClock, known_lock, quiet_log, run, stop


class Dawdler(Broker):
    """Has not acknowledged the first message when the connection is given up."""

    def __init__(self):
        super().__init__()
        self.is_slow = True

    async def publish(self, topic, payload, retain=False, qos=0):
        if self.is_slow:
            self.is_slow = False
            raise NetError("session ended before the PUBACK")
        await super().publish(topic, payload, retain, qos)


class One:
    """A registry of one lock."""

    def __init__(self, lock):
        self.locks = (lock,)

    def all(self):
        return self.locks

    def presence(self, lock):
        return True


class OutgoingTest(unittest.TestCase):
    def test_when_full_the_oldest_goes_and_is_counted(self):
        outgoing = Outgoing(Broker(), quiet_log(), 4)
        for number in range(6):
            outgoing.publish("t", "%d" % number)
        self.assertEqual((len(outgoing), outgoing.dropped), (4, 2))

    def test_what_is_spare_never_displaces_a_result(self):
        outgoing = Outgoing(Broker(), quiet_log(), 4)
        for _ in range(5):
            outgoing.publish("t", "spare", False, True)
        outgoing.publish("t", "result")
        self.assertEqual((len(outgoing), outgoing.dropped), (3, 3))


class Wire:
    """A broker whose receipts come when the test says so; `lose()` ends the session."""

    def __init__(self):
        self.sent = []
        self.waiting = []
        self.has_room = asyncio.Event()
        self.has_room.set()

    async def submit(self, topic, payload, retain=False, qos=0):
        await self.has_room.wait()
        self.sent.append(payload)
        self.waiting.append(Receipt())
        return self.waiting[-1]

    def acknowledge(self, count=1):
        for receipt in self.waiting[:count]:
            receipt.done.set()
        del self.waiting[:count]

    def lose(self):
        for receipt in self.waiting:
            receipt.is_lost = True
        self.acknowledge(len(self.waiting))


class Receipt:
    def __init__(self):
        self.done = asyncio.Event()
        self.is_lost = False

    async def acknowledged(self):
        await self.done.wait()
        if self.is_lost:
            raise NetError("session ended before the PUBACK")


class WindowTest(unittest.TestCase):
    """Several await their receipts at a time, and none is lost for that."""

    def told(self, story, depth=32):
        wire = Wire()
        outgoing = Outgoing(wire, quiet_log(), depth)

        async def whole():
            task = asyncio.create_task(outgoing.run(Lease()))
            await story(wire, outgoing)
            for _ in range(400):
                if not len(outgoing):
                    break
                await asyncio.sleep(0.005)
                wire.acknowledge(len(wire.waiting))
            self.assertEqual(len(outgoing), 0)
            await stop(task)

        run(whole())
        return wire.sent

    def test_the_order_is_kept_and_the_wire_is_not_flooded(self):
        seen = []

        async def story(wire, outgoing):
            for number in range(20):
                outgoing.publish("t", number)
            await asyncio.sleep(0.01)
            seen.append(len(wire.sent))

        self.assertEqual(self.told(story), list(range(20)))
        self.assertTrue(1 < seen[0] <= 8, seen)

    def test_what_had_no_receipt_when_the_session_ended_is_sent_again(self):
        for acknowledged in range(7):

            async def story(wire, outgoing, acknowledged=acknowledged):
                for number in range(10):
                    outgoing.publish("t", number)
                await asyncio.sleep(0.01)
                wire.acknowledge(acknowledged)
                await asyncio.sleep(0.01)
                wire.lose()

            sent = self.told(story)
            self.assertEqual(sorted(set(sent)), list(range(10)))
            again = sent.index(acknowledged, sent.index(acknowledged) + 1)
            self.assertEqual(sent[again:], list(range(acknowledged, 10)))

    def test_what_needs_no_receipt_passes_those_that_wait_for_theirs(self):
        broker = Broker()
        outgoing = Outgoing(broker, quiet_log(), 4)
        for number in range(60):
            outgoing.publish("t", "result" if number < 3 else "refusal", qos=number < 3)
        self.assertEqual((len(broker.sent), len(outgoing), outgoing.dropped), (57, 3, 0))
        broker.is_up = False
        outgoing.publish("t", "refusal", qos=0)
        self.assertEqual(len(outgoing), 4)

    def test_what_is_dropped_is_what_has_not_been_sent(self):
        async def story(wire, outgoing):
            for number in range(3):
                outgoing.publish("t", number)
            await asyncio.sleep(0.01)
            wire.has_room.clear()
            outgoing.publish("t", 3)
            wire.acknowledge()
            await asyncio.sleep(0.01)  # now 3 is about to be sent, while others come
            for number in range(4, 16):
                outgoing.publish("t", number)
            wire.has_room.set()

        self.assertEqual(self.told(story, 8), [0, 1, 2, 3, 11, 12, 13, 14, 15])


class DawdlerTest(unittest.TestCase):
    """Jobs that end are strikes, and three of them reset the board."""

    def until_sent(self, broker, job):
        async def whole():
            task = asyncio.create_task(job)
            for _ in range(1000):
                if broker.sent or task.done():
                    break
                await asyncio.sleep(0.005)
            self.assertFalse(task.done())
            await stop(task)

        run(whole())
        return [payload for _, payload, _, _ in broker.sent]

    def test_a_result_is_sent_again(self):
        broker = Dawdler()
        outgoing = Outgoing(broker, quiet_log())
        outgoing.publish("t", "result")
        self.assertEqual(self.until_sent(broker, outgoing.run(Lease())), ["result"])

    def test_a_state_is_sent_again(self):
        broker = Dawdler()
        lock = known_lock()
        lock.seen_s = 0
        states = States(One(lock), Topics("001122334455"), broker, UnixClock())
        self.assertEqual(self.until_sent(broker, states.run(Lease())), ["online"])

    def test_uploads_go_on(self):
        broker = Dawdler()
        uploads = Uploads(One(known_lock()), None, None, broker, Now(), quiet_log())

        async def offer(lock):
            await broker.publish("records", "batch")
            return False

        uploads.offer = offer
        self.assertEqual(self.until_sent(broker, uploads.run(Lease())), ["batch"])
