"""Light and buzzer: what the lock shows and how it sounds. One table of patterns; nothing waits for it.

`light.show(red, green, blue)` takes three booleans, `buzzer.start(hz, volume)` sounds until `buzzer.stop()`
(`firmware.board`). When no pattern runs, the lamp is lit for some time after a touch. The siren is as loud as can be,
whatever the sound is set to.
"""

from firmware.lib.compat import const, row

_MAX_VOLUME = const(5)

# Letter of a pattern's step and of the light: its red, green and blue, and its name
_COLOURS = {
    "-": (False, False, False, "off"),
    "r": (True, False, False, "red"),
    "g": (False, True, False, "green"),
    "b": (False, False, True, "blue"),
    "a": (True, True, False, "amber"),
    "w": (True, True, True, "white"),
}

# A line for each word: its steps, of colour, Hz / ms
_PATTERNS = """
touched b2000/60
key b2000/40
locked r1500/150 r0/500
unlocked g2500/100 g0/80 g2500/100 g0/800
enrol b1800/80 b0/80 b2200/80 b0/9000
enrolled g2500/200 g0/800
refused r600/150 -0/80 r600/150 -0/80 r600/150
jammed r400/300 -0/150 r400/300 -0/150 r400/300 r0/1000
lockout r800/1000 r0/2000
low_battery a1000/200 -0/100 a1000/200
paired g1500/120 g2000/120 g2500/300
pairing_undone a1500/200 a900/400
remote_switch b1800/150 -0/80 b1800/150
erased a1200/200 a0/100 g1200/300
double_locked r1200/100 r0/60 r1200/100 r0/600
double_lock_off g1200/100 g0/400
left_open a1400/200 -0/200 a1400/200 -0/200 a1400/200 -0/200
tamper r2800/250 r2200/250
reset_armed a2200/600 a0/2000
reset a1200/200 a800/200 a500/500
"""


class Feedback:
    """`word` is what is shown now or was shown last."""

    def __init__(self, light, buzzer):
        self._light = light
        self._buzzer = buzzer
        self._steps: list = []
        self._at = 0
        self._next_ms = 0
        self.word = "off"
        self.colour = "off"
        self.is_sounding = False
        self._siren_until_ms = None
        self._lamp_until_ms = 0

    def show(self, word, now_ms):
        """Begin pattern `word` in place of what is running."""
        self.word = word
        self._steps = row(_PATTERNS, word).split(" ")
        self._at = 0
        self._next_ms = now_ms

    @property
    def is_alarming(self):
        """True while the siren is on."""
        return self._siren_until_ms is not None

    def alarm(self, now_ms, ms):
        """Switch the siren on for so long."""
        self._siren_until_ms = now_ms + ms
        self.show("tamper", now_ms)

    def calm(self):
        """Switch the siren off."""
        self._siren_until_ms = None

    def touched(self, now_ms, lamp_s):
        """Somebody is there: the lamp is to be lit for `lamp_s` seconds."""
        self._lamp_until_ms = now_ms + 1000 * lamp_s
        if self._at > len(self._steps):
            self._at = len(self._steps)
            self._next_ms = now_ms

    def poll(self, now_ms, volume):
        """Take the next step when it is due; `volume` 1 to 5, 0 for silence."""
        if self.is_alarming:
            volume = _MAX_VOLUME
            if now_ms >= self._siren_until_ms:
                self.calm()
            elif self._at >= len(self._steps) and now_ms >= self._next_ms:
                self.show("tamper", now_ms)
        elif self._at > len(self._steps) and self.colour == "white" and now_ms >= self._lamp_until_ms:
            self._at = len(self._steps)
        if self._at > len(self._steps) or now_ms < self._next_ms:
            return
        step = "w0/0" if now_ms < self._lamp_until_ms else "-0/0"
        if self._at < len(self._steps):
            step = self._steps[self._at]
        hz, ms = [int(part) for part in step[1:].split("/")]
        self._at += 1
        self._next_ms = now_ms + ms
        red, green, blue, self.colour = _COLOURS[step[0]]
        self._light.show(red, green, blue)
        if hz and volume:
            self._buzzer.start(hz, volume)
        else:
            self._buzzer.stop()
        self.is_sounding = bool(hz and volume)
