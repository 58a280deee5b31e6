"""What the gateway's light says (domain.md 6.1). Owns the patterns; the lamps are the board's."""

STEP_MS = 125

UNPROVISIONED = "unprovisioned"
JOINING = "joining"
NO_BROKER = "no_broker"
ONLINE = "online"
BUSY = "busy"
FAULT = "fault"

_OFF = (False, False, False)
_RED = (True, False, False)
_BLUE = (False, False, True)
_PATTERNS = {  # one colour per step of an eighth of a second
    UNPROVISIONED: (_RED, _RED, _RED, _RED, _BLUE, _BLUE, _BLUE, _BLUE),
    JOINING: (_RED, _RED, _OFF, _OFF),
    NO_BROKER: (_BLUE, _BLUE, _OFF, _OFF),
    ONLINE: (_BLUE,),
    BUSY: (_BLUE, _OFF),
    FAULT: (_RED,),
}


def colour(state, step):
    """(red, green, blue) to show in step number `step` of a state."""
    pattern = _PATTERNS[state]
    return pattern[step % len(pattern)]


class Light:
    """`lamp` has `show(red, green, blue)`; `state()` returns one of the words above."""

    def __init__(self, lamp, state):
        self._lamp = lamp
        self._state = state
        self._step = 0
        self._shown = None

    def step(self):
        """Show the state, every STEP_MS; the pins are touched only when the colour changes."""
        wanted = colour(self._state(), self._step)
        if wanted != self._shown:
            self._lamp.show(*wanted)
            self._shown = wanted
        self._step += 1
