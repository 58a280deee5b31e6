"""Builds MicroPython's 32-bit unix port with the firmware of each role frozen in, into `.cache/frozen`.

It stands in for the build of record for plain ESP32 (boards/README.md): the same manifest, the same width of objects,
bytecode outside the heap. Owns the build; `debian` fetches MicroPython's source and mbedtls, whose AES `cryptolib`
needs; `bench.heap` and `make frozen` run what comes out. Debian's source lacks micropython-lib, and with it `ssl`: no
TLS here.
"""

import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host_tools import sources
from host_tools.boards import bundle, debian, fetch32, stage
from host_tools.boards.debian import Unavailable

MANIFEST = sources.top("boards/unix/manifest.py")
HOME = sources.CACHE / "frozen"
SOURCE = HOME / "source"
MBEDTLS = HOME / "mbedtls"
_BUILD_S = 600
_OPTIONS = (
    "VARIANT=standard",
    "MICROPY_FORCE_32BIT=1",
    "MICROPY_PY_FFI=0",
    "MICROPY_PY_BTREE=0",
    "MICROPY_PY_BLUETOOTH=0",
    "CFLAGS_EXTRA=-I%s/include" % MBEDTLS,
    "LDFLAGS_EXTRA=-L%s/lib -Wl,--start-group -lmbedtls -lmbedx509 -lmbedcrypto -Wl,--end-group" % MBEDTLS,
)


def interpreter(role: str) -> Path:
    """Where the interpreter of a role lies once it has been built."""
    return HOME / role / "micropython"


def _unpack(state: Path, uri: str, home: Path) -> None:
    state.mkdir(parents=True, exist_ok=True)
    debian.source(state, uri, "micropython").rename(home)


def _unpack_mbedtls(state: Path, uri: str, home: Path) -> None:
    """Its headers and static libraries: the shared ones want the C library of their own Debian."""
    for package in debian.binaries(state, uri, "libmbedtls-dev"):
        if package.name.startswith("libmbedtls-dev"):
            debian.run("dpkg-deb", "-x", str(package), str(state / "root"))
    shutil.copytree(state / "root" / "usr" / "include", home / "include")
    (home / "lib").mkdir()
    for library in (state / "root" / "usr" / "lib").rglob("*.a"):
        shutil.copy(library, home / "lib")


def tree(role: str) -> Path:
    """What was frozen into it, as `bundle` has written it."""
    return HOME / (role + "-tree")


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    HOME.mkdir(parents=True, exist_ok=True)
    with open(HOME / "building", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _compiles_32_bits() -> bool:
    (HOME / "probe.c").write_text("int main(void) { return 0; }\n")
    try:
        debian.run("gcc", "-m32", "-o", str(HOME / "probe"), str(HOME / "probe.c"))
    except (OSError, Unavailable):
        return False
    return True


def provide_source() -> Path:
    """MicroPython's source, fetched unless it is there. Raises Unavailable."""
    with _one_at_a_time():
        _provide_source()
    return SOURCE


def _provide_source() -> None:
    if not SOURCE.is_dir():
        if not shutil.which("dpkg-source"):
            _install("dpkg-dev")
        debian.fetch(SOURCE, _unpack)


def provide() -> None:
    """Fetch what `build` needs: the source, and gcc's 32-bit libraries as root. Raises Unavailable."""
    fetch32.require_x86()
    with _one_at_a_time():
        if not _compiles_32_bits():
            _install("gcc", "gcc-multilib", "make")
        _provide_source()
        if not MBEDTLS.is_dir():
            debian.fetch(MBEDTLS, _unpack_mbedtls)


def _install(*packages: str) -> None:
    """By the system's apt. Raises Unavailable where that is not allowed."""
    command = ["apt-get", "-qq", "-y", "install", *packages]
    if os.geteuid():
        command = ["sudo", "-n", *command]
    print("installing", *packages, flush=True)
    try:
        debian.run(*command, timeout_s=_BUILD_S)
    except (OSError, Unavailable) as err:
        raise Unavailable("install %s first; it was not possible here: %s" % (" ".join(packages), err)) from None


def build() -> None:
    """Make the interpreters with the firmware as it is now; what has not changed is not compiled again.

    Raises Unavailable where `provide` has not been, with what is missing.
    """
    if not (SOURCE.is_dir() and MBEDTLS.is_dir()):
        raise Unavailable("MicroPython's source is not here; `make frozen` fetches it")
    with _one_at_a_time():
        if not _compiles_32_bits():
            raise Unavailable("gcc -m32 does not work here; `make frozen` installs gcc-multilib")
        library = HOME / "no-library"  # Debian's source comes without micropython-lib
        library.mkdir(exist_ok=True)
        (library / "README.md").touch()
        cross = HOME / "mpy-cross" / "mpy-cross"
        make = ("make", "-j%d" % (os.cpu_count() or 1), "PYTHON=" + sys.executable)
        if not cross.is_file():
            debian.run(*make, "-C", str(SOURCE / "mpy-cross"), "BUILD=%s" % cross.parent, timeout_s=_BUILD_S)
        paths = ("MPY_LIB_DIR=%s" % library, "FROZEN_MANIFEST=%s" % MANIFEST, "MICROPY_MPYCROSS=%s" % cross)
        for role in stage.ROLES:
            made = interpreter(role)
            bundle.write(role, tree(role))
            where = ("-C", str(SOURCE / "ports" / "unix"), "BUILD=%s" % made.parent)
            debian.run("env", "GATEHOUSE_TREE=%s" % tree(role), *make, *where, *_OPTIONS, *paths, timeout_s=_BUILD_S)
            fetch32.check32(made)


def main() -> None:
    """Part of `make frozen`: build it, or say why not."""
    try:
        provide()
        build()
        print("built", *(interpreter(role) for role in stage.ROLES))
    except Unavailable as err:
        sys.exit("no frozen build here: %s" % err)


if __name__ == "__main__":
    main()
