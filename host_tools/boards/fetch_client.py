"""Makes an environment for the newest `ttlock-ble`, which wants Python 3.12, beside ours, into `.cache/ttlock-ble`.

It is a reference client of the tests (tests/system/test_newest_client.py), run by `gatehouse sim run`; the release for
Python 3.11 is in our own environment. A machine without a newer Python goes on without: nothing here is fatal.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from host_tools import sources

HOME = sources.CACHE / "ttlock-ble"
LOCK = sources.ROOT / "requirements-client.lock"
_STAMP = HOME / "ready"
_OLDEST = (3, 12)
_NAMES = ("python3.14", "python3.13", "python3.12", "python3")
# What it stands on, by our own lock file, which has the hashes for every Python
_SHARED = (
    "aiooui",
    "anyio",
    "bleak",
    "bleak-retry-connector",
    "bluetooth-adapters",
    "certifi",
    "cffi",
    "cryptography",
    "dbus-fast",
    "h11",
    "httpcore",
    "httpx",
    "idna",
    "pycparser",
    "typing-extensions",
    "uart-devices",
    "usb-devices",
)


def find() -> Path | None:
    """The Python that has it, when set-up could make it."""
    path = HOME / "bin" / "python"
    return path if _STAMP.is_file() and _STAMP.read_text() == LOCK.read_text() and path.exists() else None


def newer_python() -> str | None:
    """A Python on this machine that is new enough."""
    for name in (sys.executable, *_NAMES):
        path = shutil.which(name)
        if path and _is_new_enough(path):
            return path
    installed = Path.home() / ".pyenv" / "versions"
    pyenv = sorted(installed.glob("3.*/bin/python3"), key=_version, reverse=True)
    return next((str(path) for path in pyenv if _is_new_enough(str(path))), None)


def _version(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", path.parent.parent.name))


def _is_new_enough(path: str) -> bool:
    probe = [path, "-c", "import sys, venv; print(sys.version_info >= %r)" % (_OLDEST,)]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return done.stdout.strip() == "True"


def shared_requirements(lock: str, names: tuple[str, ...] = _SHARED) -> str:
    """The blocks of a lock file for `names`, with their hashes."""
    blocks = re.split(r"\n(?=\S)", lock)
    return "\n".join(block for block in blocks if re.split(r"[=<>\[ ]", block, maxsplit=1)[0] in names) + "\n"


def fetch() -> None:
    """Make it unless it is there. Raises OSError, CalledProcessError."""
    if find():
        return
    python = newer_python()
    if python is None:
        print("ttlock-ble for Python 3.12 and newer: no such Python here; its test is left out")
        return
    shutil.rmtree(HOME, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(HOME)], check=True, capture_output=True)
    shared = HOME / "shared.lock"
    shared.write_text(shared_requirements((sources.ROOT / "requirements.lock").read_text()))
    pip = [str(HOME / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--no-deps", "--require-hashes", "-r", str(shared), "-r", str(LOCK)], check=True, capture_output=True
    )
    _STAMP.write_text(LOCK.read_text())
    print("fetched ttlock-ble for", python)


def main() -> None:
    """Part of set-up; says what happened, never fails."""
    try:
        fetch()
    except (OSError, subprocess.CalledProcessError) as err:
        print("ttlock-ble for Python 3.12 and newer: not here (%s); its test is left out" % err)


if __name__ == "__main__":
    main()
