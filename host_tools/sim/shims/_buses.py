# Buses and converters for the `machine` shim, with nothing connected to them: a transfer meets no device and raises
# what the port raises then, a line that nobody drives reads as it idles.
import _board
from _pin import Pin

_ENODEV = 19


class SoftI2C:
    def __init__(self, *args, freq=400000, timeout=50000, **pins):
        pass

    def init(self, *args, **settings):
        pass

    def deinit(self):
        pass

    def scan(self):
        return []

    def start(self):
        pass

    def stop(self):
        pass

    def write(self, octets):
        return 0  # acknowledged by nobody

    def _nobody(self, *args, **more):
        raise OSError(_ENODEV)

    readfrom = readfrom_into = writeto = writevto = _nobody
    readfrom_mem = readfrom_mem_into = writeto_mem = _nobody


class I2C(SoftI2C):
    def __init__(self, id=0, *args, **settings):
        if id not in (0, 1):
            raise ValueError("I2C(%s) doesn't exist" % id)


class SoftSPI:
    MSB = 0
    LSB = 1

    def __init__(self, *args, **settings):
        pass

    def init(self, *args, **settings):
        pass

    def deinit(self):
        pass

    def write(self, octets):
        pass

    def read(self, count, write=0):
        return b"\xff" * count  # MISO is pulled up

    def readinto(self, buf, write=0):
        for at in range(len(buf)):
            buf[at] = 0xFF

    def write_readinto(self, octets, buf):
        self.readinto(buf)


class SPI(SoftSPI):
    def __init__(self, id=1, *args, **settings):
        if id not in (1, 2):
            raise ValueError("SPI(%s) doesn't exist" % id)


class UART:
    INV_RX = 4
    INV_TX = 32
    RTS = 1
    CTS = 2

    def __init__(self, id, *args, **settings):
        if id not in (0, 1, 2):
            raise ValueError("UART(%s) doesn't exist" % id)

    def init(self, *args, **settings):
        pass

    def deinit(self):
        pass

    def any(self):
        return 0

    def read(self, count=-1):
        return None

    def readinto(self, buf, count=-1):
        return None

    def readline(self):
        return None

    def write(self, octets):
        return len(octets)

    def flush(self):
        pass

    def txdone(self):
        return True

    def sendbreak(self):
        pass


class DAC:
    def __init__(self, pin):
        self._id = pin._id if isinstance(pin, Pin) else pin
        if self._id not in (25, 26):
            raise ValueError("invalid Pin(%s) for DAC" % self._id)

    def write(self, value):
        if not 0 <= value <= 255:
            raise ValueError("value out of range")
        _board.post("dac", self._id, value)


def bitstream(pin, encoding, timing, octets):
    if encoding:
        raise ValueError("encoding")
    _board.post("bits", pin._id, bytes(octets).hex())
