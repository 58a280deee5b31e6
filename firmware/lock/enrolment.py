"""Waiting at the lock for a card, a finger or a fob that a client wants to add: one at a time.

Owns what is waited for, until when, and the frames that tell the client. What is presented is stored by whoever began
it; the frames leave through `engine`, which keeps their distance. Ends when it is done, after 10 s without anything, by
any other request and with its link. Source: lock-ble-commands.md 1.5, 1.6, 4.2, 5.
"""

from firmware.lib.compat import const
from firmware.lib.errors import FirmwareError
from firmware.lib.messages import common

_MAX_WAIT_MS = const(10000)
_TIMED_OUT = const(0x13)


class Enrolment:
    """`kind` is what is waited for ("card", "finger", "fob"), or None."""

    def __init__(self, feedback):
        self._feedback = feedback
        self._command = 0
        self._store = None
        self._limit_ms = _MAX_WAIT_MS
        self._until_ms = 0
        self._frames = []
        self.kind = None

    @property
    def is_active(self):
        """True while something is waited for, or a frame is still to be sent."""
        return self.kind is not None or bool(self._frames)

    def begin(self, command, kind, store, now_ms, limit_ms=_MAX_WAIT_MS):
        """Wait for something of `kind`. `store(key)` keeps it, durably, and returns (plain of the frame, is done).

        `command` names the request in the frame that says that nothing came; `limit_ms` counts from the last thing that
        was presented.
        """
        self.cancel()
        self._command = command
        self.kind = kind
        self._store = store
        self._limit_ms = limit_ms
        self._until_ms = now_ms + limit_ms
        self._feedback.show("enrol", now_ms)

    def offer(self, kind, key, now_ms):
        """Something was presented: True if this is what is waited for, and it is no attempt to open then.

        A bad press (`store` gives None for its frame) is not told to the client, and does not extend the time.
        """
        if kind != self.kind:
            return False
        try:
            plain, is_done = self._store(key)
        except (FirmwareError, OSError):  # such as a flash that is full
            plain, is_done = common.failure(self._command, _TIMED_OUT), True
        if plain is None:
            self._feedback.show("refused", now_ms)
            return True
        self._frames.append(plain)
        self._until_ms = now_ms + self._limit_ms
        self._feedback.show("refused" if plain[1] == 0 else "enrolled" if is_done else "enrol", now_ms)
        if is_done:
            self._end()
        return True

    def _end(self):
        self.kind = None
        self._store = None

    def cancel(self):
        """Wait no more, and say nothing more."""
        self._end()
        self._frames = []

    def poll(self, now_ms):
        """End the wait when its time is over."""
        if self.kind is not None and now_ms >= self._until_ms:
            self._end()
            self._frames.append(common.failure(self._command, _TIMED_OUT))
            self._feedback.show("refused", now_ms)

    def next_frame(self):
        """The next plain text that is to be sent, or None."""
        return self._frames.pop(0) if self._frames else None
