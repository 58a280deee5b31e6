"""What R-08 damages of a lock, and how what is left is judged."""

from firmware.lock.stores.options import OPTIONS, Options
from tests.faults.programs.lock_flows import owned_image

_DEFAULTS = {name: getattr(Options, name) for name, _, _ in OPTIONS}


_LOST = (5, 0)  # counters that cannot be read begin with a pause


def _is_strange(found, whole, is_block):
    """True if counters are neither what they were, nor the state before the last failure, nor lost and so in a pause.

    In a damaged block littlefs goes back to an older state of a folder, which nobody can bring about from afar: there
    any lower count is only not believed if it is higher than it was.
    """
    for place, is_ in enumerate(found):
        was = whole[place]
        if is_block and is_[0] <= was[0] and is_[1] <= was[1]:
            continue
        if is_ not in (was, (was[0] - 1, was[1] - 1), _LOST, (1, 1)):  # (1, 1): a login was begun
            return True
    return False


def prepare(chip):
    """(image, function that starts a lock on the chip, function that judges it)"""
    image, make = owned_image(chip)
    chip.load(image)
    chip.boot()
    world = make(chip)
    world.start()
    whole = world.state()

    def start():
        world = make(chip)
        world.start()
        return world

    def judge(world, is_block):
        found = world.state()
        wrong = []
        if found["keys"] not in (whole["keys"], None):
            wrong.append("keys from a damaged store")
        if found["keys"] is None and not found["blocked"]:
            wrong.append("uninitialised by damage")
        strange = [item for item in found["passcodes"] if item not in whole["passcodes"]]
        if strange:
            wrong.append("codes from a damaged store: %r" % strange)
        if found["options"] not in (whole["options"], _DEFAULTS):
            wrong.append("options from a damaged store: %r" % (found["options"],))
        if found["passage"] not in (whole["passage"], []):
            wrong.append("windows from a damaged store: %r" % (found["passage"],))
        strange = [each for each in found["records"] if each not in whole["records"] and each[0] != 48]
        if strange:
            wrong.append("records from a damaged store: %r" % strange)
        if found["wiping"]:
            wrong.append("wiped by damage")
        if _is_strange(found["counters"], whole["counters"], is_block):
            wrong.append("counters %r, were %r" % (found["counters"], whole["counters"]))
        lost = len(whole["records"]) - len(found["records"])
        found["records"] = whole["records"]
        return wrong, found == whole and lost <= 1

    return image, start, judge
