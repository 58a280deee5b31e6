"""What all commands have in common before they know of one another: the option --json, and answers given once for
several locks."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, errors too, and nothing else")]

_answers: contextvars.ContextVar[dict[str, str] | None] = contextvars.ContextVar("answers", default=None)


@contextlib.contextmanager
def for_several() -> Iterator[None]:
    """Around a command over several locks: what `once` gives is the same for all."""
    token = _answers.set({})
    try:
        yield
    finally:
        _answers.reset(token)


def once(what: str, make: Callable[[], str]) -> str:
    """What `make` gives; for several locks it is called once."""
    known = _answers.get()
    if known is None:
        return make()
    if what not in known:
        known[what] = make()
    return known[what]
