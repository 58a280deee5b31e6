"""What R-08 damages of a gateway, and how what is left is judged."""

import hashlib

from firmware.gateway import admission
from tests.faults.programs.gateway_flows import reading_image
from tests.faults.programs.gateway_world import GatewayWorld

_IDS = 40


def prepare(chip):
    """(image, function that starts a gateway on the chip, function that judges it)"""
    image, records = reading_image(chip)
    chip.load(image)
    chip.boot()
    world = GatewayWorld(chip)
    world.start()
    whole = _state(world)
    known = {entry[1]: entry for entry in whole["entries"]}

    def start():
        world = GatewayWorld(chip)
        world.start()
        return world

    def judge(world, is_block):
        found = _state(world)
        wrong = []
        if [lock for lock in found["locks"] if lock not in whole["locks"]]:
            wrong.append("a lock from a damaged store")
        if found["settings"] not in (whole["settings"], None):
            wrong.append("settings from a damaged store")
        if [answer for answer in found["answers"] if answer not in (None, whole["answers"][0])]:
            wrong.append("a result from a damaged store")
        for entry in found["entries"]:
            if entry[1] not in known or known[entry[1]][3] != entry[3]:
                wrong.append("record %r from a damaged store" % (entry[:3],))
        lost = len(whole["entries"]) - len(found["entries"]) + found["answers"].count(None)
        found["entries"], found["answers"] = whole["entries"], whole["answers"]
        return wrong, found == whole and lost <= 1

    return image, start, judge


def _state(world):
    found = world.state()
    found.pop("records")
    answers = []
    for number in range(_IDS):
        known, payload = world.ids.look("old-%d" % number, bytes(8))
        answers.append(payload if known == admission.KNOWN else None)
    found["answers"] = answers
    found["entries"] = []
    if world.lock is not None:
        buffer = world.records.buffer(world.lock)
        for entry in buffer.unsent(0):
            found["entries"].append((entry.era, entry.number, 0, hashlib.sha256(entry.raw).digest()[:8]))
    return found
