"""What a code of the algorithm may do and when: the API's passcode types 1 to 14, which need no contact with the lock.

Owns their limits, cut to the hour; deriving and finding the digits is done elsewhere. Types 5 to 14 are recurring, in
the order of `recurrence.row`: weekend, daily, Monday to Friday, Monday ... Sunday. Source: domain.md 3.1.
"""

from firmware.lib import recurrence
from firmware.lib.compat import const
from firmware.lib.credentials import Credential

ONCE = 1
PERMANENT = 2
PERIOD = 3
ERASE = 4

_RECURRING = const(5)
_ONCE_MIN = const(6 * 60)
_DAY_MIN = const(1440)


def _first_opening(window, start):
    """When the window opens first; it opens at the time of day of `start`. None: never."""
    for opening in range(start, start + 7 * _DAY_MIN, _DAY_MIN):
        if recurrence.closes(window, opening) == opening + window[4]:
            return opening
    return None


def limits(kind, start_min, end_min=None, is_used=False):
    """Type, start, end -> Credential, in minutes as there. Start and end are cut to the hour.

    `end_min`: of a period; of a recurring code the end of the first window. All but one-time and erase codes must be
    used within 24 hours of the start, a recurring one within 24 hours of its first window, which may be days later.
    """
    start_min -= start_min % 60
    made = Credential(start_min)
    made.is_offline = True
    made.is_used = is_used
    if kind == ONCE:
        made.is_once = True
        made.end_min = start_min + _ONCE_MIN
    elif kind == ERASE:
        made.erases = True
        made.end_min = start_min + _DAY_MIN
    elif kind == PERMANENT:
        made.first_use_end_min = start_min + _DAY_MIN
    elif kind == PERIOD:
        made.first_use_end_min = start_min + _DAY_MIN
        made.end_min = end_min - end_min % 60
    else:
        window = recurrence.row(kind - _RECURRING, start_min % _DAY_MIN, end_min - end_min % 60 - start_min)
        made.windows = (window,)
        first_min = _first_opening(window, start_min)
        made.first_use_end_min = None if first_min is None else first_min + _DAY_MIN
    return made
