"""What can be asked of a lock over MQTT: which module does it, by which rules, and the way that every operation goes:
checked before the radio is touched, and once more when the lock is known. Owns no behaviour.

A module of operations has `check(op, args)`, which returns the arguments or raises BadRequest, and for each of its
operations an async function of that name, which takes job and session and returns the `data` of the result. Where more
can be told from what is known of the lock it has `judge(op, args, lock)`, which raises, too.
Source: docs/spec/mqtt.md 1, 2; security.md CMD-9: unsigned requests may lock and query, the rest only if the owner
allowed it, and what stands above the owner's settings never.
"""

import sys

from firmware.gateway.admission import Refusal
from firmware.gateway.session import SHARED_KEY
from firmware.lib.compat import const, has_small_heap, row, unload
from firmware.lib.errors import BadRequest, Unsupported

VOLATILE = const(1)  # V: never queued beyond `exp`, never repeated
GUARDED = const(2)  # G: unsigned only with the setting unsigned_unlock
NEEDS_CLOCK = const(4)  # C
DURABLE = const(8)  # D: idempotent, and kept on flash until it is done
LONG = const(16)  # L: takes more than the half minute of the others: somebody at the door takes part, or all is read
SEALED = const(32)  # S: takes sealed arguments only, on any broker
LOCAL = const(64)  # H: answered here and at once, by `answer(jobs, lock, op, args)` of its module
UNKNOWN = const(128)  # U: of use before the lock is known
SIGNED = const(256)  # A: by a signed command always, whatever the owner set
OWNERS = const(512)  # O: the owner's alone

_LETTERS = "VGCDLSHUAO"

# A line for each operation: its module, and the letters of what holds for it. A text takes a fraction of a dict's room.
_LOCK_OPS = """
unlock motion VG
lock motion V
emergency_unlock motion VG
state queries
info queries
time_get times
time_sync times CD
zone_set times CGD
name_set settings GD
records_read history L
upload history L
diagnosis queries U
jobs queries H
cancel queries HG
passcode_add passcodes GD
passcode_change passcodes GD
passcode_delete passcodes GD
passcode_clear passcodes GD
passcode_reset passcodes GSD
passcode_count passcodes
passcode_list passcodes
card_add cards GD
card_enrol cards GL
card_change cards GD
card_delete cards GD
card_clear cards GD
card_lost cards GD
card_list cards
fingerprint_enrol numbered GL
fingerprint_add numbered G
fingerprint_change numbered GD
fingerprint_delete numbered GD
fingerprint_clear numbered GD
fingerprint_list numbered
fob_change numbered GD
fob_delete numbered GD
fob_clear numbered GD
fob_list numbered
ekey_list ekeys
ekey_add ekeys GSD
ekey_change ekeys GD
ekey_freeze ekeys GD
ekey_unfreeze ekeys GD
ekey_delete ekeys GD
ekey_reset ekeys GD
autolock_get settings
autolock_set settings GD
setting_get settings
setting_set settings GD
passage_list passage
passage_add passage GD
passage_delete passage GD
passage_clear passage GD
freeze settings GD
unfreeze settings GD
"""
# What a key without the administrator's number is good for (hardware-facts.md F84)
_SHARED = " unlock lock state info time_get time_sync zone_set records_read upload diagnosis jobs cancel "
_GATEWAY_OPS = """
hello -
ping -
info -
locks -
metrics -
import - SA
forget - A
issuers - AO
issuer_add - SAO
issuer_remove - AO
pin_set - SAO
pin_clear - AO
log - AO
reset - AO
"""

_ABSENT = ("face_", "palm_", "qr_")  # credentials that the open platform names, and no lock here takes (domain.md 3.12)

_OPERATIONS = "firmware.gateway.operations."
_MESSAGES = "firmware.lib.messages."

LATE = ("firmware.lib.zone", "firmware.lib.pace")  # what few moments need


def operations(of_lock=True):
    """The names of all that can be asked of a lock, or of the gateway itself."""
    rows = _LOCK_OPS if of_lock else _GATEWAY_OPS
    return [line.split(" ")[0] for line in rows.strip().split("\n")]


def _row(op, rows=_LOCK_OPS):
    """[module, letters] of an operation, the letters only where it has any, or None."""
    found = row(rows, op)
    return None if found is None else found.split(" ")


def rules(op, is_lock_op):
    """The flags of an operation, or None when there is none of that name on that topic."""
    if is_lock_op and op.startswith(_ABSENT):
        return 0
    found = _row(op, _LOCK_OPS if is_lock_op else _GATEWAY_OPS)
    if found is None:
        return None
    return sum([1 << _LETTERS.find(letter) for letter in "".join(found[1:])])


def module(op):
    """The module that does a lock's operation."""
    name = _OPERATIONS + _row(op)[0]
    __import__(name)
    return sys.modules[name]


def _loaded(op):
    """The modules that come with an operation and go with it, as far as they are there; None for an operation that is
    volatile: a movement must not wait for the flash, so that its modules stay. Not so in a small heap, whose code is
    frozen: it is there at once."""
    if rules(op, True) & VOLATILE and not has_small_heap():
        return None
    return [
        name
        for name in sys.modules
        if name.startswith(_OPERATIONS) or (name.startswith(_MESSAGES) and name.endswith("_client")) or name in LATE
    ]


def _unload(before, op):
    """Let go of what has come since `before`: a board has no room for all operations at once. Only one operation runs
    at a time; what it needs was there before another is checked.
    """
    unload([name for name in _loaded(op) or () if name not in before])


def _demand(op, lock):
    """Raise Unsupported when a feature bit that the lock has told is 0; Refusal where a shared key is not enough."""
    if not lock.admin_ps and " %s " % op not in _SHARED:
        raise Refusal("forbidden", SHARED_KEY, "shared_key")
    for what in (op, op.split("_")[0]):
        if lock.lacks(what):
            raise Unsupported("the lock lacks %s" % what)


def _judge(does, op, args, lock):
    if lock.zone is None and ("start" in args or "end" in args):
        raise Refusal("no_zone", "the lock's time zone is not known: its clock shows no date that could be meant")
    if hasattr(does, "judge"):
        does.judge(op, args, lock)


def admit(command, lock):
    """Check a command for `lock` as far as that needs no radio; its arguments are then the checked ones.

    Raises BadRequest; Unsupported; what the module's `judge` raises.
    """
    op = command.op
    if op.startswith(_ABSENT):
        raise Unsupported("no lock here takes a %s" % op.split("_")[0])
    if rules(op, True) & SEALED and command.sealed is None:
        raise BadRequest("%s takes sealed arguments only" % op)
    _demand(op, lock)
    before = _loaded(op)
    try:
        does = module(op)
        command.args = does.check(op, command.args)
        _judge(does, op, command.args, lock)
    finally:
        _unload(before, op)


def answer(jobs, lock, op, args):
    """`data` of the result of a LOCAL operation."""
    before = _loaded(op)
    try:
        return module(op).answer(jobs, lock, op, args)
    finally:
        _unload(before, op)


async def run(job, session):
    """Carry out a job's operation over a link -> `data` of its result. What may have been done is not judged anew."""
    op = job.op
    before = _loaded(op)
    try:
        does = module(op)
        if not rules(op, True) & UNKNOWN:
            await session.get_to_know()
        if not job.was_sent:
            _demand(op, session.lock)
            _judge(does, op, job.args, session.lock)
        return await getattr(does, op)(job, session)
    finally:
        _unload(before, op)
