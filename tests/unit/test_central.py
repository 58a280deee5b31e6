import asyncio
import unittest

from firmware.ble import central, peer
from firmware.ble.central import Central, GaveWay
from firmware.ble.health import Health
from firmware.ble.peer import Peer
from firmware.lib.errors import LinkError, LinkTimeout
from firmware.system.log import Log
from firmware.system.timing import sleep_ms, ticks_add, ticks_ms

_ADDRESS = bytes.fromhex("240ac4000012")


class _Stack:
    """What a peer uses of bluetooth.BLE: a lock's database, or one with something missing."""

    def __init__(self, characteristics=(b"\xf2\xff", b"\xf4\xff"), cccd_status=0, busy=0, lose_at=None, is_slow=False):
        self.calls = []
        self.peer = None
        self._characteristics = characteristics
        self._cccd_status = cccd_status
        self._busy = busy
        self._lose_at = lose_at
        self._is_slow = is_slow  # does not acknowledge by itself

    def _note(self, name, *args):
        self.calls.append((name,) + args)
        if self._lose_at == name:
            self.peer.lose()

    def gattc_discover_services(self, handle, uuid):
        self._note("services" if uuid == b"\x10\x19" else "battery", uuid)
        self.peer.on_event(peer.IRQ_SERVICE_RESULT, (10, 20, b"\x10\x19"))
        self.peer.on_event(peer.IRQ_SERVICE_DONE, (0,))

    def gattc_discover_characteristics(self, handle, start, end):
        self._note("characteristics", start, end)
        for place, uuid in enumerate(self._characteristics):
            self.peer.on_event(peer.IRQ_CHARACTERISTIC_RESULT, (13 + 3 * place, 12 + 3 * place, 4, uuid))
        self.peer.on_event(peer.IRQ_CHARACTERISTIC_DONE, (0,))

    def gattc_discover_descriptors(self, handle, start, end):
        self._note("descriptors", start, end)
        self.peer.on_event(peer.IRQ_DESCRIPTOR_RESULT, (16, b"\x02\x29"))
        self.peer.on_event(peer.IRQ_DESCRIPTOR_DONE, (0,))

    def gattc_read(self, handle, value_handle):
        self._note("read", value_handle)
        self.peer.on_event(15, (value_handle, memoryview(b"\x64")))
        self.peer.on_event(peer.IRQ_READ_DONE, (value_handle, 0))

    def gattc_write(self, handle, value_handle, octets, mode):
        if not mode and self._busy:
            self._busy -= 1
            raise OSError(12)
        self._note("write", value_handle, bytes(octets), mode)
        if mode and not self._is_slow:
            self.peer.on_event(peer.IRQ_WRITE_DONE, (value_handle, self._cccd_status))

    def gap_disconnect(self, handle):
        self._note("disconnect")
        self.peer.lose()

    def count(self, name):
        return len([call for call in self.calls if call[0] == name])


class _Turn:
    def __init__(self, radio):
        self._radio = radio

    async def __aenter__(self):
        self._radio.turns += 1

    async def __aexit__(self, kind, err, trace):
        self._radio.turns -= 1


class _Radio:
    """Opens links to `stacks` in turn; an exception in their place fails that attempt."""

    def __init__(self, *stacks):
        self.health = Health()
        self.turns = 0
        self.attempts = 0
        self.limits_ms = []
        self._stacks = list(stacks)

    def turn(self, timeout_ms):
        return _Turn(self)

    def uuid(self, number):
        return number.to_bytes(2, "little")

    async def open(self, address, addr_type, timeout_ms):
        self.attempts += 1
        self.limits_ms.append(timeout_ms)
        stack = self._stacks.pop(0) if len(self._stacks) > 1 else self._stacks[0]
        if isinstance(stack, Exception):
            raise stack
        stack.peer = Peer(stack, 1, address)
        return stack.peer


def _central(radio):
    return Central(radio, Log(lambda: 0, lambda line: None))


def _soon(timeout_ms=1000):
    return ticks_add(ticks_ms(), timeout_ms)


class CentralTest(unittest.TestCase):
    def test_channel_is_subscribed_writes_in_chunks_and_is_closed(self):
        stack = _Stack()
        radio = _Radio(stack)

        async def scenario():
            async with _central(radio).connect(_ADDRESS, 0, _soon()) as channel:
                self.assertEqual(radio.turns, 0)  # scanning goes on beside an open link
                await channel.write(bytes(45))
                stack.peer.on_notification(15, memoryview(b"first"))
                stack.peer.on_notification(15, memoryview(b"second"))
                stack.peer.on_notification(99, memoryview(b"not ours"))
                return await channel.inbox.get(), await channel.inbox.get(), len(channel.inbox), channel.is_connected()

        self.assertEqual(asyncio.run(scenario()), (b"first", b"second", 0, True))
        writes = [call for call in stack.calls if call[0] == "write"]
        self.assertEqual(writes[0], ("write", 16, b"\x01\x00", 1))
        self.assertEqual([len(call[2]) for call in writes[1:]], [20, 20, 5])
        self.assertEqual(stack.count("disconnect"), 1)

    def test_failed_attempts_are_repeated_within_the_deadline(self):
        radio = _Radio(LinkError("connection failed"), LinkTimeout("no connection"), _Stack())

        async def scenario():
            async with _central(radio).connect(_ADDRESS, 0, _soon()) as channel:
                return channel.is_connected()

        self.assertTrue(asyncio.run(scenario()))
        self.assertEqual(radio.attempts, 3)

    def test_deadline_ends_the_attempts(self):
        radio = _Radio(LinkError("connection failed"))

        async def scenario():
            async with _central(radio).connect(_ADDRESS, 0, _soon(150)):
                pass

        self.assertRaises(LinkTimeout, asyncio.run, scenario())
        self.assertEqual(radio.turns, 0)

    def test_handles_are_remembered_once_the_lock_has_answered(self):
        first, second, third = _Stack(), _Stack(), _Stack()
        central = _central(_Radio(first, second, third))

        async def scenario(stack, answers):
            async with central.connect(_ADDRESS, 0, _soon()):
                if answers:
                    stack.peer.on_notification(15, b"x")

        asyncio.run(scenario(first, True))
        asyncio.run(scenario(second, False))
        asyncio.run(scenario(third, True))
        self.assertEqual([each.count("services") for each in (first, second, third)], [1, 0, 1])

    def test_eager_channel_does_not_wait_for_the_acknowledgement(self):
        stack = _Stack(is_slow=True)
        central = _central(_Radio(stack))
        central.remember(_ADDRESS, (12, 15, 16))

        async def scenario():
            async with central.connect(_ADDRESS, 0, _soon(), True) as channel:
                await channel.write(b"first request")
                before = [call[0:2] for call in stack.calls]
                stack.peer.on_event(peer.IRQ_WRITE_DONE, (16, 0))
                stack.peer.on_notification(15, b"answer")
                return before, await channel.inbox.get_within(1000)

        before, answer = asyncio.run(scenario())
        self.assertEqual(before, [("write", 16), ("write", 12)])
        self.assertEqual((answer, central.recall(_ADDRESS)), (b"answer", (12, 15, 16)))

    def test_refused_subscription_ends_an_eager_channel_and_forgets_the_handles(self):
        central = _central(_Radio(_Stack(cccd_status=0x103)))
        central.remember(_ADDRESS, (12, 15, 16))

        async def scenario():
            async with central.connect(_ADDRESS, 0, _soon(), True) as channel:
                return await channel.inbox.get_within(1000)

        self.assertEqual((asyncio.run(scenario()), central.recall(_ADDRESS)), (None, None))

    def test_an_attempt_that_fails_says_nothing_about_the_handles(self):
        stack = _Stack(is_slow=True)
        central = _central(_Radio(stack))
        central.remember(_ADDRESS, (12, 15, 16))

        async def scenario():
            async with central.connect(_ADDRESS, 0, _soon(), True) as channel:
                stack.peer.on_event(peer.IRQ_WRITE_DONE, (16, 7))  # BLE_HS_ENOTCONN
                stack.peer.lose()  # 0x3E: nobody took part in the first six connection events
                return await channel.inbox.get_within(1000)

        self.assertEqual((asyncio.run(scenario()), central.recall(_ADDRESS)), (None, (12, 15, 16)))

    def test_attempts_end_when_others_want_the_radio(self):
        radio = _Radio(LinkError("connection failed"))

        async def scenario():
            async with _central(radio).connect(_ADDRESS, 0, _soon(60000), False, lambda: radio.attempts == 2):
                pass

        self.assertRaises(GaveWay, asyncio.run, scenario())
        self.assertEqual((radio.attempts, radio.turns), (2, 0))

    def test_the_battery_is_read_only_after_a_link_on_which_nothing_came(self):
        stacks = [_Stack() for _ in range(6)]
        central = _central(_Radio(*stacks))

        async def scenario(stack, answers, is_eager=False):
            async with central.connect(_ADDRESS, 0, _soon(), is_eager):
                reads = stack.count("read")
                if answers:
                    stack.peer.on_notification(15, b"x")
            return reads

        # hardware-facts.md F36: silent twice, then well; an eager one, which is our own, is never read
        table = ((False, False, 0), (False, False, 1), (True, False, 1), (True, False, 0), (False, True, 0))
        for stack, (answers, is_eager, reads) in zip(stacks, table):  # noqa: B905
            self.assertEqual(asyncio.run(scenario(stack, answers, is_eager)), reads)
        self.assertEqual(asyncio.run(scenario(stacks[5], True, True)), 0)

    def test_attempts_are_short_and_have_pauses(self):
        radio = _Radio(LinkError("0x3E"))

        async def scenario():
            async with _central(radio).connect(_ADDRESS, 0, _soon(900)):
                pass

        self.assertRaises(LinkTimeout, asyncio.run, scenario())
        self.assertEqual(radio.limits_ms[0] <= 900, True)  # never beyond the deadline
        self.assertTrue(2 <= radio.attempts <= 4, "%d attempts in 900 ms" % radio.attempts)
        radio = _Radio(LinkError("0x3E"))

        async def longer():
            async with _central(radio).connect(_ADDRESS, 0, _soon(60000), False, lambda: radio.attempts == 3):
                pass

        self.assertRaises(GaveWay, asyncio.run, longer())
        self.assertEqual(radio.limits_ms, [1800, 2500, 2500])

    def test_an_attempt_follows_at_once_while_a_burst_lasts_but_not_upon_a_stack_that_refuses(self):
        pauses, now_ms = [], [1000]

        class Slow(_Radio):
            async def open(self, address, addr_type, timeout_ms):
                now_ms[0] += self.takes_ms
                return await _Radio.open(self, address, addr_type, timeout_ms)

        async def noted(ms):
            pauses.append(ms)
            await sleep_ms(0)

        async def scenario(radio):
            async with _central(radio).connect(_ADDRESS, 0, _soon(60000), False, lambda: radio.attempts == 4):
                pass

        before = central.sleep_ms, central.ticks_ms
        central.sleep_ms, central.ticks_ms = noted, lambda: now_ms[0]
        try:
            for takes_ms, pause_ms in ((30, 20), (0, 250)):
                radio = Slow(LinkError("0x3E"))
                radio.takes_ms = takes_ms
                pauses.clear()
                self.assertRaises(GaveWay, asyncio.run, scenario(radio))
                self.assertEqual(pauses, [pause_ms] * 3)
        finally:
            central.sleep_ms, central.ticks_ms = before

    def test_stale_handles_lead_to_a_fresh_look(self):
        good, moved, again = _Stack(), _Stack(cccd_status=0x101), _Stack()
        radio = _Radio(good, moved, again)
        central = _central(radio)

        async def scenario(stack):
            async with central.connect(_ADDRESS, 0, _soon()) as channel:
                stack.peer.on_notification(15, b"x")
                return channel.is_connected()

        asyncio.run(scenario(good))
        self.assertTrue(asyncio.run(scenario(again)))
        self.assertEqual((moved.count("disconnect"), again.count("services")), (1, 1))

    def test_peer_without_the_lock_service_is_an_error_at_once(self):
        stack = _Stack(characteristics=(b"\xf2\xff",))
        radio = _Radio(stack)

        async def scenario():
            async with _central(radio).connect(_ADDRESS, 0, _soon()):
                pass

        self.assertRaises(LinkError, asyncio.run, scenario())
        self.assertEqual((radio.attempts, stack.count("disconnect")), (1, 1))

    def test_link_lost_while_looking_is_tried_again(self):
        radio = _Radio(_Stack(lose_at="descriptors"), _Stack())

        async def scenario():
            async with _central(radio).connect(_ADDRESS, 0, _soon()) as channel:
                return channel.is_connected()

        self.assertTrue(asyncio.run(scenario()))

    def test_error_and_cancellation_inside_leave_no_link(self):
        for kind in (ValueError, asyncio.CancelledError):
            stack = _Stack()

            async def scenario(stack=stack, kind=kind):
                try:
                    async with _central(_Radio(stack)).connect(_ADDRESS, 0, _soon()):
                        raise kind
                except kind:
                    return stack.count("disconnect")

            self.assertEqual(asyncio.run(scenario()), 1)

    def test_full_stack_is_waited_for_and_lost_link_is_an_error(self):
        stack = _Stack(busy=2)

        async def scenario():
            async with _central(_Radio(stack)).connect(_ADDRESS, 0, _soon()) as channel:
                await channel.write(b"late")
                stack.peer.lose()
                try:
                    await channel.write(b"never")
                except LinkError:
                    return await channel.inbox.get(), stack.calls[-1]

        self.assertEqual(asyncio.run(scenario()), (None, ("write", 12, b"late", 0)))
