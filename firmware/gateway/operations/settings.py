"""setting_get and setting_set: the lock's switches and numbers by name, in one table.

A switch is true or false, a number has its unit in its name, a choice is a word. Source: lock-ble-commands.md 6;
names: domain.md 3.13. The remote-unlock switch is not among them: it is changed beside the lock only (security.md 3.7).
"""

from firmware.gateway.operations.arguments import only
from firmware.lib import opcodes
from firmware.lib.errors import BadRequest, LockRefused, Unsupported
from firmware.lib.messages import settings_client, switches_client

DIRECTIONS = ("default", "clockwise", "counter_clockwise")
LANGUAGES = ("none", "zh", "en", "es", "fr", "de", "pt", "it", "ru")
SWITCH = (0, 1)  # the range of what is true or false

# name: (feature bit or None, lowest and highest or words, what speaks for it, number of it there)
_TABLE: dict = {
    "sound": (15, SWITCH, "sound", 0),
    "volume": (43, (1, 5), "sound", 1),
    "privacy": (30, SWITCH, "switches", switches_client.PRIVACY),
    "tamper": (28, SWITCH, "switches", switches_client.TAMPER),
    "reset_button": (29, SWITCH, "switches", switches_client.RESET_BUTTON),
    "passage_auto_unlock": (46, SWITCH, "switches", switches_client.PASSAGE_UNLOCK),
    "passcode_display": (9, SWITCH, "screen", 0),
    "lamp_s": (25, (0, 255), "lamp", 0),
    "direction": (36, DIRECTIONS, "direction", 0),
    "language": (43, LANGUAGES, "number", switches_client.LANGUAGE),
    "wrong_limit": (None, (1, 5), "number", switches_client.WRONG_LIMIT),
    "lockout_s": (None, (300, 3600), "number", switches_client.LOCKOUT_S),
    "door_alarm_s": (51, (0, 65535), "number", switches_client.DOOR_ALARM_S),
}
_WORDS = {"on": True, "off": False}


def check(op, args):
    """`name` (for the query: or all), and for the change `value`; -> the value as the lock takes it."""
    only(args, "name", "value") if op == "setting_set" else only(args, "name")
    name = args.get("name")
    if op == "setting_get" and name is None:
        return args
    if not isinstance(name, str) or name not in _TABLE:
        raise BadRequest("name must be one of " + ", ".join(sorted(_TABLE)))
    if op == "setting_get":
        return args
    return {"name": name, "value": _value(name, args.get("value"))}


def judge(op, args, lock):
    """Refuse without the radio what the lock is known to lack."""
    name = args.get("name")
    if name is not None and not _has(lock, name):
        raise Unsupported("the lock has no setting %s" % name)


def _has(lock, name):
    bit, _, kind, _ = _TABLE[name]
    if kind == "number" and lock.model and not lock.is_own:  # 0xe6 is ours
        return False
    return bit is None or lock.has_feature(bit) is not False


def _value(name, value):
    wanted = _TABLE[name][1]
    if wanted is SWITCH:
        value = _WORDS.get(value, value) if isinstance(value, str) else value
        if not isinstance(value, bool):
            raise BadRequest("value must be true or false")
        return int(value)
    if isinstance(wanted[0], str):
        if value not in wanted:
            raise BadRequest("value must be one of " + ", ".join(wanted))
        return wanted.index(value)
    if isinstance(value, bool) or not isinstance(value, int) or not wanted[0] <= value <= wanted[1]:
        raise BadRequest("value must be a whole number from %d to %d" % wanted)
    return value


def _shown(name, value):
    wanted = _TABLE[name][1]
    if wanted is SWITCH:
        return bool(value)
    if isinstance(wanted[0], str):
        return wanted[value] if value < len(wanted) else None
    return value


async def run(job, session):
    """Query one or all, or change one and read it back -> {"settings": {name: value}}."""
    await session.get_to_know()
    lock = session.lock
    name = job.args.get("name")
    judge(job.op, job.args, lock)
    speaker = _Speaker(session)
    if job.op == "setting_set":
        await speaker.set(name, job.args["value"])
    found = {}
    for each in sorted(_TABLE) if name is None else (name,):
        if name is None and not _has(lock, each):
            continue
        value = await speaker.get(each)
        if value is not None:
            found[each] = _shown(each, value)
    if job.op == "setting_set" and found.get(name) != _shown(name, job.args["value"]):
        raise LockRefused("the lock said yes, and keeps another value")
    job.context.registry.note_settings(lock, found)
    return {"settings": found}


class _Speaker:
    """Asks the lock for the values behind names, each answer once; a change forgets the answer."""

    def __init__(self, session):
        self._session = session
        self._answers = {}

    async def _ask(self, command, plain):
        return await self._session.ask_as_admin(command, plain)

    async def get(self, name):
        """The value as the lock says it; None when it says nothing of it."""
        _, _, kind, which = _TABLE[name]
        key = (kind, which) if kind == "number" else kind
        if key not in self._answers:
            self._answers[key] = await self._read(kind, which)
        found = self._answers[key]
        if kind == "switches":
            return found >> which & 1
        return found[which] if kind == "sound" else found

    async def _read(self, kind, which):
        client = switches_client
        if kind == "sound":
            _, is_on, volume = settings_client.sound(await self._ask(opcodes.SOUND, settings_client.sound_query()))
            return int(is_on), volume
        if kind == "screen":
            data = await self._ask(opcodes.PASSCODE_DISPLAY, settings_client.screen_query())
            return int(settings_client.screen(data))
        if kind == "switches":
            return client.switches(await self._ask(opcodes.SWITCHES, client.query()))
        if kind == "lamp":
            return client.lamp(await self._ask(opcodes.LAMP, client.query()))
        if kind == "direction":
            return client.direction(await self._ask(opcodes.UNLOCK_DIRECTION, client.query()))
        return client.number_of(await self._ask(opcodes.SETTING, client.number_query(which)), which)

    async def set(self, name, value):
        """Change one."""
        _, _, kind, which = _TABLE[name]
        client = switches_client
        if kind == "sound":
            plain = settings_client.sound_set(True, value) if name == "volume" else settings_client.sound_set(value)
            settings_client.changed(await self._session.change(opcodes.SOUND, plain))
        elif kind == "screen":
            plain = settings_client.screen_set(value)
            settings_client.changed(await self._session.change(opcodes.PASSCODE_DISPLAY, plain))
        elif kind == "switches":
            await self._session.change(opcodes.SWITCHES, client.switch_set(which, value))
        elif kind == "lamp":
            await self._session.change(opcodes.LAMP, client.lamp_set(value))
        elif kind == "direction":
            await self._session.change(opcodes.UNLOCK_DIRECTION, client.direction_set(value))
        else:
            await self._session.change(opcodes.SETTING, client.number_set(which, value))
