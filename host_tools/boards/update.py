"""Writes other firmware of the same role into the slot that a board does not run from; the board tries it once, and
goes back by itself if it does not work. Keys, credentials, settings and records stay as they are.

Owns the order of writing: files of the slot that is not in use, their check, then the word in /slot (see
firmware/system/restarts.py). Until that word is written, an update that is cut off leaves the board as it was.
boot.py, main.py and libraries belong to no slot: firmware that needs others of them is flashed (`flash`), not updated.
"""

import tempfile
import time
from pathlib import Path

import serial
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from host_tools.boards import flash
from host_tools.boards.serial_console import SerialConsole
from host_tools.boards.stage import ROLES, SLOT, StageError, stage
from host_tools.errors import HostError

_TRIAL_S = 240  # the board judges within two minutes, and may have to be reset by its watchdog first
_LOOK_S = 1.0
_SHARED = ("boot.py", "main.py")


def update(port: str, progress: flash.Progress = lambda step: None, tree: Path | None = None) -> dict:
    """Update the board on `port`; the reply of the new firmware to `hello`, once it has proved itself.

    `tree` is a tree of `stage` in place of one built from this repository. Raises HostError: `refused` when the board
    went back to the firmware of before.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            with flash.raw_repl(port) as board:
                flash.check_interpreter(board)
                role = _role(board)
                progress("building the %s image" % role)
                try:
                    slot = _put(board, tree or stage(role, Path(folder) / "tree"), progress)
                finally:
                    progress("starting it")
                    flash.reset(board)  # the firmware has been stopped: it must run again, also after an error here
        except StageError as err:
            raise HostError("config", str(err))
        except (TransportError, OSError, serial.SerialException) as err:
            text = "the board on %s stopped answering (%s)" % (port, flash.short(err))
            raise HostError("link", text, "switch it off and on: it runs what it ran before; then update again")
    return _watch(port, slot, progress)


def _role(board: SerialTransport) -> str:
    role = board.fs_readfile("/role").decode(errors="replace").strip() if board.fs_exists("/role") else ""
    if role not in ROLES or not board.fs_exists("/main.py"):
        raise HostError("refused", "the board runs no firmware of ours", "flash it: gatehouse flash")
    return role


def _put(board: SerialTransport, tree: Path, progress: flash.Progress) -> str:
    """Write the other slot and put it on trial; its name."""
    shared = {"/" + name: tree / name for name in _SHARED}
    if flash.digests(board, shared) != {name: flash.digest(path) for name, path in shared.items()}:
        todo = "flash it instead (gatehouse flash); its settings and credentials stay"
        raise HostError("unsupported", "this firmware comes with another boot.py or main.py", todo)
    word = board.fs_readfile("/slot").decode(errors="replace").strip() if board.fs_exists("/slot") else SLOT
    if len(word) > 1:
        raise HostError("busy", "an update of this board is on trial", "wait two minutes, then try again")
    other = "a" if word == "b" else "b"
    folder = "/" + other
    paths = sorted(path for path in (tree / SLOT).rglob("*") if path.is_file())
    wanted = {"%s/%s" % (folder, path.relative_to(tree / SLOT)): path for path in paths}
    flash.write_files(board, wanted, (folder,), progress)
    progress("checking what was written")
    if flash.digests(board, folders=(folder,)) != {name: flash.digest(path) for name, path in wanted.items()}:
        raise HostError("internal", "what was written does not read back", "update it again")
    board.fs_writefile("/slot.new", (other + "??").encode())
    board.exec("import os; os.rename('/slot.new', '/slot'); os.sync() if hasattr(os, 'sync') else None")
    return other


def _watch(port: str, slot: str, progress: flash.Progress) -> dict:
    """Wait for the board's judgement."""
    progress("waiting until it has proved itself")
    until_s = time.monotonic() + _TRIAL_S
    while time.monotonic() < until_s:
        try:
            with SerialConsole(port, flash.BACK_S) as console:
                answer = console.ask({"do": "hello"}, flash.ANSWER_S, repeat=True)
        except HostError as err:
            if err.code != "link":
                raise
            continue
        running = answer.get("restart") or {}
        if running.get("slot") != slot:
            todo = "its log says why; what it runs is what it ran before"
            raise HostError("refused", "the new firmware did not prove itself", todo)
        if not running.get("trial"):
            return answer
        time.sleep(_LOOK_S)
    raise HostError("link_timeout", "the board on %s did not judge in time" % port, "ask it: gatehouse info")
