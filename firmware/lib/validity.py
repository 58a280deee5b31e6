"""May this credential open now? The one place that decides it: pure, from credential, lock and lock-local time.

Says why not, and what the caller must make durable before the bolt moves. Proving that somebody holds a credential
(sums, digits, counting of wrong ones) is done before; moving, recording and answering after.
Source: domain.md 2 (key features 1 to 4, 7, 8, 11), 3.1-3.8, 3.11; security.md 3.2, 3.7, DEL-3.

A refusal is one of these words, the first that applies:

| word | why |
|---|---|
| `frozen` | the lock is frozen: nothing opens, the admin passcode neither; or this ekey is |
| `lockout` | too many wrong ones of this sort: not looked at |
| `unknown` | no such credential |
| `lost` | a card that was reported lost |
| `untrusted_clock` | limited in time, and the lock does not know the time |
| `not_yet_valid`, `expired` | outside its period |
| `revoked` | an ekey that was deleted, or from before all ekeys were reset |
| `used_up` | a one-time code that has opened |
| `barred` | a code of the algorithm from before an erasure |
| `suspended` | a code of the algorithm that was not used in its first 24 hours |
| `outside_hours` | in its period, but not on this day or at this hour |
| `remote_unlock_disabled` | through a gateway, with the owner's switch off or without the ekey's right to |
| `double_locked` | locked from inside, and not the administrator |
| `low_battery` | the motor is not started |
"""

from firmware.lib import recurrence

# What follows from a credential that is accepted, durable before the bolt moves
USE_UP = "use_up"  # it never opens again, wherever the clock is set
NOTE_FIRST_USE = "note_first_use"  # keep it among the stored passcodes, used
ERASE_ALL = "erase_all"  # remove all stored passcodes, bar those of the algorithm up to now; the bolt stays


class Situation:
    """What of the lock bears on the decision; `now_min` are minutes since 2000-01-01 00:00, lock-local.

    Without trust `now_min` is a time that has certainly been reached, as `lock.clock` keeps it.
    """

    is_clock_trusted = True
    is_frozen = False
    is_locked_out = False  # for this sort of credential (security.md LIM-4)
    is_double_locked = False
    is_battery_low = False
    is_remote_unlock_on = False
    flag_pos = 0
    barred_min = None  # codes of the algorithm that start up to then are dead
    passage = ()  # of `windows.passage`; none while passage mode is switched off
    passage_unlocks = False  # the switch "passage auto unlock"

    def __init__(self, now_min):
        self.now_min = now_min


class Verdict:
    """`why`: None or the refusal; `then`: None or what follows; `open_until_min`: the end of the passage windows in
    which the door, once open, stays open, else None: auto-lock applies."""

    def __init__(self, why, then=None, open_until_min=None):
        self.why = why
        self.then = then
        self.open_until_min = open_until_min

    @property
    def opens(self):
        """True if the bolt is to move."""
        return self.why is None and self.then != ERASE_ALL

    @property
    def is_right(self):
        """True if the credential itself is good now: such an entry is no guess (security.md LIM-4)."""
        return self.why in (None, "double_locked", "low_battery")


def decide(credential, at):
    """Credential (None: unknown) and Situation -> Verdict."""
    why = _refusal(credential, at)
    if why is not None:
        return Verdict(why)
    if credential.erases:
        return Verdict(None, ERASE_ALL)
    then = None
    if credential.is_once:
        then = USE_UP
    elif credential.is_offline and not credential.is_used:
        then = NOTE_FIRST_USE
    return Verdict(None, then, passage_until(at))


def _refusal(credential, at):
    if at.is_frozen:
        return "frozen"
    if at.is_locked_out:
        return "lockout"
    if credential is None:
        return "unknown"
    if credential.is_lost:
        return "lost"
    why = claim_refusal(credential, at)
    if why is not None:
        return why
    if credential.is_remote and not (at.is_remote_unlock_on and credential.has_remote_right):
        return "remote_unlock_disabled"
    if at.is_double_locked and not credential.is_admin:
        return "double_locked"
    return "low_battery" if at.is_battery_low and not credential.erases else None


def claim_refusal(credential, at):
    """Whether the credential by itself is good now: None or why not. An ekey's claim is answered with it (0x55)."""
    if credential.is_revoked:
        return "revoked"
    if credential.is_frozen:
        return "frozen"
    why = _period_refusal(credential, at)
    if why is not None:
        return why
    if credential.flag_pos is not None and credential.flag_pos < at.flag_pos:
        return "revoked"
    if credential.is_once and credential.is_used:
        return "used_up"
    if credential.is_offline and at.barred_min is not None and credential.start_min <= at.barred_min:
        return "barred"
    return _hours_refusal(credential, at) if at.is_clock_trusted else None


def _period_refusal(credential, at):
    is_early = credential.start_min is not None and at.now_min < credential.start_min
    if not at.is_clock_trusted:
        is_waiting = credential.first_use_end_min is not None and not credential.is_used
        is_limited = credential.end_min is not None or credential.windows or credential.is_once or is_waiting
        return "untrusted_clock" if is_early or is_limited else None
    if is_early:
        return "not_yet_valid"
    return "expired" if credential.end_min is not None and at.now_min >= credential.end_min else None


def _hours_refusal(credential, at):
    if not credential.is_used and credential.first_use_end_min is not None:
        if at.now_min >= credential.first_use_end_min:
            return "suspended"
    for window in credential.windows:
        if recurrence.closes(window, at.now_min) is not None:
            return None
    return "outside_hours" if credential.windows else None


def lock_refusal(at):
    """Whether a client's lock command is obeyed: None or why not. Who gives it has been proved before."""
    if at.is_frozen:
        return "frozen"
    return "low_battery" if at.is_battery_low else None


def passage_until(at):
    """The end of the passage windows that hold now, or None. They hold by a trusted clock only."""
    if not at.passage or not at.is_clock_trusted:
        return None
    from firmware.lib import windows

    return windows.open_until(at.passage, at.now_min)


def decide_passage(at):
    """Does the door open by itself? For the caller at the start of a window, once for each. -> Verdict"""
    why = None
    until_min = passage_until(at)
    if until_min is None or not at.passage_unlocks:
        why = "outside_hours"
    elif at.is_frozen:
        why = "frozen"
    elif at.is_double_locked:
        why = "double_locked"
    elif at.is_battery_low:
        why = "low_battery"
    return Verdict(why, None, until_min if why is None else None)
