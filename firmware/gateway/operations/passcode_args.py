"""What may be asked of the passcodes of a lock: the arguments of all operations, checked before the radio is touched.

Source: domain.md 3.1, 5.5 (numbers); lock-ble-commands.md 3.1. Codes go in and never come out.
"""

from firmware.gateway.operations.arguments import nothing, number, only, word
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest
from firmware.lib.messages import common, passcode_client

KINDS = {
    "permanent": passcode_client.PERMANENT,
    "once": passcode_client.ONCE,
    "period": passcode_client.PERIOD,
    "cyclic": passcode_client.CYCLIC,
}
DAYS = ("weekend", "daily", "workday", "mon", "tue", "wed", "thu", "fri", "sat", "sun")  # rows of schedule codes

_UNIX_2000 = const(946684800)
_UNIX_2100 = const(4102444800)
_DAY_MIN = const(1440)
_CODE_LENGTH = const(0x0F)
_TOO_SIMPLE = const(-2032)
_FIRST_SCHEDULE = const(1000)
_SEEDS_LEN = const(122)


def check(op, args):
    """The arguments of `op`. Raises BadRequest."""
    what = op[len("passcode_") :]
    if what in ("clear", "count"):
        return nothing(args)
    if what == "list":
        number(only(args, "cursor"), "cursor", 0, 0xFFFF, 0)
    elif what == "reset":
        _check_seeds(only(args, "seeds"))
    elif what == "delete":
        _code(only(args, "code", "type"), "code")
        word(args, "type", sorted(KINDS), "permanent")
    elif what == "change":
        _check_change(only(args, "code", "new_code", "start", "end"))
    else:
        _check_add(only(args, "code", "type", "start", "end", "days", "from_min", "hours"))
    return args


def schedule(args):
    """The schedule code of a cyclic one (lock-ble-commands.md 3.1)."""
    return _FIRST_SCHEDULE + 24 * DAYS.index(args["days"]) + args["hours"] - 1


def is_trivial(code):
    """All digits equal, or one run up or down."""
    steps = set()
    for place in range(1, len(code)):
        steps.add((ord(code[place]) - ord(code[place - 1])) % 10)
    return len(steps) == 1 and steps.pop() in (0, 1, 9)


def _code(args, key):
    code = args.get(key)
    if not isinstance(code, str) or not 4 <= len(code) <= 9 or not common.is_digits(code.encode()):
        err = BadRequest("%s must be 4 to 9 digits" % key)
        err.ble = _CODE_LENGTH
        raise err
    return code


def _fresh_code(args, key):
    if is_trivial(_code(args, key)):
        err = BadRequest("%s is too simple" % key)
        err.ttlock = _TOO_SIMPLE
        raise err


def _moment(args, key, default=None):
    return number(args, key, _UNIX_2000, _UNIX_2100 - 1, default)


def _check_add(args):
    _fresh_code(args, "code")
    kind = word(args, "type", sorted(KINDS), "permanent")
    start = _moment(args, "start", _UNIX_2000)
    if kind == "cyclic":
        word(args, "days", DAYS)
        opens = number(args, "from_min", 0, _DAY_MIN - 1)
        if opens + 60 * number(args, "hours", 1, 24) > _DAY_MIN:
            raise BadRequest("the hours must end on the day on which they begin")
    elif "days" in args or "from_min" in args or "hours" in args:
        raise BadRequest("only a cyclic code has days and hours")
    if kind in ("permanent", "cyclic"):
        if "end" in args:
            raise BadRequest("a %s code has no end" % kind)
    elif _moment(args, "end") <= start:
        raise BadRequest("end must be after start")


def _check_change(args):
    _code(args, "code")
    if "new_code" in args:
        _fresh_code(args, "new_code")
    elif "start" not in args and "end" not in args:
        raise BadRequest("nothing to change")
    if "end" in args and _moment(args, "end") <= _moment(args, "start"):
        raise BadRequest("end must be after start")
    _moment(args, "start", _UNIX_2000)


def _check_seeds(args):
    seeds = args.get("seeds")
    if not isinstance(seeds, str) or len(seeds) != _SEEDS_LEN:
        raise BadRequest("seeds must be 61 bytes in hex")
    try:
        bytes.fromhex(seeds)
    except ValueError:
        raise BadRequest("seeds must be 61 bytes in hex")
