"""What every command shares: options, running a coroutine, the one error line, progress, secrets from prompt or stdin.

Secrets never come from the command line, where the process list and the shell's history would keep them.
"""

import asyncio
import contextlib
import functools
import os
import re
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Any

import typer

from firmware.lib.errors import FirmwareError
from host_tools import json_text, screen
from host_tools.cli import completion, ending, shared
from host_tools.errors import HostError
from host_tools.owner import given_names, places, zones
from host_tools.owner.gateways import Gateway
from host_tools.owner.keybook import Entry, KeyBook
from host_tools.screen import Table, err, out, styled
from host_tools.text import decoded

_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z")  # as gateways publish times

Lock = Annotated[
    str,
    typer.Argument(
        help="Name, address or id of the lock, as in `gatehouse keys list`", autocompletion=completion.locks
    ),
]
Zone = Annotated[str, typer.Option("--zone", help="Time zone of the lock: Europe/Berlin, UTC+2, here")]
Json = shared.Json


def fail(error: HostError | FirmwareError) -> typer.Exit:
    """Print the one line of an error and give back the exit to raise."""
    return ending.refuse(error)


def warn(text: str) -> None:
    """A line that the command does not end with."""
    err.print("warning: " + text, style="yellow")


def run(work: Coroutine[Any, Any, Any], known: list | None = None, is_change: bool = False) -> Any:
    """Run a command's coroutine; HostError and FirmwareError become one line and the exit status of their code.

    The end of the terminal and `kill` interrupt as Ctrl-C does, so that what was sent is noted and told. Where `known`
    holds something by then, the outcome is known: nothing that comes after it ends the command. A change that was made
    stands, whatever happens while it is shown.
    """
    ending.settle(False)
    results: list[Any] = []
    errors: list[HostError | FirmwareError] = []

    async def whole() -> None:
        try:
            results.append(await _stoppable(work))
        except (HostError, FirmwareError) as error:
            errors.append(error)

    try:
        asyncio.run(whole())
    except (KeyboardInterrupt, asyncio.CancelledError, RuntimeError) as error:  # the last: Ctrl-C at the loop's end
        if not (results or known or errors):
            if isinstance(error, RuntimeError):
                raise
            raise fail(Stopped())
    if errors and not known:
        raise fail(errors[0])
    ending.settle(is_change)
    return results[0] if results else None


class Stopped(HostError):
    """Ctrl-C before anything was sent that changes something, or beside a lock, where only the lock knows."""

    def __init__(self) -> None:
        super().__init__("interrupted", "stopped", "what had reached a lock by then is done; look at its state")


async def _stoppable(work: Coroutine[Any, Any, Any]) -> Any:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    wanted = [signal.SIGTERM, signal.SIGHUP]
    try:
        for each in wanted:
            loop.add_signal_handler(each, task.cancel)
    except (RuntimeError, ValueError, NotImplementedError):  # not the main thread, or no such signals here
        wanted = []
    try:
        return await work
    finally:
        for each in wanted:
            loop.remove_signal_handler(each)


@contextlib.contextmanager
def reporting() -> Iterator[None]:
    """The same for commands without a coroutine."""
    try:
        yield
    except (HostError, FirmwareError) as error:
        raise fail(error)


@contextlib.contextmanager
def progress(text: str) -> Iterator[Callable[[str], None]]:
    """A spinner with the present step on a terminal; plain lines of steps elsewhere."""
    with err.status(text) as step:
        yield step


def run_near(text: str, work: Callable[[Callable[[str], None]], Awaitable[Any]]) -> Any:
    """Run `work(step)`, which uses this computer's Bluetooth, or the simulated air that GATEHOUSE_AIR names."""
    from host_tools.near import lock_link

    async def whole() -> Any:
        if os.environ.get("GATEHOUSE_AIR"):
            from host_tools.sim.ble import bleak_air

            bleak_air.install(os.environ["GATEHOUSE_AIR"])
        lock_link.keep_challenges(key_book().path.with_name("challenges.json"))
        with progress(text) as step:
            return await work(step)

    return run(whole(), is_change=True)


def key_book() -> KeyBook:
    """The owner's key book; its passphrase comes from $GATEHOUSE_PASSPHRASE_FILE or is asked for, once a command."""
    kept = ending.kept()
    if "book" not in kept:
        kept["book"] = KeyBook(passphrase=_passphrase, is_meant=_is_meant, changed=_refresh_names)
    book: KeyBook = kept["book"]
    return book


def _refresh_names(book: KeyBook) -> None:
    """Write the file of names anew that `gatehouse keys names --keep` has made; a change stands without it."""
    try:
        given_names.refresh(book)
    except HostError as error:
        warn(error.line())


def pins() -> list[Gateway]:
    """The gateways of the key book, for a connection."""
    return key_book().gateways()


def _is_meant(who: str, entry: Entry) -> bool:
    """Ask whether a lock is meant whose name only resembles what was typed; no where nobody can be asked."""
    return screen.asks() and _answer(who, entry.name, entry.mac)


@functools.cache
def _answer(who: str, name: str, mac: str) -> bool:
    """One command may look a lock up twice, and asks once."""
    return screen.confirm("no lock is called %r; do you mean %s (%s)?" % (who, name, mac))


def entry_of(lock: str) -> Entry:
    """The lock's entry in the key book. An error ends the command."""
    with reporting():
        return key_book().find(lock)


def known_entry(lock: str) -> Entry | None:
    """The same; None for a lock that the key book does not know."""
    try:
        return key_book().find(lock)
    except HostError as error:
        if error.code != "unknown_lock":
            raise
        return None


def _passphrase(again: bool) -> str:
    return passphrase("passphrase of the key book", again)


def passphrase(what: str, again: bool) -> str:
    """The one in $GATEHOUSE_PASSPHRASE_FILE, or what is typed; `again`: twice."""
    path = os.environ.get("GATEHOUSE_PASSPHRASE_FILE")
    if path:
        try:
            return Path(path).read_text().rstrip("\n")
        except OSError as error:
            raise HostError("io", "cannot read %s: %s" % (path, error.strerror))
    return secret(what, again)


def read_text(file: str) -> str:
    """A file of the user's, or standard input for "-", in any encoding of Unicode. Raises HostError."""
    try:
        raw = _read(file, json_text.MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise HostError("io", "cannot read %s: %s" % (file, getattr(error, "strerror", None) or error))
    if len(raw) > json_text.MAX_BYTES:
        raise HostError("bad_request", "%s is longer than %d MiB" % (file, json_text.MAX_BYTES >> 20))
    try:
        return decoded(raw)
    except ValueError:
        raise HostError("bad_request", "%s is no text" % file, "save it as UTF-8")


def _read(file: str, max_bytes: int) -> bytes:
    if file == "-":
        return screen.read_all(max_bytes)
    with open(file, "rb") as stream:
        return stream.read(max_bytes)


def private_path(name: str) -> Path:
    """A new file for secrets that no path was given for: in the user's data folder, never in the current one."""
    try:
        folder = places.exports()
    except OSError as error:
        raise HostError("io", "cannot make a folder for secrets: %s" % error.strerror, "give a path with --to")
    stem, dot, ending_ = name.rpartition(".")
    made = folder / name
    count = 1
    while made.exists():
        count += 1
        made = folder / ("%s-%d%s%s" % (stem, count, dot, ending_))
    return made


def secret(what: str, again: bool = False) -> str:
    """Ask for a secret without showing it; from a pipe, take one line of standard input. For several locks, once."""
    return shared.once(what, lambda: _secret(what, again))


def _secret(what: str, again: bool) -> str:
    if screen.asks():
        return str(screen.ask(what, is_secret=True, again=again))
    line = screen.read_line()
    if not line:
        raise HostError("bad_request", "no %s on standard input" % what, "pipe it in, or run this on a terminal")
    return line


def show(title: str, values: dict, as_json: bool = False, zone: tzinfo | None = None) -> None:
    """A result: a small table for people, or JSON. Times are those of `zone` (`zone_of` a lock), or this computer's."""
    if as_json:
        out.print_json(data=values)
        return
    table = Table(title=title, show_header=False, box=None)
    for key, value in values.items():
        table.add_row(styled((str(key), "dim")), _text(key, value, zone))
    out.print(table)


def _text(key: str, value: Any, zone: tzinfo | None = None) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join("%s %s" % (name, _text(name, part, zone)) for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(_text(key, part, zone) for part in value) or "none"
    if key in ("ts", "at", "until", "paired_at") and isinstance(value, (int, float)) and value > 1_000_000_000:
        return when(value, zone)
    if isinstance(value, str) and _UTC.fullmatch(value):
        return local(value, zone)
    return str(value)


def where(lock: str) -> Callable[[], tzinfo | None]:
    """For `times`: the zone of a lock, asked for when a date needs it. HostError `no_zone` then, if it is not known; a
    lock that the key book does not hold is taken to be where this computer is."""

    def zone() -> tzinfo | None:
        entry = known_entry(lock)
        return zones.RuleZone(zones.rule_of(entry)) if entry else None

    return zone


def zone_of(lock: str) -> tzinfo | None:
    """For `when` and `local`: the zone of a lock, None where it is not known. It is asked for when something was done
    and is to be shown, so nothing fails here."""
    try:
        return zones.of(known_entry(lock))
    except (HostError, FirmwareError):
        return None


def when(unix_s: float, zone: tzinfo | None = None) -> str:
    """Date, time and zone, of a lock (`zone_of`) or of this computer; the number itself where it is no date."""
    try:
        return zones.when(unix_s, zone)
    except (ValueError, OverflowError, OSError, FirmwareError):
        return str(unix_s)


def local(text: str, zone: tzinfo | None = None) -> str:
    """ISO 8601 in UTC, as gateways publish it, as `when`; anything else as it is."""
    return zones.shown(text, zone)
