"""What a lock is made of: the owner's settings, what the board gives, and the parts put together on both.

Used by `app` and by tests. Owns the order of a start; behaviour is the parts' own.
"""

from firmware.lib import records
from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lock.bolt import Bolt
from firmware.lock.contacts import Button, Contact, Door, Privacy, Tamper
from firmware.lock.device import LOCKED_OUT, Device
from firmware.lock.engine import Engine, feature_mask
from firmware.lock.feedback import Feedback
from firmware.lock.keypad import Keypad
from firmware.lock.motion import Motion
from firmware.lock.pairing import Ownership
from firmware.lock.reader import Reader
from firmware.lock.stores.stores import Stores

_POWERED_ON = const(14)
_RECENT = const(4)
OWN = "own"  # setting `manners`: ours, not those of another maker's locks

_DOOR_FEATURES = (45, 50, 51)  # state with "unknown", door sensor, alarm of a door left open
_LOW_BATTERY_UNLOCK = const(87)


class Identity:
    """What the lock says about itself, on the link and in advertisements: `address` as bytes in printed order, texts of
    0x90, scene, group and org of every frame sent. Source: lock-ble-link.md 2.5, 2.6, 8.10.
    """

    def __init__(self, address, firmware, model="GATEHOUSE-L1", made="20261124", scene=2, group=1, org=1):
        self.address = address
        self.model = model
        self.hardware = "1.0"
        self.firmware = firmware
        self.made = made
        self.scene = scene
        self.group = group
        self.org = org
        self.maker = "Gatehouse"
        self.prefix = "GH1"


def make_identity(address, firmware, settings):
    """The Identity of a lock with these settings."""
    if settings.manners == OWN:
        return Identity(address, firmware, scene=settings.scene)
    from firmware.lock import manners

    return manners.identity(address, settings.scene)


class Hardware:
    """What the board gives: pins (see `bolt`), button, light, buzzer, RTC in local seconds since 2000, NVS; and the
    contacts, or None: active while door and case are closed and the knob is turned.
    """

    def __init__(
        self, pins, button, light, buzzer, rtc_s, set_rtc, nvs, lost_power, door=None, tamper=None, privacy=None
    ):
        self.pins = pins
        self.button = button
        self.light = light
        self.buzzer = buzzer
        self.rtc_s = rtc_s
        self.set_rtc = set_rtc
        self.nvs = nvs
        self.lost_power = lost_power
        self.door = door
        self.tamper = tamper
        self.privacy = privacy


class Lock:
    """The parts, each given what it needs. `about()` is what the board says of itself, for the diagnosis."""

    def __init__(self, folder, hardware, settings, identity, now_ms=0, log=None, about=None):
        """A lock on the stores below `folder`, which is made where missing."""
        is_clock_lost = hardware.lost_power and not settings.clock_backup
        self.stores = Stores(folder, hardware.nvs, hardware.rtc_s, hardware.set_rtc, now_ms, is_clock_lost)
        if self.stores.is_damaged and log is not None:
            log.error("keys_damaged")
        bolt = Bolt(hardware.pins, settings.travel_ms)
        door = Contact(hardware.door if settings.door_sensor else None)
        feedback = Feedback(hardware.light, hardware.buzzer)
        make_device, make_engine = Device, Engine
        if settings.manners != OWN:
            from firmware.lock import manners

            make_device, make_engine = manners.parts(settings.manners)
        self.device = make_device(self.stores, bolt, door, feedback, settings.pairing_over_air, log, about)
        self.motion = Motion(self.device, settings.record_auto_lock, settings.low_battery_unlock)
        self.ownership = Ownership(self.device, self.motion)
        more: tuple = _DOOR_FEATURES if settings.door_sensor else ()
        if settings.low_battery_unlock:
            more += (_LOW_BATTERY_UNLOCK,)
        self.engine = make_engine(
            self.device,
            self.motion,
            self.ownership,
            identity,
            feature_mask(settings.clock_backup, more),
            settings.crc_default == "vendor",
            settings.strict_empty,
            settings.push,
        )
        self.button = Button(hardware.button, self.device, self.motion, self.ownership, settings.reset_button)
        self.keypad = Keypad(self.device, self.motion, self.button)
        self.reader = Reader(self.device, self.motion)
        self._contacts = (
            Door(self.device),
            Tamper(self.device, hardware.tamper),
            Privacy(self.device, self.motion, hardware.privacy),
        )
        self._start(hardware.lost_power, now_ms)

    def _start(self, has_lost_power, now_ms):
        stores = self.stores
        self.device.options_changed()
        self.motion.start(now_ms)
        if not stores.keys.is_paired:
            return
        if stores.offline.promise:
            from firmware.lock import first_use

            first_use.retry(self.device)
        self.motion.resolve()
        if has_lost_power:
            self.device.record(_POWERED_ON)
        if stores.limits.is_pausing and not _is_lockout_recorded(stores.ring):
            self.device.record(LOCKED_OUT)  # it begins anew, or power was cut before the record (security.md LIM-5)

    def poll(self, now_ms):
        """Drive all that depends on time or on a pin, but for the link."""
        self.motion.poll(now_ms)
        for contact in self._contacts:
            contact.poll(now_ms)
        self.motion.poll_windows(now_ms)
        options = self.stores.options
        self.device.feedback.poll(now_ms, options.volume if options.sound else 0)
        self.button.poll(now_ms)
        self.keypad.poll(now_ms)


def _is_lockout_recorded(ring):
    """True if one of the few newest records says that somebody is locked out."""
    for raw in ring.newest(_RECENT):
        try:
            if records.decode(raw).type == LOCKED_OUT:
                return True
        except ProtocolError:
            pass
    return False
