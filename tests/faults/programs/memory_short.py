"""Allocation failures, one after the other, through gateway and lock: `memory_short.py SEED N`.

MicroPython has no hook in its allocator, so the heap itself fails: at the n-th call of a function of ours (counted by
wrapping what the flow passes through) the heap is locked for as long as that call lasts, and every allocation in it
raises MemoryError. N places are tried in each flow. Afterwards memory is back and the same thing must work.
Gateway: an unlock from the broker's message to its result, and the same message once more. Lock: a movement of the
bolt to its record, driven as the job `mechanics` does.
"""

import gc
import json
import random
import sys

import micropython


class Failing:
    """Wraps functions so that the n-th call of any of them runs on a locked heap."""

    def __init__(self):
        self.count = 0
        self.fail_at = None
        self.hit = None

    def wrap(self, owner, name):
        """Replace owner.name, a plain function or method."""
        inner = getattr(owner, name)

        def call(*args, **more):
            self.count += 1
            if self.count != self.fail_at:
                return inner(*args, **more)
            self.hit = name
            micropython.heap_lock()
            try:
                return inner(*args, **more)
            finally:
                micropython.heap_unlock()

        setattr(owner, name, call)


def _gateway(failing):
    from firmware.gateway.admission import Rates
    from firmware.gateway.requests import Request
    from tests.unit.command_rig import Rig

    rig = Rig("memory-gateway", rates=Rates(10**6, 10**6, 10**6))
    for owner, names in (
        (rig.bridge, ("_read", "_is_new", "_deadline")),
        (Request, ("begin", "mark", "_answer", "refuse", "publish", "_compose", "_report")),
        (rig.ids, ("look", "start", "done")),
        (rig.rates, ("admit",)),
        (rig.scheduler, ("submit", "_insert", "_end")),
        (rig.metrics, ("record",)),
        (rig.topics, ("lock", "parse_obeyed")),
        (rig.far, ("_answer",)),
    ):
        for name in names:
            failing.wrap(owner, name)
    number = [0]

    def flow():
        number[0] += 1
        rig.out.put_in.clear()
        rig.far.asked.clear()
        rig.lock.seen_s = rig.now.s
        moved = rig.far.moved
        request = {"id": "m-%d" % number[0], "op": "unlock" if number[0] & 1 else "lock"}
        for _ in range(2):  # the second time with memory
            told = len(rig.out.put_in)
            try:
                rig.send("cmd", request)
                rig.work(told + 1, 100)
            except MemoryError:  # it left the job: the supervisor would start it again
                pass
            failing.fail_at = None
        codes = [json.loads(text).get("code") for _, text in rig.out.put_in]
        return rig.far.moved - moved, codes

    def judge(found):
        moved, codes = found
        if moved > 1:
            return "moved %d times" % moved
        if not codes:
            return "never answered"
        if "ok" in codes and moved != 1:
            return "ok without a movement"
        return None

    def recovered(found):
        return found == (1, ["ok", "ok"])

    return flow, judge, recovered


def _lock(failing):
    from firmware.lock import bolt as bolts
    from tests.scratch import scratch
    from tests.unit.lock_rig import Rig

    rig = Rig(scratch("memory-lock")).paired()
    device = rig.device
    for owner, names in (
        (device, ("record", "flags", "status")),
        (rig.lock.motion, ("move", "_after_movement", "_settle", "_arrived")),
        (device.stores.ring, ("append",)),
        (device.feedback, ("show", "poll")),
        (device.stores.clock, ("date6", "record_written")),
        (rig.engine, ("receive", "poll")),
    ):
        for name in names:
            failing.wrap(owner, name)

    def flow():
        target = bolts.LOCKED if device.bolt.state == bolts.UNLOCKED else bolts.UNLOCKED
        told = []
        errors = 0
        try:
            rig.lock.motion.move(target, told.append, rig.now_ms)
        except MemoryError:
            errors += 1
        for _ in range(300):  # three seconds of the job `mechanics`, which tries a step again
            rig.now_ms += 10
            if rig.now_ms % 100 == 0:
                rig.pins.step()
            try:
                rig.lock.poll(rig.now_ms)
            except MemoryError:
                gc.collect()
                errors += 1
            rig.lock.motion.guard(rig.now_ms)
        return rig.pins.motor.direction, device.bolt.is_moving, told, errors, device.bolt.state == target

    def judge(found):
        direction, is_moving, told, _, _ = found
        if direction or is_moving:
            return "the motor is driven"
        if len(told) > 1:
            return "told %s" % told
        return None

    def recovered(found):
        return found[3] == 0 and found[2] == [True] and found[4]

    return flow, judge, recovered


def _try(what, make, count, failures):
    failing = Failing()
    flow, judge, recovered = make(failing)
    for _ in range(2):
        failing.count = 0
        if not recovered(flow()):
            failures.append("%s does not work at all" % what)
            return 0, 0
    calls = failing.count
    places = {}
    for number in range(count):
        failing.count = 0
        failing.hit = None
        place = failing.fail_at = 1 + (number if count <= calls else number % calls)
        fault = judge(flow())
        if fault:
            failures.append("%s, call %d (%s): %s" % (what, place, failing.hit, fault))
        if failing.hit:
            places[failing.hit] = places.get(failing.hit, 0) + 1
        failing.fail_at = None
        gc.collect()
        for _ in range(2):
            found = flow()
        if not recovered(found):
            failures.append("%s, after call of %s: %s" % (what, failing.hit, found))
            flow, judge, recovered = make(failing)
    return sum(places.values()), len(places)


random.seed(int(sys.argv[1]))
count = int(sys.argv[2])
failures: list = []
figures = {}
tried = 0
for what, make in (("gateway", _gateway), ("lock", _lock)):
    hits, places = _try(what, make, count, failures)
    tried += hits
    figures[what + "_functions"] = places
print(json.dumps({"n": tried, "failures": failures[:50], "figures": figures}))
