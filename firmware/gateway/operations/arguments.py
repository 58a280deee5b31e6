"""Checks of arguments that several operations share. All raise BadRequest, which names the key and never the value."""

from firmware.lib.errors import BadRequest


def only(args, *known):
    """No keys but these."""
    for key in args:
        if key not in known:
            raise BadRequest("unknown argument")
    return args


def nothing(args):
    """No arguments at all."""
    return only(args)


def number(args, key, low, high, default=None):
    """A whole number; without default it must be there."""
    value = args.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadRequest("%s must be a whole number from %d to %d" % (key, low, high))
    return value


def word(args, key, words, default=None):
    """One of some words."""
    value = args.get(key, default)
    if value not in words:
        raise BadRequest("%s must be one of %s" % (key, ", ".join(words)))
    return value
