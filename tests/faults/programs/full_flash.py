"""A part of R-07: the file system is full to the last block, and the door works. No arguments."""

import json
import os

from firmware.lib import opcodes
from tests.faults.programs.cuts import DATA, Chip, Score
from tests.faults.programs.lock_flows import PERMANENT, WRONG, owned_image

_JUNK = DATA + "/junk"


def fill():
    """Take every block that is free; the number of bytes."""
    total = 0
    for size in (32768, 4000, 200):
        try:
            while True:
                with open(_JUNK + "%d" % total, "wb") as file:
                    file.write(bytes(size))
                total += size
        except OSError:  # not one more of this size
            pass
    return total


def use(world, score, when):
    """Everything at the door that needs no new block."""
    for _ in range(4):
        before = world.pins.movements
        world.type(PERMANENT + "#")
        world.wait(700)
        score.check(world.pins.movements == before + 1, when + ": a code does not open")
        world.connect()
        world.operate(opcodes.LOCK)
        world.disconnect()
        score.check(world.device.bolt.state == "locked", when + ": the app does not lock")
    spent = world.device.stores.limits.keypad.spent
    world.type(WRONG)
    world.wait(300)
    score.check(world.device.stores.limits.keypad.spent == spent + 1, when + ": a wrong entry is not counted")


def main():
    chip = Chip()
    score = Score()
    image, make = owned_image(chip)
    chip.load(image)
    world = make(chip)
    chip.boot()
    world.start()
    size = fill()
    score.check(size > 50000, "nothing was filled")
    for turn in range(6):
        use(world, score, "full, turn %d" % turn)
        chip.boot()
        world.start()
        score.check(world.device.stores.keys.is_paired, "full: not paired after a restart")
    unrecorded = world.device.unrecorded
    for name in os.listdir(DATA):
        if name.startswith("junk"):
            os.remove(DATA + "/" + name)
    use(world, score, "free again")
    score.check(world.device.unrecorded == unrecorded, "free again: records are lost")
    chip.boot()
    world.start()
    score.check(world.history()[-1][0] == 7, "free again: the last record is not there")
    print(
        json.dumps(
            {"n": score.n, "failures": score.failures, "figures": {"filled_bytes": size, "unrecorded": unrecorded}}
        )
    )


main()
