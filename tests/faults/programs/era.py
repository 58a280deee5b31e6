"""T-ERA-1: what was deleted, or was there before a reset, cannot be read from a dump of all flash: files, blocks that
littlefs has given up, NVS with its erased entries. Argument: distance between the cuts of a reset (1: at each).

The device storage key is the control: before the reset the search must find it in NVS.
"""

import json
import sys

from firmware.lib import opcodes
from firmware.lib.messages import pairing_client as pairing
from firmware.lib.messages import passcode_client
from firmware.system import vault as vaults
from tests.faults.programs.cuts import TEARS, Chip, PowerCut, Score, board
from tests.faults.programs.gateway_world import GatewayWorld
from tests.faults.programs.lock_flows import pair
from tests.faults.programs.lock_world import LockWorld
from tests.unit.gateway_rig import known_lock
from tests.unit.lock_rig import ADMIN_PS, UNLOCK_KEY

_ADMIN_CODE = "738291465"
_KEPT, _CHANGED, _NEW, _GONE, _WRONG = "864209753", "975310864", "592837461", "112358132", "318281828"
_SPACE = "gatehouse"


def forms_of_octets(octets):
    """How bytes may stand somewhere: as they are, backwards, in hex."""
    found = []
    for each in (octets, bytes(reversed(octets))):
        text = each.hex()
        found += [each, text.encode(), text.upper().encode()]
    return found


def forms_of_number(number):
    """How a 32-bit number may stand somewhere."""
    return forms_of_octets(number.to_bytes(4, "big")) + [b"%d" % number]


def forms_of_digits(text):
    """How a code may stand somewhere: as text, as numbers 0 to 9, as BCD either way round, as one number."""
    digits = [int(sign) for sign in text]
    found = [text.encode(), bytes(digits), bytes(reversed(text.encode())), text.encode().hex().encode()]
    for pad in (0, 15):
        even = digits + [pad] * (len(digits) & 1)
        odd = [pad] * (len(digits) & 1) + digits
        for nibbles in (even, odd):
            pairs = range(0, len(nibbles), 2)
            found.append(bytes(nibbles[at] << 4 | nibbles[at + 1] for at in pairs))
            found.append(bytes(nibbles[at + 1] << 4 | nibbles[at] for at in pairs))
    return found + forms_of_octets(int(text).to_bytes(4, "big"))


def hits(chip, secrets):
    """Names of the secrets of which some form stands in the dump."""
    dump = chip.image()
    return [name for name in secrets if any(form in part for form in secrets[name] for part in dump)]


class Story:
    """The life of a lock, and what is looked for after each turn of it."""

    def __init__(self, chip, score):
        self.chip = chip
        self.score = score
        self.codes = {}
        self.secrets = {}

    def check(self, when, secrets):
        self.score.n += len(secrets)
        for name in hits(self.chip, secrets):
            self.score.fail("%s: %s can be read" % (when, name))

    def own(self):
        """A lock with an owner, codes that were added, changed, used and deleted, and wrong ones that were typed."""
        chip = self.chip
        chip.format()
        world = LockWorld(chip)
        world.start(False)
        pair(world)
        world.disconnect()
        world.connect()
        world.log_in()
        client, code = passcode_client, opcodes.PASSCODE
        world.ask(opcodes.SET_ADMIN_PASSCODE, pairing.set_admin_passcode(_ADMIN_CODE))
        for digits in (_KEPT, _CHANGED, _GONE):
            world.ask(code, client.add(client.PERMANENT, digits))
        world.ask(code, client.modify(client.PERMANENT, _CHANGED, _NEW))
        world.disconnect()
        for digits in (_KEPT, _GONE, _WRONG):
            world.type(digits + "#")
            world.wait(7000)
        world.connect()
        world.log_in()
        world.ask(code, client.delete(client.PERMANENT, _GONE))
        for n in range(30):
            world.ask(code, client.add(client.PERMANENT, "%09d" % (700000000 + n)))
        world.disconnect()
        names = {"kept": _KEPT, "changed": _CHANGED, "new": _NEW, "deleted": _GONE, "typed wrong": _WRONG}
        names["admin passcode"] = _ADMIN_CODE
        self.codes = {"code " + name: forms_of_digits(names[name]) for name in names}
        self.secrets = dict(self.codes)
        self.secrets["lock key"] = forms_of_octets(world.client_key)
        self.secrets["admin number"] = forms_of_number(ADMIN_PS)
        self.secrets["unlock key"] = forms_of_number(UNLOCK_KEY)
        return world

    def reset(self, world, by_link):
        """Begin a reset and carry it out."""
        if by_link:
            world.connect()
            world.log_in()
            world.plain(opcodes.RESET, empty=True)
            world.disconnect()
        else:
            world.button.active = True
            world.wait(5200)
            world.button.active = False
            world.type("000#")


def _device_keys():
    """The device storage key as it stands in NVS, by entry."""
    return [board.nvs_get(_SPACE, name) for name in vaults.KEY_NAMES]


def lock_story(chip, score, every):
    """Deletion, then a reset, undisturbed and with the power cut at its operations."""
    story = Story(chip, score)
    world = story.own()
    story.check("in use", story.secrets)
    keys = _device_keys()
    control = {"device key": forms_of_octets(keys[0])}
    score.n += 1
    if keys[0] != keys[1] or not hits(chip, control):
        score.fail("the search does not find what is there")
    image, physical = chip.image(), world.physical()
    story.secrets["device key"] = control["device key"]
    for by_link in (True, False):
        at = -1
        while True:
            tear = TEARS[at % len(TEARS)]
            chip.load(image)
            world.revert(physical)
            chip.boot()
            world.start()
            if at >= 0:
                chip.power.cut_after(at, tear, at)
            try:
                story.reset(world, by_link)
                is_cut = False
            except PowerCut:
                is_cut = True
                world.power_lost()
                chip.boot()
                world.start()
                if world.device.stores.keys.is_paired:
                    story.reset(world, by_link)
            score.n += 1
            if world.device.stores.keys.is_paired:
                score.fail("not reset")
            story.check("reset, link %d, cut at %d %s" % (by_link, at, tear), story.secrets)
            if at >= 0 and not is_cut:
                break
            at = 0 if at < 0 else at + every


def gateway_story(chip, score):
    """A lock that is served, then forgotten."""
    chip.format()
    world = GatewayWorld(chip)
    world.start()
    lock = known_lock(b"\x01\x02\x03\x04\x05\x06")
    lock.aes = bytes((n * 37 + 11) & 0xFF for n in range(16))
    lock.admin_ps, lock.unlock_key = ADMIN_PS, UNLOCK_KEY
    secrets = {
        "lock key": forms_of_octets(lock.aes),
        "admin number": forms_of_number(ADMIN_PS),
        "unlock key": forms_of_number(UNLOCK_KEY),
    }
    story = Story(chip, score)
    world.registry.add(lock)
    for clock_s in range(40):
        lock.clock_s = clock_s
        world.registry.save(lock)
    story.check("gateway, served", secrets)
    world.gateway_ops.forget({"mac": lock.id})
    story.check("gateway, forgotten", secrets)


def main():
    every = json.loads(sys.argv[1])
    chip = Chip()
    score = Score()
    lock_story(chip, score, every)
    gateway_story(chip, score)
    print(
        json.dumps({"n": score.n, "failures": score.failures, "figures": {"dump_bytes": sum(map(len, chip.image()))}})
    )


main()
