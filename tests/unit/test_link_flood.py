"""A peer that sends without end: an exchange with it is bounded in number and time, and everybody else has turns
meanwhile. Its notifications are always there before the link looks, as at the full rate of the air.
"""

import asyncio
import unittest

from firmware.ble.link import Link
from firmware.ble.peer import IRQ_SERVICE_RESULT, Peer
from firmware.lib import crypto, frame
from firmware.lib.errors import LinkError, LinkTimeout
from firmware.system.log import Log
from firmware.system.timing import sleep_ms, ticks_add, ticks_diff, ticks_ms
from tests.unit.tasks import cancel

_KEY = bytes(range(16))
_COMMAND = 0x14
_MOST_PARTS = 600  # of one exchange
_HANG_MS = 20000  # no test depends on it


def _sealed(plain):
    return frame.encode(0x54, crypto.encrypt(_KEY, plain), 2, 1, 1)


_PUSH = _sealed(b"\x25\x01\x50")  # of another command, and good
_DAMAGED = frame.encode(0x54, bytes(range(16)), 2, 1, 1)
_BROKEN = _PUSH[:-3] + b"\x00\x0d\x0a"


def _cycle(parts):
    at = 0
    while True:
        yield parts[at % len(parts)]
        at += 1


KINDS = {
    "empty": [b""],
    "one byte": [b"\x00"],
    "noise": [b"\xa5" * 20],
    "long noise": [b"\xa5" * 244],
    "headers": [b"\x7f\x5a"],
    "a frame that never ends": [_PUSH[:11] + b"\xff"] + [b"\x11" * 20] * 10000,
    "beginnings": [_PUSH[:20]],
    "pushes": list(frame.chunks(_PUSH)),
    "pushes in one part": [_PUSH * 5],
    "damaged": list(frame.chunks(_DAMAGED)),
    "wrong sums": list(frame.chunks(_BROKEN)),
    "everything": [b"", b"\x7f\x5a", _PUSH, _DAMAGED[:20], _BROKEN, b"\x00" * 200],
}


class _Flood:
    """An inbox that is never empty."""

    def __init__(self, parts):
        self._parts = _cycle(parts)
        self.taken = 0

    def get_nowait(self):
        self.taken += 1
        return next(self._parts)

    async def get_within(self, timeout_ms):
        return self.get_nowait()

    def nudge(self):
        pass

    def __len__(self):
        return 64


class _Channel:
    def __init__(self, parts):
        self.inbox = _Flood(parts)

    async def write(self, octets):
        pass

    def is_connected(self):
        return True


def _play(parts, act, log=None):
    """(error, parts taken, turns of another task, milliseconds) of `act(link)`."""
    turns = [0]

    async def other():
        while True:
            turns[0] += 1
            await sleep_ms(0)

    async def whole():
        channel = _Channel(parts)
        task = asyncio.create_task(other())
        began_ms = ticks_ms()
        found = None
        try:
            await act(Link(channel, _KEY, log=log))
        except LinkError as err:
            found = err
        passed_ms = ticks_diff(ticks_ms(), began_ms)
        await cancel(task)
        return found, channel.inbox.taken, turns[0], passed_ms

    return asyncio.run(whole())


class FloodTest(unittest.TestCase):
    def check(self, act):
        for kind, parts in KINDS.items():
            found, taken, turns, passed_ms = _play(parts, act)
            self.assertTrue(isinstance(found, LinkError), "%s: %r" % (kind, found))
            self.assertFalse(isinstance(found, LinkTimeout), kind)  # the time was not up
            self.assertTrue(taken <= _MOST_PARTS, "%s: %d parts" % (kind, taken))
            self.assertTrue(turns * 16 >= taken, "%s: %d turns in %d parts" % (kind, turns, taken))
            self.assertTrue(passed_ms < _HANG_MS, "%s: %d ms" % (kind, passed_ms))

    def test_an_exchange_ends(self):
        self.check(lambda link: link.exchange(_COMMAND, b"SCIENER", _HANG_MS * 10))

    def test_a_further_answer_is_not_waited_for_for_ever(self):
        self.check(lambda link: link.follow(_COMMAND, _HANG_MS * 10))

    def test_listening_ends(self):
        self.check(lambda link: link.listen(_HANG_MS * 10))

    def test_each_exchange_has_what_a_long_answer_takes(self):
        answer = _sealed(b"\x14\x01" + bytes(230))
        late = list(frame.chunks(_PUSH)) * 20 + list(frame.chunks(answer))

        async def act(link):
            for _ in range(5):
                data = await link.follow(_COMMAND, _HANG_MS)
                assert len(data) == 230, len(data)

        self.assertEqual(_play(late, act)[0], None)

    def test_of_many_damaged_frames_some_are_logged(self):
        lines = []
        log = Log(clock_ms=lambda: 0, sink=lines.append)
        _play([_DAMAGED * 6], lambda link: link.exchange(_COMMAND, b"SCIENER", _HANG_MS), log)
        self.assertTrue(32 <= len([line for line in lines if "frame_dropped" in line]) <= 150, len(lines))

    def test_what_a_flood_left_out_is_told_as_sent(self):
        found = _play(KINDS["empty"], lambda link: link.exchange(_COMMAND, b"SCIENER", _HANG_MS * 10))[0]
        self.assertTrue(found.sent)  # the lock may have acted: nobody repeats it unseen


class _Endless:
    """A GATT server whose database has no end."""

    def __init__(self):
        self.peer = None
        self.count = 0
        self.task = None

    def gattc_discover_services(self, handle, uuid):
        async def flood():
            while True:
                self.count += 1
                self.peer.on_event(IRQ_SERVICE_RESULT, (1, 20, b"\x10\x19"))
                await sleep_ms(0)

        self.task = asyncio.create_task(flood())


class DiscoveryTest(unittest.TestCase):
    def test_a_database_without_end_ends(self):
        async def whole():
            ble = _Endless()
            peer = ble.peer = Peer(ble, 1, bytes(6))
            try:
                await peer.discover(None, ticks_add(ticks_ms(), _HANG_MS * 10))
            except LinkError as err:
                return err, ble.count
            finally:
                ble.task.cancel()

        err, count = asyncio.run(whole())
        self.assertFalse(isinstance(err, LinkTimeout))
        self.assertTrue(count < 100, count)


if __name__ == "__main__":
    unittest.main()
