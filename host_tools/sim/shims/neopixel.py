# MicroPython's `neopixel` for simulated boards: what is written goes to the site, which keeps it for each pin.
from _buses import bitstream


class NeoPixel:
    ORDER = (1, 0, 2, 3)

    def __init__(self, pin, n, bpp=3, timing=1):
        self.pin = pin
        self.n = n
        self.bpp = bpp
        self.buf = bytearray(n * bpp)
        self.timing = timing
        pin.init(pin.OUT)

    def __len__(self):
        return self.n

    def __setitem__(self, at, color):
        for part in range(self.bpp):
            self.buf[at * self.bpp + self.ORDER[part]] = color[part]

    def __getitem__(self, at):
        return tuple(self.buf[at * self.bpp + self.ORDER[part]] for part in range(self.bpp))

    def fill(self, color):
        for at in range(self.n):
            self[at] = color

    def write(self):
        bitstream(self.pin, 0, self.timing, self.buf)
