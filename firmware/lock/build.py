"""Puts a lock together from its stores and the board's parts. Used by `app` and by tests; owns no behaviour.

Order matters once: a wipe that a power cut interrupted is finished before anything is read (security.md RST-2).
"""

from firmware.lib import dates, records
from firmware.lib.errors import ProtocolError
from firmware.lock import settings as lock_settings
from firmware.lock.bolt import Bolt
from firmware.lock.clock import Clock
from firmware.lock.credentials.cards import Cards
from firmware.lock.credentials.ekeys import Ekeys
from firmware.lock.credentials.fingerprints import Fingerprints
from firmware.lock.credentials.fobs import Fobs
from firmware.lock.credentials.keys import KEYS, Keys, classes
from firmware.lock.credentials.offline import Offline
from firmware.lock.credentials.passcodes import Passcodes
from firmware.lock.device import LOCKED_OUT, Device
from firmware.lock.door import Door
from firmware.lock.engine import Engine
from firmware.lock.feedback import Feedback
from firmware.lock.intent import Intent
from firmware.lock.limits import Limits
from firmware.lock.naming import Name
from firmware.lock.pairing import Pairing
from firmware.lock.panel.button import Button
from firmware.lock.panel.fob import FobRadio
from firmware.lock.panel.keypad import Keypad
from firmware.lock.panel.reader import Reader, of_cards, of_fingers
from firmware.lock.passage import Passage
from firmware.lock.privacy import Privacy
from firmware.lock.ring import Ring
from firmware.lock.tamper import Tamper
from firmware.system import store
from firmware.system.cell import Cell
from firmware.system.journal import Journal
from firmware.system.vault import Vault

_POWERED_ON = 14
_RECENT = 4
_DOOR_FEATURES = (45, 50, 51)  # state with "unknown", door sensor, alarm of a door left open


class Hardware:
    """What the board gives: pins (see `bolt`), button, light, buzzer, RTC in local seconds since 2000, NVS."""

    door = tamper = privacy = None  # contacts, active while door and case are closed and the knob is turned

    def __init__(self, pins, button, light, buzzer, rtc_s, set_rtc, nvs, lost_power):
        self.pins = pins
        self.button = button
        self.light = light
        self.buzzer = buzzer
        self.rtc_s = rtc_s
        self.set_rtc = set_rtc
        self.nvs = nvs
        self.lost_power = lost_power


class Lock:
    """The parts that the composition root drives."""

    def __init__(self, device, engine, keypad, button, reader, fob_radio):
        self.device = device
        self.engine = engine
        self.keypad = keypad
        self.button = button
        self.reader = reader
        self.fob_radio = fob_radio


def _newest_s(ring):
    raw = ring.latest()
    if raw is None:
        return 0
    try:
        record = records.decode(raw)
        return 0 if record.date is None else dates.to_seconds(record.date)
    except ProtocolError:
        return 0


def build(folder, hardware, settings, identity, now_ms=0, log=None):
    """A Lock on the stores below `folder`, which is made where missing."""
    for name in ("ring", "state"):
        store.make_folder("%s/%s" % (folder, name))
    vault = Vault(folder + "/vault", hardware.nvs)
    ring = Ring(Journal(folder + "/ring", 50, 11, 0), Cell(folder + "/state/cursor"), vault)
    intent = Intent(Cell(folder + "/state/intent"), ring, vault)
    keys = Keys(vault)
    is_damaged = not vault.is_wiping and vault.is_damaged(KEYS)  # then nobody may pair it but by way of its button
    if is_damaged and log is not None:
        log.error("keys_damaged")
    if vault.is_wiping:
        vault.wipe(classes(), ring.erase)
        intent.forget()
        keys.reload()
    elif not (keys.is_paired or is_damaged):  # a pairing may have been cut before its last store
        for name in sorted(set(classes()) | set(vault.names())):
            vault.remove(name)
    clock_path = folder + "/clock.json"
    clock = Clock(
        hardware.rtc_s,
        hardware.set_rtc,
        lambda kept: _save_clock(clock_path, kept),
        store.load(clock_path),
        hardware.lost_power and not settings.clock_backup,
        _newest_s(ring),
    )
    if not keys.is_paired:  # set by a client whose pairing was cut
        clock.distrust()
    feedback = Feedback(hardware.light, hardware.buzzer)
    options = lock_settings.Options(vault)
    passcodes = Passcodes(vault)
    offline = Offline(vault)
    ekeys = Ekeys(vault)
    cards = Cards(vault)
    fingerprints = Fingerprints(vault)
    fobs = Fobs(vault)
    limits = Limits(Cell(folder + "/state/limits"), now_ms, Cell(folder + "/state/ekeys"))
    passage = Passage(vault)
    parts = {}

    def paired():
        parts["engine"].device.pairing_ended(True)
        feedback.show("paired", parts["engine"].now_ms)
        parts["engine"].note("paired")

    def undone():
        options.reload()
        passage.reload()
        passcodes.reload()
        offline.reload()
        ekeys.reload()
        parts["engine"].device.name.reload()
        cards.reload()
        fingerprints.reload()
        fobs.reload()
        parts["engine"].device.options_changed()
        clock.distrust()
        parts["engine"].device.pairing_ended(False)
        feedback.show("pairing_undone", parts["engine"].now_ms)
        parts["engine"].note("pairing_undone")

    pairing = Pairing(keys, vault, settings.pairing_over_air, paired, undone)
    pairing.is_blocked = is_damaged
    bolt = Bolt(hardware.pins, settings.travel_ms)
    device = Device(
        vault,
        keys,
        options,
        passcodes,
        offline,
        ekeys,
        cards,
        fingerprints,
        fobs,
        ring,
        intent,
        clock,
        bolt,
        limits,
        feedback,
        pairing,
        passage,
        settings.record_auto_lock,
    )
    vendor_crc = settings.crc_default == "vendor"
    device.name = Name(vault)
    engine = Engine(device, identity, log, vendor_crc, settings.strict_empty, settings.push, settings.clock_backup)
    parts["engine"] = engine
    if settings.door_sensor:
        engine.add_features(_DOOR_FEATURES)
        device.door = Door(device, hardware.door)
    device.tamper = Tamper(device, hardware.tamper)
    device.privacy = Privacy(device, hardware.privacy)
    device.options_changed()
    device.started(now_ms)
    button = Button(hardware.button, device, settings.reset_button)
    if keys.is_paired:
        if offline.promise:
            from firmware.lock import first_use

            first_use.retry(device)
        device.resolve()
        if hardware.lost_power:
            device.record(_POWERED_ON)
        if limits.is_pausing and not _tells_lockout(ring):
            device.record(LOCKED_OUT)  # it begins anew, or power was cut before it could be recorded (LIM-5)
    reader = Reader(device, {"card": of_cards(device), "finger": of_fingers(device)})
    return Lock(device, engine, Keypad(device, button), button, reader, FobRadio(device))


def _save_clock(path, kept):
    try:
        store.save(path, kept, twin=True)
    except OSError:  # the flash is full: the door must work, and a start without the file distrusts the clock
        store.remove(path)


def _tells_lockout(ring):
    """True if one of the few newest records says that somebody is locked out."""
    for raw in ring.newest(_RECENT):
        try:
            if records.decode(raw).type == LOCKED_OUT:
                return True
        except ProtocolError:
            pass
    return False
