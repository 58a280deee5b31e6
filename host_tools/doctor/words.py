"""Sentences that findings of several kinds share: why a board started, versions, sizes, ages."""

import re

# Word of `restart.why` (firmware/system/restarts.py) -> (what happened, whether it is a fault)
STARTS = {
    "power_on": ("its power came on", False),
    "asked": ("somebody asked for it", False),
    "calm": ("it had been healthy in minimal mode", False),
    "failing": ("one of its jobs failed too often", True),
    "silent": ("one of its jobs hung", True),
    "blocked": ("its program stood still, and the watchdog acted", True),
    "memory": ("it had no memory left", True),
    "radio": ("its radio did not work any more", True),
    "escaped": ("an error that nothing caught ended its program", True),
    "unknown": ("nobody knows why: a brown-out of its power, or a crash of MicroPython", True),
}
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


def start(restart: dict) -> tuple[str, bool]:
    """The last start in words -> (sentence, whether it was a fault)."""
    why, what = restart.get("why"), restart.get("what")
    sentence, is_fault = STARTS.get(str(why), ("for the reason %r" % (why,), True))
    return "it started because %s%s" % (sentence, " (%s)" % what if what else ""), is_fault


def faults(counts: dict[str, int]) -> dict[str, int]:
    """Restarts by reason -> those that are faults."""
    return {word: count for word, count in counts.items() if count > 0 and STARTS.get(word, ("", False))[1]}


def counted(counts: dict[str, int]) -> str:
    """`{"memory": 2}` -> "memory 2"."""
    return ", ".join("%s %d" % each for each in sorted(counts.items()))


def version(text: object) -> tuple[int, ...] | None:
    """A version as numbers, None for what is none."""
    found = _VERSION.match(text) if isinstance(text, str) else None
    return tuple(int(part or 0) for part in found.groups()) if found else None


def kib(octets: int) -> str:
    """Bytes in KiB or MiB."""
    return "%.1f MiB" % (octets / 1048576) if octets >= 1048576 else "%.1f KiB" % (octets / 1024)


def age(seconds: float) -> str:
    """Seconds in the largest unit of which there are two."""
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return "%d %s" % (seconds // size, unit)
    return "%d s" % seconds
