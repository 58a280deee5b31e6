"""A lock of another maker, as the newest reports of real ones describe it: for trying a gateway without such a lock.

Owns where those locks differ from ours in what they do: they fall dormant, advertise another block without the service,
check the header and the vendor's CRC, end a silent link after 5 s, move the read bookmark with FFFF only, refuse a
cursor now and then, show a full battery a minute after each link, answer a pairing in their way, and let whoever has
proven a key set the clock, and nobody else. Loaded when the setting `manners` asks for it.
Leaves to the simulated air what is the radio's: attempts that fail, the rhythm of advertising, answers that get lost.
Source: hardware-facts.md F1, F2, F11, F12, F21, F22, F23, F25, F29, F33, F35, F50, F52, F54.
"""

from firmware.lib import advert, frame, opcodes, records
from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages import common
from firmware.lock.build import Identity
from firmware.lock.device import Device
from firmware.lock.engine import Engine

_DORMANT = const(0x10)
_DORMANT_MS = const(120000)  # 90 to 170 s were seen
_IDLE_MS = const(5000)
_FULL_FROM_MS = const(60000)  # after a link ended; 56 to 69 s were seen
_FULL_TO_MS = const(66000)
_FULL_PCT = const(100)
_MADE = b"\x00\xf1\x53\x65"  # what looks like a date of November 2023

_NO_PERMISSION = const(0x02)
_CRC_ERROR = const(0x01)
_WRONG_CREDENTIALS = const(0x03)
_REFUSED = const(0x13)
_PER_REFUSAL = const(100)  # requests for records, of which one is refused

_GREETED = b"\x45\x01"  # while pairing such a lock answers it with no payload at all
_CHALLENGED = (opcodes.CHECK_USER, opcodes.CHECK_ADMIN)
_MOVING = (opcodes.UNLOCK, opcodes.LOCK)


def identity(address, scene):
    """What such a lock says about itself: a model, group and org that are not ours."""
    made = Identity(address, "6.5.20.240724", "SN484_PV53", "20231114", scene, 10, 12)
    made.maker = "Sciener"
    made.prefix = "K5"
    return made


class RealDevice(Device):
    """Falls dormant when nobody has touched or operated it for 120 s; a link alone does not wake it."""

    shows_service = False

    def __init__(self, *args):
        super().__init__(*args)
        self._stirred_ms = 0
        self._bolt_was = self.bolt.state
        self._link_ended_ms = None

    def stir(self, now_ms):
        """It was touched or operated."""
        self._stirred_ms = now_ms

    def link_ended(self, now_ms):
        """A client has gone."""
        self._link_ended_ms = now_ms

    def touch(self, now_ms):
        self.stir(now_ms)
        super().touch(now_ms)

    def advertised(self, identity, now_ms):
        """The block of 17 bytes: two more lie between battery and address."""
        if self.bolt.state != self._bolt_was:
            self._bolt_was = self.bolt.state
            self.stir(now_ms)
        flags = self.flags(now_ms)
        if now_ms - self._stirred_ms >= _DORMANT_MS:
            flags = flags & ~advert.UNLOCKED | _DORMANT  # whatever the bolt does
        battery_pct = self.battery_pct
        if self._link_ended_ms is not None and _FULL_FROM_MS <= now_ms - self._link_ended_ms < _FULL_TO_MS:
            battery_pct = _FULL_PCT
        usual = advert.encode_manufacturer(identity.address, identity.scene, flags, battery_pct)
        return usual[:5] + b"\x02\x00" + _MADE + usual[-6:]


class RealEngine(Engine):
    """Judges as such a lock."""

    shares = False  # such a lock does not advertise while a client is there, whatever that client shows

    def __init__(self, *args):
        super().__init__(*args)
        self._heard_ms = 0
        self._is_proven = False  # 0x30 answered a challenge on this link, of 0x55 or 0x41
        self._asked = 0  # requests for records since the last one that was refused, or the start

    def connected(self, link, now_ms):
        self._heard_ms = now_ms
        self._is_proven = False
        super().connected(link, now_ms)
        if self.session is not None:
            self.session.vendor_crc = True

    def disconnected(self, link, now_ms):
        if self.session is not None and self.session.link == link:
            self.device.link_ended(now_ms)
        super().disconnected(link, now_ms)

    def receive(self, link, part, now_ms):
        self._heard_ms = now_ms
        return super().receive(link, part, now_ms)

    def drops(self):
        """Also a link on which nothing was asked for 5 s, unless an answer is due."""
        is_waiting = self.ticket is not None or self.device.enrolment.is_active
        return super().drops() or (not is_waiting and self.now_ms - self._heard_ms >= _IDLE_MS)

    def judge(self, raw):
        """Refuse a request whose CRC is not the vendor's, and 0x55 or 0x41 under a header that is not the lock's."""
        error = self._envelope_error(raw)
        command = raw[9]
        session = self.session
        if session is None:
            return
        if error is None:
            if command == opcodes.LOG:
                session.drop_answer()  # FFFF is the same frame each time, and asks for the next record
            super().judge(raw)
            return
        session.record_frame(self.now_ms)
        self.device.log("refused", cmd="%02x" % command, error="%02x" % error)
        self.send(self.key_for(command, self.device.pairing.stage), common.failure(command, error))

    def _envelope_error(self, raw):
        try:
            request = frame.decode(raw)
        except ProtocolError:
            return None
        if request.crc_kind == frame.CRC_STANDARD:
            return _CRC_ERROR
        if request.command not in _CHALLENGED:
            return None
        is_ours = request.protocol == 5 and request.version == 3 and request.scene == self.identity.scene
        return None if is_ours else _WRONG_CREDENTIALS

    def answer(self, handle, wanted):
        """One request for records in a hundred is refused. With FFFF the bookmark moves over the record even so. The
        clock takes any time, also years back, from who has proven a key, and none from others.
        """
        if self.ticket[0] == opcodes.SET_CLOCK and not self.is_pairing:
            if not self._is_proven:
                return common.failure(opcodes.SET_CLOCK, _NO_PERMISSION)
            self.stores.clock.set(wanted, True)
        if self.ticket[0] == opcodes.LOG:
            self._asked += 1
            if self._asked == _PER_REFUSAL:
                self._asked = 0
                if wanted == records.NEXT_UNREAD:
                    self.stores.ring.read(wanted)
                return common.failure(opcodes.LOG, _REFUSED)
        return super().answer(handle, wanted)

    def read_record(self, cursor):
        """A number has no side effect, and one beyond the end may bring the newest record."""
        ring = self.stores.ring
        if cursor == records.NEXT_UNREAD:
            return ring.read(cursor)
        page = ring.read(cursor, False)
        if page is None and len(ring) and cursor > ring.next_number and self._asked % 2:
            page = ring.read(ring.next_number - 1, False)
        return page

    def send(self, key, plain, outer=opcodes.ANSWER):
        is_done = len(plain) > 1 and plain[1] == 1
        if is_done and plain[0] in _MOVING:
            self.device.stir(self.now_ms)
        if is_done and plain[0] == opcodes.CHECK_RANDOM:
            self._is_proven = True
        if is_done and plain[0] == opcodes.GET_AES_KEY:
            outer = opcodes.GET_AES_KEY
        super().send(key, b"" if plain == _GREETED else plain, outer)


class ConstantEngine(RealEngine):
    """0x14, asked for or pushed, says "unlocked", whatever the bolt does."""

    def send(self, key, plain, outer=opcodes.ANSWER):
        if len(plain) > 3 and plain[0] == opcodes.STATUS and plain[1] == 1:
            plain = plain[:3] + b"\x01" + plain[4:]
        super().send(key, plain, outer)


def parts(manners):
    """The classes (of the device, of the engine) of a lock with these `manners`, the word of the setting."""
    return RealDevice, ConstantEngine if manners == "real_constant" else RealEngine
