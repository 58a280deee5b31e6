"""Packages of the Debian release whose MicroPython is new enough, through this machine's own apt.

Owns how they are fetched: from the archives that apt is configured for, with a state folder of our own, so that neither
dpkg nor the system's package lists change. apt checks the archive's signature, and the packages against it. Leaves what
is done with them to `fetch32` and `frozen`.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

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


class Unavailable(Exception):
    """This machine cannot have it; the text says why."""


def run(*command: str, cwd: Path | None = None, timeout_s: float = TIMEOUT_S) -> str:
    """What a program prints. Raises Unavailable with its last words when it fails."""
    env = dict(os.environ, LC_ALL="C")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False, env=env, cwd=cwd)
    except subprocess.TimeoutExpired:
        raise Unavailable("%s took more than %d s" % (command[0], timeout_s)) from None
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(words[-1] if words else "%s failed" % command[0])
    return done.stdout


def archives(listing: str) -> list[str]:
    """URIs of the package archives in the output of `apt-get indextargets`, in its order, each once.

    apt has read its own configuration, in whichever format that is written. Which of the archives is Debian's shows
    when it is asked for Debian's release: the others do not have it, or not under Debian's key.
    """
    return list(dict.fromkeys(line.strip() for line in listing.splitlines() if line.strip()))


def _prepare(state: Path, uri: str, kind: str) -> tuple[str, ...]:
    """An apt state for one archive, its lists fetched. Returns how apt-get is called with it."""
    for folder in ("lists/partial", "archives/partial", "cache"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").write_text("")  # nothing is installed: so all that a package needs is fetched
    keyring = next((" signed-by=" + path for path in KEYRINGS if Path(path).is_file()), "")  # else apt's trusted keys
    (state / "sources.list").write_text("%s [arch=i386%s] %s %s main\n" % (kind, keyring, uri, SUITE))
    config = state / "apt.conf"
    config.write_text(_CONFIG.replace("{state}", str(state)))
    run("apt-get", "-qq", "-c", str(config), "-o", "APT::Update::Error-Mode=any", "update")
    return "apt-get", "-qq", "-y", "-c", str(config)


def binaries(state: Path, uri: str, package: str) -> list[Path]:
    """Fetch a package and all that it needs from one archive. Raises Unavailable."""
    run(*_prepare(state, uri, "deb"), "--download-only", "install", package)
    return sorted((state / "archives").glob("*.deb"))


def source(state: Path, uri: str, package: str) -> Path:
    """Fetch a source package from one archive and unpack it, Debian's patches applied. Raises Unavailable."""
    run(*_prepare(state, uri, "deb-src"), "source", package, cwd=state)
    return next(path for path in state.glob(package + "-*") if path.is_dir())


def fetch(home: Path, make: Callable[[Path, str, Path], None]) -> None:
    """Fill the folder `home` by `make(state, uri, new)`, which is tried with each archive. Raises Unavailable."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable("there is no apt here")
    uris = archives(run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"))
    fresh = home.with_name("%s.%d" % (home.name, os.getpid()))
    reasons = []
    try:
        for rank, uri in enumerate(uris):
            try:
                make(fresh / ("apt%d" % rank), uri, fresh / "new")
            except Unavailable as err:
                reasons.append(str(err))
                continue
            shutil.rmtree(home, ignore_errors=True)
            (fresh / "new").rename(home)
            return
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    raise Unavailable(reasons[0] if reasons else "apt has no package archives")
