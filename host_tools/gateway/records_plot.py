"""Openings of a lock per hour of the day and person, as a picture: PNG by matplotlib (extra `plot`), or bars of text.

Owns what counts as an opening, whose it is, and at which hour: by the lock's clock. What has no time is counted apart.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path

from firmware.lib import records
from host_tools import text
from host_tools.errors import HostError

UNKNOWN = "unknown"
OTHERS = "others"
_MAX_PEOPLE = 10  # more colours cannot be told apart
_BAR = 40
_BLOCKS = " ▏▎▍▌▋▊▉█"


@dataclass
class Openings:
    """`counts` by (person, hour of the day); `timeless`: openings whose hour is not known."""

    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    timeless: int = 0

    def people(self) -> list[str]:
        """Who opened, the most often first; the unknown last."""
        total: Counter[str] = Counter()
        for (who, _), count in self.counts.items():
            total[who] += count
        return sorted(total, key=lambda who: (who in (UNKNOWN, OTHERS), -total[who], who))

    def hours(self, who: str) -> list[int]:
        """Openings of a person in each of the 24 hours."""
        return [self.counts[who, hour] for hour in range(24)]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def count(rows: Iterable[tuple[dict, str]], zone: tzinfo | None) -> Openings:
    """Of (record, whose it is; "" or a bare number: not known). `zone`: the lock's; without it only openings whose own
    clock is known count by hour."""
    found = Openings()
    for record, who in rows:
        if record.get("type") is None or records.meaning(record["type"])[0] != "unlock" or record.get("ok") is False:
            continue
        if not record.get("ts") or zone is None:
            found.timeless += 1
            continue
        try:
            hour = datetime.fromisoformat(record["ts"]).astimezone(zone).hour
        except (ValueError, OverflowError):
            found.timeless += 1
            continue
        name = text.tidy(who, 30)
        found.counts[UNKNOWN if not name or name.isdigit() else name, hour] += 1
    people = found.people()
    for who in [each for each in people if each != UNKNOWN][_MAX_PEOPLE - 1 :] if len(people) > _MAX_PEOPLE else []:
        for hour in range(24):
            found.counts[OTHERS, hour] += found.counts.pop((who, hour), 0)
    found.counts = +found.counts
    return found


def bars(found: Openings) -> list[str]:
    """Lines for a terminal: a bar for each hour, then one for each person."""
    hours = [sum(found.hours(who)[hour] for who in found.people()) for hour in range(24)]
    people = {who: sum(found.hours(who)) for who in found.people()}
    width = max([5, *(len(who) for who in people)])
    lines = ["%-*s %s" % (width, "%02d" % hour, _bar(number, max(hours))) for hour, number in enumerate(hours)]
    return (
        lines + [""] + ["%-*s %s" % (width, who, _bar(number, max(people.values()))) for who, number in people.items()]
    )


def _bar(number: int, most: int) -> str:
    eighths = number * _BAR * 8 // most if most else 0
    return ("█" * (eighths // 8) + _BLOCKS[eighths % 8].strip() + " %d" % number).strip()


def png(found: Openings, path: Path, title: str) -> None:
    """Write the picture. HostError `io`, `bad_request` for another ending than .png; ModuleNotFoundError."""
    if path.suffix.lower() != ".png":
        raise HostError("bad_request", "a plot is written as .png, or shown: --plot -")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(9, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    below = [0] * 24
    colours = ["C%d" % at for at in range(10)]
    for at, who in enumerate(found.people()):
        shown = found.hours(who)
        colour = "0.6" if who == UNKNOWN else colours[at % 10]
        # A name is never markup: a dollar sign would begin a formula, an underscore hide it from the legend
        label = who.replace("$", r"\$") if not who.startswith("_") else " " + who.replace("$", r"\$")
        axes.bar(range(24), shown, bottom=below, label=label, color=colour)
        below = [old + new for old, new in zip(below, shown, strict=True)]
    axes.set_title(title.replace("$", r"\$"))
    axes.set_xlabel("hour of the day, by the lock's clock")
    axes.set_ylabel("openings")
    axes.set_xticks(range(24))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if found.total:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise HostError("io", "cannot write %s: %s" % (path, error.strerror or error))
