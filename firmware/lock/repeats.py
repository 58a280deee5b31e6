"""Answers that are given again to the same bytes. Owns which commands that holds for, and for how long.

A client whose CRC check fails sends the identical frame once more, when its challenge is spent and the bolt has moved.
Source: lock-ble-link.md 8.6 (2 s); lock-ble-commands.md 1.4 (changes: as long as nothing else came between).
"""

from firmware.lib import opcodes
from firmware.lib.compat import const
from firmware.lock.ring import NEXT_UNREAD

_HOLDS_MS = const(2000)

_CHANGING = (
    opcodes.GET_AES_KEY,
    opcodes.ADD_ADMIN,
    opcodes.PASSCODE,
    opcodes.CARD,
    opcodes.FINGERPRINT,
    opcodes.CYCLIC,
    opcodes.KEY_FOB,
    opcodes.SET_ADMIN_PASSCODE,
    opcodes.INIT_PASSWORDS,
    opcodes.AUTO_LOCK,
    opcodes.PASSAGE,
    opcodes.REMOTE_UNLOCK,
    opcodes.PASSCODE_DISPLAY,
    opcodes.SOUND,
    opcodes.RESET,
)
_ANSWERING = (opcodes.UNLOCK, opcodes.LOCK, opcodes.CHECK_RANDOM, opcodes.LOG)


class Repeats:
    """The last answer of one connection."""

    def __init__(self):
        self._raw = None
        self._answer = None
        self._until_ms = None

    def answer(self, raw, now_ms):
        """The frame to send again, or None: then `raw` is a new request, and what was kept is forgotten."""
        if raw == self._raw and (self._until_ms is None or now_ms <= self._until_ms):
            return self._answer
        self._raw = self._answer = None
        return None

    def forget(self):
        """What was answered last has come to an end: the same bytes ask for it anew."""
        self._raw = self._answer = None

    def keep(self, command, request, raw, answer, now_ms):
        """`answer` was just given to `raw`."""
        if command in _ANSWERING:
            if command == opcodes.LOG and request != NEXT_UNREAD:
                return
            self._until_ms = now_ms + _HOLDS_MS
        elif command in _CHANGING:
            self._until_ms = None
        else:
            return
        self._raw = raw
        self._answer = answer
