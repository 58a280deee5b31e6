"""The board: pins, light, buzzer, watchdog, clock, identity, NVS. Only this module (with boot.py and main.py) imports
machine and esp32. Owns no policy: who lights what, and when the watchdog is fed, is decided elsewhere."""

import gc
import time

import esp32
import machine

from firmware.lib import dates
from firmware.lib.compat import const

_NVS_MAX = const(512)
_NVS_SUBTYPE = const(2)
_NVS_PAGE = const(4096)
_NVS_ENTRY = const(32)
_NVS_BLOB = const(0x42)
_PWM_DUTY = (0, 1000, 3000, 8000, 16000, 32768)  # by volume; half of the time is as loud as it gets


def unique_id():
    """The base MAC address, six bytes."""
    return bytes(machine.unique_id())


def bluetooth_address():
    """The Bluetooth address that ESP-IDF derives: base MAC + 2 in the last octet."""
    base = unique_id()
    return base[:5] + bytes(((base[5] + 2) & 0xFF,))


def reset():
    """Start over as after the reset button."""
    machine.reset()


def soft_reset():
    """Start the interpreter over."""
    machine.soft_reset()


def reset_cause():
    """Why the board started: power_on, hard, watchdog, deep_sleep, soft, or unknown."""
    cause = machine.reset_cause()
    for name, word in (
        ("PWRON_RESET", "power_on"),
        ("HARD_RESET", "hard"),
        ("WDT_RESET", "watchdog"),
        ("DEEPSLEEP_RESET", "deep_sleep"),
        ("SOFT_RESET", "soft"),
    ):
        if getattr(machine, name, None) == cause:
            return word
    return "unknown"


def rtc_memory():
    """Up to 2048 bytes that outlive resets but not a loss of power; empty on a port without."""
    try:
        return machine.RTC().memory()
    except AttributeError:
        return b""


def set_rtc_memory(octets):
    """Keep `octets` for after a reset."""
    try:
        machine.RTC().memory(octets)
    except AttributeError:
        pass


def free_heap():
    """Bytes free on the Python heap."""
    return gc.mem_free()


def unix_now():
    """Unix seconds of the board's clock, whichever epoch the port counts from."""
    now = time.time()
    return int(now) + (dates.UNIX_2000 if time.gmtime(0)[0] == 2000 else 0)


def set_rtc(unix_s):
    """Set the board's clock."""
    year, month, day, hour, minute, second, weekday, _ = time.gmtime(
        unix_s - (dates.UNIX_2000 if time.gmtime(0)[0] == 2000 else 0)
    )
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))


def nvs_get(namespace, key):
    """The blob stored under `key` (at most 15 characters), or None."""
    buf = bytearray(_NVS_MAX)
    try:
        size = esp32.NVS(namespace).get_blob(key, buf)
    except OSError:
        return None
    return bytes(buf[:size])


def nvs_set(namespace, key, octets):
    """Store a blob of at most 512 bytes; durable when this returns."""
    if len(octets) > _NVS_MAX:
        raise ValueError("blob of %d bytes" % len(octets))
    store = esp32.NVS(namespace)
    store.set_blob(key, octets)
    store.commit()


def nvs_erase(namespace, key):
    """Remove a key; nothing happens when it is not there."""
    store = esp32.NVS(namespace)
    try:
        store.erase_key(key)
    except OSError:
        return
    store.commit()


def nvs_scrub(key):
    """Overwrite with zeros the blobs that NVS has erased under `key`: ESP-IDF only marks them, and their bytes stay
    until their page is needed. Layout: ESP-IDF, "NVS Storage Library", structure of a page and of an entry. Encrypted
    partitions show no keys, so nothing happens there. Blobs still in use under that key in any namespace go, too.
    """
    header = bytearray(_NVS_ENTRY)
    wanted = key.encode() + bytes(16 - len(key))
    for partition in esp32.Partition.find(esp32.Partition.TYPE_DATA, _NVS_SUBTYPE):
        for block in range(partition.ioctl(4, 0)):
            for at in range(2 * _NVS_ENTRY, _NVS_PAGE, _NVS_ENTRY):
                partition.readblocks(block, header, at)
                size = _NVS_ENTRY * (header[2] - 1)  # of the entries behind the first one of the blob
                if header[1] == _NVS_BLOB and header[8:24] == wanted and 0 < size <= _NVS_PAGE - at - _NVS_ENTRY:
                    partition.writeblocks(block, bytes(size), at + _NVS_ENTRY)


class Nvs:
    """These functions as an object, for who is given a key store."""

    def get(self, space, key):
        return nvs_get(space, key)

    def set(self, space, key, octets):
        nvs_set(space, key, octets)

    def erase(self, space, key):
        nvs_erase(space, key)

    def scrub(self, key):
        nvs_scrub(key)


class Watchdog:
    """Resets the board unless fed at least every `timeout_ms`. On an ESP32 it cannot be stopped again, but making one
    anew changes its time (ESP-IDF reconfigures its one task watchdog). Boards without one get none: `is_there`."""

    def __init__(self, timeout_ms):
        self._wdt = None
        try:
            self._wdt = machine.WDT(timeout=timeout_ms)
        except (AttributeError, OSError):
            pass

    @property
    def is_there(self):
        return self._wdt is not None

    def feed(self):
        if self._wdt:
            self._wdt.feed()


class Output:
    """A pin that is driven; `is_inverted` for a load that is on while the pin is low."""

    def __init__(self, number, is_inverted=False):
        self._is_inverted = is_inverted
        self._pin = machine.Pin(number, machine.Pin.OUT, value=1 if is_inverted else 0)

    def set(self, is_on):
        self._pin.value(1 if bool(is_on) != self._is_inverted else 0)


class Input:
    """A contact between the pin and ground (button, door, bolt end); closed reads as active."""

    def __init__(self, number):
        self._pin = machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_UP)

    def is_active(self):
        return not self._pin.value()


class Gauge:
    """An analogue input, such as a battery behind a divider."""

    def __init__(self, number):
        self._adc = machine.ADC(machine.Pin(number))

    def level_pct(self):
        """The voltage as 0 to 100 per cent of the range."""
        return self._adc.read_u16() * 100 // 65535


class Light:
    """One lamp, or three for red, green and blue; `pins` holds their numbers and may be empty."""

    def __init__(self, pins, is_inverted=False):
        self._lamps = [Output(number, is_inverted) for number in pins]

    def show(self, red=False, green=False, blue=False):
        """A single lamp is on for any colour."""
        if len(self._lamps) == 3:
            for lamp, is_on in zip(self._lamps, (red, green, blue)):
                lamp.set(is_on)
        else:
            for lamp in self._lamps:
                lamp.set(red or green or blue)

    def off(self):
        self.show()


class Buzzer:
    """A passive buzzer; `pin` None is a board without one."""

    def __init__(self, pin):
        self._pwm = None if pin is None else machine.PWM(machine.Pin(pin), freq=2000, duty_u16=0)

    def start(self, frequency_hz, volume=5):
        """Sound at `volume` 1 to 5."""
        if self._pwm:
            self._pwm.freq(frequency_hz)
            self._pwm.duty_u16(_PWM_DUTY[volume])

    def stop(self):
        if self._pwm:
            self._pwm.duty_u16(0)


class Motor:
    """A bolt motor on an H-bridge with two inputs."""

    def __init__(self, pin_out, pin_in):
        self._out = Output(pin_out)
        self._in = Output(pin_in)

    def drive(self, direction):
        """1 throws the bolt, -1 draws it, 0 stops; both inputs are never on together."""
        self._out.set(False)
        self._in.set(False)
        if direction > 0:
            self._out.set(True)
        elif direction < 0:
            self._in.set(True)
