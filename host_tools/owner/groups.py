"""Groups of locks, kept in the key book: names under which commands reach several locks. A lock may be in many."""

from collections.abc import Iterable

from host_tools import text
from host_tools.errors import HostError
from host_tools.owner.keybook import Entry, KeyBook


def names(entries: Iterable[Entry]) -> list[str]:
    """All groups, one of each name."""
    found = {text.key(name): name for entry in entries for name in entry.groups}
    return [found[key] for key in sorted(found)]


def members(entries: Iterable[Entry], group: str) -> list[Entry]:
    """The locks of a group, by its whole name. HostError `unknown_name`."""
    known = list(entries)
    todo = "see `gatehouse group list`"
    chosen = text.key(text.pick(group, names(known), lambda name: [name], str, "a group", "unknown_name", todo))
    return [entry for entry in known if chosen in map(text.key, entry.groups)]


def add(book: KeyBook, group: str, lock: Entry) -> None:
    """Put a lock into a group, which is made where there is none. HostError for what is no name."""
    called = text.name(group, "group")
    known = {text.key(name): name for name in names(book.entries())}

    def change(entry: Entry) -> None:
        if text.key(called) not in map(text.key, entry.groups):
            entry.groups = [*entry.groups, known.get(text.key(called), called)]

    book.update(lock.mac, change)


def remove(book: KeyBook, group: str, lock: Entry) -> None:
    """Take a lock out of a group; the group ends with its last lock. HostError where it is not in it."""
    if lock.id not in [each.id for each in members(book.entries(), group)]:
        raise HostError("not_found", "%s is not in the group %s" % (lock.name, group), "see `gatehouse group list`")

    def change(entry: Entry) -> None:
        entry.groups = [name for name in entry.groups if text.key(name) != text.key(group)]

    book.update(lock.mac, change)
