"""One connection: what it has sent, its rights, its open challenge, its deadlines, the answer that is given again.

Owns no device; `engine` asks and tells. All but `Throttle` ends with the link.
Source: security.md PAR-1, SES-1, SES-2, SES-3, ORC-1, RND-1, LIM-3; lock-ble-link.md 3.3, 8.6, 10;
lock-ble-commands.md 1.4; hardware-facts.md F29.
"""

from firmware.lib import crypto, opcodes, records
from firmware.lib.compat import const
from firmware.lib.frame import Reassembler

_MAX_CHALLENGE = const(0x7FFFFFFF)  # from 1: clients that cannot wrap the sum never have to (lock-ble-link.md 8.4)
_CHALLENGE_MS = const(10000)
_S3_MS = const(120000)
_FIRST_PROOF_MS = const(10000)
_SHARED_MS = const(1000)  # a client that has shown nothing until then has the lock no more for itself
_PATIENCE_MS = const(4000)  # and then makes room for another; real locks end a silent link after 5 s
_STALE_MS = const(8000)  # as does one whose frames may be recorded ones
_IDLE_MS = const(20000)
_IDLE_PAIRING_MS = const(30000)
_CONNECTION_MS = const(300000)
_BAD_FRAMES = const(3)
_BAD_MS = const(2000)
_QUIET_MS = const(300)

_MAX_FRAMES = const(4)  # a client has one request under way; more of them wait only while the bolt moves
_REPEAT_MS = const(2000)
_SLOW_WINDOW_MS = const(60000)
_SLOW_MS = const(60000)
_BAD_LINKS = const(5)

# Commands of which the same frame gets the same answer again (lock-ble-link.md 8.6): changes as long as nothing else
# came between, the others for 2 s. A client whose CRC check fails sends its frame once more, when its challenge is
# spent and the bolt has moved.
_CHANGING = (
    opcodes.GET_AES_KEY,
    opcodes.ADD_ADMIN,
    opcodes.PASSCODE,
    opcodes.CARD,
    opcodes.FINGERPRINT,
    opcodes.CYCLIC,
    opcodes.KEY_FOB,
    opcodes.SET_ADMIN_PASSCODE,
    opcodes.INIT_PASSWORDS,
    opcodes.AUTO_LOCK,
    opcodes.PASSAGE,
    opcodes.REMOTE_UNLOCK,
    opcodes.PASSCODE_DISPLAY,
    opcodes.SOUND,
    opcodes.RESET,
)
_ANSWERING = (opcodes.UNLOCK, opcodes.LOCK, opcodes.CHECK_RANDOM, opcodes.LOG)


class Challenge:
    """A number that one answer may be given to."""

    __slots__ = ("value", "opcode", "uid", "issued_ms")

    def __init__(self, opcode, uid, now_ms):
        self.value = crypto.random_below(_MAX_CHALLENGE) + 1
        self.opcode = opcode
        self.uid = uid
        self.issued_ms = now_ms


class Session:
    """Times are milliseconds that do not wrap. `link` is (connection handle, epoch): whose rights these are
    (security.md SES-3).
    """

    def __init__(self, link, now_ms, vendor_crc=False):
        self.link = link
        self.vendor_crc = vendor_crc  # lock-ble-link.md 4.3: the table this client has shown, or the default
        self.has_key = False  # S1 was shown at least once
        self.is_proven = False  # a challenge of this link was answered right, which no recording can
        self._repeated = self._answer = None  # a frame, and the answer that it gets again
        self._repeat_until_ms = None
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

    def use_challenge(self, now_ms):
        """The open challenge, used up by this."""
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

    # Repeats

    def answer_again(self, raw, now_ms):
        """The frame to send again, or None: then `raw` is a new request, and what was kept is dropped."""
        if raw == self._repeated and (self._repeat_until_ms is None or now_ms <= self._repeat_until_ms):
            return self._answer
        self.drop_answer()
        return None

    def drop_answer(self):
        """What was answered last has come to an end: the same bytes ask for it anew."""
        self._repeated = self._answer = None

    def keep_answer(self, command, request, raw, answer, now_ms):
        """`answer` was just given to `raw`."""
        if command in _ANSWERING:
            if command == opcodes.LOG and request != records.NEXT_UNREAD:
                return
            self._repeat_until_ms = now_ms + _REPEAT_MS
        elif command in _CHANGING:
            self._repeat_until_ms = None
        else:
            return
        self._repeated = raw
        self._answer = answer

    # Deadlines

    def record_traffic(self, now_ms):
        """Bytes went either way."""
        self._traffic_ms = now_ms

    def record_frame(self, now_ms):
        """A frame arrived that was answered."""
        self._framed_ms = now_ms

    def record_bad(self, now_ms, n=1):
        """So many frames arrived that get no answer."""
        self._bad += n
        if n and self._bad_ms is None:
            self._bad_ms = now_ms

    @property
    def was_bad(self):
        """True if the link ends for what it sent."""
        return self._bad_ms is not None

    def is_quiet(self, now_ms):
        """True when a push would not collide with an answer (lock-ble-link.md 3.3)."""
        return now_ms - self._traffic_ms >= _QUIET_MS

    def shares(self, now_ms):
        """True when another client may connect beside this one, which holds the lock's only place and shows no right to
        it (security.md SES-1).
        """
        return not self.is_proven and now_ms - self._began_ms >= (_STALE_MS if self.has_key else _SHARED_MS)

    def yields(self, now_ms):
        """True when it shall go if another client has come."""
        return not self.is_proven and now_ms - self._began_ms >= (_STALE_MS if self.has_key else _PATIENCE_MS)

    def is_over(self, now_ms, in_pairing, is_open=False):
        """True when the lock shall drop the link. `is_open`: it can be paired now, so there is no key to show."""
        if self._bad >= _BAD_FRAMES or (self._bad_ms is not None and now_ms - self._bad_ms >= _BAD_MS):
            return True
        if self.reset_ms is not None and now_ms - self.reset_ms >= _BAD_MS:
            return True
        if now_ms - self._began_ms >= _CONNECTION_MS:
            return True
        if self._framed_ms is None or not (self.has_key or is_open):
            return now_ms - self._began_ms >= _FIRST_PROOF_MS
        return now_ms - self._framed_ms >= (_IDLE_PAIRING_MS if in_pairing else _IDLE_MS)


class Intake:
    """What a client wrote and is not judged yet: a part of a frame, and a few whole ones.

    `is_overrun`: more frames came than can wait; they are lost, and the link should end.
    """

    def __init__(self):
        self._reassembler = Reassembler()
        self._frames = []
        self.is_overrun = False

    def clear(self):
        """A link began or ended."""
        self._reassembler.reset()
        self._frames = []
        self.is_overrun = False

    def feed(self, part, now_ms):
        """Add a chunk; how many things in it were no frames."""
        parts = self._reassembler
        damaged = parts.damaged
        frames = parts.feed(part, now_ms)
        room = _MAX_FRAMES - len(self._frames)
        self._frames.extend(frames[:room])
        self.is_overrun = self.is_overrun or len(frames) > room
        return parts.damaged - damaged

    def expire(self, now_ms):
        """Drop a part of a frame that is too old."""
        self._reassembler.expire(now_ms)

    def next_frame(self):
        """The next whole frame, or None."""
        return self._frames.pop(0) if self._frames else None


class Throttle:
    """Links on which only bad frames came, and slowing down for them: five within a minute, then a slow advertisement
    for 60 s, never none at all (security.md LIM-3). The advertisement is the composition root's.
    """

    def __init__(self):
        self._ended_ms = []
        self._slow_until_ms = 0

    def record_bad_link(self, now_ms):
        """A link ended on which frames came that got no answer."""
        self._ended_ms.append(now_ms)
        if len(self._ended_ms) > _BAD_LINKS:
            self._ended_ms.pop(0)
        if len(self._ended_ms) == _BAD_LINKS and now_ms - self._ended_ms[0] < _SLOW_WINDOW_MS:
            self._slow_until_ms = now_ms + _SLOW_MS

    def is_slow(self, now_ms):
        """True while the lock shall advertise at its long interval."""
        return now_ms < self._slow_until_ms
