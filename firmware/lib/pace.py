"""How fast a lock's clock goes, from looks at it that are days apart: what it was ahead of ours at one of them, what it
is ahead now. Owns the bytes that are kept with a lock. A look is right to a second, as the clock shows no less.
"""

import struct

from firmware.lib.compat import const
from firmware.lib.timekeeper import better, rate

_FORMAT = ">IhiHB"  # moment of the first look, seconds ahead then; tenths of a second a day, how uncertain; told
_NEW = b"\0\0\0\0\0\0\0\0\0\0\xff\xff\0"
_UNKNOWN = const(0xFFFF)
_ERROR_MS = const(1000)
_ODD = const(200)  # 20 s a day are ten times what a cheap crystal drifts
_MAX_AHEAD = const(0x7FFF)


def looked(packed, now_s, ahead_s, is_sure=True):
    """The clock was looked at -> (bytes to keep, whether its drift is out of range and has not been told). `ahead_s`
    None: it showed no time. Not `is_sure`: our own time has jumped since the look before."""
    since_s, was_s, tenths, error, is_told = struct.unpack(_FORMAT, packed or _NEW)
    if ahead_s is None or not is_sure or not -_MAX_AHEAD <= ahead_s <= _MAX_AHEAD:
        since_s = 0
    elif not since_s:
        since_s, was_s = now_s, ahead_s
    else:
        new = rate((now_s - since_s) * 1000, (ahead_s - was_s) * 1000, _ERROR_MS)
        if new:
            known = None if error == _UNKNOWN else (tenths * 100, error * 100)
            ms, error_ms = better(known, new)
            tenths, error = (ms + 50) // 100, min(error_ms // 100 + 1, _UNKNOWN - 1)
            if (ms, error_ms) == known:
                error -= 1
    is_odd = error != _UNKNOWN and abs(tenths) - error > _ODD
    return struct.pack(_FORMAT, since_s, was_s, tenths, error, is_odd), is_odd and not is_told


def was_set(packed, now_s, ahead_s):
    """The clock was set, and was so far ahead just after -> bytes to keep."""
    if ahead_s is None or not -_MAX_AHEAD <= ahead_s <= _MAX_AHEAD:
        now_s = ahead_s = 0
    return struct.pack(">Ih", now_s, ahead_s) + (packed or _NEW)[6:]
