"""What all commands have in common before they know of one another: the option --json, names that are given to
something, and answers given once for several locks."""

import contextlib
import contextvars
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from host_tools import text
from host_tools.screen import err

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, errors too, and nothing else")]


@dataclass(frozen=True)
class Called:
    """In the annotation of an option or argument: it gives a name to something. `App` makes it one that `text.name`
    takes, or refuses it, before the command begins; so no name is refused or changed after something was sent."""

    what: str = "name"
    limit: int = text.MAX_NAME  # characters

    def taken(self, value: str) -> str:
        """The name as it is kept; what that changes to the eye is said. HostError."""
        name = text.name(value, self.what, self.limit)
        if name != unicodedata.normalize("NFC", value):
            err.print("note: the %s is taken as %r" % (self.what, name))
        return name


def names_in(hint: Any) -> list[Called]:
    """What an annotation says of names: `Called`, once or not at all."""
    return [each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Called)]


_answers: contextvars.ContextVar[dict[str, str] | None] = contextvars.ContextVar("answers", default=None)


@contextlib.contextmanager
def for_several() -> Iterator[None]:
    """Around a command over several locks: what `once` gives is the same for all."""
    token = _answers.set({})
    try:
        yield
    finally:
        _answers.reset(token)


def are_several() -> bool:
    """Whether the command is for several locks."""
    return _answers.get() is not None


def once(what: str, make: Callable[[], str]) -> str:
    """What `make` gives; for several locks it is called once."""
    known = _answers.get()
    if known is None:
        return make()
    if what not in known:
        known[what] = make()
    return known[what]
