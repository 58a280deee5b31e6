"""How long to pause before trying again. Pure: whoever waits brings the time and the random octet."""


def next_pause(pause_s, ran_ms, low=1, high=60):
    """Seconds to pause after a failure, given the pause before this attempt and how long it ran.

    Doubles from `low` up to `high`; starts over at `low` after an attempt that ran for longer than `high` seconds,
    because that was a healthy run. Source: CONTRIBUTING.md, "Errors": pausing 1 s up to 60 s.
    """
    if pause_s <= 0 or ran_ms > high * 1000:
        return low
    return min(pause_s * 2, high)


def jittered_ms(pause_s, octet):
    """`pause_s` as milliseconds, spread evenly over 75 % to 125 % by a random `octet` (0-255).

    A house full of gateways that lost the same broker must not come back in step.
    """
    return pause_s * (750 + 500 * octet // 255)
