import asyncio
import unittest

from firmware.ble.link import Link
from firmware.lib import crypto, frame
from firmware.lib.errors import AuthError, LinkError, LinkTimeout
from firmware.lib.frame import Reassembler
from firmware.system.inbox import Inbox
from firmware.system.timing import remaining_ms, ticks_add, ticks_ms

_KEY = bytes(range(16))


def _answer(plain, group=10, org=12, key=_KEY):
    return frame.encode(0x54, crypto.encrypt(key, plain) if plain else b"", 2, group, org)


class _Channel:
    """A lock at the other end of a channel: `script` maps a command to the frames it sends back."""

    def __init__(self, script):
        self.inbox = Inbox(64)
        self.requests = []
        self._script = script
        self._reassembler = Reassembler()

    def push(self, raw):
        for part in frame.chunks(raw):
            self.inbox.put(part)

    async def write(self, octets):
        if self.inbox.is_closed:
            raise LinkError("link lost")
        for raw in self._reassembler.feed(octets):
            request = frame.decode(raw)
            self.requests.append(request)
            for reply in self._script.get(request.command, ()):
                if reply is None:
                    self.inbox.close()
                else:
                    self.push(reply)


def _run(script, scenario, **options):
    async def whole():
        channel = _Channel(script)
        return await scenario(channel, Link(channel, _KEY, **options))

    return asyncio.run(whole())


class _Failure:
    def __init__(self, err):
        self.kind = type(err)
        self.code = err.code
        self.sent = getattr(err, "sent", None)


async def _attempt(awaitable):
    try:
        return await awaitable
    except Exception as err:
        return _Failure(err)


class _Settling(_Channel):
    """A channel over which nothing is answered before it has settled, unless `hears_early`."""

    def __init__(self, script, hears_early, settle_ms=40):
        super().__init__(script)
        self.settled_ms = self.until_ms = ticks_add(ticks_ms(), settle_ms)
        self._hears_early = hears_early
        self.early = []  # of each frame, whether it came before

    async def write(self, octets):
        is_early = remaining_ms(self.until_ms) > 0
        self.early.append(is_early)
        script, self._script = self._script, self._script if self._hears_early or not is_early else {}
        await super().write(octets)
        self._script = script


class SettlingTest(unittest.TestCase):
    _SCRIPT = {command: [_answer(bytes((command, 1, 0x50, 1)))] for command in (0x37, 0x14, 0x47)}

    def _play(self, commands, hears_early):
        async def whole():
            channel = _Settling(self._SCRIPT, hears_early)
            link = Link(channel, _KEY)
            data = []
            for command in commands:
                data.append(await link.exchange(command, b"body", 2000))
            return data, channel.early

        return asyncio.run(whole())

    def test_nothing_but_the_question_that_may_be_asked_twice_is_sent_before_the_link_has_settled(self):
        for hears_early in (False, True):
            for command in (0x14, 0x47):
                data, early = self._play((command, 0x37), hears_early)
                self.assertEqual((data, early), ([b"\x50\x01"] * 2, [False, False]))

    def test_an_early_answer_shows_that_there_is_nothing_to_wait_for(self):
        data, early = self._play((0x37, 0x47), True)
        self.assertEqual((data, early[0], len(early)), ([b"\x50\x01"] * 2, True, 2))

    def test_an_early_question_that_is_lost_is_asked_again_once(self):
        data, early = self._play((0x37, 0x47), False)
        self.assertEqual((data, early), ([b"\x50\x01"] * 2, [True, False, False]))


class ExchangeTest(unittest.TestCase):
    def test_answer_is_matched_by_its_echo_and_others_go_to_subscribers(self):
        pushes = []

        async def scenario(channel, link):
            link.subscribe(lambda echo, data: pushes.append((echo, data)))
            return await link.exchange(0x47, b"body", 500)

        script = {0x47: [_answer(b"\x14\x01\x50\x01"), _answer(b"\x47\x01\x5a")]}
        self.assertEqual(_run(script, scenario), b"\x5a")
        self.assertEqual(pushes, [(0x14, b"\x50\x01")])

    def test_request_has_vendor_crc_scene_and_learned_group(self):
        async def scenario(channel, link):
            await link.exchange(0x14, b"SCIENER", 500)
            await link.exchange(0x14, b"SCIENER", 500)
            return [(each.scene, each.group, each.org, crypto.decrypt(_KEY, each.payload)) for each in channel.requests]

        got = _run({0x14: [_answer(b"\x14\x01\x50\x00")]}, scenario, header=(2, 1, 1))
        self.assertEqual(got, [(2, 1, 1, b"SCIENER"), (2, 10, 12, b"SCIENER")])

    def test_empty_body_in_both_forms(self):
        async def scenario(channel, link):
            await link.exchange(0x01, b"", 500)
            return len(channel.requests[0].payload)

        script = {0x01: [_answer(b"\x01\x01\x50\x00\x00\x00\x01")]}
        self.assertEqual(_run(script, scenario, own_lock=True), 16)
        self.assertEqual(_run(script, scenario, own_lock=False), 0)

    def test_refusal_raises_what_the_error_byte_means(self):
        async def scenario(channel, link):
            return await _attempt(link.exchange(0x47, b"body", 500))

        self.assertEqual(_run({0x47: [_answer(b"\x47\x00\x02")]}, scenario).kind, AuthError)

    def test_empty_answer_to_reset_only(self):
        async def scenario(channel, link):
            return await link.exchange(0x52, b"", 500), await _attempt(link.exchange(0x01, b"", 30))

        data, failure = _run({0x52: [_answer(b"")], 0x01: [_answer(b"")]}, scenario)
        self.assertEqual((data, failure.code), (b"", "protocol"))

    def test_answers_of_other_protocols_are_damaged_frames(self):
        body = crypto.encrypt(_KEY, b"\x14\x01\x50\x01")
        others = []
        for protocol in range(5, 16):  # those below use the legacy envelope, which the reassembler skips
            for version in range(8):
                if (protocol, version) != (5, 3):
                    others.append(frame.encode(0x54, body, 2, protocol=protocol, version=version))

        async def scenario(channel, link):
            first = await link.exchange(0x14, b"SCIENER", 500)
            dropped = link.dropped, link.answers, link.pin
            return first, dropped, await _attempt(link.exchange(0x55, b"body", 30)), link.answers

        script = {0x14: [others[0], others[40], others[86], _answer(b"\x14\x01\x50\x00")], 0x55: others[:8]}
        first, dropped, failure, answers = _run(script, scenario)
        self.assertEqual((first, dropped), (b"\x50\x00", (3, 1, 2)))
        self.assertEqual((failure.code, answers), ("protocol", 1))
        for raw in others:
            self.assertEqual(
                _run({0x14: [raw]}, lambda channel, link: _attempt(link.exchange(0x14, b"S", 5))).kind, LinkTimeout
            )

    def test_answers_of_another_scene_than_the_pinned_or_the_first_are_damaged_frames(self):
        def other(scene, battery):
            return frame.encode(0x54, crypto.encrypt(_KEY, b"\x14\x01" + bytes((battery, 0))), scene)

        async def scenario(channel, link):
            return (await link.exchange(0x14, b"S", 500))[0], (await link.exchange(0x14, b"S", 500))[0], link.pin

        script = {0x14: [other(7, 1), other(2, 2)]}
        self.assertEqual(_run(script, scenario, pin=2), (2, 2, 2))
        self.assertEqual(_run(script, scenario), (1, 1, 7))

    def test_silence_is_a_timeout_after_the_command_left(self):
        async def scenario(channel, link):
            return await _attempt(link.exchange(0x47, b"body", 30))

        failure = _run({}, scenario)
        self.assertEqual((failure.kind, failure.code, failure.sent), (LinkTimeout, "link_timeout", True))

    def test_damaged_frames_are_dropped_and_named_when_nothing_better_comes(self):
        good = _answer(b"\x47\x01\x5a")
        bad = good[:-3] + bytes([good[-3] ^ 0xFF]) + good[-2:]

        async def scenario(channel, link):
            first = await link.exchange(0x47, b"body", 500)
            return first, await _attempt(link.exchange(0x01, b"", 30)), link.dropped

        data, failure, dropped = _run({0x47: [bad, good], 0x01: [bad, _answer(b"\x01\x01", key=bytes(16))]}, scenario)
        self.assertEqual((data, failure.kind, failure.code, dropped), (b"\x5a", LinkTimeout, "protocol", 3))

    def test_link_that_ends_before_and_after_the_command(self):
        async def scenario(channel, link):
            after = await _attempt(link.exchange(0x47, b"body", 500))
            before = await _attempt(link.exchange(0x14, b"body", 500))
            return after, before

        after, before = _run({0x47: [None]}, scenario)
        self.assertEqual((after.kind, after.code, after.sent), (LinkError, "link", True))
        self.assertEqual((before.kind, before.sent), (LinkError, False))

    def test_late_answer_is_not_taken_for_a_later_one(self):
        pushes = []

        async def scenario(channel, link):
            link.subscribe(lambda echo, data: pushes.append(echo))
            await _attempt(link.exchange(0x55, b"body", 20))
            again = await _attempt(link.exchange(0x55, b"body", 20))
            channel.push(_answer(b"\x55\x01late"))
            other = await link.exchange(0x14, b"SCIENER", 500)
            return again, other, len(channel.requests)

        again, other, requests = _run({0x14: [_answer(b"\x14\x01\x50\x00")]}, scenario)
        self.assertEqual((again.kind, again.sent, other, requests), (LinkError, False, b"\x50\x00", 2))
        self.assertEqual(pushes, [0x55])

    def test_a_frame_that_left_in_part_was_not_sent(self):
        async def scenario(channel, link):
            async def stuck(octets):
                await asyncio.sleep(60)

            whole = channel.write
            channel.write = stuck
            failure = await _attempt(link.exchange(0x47, b"body", 30))
            channel.write = whole
            return failure, await link.exchange(0x47, b"body", 500)  # so it may be asked again

        failure, data = _run({0x47: [_answer(b"\x47\x01\x5a")]}, scenario)
        self.assertEqual((failure.kind, failure.sent, data), (LinkTimeout, False, b"\x5a"))

    def test_a_frame_whose_last_chunk_left_as_the_time_ran_out_was_sent(self):
        async def scenario(channel, link):
            async def slow(octets):
                until_ms = ticks_add(ticks_ms(), 60)
                while remaining_ms(until_ms):  # the time runs out meanwhile
                    pass

            channel.write = slow
            return await _attempt(link.exchange(0x47, b"body", 30))

        failure = _run({}, scenario)
        self.assertEqual((failure.kind, failure.sent), (LinkTimeout, True))

    def test_further_answers_to_one_command_in_order(self):
        async def scenario(channel, link):
            found = [await link.exchange(0x06, b"\x02"), await link.follow(0x06, 1000)]
            found.append(await _attempt(link.follow(0x06, 1000)))
            found.append(await _attempt(link.follow(0x06, 20)))
            return found

        frames = [_answer(b"\x06\x01\x5a\x02\x02"), _answer(b"\x14\x01\x5a\x00\x02")]
        frames += [_answer(b"\x06\x01\x5a\x02\x03"), _answer(b"\x06\x00\x13")]
        found = _run({0x06: frames}, scenario)
        self.assertEqual(found[:2], [b"\x5a\x02\x02", b"\x5a\x02\x03"])
        self.assertEqual([err.code for err in found[2:]], ["refused", "link_timeout"])

    def test_interrupt_ends_a_listen_and_no_exchange(self):
        async def scenario(channel, link):
            listening = asyncio.create_task(link.listen(60000))
            await asyncio.sleep(0.01)
            link.interrupt()
            await listening
            asking = asyncio.create_task(link.exchange(0x14, b"SCIENER", 5000))
            await asyncio.sleep(0.01)
            link.interrupt()
            channel.push(_answer(b"\x14\x01\x50\x00"))
            return await asking

        self.assertEqual(_run({}, scenario), b"\x50\x00")

    def test_listen_hands_on_pushes_until_its_time_is_up(self):
        pushes = []

        async def scenario(channel, link):
            link.subscribe(lambda echo, data: pushes.append((echo, data)))
            channel.push(_answer(b"\x05\x01\x01"))
            await link.listen(20)
            return await link.exchange(0x14, b"SCIENER", 500)

        self.assertEqual(_run({0x14: [_answer(b"\x14\x01\x50\x00")]}, scenario), b"\x50\x00")
        self.assertEqual(pushes, [(0x05, b"\x01")])
