"""R-08: a byte of the flash changes while the lock, or the gateway, has no power: in a stored file, anywhere in the
file system's blocks, or in NVS. Arguments: seed, number of flips, "lock" or "gateway".

Nothing damaged may be believed, every start must succeed, and a lock that has an owner must not become pairable.
"Recovered": nothing is missing but at most one record.
"""

import json
import os
import sys

from firmware.system import store
from tests.faults.programs.cuts import BLOCK, DATA, Chip, Score

_PLACES = ("file", "block", "entry")


class Draw:
    """A sequence of numbers that a seed determines."""

    def __init__(self, seed):
        self._state = seed * 2654435761 + 1 & 0xFFFFFFFF or 1

    def below(self, n):
        draw = self._state
        draw ^= draw << 13 & 0xFFFFFFFF
        draw ^= draw >> 17
        draw ^= draw << 5 & 0xFFFFFFFF
        self._state = draw
        return draw % n


def files(path=DATA):
    """All stored files with content."""
    found = []
    for name in sorted(os.listdir(path)):
        inner = path + "/" + name
        if os.stat(inner)[0] & 0x4000:
            found += files(inner)
        elif os.stat(inner)[6]:
            found.append(inner)
    return found


def written(octets):
    """Offsets of the 64-byte pieces that are not blank."""
    blank = b"\xff" * 64
    return [at for at in range(0, len(octets), 64) if octets[at : at + 64] != blank]


class Flipper:
    """Damages copies of one image."""

    def __init__(self, chip, image, draw):
        self._chip = chip
        self._image = image
        self._draw = draw
        self._pieces = [written(part) for part in image]
        chip.load(image)
        chip.boot()
        self._files = files()

    def flip(self, place):
        """Put a damaged copy on the chip and boot it. Returns what was damaged."""
        draw = self._draw
        mask = 1 + draw.below(255)
        if place == "file":
            self._chip.load(self._image)
            self._chip.boot()
            name = self._files[draw.below(len(self._files))]
            raw = bytearray(store.read(name))
            at = draw.below(len(raw))
            raw[at] ^= mask
            with open(name, "wb") as file:
                file.write(raw)
            self._chip.boot()
            return "%s %d ^%02x" % (name[len(DATA) :], at, mask)
        which = 1 if place == "entry" else 0
        pieces = self._pieces[which]
        at = pieces[draw.below(len(pieces))] + draw.below(64)
        parts = [bytearray(part) for part in self._image]
        parts[which][at] ^= mask
        self._chip.load(parts)
        self._chip.boot()
        return "%s block %d at %d ^%02x" % (place, at // BLOCK, at % BLOCK, mask)


def main():
    seed, count, role = (json.loads(word) for word in sys.argv[1:4])
    if role == "lock":
        from tests.faults.programs.flips_lock import prepare
    else:
        from tests.faults.programs.flips_gateway import prepare
    chip = Chip()
    score = Score()
    image, start, judge = prepare(chip)
    flipper = Flipper(chip, image, Draw(seed))
    recovered = {}
    tried = {}
    for number in range(count):
        place = _PLACES[number % len(_PLACES)]
        what = place
        score.n += 1
        tried[place] = tried.get(place, 0) + 1
        try:
            what = flipper.flip(place)
            wrong, is_whole = judge(start(), place == "block")
        except Exception as err:
            sys.print_exception(err, sys.stderr)
            wrong, is_whole = ["%r" % err], False
        for text in wrong:
            score.fail("%s: %s" % (what, text))
        recovered[place] = recovered.get(place, 0) + is_whole
    shares = {place: "%.2f%%" % (100 * recovered[place] / tried[place]) for place in tried}
    print(json.dumps({"n": score.n, "failures": score.failures, "figures": {"recovered " + role: shares}}))


if __name__ == "__main__":
    main()
