"""Which of the two slots this firmware runs from, and whether it is on trial. Owns the word in /slot, which boot.py
reads.

The word is `a` or `b`, the slot to start; `b??` is b on trial. boot.py turns that into `b?` and starts b once; unless
the application has by then written `b`, the next start, whatever led to it, writes `a` and runs what ran before. A
word is replaced in one step, so that a power cut leaves one or the other (security.md OTA-2, `T-OTA-4`).
"""

import os
import sys

_PATH = "/slot"


def write(word, path=_PATH):
    """Replace the word."""
    with open(path + ".new", "w") as file:
        file.write(word)
    os.rename(path + ".new", path)


class Slot:
    """`name` is "a" or "b"; `is_on_trial` until `keep`."""

    def __init__(self, path=_PATH, folders=sys.path):
        self._path = path
        self.name = "b" if "/b" in folders else "a"
        try:
            with open(path) as file:
                self.is_on_trial = file.read().strip() == self.name + "?"
        except OSError:
            self.is_on_trial = False

    def keep(self):
        """The firmware in this slot works: start it from now on. Raises OSError, and the trial goes on."""
        write(self.name, self._path)
        self.is_on_trial = False
