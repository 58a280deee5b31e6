"""T-ERA-1: after `forget` and after a reset no block of flash and no page of NVS shows what was forgotten, wherever the
power went meanwhile. Argument: a file with seed, count (cuts of each), secrets and the forms in which each may show.

A gateway with all kinds of secrets, some of which have taken the place of others, forgets one lock or everything. What
is encrypted is looked for as well, as it is: who reads the chip has the key of the board. Each search is shown to see:
before, the same bytes are there.
"""

import json
import os
import sys

from firmware.gateway import erasure, provisioning
from firmware.gateway.issuers import Issuers
from firmware.system import config
from tests.faults.programs.cuts import DATA, TEARS, Chip, PowerCut, Score, board
from tests.faults.programs.gateway_flows import _read, _record
from tests.faults.programs.gateway_world import SETTINGS
from tests.faults.programs.job_world import JobWorld
from tests.unit.gateway_rig import ADDRESS, known_lock

_STAYS = b"\xaa\xbb\xcc\x44\x55\x66"
_SEALED = 48  # bytes of what is encrypted that are looked for, behind counter and IV
_HEAD = 20
_RESULT = 44  # behind the frame of the journal and the hashes, which stay
_IN_CLEAR = ("wifi", "broker", "tls key", "x25519")  # SECURITY.md, "What lies on a gateway's flash"
_PUT = {"wifi_ssid": "home", "mqtt_host": "broker", "insecure_broker": True, "mqtt_user": "gateway"}


class Story:
    """An image with everything in it, what of it is secret, and what of that belongs to the lock that is forgotten."""

    def __init__(self, chip, given):
        self.chip = chip
        self.forms = {name: [(how, bytes.fromhex(form)) for how, form in forms] for name, forms in given["forms"]}
        self.sealed = []  # (whose, bytes)
        values = {name: bytes.fromhex(value) for name, value in given["secrets"].items()}
        chip.format()
        world = JobWorld(chip)
        board.nvs_set("gatehouse", "x25519", values["x25519"])
        config.write(SETTINGS, provisioning.table(), dict(_PUT, wifi_password=values["old wifi"].decode()))
        put = dict(wifi_password=values["wifi"].decode(), mqtt_password=values["broker"].decode())
        config.write(SETTINGS, provisioning.table(), put)
        with open(DATA + "/mqtt_key-00.der", "wb") as file:
            file.write(b"\x30" + values["tls key"])
        Issuers(chip.key_store(), folder=DATA + "/issuers").own(values["issuer"])
        world.start()
        for address, aes in ((ADDRESS, "aes"), (_STAYS, "other aes")):
            lock = known_lock(address)
            lock.aes = values[aes]
            lock.admin_ps = int.from_bytes(values["admin"], "big")
            world.registry.add(lock)
        world.start()
        world.far.records = [_record(number) for number in range(30)]
        _read(world)
        world.leave()
        world.keep({"id": "id-kept", "op": "passcode_add", "args": {"code": values["code"].decode()}})
        result = b'{"code":"ok","data":{"name":"%s"}}' % values["result"]
        world.ids.done("id-told", bytes(8), result)
        buffer = world.records.buffer(world.lock)
        self.forms["record"] = [("raw", entry.raw[1:]) for entry in buffer.unsent(buffer.sent)]
        self._note_sealed("forgotten", "/locks/" + ADDRESS.hex())
        self._note_sealed("forgotten", "/jobs/job00")
        self._note_sealed("kept", "/locks/" + _STAYS.hex())
        self._note_sealed("kept", "/issuers/issuers")
        folder = DATA + "/records/" + ADDRESS.hex()
        for name in os.listdir(folder):
            with open(folder + "/" + name, "rb") as file:
                kept = file.read()[_HEAD : _HEAD + _SEALED]
            if len(kept) > 16:
                self.sealed.append(("forgotten", "records/" + name, kept))
        for name in os.listdir(DATA + "/ids"):
            with open(DATA + "/ids/" + name, "rb") as file:
                kept = file.read()[_RESULT : _RESULT + _SEALED]
            if len(kept) > 16:
                self.sealed.append(("forgotten", "ids/" + name, kept))
        assert self.sealed[-1][1][:4] == "ids/", "no result is on flash"
        self.image = chip.image()

    def _note_sealed(self, whose, path):
        for copy in (".a", ".b"):
            with open(DATA + path + copy, "rb") as file:
                kept = file.read()
            self.sealed.append((whose, path + copy, kept[_HEAD : _HEAD + _SEALED]))

    def hits(self, whose, names=None, image=None):
        """Where something shows that should not: `names` of secrets (all), and what is encrypted of `whose`."""
        found = []
        for place, content in zip(("flash", "nvs"), image or self.chip.image()):  # noqa: B905, MicroPython's takes no more
            lower = bytes(octet | 0x20 if 0x41 <= octet <= 0x5A else octet for octet in content)
            for name, forms in self.forms.items():
                for how, form in forms if names is None or name in names else ():
                    if form in content or form in lower:
                        found.append("%s: %s as %s" % (place, name, how))
            for owner, path, part in self.sealed:
                if owner in whose and part in content:
                    found.append("%s: %s, encrypted" % (place, path))
        return found

    def start(self, cut=None):
        """A board with this flash, switched on -> its world, or None when a reset is not finished; that goes on."""
        self.chip.boot(cut)
        if board.nvs_get("gatehouse", "wiping") is not None:
            for _ in erasure.steps(board, DATA):
                pass
            return None
        world = JobWorld(self.chip)
        world.is_away = True
        world.start()
        world.registry.on("removing", lambda lock: erasure.promise_sweep(self.chip.key_store()))
        self.sweep(world)
        return world

    def sweep(self, world):
        if board.nvs_get("gatehouse", "sweep") is not None:
            for _ in erasure.sweep(self.chip.key_store(), world.registry, world.ids, DATA):
                pass

    def reset(self, cut=None):
        """Ask for a reset; the start that follows does it."""
        self.chip.boot(cut)
        board.nvs_set("gatehouse", "wiping", b"1")
        power = self.chip.power
        for _ in erasure.steps(board, DATA):
            pass
        return power.changes

    def forget(self, cut=None):
        """Ask to forget the first lock, and let the sweep come to its end."""
        self.start(cut).gateway_ops.forget({"mac": ADDRESS.hex()})
        world = JobWorld(self.chip)
        world.is_away = True
        world.start()
        self.sweep(world)
        return self.chip.power.changes


def _trial(story, score, kind, at, tear, seed):
    """Cut the power at change `at`, switch on, ask again where nothing was promised, look at every byte."""
    name = "%s cut at %d %s" % (kind, at, tear)
    story.chip.load(story.image)
    is_reset = kind == "reset"
    act = story.reset if is_reset else story.forget
    try:
        act((at, tear, seed + at))
    except PowerCut:
        pass
    world = story.start()
    if is_reset and world is not None and world.registry.all():
        act()
    if not is_reset and world.registry.get(ADDRESS) is not None:
        act()
    _judge(story, score, name, is_reset)


def _judge(story, score, name, is_reset):
    if is_reset:
        wrong = story.hits(("forgotten", "kept"))
        if board.nvs_get("gatehouse", "wiping") is not None:
            wrong.append("the promise stands")
    else:
        wrong = story.hits(("forgotten",), ("aes", "code", "record", "result"))
        world = story.start()
        left = [lock.address for lock in world.registry.all()]
        if left != [_STAYS] or not story.hits(("kept",), ()):
            wrong.append("serves %s" % left)
        if config.load(SETTINGS, provisioning.table()).mqtt_host != "broker" or board.nvs_get("gatehouse", "sweep"):
            wrong.append("settings are gone, or the promise stands")
    score.check(not wrong, "%s: %s" % (name, ", ".join(wrong[:6])))


def _shows_before(story, score):
    """What is looked for is there: in clear what SECURITY.md says, everything else encrypted."""
    shown = {text.split(": ")[1].split(" as ")[0] for text in story.hits((), None, story.image)}
    score.check(shown - {"old wifi"} == set(_IN_CLEAR), "in clear before: %s" % sorted(shown))
    sealed = story.hits(("forgotten", "kept"), (), story.image)
    score.check(len(sealed) == len(story.sealed), "only %s is found encrypted" % sealed)
    story.chip.load(story.image)
    world = story.start()
    world.registry.remove(world.registry.get(ADDRESS))
    score.check(story.hits(("forgotten",), ()), "the search does not see what was deleted only")


def main():
    with open(json.loads(sys.argv[1])) as file:
        given = json.load(file)
    score = Score()
    chip = Chip()
    story = Story(chip, given)
    _shows_before(story, score)
    for kind in ("reset", "forget"):
        chip.load(story.image)
        changes = story.reset() if kind == "reset" else story.forget()
        score.operations += changes
        _judge(story, score, kind, kind == "reset")
        count = given["count"]
        for number in range(count):
            at = (number * changes + given["seed"] % changes) // count
            _trial(story, score, kind, at, TEARS[number % len(TEARS)], given["seed"])
    if chip.clashes:
        score.fail("%d programs of bits that were not erased" % chip.clashes)
    score.line(forms=sum(len(forms) for forms in story.forms.values()))


main()
