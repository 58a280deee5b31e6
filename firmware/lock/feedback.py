"""Light and buzzer: what the lock shows and how it sounds. One table of patterns; nothing waits for it.

`light.show(red, green, blue)` takes three booleans, `buzzer.start(hz, volume)` sounds until `buzzer.stop()`
(`firmware.board`). When no pattern runs, the lamp is lit for some time after a touch. The siren is as loud as can be,
whatever the sound is set to.
"""

from firmware.lib.compat import const

_RED = const(1)
_GREEN = const(2)
_BLUE = const(4)
_AMBER = const(3)
_WHITE = const(7)
_LOUDEST = const(5)

# word: steps of (colour, Hz, ms)
_PATTERNS = {
    "touched": ((_BLUE, 2000, 60),),
    "key": ((_BLUE, 2000, 40),),
    "locked": ((_RED, 1500, 150), (_RED, 0, 500)),
    "unlocked": ((_GREEN, 2500, 100), (_GREEN, 0, 80), (_GREEN, 2500, 100), (_GREEN, 0, 800)),
    "enrol": ((_BLUE, 1800, 80), (_BLUE, 0, 80), (_BLUE, 2200, 80), (_BLUE, 0, 9000)),
    "enrolled": ((_GREEN, 2500, 200), (_GREEN, 0, 800)),
    "refused": ((_RED, 600, 150), (0, 0, 80), (_RED, 600, 150), (0, 0, 80), (_RED, 600, 150)),
    "jammed": ((_RED, 400, 300), (0, 0, 150), (_RED, 400, 300), (0, 0, 150), (_RED, 400, 300), (_RED, 0, 1000)),
    "lockout": ((_RED, 800, 1000), (_RED, 0, 2000)),
    "low_battery": ((_AMBER, 1000, 200), (0, 0, 100), (_AMBER, 1000, 200)),
    "paired": ((_GREEN, 1500, 120), (_GREEN, 2000, 120), (_GREEN, 2500, 300)),
    "pairing_undone": ((_AMBER, 1500, 200), (_AMBER, 900, 400)),
    "remote_switch": ((_BLUE, 1800, 150), (0, 0, 80), (_BLUE, 1800, 150)),
    "erased": ((_AMBER, 1200, 200), (_AMBER, 0, 100), (_GREEN, 1200, 300)),
    "double_locked": ((_RED, 1200, 100), (_RED, 0, 60), (_RED, 1200, 100), (_RED, 0, 600)),
    "double_lock_off": ((_GREEN, 1200, 100), (_GREEN, 0, 400)),
    "left_open": ((_AMBER, 1400, 200), (0, 0, 200)) * 3,
    "tamper": ((_RED, 2800, 250), (_RED, 2200, 250)),
    "reset_armed": ((_AMBER, 2200, 600), (_AMBER, 0, 2000)),
    "reset": ((_AMBER, 1200, 200), (_AMBER, 800, 200), (_AMBER, 500, 500)),
}


class Feedback:
    """`word` is what is shown now or was shown last."""

    def __init__(self, light, buzzer):
        self._light = light
        self._buzzer = buzzer
        self._steps: tuple = ()
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
        self._steps = _PATTERNS[word]
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
            volume = _LOUDEST
            if now_ms >= self._siren_until_ms:
                self.calm()
            elif self._at >= len(self._steps) and now_ms >= self._next_ms:
                self.show("tamper", now_ms)
        elif self._at > len(self._steps) and self.colour == "white" and now_ms >= self._lamp_until_ms:
            self._at = len(self._steps)
        if self._at > len(self._steps) or now_ms < self._next_ms:
            return
        colour, hz, ms = _WHITE if now_ms < self._lamp_until_ms else 0, 0, 0
        if self._at < len(self._steps):
            colour, hz, ms = self._steps[self._at]
        self._at += 1
        self._next_ms = now_ms + ms
        self._light.show(bool(colour & _RED), bool(colour & _GREEN), bool(colour & _BLUE))
        if hz and volume:
            self._buzzer.start(hz, volume)
        else:
            self._buzzer.stop()
        self.colour = {0: "off", _RED: "red", _GREEN: "green", _BLUE: "blue", _AMBER: "amber", _WHITE: "white"}[colour]
        self.is_sounding = bool(hz and volume)
