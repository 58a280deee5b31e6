"""The lock's end of the link: bytes written by a client in, frames to notify out. One connection at a time.

Owns the order in which a frame is judged (lock-ble-link.md 6.2, security.md PAR-3), repeats, pushes and when a link is
dropped. Does no I/O and reads no clock: the composition root hands in bytes and `now_ms` (milliseconds that never
wrap), sends what is returned and disconnects when `is_over` says so. What a command does is in `commands/`.
"""

from firmware.lib import crypto, frame, opcodes
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest, ProtocolError
from firmware.lib.messages import common
from firmware.lib.reassembler import Reassembler
from firmware.lock import authority
from firmware.lock.commands.table import HANDLERS, LATER
from firmware.lock.session import Session

_PARTIAL_MS = const(2000)
_REPEAT_MS = const(2000)
_MAX_PLAIN = const(111)
_NO_PERMISSION = const(0x02)
_UNKNOWN_OPERATION = const(0x1B)
_MINUTE_MS = const(60000)
_THROTTLE_AFTER = const(5)

# Feature bits of domain.md 3.12 whose commands work now; 9 because the value at pairing is always 1
_BITS = (0, 4, 7, 8, 9, 10, 12, 14, 15, 18, 23)
_NO_CLOCK_BACKUP = const(20)

# Answered again to the same bytes coming next (lock-ble-commands.md 1.4), and for 2 s only (lock-ble-link.md 8.6)
_CHANGING = (
    opcodes.GET_AES_KEY,
    opcodes.ADD_ADMIN,
    opcodes.PASSCODE,
    opcodes.SET_ADMIN_PASSCODE,
    opcodes.INIT_PASSWORDS,
    opcodes.AUTO_LOCK,
    opcodes.REMOTE_UNLOCK,
    opcodes.PASSCODE_DISPLAY,
    opcodes.SOUND,
    opcodes.RESET,
)
_QUERY_OR_CHANGE = (opcodes.AUTO_LOCK, opcodes.REMOTE_UNLOCK, opcodes.PASSCODE_DISPLAY, opcodes.SOUND)
_ANSWERING = (opcodes.UNLOCK, opcodes.LOCK, opcodes.CHECK_RANDOM, opcodes.LOG)


class Engine:
    """`device` is what the commands act on. `log` is an area of the log, or None."""

    def __init__(self, device, identity, log=None, vendor_crc=False, strict_empty=False, push=True, clock_backup=False):
        self.device = device
        self.identity = identity
        self.session = None
        self.now_ms = 0
        self.features = 0 if clock_backup else 1 << _NO_CLOCK_BACKUP
        for bit in _BITS:
            self.features |= 1 << bit
        self._log = log
        self._vendor_crc = vendor_crc
        self._strict_empty = strict_empty
        self._push = push
        self._reassembler = Reassembler()
        self._queue = []
        self._open = None  # (command, key, raw, plain) of the request that waits for the bolt
        self._out = []
        self._kicked_ms = []

    # Life of a connection

    def connected(self, now_ms):
        """A client is there."""
        self.now_ms = now_ms
        self._reassembler.reset()
        self._queue = []
        self._open = None
        self._out = []
        self.session = Session(now_ms, self._vendor_crc)
        self.session.changes_seen = self.device.changes
        self.device.wake(now_ms)
        self.device.pairing.link_up(now_ms)

    def disconnected(self, now_ms):
        """The client is gone, for whatever reason. Undoes a pairing that was not finished, carries out a reset."""
        session = self.session
        self.session = None
        self._open = None
        self._queue = []
        if session is None:
            return
        self.now_ms = now_ms
        if session.was_bad:
            self._kicked_ms.append(now_ms)
        self.device.pairing.link_down(now_ms)
        self.device.ring.keep_cursor()
        self.device.wake(now_ms)
        if session.reset_ms is not None:
            self.device.wipe()
            self.device.feedback.show("reset", now_ms)
            self.note("reset", by="link")

    def is_throttled(self, now_ms):
        """True while the lock shall advertise slowly: five links in a minute that sent only garbage (LIM-3)."""
        self._kicked_ms = [at_ms for at_ms in self._kicked_ms if now_ms - at_ms < _MINUTE_MS]
        return len(self._kicked_ms) >= _THROTTLE_AFTER

    @property
    def is_over(self):
        """True when the lock shall drop the link."""
        pairing = self.device.pairing
        in_pairing = pairing.stage in (authority.KEYED, authority.PROVISIONAL)
        return self.session.is_over(self.now_ms, in_pairing) or pairing.is_overdue(self.now_ms)

    def receive(self, part, now_ms):
        """Bytes the client wrote. Returns the whole frames to send, in order."""
        session = self.session
        self.now_ms = now_ms
        if self._reassembler.pending and not session.is_fresh(now_ms, _PARTIAL_MS):
            self._reassembler.reset()
        session.traffic(now_ms)
        dropped = self._reassembler.dropped
        self._queue.extend(self._reassembler.feed(part))
        if self._reassembler.dropped != dropped:
            session.bad_frame(now_ms)
        return self._work()

    def poll(self, now_ms):
        """Time went by: an answer that waited for the bolt, or a push. Returns the frames to send."""
        self.now_ms = now_ms
        out = self._work()
        if not out and self._open is None:
            self._push_state()
            out = self._take()
        return out

    def _take(self):
        out = self._out
        self._out = []
        if out:
            self.session.traffic(self.now_ms)
        return out

    def _work(self):
        while self._queue and self._open is None:
            self._one(self._queue.pop(0))
        return self._take()

    # One frame, in the order of link 6.2

    def _one(self, raw):
        session = self.session
        try:
            request = frame.decode(raw)
            if request.protocol != 5 or request.version != 3:
                raise ProtocolError("version")
        except ProtocolError:
            session.bad_frame(self.now_ms)
            return
        if request.crc_kind != frame.CRC_EITHER:
            session.vendor_crc = request.crc_kind == frame.CRC_VENDOR
        if self._is_repeat(raw):
            return
        session.repeat = None
        command = request.command
        length = len(request.payload)
        standing = self._standing()
        error = authority.refusal(command, length, standing, self.features, self._strict_empty)
        key = self._key_for(command, standing.stage)
        if error is not None:
            session.good_frame(self.now_ms)
            self.note("refused", cmd="%02x" % command, error="%02x" % error)
            self._send(key, common.failure(command, error))
            return
        try:
            plain = self._plain(command, request.payload, key, standing)
            self._open = (command, key, raw, plain)
            answer = HANDLERS[command](self, plain)
        except BadRequest as err:
            answer = self._bad_request(command, err.ble)
        except ProtocolError:
            answer = None
        if answer is None:
            self._open = None
            session.bad_frame(self.now_ms)
            return
        session.good_frame(self.now_ms)
        session.has_key = session.has_key or length > 0
        if answer is not LATER:
            self._finish(answer)

    def _is_repeat(self, raw):
        repeat = self.session.repeat
        if repeat is None or repeat[0] != raw:
            return False
        if repeat[3] is not None and self.now_ms - repeat[2] > repeat[3]:
            return False
        self.session.good_frame(self.now_ms)
        self._out.append(repeat[1])
        return True

    def _standing(self):
        session = self.session
        pairing = self.device.pairing
        challenge = session.open_challenge(self.now_ms)
        return authority.Standing(
            pairing.stage,
            pairing.is_open(self.now_ms),
            session.s3_age_ms(self.now_ms),
            challenge.opcode if challenge is not None else 0,
        )

    def _key_for(self, command, stage):
        if stage == authority.KEYED and command == opcodes.ADD_ADMIN:
            return self.device.pairing.key
        if stage >= authority.PROVISIONAL:
            return self.device.keys.aes
        return crypto.DEFAULT_KEY

    def _bad_request(self, command, error):
        """The answer to a well-formed request with a wrong value; None for silence (link 6.2, lines six and seven)."""
        if self.is_admin():
            return common.failure(command, error)
        if error == _UNKNOWN_OPERATION:
            return common.failure(command, error) if self.is_pairing else None
        return common.failure(command, _NO_PERMISSION if command in _QUERY_OR_CHANGE else error)

    def _plain(self, command, payload, key, standing):
        if not payload:
            return b""
        plain = crypto.decrypt(key, payload)
        if not authority.plain_length_allowed(command, len(plain), standing):
            raise ProtocolError("length for 0x%02x" % command)
        return plain

    # Answers

    @property
    def ticket(self):
        """Names the request being handled, for `answer_later`."""
        return self._open

    def answer_later(self, ticket, plain):
        """The answer to a request whose handler returned LATER. Nothing when its link is gone."""
        if self._open is ticket:
            self._finish(plain)

    def is_admin(self):
        """Level S3 now."""
        return self.session.s3_age_ms(self.now_ms) is not None

    @property
    def is_pairing(self):
        """Level P now."""
        return self.device.pairing.stage == authority.PROVISIONAL

    def _finish(self, answer):
        command, key, raw, plain = self._open
        self._open = None
        self._send(key, answer)
        holds_ms = None
        if command in _ANSWERING:
            if command == opcodes.LOG and plain != b"\xff\xff":
                return
            holds_ms = _REPEAT_MS
        elif command not in _CHANGING:
            return
        self.session.repeat = (raw, self._out[-1], self.now_ms, holds_ms)

    def _send(self, key, plain):
        """`plain` b"" is the empty payload of 0x52."""
        assert len(plain) <= _MAX_PLAIN
        identity = self.identity
        payload = crypto.encrypt(key, plain) if plain else b""
        vendor = self.session.vendor_crc
        self._out.append(frame.encode(opcodes.ANSWER, payload, identity.scene, identity.group, identity.org, vendor))

    def _push_state(self):
        session = self.session
        device = self.device
        if session.changes_seen == device.changes or device.bolt.is_moving or not session.is_quiet(self.now_ms):
            return
        session.changes_seen = device.changes
        if self._push and session.has_key and device.pairing.stage == authority.PAIRED and session.reset_ms is None:
            state = bytes((device.battery_pct, device.status(), 2))
            self._send(device.keys.aes, common.success(opcodes.STATUS, state))

    def note(self, word, **values):
        """One event for the log, if there is one. No secrets."""
        if self._log is not None:
            self._log.info(word, **values)
