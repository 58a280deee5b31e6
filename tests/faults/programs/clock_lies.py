"""Time from servers that lie, against the rules of security.md CLK-1: `clock_lies.py SEED N`.

N clocks, each with a floor, an RTC at start and a server of its own character, are fed samples at irregular moments. A
second bookkeeping, of all samples, says after each whether the clock may stand where it stands. Then dates at the
edges of what two-digit years, 32-bit seconds and NTP's eras can say.
"""

import json
import random
import sys

from firmware.lib import dates, reports, timekeeper
from firmware.lib.errors import ProtocolError
from firmware.lib.timekeeper import TRUSTED, Timekeeper

_BUILD = 1767225600000
_NOW = 1795481374000
_DAY = 86400000
_YEAR = 365 * _DAY
_UNIX_2000 = 946684800
_RTC = (0, 946684800000, _NOW, _NOW + 10 * _YEAR, _NOW - _YEAR, 2147483647000, 4102444799000, 4102444800000)
_LIES = (0, 1000, -1000, 4900, -4900, 5100, -5100, 3600000, -3600000, _DAY, _DAY + 6000, _YEAR, -_YEAR, 10 * _YEAR)
_EDGES = (
    (946684800, "2000-01-01T00:00:00Z"),
    (2085978495, "2036-02-07T06:28:15Z"),
    (2085978496, "2036-02-07T06:28:16Z"),
    (2147483647, "2038-01-19T03:14:07Z"),
    (2147483648, "2038-01-19T03:14:08Z"),
    (4102444799, "2099-12-31T23:59:59Z"),
    (1709164799, "2024-02-28T23:59:59Z"),
    (1711846799, "2024-03-31T00:59:59Z"),
    (1761440400, "2025-10-26T01:00:00Z"),
)


def _some(choices):
    return choices[random.getrandbits(16) % len(choices)]


class Server:
    """Tells the true time shifted, in one of five ways."""

    def __init__(self):
        self.kind = random.getrandbits(8) % 5
        self.lies = [_some(_LIES) for _ in range(3)]
        self.count = 0

    def told(self, true_ms):
        self.count += 1
        if self.kind == 0:
            return true_ms
        if self.kind == 1:
            return true_ms + self.lies[0]
        if self.kind == 2:
            return true_ms + self.lies[self.count % 3]
        if self.kind == 3:
            return true_ms + _some(_LIES)
        return true_ms + (self.lies[0] if self.count > 6 else 0)


def _agreeing(samples, count, apart_ms):
    """How many of the newest samples agree with the newest, each so far apart from the one counted before it."""
    newest = samples[-1]
    found, last_at = 1, newest[0]
    for at_ms, offset_ms in reversed(samples[:-1]):
        if abs(offset_ms - newest[1]) > 10000:  # twice the tolerance: the first of them is what they are compared to
            break
        if last_at - at_ms >= apart_ms:
            found += 1
            last_at = at_ms
        if found >= count:
            break
    return found


def _one(failures):
    floor_ms = _some((0, _BUILD, _NOW - _DAY, _NOW))
    keeper = Timekeeper(floor_ms)
    keeper.guess(_some(_RTC), 0)
    server = Server()
    samples = []
    mono_ms = 0
    jumps = 0
    for _ in range(24):
        mono_ms += _some((500, 2000, 30000, 61000, 61000, 3600000))
        told_ms = server.told(_NOW + mono_ms)
        was_trusted = keeper.state == TRUSTED
        before_ms = keeper.now_ms(mono_ms)
        moved = keeper.sample(told_ms, mono_ms)
        after_ms = keeper.now_ms(mono_ms)
        if told_ms >= floor_ms:
            samples.append((mono_ms, told_ms - mono_ms))
        jump_ms = after_ms - before_ms
        where = "kind %d, floor %d, sample %d" % (server.kind, floor_ms, len(samples))
        if after_ms < floor_ms:
            failures.append("below the floor: " + where)
        if moved is None and (jump_ms or (keeper.state == TRUSTED) != was_trusted):
            failures.append("moved without a word: " + where)
        if keeper.state == TRUSTED and not was_trusted and _agreeing(samples, 2, 0) < 2:
            failures.append("trusted at once: " + where)
        if was_trusted and not -5000 <= jump_ms <= 5000:
            jumps += 1
            needed = 2 if 0 < jump_ms <= _DAY else 3
            if _agreeing(samples, needed, 60000) < needed:
                failures.append("jumped by %d ms without confirmation: %s" % (jump_ms, where))
        kept_ms = keeper.floor_to_keep(mono_ms)
        far_ms = max(_NOW + mono_ms, floor_ms + mono_ms + _DAY) + 5000
        if kept_ms is not None and kept_ms > far_ms and mono_ms < 21600000:
            failures.append("a lie of %d days became the floor: %s" % ((kept_ms - _NOW) // _DAY, where))
    return jumps


def _edges(failures):
    for unix_s, text in _EDGES:
        wire = (unix_s + 2208988800) & 0xFFFFFFFF
        token = bytes(range(8))
        reply = b"\x24\x02" + bytes(22) + token + bytes(8) + wire.to_bytes(4, "big") + b"\x80" + bytes(3)
        if timekeeper.decode_reply(reply, token) != unix_s * 1000 + 500:
            failures.append("NTP reads %s wrong" % text)
        if reports.iso(unix_s) != text:
            failures.append("%d is told as %s" % (unix_s, reports.iso(unix_s)))
        if dates.to_seconds(dates.from_seconds(unix_s - _UNIX_2000)) != unix_s - _UNIX_2000:
            failures.append("%s does not come back from a lock's date" % text)
    for outside in (-1, _UNIX_2000 - 1, 4102444800, 4294967296):
        try:
            reports.iso(outside)
            failures.append("%d has a text" % outside)
        except ProtocolError:
            pass
    return len(_EDGES) + 4


random.seed(int(sys.argv[1]))
failures: list = []
count = int(sys.argv[2])
jumps = 0
for _ in range(count):
    jumps += _one(failures)
    if len(failures) > 50:
        break
tried = count + _edges(failures)
print(json.dumps({"n": tried, "failures": failures[:50], "figures": {"samples": 24 * count, "confirmed_jumps": jumps}}))
