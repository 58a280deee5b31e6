"""Every flow of the lock that stores something, each from an image in which there is something to lose."""

from firmware.lib import crypto, dates, offline_codes, opcodes, records
from firmware.lib.messages import (
    card_client,
    cyclic_client,
    ekey_client,
    passage_client,
    passcode_client,
    session_client,
    settings_client,
)
from firmware.lib.messages import pairing_client as pairing
from firmware.system import store
from firmware.system.journal import Journal
from tests.faults.programs import held_flows
from tests.faults.programs.cuts import DATA, Flow
from tests.faults.programs.lock_world import LockWorld
from tests.unit.lock_rig import ADMIN_PS, UNLOCK_KEY

ADMIN_CODE = "7319246"
PERMANENT, ONCE, OTHER, NEW = "864209", "975310", "112233", "445566"
WRONG = "000111#"
EKEY = ekey_client.FIRST_UID  # of a person with EKEY_SECRET; the next one opens once, with the same
EKEY_SECRET = 1357913579
_SEEDS = pairing.init_passwords(2026, [(n, n + 7) for n in range(10)])
_SECRET = offline_codes.secret(_SEEDS)
_HOUR = dates.to_minutes((2026, 5, 11, 14, 0)) // 60  # in which the lock is paired
MADE, MADE_ONCE, MADE_ERASE = (offline_codes.digits(_SECRET, kind, _HOUR, 0) for kind in (2, 1, 4))
ERASE_CODE = "9753102"
CARD, LONG_CARD, LOST = b"\xda\x3c\xbc\x66", b"\x00\x04\x11\x22\x33\x44\x55\x66", b"\x00\x00\x10\x01"
_HOURS = cyclic_client.window(cyclic_client.WEEKLY, 1, 480, 1020)
_START = (2026, 1, 1, 0, 0)
_END = (2026, 12, 31, 0, 0)
_NOT_NOW = 11
_WALKED = 18  # the cursor is written down after 16, and at the end


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
        while world.lock.keypad.is_busy:
            world.wait(20)
        world.wait(400)
        world.ack()

    return _step("type", run)


def _presented(card):
    def run(world):
        world.lock.reader.present("card", card, world.now_ms)
        world.wait(400)
        world.ack()

    return _step("card", run)


def _operated(command):
    def run(world):
        world.connect()
        world.attempt(lambda: world.operate(command))
        world.disconnect()

    return _step("%02x" % command, run)


def _ekey_opens(uid):
    def run(world):
        world.connect()
        world.attempt(lambda: world.operate(opcodes.UNLOCK, uid, EKEY_SECRET))
        world.disconnect()

    return _step("ekey opens", run)


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


def pair(world):
    if world.device.stores.keys.is_paired:  # done again: it was finished, and the answer was lost
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
    world.ask(opcodes.INIT_PASSWORDS, _SEEDS)
    world.ask(opcodes.PAIRING_DONE, pairing.finished())
    world.ack()


def _disconnect(world):
    if world.engine.session is not None:
        world.disconnect()
    world.ack()


def _promise(world):
    """0x52: from its answer on the lock will be nobody's, whatever happens."""
    if world.device.stores.keys.is_paired:
        world.connect()
        world.log_in()
        assert world.plain(opcodes.RESET, empty=True) == b""
    world.ack()


def _confirm(world):
    if world.device.stores.keys.is_paired:
        world.button.active = True
        world.wait(5200)
        world.button.active = False
        world.type("000#")
    world.ack()


def _walk(world):
    world.connect()
    for _ in range(_WALKED):
        world.wait(2100, 100)  # the same bytes sooner would be taken for a repeat
        after, _ = session_client.log_page(world.ask(opcodes.LOG, session_client.log_request(0xFFFF)))
        if after is None:  # done again, it comes to the end
            break
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


def owned_image(chip):
    """(image, function chip -> world) of a lock that has an owner, codes and records."""
    return _images(chip)[1]


def _own(world, count):
    """Pair, add codes and settings, leave records and two wrong entries behind."""
    pair(world)
    world.disconnect()
    world.connect()
    world.log_in()
    world.ask(opcodes.PASSCODE, passcode_client.add(passcode_client.PERMANENT, PERMANENT))
    world.ask(opcodes.PASSCODE, passcode_client.add(passcode_client.ONCE, ONCE, _START, _END))
    world.ask(opcodes.PASSCODE, passcode_client.add(passcode_client.PERIOD, OTHER, _START, _END))
    world.ask(opcodes.CARD, card_client.add(CARD))
    world.ask(opcodes.CARD, card_client.mark_lost(LOST))
    world.ask(opcodes.EKEY, ekey_client.add(EKEY, EKEY_SECRET, _START, _END))
    world.ask(opcodes.EKEY, ekey_client.add(EKEY + 1, EKEY_SECRET, flags=ekey_client.ONCE))
    world.ask(opcodes.AUTO_LOCK, settings_client.auto_lock_set(0))
    world.disconnect()
    held_flows.own(world)
    for n in range(count):
        world.device.record(_NOT_NOW, records.by_code(b"%06d" % n))
    world.type(WRONG)
    world.type(WRONG)


def _holds(digits, state):
    return any(digits.encode() in item[1][: 2 + item[1][1]] for item in state["passcodes"])


def _told(kind, state):
    return state["records"][-1][0] == kind


def flows(chip):
    """All of them, each with what must be there at its end if nothing happens."""
    chip.format()
    blank = chip.image()
    (fresh, new), (owned, owner), (full, of_full), (wrapping, of_wrapping) = _images(chip)

    def flow(name, expect, *steps):
        return Flow(name, owned, owner, steps, expect)

    def once(chip):
        world = owner(chip)
        world.most_moves = 1
        world.consumes = ONCE.encode()
        return world

    def once_offline(chip):
        world = owner(chip)
        world.most_moves = 1
        world.is_offline_once = True
        return world

    def once_ekey(chip):
        world = owner(chip)
        world.most_moves = 1
        world.once_uid = EKEY + 1
        return world

    def walker(chip):
        world = owner(chip)
        world.delivered = 0
        return world

    def is_paired(states):
        last = states[-1]
        return last["keys"] == (True, ADMIN_PS, UNLOCK_KEY, ADMIN_CODE.encode()) and last["seeds"] and last["clock"]

    def is_reset(states):
        nobody = [each for each in states if each["keys"] is None]
        counted = [each["counters"] for each in states]
        left = [
            each
            for each in nobody
            if each["passcodes"] or each["records"] or each["options"]["remote_unlock"] or each["seeds"]
        ]
        left += [each for each in nobody if each["cards"] or each["fingers"] or each["fobs"]]
        left += [each for each in nobody if each["ekeys"] != [(0, EKEY)]]
        return nobody and not left and counted == [states[0]["counters"]] * len(states) and is_paired(states)

    def counts(states):
        keypad = [each["counters"][2] for each in states]
        return keypad == [(2, 2), (3, 3), (4, 4), (5, 5), (5, 5)] and _told(48, states[3]) and _told(7, states[1])

    fingers, fobs = held_flows.steps(_step, _as_admin)
    kinds = passcode_client
    code = opcodes.PASSCODE
    pairing_steps = [_step("pair", pair), _step("link down", _disconnect)]
    link_reset = [_step("promise", _promise), _step("link down", _disconnect)]
    return [
        Flow("first start", blank, LockWorld, [], lambda states: states[0]["keys"] is None),
        Flow("pair", fresh, new, pairing_steps, is_paired),
        flow("start", is_paired, _step("nothing", lambda world: world.ack())),
        flow(
            "unlock, lock",
            lambda states: _told(1, states[1]) and _told(26, states[2]),
            _operated(opcodes.UNLOCK),
            _operated(opcodes.LOCK),
        ),
        flow(
            "add code",
            lambda states: _holds(NEW, states[1]) and _told(93, states[1]),
            _as_admin("add", code, kinds.add(kinds.PERMANENT, NEW)),
        ),
        flow(
            "change code",
            lambda states: _holds(NEW, states[1]) and not _holds(PERMANENT, states[1]) and _told(5, states[1]),
            _as_admin("change", code, kinds.modify(kinds.PERMANENT, PERMANENT, NEW)),
        ),
        flow(
            "delete code",
            lambda states: not _holds(PERMANENT, states[1]) and _holds(OTHER, states[1]) and _told(6, states[1]),
            _as_admin("delete", code, kinds.delete(kinds.PERMANENT, PERMANENT)),
        ),
        flow(
            "clear codes",
            lambda states: not states[1]["passcodes"] and _told(8, states[1]),
            _as_admin("clear", code, kinds.clear()),
        ),
        flow(
            "code made without the lock",
            lambda states: _holds(MADE, states[1]) and _told(4, states[1]) and _told(4, states[2]),
            _typed(MADE + "#"),
            _typed(MADE + "#"),
        ),
        flow(
            "deleted after its first use",
            lambda states: not _holds(MADE, states[2]) and _told(7, states[3]),
            _typed(MADE + "#"),
            _as_admin("delete", code, kinds.delete(kinds.PERMANENT, MADE)),
            _typed(MADE + "#"),
        ),
        Flow(
            "once, made without the lock",
            owned,
            once_offline,
            [_typed(MADE_ONCE + "#")],
            lambda states: states[0]["offline"] != states[1]["offline"] and _told(4, states[1]),
        ),
        flow(
            "erasure",
            lambda states: states[0]["passcodes"] and not states[1]["passcodes"] and _told(8, states[1]),
            _typed(MADE_ERASE + "#"),
        ),
        flow(
            "owner's erasure",
            lambda states: not states[2]["passcodes"] and _told(8, states[2]),
            _as_admin("erase code", opcodes.SET_ERASE_CODE, kinds.set_erase_code(ERASE_CODE)),
            _typed(ERASE_CODE + "#"),
        ),
        flow(
            "other seeds",
            lambda states: states[0]["seeds"] != states[1]["seeds"] and not states[2]["passcodes"],
            _as_admin("seeds", opcodes.INIT_PASSWORDS, _SEEDS[:-1] + b"\x01"),
            _as_admin("clear", code, kinds.clear()),
        ),
        flow(
            "recover, erase code",
            lambda states: (
                _holds(NEW, states[1])
                and [each["erase"] for each in states] == [b"", b"", ERASE_CODE.encode(), ERASE_CODE.encode(), b""]
                and states[2]["passcodes"]
                and not states[3]["passcodes"]
            ),
            _as_admin("recover", code, kinds.recover(kinds.PERMANENT, NEW)),
            _as_admin("erase set", opcodes.SET_ERASE_CODE, kinds.set_erase_code(ERASE_CODE)),
            _typed(ERASE_CODE + "#"),
            _as_admin("erase off", opcodes.SET_ERASE_CODE, kinds.set_erase_code("")),
        ),
        flow("type code", lambda states: _told(4, states[1]), _typed(PERMANENT + "#")),
        Flow(
            "once",
            owned,
            once,
            [_typed(ONCE + "#")],
            lambda states: _holds(ONCE, states[0]) and not _holds(ONCE, states[1]) and _told(4, states[1]),
        ),
        flow(
            "name",
            lambda states: [each["name"] for each in states] == ["", "Porch", "Gate"],
            _as_admin("name", opcodes.LOCK_NAME, b"Porch"),
            _as_admin("name", opcodes.LOCK_NAME, b"Gate"),
        ),
        flow(
            "ekeys",
            lambda states: (
                [[each[1] - EKEY for each in state["ekeys"]] for state in states]
                == [[2, 0, 1], [3, 0, 1, 2], [3, 0, 1, 2], [3, 1, 2], [3]]
                and [state["ekeys"][0][0] for state in states] == [0, 0, 0, 0, 1]
            ),
            *_ekeys(),
        ),
        flow("fingers", held_flows.fingers_are_right, *fingers),
        flow("fobs", held_flows.fobs_are_right, *fobs),
        Flow(
            "ekey once",
            owned,
            once_ekey,
            [_ekey_opens(EKEY + 1)],
            lambda states: len(states[0]["ekeys"]) == 3 and len(states[1]["ekeys"]) == 2 and _told(1, states[1]),
        ),
        flow(
            "cards",
            lambda states: (
                [[each[1] for each in state["cards"]] for state in states]
                == [
                    [CARD, LOST],
                    [CARD, LONG_CARD, LOST],
                    [CARD, LONG_CARD, LOST],
                    [LONG_CARD, LOST],
                    [LONG_CARD, LOST, LONG_CARD],
                    [LOST, LONG_CARD],
                    [CARD, LOST, LONG_CARD],
                    [CARD, LONG_CARD],
                ]
                and _told(16, states[5])
            ),
            *_cards(),
        ),
        flow(
            "hours of a card",
            lambda states: states[0]["cards"] != states[1]["cards"] and states[0]["cards"] == states[2]["cards"],
            _as_admin("hours", opcodes.CYCLIC, cyclic_client.add(cyclic_client.CARD, CARD, _HOURS)),
            _as_admin("no hours", opcodes.CYCLIC, cyclic_client.remove(cyclic_client.CARD, CARD, _HOURS)),
        ),
        flow("card opens", lambda states: _told(17, states[1]), _presented(CARD)),
        flow("wrong entries", counts, *[_typed(WRONG) for _ in range(4)]),
        flow("settings", _are_set(autolock_s=30, sound=0, remote_unlock=1, passcode_display=0), *_settings()),
        flow(
            "switches",
            _are_set(privacy=1, tamper=1, volume=2, frozen=1, wrong_limit=3, direction=2, lamp_s=5),
            *_switches(),
        ),
        flow("windows", lambda states: [len(each["passage"]) for each in states] == [0, 1, 2, 1, 0], *_windows()),
        flow(
            "admin code",
            lambda states: [each["keys"][3] for each in states] == [ADMIN_CODE.encode(), b"5550123", b""],
            *_admin_codes(),
        ),
        flow(
            "clock",
            lambda states: states[1]["clock"],
            _as_admin("set", opcodes.SET_CLOCK, session_client.set_clock((2026, 6, 1, 12, 0, 0))),
        ),
        flow("button", lambda states: _told(46, states[1]) and _told(47, states[2]), _pressed(300), _pressed(300)),
        Flow("walk", owned, walker, [_step("walk", _walk)], lambda states: states[1]["cursor"] == _WALKED),
        flow("reset by link", is_reset, *link_reset, *pairing_steps),
        flow("reset by button", is_reset, _step("confirm", _confirm), *pairing_steps),
        Flow("full store", full, of_full, [_recorded(1000 + n) for n in range(32)], _last_is(1031)),
        Flow("numbers wrap", wrapping, of_wrapping, [_recorded(2000 + n) for n in range(12)], _last_is(2011)),
    ]


def _last_is(n):
    return lambda states: states[-1]["records"][-1][1] == records.by_code(b"%06d" % n)


def _settings():
    client = settings_client
    return (
        _as_admin("auto-lock", opcodes.AUTO_LOCK, client.auto_lock_set(30)),
        _as_admin("switch", opcodes.REMOTE_UNLOCK, b"\x02\x01"),
        _as_admin("sound", opcodes.SOUND, client.sound_set(False)),
        _as_admin("screen", opcodes.PASSCODE_DISPLAY, client.screen_set(False)),
    )


def _are_set(**wanted):
    return lambda states: all(states[-1]["options"][name] == wanted[name] for name in wanted)


def _switches():
    client = settings_client
    return (
        _as_admin("two switches", opcodes.SWITCHES, b"\x02\x03\x03"),
        _as_admin("lamp", opcodes.LAMP, client.lamp_set(5)),
        _as_admin("volume", opcodes.SOUND, settings_client.sound_set(True, 2)),
        _as_admin("number", opcodes.SETTING, client.number_set(client.WRONG_LIMIT, 3)),
        _as_admin("direction", opcodes.UNLOCK_DIRECTION, client.direction_set(2)),
        _as_admin("freeze", opcodes.FREEZE, client.freeze(True)),
    )


def _windows():
    raws = [passage_client.window(passage_client.WEEKLY, 0, 0, *hours) for hours in ((0, 1440), (480, 600))]
    command = opcodes.PASSAGE
    return (
        _as_admin("window add", command, passage_client.add(raws[0])),
        _as_admin("window add", command, passage_client.add(raws[1])),
        _as_admin("window delete", command, passage_client.delete(raws[0])),
        _as_admin("windows clear", command, passage_client.clear()),
    )


def _cards():
    command = opcodes.CARD
    client = card_client
    return (
        _as_admin("card add", command, client.add(LONG_CARD)),
        _as_admin("card change", command, client.modify(CARD, _START, _END)),
        _as_admin("card delete", command, client.delete(CARD)),
        _as_admin("card lost", command, client.mark_lost(LONG_CARD)),
        _as_admin("cards clear", command, client.clear()),
        _as_admin("card after", command, client.add(CARD, _START, _END)),
        _as_admin("card found", command, client.unmark_lost(LOST)),
    )


def _ekeys():
    command = opcodes.EKEY
    return (
        _as_admin("ekey add", command, ekey_client.add(EKEY + 2, 99, _START, _END)),
        _as_admin("ekey freeze", command, ekey_client.modify(EKEY, _START, _END, ekey_client.FROZEN)),
        _as_admin("ekey revoke", command, ekey_client.revoke(EKEY)),
        _as_admin("ekeys reset", command, ekey_client.reset(1)),
    )


def _admin_codes():
    command = opcodes.SET_ADMIN_PASSCODE
    return (
        _as_admin("set", command, pairing.set_admin_passcode("5550123")),
        _as_admin("delete", command, pairing.set_admin_passcode("")),
    )
