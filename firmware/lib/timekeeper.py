"""When to believe a clock (security.md CLK-1), and how a time server is asked (SNTP, RFC 4330: one request, one reply).
Pure: samples and a monotonic count come in, the time goes out.

States: `untrusted` (nothing known) -> `floor` (at least the build's or the last persisted time) -> `trusted` (two
samples agree within 5 s, or a signed time). All times are whole milliseconds, as a board's floats have 24 bits;
`mono_ms` never goes back and never wraps.
"""

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError

UNTRUSTED = "untrusted"
FLOOR = "floor"
TRUSTED = "trusted"

_AGREE_MS = const(5000)
_DAY_MS = const(86400000)
_APART_MS = const(60000)  # confirmations closer together than that may have the same wrong source
_SOLID_MS = const(21600000)  # a distant new time becomes the floor only when nothing contradicted it for so long
_REPLY_LEN = const(48)
_UNIX_1900 = const(2208988800)


class Timekeeper:
    """Holds the offset of Unix time from the monotonic count."""

    def __init__(self, floor_ms=0):
        self.state = FLOOR if floor_ms else UNTRUSTED
        self.drift_ms = None  # not known before the second agreement
        self._floor_ms = floor_ms
        self._offset_ms = None
        self._candidate_ms = None
        self._seen = 0
        self._seen_at_ms = 0
        self._since_ms = 0  # monotonic, of the last jump

    @property
    def is_pending(self):
        """True while a sample waits for another to confirm it."""
        return self._seen > 0

    def floor_to_keep(self, mono_ms):
        """What may be persisted as the floor of later starts, in milliseconds, or None when nothing new is certain.

        Within a day of where the old floor would be by now, the time is taken at once. Farther ahead, as at the very
        first start, only after six hours without a jump: who answers the first questions with a lie must not be able to
        lock the true time out for good.
        """
        if self.state != TRUSTED:
            return None
        now_ms = self.now_ms(mono_ms)
        if now_ms - self._floor_ms > _DAY_MS + mono_ms and mono_ms - self._since_ms < _SOLID_MS:
            return None
        return now_ms if now_ms > self._floor_ms else None

    def guess(self, unix_ms, mono_ms):
        """A time without authority, as from the RTC after a restart: taken if not below the floor, never trusted."""
        if self._offset_ms is None and unix_ms >= self._floor_ms:
            self._offset_ms = unix_ms - mono_ms

    def now_ms(self, mono_ms):
        """Unix milliseconds as well as known; never below the floor."""
        if self._offset_ms is None:
            return self._floor_ms
        return max(mono_ms + self._offset_ms, self._floor_ms)

    def sample(self, unix_ms, mono_ms):
        """Take one NTP sample. Returns the correction applied, in milliseconds, or None while nothing changed.

        Untrusted: the second of two that agree within 5 s is taken. Trusted: up to 5 s off is taken at once, a forward
        jump of up to a day with one confirmation, any backward jump and longer forward ones with two, each a minute
        after the one before. A sample below the floor is never taken.
        """
        if unix_ms < self._floor_ms:
            self._seen = 0
            return None
        offset_ms = unix_ms - mono_ms
        if self.state == TRUSTED:
            jump_ms = offset_ms - self._offset_ms
            if -_AGREE_MS <= jump_ms <= _AGREE_MS:
                return self._take(offset_ms)
            needed = 2 if 0 < jump_ms <= _DAY_MS else 3
            apart_ms = _APART_MS
        else:
            needed = 2
            apart_ms = 0
        if self._seen and abs(offset_ms - self._candidate_ms) <= _AGREE_MS:
            if mono_ms - self._seen_at_ms < apart_ms:
                return None
            self._seen += 1
        else:
            self._seen = 1
            self._candidate_ms = offset_ms
        self._seen_at_ms = mono_ms
        return self._take(offset_ms) if self._seen >= needed else None

    def signed(self, unix_ms, mono_ms):
        """A time that an issuer has signed for this moment: taken at once while nothing better is known, if not below
        the floor. Returns the correction in milliseconds, or None."""
        if self.state == TRUSTED or unix_ms < self._floor_ms:
            return None
        self._seen_at_ms = mono_ms
        return self._take(unix_ms - mono_ms)

    def _take(self, offset_ms):
        was_ms = self._offset_ms
        first = self.state != TRUSTED
        self._offset_ms = offset_ms
        self._seen = 0
        self.state = TRUSTED
        moved_ms = offset_ms - was_ms if was_ms is not None else 0
        if first or not -_AGREE_MS <= moved_ms <= _AGREE_MS:
            self._since_ms = self._seen_at_ms
        self.drift_ms = None if first else moved_ms
        return moved_ms


def encode_request(token):
    """Version 4, client. `token`: 8 random bytes in the transmit time's place, so that only who saw them can answer."""
    if len(token) != 8:
        raise ValueError("token has 8 bytes")
    return b"\x23" + bytes(39) + token


def decode_reply(reply, token):
    """Reply bytes -> Unix milliseconds of the server's transmit time.

    Era 0 or 1 by the top bit (RFC 4330 3), so it is right until 2104. Raises ProtocolError for a reply that is cut off,
    not to our request, not from a server (mode 4, version 3 or 4), or from one that is not synchronised itself.
    """
    if len(reply) < _REPLY_LEN:
        raise ProtocolError("NTP reply of %d bytes" % len(reply))
    if bytes(reply[24:32]) != token:
        raise ProtocolError("NTP reply to another request")
    if reply[0] & 7 != 4 or reply[0] >> 3 & 7 not in (3, 4):
        raise ProtocolError("not an NTP server's reply")
    if reply[0] >> 6 == 3 or not 1 <= reply[1] <= 15:
        raise ProtocolError("NTP server is not synchronised")
    seconds = int.from_bytes(bytes(reply[40:44]), "big")
    fraction = int.from_bytes(bytes(reply[44:48]), "big")
    if seconds == 0 and fraction == 0:  # which is also the first instant of era 1, in 2036
        raise ProtocolError("NTP reply without a time")
    if seconds < 0x80000000:
        seconds += 1 << 32
    return (seconds - _UNIX_1900) * 1000 + (fraction * 1000 >> 32)
