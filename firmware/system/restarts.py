"""Why this board started, and how often each failure has happened. Owns a record in RTC memory, which survives a reset
but not a loss of power; it lies behind the four bytes that boot.py and main.py keep there.

Layout: mark "GH2"; starts in a row that did not last a minute (main.py adds one, `healthy` clears them, boot.py
and main.py judge them); index of the word that says why the board is about to be reset, and 12 bytes that say what
about it (padded with zeros); one 16-bit count per word of WORDS, big-endian.

Owns also the word in /slot, which boot.py reads: `a` or `b`, the slot to start; `b??` is b on trial. boot.py turns that
into `b?` and starts b once; unless the application has by then written `b`, the next start, whatever led to it, writes
`a` and runs what ran before. A word is replaced in one step, so that a power cut leaves one or the other (security.md
OTA-2, `T-OTA-4`).
"""

import os
import struct
import sys

from firmware.lib.compat import const

# Why a board starts, then what was done without a reset. The order is the layout: add at the end.
WORDS = (
    "power_on",
    "asked",  # by the owner
    "failing",  # a job failed too often
    "silent",  # a job outlived its lease and could not be ended: the watchdog was not fed
    "blocked",  # the watchdog reset the board, and no reason was announced
    "memory",  # no memory left, also after collecting
    "radio",  # the last rung of the ladder
    "escaped",  # an exception that nobody caught ended the application
    "calm",  # minimal mode has lasted long enough
    "unknown",  # a reset without an announced reason: brown-out, or the interpreter crashed
    "job",  # a job was started again
    "rescan",
    "radio_cycle",
    "soft_reset",
    "no_memory",  # an allocation failed, and the job was started again
)
_MARK = b"GH2"
_REASONS = const(10)
_WHAT_AT = const(5)
_WHAT_LEN = const(12)
_COUNTS_AT = const(17)
_SIZE = const(47)
_SLOT = "/slot"


class Restarts:
    """`memory()` reads and `set_memory(octets)` writes what outlives a reset; `cause` is `board.reset_cause()`.

    `why` (one of the first ten WORDS) and `what` tell of this start. `quick` is how many starts in a row, this one
    included, did not last.
    """

    def __init__(self, memory, set_memory, cause):
        self._set_memory = set_memory
        kept = memory()
        self._note = bytearray(_SIZE)
        self._note[:3] = _MARK
        if kept[:3] == _MARK:
            size = min(len(kept), _SIZE)
            self._note[:size] = kept[:size]
        self.quick = self._note[3]
        self.why = self._judge(cause)
        self.what = "".join(chr(octet) for octet in self._note[_WHAT_AT:_COUNTS_AT] if 0x20 < octet < 0x7F)
        self._note[4:_COUNTS_AT] = bytes(_COUNTS_AT - 4)
        self.count(self.why)

    def _judge(self, cause):
        if cause == "power_on":
            self._note[4:] = bytes(_SIZE - 4)
            return cause
        index = self._note[4]
        if 0 < index < _REASONS:
            return WORDS[index]
        return "blocked" if cause == "watchdog" else "asked" if cause == "soft" else "unknown"

    def announce(self, why, what=""):
        """Why the board is about to be reset, or will be if the watchdog acts; `what` keeps 12 bytes of ASCII."""
        octets = what.encode()[:_WHAT_LEN]
        self._note[4] = WORDS.index(why)
        self._note[_WHAT_AT:_COUNTS_AT] = octets + bytes(_WHAT_LEN - len(octets))
        self._write()

    def withdraw(self):
        """The announced reset does not come."""
        if self._note[4]:
            self._note[4:_COUNTS_AT] = bytes(_COUNTS_AT - 4)
            self._write()

    def count(self, word):
        """One more of `word`."""
        at = _COUNTS_AT + 2 * WORDS.index(word)
        number = struct.unpack_from(">H", self._note, at)[0]
        struct.pack_into(">H", self._note, at, min(number + 1, 0xFFFF))
        self._write()

    def counts(self):
        """{word: how often since power came on}, without those that never happened."""
        counts = {}
        for index, word in enumerate(WORDS):
            number = struct.unpack_from(">H", self._note, _COUNTS_AT + 2 * index)[0]
            if number:
                counts[word] = number
        return counts

    def healthy(self):
        """This start has lasted: quick starts are counted from zero again."""
        if self._note[3]:
            self._note[3] = 0
            self._write()

    def _write(self):
        self._set_memory(bytes(self._note))


class Slot:
    """The slot that this firmware runs from: `name` is "a" or "b"; `is_on_trial` until `keep`."""

    def __init__(self, path=_SLOT, folders=sys.path):
        self._path = path
        self.name = "b" if "/b" in folders else "a"
        try:
            with open(path) as file:
                self.is_on_trial = file.read().strip() == self.name + "?"
        except OSError:
            self.is_on_trial = False

    def keep(self):
        """The firmware in this slot works: start it from now on. Raises OSError, and the trial goes on."""
        with open(self._path + ".new", "w") as file:
            file.write(self.name)
        os.rename(self._path + ".new", self._path)
        self.is_on_trial = False
