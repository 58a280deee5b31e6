"""Whole frames out of the chunks that a BLE stream delivers.

Owns finding where a frame begins and ends; its CRC and content are `frame`'s business. Never raises on content: what
is no frame is dropped and counted. Source: lock-ble-link.md 3.3; security.md PAR-1, PAR-2, PAR-5.
"""

from firmware.lib.compat import const

_SIZE = const(270)  # frame.MAX_FRAME: one frame, never more
_HEADER_LEN = const(12)
_TAIL_LEN = const(3)
_FIRST_TYPE = const(5)
_PARTIAL_MS = const(2000)


class Reassembler:
    """`feed` it every chunk in order. `dropped` counts bytes thrown away, `pending` those that wait for the rest.

    `damaged` counts what began and was no frame: a header that led to none, or a run of bytes before one. A caller who
    gives the time (milliseconds of any clock, wrapping or not) never waits longer than 2 s for the rest of a frame.
    """

    def __init__(self):
        self._buf = bytearray(_SIZE)
        self._view = memoryview(self._buf)
        self._used = 0
        self._in_noise = False
        self._began_ms = 0
        self.dropped = 0
        self.damaged = 0

    @property
    def pending(self):
        """Bytes held of a frame that is not complete."""
        return self._used

    def reset(self):
        """Forget what is held (link gone, or the part grew too old)."""
        self.dropped += self._used
        self._used = 0
        self._in_noise = False

    def expire(self, now_ms):
        """Forget a part of a frame whose first byte came too long ago (security.md PAR-1)."""
        if self._used and not 0 <= now_ms - self._began_ms < _PARTIAL_MS:
            self.reset()

    def feed(self, part, now_ms=None):
        """Take one chunk; return the complete raw frames it finished, as a list of bytes."""
        frames = []
        if now_ms is not None:
            self.expire(now_ms)
        was_empty = self._used == 0
        part = memoryview(part)
        at = 0
        while at < len(part):
            taken = min(len(part) - at, _SIZE - self._used)
            end = self._used + taken
            self._buf[self._used : end] = part[at : at + taken]
            self._used = end
            at += taken
            self._collect(frames)  # leaves less than one frame, so there is room again
        if (frames or was_empty) and now_ms is not None:
            self._began_ms = now_ms
        return frames

    def _collect(self, frames):
        start = 0
        while True:
            start = self._find_header(start)
            held = self._used - start
            if held > 2 and self._buf[start + 2] < _FIRST_TYPE:
                start = self._skip(start)
                continue
            if held < _HEADER_LEN:
                break
            total = _HEADER_LEN + self._buf[start + 11] + _TAIL_LEN
            if held < total:
                break
            end = start + total
            if self._buf[end - 2] != 0x0D or self._buf[end - 1] != 0x0A:
                start = self._skip(start)
                continue
            frames.append(bytes(self._view[start:end]))
            self._in_noise = False
            start = end
        if start:
            rest = self._used - start
            self._buf[:rest] = bytes(self._view[start : self._used])
            self._used = rest

    def _skip(self, start):
        self.dropped += 2
        self.damaged += 1
        self._in_noise = True
        return start + 2

    def _find_header(self, start):
        """Index of the next 7F 5A at or after `start`, or of a lone trailing 7F, or the end."""
        buf = self._buf
        last = self._used - 1
        at = start
        while at <= last and not (buf[at] == 0x7F and (at == last or buf[at + 1] == 0x5A)):
            at += 1
        if at > start:
            self.dropped += at - start
            if not self._in_noise:
                self.damaged += 1
                self._in_noise = True
        return at
