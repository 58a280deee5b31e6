"""A lock on a scratch folder with simulated pins and RTC, and a client that speaks to it through the library."""

import os

from firmware.lib import crypto, frame, opcodes
from firmware.lib.frame import Reassembler
from firmware.lib.messages import common
from firmware.lib.messages import pairing_client as pairing
from firmware.lib.messages import session_client as session
from firmware.lock.build import Hardware, Identity, Lock
from firmware.lock.settings import TABLE
from tests.unit.fake_nvs import Nvs

ADDRESS = b"\xaa\xbb\xcc\x11\x22\x33"
START_S = 832000000  # a day in May 2026
ADMIN_PS = 13579246
UNLOCK_KEY = 24681357


class Refused(Exception):
    """The lock answered a failure; `error` is its byte."""

    def __init__(self, error):
        super().__init__("error %02x" % error)
        self.error = error


def erase(path):
    """Delete a folder and what it holds."""
    try:
        names = os.listdir(path)
    except OSError:
        try:
            os.remove(path)
        except OSError:
            pass
        return
    for name in names:
        erase(path + "/" + name)
    os.rmdir(path)


class Pin:
    """An input; `active` is its state."""

    def __init__(self):
        self.active = False

    def is_active(self):
        return self.active


class Motor:
    """Remembers which way it is driven."""

    def __init__(self):
        self.direction = 0

    def drive(self, direction):
        self.direction = direction


class Pins:
    """Motor and switches; `step` moves the bolt that the motor drives, unless `is_jammed`."""

    def __init__(self):
        self.motor = Motor()
        self.switch_locked = Pin()
        self.switch_unlocked = Pin()
        self.switch_locked.active = True
        self.is_jammed = False
        self.movements = 0

    def step(self):
        if self.is_jammed:
            return
        for direction, there, away in (
            (1, self.switch_locked, self.switch_unlocked),
            (-1, self.switch_unlocked, self.switch_locked),
        ):
            if self.motor.direction == direction and not there.active:
                away.active = False
                there.active = True
                self.movements += 1


class Output:
    """Light and buzzer."""

    def show(self, red, green, blue):
        self.colour = (red, green, blue)

    def start(self, frequency_hz, volume=5):
        self.hz = frequency_hz
        self.volume = volume

    def stop(self):
        self.hz = 0


class Rig:
    """`client` methods raise Refused for failures and return the data of a success."""

    header = ()  # scene, group, org of the client's frames, where not the defaults
    door = case = knob = None  # contacts: active while door and case are closed, and while the knob is turned

    def __init__(self, folder, **settings):
        erase(folder)
        self.folder = folder
        self.now_ms = 1000
        self.rtc = START_S
        self.pins = Pins()
        self.button = Pin()
        self.door = Pin()
        self.case = Pin()
        self.knob = Pin()
        self.door.active = self.case.active = True
        self.nvs = Nvs()
        self.settings = settings
        self.pushes = []
        self.link = (0, 0)
        self.start(False)

    def start(self, lost_power=True):
        """Start the firmware on what is stored."""
        output = self.output = Output()
        self.pins.motor.drive(0)  # no power, no motor
        inputs = self.door, self.case, self.knob
        hardware = Hardware(
            self.pins, self.button, output, output, lambda: self.rtc, self._set_rtc, self.nvs, lost_power, *inputs
        )
        identity = Identity(ADDRESS, "0.1.0")
        self.lock = Lock(self.folder, hardware, TABLE.check(self.settings), identity, self.now_ms)
        self.device = self.lock.device
        self.engine = self.lock.engine
        self.key = crypto.DEFAULT_KEY
        if self.device.stores.keys.is_paired:
            self.key = self.device.stores.keys.aes

    def _set_rtc(self, seconds):
        self.rtc = seconds

    def wait(self, ms, step=20):
        """Let time pass; pushes are collected."""
        until = self.now_ms + ms
        sent = []
        while self.now_ms < until:
            self.now_ms += step
            if self.now_ms // 1000 != (self.now_ms - step) // 1000:
                self.rtc += 1
            self.lock.poll(self.now_ms)
            self.pins.step()
            if self.engine.session is not None:
                sent.extend(self.engine.poll(self.now_ms))
        return sent

    def connect(self):
        """A client connects; the stack gives every link the same handle, as it does."""
        self.link = (0, self.link[1] + 1)
        self.engine.connected(self.link, self.now_ms)

    def disconnect(self):
        self.engine.disconnected(self.link, self.now_ms)

    def type(self, keys):
        for key in keys:
            self.lock.keypad.press(key, self.now_ms)
            self.wait(40)

    def send(self, part):
        """Write bytes as they are; the frames the lock sends at once."""
        return self.engine.receive(self.link, part, self.now_ms)

    def raw(self, raw):
        """Send bytes as a client does; returns the frames the lock sends within the next second."""
        sent = []
        for part in frame.chunks(raw):
            sent.extend(self.send(bytes(part)))
        waited = 0
        while not sent and waited < 1000:
            sent = self.wait(20)
            waited += 20
        return sent

    def plain(self, command, plain=b"", key=None, empty=False):
        """Send a request; the decrypted answer, b"" for an empty payload, or None for silence."""
        key = key or self.key
        payload = b"" if empty else crypto.encrypt(key, plain)
        sent = self.raw(frame.encode(command, payload, *self.header))
        if not sent:
            return None
        parts = Reassembler()
        found = []
        for part in frame.chunks(sent[0], shaped=True):
            found.extend(parts.feed(bytes(part)))
        answer = frame.decode(found[0])
        assert answer.command in (opcodes.ANSWER, command)
        return crypto.decrypt(key, answer.payload) if answer.payload else b""

    def ask(self, command, plain=b"", key=None, empty=False):
        """The data of a success; raises Refused."""
        answer = self.plain(command, plain, key, empty)
        assert answer is not None, "silence to %02x" % command
        if answer == b"" and command == opcodes.INIT:  # of a lock with other manners
            return answer
        echo, ok, data = common.reply(answer)
        assert echo == command
        if not ok:
            raise Refused(data[0])
        return data

    # What a client does

    def pair(self, finish=True):
        """Touch, connect and pair; the link stays up."""
        self.lock.keypad.touch(self.now_ms)
        self.connect()
        self.ask(opcodes.INIT, pairing.init(), empty=True)
        self.key = pairing.aes_key(self.ask(opcodes.GET_AES_KEY, pairing.get_aes_key()))
        pairing.admin_added(self.ask(opcodes.ADD_ADMIN, pairing.add_admin(ADMIN_PS, UNLOCK_KEY)))
        self.ask(opcodes.SET_CLOCK, session.set_clock((2026, 5, 11, 14, 23, 7)))
        if finish:
            self.ask(opcodes.PAIRING_DONE, pairing.finished())

    def paired(self):
        """Pair, and drop the link."""
        self.pair()
        self.disconnect()
        return self

    def log_in(self):
        challenge = session.challenge(self.ask(opcodes.CHECK_ADMIN, session.check_admin(ADMIN_PS)))
        self.ask(opcodes.CHECK_RANDOM, session.check_random(challenge, UNLOCK_KEY))

    def reach(self, level):
        """A fresh link at a level of security.md 3.2, whatever the lock was before; the open challenge, or None.

        On a paired lock "S0", "S1", "user" and "admin" (whose challenge is open), "S3"; on one that is nobody's
        "factory", "open" (its window), "keyed", "P".
        """
        self.disconnect()
        wants_paired = level in ("S0", "S1", "user", "admin", "S3")
        if self.device.stores.keys.is_paired != wants_paired:
            self._make(wants_paired)
        self._wait_for_guards()
        if level in ("open", "keyed", "P"):
            self.now_ms += 120000  # the window of before is closed
            self.lock.keypad.touch(self.now_ms)
        self.connect()
        if level in ("keyed", "P"):
            self.key = pairing.aes_key(self.ask(opcodes.GET_AES_KEY, pairing.get_aes_key(), crypto.DEFAULT_KEY))
        if level == "P":
            pairing.admin_added(self.ask(opcodes.ADD_ADMIN, pairing.add_admin(ADMIN_PS, UNLOCK_KEY)))
        if level == "S1":
            self.ask(opcodes.STATUS, session.status_request())
        if level == "S3":
            self.log_in()
        if level == "user":
            return session.challenge(self.ask(opcodes.CHECK_USER, session.check_user()))
        if level == "admin":
            return session.challenge(self.ask(opcodes.CHECK_ADMIN, session.check_admin(ADMIN_PS)))
        return None

    def _make(self, paired):
        if paired:
            self.key = crypto.DEFAULT_KEY
            self.now_ms += 120000
            self.paired()
        else:
            self.reset()

    def reset(self):
        """Both phases of a reset, one after the other."""
        self.lock.ownership.promise_reset()
        self.lock.ownership.reset(self.now_ms)
        self.key = crypto.DEFAULT_KEY

    def _wait_for_guards(self):
        """Let the pauses pass that wrong answers of before have earned."""
        limits = self.device.stores.limits
        self.now_ms += max(guard.wait_ms(self.now_ms) for guard in (limits.user, limits.admin))

    def operate(self, command, uid=0, unlock_key=UNLOCK_KEY, unix_s=1778509387):
        challenge = session.challenge(self.ask(opcodes.CHECK_USER, session.check_user(uid=uid)))
        return session.operated(self.ask(command, session.operate(challenge, unlock_key, unix_s)))
