"""A lock and a gateway through the changes of clocks of some zones, on either interpreter: what a lock is told of a
date, and what time its records get. Reads the cases as JSON from the file that GATEHOUSE_CASES names, prints a line of
JSON for each zone: {"name", "dates", "records", "wrong", "approx", "faults"}.

A case has `name`, `rule`, `dates` ([moment, wall date5, first and last moment at which the wall shows it]),
`turns` ([moment, offset before, offset after]) and `rules`, of a zone that is changed by hand: the rule from each turn.
"""

import json
import os
import sys

from firmware.gateway.operations import limits
from firmware.lib import dates, records
from firmware.lib.messages import session_client
from tests.unit.gateway_rig import LinkedLock, run
from tests.unit.test_gateway_records import Rig

_STEPS = (-86400, -7300, -3610, -1790, -200, -5, 0, 3, 45, 200, 1700, 3590, 3610, 5000, 7300, 40000, 86400)


class Wall(LinkedLock):
    """A lock whose clock goes with the gateway's, at an offset that whoever sets it chooses."""

    def __init__(self, clock):
        self.ahead_s = 0
        self.clock = clock
        super().__init__()

    @property
    def clock6(self):
        return dates.from_seconds(self.clock.unix_s + self.ahead_s - dates.UNIX_2000)

    @clock6.setter
    def clock6(self, date):
        self.ahead_s = dates.to_unix(date) - self.clock.unix_s


class Story:
    """One lock of a zone with its gateway; `wrong` and `approx` count records, `checked` all that were judged."""

    def __init__(self, case, name):
        self.case = case
        self.rig = rig = Rig("zones-%s-%s" % (case["name"].replace("/", "-"), name))
        rig.far = self.far = Wall(rig.clock)
        self.lock = rig.lock
        self.lock.zone = case["rule"]
        self.truth = []
        self.checked = self.wrong = self.approx = 0
        self.faults = []
        self._seen = 0

    def at(self, at_s):
        self.rig.clock.unix_s = at_s

    def write(self):
        """The lock records something, by its own clock."""
        number = len(self.far.records)
        self.far.records.append(records.encode(1, self.far.clock6, 90, records.by_user(7, number)))
        self.truth.append(self.rig.clock.unix_s)

    def read(self):
        """The gateway reads the log, and publishes what it read."""
        self.rig.read()
        self.rig.upload()
        batches = self.rig.batches()
        for batch in batches[self._seen :]:
            for item in batch["items"]:
                self._judge(item)
        self._seen = len(batches)

    def look(self, rule=None):
        """What the plan does with the clock."""
        clocks = self.rig.clocks
        if rule or clocks.is_due(self.lock):
            run(clocks.correct(self.rig.session(), 30, rule))

    def again(self):
        """All records are published once more, after all that has happened to the clock since."""
        for number, raw in enumerate(self.far.records):
            self._judge(self.rig.keeper.item(self.lock, number, raw, None))

    def _judge(self, item):
        self.checked += 1
        wanted = dates.from_unix(self.truth[item["rec"]])
        if item.get("approx"):
            self.approx += 1
        elif item["ts"] != "%04d-%02d-%02dT%02d:%02d:%02dZ" % wanted:
            self.wrong += 1
            self.faults.append(
                "%s: record %d of %s is said to be of %s" % (self.case["name"], item["rec"], wanted, item["ts"])
            )


def _rule(case, place):
    return case["rules"][place] if case.get("rules") else None


def present(case):
    """The gateway is there, and sets the clock some seconds after each change."""
    story = Story(case, "present")
    for place, (turn_s, before, _) in enumerate(case["turns"]):
        if not place:
            story.at(turn_s - 90000)
            story.far.ahead_s = 60 * before
        for count, step_s in enumerate(_STEPS):
            story.at(turn_s + step_s)
            if step_s >= (3, 45, 1)[place % 3] or step_s < 0:
                story.look(_rule(case, place) if 3 <= step_s <= 45 else None)
            story.write()
            if count % 3 == place % 3:
                story.read()
    story.read()
    return story


def away(case):
    """The gateway is away from before each change until after it; nobody sets the clock meanwhile."""
    story = Story(case, "away")
    for place, (turn_s, before, _) in enumerate(case["turns"]):
        if not place:
            story.at(turn_s - 90000)
            story.far.ahead_s = 60 * before
        for step_s in _STEPS:
            story.at(turn_s + step_s)
            if step_s < -5000 or step_s > 5000:
                story.look(_rule(case, place) if step_s == 7300 else None)
                story.read()
            story.write()
        story.read()
    return story


def unread(case):
    """The clock is set at each change, but the log could not be read then."""
    story = Story(case, "unread")
    for place, (turn_s, before, _) in enumerate(case["turns"]):
        if not place:
            story.at(turn_s - 90000)
            story.far.ahead_s = 60 * before
            story.read()
        for step_s in _STEPS:
            story.at(turn_s + step_s)
            story.rig.clocks.records = None
            story.look(_rule(case, place) if step_s == 3 else None)
            story.rig.clocks.records = story.rig.keeper
            story.write()
        story.read()
    return story


def stranger(case):
    """The gateway meets the lock two days after the last change; its clock followed the zone until then."""
    story = Story(case, "stranger")
    for turn_s, before, after in case["turns"]:
        for step_s in _STEPS:
            story.at(turn_s + step_s)
            story.far.ahead_s = 60 * (before if step_s < 0 else after)
            story.write()
    if case.get("rules"):
        story.lock.zone = case["rules"][-1]
    story.at(story.rig.clock.unix_s + 86400)
    story.rig.clock.is_signed = True  # the owner has just handed the lock over
    story.read()
    story.look()
    story.write()
    story.read()
    return story


def tell_dates(case):
    """What a lock is told of dates, and what its lists say of them -> (how many, faults)."""
    lock = Story(case, "dates").lock
    faults = []
    for at_s, wall, first_s, last_s in case["dates"]:
        told = limits.local(lock, at_s)
        item = {}
        limits.show(lock, item, tuple(wall), tuple(wall))
        listed = [dates.from_unix(each_s) for each_s in (first_s, last_s)]
        said = ["%04d-%02d-%02dT%02d:%02d:%02dZ" % date for date in listed]
        if told != tuple(wall) or [item["start"], item["end"]] != said:
            faults.append("%s: %d is %s, not %s; %s is %s, not %s" % (case["name"], at_s, told, wall, wall, item, said))
    return len(case["dates"]), faults


def main():
    with open(os.getenv("GATEHOUSE_CASES")) as file:
        cases = json.load(file)
    for case in cases:
        count, faults = tell_dates(case)
        line = {"name": case["name"], "dates": count, "records": 0, "wrong": len(faults), "approx": {}}
        for name, scene in (("present", present), ("away", away), ("unread", unread), ("stranger", stranger)):
            if name == "stranger" and case.get("rules"):
                continue  # nobody can know of changes by others to a clock that has none
            story = scene(case)
            line["approx"][name] = story.approx
            story.again()
            line["records"] += story.checked
            line["wrong"] += story.wrong
            line["approx"]["later"] = line["approx"].get("later", 0) + story.approx - line["approx"][name]
            faults += story.faults
        line["faults"] = faults[:5]
        print(json.dumps(line))


if __name__ == "__main__" or sys.implementation.name == "micropython":
    assert session_client
    main()
