"""When to believe a clock (security.md CLK-1), and how a time server is asked (SNTP, RFC 4330: one request, one reply).
Pure: samples and a monotonic count come in, the time goes out.

States: `untrusted` (nothing known) -> `floor` (at least the build's or the last persisted time) -> `trusted` (two
samples agree within 5 s, or a signed time). A sample is what most of the time servers agree on (`agreed`). All times
are whole milliseconds, as a board's floats have 24 bits; `mono_ms` never goes back and never wraps.
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
_EARLY_MS = const(30000)  # what an issuer's clock may differ before it contradicts ours (security.md CMD-3)
_SERVERS_MS = const(300000)  # how far servers may move the clock from the last signed time, beside
_DRIFT_PARTS = const(10000)  # what our own crystal may be off, one part in so many
_LEAST_MS = const(3600000)  # a drift over a shorter time says nothing
_REPLY_LEN = const(48)
_UNIX_1900 = const(2208988800)


def agreed(offsets, servers):
    """The offset that more than half of `servers`, and at least two, have told within 5 s of each other: the middle one
    of the largest such group, so that one that lies moves it no further than the honest ones differ. None where there
    is no such group. `offsets` has one of each server that answered."""
    told = sorted(offsets)
    best: list = []
    for first in told:
        group = [offset for offset in told if 0 <= offset - first <= _AGREE_MS]
        if len(group) > len(best):
            best = group
    return best[(len(best) - 1) // 2] if len(best) >= max(2, servers // 2 + 1) else None


def rate(passed_ms, gained_ms, error_ms):
    """A clock has gained so much in so long, each of two readings being right to `error_ms` -> (milliseconds a day that
    it gains, how uncertain that is), or None where the time is too short."""
    if passed_ms < _LEAST_MS:
        return None
    return gained_ms * _DAY_MS // passed_ms, 2 * error_ms * _DAY_MS // passed_ms + 1


def better(known, new):
    """Of two rates the more certain one; the new one where they contradict each other, as a battery grows weak."""
    if known and known[1] < new[1] and abs(known[0] - new[0]) <= known[1] + new[1]:
        return known
    return new


class Timekeeper:
    """Holds the offset of Unix time from the monotonic count. The clock never shows less than `floor_ms`, unless a
    signed time says so; nothing makes it show less than `least_ms`."""

    def __init__(self, floor_ms=0, least_ms=0):
        self.state = FLOOR if floor_ms else UNTRUSTED
        self.drift_ms = None  # not known before the second agreement
        self.rate = None  # what our count gains, as `rate` says
        self._first_ms = None  # (monotonic, offset, error) of the first sample since the last jump
        self._floor_ms = floor_ms
        self._least_ms = least_ms
        self._signed_ms = None  # offset by the last signed time of an authority
        self._signed_at_ms = 0
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
        is_near = now_ms - self._floor_ms <= _DAY_MS + mono_ms
        if not is_near and self._signed_ms is None and mono_ms - self._since_ms < _SOLID_MS:
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

    def sample(self, unix_ms, mono_ms, error_ms=0):
        """Take one NTP sample, right to `error_ms`. Returns the correction applied, in milliseconds, or None while
        nothing changed.

        Untrusted: the second of two that agree within 5 s is taken. Trusted: up to 5 s off is taken at once, a forward
        jump of up to a day with one confirmation, any backward jump and longer forward ones with two, each a minute
        after the one before. A sample below the floor is never taken, nor one that is further from the last signed
        time than 5 minutes and what a crystal drifts since: all servers may be one liar's.
        """
        offset_ms = unix_ms - mono_ms
        if unix_ms < self._floor_ms or self._is_against_signed(offset_ms, mono_ms):
            self._seen = 0
            return None
        if self.state == TRUSTED:
            jump_ms = offset_ms - self._offset_ms
            if -_AGREE_MS <= jump_ms <= _AGREE_MS:
                self._measure(offset_ms, mono_ms, error_ms)
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

    def signed_age_ms(self, mono_ms):
        """How old the last signed time of an authority is, or None without one."""
        return None if self._signed_ms is None else mono_ms - self._signed_at_ms

    def _is_against_signed(self, offset_ms, mono_ms):
        age_ms = self.signed_age_ms(mono_ms)
        if age_ms is None:
            return False
        return abs(offset_ms - self._signed_ms) > _SERVERS_MS + age_ms // _DRIFT_PARTS

    def signed(self, unix_ms, mono_ms, age_ms=0, is_authority=False):
        """A time that an issuer has signed, after the moment `age_ms` ago in which it was given its nonce. Returns the
        correction in milliseconds, 0 where the clock agrees, or None where it is not taken.

        While nothing better is known it is taken at once, if not below the floor. The word of an authority, who may set
        every clock, goes before the servers', whatever they have told and had persisted: the clock is moved where it
        cannot be that of the issuer, who signed between then and now, and servers do not move it far from there.
        """
        if unix_ms < self._least_ms or (not is_authority and (self.state == TRUSTED or unix_ms < self._floor_ms)):
            return None
        moved_ms = 0
        now_ms = self.now_ms(mono_ms)
        if self.state != TRUSTED or not -age_ms - _EARLY_MS <= unix_ms - now_ms <= _EARLY_MS:
            if unix_ms <= self._floor_ms:
                self._floor_ms = unix_ms - 1
            self._seen_at_ms = mono_ms
            moved_ms = self._take(unix_ms - mono_ms)
            self._first_ms = None  # an issuer's clock may be seconds off
        if is_authority:
            self._signed_ms = self._offset_ms
            self._signed_at_ms = mono_ms
        return moved_ms

    def _measure(self, offset_ms, mono_ms, error_ms):
        """How far our count has gone from the servers' time since the first sample behind the last jump."""
        if self._first_ms is None:
            self._first_ms = mono_ms, offset_ms, error_ms
            return
        since_ms, was_ms, was_error_ms = self._first_ms
        new = rate(mono_ms - since_ms, was_ms - offset_ms, max(error_ms, was_error_ms))
        if new:
            self.rate = better(self.rate, new)

    def _take(self, offset_ms):
        was_ms = self._offset_ms
        first = self.state != TRUSTED
        self._offset_ms = offset_ms
        self._seen = 0
        self.state = TRUSTED
        moved_ms = offset_ms - was_ms if was_ms is not None else 0
        if first or not -_AGREE_MS <= moved_ms <= _AGREE_MS:
            self._since_ms = self._seen_at_ms
            self._first_ms = None
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
