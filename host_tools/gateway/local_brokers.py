"""Which brokers on this computer are a running simulator's: they speak without TLS, and only programs here reach them.

Owns the marks that sites leave, one file per port, in a folder of this user's: that a broker is one, and where the key
book is that commands the gateways there; beside that one, how far the site's time has leapt. Leaves to `brokers` and
`client` what follows.
"""

import ipaddress
import os
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


def mark(port: int) -> None:
    """A site's broker listens on this port, as long as this process lives."""
    folder = _folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    if _is_ours(folder):
        (folder / str(port)).write_text(str(os.getpid()))


def unmark(port: int) -> None:
    """It does no more."""
    if _is_ours(_folder()):
        (_folder() / str(port)).unlink(missing_ok=True)


def mark_keys(port: int, book: Path) -> None:
    """This key book commands the gateways at the site's broker, which may have TLS."""
    folder = _folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    if _is_ours(_folder()):
        _keys_mark(port).write_text("%d\n%s" % (os.getpid(), book))


def unmark_keys(port: int) -> None:
    """The site is no more."""
    if _is_ours(_folder()):
        _keys_mark(port).unlink(missing_ok=True)


def keys(host: str, port: int) -> Path | None:
    """The key book of the running site whose broker is there."""
    marked = _lives(host, _keys_mark(port))
    return Path(marked) if marked else None


def mark_leap(book: Path, seconds: float) -> None:
    """So far time at the site of this key book is ahead of the computer's."""
    told = _leap_mark(book).with_suffix(".new")
    told.write_text(repr(seconds))
    told.replace(_leap_mark(book))


def clock(book: Path) -> Callable[[], float]:
    """The time at the site of this key book."""

    def now_s() -> float:
        try:
            return time.time() + float(_leap_mark(book).read_text())
        except (OSError, ValueError):  # it has not leapt
            return time.time()

    return now_s


def _leap_mark(book: Path) -> Path:
    return book.with_name("leap")


def _keys_mark(port: int) -> Path:
    return _folder() / ("%d-keys" % port)


def is_simulated(host: str, port: int) -> bool:
    """Whether a running site of this user's has its broker there."""
    return _lives(host, _folder() / str(port)) is not None


def _lives(host: str, mark: Path) -> str | None:
    """What a mark says after the number of its process; None where that is no more, or `host` is elsewhere."""
    if not is_loopback(host) or not _is_ours(_folder()):
        return None
    try:
        number, _, said = mark.read_text().partition("\n")
        pid = int(number)
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return said if pid > 0 else None


def is_loopback(host: str) -> bool:
    """True for an address that means this computer, and for localhost."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / ("gatehouse-sites-%d" % os.getuid())


def _is_ours(folder: Path) -> bool:
    """Nobody else could have put a mark there."""
    try:
        about = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() and not about.st_mode & 0o022
