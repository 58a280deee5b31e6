"""How a command ends when something unforeseen happens: in one line and with a status, never in a traceback.

Owns what follows a result that cannot be shown (closed pipe, full disk, broken terminal), and faults of ours. What a
command did stands: once it is known, the status is that of the outcome, whatever happens to its words.
`GATEHOUSE_TRACEBACK=1` shows the traceback of what was not foreseen.
"""

import contextlib
import contextvars
import os
import traceback
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.exceptions import TyperException

from firmware.lib.errors import FirmwareError
from host_tools import extras, screen
from host_tools.cli import statuses
from host_tools.errors import HostError, Interrupted

_ASKING = ("list", "get", "show", "share", "export", "state", "info", "jobs", "records", "monitor", "basics", "scan")

_known: contextvars.ContextVar[bool] = contextvars.ContextVar("outcome", default=False)
_kept: contextvars.ContextVar[dict | None] = contextvars.ContextVar("kept", default=None)


def kept() -> dict:
    """What the command that runs keeps for itself while it does, such as a key book that has been opened."""
    found = _kept.get()
    return {} if found is None else found


def settle(is_known: bool = True) -> None:
    """The outcome of the command that runs is known, and good; what is left is to show it. False: it goes on."""
    _known.set(is_known)


@contextlib.contextmanager
def orderly(command: str | None) -> Iterator[None]:
    """Around a command: what escapes it becomes one line, and the status of what is known."""
    _known.set(False)
    _kept.set({})
    try:
        yield
    except (typer.Exit, typer.Abort, TyperException, SystemExit):
        raise
    except (KeyboardInterrupt, Exception) as error:
        if isinstance(error, ModuleNotFoundError):
            error = extras.missing(error) or error
        if isinstance(error, HostError | FirmwareError):
            raise refuse(error)
        if os.environ.get("GATEHOUSE_TRACEBACK"):
            traceback.print_exc()
        is_known = _known.get()
        is_lost = is_known and isinstance(error, Exception)
        tell(("done, and not all of it could be shown: " if is_lost else "") + line(error), not is_known)
        if is_known and (command not in _ASKING or not is_lost):
            raise typer.Exit(0)
        code, _, text = line(error).partition(": ")
        _note({"ok": False, "code": code, "msg": text})
        raise typer.Exit(statuses.of(code))
    finally:
        _kept.set(None)


def refuse(error: HostError | FirmwareError) -> typer.Exit:
    """Tell of an error -> the exit to raise, by its code; of what was interrupted, as of an interruption."""
    host = isinstance(error, HostError)
    tell(line(error), True)
    _note(error.to_json() if isinstance(error, HostError) else {"ok": False, "code": error.code, "msg": str(error)})
    return typer.Exit(statuses.STOPPED if host and isinstance(error, Interrupted) else statuses.of(error.code))


def _note(error: dict) -> None:
    made = screen.documents()
    if made is not None:
        made.error = error


def tell(text: str, is_error: bool) -> None:
    """A last line, if there is anybody to read it."""
    with contextlib.suppress(OSError, ValueError):
        screen.err.print(screen.styled(("error", "bold red"), " " + text) if is_error else "warning: " + text)


def line(error: BaseException) -> str:
    """An exception as `code: sentence`. Of what was not foreseen only kind and place: its text may hold a secret."""
    if isinstance(error, HostError):
        return error.line()
    if isinstance(error, FirmwareError):
        return "%s: %s" % (error.code, error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted: stopped"
    if isinstance(error, OSError):
        where = " (%s)" % error.filename if error.filename else ""
        return "io: %s%s" % (error.strerror or type(error).__name__, where)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = " at %s:%d" % (Path(last[0].filename).name, last[0].lineno or 0) if last else ""
    return "internal: %s%s; GATEHOUSE_TRACEBACK=1 shows more" % (type(error).__name__, where)
