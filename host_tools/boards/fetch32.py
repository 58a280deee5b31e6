"""Fetches a true 32-bit MicroPython, Debian's i386 build, and unpacks it beside the system into `.cache/micropython32`.

An ESP32's objects are 32 bits wide and its small integers 31: sizes are measured on such a port (`bench/heap.py`) and
the firmware has to run on it. apt does the fetching, from the archive that this machine's own apt is configured for,
with a state folder of our own, so that neither dpkg nor the system's package lists change; apt checks the archive's
signature, and the packages against it. A machine without apt, without that archive or without 32-bit programs goes on
without: nothing here is fatal.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(__file__).resolve().parent.parent.parent / ".cache"
HOME = CACHE / "micropython32"
WRAPPER = HOME / "micropython"
SUITE = "trixie"  # the first Debian whose MicroPython is new enough: 1.25
KEYRINGS = ["/usr/share/keyrings/debian-archive-keyring." + kind for kind in ("gpg", "pgp")]
TIMEOUT_S = 120

_CONFIG = """
APT::Architecture "i386";
#clear APT::Architectures;
APT::Architectures { "i386"; };
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Get::AllowUnauthenticated "false";
APT::Get::List-Cleanup "false";
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::Languages "none";
Acquire::Retries "1";
Acquire::http::Timeout "15";
Acquire::https::Timeout "15";
Debug::NoLocking "true";
Dir::State "{state}";
Dir::State::lists "{state}/lists";
Dir::State::status "{state}/status";
Dir::Cache "{state}/cache";
Dir::Cache::archives "{state}/archives";
Dir::Etc::SourceList "{state}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
"""

_WRAPPER = """#!/bin/sh
# The 32-bit MicroPython in this folder, on the C library it came with
root=$(dirname "$(readlink -f "$0")")/root/usr
exec "$root/lib/i386-linux-gnu/ld-linux.so.2" --library-path "$root/lib/i386-linux-gnu" "$root/bin/micropython" "$@"
"""


class Unavailable(Exception):
    """This machine cannot have it; the text says why."""


def find32() -> Path | None:
    """The executable to start, when set-up could fetch it."""
    return WRAPPER if WRAPPER.is_file() else None


def archives(listing: str) -> list[str]:
    """URIs of the package archives in the output of `apt-get indextargets`, in its order, each once.

    apt has read its own configuration, in whichever format that is written. Which of the archives is Debian's shows
    when it is asked for Debian's release: the others do not have it, or not under Debian's key.
    """
    return list(dict.fromkeys(line.strip() for line in listing.splitlines() if line.strip()))


def _run(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=dict(os.environ, LC_ALL="C")
        )
    except subprocess.TimeoutExpired:
        raise Unavailable("%s took more than %d s" % (command[0], TIMEOUT_S)) from None
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(words[-1] if words else "%s failed" % command[0])
    return done.stdout


def _download(state: Path, uri: str) -> None:
    """Packages of the interpreter and of all that it needs, from one archive, into `state/archives`."""
    for folder in ("lists/partial", "archives/partial", "cache"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").write_text("")  # nothing is installed: so all that it needs is fetched
    keyring = next((" signed-by=" + path for path in KEYRINGS if Path(path).is_file()), "")  # else apt's trusted keys
    (state / "sources.list").write_text("deb [arch=i386%s] %s %s main\n" % (keyring, uri, SUITE))
    config = state / "apt.conf"
    config.write_text(_CONFIG.replace("{state}", str(state)))
    _run("apt-get", "-qq", "-c", str(config), "-o", "APT::Update::Error-Mode=any", "update")
    _run("apt-get", "-qq", "-y", "-c", str(config), "--download-only", "install", "micropython")


def _unpack(state: Path, home: Path) -> None:
    (home / "root").mkdir(parents=True, exist_ok=True)
    for package in sorted((state / "archives").glob("*.deb")):
        _run("dpkg-deb", "-x", str(package), str(home / "root"))
    (home / "micropython").write_text(_WRAPPER)
    (home / "micropython").chmod(0o755)
    try:
        widest = _run(str(home / "micropython"), "-c", "import sys; print(sys.maxsize)").strip()
    except OSError as err:
        raise Unavailable(str(err)) from None
    if widest != str(2**31 - 1):
        raise Unavailable("what came is no 32-bit interpreter (sys.maxsize %s)" % widest)


def fetch32() -> Path:
    """Path of the interpreter, fetched unless it is there. Raises Unavailable."""
    if WRAPPER.is_file():
        return WRAPPER
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "i686"):
        raise Unavailable("i386 programs do not run on %s %s" % (sys.platform, platform.machine()))
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable("there is no apt here")
    uris = archives(_run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"))
    fresh = CACHE / ("micropython32.%d" % os.getpid())
    reasons = []
    try:
        for rank, uri in enumerate(uris):
            try:
                _download(fresh / ("apt%d" % rank), uri)
                _unpack(fresh / ("apt%d" % rank), fresh / "new")
            except Unavailable as err:
                reasons.append(str(err))
                continue
            shutil.rmtree(HOME, ignore_errors=True)
            (fresh / "new").rename(HOME)
            return WRAPPER
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    raise Unavailable(reasons[0] if reasons else "apt has no package archives")


def main() -> None:
    """Part of set-up; says what happened, never fails."""
    was_there = WRAPPER.is_file()
    try:
        path = fetch32()
    except Unavailable as err:
        print("32-bit MicroPython: not here (%s); the tests and figures that need it are left out" % err)
    else:
        if not was_there:
            print("fetched 32-bit MicroPython:", path)


if __name__ == "__main__":
    main()
