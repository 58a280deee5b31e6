"""What several operations share: checks of arguments, and what is told of a deletion. The checks raise BadRequest,
which names the key and never the value.
"""

from firmware.lib import dates
from firmware.lib.compat import is_whole
from firmware.lib.errors import BadRequest, LockRefused


def only(args, *known):
    """No keys but these; none at all without any."""
    for key in args:
        if key not in known:
            raise BadRequest("unknown argument")
    return args


def number(args, key, low, high, default=None):
    """A whole number; without default it must be there."""
    value = args.get(key, default)
    if not is_whole(value, low, high):
        raise BadRequest("%s must be a whole number from %d to %d" % (key, low, high))
    return value


def moment(args, key, default=None):
    """Unix seconds from 2000 to 2099."""
    return dates.check_unix(args.get(key, default), key)


def word(args, key, words, default=None):
    """One of some words."""
    value = args.get(key, default)
    if value not in words:
        raise BadRequest("%s must be one of %s" % (key, ", ".join(words)))
    return value


def switch(args, key, default=False):
    """True or false."""
    value = args.get(key, default)
    if value is not True and value is not False:
        raise BadRequest("%s must be true or false" % key)
    return value


def weekdays(args, key):
    """A list of different days, 1 Monday to 7 Sunday."""
    days = args[key]
    if not isinstance(days, list) or not days or len(days) > 7:
        raise BadRequest("%s must be a list of 1 to 7" % key)
    for place, day in enumerate(days):
        if not is_whole(day, 1, 7) or day in days[:place]:
            raise BadRequest("%s must be different numbers from 1 to 7" % key)
    return days


def octets(args, key, size):
    """Hex digits, with or without colons -> bytes."""
    value = args.get(key)
    if isinstance(value, str):
        text = value.replace(":", "").lower()
        if len(text) == 2 * size and all(sign in "0123456789abcdef" for sign in text):
            return bytes.fromhex(text)
    raise BadRequest("%s must be %d hex digits" % (key, 2 * size))


async def remove(job, change):
    """Await the deletion `change` -> {"existed": whether there was such a thing}, None when an attempt before may have
    deleted it. Gone already is what was wanted (decisions.md DEC-28; domain.md 5.4).
    """
    was_sent = job.was_sent
    try:
        await change
    except LockRefused as err:
        if err.reason != "not_found":
            raise
        return {"existed": None if was_sent else False}
    return {"existed": True}
