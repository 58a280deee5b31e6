"""Locks of a key file into the key book: new ones are added, known ones completed when asked, the rest refused.

Owns what is refused and what is told of each lock. Leaves files to `key_files`.
"""

from dataclasses import dataclass, field

from host_tools import text
from host_tools.errors import HostError
from host_tools.owner import key_files
from host_tools.owner.key_files import Fault, Found, Report
from host_tools.owner.keybook import Entry, KeyBook

NEW, COMPLETED, SAME = "new", "completed", "known already"


@dataclass
class Outcome:
    """What became of a file: (lock, NEW, COMPLETED or SAME) for each that was taken, all faults, and notes."""

    taken: list[tuple[Entry, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def take(book: KeyBook, report: Report, name: str = "", replace: bool = False, strict: bool = False) -> Outcome:
    """Put the locks of a file into the key book. A bad entry keeps out none of the others, unless `strict`.

    `replace` completes locks that are in the book (`key_files.merged`); without it they are refused. `name` is for a
    file with one lock.
    """
    outcome = Outcome([], list(report.faults), list(report.notes))
    known = {each.mac: each for each in book.entries()}
    ready: list[Found] = []
    for found in report.locks:
        here = known.get(found.entry.mac)
        try:
            if here is not None and not replace:
                raise HostError("refused", "%s is in the key book already" % here.mac, "add --replace to complete it")
            if here is not None:
                key_files.merged(here, found)
        except HostError as error:
            outcome.faults.append(Fault(found.where, error.code, "%s; %s" % (error, error.todo)))
            continue
        ready.append(found)
    if strict and outcome.faults:
        return outcome
    for found in ready:
        outcome.taken.append(_put(book, found, name))
        entry = outcome.taken[-1][0]
        if any(text.key(each.name) == text.key(entry.name) for each in known.values() if each.mac != entry.mac):
            outcome.notes.append("%s: another lock is called %s, too; `gatehouse rename` it" % (entry.mac, entry.name))
        known[entry.mac] = entry
    return outcome


def _put(book: KeyBook, found: Found, name: str) -> tuple[Entry, str]:
    state = NEW

    def change(here: Entry | None) -> Entry:
        nonlocal state
        entry = found.entry if here is None else key_files.merged(here, found)
        entry.name = name or entry.name
        if here is not None:
            state = SAME if vars(entry) == vars(here) else COMPLETED
        return entry

    return book.change(found.entry.mac, change), state
