"""Puts the firmware of one role on a board that runs MicroPython, over its serial port; everything in /data stays.

Owns the order of writing: main.py goes first and comes back last, so that a flashing that was cut off leaves a board
that waits for the next flashing, and so that no watchdog of a running application ends the long copying. Nothing is
fetched from a network, and an aioble that somebody else put there is removed (security.md SUP-1). Leaves building the
tree to `stage`.
"""

import ast
import hashlib
import io
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path, PurePosixPath

import serial
from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from host_tools.boards.serial_console import SerialConsole
from host_tools.boards.stage import ROLES, SLOT, StageError, stage
from host_tools.errors import HostError

_OLDEST = (1, 25)
_LOOK_S = 0.1
_BANNER = b"raw REPL; CTRL-B to exit\r\n"
BACK_S = 20  # a board is back on its port after a reset
ANSWER_S = 60  # and its role answers
_OWN = ("/" + SLOT, "/lib/aioble")  # directories that hold nothing but what we put there

# Run on the board: prints every file below a directory (w), or one file (f), with its SHA-256
_LISTING = """
import os, hashlib, binascii
def f(p):
    h = hashlib.sha256()
    try:
        with open(p, 'rb') as s:
            while True:
                b = s.read(512)
                if not b:
                    break
                h.update(b)
    except OSError:
        return
    print(repr((p, binascii.hexlify(h.digest()).decode())))
def w(d):
    try:
        entries = list(os.ilistdir(d))
    except OSError:
        return
    for e in entries:
        w(d + '/' + e[0]) if e[1] & 0x4000 else f(d + '/' + e[0])
"""

Progress = Callable[[str], None]


def flash(role: str, port: str, progress: Progress = lambda step: None) -> dict:
    """Flash `role` to the board on `port`; the reply of the running role to `hello` ({"role", "version", ...})."""
    if role not in ROLES:
        raise HostError("bad_request", "no role %r" % role, "choose one of: %s" % ", ".join(ROLES))
    with tempfile.TemporaryDirectory() as folder:
        progress("building the %s image" % role)
        try:
            tree = stage(role, Path(folder) / "tree")
        except StageError as err:
            raise HostError("config", str(err))
        try:
            _put(role, tree, port, progress)
        except (TransportError, OSError, serial.SerialException) as err:
            raise HostError("link", "the board on %s stopped answering (%s)" % (port, short(err)), "flash it again")
    progress("waiting for the %s to answer" % role)
    with SerialConsole(port, BACK_S) as console:
        answer = console.ask({"do": "hello"}, ANSWER_S, repeat=True)
    if answer.get("role") != role:
        raise HostError("internal", "the board says it is %r" % answer.get("role"), "flash it again")
    return answer


def _put(role: str, tree: Path, port: str, progress: Progress) -> None:
    progress("stopping what runs on the board")
    with raw_repl(port) as board:
        _check(board, role)
        was_running = board.fs_exists("/main.py")
        if was_running:
            board.fs_rmfile("/main.py")
            reset(board)
    with raw_repl(port) as board:
        _copy(board, tree, progress)
        if board.fs_exists("/slot"):
            board.fs_rmfile("/slot")  # an update had made the other slot the active one
    progress("starting it")
    with raw_repl(port) as board:
        board.fs_writefile("/main.py", (tree / "main.py").read_bytes())
        board.exec("import os; os.sync() if hasattr(os, 'sync') else None")
        reset(board)


@contextmanager
def raw_repl(port: str) -> Iterator[SerialTransport]:
    """The raw REPL of the board on `port`; a program that runs is stopped."""
    until_s = time.monotonic() + BACK_S
    board: SerialTransport | None = None
    while board is None:
        try:
            board = SerialTransport(port, baudrate=115200)
            board.serial.timeout = _LOOK_S  # else mpremote 1.29 waits for ever on a pty whose board is just starting
            with redirect_stdout(io.StringIO()):  # where mpremote prints what it did not understand
                board.enter_raw_repl(soft_reset=False, timeout_overall=5)
            _settle(board)
            board.serial.timeout = None
        except (TransportError, OSError, serial.SerialException) as err:
            if board is not None:
                board.close()
                board = None
            if time.monotonic() > until_s:
                todo = "is it plugged in and free, with MicroPython on it? (esptool write_flash, see README)"
                raise HostError("link", "no MicroPython answers on %s (%s)" % (port, short(err)), todo)
            time.sleep(0.3)
    try:
        yield board
    finally:
        with suppress(OSError, serial.SerialException):
            board.close()


def _settle(board: SerialTransport) -> None:
    """Wait until nothing more comes, then have one prompt: a board may answer an earlier call late."""
    while board.serial.read(256):
        pass
    board.serial.write(b"\r\x01")
    if not board.read_until(1, _BANNER, timeout_overall=5).endswith(_BANNER):
        raise TransportError("could not enter raw repl")


def check_interpreter(board: SerialTransport) -> None:
    """Raise HostError unless the board's MicroPython can run the firmware."""
    version = board.exec("import sys; print(sys.implementation[1][:2])").decode().strip()
    try:
        numbers = ast.literal_eval(version)
    except (ValueError, SyntaxError):
        numbers = ()
    if tuple(numbers) < _OLDEST:
        raise HostError("unsupported", "the board runs MicroPython %s" % version, "put 1.25 or newer on it (README)")


def _check(board: SerialTransport, role: str) -> None:
    check_interpreter(board)
    if board.fs_exists("/role"):
        present = board.fs_readfile("/role").decode(errors="replace").strip()
        if present in ROLES and present != role:
            todo = "erase the board first (esptool erase_flash): what it keeps belongs to the other role"
            raise HostError("refused", "the board is a %s" % present, todo)


def _copy(board: SerialTransport, tree: Path, progress: Progress) -> None:
    wanted = {"/" + str(path.relative_to(tree)): path for path in sorted(tree.rglob("*")) if path.is_file()}
    wanted.pop("/main.py")
    if not board.fs_exists("/data"):
        board.fs_mkdir("/data")
    write_files(board, wanted, _OWN, progress)


def digests(board: SerialTransport, names: Iterable[str] = (), folders: Iterable[str] = ()) -> dict[str, str]:
    """SHA-256, as hex digits, of the files `names` that the board has, and of every file below `folders`."""
    script = _LISTING + "".join("w(%r)\n" % folder for folder in folders)
    script += "".join("f(%r)\n" % name for name in names)
    lines = board.exec(script).decode().splitlines()
    return dict(ast.literal_eval(line) for line in lines if line.startswith("("))


def digest(path: Path) -> str:
    """SHA-256 of a file here."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_files(board: SerialTransport, wanted: dict[str, Path], own: Iterable[str], progress: Progress) -> None:
    """Write what differs on the board, and remove what else lies in the folders `own`."""
    progress("comparing")
    folders = tuple(own)
    present = digests(board, (name for name in wanted if not name.startswith(folders)), folders)
    for name in sorted(set(present) - set(wanted)):
        board.fs_rmfile(name)
    todo = [name for name in wanted if present.get(name) != digest(wanted[name])]
    made = {"/"}
    for name in todo:
        for folder in reversed(PurePosixPath(name).parents):
            if str(folder) not in made and not board.fs_exists(str(folder)):
                board.fs_mkdir(str(folder))
            made.add(str(folder))
    for done, name in enumerate(todo):
        progress("writing %d of %d: %s" % (done + 1, len(todo), name))
        board.fs_writefile(name, wanted[name].read_bytes(), chunk_size=512)


def reset(board: SerialTransport) -> None:
    """Reset, hard; the port may vanish for a moment."""
    with suppress(TransportError, OSError, serial.SerialException):
        board.exec_raw_no_follow("import machine; machine.reset()")
        time.sleep(0.5)


def short(err: Exception) -> str:
    """The last line of what a board or its port complains of."""
    if isinstance(err, TransportExecError):
        lines = err.error_output.strip().splitlines()
        return lines[-1] if lines else "error"
    return re.sub(r"\s+", " ", str(err)) or type(err).__name__
