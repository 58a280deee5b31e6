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
