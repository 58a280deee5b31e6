"""What a client wrote and nobody has judged yet: a part of a frame, and a few whole ones. Owns their bounds.

Source: security.md PAR-1 (one frame of memory, a part is forgotten after 2 s), SES-2 (no frame waits unanswered).
"""

from firmware.lib.compat import const
from firmware.lib.frame import Reassembler

_DEPTH = const(4)  # a client has one request under way; more of them wait only while the bolt moves


class Intake:
    """`is_overrun`: more frames came than can wait; they are lost, and the link should end."""

    def __init__(self):
        self._reassembler = Reassembler()
        self._frames = []
        self.is_overrun = False

    def clear(self):
        """A link began or ended."""
        self._reassembler.reset()
        self._frames = []
        self.is_overrun = False

    def feed(self, part, now_ms):
        """Take a chunk; how many things in it were no frames."""
        parts = self._reassembler
        damaged = parts.damaged
        found = parts.feed(part, now_ms)
        room = _DEPTH - len(self._frames)
        self._frames.extend(found[:room])
        self.is_overrun = self.is_overrun or len(found) > room
        return parts.damaged - damaged

    def expire(self, now_ms):
        """Forget a part of a frame that is too old."""
        self._reassembler.expire(now_ms)

    def take(self):
        """The next whole frame, or None."""
        return self._frames.pop(0) if self._frames else None
