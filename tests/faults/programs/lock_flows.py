"""Every flow of the lock that stores something, each from an image in which there is something to lose."""

from firmware.lib import crypto, opcodes, records
from firmware.lib.messages import log_client, passcode_client, session_client, settings_client
from firmware.lib.messages import pairing_client as pairing
from firmware.system import store
from firmware.system.journal import Journal
from tests.faults.programs.cuts import DATA, Flow
from tests.faults.programs.lock_world import LockWorld
from tests.unit.lock_rig import ADMIN_PS, UNLOCK_KEY

ADMIN_CODE = "7319246"
PERMANENT, ONCE, OTHER, NEW = "864209", "975310", "112233", "445566"
WRONG = "000111#"
_START = (2026, 1, 1, 0, 0)
_END = (2026, 12, 31, 0, 0)
_NOT_NOW = 11


def _step(label, action):
    def run(world):
        world.moved_before = world.pins.movements
        action(world)

    return label, run


def _as_admin(label, command, plain):
    """One request of an administrator on a link of its own."""

    def run(world):
        world.connect()
        world.log_in()
        world.attempt(lambda: world.ask(command, plain))
        world.disconnect()

    return _step(label, run)


def _typed(digits):
    def run(world):
        world.type(digits)
        world.wait(400)
        world.ack()

    return _step("type", run)


def _operated(command):
    def run(world):
        world.connect()
        world.attempt(lambda: world.operate(command))
        world.disconnect()

    return _step("%02x" % command, run)


def _pressed(ms):
    def run(world):
        world.button.active = True
        world.wait(ms)
        world.button.active = False
        world.wait(400)
        world.ack()

    return _step("button %d ms" % ms, run)


def _recorded(n):
    def run(world):
        world.device.record(_NOT_NOW, records.by_code(b"%06d" % n))
        world.ack()

    return _step("record %d" % n, run)


def _pair(world):
    if world.device.keys.is_paired:  # done again: it was finished, and the answer was lost
        world.ack()
        return
    world.key = crypto.DEFAULT_KEY
    world.lock.keypad.touch(world.now_ms)
    world.connect()
    world.ask(opcodes.INIT, pairing.init(), empty=True)
    world.key = world.client_key = pairing.aes_key(world.ask(opcodes.GET_AES_KEY, pairing.get_aes_key()))
    pairing.admin_added(world.ask(opcodes.ADD_ADMIN, pairing.add_admin(ADMIN_PS, UNLOCK_KEY)))
    world.ask(opcodes.SET_CLOCK, session_client.set_clock((2026, 5, 11, 14, 23, 7)))
    world.ask(opcodes.SET_ADMIN_PASSCODE, pairing.set_admin_passcode(ADMIN_CODE))
    world.ask(opcodes.INIT_PASSWORDS, pairing.init_passwords(2026, [(n, n + 7) for n in range(10)]))
    world.ask(opcodes.PAIRING_DONE, pairing.finished())
    world.ack()


def _disconnect(world):
    if world.engine.session is not None:
        world.disconnect()
    world.ack()


def _promise(world):
    """0x52: from its answer on the lock will be nobody's, whatever happens."""
    if world.device.keys.is_paired:
        world.connect()
        world.log_in()
        assert world.plain(opcodes.RESET, empty=True) == b""
    world.ack()


def _confirm(world):
    if world.device.keys.is_paired:
        world.button.active = True
        world.wait(5200)
        world.button.active = False
        world.type("000#")
    world.ack()


def _walk(world):
    world.connect()
    for _ in range(25):
        after, _ = log_client.page(world.ask(opcodes.LOG, log_client.request(0xFFFF)))
        world.delivered = after - 1
    world.disconnect()
    world.ack()


def _images(chip):
    """(fresh, owned, full, wrapping), each a function chip -> world and the image it starts from."""
    made = []
    for first, count in ((None, 0), (0, 25), (0, 620), (65510, 20)):
        chip.format()
        if first:
            store.make_folder(DATA + "/ring")
            Journal(DATA + "/ring", 50, 11, first)
        world = LockWorld(chip)
        world.start(False)
        if first is not None:
            _own(world, count)
        key, rtc = world.client_key, world.rtc
        made.append((chip.image(), lambda chip, rtc=rtc, key=key: LockWorld(chip, rtc, key)))
    return made


def _own(world, count):
    """Pair, add codes and settings, leave records and two wrong entries behind."""
    _pair(world)
    world.disconnect()
    world.connect()
    world.log_in()
    world.ask(opcodes.PASSCODE, passcode_client.add(passcode_client.PERMANENT, PERMANENT))
    world.ask(opcodes.PASSCODE, passcode_client.add(passcode_client.ONCE, ONCE, _START, _END))
    world.ask(opcodes.PASSCODE, passcode_client.add(passcode_client.PERIOD, OTHER, _START, _END))
    world.ask(opcodes.AUTO_LOCK, settings_client.auto_lock_set(0))
    world.disconnect()
    for n in range(count):
        world.device.record(_NOT_NOW, records.by_code(b"%06d" % n))
    world.type(WRONG)
    world.type(WRONG)


def flows(chip):
    """All of them."""
    (fresh, new), (owned, owner), (full, of_full), (wrapping, of_wrapping) = _images(chip)

    def flow(name, *steps):
        return Flow(name, owned, owner, steps)

    def once(chip):
        world = owner(chip)
        world.most_moves = 1
        return world

    def walker(chip):
        world = owner(chip)
        world.delivered = 0
        return world

    kinds = passcode_client
    code = opcodes.PASSCODE
    start = _step("again", lambda world: world.ack())
    pair = [_step("pair", _pair), _step("link down", _disconnect)]
    link_reset = [_step("promise", _promise), _step("link down", _disconnect)]
    return [
        Flow("pair", fresh, new, pair),
        flow("start", start),
        flow("unlock, lock", _operated(opcodes.UNLOCK), _operated(opcodes.LOCK)),
        flow("add code", _as_admin("add", code, kinds.add(kinds.PERMANENT, NEW))),
        flow("change code", _as_admin("change", code, kinds.modify(kinds.PERMANENT, PERMANENT, NEW))),
        flow("delete code", _as_admin("delete", code, kinds.delete(kinds.PERMANENT, PERMANENT))),
        flow("clear codes", _as_admin("clear", code, kinds.clear())),
        flow("type code", _typed(PERMANENT + "#")),
        Flow("once", owned, once, [_typed(ONCE + "#")]),
        flow("wrong entries", *[_typed(WRONG) for _ in range(4)]),
        flow("settings", *_settings()),
        flow("admin code", *_admin_codes()),
        flow("clock", _as_admin("set", opcodes.SET_CLOCK, session_client.set_clock((2026, 6, 1, 12, 0, 0)))),
        flow("button", _pressed(300), _pressed(300)),
        Flow("walk", owned, walker, [_step("walk", _walk)]),
        flow("reset by link", *link_reset, *pair),
        flow("reset by button", _step("confirm", _confirm), *pair),
        Flow("full store", full, of_full, [_recorded(1000 + n) for n in range(32)]),
        Flow("numbers wrap", wrapping, of_wrapping, [_recorded(2000 + n) for n in range(12)]),
    ]


def _settings():
    client = settings_client
    return (
        _as_admin("auto-lock", opcodes.AUTO_LOCK, client.auto_lock_set(30)),
        _as_admin("switch", opcodes.REMOTE_UNLOCK, b"\x02\x01"),
        _as_admin("sound", opcodes.SOUND, client.sound_set(False)),
        _as_admin("screen", opcodes.PASSCODE_DISPLAY, client.screen_set(False)),
    )


def _admin_codes():
    command = opcodes.SET_ADMIN_PASSCODE
    return (
        _as_admin("set", command, pairing.set_admin_passcode("5550123")),
        _as_admin("delete", command, pairing.set_admin_passcode("")),
    )
