"""setting_get and _set, autolock_get and _set, freeze, unfreeze, name_set: a lock's switches and numbers, each change
read back where the lock can be asked.

A switch is true or false, a number has its unit in its name, a choice is a word. Names: domain.md 3.13. The
remote-unlock switch is not among them: it is changed beside the lock only (security.md 3.7).
Source: lock-ble-commands.md 6; domain.md 3.4.
"""

from firmware.gateway.operations.arguments import number, only, switch, word
from firmware.lib import opcodes
from firmware.lib.compat import const, is_shown
from firmware.lib.errors import BadRequest, LockRefused, Unsupported
from firmware.lib.messages import settings_client as client

_MAX_NAME = const(20)
_SWITCH = (0, 1)  # the range of what is true or false
_DIRECTIONS = ("default", "clockwise", "counter_clockwise")
_LANGUAGES = ("none", "zh", "en", "es", "fr", "de", "pt", "it", "ru")
_WORDS = {"on": True, "off": False}

# name: (lowest and highest or words, what speaks for it, number of it there)
_TABLE: dict = {
    "sound": (_SWITCH, "sound", 0),
    "volume": ((1, 5), "sound", 1),
    "privacy": (_SWITCH, "switches", client.PRIVACY),
    "tamper": (_SWITCH, "switches", client.TAMPER),
    "reset_button": (_SWITCH, "switches", client.RESET_BUTTON),
    "passage_auto_unlock": (_SWITCH, "switches", client.PASSAGE_UNLOCK),
    "passcode_display": (_SWITCH, "screen", 0),
    "lamp_s": ((0, 255), "lamp", 0),
    "direction": (_DIRECTIONS, "direction", 0),
    "language": (_LANGUAGES, "number", client.LANGUAGE),
    "wrong_limit": ((1, 5), "number", client.WRONG_LIMIT),
    "lockout_s": ((300, 3600), "number", client.LOCKOUT_S),
    "door_alarm_s": ((0, 65535), "number", client.DOOR_ALARM_S),
}


def check(op, args):
    """`seconds` of auto-lock; `name` of the lock; of settings `name` (for the query: or all), and for the change
    `value` -> the value as the lock takes it."""
    if op == "autolock_set":
        number(only(args, "seconds"), "seconds", 0, 0xFFFF)
    elif op == "name_set":
        _check_name(only(args, "name").get("name"))
    elif op == "setting_set":
        name = word(only(args, "name", "value"), "name", sorted(_TABLE))
        return {"name": name, "value": _value(name, args)}
    elif op == "setting_get":
        if only(args, "name").get("name") is not None:
            word(args, "name", sorted(_TABLE))
    else:
        only(args)
    return args


def _check_name(name):
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= _MAX_NAME:
        raise BadRequest("name must be a text of 1 to 20 bytes")
    if not is_shown(name):
        raise BadRequest("name must hold no control characters and no bidi marks")


def judge(op, args, lock):
    """Whether the lock has the setting that is named."""
    if op.startswith("setting") and args.get("name") is not None and not _has(lock, args["name"]):
        raise Unsupported("the lock has no setting %s" % args["name"])


def _has(lock, name):
    if _TABLE[name][1] == "number" and lock.model and not lock.is_own:  # 0xe6 is ours
        return False
    return not lock.lacks(name)


def _value(name, args):
    values = _TABLE[name][0]
    if values is _SWITCH:
        value = args.get("value")
        if isinstance(value, str):
            args = {"value": _WORDS.get(value)}
        return int(switch(args, "value", None))
    if isinstance(values[0], str):
        return values.index(word(args, "value", values))
    return number(args, "value", *values)


def _shown(name, value):
    values = _TABLE[name][0]
    if values is _SWITCH:
        return bool(value)
    if isinstance(values[0], str):
        return values[value] if value < len(values) else None
    return value


# --- by name


async def setting_get(job, session):
    """One or all -> {"settings": {name: value}}."""
    lock = session.lock
    name = job.args.get("name")
    answers: dict = {}
    values = {}
    for each in sorted(_TABLE) if name is None else (name,):
        if name is None and not _has(lock, each):
            continue
        value = await _get(session, each, answers)
        if value is not None:
            values[each] = _shown(each, value)
    job.context.registry.update(lock, settings=values)
    return {"settings": values}


async def setting_set(job, session):
    """Change one, and read it back."""
    name, value = job.args["name"], job.args["value"]
    await _set(session, name, value)
    result = await setting_get(job, session)
    if result["settings"].get(name) != _shown(name, value):
        raise LockRefused("the lock accepted the change, and keeps another value")
    return result


async def _get(session, name, answers):
    """The value as the lock says it; None when it says nothing of it. `answers` keeps what was asked before."""
    _, kind, which = _TABLE[name]
    key = (kind, which) if kind == "number" else kind
    if key not in answers:
        answers[key] = await _read(session, kind, which)
    answer = answers[key]
    if kind == "switches":
        return answer >> which & 1
    return answer[which] if kind == "sound" else answer


async def _read(session, kind, which):
    ask = session.ask_as_admin
    query = client.query()
    if kind == "sound":
        _, is_on, volume = client.sound(await ask(opcodes.SOUND, query))
        return int(is_on), volume
    if kind == "screen":
        return int(client.screen(await ask(opcodes.PASSCODE_DISPLAY, query)))
    if kind == "switches":
        return client.switches(await ask(opcodes.SWITCHES, query))
    if kind == "lamp":
        return client.lamp(await ask(opcodes.LAMP, query))
    if kind == "direction":
        return client.direction(await ask(opcodes.UNLOCK_DIRECTION, query))
    return client.number_of(await ask(opcodes.SETTING, client.number_query(which)), which)


async def _set(session, name, value):
    _, kind, which = _TABLE[name]
    change = session.change
    if kind == "sound":
        plain = client.sound_set(True, value) if name == "volume" else client.sound_set(value)
        client.changed(await change(opcodes.SOUND, plain))
    elif kind == "screen":
        client.changed(await change(opcodes.PASSCODE_DISPLAY, client.screen_set(value)))
    elif kind == "switches":
        await change(opcodes.SWITCHES, client.switch_set(which, value))
    elif kind == "lamp":
        await change(opcodes.LAMP, client.lamp_set(value))
    elif kind == "direction":
        await change(opcodes.UNLOCK_DIRECTION, client.direction_set(value))
    else:
        await change(opcodes.SETTING, client.number_set(which, value))


# --- with operations of their own


async def autolock_get(job, session):
    """Seconds until the lock locks itself, 0 for never."""
    battery, seconds, low, high = client.auto_lock(await session.ask_as_admin(opcodes.AUTO_LOCK, client.query()))
    job.context.registry.update(session.lock, auto_lock_s=seconds, battery=battery)
    return {"seconds": seconds, "min": low, "max": high}


async def autolock_set(job, session):
    """Change them, and read them back."""
    client.changed(await session.change(opcodes.AUTO_LOCK, client.auto_lock_set(job.args["seconds"])))
    return await autolock_get(job, session)


async def freeze(job, session):
    """A frozen lock opens for nobody and changes nothing."""
    wanted = job.op == "freeze"
    client.changed(await session.change(opcodes.FREEZE, client.freeze(wanted)))
    battery, is_frozen = client.frozen(await session.ask_as_admin(opcodes.FREEZE, client.query()))
    if is_frozen != wanted:
        raise LockRefused("the lock accepted the change, and did not make it")
    job.context.registry.update(session.lock, settings={"frozen": is_frozen}, battery=battery)
    return {"frozen": is_frozen}


unfreeze = freeze


async def name_set(job, session):
    """The name that the lock advertises. The same again changes nothing."""
    client.named(await session.change(opcodes.LOCK_NAME, client.name(job.args["name"])))
    return {"name": job.args["name"]}
