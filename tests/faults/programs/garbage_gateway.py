"""Mutated answers and floods to the gateway's end of a link, mutated advertisements to its parser: arguments n, seed.

A third goes to a link that waits for nothing, a third while a request is under way, a third to the advertisement's
parser. Nothing may be raised but the library's own errors; a right answer is understood right afterwards.
"""

import asyncio
import random
import time

import mutants
import score

from firmware.ble.link import Link
from firmware.lib import advert, crypto, frame, opcodes
from firmware.lib.errors import FirmwareError
from firmware.lib.messages import common, session_client
from firmware.system.inbox import Inbox

N, SEED = score.arguments()
_KEY = b"0123456789abcdef"
_GOOD = b"\x64\x01\x02"
_DEPTH = 64


class Channel:
    """A lock that answers what the test has prepared; the inbox is as deep as the radio's."""

    def __init__(self):
        self.inbox = Inbox(_DEPTH)
        self.answers = []

    def is_connected(self):
        return True

    async def write(self, raw):
        for part in self.answers:
            self.inbox.put(part)
        self.answers = []


def answer(command, plain, vendor):
    return frame.encode(opcodes.ANSWER, crypto.encrypt(_KEY, plain), 2, 1, 1, vendor)


def mutant():
    """Writes of one mutated answer."""
    command = random.choice(mutants.COMMANDS)
    data = random.choice((_GOOD, b"\x02", b"\x64" + bytes(16), b"\x00\x00", mutants.noise(12)))
    plain = common.success(command, data) if random.getrandbits(1) else common.failure(command, random.getrandbits(8))
    if random.getrandbits(1):
        plain = mutants.mutate(plain, 239)
    raw = answer(command, plain, random.getrandbits(1))
    return mutants.pieces(mutants.mutate(raw, 520) if random.getrandbits(1) else raw)


async def ask(link, channel, parts):
    """One request, answered by `parts` and then rightly."""
    channel.answers = (parts + [answer(opcodes.STATUS, common.success(opcodes.STATUS, _GOOD), False)])[-_DEPTH:]
    return await link.exchange(opcodes.STATUS, session_client.status_request(), 3)


async def idle(link, channel, result):
    """A flood while nobody asks."""
    sent = 0
    while len(channel.inbox) < _DEPTH - 1:
        sent += 1
        for part in mutant():
            channel.inbox.put(part)
    result.n += sent
    try:
        await link.listen(1)
    except FirmwareError:
        pass
    return sent


async def busy(link, channel, result):
    """Mutants before the answer: it must be understood unless one of them was taken for it."""
    parts = mutant() + mutant()
    result.n += 2
    try:
        data = await ask(link, channel, parts)
        return len(data) == 3 and bytes(data) == _GOOD
    except FirmwareError:
        return False


def parse(result):
    head = random.choice((b"\x05\x03\x02", b"\x12\x19", b"\x34\x12", b"\xff\xff", b"\x0a\x01", b""))
    octets = head + mutants.noise(random.randint(0, 30))
    if random.getrandbits(1):
        octets = mutants.mutate(advert.encode_manufacturer(b"\x01\x02\x03\x04\x05\x06", 2, 3, 50), 40)
    result.n += 1
    found = advert.decode_manufacturer(octets)
    if found is not None and found.is_stated and not (0 <= found.battery <= 100 and len(found.address) == 6):
        result.fail("advertisement %s is believed" % octets.hex())


async def main():
    random.seed(SEED)
    result = score.Score()
    channel = Channel()
    made = 0
    right = 0
    asked = 0
    began = time.ticks_ms()
    link = Link(channel, _KEY, (2, 1, 1), True)
    link.subscribe(lambda echo, data: None)
    where = "idle"
    try:
        while made < N // 3:
            made += await idle(link, channel, result)
        where = "busy"
        made = 0
        while made < N // 3:
            link = Link(channel, _KEY, (2, 1, 1), True)
            channel.inbox.clear()
            right += await busy(link, channel, result)
            asked += 1
            made += 2
        where = "advert"
        for _ in range(N // 3):
            parse(result)
    except Exception as err:
        result.fail("%s: %r" % (where, err))
    link = Link(channel, _KEY, (2, 1, 1), True)
    channel.inbox.clear()
    result.check(bytes(await ask(link, channel, [])) == _GOOD, "a right answer is not understood after the flood")
    took_ms = time.ticks_diff(time.ticks_ms(), began)
    result.figures = {
        "gateway": "%d of %d answers found behind two mutants, %d/s"
        % (right, asked, 1000 * result.n // max(1, took_ms))
    }
    result.end()


asyncio.run(main())
