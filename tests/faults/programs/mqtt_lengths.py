"""Declared lengths up to the protocol's maximum, against the packet parser: `mqtt_lengths.py SEED N`.

Whatever a header declares beyond the limit of its type is refused at the last length byte; a PUBLISH of any length is
taken, and its bytes are skipped. Nothing is allocated that grows with it: the bytes taken from the heap are measured,
with collection off, from the first byte of the header to the refusal, exception included, or over the first 1 KB of the
body. Runs under a heap that no declared megabyte would fit.
"""

import gc
import json
import random
import sys

from firmware.lib.errors import ProtocolError
from firmware.lib.mqtt_packet import Parser

_MOST = 268435455
_EDGES = (127, 128, 1156, 1157, 2048, 16383, 16384, 65536, 1048576, 2097151, 2097152, _MOST - 1, _MOST)
_LIMITS = {0x20: 2, 0x30: _MOST, 0x40: 2, 0x60: 2, 0x90: 18, 0xD0: 0}  # mqtt_packet: the longest body of each type
_HELD = 1156  # a longer PUBLISH is skipped
_BODY = b"\x00\x02ab\x00\x07" + bytes(250)
_COLLECT_EVERY = 40
_MOST_TAKEN = 2048  # an exception with its text and traceback, of 64-bit objects


def _header(first, size, padded):
    out = bytearray((first,))
    while size > 0x7F:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size | 0x80 if padded else size)
    return bytes(out) + (b"\x00" if padded else b"")


def _refused(parser, header, part, is_publish, size):
    """(whether the header was refused, bytes of heap it cost)."""
    before = gc.mem_alloc()
    is_refused = False
    try:
        for at in range(0, len(header), part):
            parser.feed(memoryview(header)[at : at + part])
        if is_publish and size > _HELD:
            for _ in range(4):
                parser.feed(memoryview(_BODY)[: min(len(_BODY), size)])
                size -= len(_BODY)
                if size <= 256:
                    break
    except ProtocolError:
        is_refused = True
    taken = gc.mem_alloc() - before
    return is_refused, taken


def main(seed, count):
    random.seed(seed)
    gc.disable()
    failures = []
    worst = refused = 0
    for number in range(count):
        first = number & 0xFF
        edge = number >> 8
        size = _EDGES[edge] if edge < len(_EDGES) else random.getrandbits(28)
        header = _header(first, size, random.getrandbits(3) == 0 and size < 1 << 21)
        if number % _COLLECT_EVERY == 0:
            gc.collect()
        parser = Parser()
        is_refused, taken = _refused(parser, header, 1 + random.getrandbits(2), first >> 4 == 3, size)
        worst = max(worst, taken)
        refused += is_refused
        may_stay = size <= _LIMITS.get(first & 0xF0, -1) and first & 0xF6 != 0x36  # QoS 3 is none
        if is_refused == may_stay:
            failures.append("0x%02x with %d bytes was %s" % (first, size, "refused" if is_refused else "taken"))
        if taken > _MOST_TAKEN:
            failures.append("0x%02x with %d bytes took %d bytes of heap" % (first, size, taken))
    gc.collect()
    figures = {"refused": refused, "worst_alloc": worst, "heap_used": gc.mem_alloc()}
    return {"n": count, "failures": failures, "figures": figures}


print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
