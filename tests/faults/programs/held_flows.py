"""Flows of what is held to the lock: fingers, fobs, and the hours of both. A part of `lock_flows`."""

from firmware.lib import opcodes
from firmware.lib.messages import cyclic_client
from firmware.lib.messages import fingerprint_client as prints

FINGER, OTHER, NEW = b"\0\0\0\0\0\0\0\x07", b"\0\0\0\0\0\0\0\x08", b"\0\0\0\0\0\0\0\x09"
MAC, NEW_MAC = b"\xc0\xff\xee\0\0\x01", b"\xc0\xff\xee\0\0\x02"
FOB, NEW_FOB = bytes(reversed(MAC)), bytes(reversed(NEW_MAC))
_START = (2026, 1, 1, 0, 0)
_END = (2026, 12, 31, 0, 0)
_FIRST = 0x10000  # the number of FINGER
_WINDOW = cyclic_client.window(cyclic_client.DAILY, 0, 0, 1440)


def own(world):
    """What the owner of the image has: two fingers, a fob, and hours of both."""
    world.device.stores.fingerprints.add(FINGER)
    world.device.stores.fingerprints.add(OTHER)
    world.device.stores.fobs.add(FOB, 100)
    for store, which in (
        (world.device.stores.fingerprints, _FIRST.to_bytes(6, "big")),
        (world.device.stores.fobs, FOB),
    ):
        assert store.set_windows(which, _WINDOW) is None


def state(device):
    """(fingers, fobs) with their limits and hours. Without the counters: a cut costs one of them, which is no harm."""
    fingers, fobs = [], []
    found = device.stores.fingerprints.at(0)
    while found is not None:
        fingers.append((found[0], found[2], device.stores.fingerprints.windows(found[1])))
        found = device.stores.fingerprints.at(found[0] + 1)
    found = device.stores.fobs.at(0, 0)
    while found is not None:
        fobs.append(found[:3] + (device.stores.fobs.windows(found[1]),))
        found = device.stores.fobs.at(found[0] + 1, 0)
    return fingers, fobs


def enrol(world):
    """Five presses of NEW on a link of its own."""
    world.connect()
    world.log_in()
    world.ask(opcodes.FINGERPRINT, prints.enrol())
    for _ in range(5):
        world.lock.reader.present("finger", NEW, world.now_ms)
        world.wait(600)
    world.disconnect()
    assert world.device.stores.fingerprints.knows(NEW)
    world.ack()


def _held(finger):
    def run(world):
        world.lock.reader.present("finger", finger, world.now_ms)
        world.wait(400)
        world.ack()

    return run


def _pressed(address):
    def run(world):
        world.lock.reader.press_fob(address, 1, 80, world.now_ms)
        world.wait(400)
        world.ack()

    return run


def _kinds(states):
    """The newest record of each state behind the first."""
    return [each["records"][-1][0] for each in states[1:]]


def fingers_are_right(states):
    counts = [len(each["fingers"]) for each in states]
    changed = states[2]["fingers"][0]
    return counts == [2, 3, 3, 3, 3, 2, 0] and changed[1][0] == 26 and changed[2] and _kinds(states)[3:] == [20, 23, 24]


def fobs_are_right(states):
    counts = [len(each["fobs"]) for each in states]
    return counts == [1, 2, 2, 2, 2, 1, 0] and _kinds(states)[:1] == [99] and _kinds(states)[3:] == [55, 100, 101]


def steps(step, as_admin):
    """(steps with fingers, steps with fobs)."""
    finger, fob, hours = opcodes.FINGERPRINT, opcodes.KEY_FOB, opcodes.CYCLIC
    number = prints.number_of(MAC)
    first = _FIRST.to_bytes(6, "big")
    return (
        (
            step("enrol", enrol),
            as_admin("finger period", finger, prints.modify(_FIRST, _START, _END)),
            as_admin("finger hours", hours, cyclic_client.add(cyclic_client.FINGERPRINT, first, _window(1))),
            step("finger", _held(NEW)),
            as_admin("finger delete", finger, prints.delete(_FIRST)),
            as_admin("fingers clear", finger, prints.clear()),
        ),
        (
            as_admin("fob bind", fob, prints.bind(NEW_MAC)),
            as_admin("fob hours", hours, cyclic_client.clear(cyclic_client.FOB, FOB)),
            as_admin("fob period", fob, prints.modify(number, _START, _END)),
            step("fob", _pressed(FOB)),
            as_admin("fob delete", fob, prints.delete(number)),
            as_admin("fobs clear", fob, prints.clear()),
        ),
    )


def _window(day):
    return cyclic_client.window(cyclic_client.WEEKLY, day, 480, 1080)
