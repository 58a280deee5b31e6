"""Runs on MicroPython: searches for codes, one JSON line for each sort. Argument: how often."""

import json
import sys
import time

sys.path.insert(0, ".")

from firmware.lib import offline_codes

_NOW = 231014  # a Monday in 2026, 14:00
_SORTS = (("one-time, this hour", 1, 0), ("permanent, 23 h ago", 2, 23), ("permanent, 40 h ago", 2, 40))


def _run(what, digits, times):
    secret = offline_codes.secret(bytes(range(61)))
    total = longest = 0
    for _ in range(times):
        search = offline_codes.Search(secret, _NOW, digits)
        began = before = time.ticks_us()
        for _ in search.steps():
            now = time.ticks_us()
            longest = max(longest, time.ticks_diff(now, before))
            before = now
        total += time.ticks_diff(time.ticks_us(), began)
    line = {"what": what, "digests": search.digests, "ms": total / 1000 / times, "step_ms": longest / 1000}
    print(json.dumps(line))


def main(times):
    secret = offline_codes.secret(bytes(range(61)))
    for what, kind, back in _SORTS:
        _run(what, offline_codes.digits(secret, kind, _NOW - back, 1), times)
    _run("nobody's", "000000001", times)


main(int(sys.argv[1]))
