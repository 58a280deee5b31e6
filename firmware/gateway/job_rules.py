"""What the names of durable operations mean: states to show, what they are about, which later one makes an earlier one
pointless. Pure.

States: domain.md 3.2, asynchronous job state.
"""

NORMAL = 1
_ADDING = ("adding", 4, "add_failed", 5)
_MODIFYING = ("modifying", 6, "modify_failed", 7)
_DELETING = ("deleting", 8, "delete_failed", 9)
_STATES = {"add": _ADDING, "delete": _DELETING, "clear": _DELETING}
_NAMES = ("code", "number", "slot", "mac", "uid", "name")  # arguments that say which one is meant
_RENAMING = ("new", "new_code")
_CHANGES = ("set", "sync", "freeze", "unfreeze")


def _parts(op):
    """("passcode", "add") of passcode_add; ("", "freeze") of freeze."""
    at = op.rfind("_")
    return ("", op) if at < 0 else (op[:at], op[at + 1 :])


def pending(op):
    """(word, number) while it waits or is being done."""
    return _STATES.get(_parts(op)[1], _MODIFYING)[:2]


def failed(op):
    """(word, number) when it came to nothing."""
    return _STATES.get(_parts(op)[1], _MODIFYING)[2:]


def subject(op, args):
    """What a request is about, as text that may hold secrets, or None: add, change and delete of one thing have the
    same."""
    named = ["%s=%s" % (key, args[key]) for key in _NAMES if key in args]
    if named:
        return _parts(op)[0] + ":" + ",".join(named)
    return _parts(op)[0] if _parts(op)[1] in _CHANGES else None


def is_pointless(op, about, is_renaming, later_op, later_about):
    """Whether a waiting request need not be done because of a later one, which leaves the same behind without it."""
    family, what = _parts(op)
    later_family, later_what = _parts(later_op)
    if family != later_family:
        return False
    if later_what == "clear":
        return what in ("add", "change", "delete", "clear")
    if about is None or about != later_about:
        return False
    if later_what == "delete":
        return what in ("add", "delete") or (what == "change" and not is_renaming)
    if later_what in ("freeze", "unfreeze"):
        return what in ("freeze", "unfreeze")
    return op == later_op and what in _CHANGES


def is_renaming(args):
    """Whether the thing has another name afterwards."""
    return any(key in args for key in _RENAMING)
