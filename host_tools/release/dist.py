"""`make dist`: wheel and sdist into `dist/`, and both tried before anybody gets them.

Owns the build (PEP 517, with the tools of requirements.lock) and its proofs: a second build, from the unpacked sdist,
gives the same bytes; the wheel holds what the commands need and nothing else; installed into a fresh environment alone
it works, and says what to install for the rest; with the extra `sim` a simulated house starts. Leaves other machines'
wheels to `aarch64`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from firmware.version import VERSION
from host_tools import extras, sources

DIST = sources.ROOT / "dist"
_STEM = "%s-%s" % (extras.NAME.replace("-", "_"), VERSION)
WHEEL = _STEM + "-py3-none-any.whl"
SDIST = _STEM + ".tar.gz"
_NEEDED = (
    "firmware/gateway/app.py",
    "firmware/lock/app.py",
    "host_tools/cli/main.py",
    "host_tools/image/boards/aioble.pins",
    "host_tools/image/boot.py",
    "host_tools/image/main.py",
    "host_tools/sim/inject/sitecustomize.py",
    "host_tools/sim/shims/machine.py",
    "host_tools/sim/site/example-site.toml",
    "host_tools/sim/standin/aioble/core.py",
)
_KEY_FILE = """{"lockMac": "24:0a:c4:00:00:09", "lockName": "Front door", "aesKeyStr": "%s", "lockKey": "22",
"adminPs": "11", "specialValue": 1, "timezone": "Europe/Berlin"}""" % ",".join(["0a"] * 16)


class Fault(Exception):
    """What is wrong with what was built."""


def build(source: Path, into: Path, what: str) -> Path:
    """Build `wheel` or `sdist` from a tree, without an environment of its own: the tools are those of the lock."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--" + what, "--outdir", str(into), str(source)]
    done = subprocess.run(command, cwd=into, capture_output=True, text=True, check=False)
    made = into / (WHEEL if what == "wheel" else SDIST)
    if done.returncode or not made.is_file():
        raise Fault("the %s cannot be built:\n%s" % (what, done.stdout[-2000:] + done.stderr[-2000:]))
    return made


def both(folder: Path) -> tuple[Path, Path]:
    """Wheel and sdist in `folder`. Fault unless the sdist gives the same wheel, and itself again."""
    wheel, sdist = build(sources.ROOT, folder, "wheel"), build(sources.ROOT, folder, "sdist")
    again = folder / "again"
    again.mkdir()
    with tarfile.open(sdist) as archive:
        archive.extractall(again, filter="data")
    for made, what in ((wheel, "wheel"), (sdist, "sdist")):
        if build(again / _STEM, again, what).read_bytes() != made.read_bytes():
            raise Fault("the sdist gives another %s than the repository" % what)
    return wheel, sdist


def check(wheel: Path) -> None:
    """Fault unless the wheel has what the commands need, and neither tests nor what is made here."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    about = _STEM + ".dist-info/"
    missing = [name for name in (*_NEEDED, about + "METADATA", about + "licenses/LICENSE") if name not in names]
    known = ("firmware/", "host_tools/", about)
    foreign = [
        name
        for name in names
        if not name.startswith(known) or "tests/" in name or "__pycache__" in name or "release/" in name
    ]
    if missing or foreign:
        raise Fault("the wheel lacks %s and should not hold %s" % (missing, foreign))


class Environment:
    """A fresh environment with the wheel, and a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.python = folder / "venv" / "bin" / "python"
        self._run([sys.executable, "-m", "venv", str(folder / "venv")])

    def _run(self, command: list[str], status: int = 0, said: str = "", text: str = "") -> str:
        kept = {
            name: os.environ[name] for name in os.environ if name.startswith(("PIP_", "LANG", "LC_", "SSL_", "http"))
        }
        env = {**kept, "PATH": "/usr/bin:/bin:/usr/sbin", "HOME": str(self.home)}
        done = subprocess.run(
            command, cwd=self.home, env=env, input=text, capture_output=True, text=True, check=False, timeout=1200
        )
        told = done.stdout + done.stderr
        if done.returncode != status or said not in told or "Traceback" in told:
            raise Fault("%s: status %d\n%s" % (" ".join(command), done.returncode, told[-3000:]))
        return done.stdout

    def install(self, *words: str) -> None:
        """By pip."""
        self._run([str(self.python), "-m", "pip", "install", "--quiet", *words])

    def gatehouse(self, *words: str, status: int = 0, said: str = "", text: str = "") -> str:
        """One command -> standard output. Fault unless it ends so, and says so."""
        return self._run([str(self.python.with_name("gatehouse")), *words], status, said, text)


def try_alone(there: Environment, wheel: Path) -> None:
    """The wheel without extras."""
    there.install(str(wheel))
    there.gatehouse("--version", said="gatehouse " + VERSION)
    there.gatehouse("--help", said="Usage: ")
    there.gatehouse("keys", "import", "-", said="Front door", text=_KEY_FILE)
    there.gatehouse("keys", "list", said="Front door")
    for words, extra in ((("flash", "gateway", "/dev/null"), "flash"), (("sim", "up"), "sim")):
        wanted = "%s -m pip install '%s[%s]'" % (there.python, extras.NAME, extra)
        there.gatehouse(*words, status=8, said=wanted)


def try_simulator(there: Environment, wheel: Path) -> None:
    """With its extra a house starts, and a bleak program runs in it that sees a lock."""
    there.install("%s[sim]" % wheel)
    program = there.home / "look.py"
    program.write_text(
        "import asyncio, bleak\n\n\nasync def look():\n    found = await bleak.BleakScanner.find_device_by_filter("
        "lambda device, advert: bool(device.name), timeout=60)\n    print('saw', found.name)\n\n\nasyncio.run(look())\n"
    )
    there.gatehouse("sim", "run", "--", str(program), said="saw ")


def main() -> None:
    """Entry point of `make dist`."""
    parser = argparse.ArgumentParser(prog="python -m host_tools.release.dist", description="Wheel and sdist, tried.")
    parser.add_argument("--no-simulator", action="store_true", help="leave out the environment with the extra `sim`")
    given = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            print("building, twice", flush=True)
            wheel, sdist = both(folder)
            check(wheel)
            there = Environment(folder)
            print("trying the wheel in a fresh environment", flush=True)
            try_alone(there, wheel)
            if not given.no_simulator:
                print("trying the simulator there", flush=True)
                try_simulator(there, wheel)
            DIST.mkdir(exist_ok=True)
            for made in (wheel, sdist):
                shutil.copy(made, DIST)
                print("%s, %d KiB" % (DIST / made.name, made.stat().st_size >> 10))
    except Fault as fault:
        sys.exit("dist: %s" % fault)


if __name__ == "__main__":
    main()
