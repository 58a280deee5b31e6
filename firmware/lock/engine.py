"""The lock's end of the link: bytes written by a client in, frames to notify out. One connection at a time.

Owns the order in which a frame is judged (lock-ble-link.md 6.2, security.md PAR-3), repeats, pushes and when a link is
dropped. Does no I/O and reads no clock: the composition root hands in bytes and `now_ms` (milliseconds that never
wrap), sends what is returned and disconnects when `is_over` says so. What a command does is in `commands/`.
"""

from firmware.lib import crypto, frame, opcodes
from firmware.lib.compat import const
from firmware.lib.errors import FirmwareError
from firmware.lib.messages import common
from firmware.lock import authority
from firmware.lock.commands.table import COMMANDS, LATER, functions
from firmware.lock.session import Intake, Session, Throttle

_MAX_PLAIN = const(111)
_NO_PERMISSION = const(0x02)
_FAILED = const(0x13)
_FROZEN = const(0x1C)
_MAX_ANSWER_MS = const(4500)  # security.md SES-2: answered, or the link ended, within 5 s
_UNKNOWN_OPERATION = const(0x1B)

# Feature bits of domain.md 3.12 whose commands work now; 9 because the value at pairing is always 1
_BITS = (
    0,
    1,
    2,
    4,
    5,
    7,
    8,
    9,
    10,
    11,
    12,
    14,
    15,
    18,
    22,
    23,
    25,
    28,
    29,
    30,
    34,
    36,
    40,
    41,
    42,
    43,
    46,
)
_NO_CLOCK_BACKUP = const(20)

# A change of these is recognised below S3, and refused
_QUERY_OR_CHANGE = (opcodes.AUTO_LOCK, opcodes.REMOTE_UNLOCK, opcodes.PASSCODE_DISPLAY, opcodes.SOUND, opcodes.PASSAGE)


def feature_mask(has_clock_backup, more=()):
    """The mask of domain.md 3.12 of this lock; `more` are the bits of parts that are fitted."""
    mask = 0 if has_clock_backup else 1 << _NO_CLOCK_BACKUP
    for bit in _BITS + more:
        mask |= 1 << bit
    return mask


class Engine:
    """`device`, `motion` and `ownership` are what the commands act on; `features` is a `feature_mask`."""

    def __init__(self, device, motion, ownership, identity, features, vendor_crc=False, strict_empty=False, push=True):
        self.device = device
        self.stores = device.stores
        self.motion = motion
        self.ownership = ownership
        self.identity = identity
        self.features = features
        self.session = None
        self.now_ms = 0
        self._vendor_crc = vendor_crc
        self._strict_empty = strict_empty
        self._push = push
        self._intake = Intake()
        self._throttle = Throttle()
        self._open = None  # (command, key, raw, plain) of the request that waits for the bolt
        self._opened_ms = 0
        self._out = []
        self._last_epoch = None
        self.has_rival = False  # another client has connected and waits; the composition root says so

    # Life of a connection. `link` is (connection handle, epoch): the rights of one are of no use to another
    # (security.md SES-3).

    def connected(self, link, now_ms):
        """A client is there. Epochs grow; what comes late of an older link is ignored."""
        if self._last_epoch is not None and link[1] <= self._last_epoch:
            return
        if self.session is not None:  # its end was never reported
            self.disconnected(self.session.link, now_ms)
        self.now_ms = now_ms
        self._last_epoch = link[1]
        self._intake.clear()
        self._open = None
        self._out = []
        self.session = Session(link, now_ms, self._vendor_crc)
        self.session.changes_seen = self.device.changes
        self.session.resets_seen = self.device.resets
        self.device.wake(now_ms)
        self.device.pairing.link_up(now_ms)

    def disconnected(self, link, now_ms):
        """The client is gone, for whatever reason. Undoes a pairing that was not finished, carries out a reset."""
        session = self.session
        if session is None or session.link != link:
            return
        self.session = None
        self._open = None
        self._intake.clear()
        self.device.enrolment.cancel()
        self.now_ms = now_ms
        if session.was_bad:
            self._throttle.record_bad_link(now_ms)
        self.ownership.link_down(now_ms)
        self.stores.ring.keep_cursor()
        self.device.wake(now_ms)
        if self.device.is_resetting:
            self.ownership.reset(now_ms)
            self.device.log("reset", by="link")

    def is_throttled(self, now_ms):
        """True while the lock shall advertise slowly (security.md LIM-3)."""
        return self._throttle.is_slow(now_ms)

    @property
    def is_over(self):
        """True when the lock shall drop the link, or there is none."""
        return self.drops()

    def drops(self):
        """What `is_over` goes by."""
        if not self._is_valid() or self._intake.is_overrun:
            return True
        if self._open is not None and self.now_ms - self._opened_ms >= _MAX_ANSWER_MS:
            return True
        pairing = self.device.pairing
        if self.session.is_over(self.now_ms, self.device.is_pairing, pairing.is_open(self.now_ms)):
            return True
        return pairing.is_overdue(self.now_ms) or (self.has_rival and self.shares and self.session.yields(self.now_ms))

    @property
    def shares(self):
        """True when a second client may connect: the one that is served has shown no right to the place."""
        return self._is_valid() and not self.device.pairing.is_open(self.now_ms) and self.session.shares(self.now_ms)

    def _is_valid(self):
        """False also when the lock was reset by hand under the link."""
        return self.session is not None and self.session.resets_seen == self.device.resets

    def receive(self, link, part, now_ms):
        """Bytes the client of `link` wrote. Returns the whole frames to send, in order."""
        if not self._is_valid() or self.session.link != link:
            return []
        self.now_ms = now_ms
        self.ownership.poll(now_ms)
        self.session.record_traffic(now_ms)
        self.session.record_bad(now_ms, self._intake.feed(part, now_ms))
        return self._work()

    def poll(self, now_ms):
        """Time went by: an answer that waited for the bolt, or a push. Returns the frames to send."""
        if not self._is_valid():
            return []
        self.now_ms = now_ms
        self._intake.expire(now_ms)
        self.ownership.poll(now_ms)
        self.motion.guard(now_ms)  # no answer waits for a bolt that is not polled any more (security.md SES-2)
        out = self._work()
        if not out and self._open is None:
            if not self._enrol():
                self._push_state()
            out = self._drain()
        return out

    def _enrol(self):
        """Send what became of an enrolment, at the distance that clients need (lock-ble-commands.md 1.6). False: there
        is none.
        """
        enrolment = self.device.enrolment
        enrolment.poll(self.now_ms)
        if not enrolment.is_active:
            return False
        self.session.record_frame(self.now_ms)  # who waits for somebody at the door is not idle
        if self.session.is_quiet(self.now_ms):
            plain = enrolment.next_frame()
            if plain is not None:
                self.send(self.stores.keys.aes, plain)
        if not enrolment.is_active:
            self.session.drop_answer()
        return True

    def _drain(self):
        out = self._out
        self._out = []
        if out:
            self.session.record_traffic(self.now_ms)
        return out

    def _work(self):
        while self._open is None and not self.is_over:
            raw = self._intake.next_frame()
            if raw is None:
                break
            self.judge(raw)
        return self._drain()

    # One frame, in the order of lock-ble-link.md 6.2

    def judge(self, raw):
        """Answer one whole frame, now or later, or not at all."""
        session = self.session
        standing = self._standing()
        request = authority.envelope(raw)
        if request is None:
            self._silence(raw, standing)
            return
        if request.crc_kind != frame.CRC_EITHER:
            session.vendor_crc = request.crc_kind == frame.CRC_VENDOR
        again = session.answer_again(raw, self.now_ms)
        if again is not None:
            session.record_frame(self.now_ms)
            self._out.append(again)
            return
        self.device.enrolment.cancel()  # any other request ends it
        command = request.command
        payload = b"" if authority.is_greeting(command, standing) else request.payload
        error = authority.refusal(command, len(payload), standing, self.features, self._strict_empty)
        key = self.key_for(command, standing.stage)
        if error is not None:
            session.record_frame(self.now_ms)
            self.device.log("refused", cmd="%02x" % command, error="%02x" % error)
            self.send(key, common.failure(command, error))
            return
        decode, handle = functions(command)
        is_right, wanted, error, op = authority.open_request(command, payload, key, standing, decode)
        refused = self._bad_request(command, error) if is_right and error is not None else None
        if not is_right or (error is not None and refused is None):
            session.record_bad(self.now_ms)
            return
        session.record_frame(self.now_ms)
        session.has_key = session.has_key or len(payload) > 0
        if refused is not None:
            self.send(key, refused)
            return
        if self.stores.options.frozen and self.is_admin() and authority.is_change(command, op):
            self.send(key, common.failure(command, _FROZEN))
            return
        self._open = (command, key, raw, wanted)
        self._opened_ms = self.now_ms
        answer = self.answer(handle, wanted)
        if answer is not LATER:
            self._finish(answer)

    def _silence(self, raw, standing):
        """A frame whose envelope is wrong takes the same work as one whose content is wrong (security.md ORC-2)."""
        command = raw[9] if raw[9] in COMMANDS else opcodes.STATUS
        key = self.key_for(command, standing.stage)
        authority.open_request(command, raw[12 : len(raw) - 3], key, standing, functions(command)[0])
        self.session.record_bad(self.now_ms)

    def answer(self, handle, wanted):
        """What `handle` makes of the request `wanted`: the plain text of the answer, or LATER."""
        try:
            return handle(self, wanted)
        except FirmwareError as err:  # such as no trustworthy random numbers
            self.device.log("failed", code=err.code)
        except OSError:  # the flash refuses: nothing was changed, and the link stays up
            self.device.log("failed", code="flash")
        return common.failure(self._open[0], _FAILED)

    def _standing(self):
        session = self.session
        pairing = self.device.pairing
        if self.device.is_resetting:  # promised: from here on nobody owns the lock (security.md RST-2)
            return authority.Standing()
        challenge = session.open_challenge(self.now_ms)
        return authority.Standing(
            pairing.stage,
            pairing.is_open(self.now_ms),
            session.s3_age_ms(self.now_ms),
            challenge.opcode if challenge is not None else 0,
            session.has_key,
        )

    def key_for(self, command, stage):
        """The key of the answer to `command` at this stage of pairing."""
        if stage == authority.KEYED and command == opcodes.ADD_ADMIN:
            return self.device.pairing.key
        if stage >= authority.PROVISIONAL:
            return self.stores.keys.aes
        return crypto.DEFAULT_KEY

    def _bad_request(self, command, error):
        """The answer to a well-formed request with a wrong value; None for silence (lock-ble-link.md 6.2, lines
        six and seven).
        """
        if command == opcodes.ADD_ADMIN:
            self.device.pairing.fail()
        if self.is_admin():
            return common.failure(command, error)
        if error == _UNKNOWN_OPERATION:
            return common.failure(command, error) if self.is_pairing else None
        return common.failure(command, _NO_PERMISSION if command in _QUERY_OR_CHANGE else error)

    # Answers

    @property
    def ticket(self):
        """Names the request being handled, for `answer_later`."""
        return self._open

    def answer_later(self, ticket, plain):
        """The answer to a request whose handler returned LATER. Nothing when its link is gone."""
        if self._open is ticket:
            self._finish(plain)

    def read_record(self, cursor):
        """0x25: (number, record), or None at the end."""
        return self.stores.ring.read(cursor)

    def is_admin(self):
        """Level S3 now."""
        return self.session.s3_age_ms(self.now_ms) is not None

    @property
    def is_pairing(self):
        """Level P now."""
        return self.device.pairing.stage == authority.PROVISIONAL

    def _finish(self, answer):
        command, key, raw, wanted = self._open
        self._open = None
        self.send(key, answer)
        self.session.keep_answer(command, wanted, raw, self._out[-1], self.now_ms)

    def send(self, key, plain, outer=opcodes.ANSWER):
        """Put a frame with this plain text after those to send; b"" is the empty payload of 0x52."""
        assert len(plain) <= _MAX_PLAIN
        identity = self.identity
        payload = crypto.encrypt(key, plain) if plain else b""
        vendor = self.session.vendor_crc
        self._out.append(frame.encode(outer, payload, identity.scene, identity.group, identity.org, vendor))

    def _push_state(self):
        session = self.session
        device = self.device
        if session.changes_seen == device.changes or device.bolt.is_moving or not session.is_quiet(self.now_ms):
            return
        session.changes_seen = device.changes
        if self._push and session.has_key and device.is_usable:
            state = bytes((device.battery_pct, device.status(), device.door_byte()))
            self.send(device.stores.keys.aes, common.success(opcodes.STATUS, state))
