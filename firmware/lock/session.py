"""One connection: its rights, its open challenge, its deadlines, its repeats. Everything here dies with the link.

Owns no bytes and no device; `engine` asks and tells. Source: security.md 3.4 (ORC-1), 3.5 (RND-1, SES-1, SES-3);
lock-ble-link.md 3.3, 8.6, 10.
"""

from firmware.lib import crypto
from firmware.lib.compat import const
from firmware.lock.repeats import Repeats

_MAX_CHALLENGE = const(0x7FFFFFFF)  # from 1: clients that cannot wrap the sum never have to (link 8.4)
_CHALLENGE_MS = const(10000)
_S3_MS = const(120000)
_FIRST_FRAME_MS = const(10000)
_IDLE_MS = const(20000)
_IDLE_PAIRING_MS = const(30000)
_CONNECTION_MS = const(300000)
_BAD_FRAMES = const(3)
_BAD_MS = const(2000)
_QUIET_MS = const(300)


class Challenge:
    """A number that one answer may be given to."""

    __slots__ = ("value", "opcode", "uid", "issued_ms")

    def __init__(self, opcode, uid, now_ms):
        self.value = crypto.random_below(_MAX_CHALLENGE) + 1
        self.opcode = opcode
        self.uid = uid
        self.issued_ms = now_ms


class Session:
    """Times are milliseconds that do not wrap. `link` is (connection handle, epoch): whose rights these are (SES-3)."""

    def __init__(self, link, now_ms, vendor_crc=False):
        self.link = link
        self.vendor_crc = vendor_crc  # link 4.3: the table this client has shown, or the default
        self.has_key = False  # S1 was shown at least once
        self.repeats = Repeats()
        self.reset_ms = None  # 0x52 was accepted then
        self.changes_seen = 0
        self.resets_seen = 0
        self.report = None  # the diagnosis whose pages are being read
        self._challenge = None
        self._admin_ms = None
        self._began_ms = now_ms
        self._framed_ms = None
        self._traffic_ms = now_ms
        self._bad = 0
        self._bad_ms = None

    # Rights

    def issue(self, opcode, uid, now_ms):
        """A fresh challenge for 0x41 or 0x55; the one before it is void."""
        self._challenge = Challenge(opcode, uid, now_ms)
        return self._challenge.value

    def open_challenge(self, now_ms):
        """The challenge that still may be answered, or None."""
        if self._challenge is not None and now_ms - self._challenge.issued_ms >= _CHALLENGE_MS:
            self._challenge = None
        return self._challenge

    def take_challenge(self, now_ms):
        """The open challenge, used up."""
        challenge = self.open_challenge(now_ms)
        self._challenge = None
        return challenge

    def void_challenge(self):
        """A new check was begun, or the lock is about to be reset."""
        self._challenge = None

    def log_in(self, now_ms):
        """S3 begins."""
        self._admin_ms = now_ms

    def log_out(self):
        """S3 ends: a wrong answer to a challenge."""
        self._admin_ms = None

    def s3_age_ms(self, now_ms):
        """None without an admin session."""
        if self._admin_ms is not None and now_ms - self._admin_ms >= _S3_MS:
            self._admin_ms = None
        return None if self._admin_ms is None else now_ms - self._admin_ms

    def reset(self, now_ms):
        """A reset was promised: nothing is left but waiting for the client to go."""
        self.reset_ms = now_ms
        self.log_out()
        self.void_challenge()

    # Deadlines

    def traffic(self, now_ms):
        """Bytes went either way."""
        self._traffic_ms = now_ms

    def good_frame(self, now_ms):
        """A frame arrived that was answered."""
        self._framed_ms = now_ms

    def bad_frame(self, now_ms, n=1):
        """So many frames arrived that get no answer."""
        self._bad += n
        if n and self._bad_ms is None:
            self._bad_ms = now_ms

    @property
    def was_bad(self):
        """True if the link ends for what it sent."""
        return self._bad_ms is not None

    def is_quiet(self, now_ms):
        """True when a push would not collide with an answer (link 3.3)."""
        return now_ms - self._traffic_ms >= _QUIET_MS

    def is_over(self, now_ms, in_pairing):
        """True when the lock shall drop the link."""
        if self._bad >= _BAD_FRAMES or (self._bad_ms is not None and now_ms - self._bad_ms >= _BAD_MS):
            return True
        if self.reset_ms is not None and now_ms - self.reset_ms >= _BAD_MS:
            return True
        if now_ms - self._began_ms >= _CONNECTION_MS:
            return True
        if self._framed_ms is None:
            return now_ms - self._began_ms >= _FIRST_FRAME_MS
        return now_ms - self._framed_ms >= (_IDLE_PAIRING_MS if in_pairing else _IDLE_MS)
