"""Requests and answers over a channel to one lock. Owns matching them; what bodies mean is `lib/messages`'s.

An answer is known by its echo (lock-ble-link.md 6). Every other good frame, a push or the late answer to an earlier
question, goes to whoever subscribed. A damaged frame is dropped and counted, and the wait goes on to the same deadline.
A peer that sends without end loses the link: what one exchange may take is counted, and other tasks have their turns.
"""

import asyncio

from firmware.lib import crypto, frame, opcodes
from firmware.lib.compat import const
from firmware.lib.errors import LinkError, LinkTimeout, ProtocolError, from_ble
from firmware.lib.frame import Reassembler
from firmware.lib.messages import common
from firmware.system.timing import Turn, remaining_ms, sleep_ms, ticks_add, ticks_ms, wait_for_ms

_PROTOCOL = const(5)
_VERSION = const(3)
_BUDGET = const(512)  # notifications of one exchange: an answer of the largest size has 14, and some pushes may come
_TOLD = const(32)  # damaged frames of a link that are logged one by one; of more, each 32nd
_BREATH = const(8)  # notifications between two turns of the loop


class Link:
    """`channel` has `write`, `inbox`, `is_connected`, perhaps `settled_ms`; `header` is (scene, group, org); `own_lock`
    selects the empty body's form (lock-ble-link.md 4.1). `key` may be replaced at any time (pairing does).

    Answers of another protocol than 5.3, or of another scene than `pin`, are damaged frames (security.md DWN-1).
    Without a pin the first good answer sets it. `answers` counts good ones: what a peer without the key cannot send.
    """

    def __init__(self, channel, key, header=(1, 1, 1), own_lock=False, log=None, pin=None):
        self.key = key
        self.scene, self.group, self.org = header
        self.pin = pin
        self.answers = 0
        self.dropped = 0
        self._channel = channel
        self._own_lock = own_lock
        self._log = log.area("link") if log else None
        self._turn = Turn()
        self._reassembler = Reassembler()
        self._frames = []
        self._subscribers = []
        self._is_listening = False
        self._has_left = False
        self._budget = 0
        self._late = set()  # commands whose answer is late and may still come
        self._settled_ms = getattr(channel, "settled_ms", None)

    def is_connected(self):
        return self._channel.is_connected()

    def subscribe(self, callback):
        """Have `callback(echo, data)` called with every good frame that answers no request in flight."""
        self._subscribers.append(callback)

    async def exchange(self, command, plain=b"", timeout_ms=6000):
        """Send one request and return the data of its answer.

        Raises what the lock's error byte means (`errors.from_ble`), or LinkTimeout, LinkError: their `sent` tells
        whether the command may have reached the lock, their `code` is `protocol` when only damaged frames came.
        """
        deadline_ms = ticks_add(ticks_ms(), timeout_ms)
        try:
            await self._turn.acquire(timeout_ms)  # one request in flight per link
        except asyncio.TimeoutError:
            raise LinkTimeout("the link is busy")
        try:
            return await self._exchange(command, plain, deadline_ms)
        finally:
            self._turn.release()

    async def follow(self, command, timeout_ms):
        """Wait for a further answer to a command that answers several times (adding a card, a finger) -> its data.

        Raises as `exchange`.
        """
        deadline_ms = ticks_add(ticks_ms(), timeout_ms)
        try:
            await self._turn.acquire(timeout_ms)
        except asyncio.TimeoutError:
            raise LinkTimeout("the link is busy")
        try:
            self._budget = _BUDGET
            return await self._answer_to(command, deadline_ms)
        finally:
            self._turn.release()

    async def listen(self, timeout_ms):
        """Hand frames to the subscribers for `timeout_ms`. Raises LinkError when the link ends."""
        deadline_ms = ticks_add(ticks_ms(), timeout_ms)
        try:
            await self._turn.acquire(timeout_ms)
        except asyncio.TimeoutError:
            return
        self._is_listening = True
        self._budget = _BUDGET
        try:
            while True:
                self._hand_on(await self._next(deadline_ms))
        except LinkTimeout:
            return
        finally:
            self._is_listening = False
            self._turn.release()

    def interrupt(self):
        """End a `listen` in progress: there is something to do."""
        if self._is_listening:
            self._channel.inbox.nudge()

    async def _exchange(self, command, plain, deadline_ms):
        self._budget = _BUDGET
        self._drain()
        if command in self._late:
            raise LinkError("an answer to command 0x%02x is overdue on this link" % command)
        body = crypto.encrypt(self.key, plain) if plain or self._own_lock else b""
        raw = frame.encode(command, body, self.scene, self.group, self.org)
        self._debug("sent", command, raw)
        dropped = self.dropped
        self._has_left = False
        try:
            early_ms = await self._settle(command, deadline_ms)
            await self._send(raw, deadline_ms)
            if early_ms:
                try:
                    return await self._answer_to(command, ticks_add(ticks_ms(), early_ms))
                except LinkTimeout:
                    await self._send(raw, deadline_ms)
            return await self._answer_to(command, deadline_ms)
        except LinkError as err:
            err.sent = self._has_left  # set with the last chunk: from here on the lock may have acted
            if err.sent:
                self._late.add(command)
            if isinstance(err, LinkTimeout) and self.dropped > dropped:
                err.code = "protocol"
            raise

    async def _settle(self, command, deadline_ms):
        """Wait until the link has settled -> 0; or how long that still takes in ms, for a question that may be asked
        twice: it is asked at once, and an answer shows that there is nothing to wait for."""
        settled_ms, self._settled_ms = self._settled_ms, None
        left_ms = 0 if settled_ms is None else min(remaining_ms(settled_ms), remaining_ms(deadline_ms))
        if left_ms <= 0:
            return 0
        if command == opcodes.REMOTE_UNLOCK:  # never asked again on its link, so no second answer can mislead
            return left_ms
        await sleep_ms(left_ms)
        return 0

    async def _answer_to(self, command, deadline_ms):
        while True:
            answer = await self._next(deadline_ms, command)
            if answer[0] == command:
                break
            self._hand_on(answer)
        _, ok, data = answer
        if not ok:
            raise from_ble(command, data[0])
        return data

    async def _send(self, raw, deadline_ms):
        try:
            await wait_for_ms(self._write(raw), remaining_ms(deadline_ms))
        except asyncio.TimeoutError:
            raise LinkTimeout("a command could not be sent in time")

    async def _write(self, raw):
        await self._channel.write(raw)
        self._has_left = True  # also when the time runs out at this moment

    def _drain(self):
        """Hand on what arrived before this request: it cannot be its answer."""
        for _ in range(len(self._channel.inbox)):
            self._frames.extend(self._reassembler.feed(self._channel.inbox.get_nowait(), ticks_ms()))
        self._reassembler.reset()
        while self._frames:
            answer = self._understand(self._frames.pop(0), None)
            if answer:
                self._hand_on(answer)

    async def _next(self, deadline_ms, command=None):
        """The next good answer as (echo, ok, data). Raises LinkTimeout, LinkError."""
        while True:
            while self._frames:
                answer = self._understand(self._frames.pop(0), command)
                if answer:
                    return answer
            if self._budget <= 0:
                raise LinkError("the peer sends without end")
            if self._budget % _BREATH == 0:  # an inbox that is never empty would let nobody else run
                await sleep_ms(0)
            self._budget -= 1
            left_ms = remaining_ms(deadline_ms)
            try:
                part = await self._channel.inbox.get_within(left_ms)
            except asyncio.TimeoutError:
                raise LinkTimeout("no answer in time")
            if part is None:
                raise LinkError("link lost")
            lost = self._reassembler.dropped
            self._frames.extend(self._reassembler.feed(part, ticks_ms()))
            if self._reassembler.dropped > lost:
                self.dropped += 1

    def _understand(self, raw, command):
        """One raw frame -> (echo, ok, data), or None when it is damaged. Learns the lock's group and org."""
        try:
            answer = frame.decode(raw)
            if answer.command not in (opcodes.ANSWER, command):  # hardware-facts.md F21
                raise ProtocolError("frame of command 0x%02x" % answer.command)
            if answer.protocol != _PROTOCOL or answer.version != _VERSION:
                raise ProtocolError("protocol %d.%d" % (answer.protocol, answer.version))
            if self.pin is not None and answer.scene != self.pin:
                raise ProtocolError("scene %d in place of %d" % (answer.scene, self.pin))
            if answer.payload:
                reply = self.decrypt(answer.payload, command)
                self.pin = answer.scene
                self.answers += 1
            elif command in (opcodes.RESET, opcodes.INIT):  # lock-ble-link.md 8.11; hardware-facts.md F21
                reply = (command, True, b"")
            else:
                raise ProtocolError("empty answer")
        except ProtocolError as err:
            self.dropped += 1
            if self._log and (self.dropped <= _TOLD or self.dropped % _TOLD == 0):
                self._log.warn("frame_dropped", bytes=len(raw), err=err)
            return None
        self.group = answer.group
        self.org = answer.org
        self._debug("heard", reply[0], raw)
        return reply

    def decrypt(self, payload, command):
        """The answer in `payload` -> (echo, ok, data). Raises ProtocolError. host_tools overrides this."""
        return common.reply(crypto.decrypt(self.key, payload))

    def _hand_on(self, answer):
        echo, _, data = answer
        self._late.discard(echo)
        for callback in self._subscribers:
            callback(echo, data)

    def _debug(self, word, command, raw):
        if self._log:
            self._log.debug(word, command="0x%02x" % command, bytes=len(raw))
