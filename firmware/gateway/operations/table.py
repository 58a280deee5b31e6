"""What can be asked of a lock over MQTT: the module that does it, and the rules that hold for it. Owns no behaviour.

A module of operations has `check(op, args)`, which returns the arguments or raises BadRequest before the radio is
touched, and `async run(job, session)`, which returns the `data` of the result. Where more can be told from what is
known of the lock it has `judge(op, args, lock)`, which raises, too. It is imported when first asked for.
Source: DESIGN 4; security.md CMD-9: unsigned requests may lock and query, the rest only if the owner allowed it.
"""

import sys

from firmware.lib.compat import const
from firmware.lib.errors import BadRequest, Unsupported

VOLATILE = const(1)  # never queued beyond `exp`, never repeated
GUARDED = const(2)  # needs the setting unsigned_unlock
NEEDS_CLOCK = const(4)
DURABLE = const(8)  # idempotent, and kept on flash until it is done
LONG = const(16)  # takes more than the half minute of the others: somebody at the door takes part, or all is read
LOCAL = const(64)  # answered at once from what the gateway knows, by `answer(jobs, lock, op, args)` of its module
SEALED = const(32)  # takes sealed arguments only, on any broker

# Feature bits of domain.md 3.12 by operation, or by the word it begins with
_FEATURES = {
    "unlock": 10,
    "lock": 8,
    "passcode": 0,
    "card": 1,
    "fingerprint": 2,
    "autolock": 4,
    "passage": 22,
    "freeze": 11,
    "unfreeze": 11,
    "emergency": 10,
    "fob": 41,
}

_LOCK_OPS = {
    "unlock": ("motion", VOLATILE | GUARDED),
    "lock": ("motion", VOLATILE),
    "state": ("queries", 0),
    "info": ("queries", 0),
    "time_get": ("times", 0),
    "time_sync": ("times", NEEDS_CLOCK | DURABLE),
    "zone_set": ("times", NEEDS_CLOCK | GUARDED | DURABLE),
    "name_set": ("naming", GUARDED | DURABLE),
    "records_read": ("history", LONG),
    "upload": ("upload", LONG),
    "diagnosis": ("diagnosis", 0),
    "jobs": ("waiting", LOCAL),
    "cancel": ("waiting", LOCAL | GUARDED),
    "passcode_add": ("passcodes", GUARDED | DURABLE),
    "passcode_change": ("passcodes", GUARDED | DURABLE),
    "passcode_delete": ("passcodes", GUARDED | DURABLE),
    "passcode_clear": ("passcodes", GUARDED | DURABLE),
    "passcode_reset": ("passcodes", GUARDED | SEALED | DURABLE),
    "passcode_count": ("passcodes", 0),
    "passcode_list": ("passcodes", 0),
    "card_add": ("cards", GUARDED | DURABLE),
    "card_enrol": ("cards", GUARDED | LONG),
    "card_change": ("cards", GUARDED | DURABLE | LONG),
    "card_delete": ("cards", GUARDED | DURABLE),
    "card_clear": ("cards", GUARDED | DURABLE),
    "card_lost": ("cards", GUARDED | DURABLE),
    "card_list": ("cards", 0),
    "fingerprint_enrol": ("fingerprints", GUARDED | LONG),
    "fingerprint_add": ("fingerprints", GUARDED),
    "fingerprint_change": ("fingerprints", GUARDED | DURABLE),
    "fingerprint_delete": ("fingerprints", GUARDED | DURABLE),
    "fingerprint_clear": ("fingerprints", GUARDED | DURABLE),
    "fingerprint_list": ("fingerprints", 0),
    "fob_change": ("fobs", GUARDED | DURABLE),
    "fob_delete": ("fobs", GUARDED | DURABLE),
    "fob_clear": ("fobs", GUARDED | DURABLE),
    "fob_list": ("fobs", 0),
    "ekey_list": ("ekeys", 0),
    "ekey_add": ("ekeys", GUARDED | SEALED | DURABLE),
    "ekey_change": ("ekeys", GUARDED | DURABLE),
    "ekey_freeze": ("ekeys", GUARDED | DURABLE),
    "ekey_unfreeze": ("ekeys", GUARDED | DURABLE),
    "ekey_delete": ("ekeys", GUARDED | DURABLE),
    "ekey_reset": ("ekeys", GUARDED | DURABLE),
    "autolock_get": ("autolock", 0),
    "autolock_set": ("autolock", GUARDED | DURABLE),
    "setting_get": ("settings", 0),
    "setting_set": ("settings", GUARDED | DURABLE),
    "passage_list": ("passage", 0),
    "passage_add": ("passage", GUARDED | DURABLE),
    "passage_delete": ("passage", GUARDED | DURABLE),
    "passage_clear": ("passage", GUARDED | DURABLE),
    "freeze": ("freeze", GUARDED | DURABLE),
    "unfreeze": ("freeze", GUARDED | DURABLE),
    "emergency_unlock": ("emergency", VOLATILE | GUARDED),
}
_GATEWAY_OPS = {
    "ping": 0,
    "info": 0,
    "locks": 0,
    "import": 0,
    "forget": GUARDED,
}


_ABSENT = ("face_", "palm_", "qr_")  # kinds of credentials that are known, and fitted to no lock here


def _lock_op(op):
    return ("absent", 0) if op.startswith(_ABSENT) else _LOCK_OPS.get(op)


def rules(op, is_lock_op):
    """The flags of an operation, or None when there is none of that name on that topic."""
    if is_lock_op:
        found = _lock_op(op)
        return None if found is None else found[1]
    return _GATEWAY_OPS.get(op)


def lock_operations():
    """Names of what can be asked of a lock."""
    return _LOCK_OPS.keys()


def module(op):
    """The module that does a lock's operation."""
    name = "firmware.gateway.operations." + _lock_op(op)[0]
    __import__(name)
    return sys.modules[name]


def admit(command, lock):
    """Check a command for `lock` as far as that needs no radio; its arguments are then the checked ones.

    Raises BadRequest; Unsupported when a feature bit that the lock has told is 0; what the module's `judge` raises.
    """
    op = command.op
    if rules(op, True) & SEALED and command.sealed is None:
        raise BadRequest("%s takes sealed arguments only" % op)
    bit = _FEATURES.get(op, _FEATURES.get(op.split("_")[0]))
    if bit is not None and lock.has_feature(bit) is False:
        raise Unsupported("the lock lacks feature %d" % bit)
    does = module(op)
    command.args = does.check(op, command.args)
    if hasattr(does, "judge"):
        does.judge(op, command.args, lock)
