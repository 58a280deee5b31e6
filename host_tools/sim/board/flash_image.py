"""Flash images of simulated boards: littlefs in a file, written by MicroPython itself.

A finished image of each role is kept in `sim` of the cache, named by the content of everything that went into it, so
that a board starts from a copy. Owns the images' content; what the board does with its own afterwards is the board's.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from host_tools import sources
from host_tools.boards import stage
from host_tools.sim.board.interpreter import SHIMS, SimError, command, is_frozen

BLOCK = 4096
SIZE = 2 * 1024 * 1024
_CACHE = sources.CACHE / "sim"

# Runs under MicroPython: argv = shims, image, "new" or "old", directories to copy in and out ("-": none)
_COPY = r"""
import sys
sys.path[:] = [sys.argv[1]]
import os, vfs
import _flash
image, how, source, dest = sys.argv[2:6]
flash = _flash.Flash(open(image, "r+b"), os.stat(image)[6] // 4096)
if how == "new":
    vfs.VfsLfs2.mkfs(flash)
vfs.mount(flash, "/flash")

def copy(a, b):
    if os.stat(a)[0] & 0x4000:
        try:
            os.mkdir(b)
        except OSError:
            pass
        for entry in sorted(os.listdir(a)):
            copy(a + "/" + entry, b + "/" + entry)
        return
    with open(a, "rb") as old:
        with open(b, "wb") as new:
            while True:
                part = old.read(4096)
                if not part:
                    break
                new.write(part)

if source != "-":
    for entry in sorted(os.listdir(source)):
        copy(source + "/" + entry, "/flash/" + entry)
if dest != "-":
    for entry in os.listdir("/flash"):
        copy("/flash/" + entry, dest + "/" + entry)
vfs.umount("/flash")
"""


def create(path: Path, role: str, files: dict[str, bytes] | None = None, mpy: bool = True, size: int = SIZE) -> None:
    """Write the image of a fresh board with `role` to `path`, with `files` (path on the board -> content) added."""
    shutil.copyfile(_template(role, mpy, size), path)
    if files:
        put(path, files)


def tree(role: str, dest: Path, mpy: bool = True) -> Path:
    """Write what a fresh board has on its flash into the directory `dest`, and return that."""
    if is_frozen():
        return stage.stage_frozen(role, dest)
    return stage.stage(role, dest, mpy=mpy, simulator=True)


def create_from(path: Path, folder: Path, size: int = SIZE) -> None:
    """Write an image that holds the directory `folder`."""
    with open(path, "wb") as file:
        for _ in range(size // BLOCK):
            file.write(b"\xff" * BLOCK)
    _copy(path, "new", folder)


def put(path: Path, files: dict[str, bytes]) -> None:
    """Add `files` to an image whose board is not running."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            target = Path(folder) / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        _copy(path, "old", Path(folder))


def unpack(path: Path, dest: Path) -> None:
    """Copy all files of an image into the directory `dest`."""
    dest.mkdir(parents=True, exist_ok=True)
    _copy(path, "old", None, dest)


def as_json(settings: dict) -> bytes:
    """A settings file's content."""
    return json.dumps(settings, indent=1).encode() + b"\n"


def _copy(image: Path, how: str, source: Path | None, dest: Path | None = None) -> None:
    names = [str(image), how, str(source or "-"), str(dest or "-")]
    done = subprocess.run(
        command(None, "-c", _COPY, str(SHIMS), *names),
        env={key: value for key, value in os.environ.items() if not key.startswith("SIM_")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode or "Traceback" in done.stderr:
        raise SimError("the flash image %s cannot be written: %s" % (image, (done.stdout + done.stderr).strip()))


def _template(role: str, mpy: bool, size: int) -> Path:
    path = _CACHE / ("%s-%s.img" % (role, _fingerprint(role, mpy, size)))
    if path.is_file():
        return path
    _CACHE.mkdir(parents=True, exist_ok=True)
    with open(_CACHE / "lock", "w") as lock, tempfile.TemporaryDirectory() as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be making the same one, which takes seconds
        if not path.is_file():
            image = Path(folder) / "image"
            create_from(image, tree(role, Path(folder) / "tree", mpy), size)
            fresh = path.with_suffix(".%d" % os.getpid())
            shutil.copyfile(image, fresh)
            os.replace(fresh, path)
    return path


def _fingerprint(role: str, mpy: bool, size: int) -> str:
    paths = [sources.top("boot.py"), sources.top("main.py"), Path(stage.__file__).resolve(), Path(__file__).resolve()]
    paths += sorted((sources.ROOT / "firmware").rglob("*.py"))
    named = [(str(path.relative_to(sources.ROOT)), path) for path in paths]
    umqtt = sources.LIBRARY / "umqtt"
    named += [("umqtt/%s" % path.relative_to(umqtt), path) for path in sorted(umqtt.rglob("*.py"))]
    aioble = stage.find_aioble(simulator=True)  # anywhere: what it holds counts, not where it lies
    if aioble:
        named += [("aioble/%s" % path.relative_to(aioble), path) for path in sorted(aioble.rglob("*"))]
    digest = hashlib.sha256(("%s %s %d" % (role, "frozen" if is_frozen() else mpy, size)).encode())
    for name, path in named:
        if path.is_file():
            digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:20]
