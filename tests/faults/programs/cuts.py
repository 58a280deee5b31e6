"""Power cuts at every flash operation of a flow, torn ones included, and again while the board recovers.

The firmware's own modules run on MicroPython's littlefs over NOR flash in RAM, and on NVS in pages as on the chip; both
count as one flash. A cut raises out of everything; the next start mounts a fresh file system on the same bytes.
Source: security.md 4.1. What it cannot show: how real flash tears, and what the chip's own NVS code does
(security.md 4.5).
"""

import io
import json
import sys
import time

import vfs

SHIMS = "host_tools/sim/shims"
DATA = "/flash/data"
BLOCKS = 64

sys.path.insert(0, SHIMS)
import _nor  # noqa: E402
import _nvs  # noqa: E402
import _power  # noqa: E402
import esp32  # noqa: E402

sys.path.pop(0)


class _Machine:
    """Stands in for `machine`, of which only the clock is used here."""

    class RTC:
        def datetime(self, *now):
            pass


sys.modules["machine"] = _Machine

from firmware import board  # noqa: E402
from firmware.system import store  # noqa: E402

TEARS = _power.TEARS
_MOST_NESTED = 25
BLOCK = _nor.BLOCK
done = set()  # what was asked for in the flows, in the words of their world


class PowerCut(BaseException):
    """The power is gone. No Exception, so that nothing in the firmware catches it."""


def _off():
    raise PowerCut


class _Device(_nor.Nor):
    """What littlefs gets. Nothing may be raised through its code, so a cut is an error to it, and `_Files` raises."""

    def writeblocks(self, number, buf, offset=None):
        try:
            return super().writeblocks(number, buf, offset)
        except PowerCut:
            return -5

    def ioctl(self, op, arg):
        try:
            return super().ioctl(op, arg)
        except PowerCut:
            return -5


class _File:
    """An open file. Every call ends with the power being gone if it is."""

    def __init__(self, inner, do):
        self._inner = inner
        self._do = do

    def read(self, *size):
        return self._do(self._inner.read, *size)

    def write(self, octets):
        return self._do(self._inner.write, octets)

    def seek(self, *place):
        return self._do(self._inner.seek, *place)

    def tell(self):
        return self._do(self._inner.tell)

    def close(self):
        return self._do(self._inner.close)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()


class _Files:
    """The file system of a board."""

    def __init__(self, device, power):
        self._power = power
        self._inner = vfs.VfsLfs2(device)
        for name in ("ilistdir", "stat", "statvfs", "remove", "rename", "mkdir", "rmdir", "chdir", "getcwd"):
            setattr(self, name, self._checked(getattr(self._inner, name)))

    def _checked(self, method):
        return lambda *given: self._do(method, *given)

    def _do(self, method, *given):
        try:
            return method(*given)
        finally:
            if self._power.is_off:
                raise PowerCut

    def mount(self, readonly, mkfs):
        self._inner.mount(readonly, mkfs)

    def umount(self):
        self._inner.umount()

    def open(self, path, mode):
        return _File(self._do(self._inner.open, path, mode), self._do)


class Chip:
    """The flash of one board: `boot` gives it power, with the content as it is."""

    def __init__(self):
        self.files = io.BytesIO(b"\xff" * _nor.BLOCK * BLOCKS)
        self.entries = io.BytesIO(b"\xff" * _nor.BLOCK * _nvs.PAGES)
        self.power = None
        self.nor = None
        self._is_mounted = False
        self.clashes = 0

    def format(self):
        """A board that was never used."""
        self.load((b"\xff" * _nor.BLOCK * BLOCKS, b"\xff" * _nor.BLOCK * _nvs.PAGES))
        vfs.VfsLfs2.mkfs(_nor.Nor(self.files, BLOCKS, _power.Power(_off)))
        self.boot()
        store.make_folder(DATA)

    def image(self):
        """A copy of all bytes, for `load`."""
        return self.files.getvalue(), self.entries.getvalue()

    def load(self, image):
        """Put a copied content back; to be followed by `boot`."""
        self.shut()
        self.files = io.BytesIO(bytearray(image[0]))
        self.entries = io.BytesIO(bytearray(image[1]))

    def shut(self):
        """Take the power away."""
        if self._is_mounted:
            vfs.umount("/flash")
            self._is_mounted = False
        if self.nor is not None:
            self.clashes += self.nor.clashes
            self.nor = None

    def boot(self, cut=None):
        """Give it power; `cut` is (changes, tear, seed) of `Power.cut_after`. Raises PowerCut."""
        self.shut()
        self.power = _power.Power(_off)
        if cut is not None:
            self.power.cut_after(*cut)
        self.nor = _Device(self.files, BLOCKS, self.power)
        self.entries_nor = _nor.Nor(self.entries, _nvs.PAGES, self.power)
        esp32._nor_of_nvs = self.entries_nor
        esp32._store = None
        vfs.mount(_Files(self.nor, self.power), "/flash")
        self._is_mounted = True

    def key_store(self):
        """NVS as the firmware sees it."""
        return board.Nvs()


class Score:
    """Counts and failures of one program."""

    def __init__(self):
        self.n = 0
        self.failures = []
        self.operations = 0
        self.nested = 0
        self.boot_ms = 0
        self.boot_changes = 0

    def fail(self, text):
        if len(self.failures) < 200:
            self.failures.append(text)

    def check(self, holds, text):
        """One attempt, judged."""
        self.n += 1
        if not holds:
            self.fail(text)

    def line(self, **figures):
        """The result as the report takes it."""
        figures["operations"] = self.operations
        figures["cuts"] = self.n
        figures["nested"] = self.nested
        figures["boot_changes_most"] = self.boot_changes
        print(json.dumps({"n": self.n, "failures": self.failures, "figures": figures}))


def misfits(before, after, found, is_acked, by_rules):
    """Texts of what in `found` is neither as `before` nor as `after`; only `after` counts once it was told.

    `by_rules` names the members that a world judges by rules of its own.
    """
    wrong = []
    for name in before:
        allowed = (after[name],) if is_acked else (before[name], after[name])
        if name not in by_rules and found[name] not in allowed:
            wrong.append("%s %r, may be %r" % (name, found[name], allowed))
    return wrong


def differences(wanted, found, by_rules):
    """Texts of what in `found` is not as `wanted`."""
    return [
        "%s %r, to be %r" % (name, found[name], wanted[name])
        for name in wanted
        if name not in by_rules and found[name] != wanted[name]
    ]


class Flow:
    """`make(chip)` gives a world: `start`, `state`, `judge` and `judge_end` for what is on flash, `physical` and
    `revert` for what is not. Each step is (label, action); `action(world)` calls `world.ack()` once whoever asked has
    been told that it is done. `expect(states)` says whether an undisturbed run has left what it should, so that what
    the cuts are compared with is not only what the same firmware does.
    """

    def __init__(self, name, image, make, steps, expect):
        self.expect = expect
        self.name = name
        self.image = image
        self.make = make
        self.steps = steps


class Explorer:
    """Runs flows with cuts and lets the world judge what is found."""

    def __init__(self, chip, score, seed):
        self.chip = chip
        self.score = score
        self.seed = seed
        self._states = None
        self._flow = None

    # --- without a cut

    def measure(self, flow):
        """Number of flash operations of the flow, starting included."""
        self._flow = flow
        world = self._begin(None)
        world.start()
        kept = [(self.chip.image(), world.physical())]
        for _, action in flow.steps:
            action(world)
            kept.append((self.chip.image(), world.physical()))
        operations = self.chip.power.changes
        self._states = []
        for image, physical in kept:
            self.chip.load(image)
            world.revert(physical)
            self.chip.boot()
            world.start()
            self._states.append(world.state())
        self.score.operations += operations
        if not flow.expect(self._states) or world.wrong:
            self.score.fail("%s without a cut does not leave what it should %s" % (flow.name, world.wrong))
        return operations

    def _begin(self, cut):
        self.chip.load(self._flow.image)
        world = self._flow.make(self.chip)
        self.chip.boot(cut)
        return world

    # --- with cuts

    def trial(self, cuts):
        """Cut at cuts[0], then while recovering at cuts[1], … each (change, tear). Returns the number of changes that
        the last recovery made, or None when the first cut was behind the end."""
        flow = self._flow
        name = "%s cut %s" % (flow.name, cuts)
        self.score.n += 1
        self.score.nested += len(cuts) > 1
        done = -1
        world = None
        try:
            self.chip.load(flow.image)
            world = flow.make(self.chip)
            self.chip.boot(self._cut(cuts[0]))
            world.start()
            done = 0
            for _, action in flow.steps:
                world.acked = False
                action(world)
                done += 1
            return None
        except PowerCut:
            pass
        except Exception as err:
            sys.print_exception(err, sys.stderr)
            self.score.fail("%s: %r before the power went" % (name, err))
            return None
        world.power_lost()
        try:
            changes = self._recover(world, cuts[1:])
            found = world.state()
            for text in self._judge(world, done, found):
                self.score.fail("%s at %r: %s" % (name, flow.steps[done][0] if done >= 0 else "start", text))
            self._finish(world, done, name)
            return changes
        except Exception as err:
            sys.print_exception(err, sys.stderr)
            self.score.fail("%s: %r after the power came back" % (name, err))
            return None

    def _cut(self, cut):
        return cut[0], cut[1], self.seed + cut[0]

    def _recover(self, world, cuts):
        for cut in cuts:
            try:
                self.chip.boot(self._cut(cut))
                world.start()
            except PowerCut:
                world.power_lost()
        began_us = time.ticks_us()
        self.chip.boot()
        world.start()
        self.score.boot_ms = max(self.score.boot_ms, time.ticks_diff(time.ticks_us(), began_us) // 1000)
        self.score.boot_changes = max(self.score.boot_changes, self.chip.power.changes)
        return self.chip.power.changes

    def _judge(self, world, done, found):
        before = self._states[max(done, 0)]
        after = self._states[min(done + 1, len(self._states) - 1)] if done >= 0 else before
        return world.judge(before, after, found, world.acked and done >= 0)

    def _finish(self, world, done, name):
        """Do again what was interrupted, unless it was acknowledged, and go on to the end."""
        first = max(done, 0)
        if world.acked and done >= 0:
            first += 1
        world.is_again = True
        for _, action in self._flow.steps[first:]:
            world.acked = False
            action(world)
        self.chip.boot()
        world.start()
        for text in world.judge_end(self._states[-1], world.state()):
            self.score.fail("%s at the end: %s" % (name, text))

    def explore(self, flow, every, tears, nested):
        """Cut at each `every`-th operation with each of `tears`, and once more at each `nested`-th operation of the
        recovery that follows (0: not), torn in turns; of a long recovery only some. Returns the number of operations.
        """
        operations = self.measure(flow)
        place = self.seed
        for at in range(self.seed % every, operations, every):
            for tear in tears:
                changes = self.trial([(at, tear)])
                if not nested or not changes:
                    continue
                step = max(nested, changes // _MOST_NESTED)
                for again in range(place % step, changes, step):
                    place += 1
                    self.trial([(at, tear), (again, TEARS[place % len(TEARS)])])
        return operations


def run(flows):
    """The main function of a program. Its argument: seed; every (n-th operation), tears (list), nested (every n-th
    operation of a recovery, 0: none), names of flows (none: all)."""
    given = json.loads(sys.argv[1])
    chip = Chip()
    score = Score()
    explorer = Explorer(chip, score, given["seed"])
    counts = {}
    chosen = flows(chip)
    done.clear()  # what made the images
    for flow in chosen:
        if not given["names"] or flow.name in given["names"]:
            counts[flow.name] = explorer.explore(flow, given["every"], given["tears"], given["nested"])
    if chip.clashes:
        score.fail("%d programs of bits that were not erased" % chip.clashes)
    score.line(per_flow=counts, done=sorted(done))
