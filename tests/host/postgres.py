"""A PostgreSQL of the tests' own: Debian's programs, a cluster in a scratch folder, on a Unix socket and a port of
127.0.0.1. As root it runs as nobody, for PostgreSQL refuses root."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from host_tools.sim.site.broker import reserve_port

_CONF = """
listen_addresses = '127.0.0.1'
port = %d
unix_socket_directories = '%s'
max_connections = 40
shared_buffers = 16MB
dynamic_shared_memory_type = posix
fsync = %s
"""


def find(program: str) -> str | None:
    """The path of one of PostgreSQL's programs; Debian keeps them from the PATH."""
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: each.parent.name)
    return shutil.which(program) or (shutil.which(program, path=str(known[-1])) if known else None)


class Server:
    """Runs from the start to `close`. `cut` ends it as a power cut would, `start` goes on with the same data."""

    def __init__(self, fsync: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="gatehouse-pg-"))
        self._as: list[str] = []
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            self._as = ["setpriv", "--reuid=%d" % nobody.pw_uid, "--regid=%d" % nobody.pw_gid, "--clear-groups"]
        self._port = reserve_port()
        self.port: int = self._port.getsockname()[1]
        self._count = 0
        data = self._folder / "data"
        options = ["-U", "gatehouse", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self._run(find("initdb"), "-D", data, *options)
        conf = _CONF % (self.port, self._folder, "on" if fsync else "off")
        self._run("sh", "-c", 'printf "%s" "$1" >> "$2"', "sh", conf, data / "postgresql.conf")
        self.start()

    def _run(self, *words: object) -> None:
        done = subprocess.run(
            [*self._as, *map(str, words)], cwd=self._folder, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _control(self, *words: str) -> None:
        # its output goes to the log: a pipe would stay open as long as the server lives
        log = self._folder / "log"
        with open(self._folder.parent / (self._folder.name + ".out"), "w") as out:
            done = subprocess.run(
                [
                    *self._as,
                    find("pg_ctl"),
                    "-D",
                    str(self._folder / "data"),
                    "-l",
                    str(log),
                    "-w",
                    "-t",
                    "300",
                    *words,
                ],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        assert done.returncode == 0, log.read_text()[-2000:]

    def start(self) -> None:
        """Return once it answers."""
        self._control("start")

    def cut(self) -> None:
        """End it in the middle of whatever it does; it recovers at its next start."""
        self._control("-m", "immediate", "stop")

    def empty(self) -> str:
        """The URL of a new, empty database."""
        self._count += 1
        name = "test%d_%d" % (self._count, time.monotonic_ns())
        self._run(find("createdb"), "-h", "127.0.0.1", "-p", self.port, "-U", "gatehouse", name)
        return "postgresql://gatehouse@127.0.0.1:%d/%s" % (self.port, name)

    def close(self) -> None:
        """End it and take its folder away."""
        self._control("-m", "immediate", "stop")
        self._port.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.with_name(self._folder.name + ".out").unlink(missing_ok=True)


def fixture():  # type: ignore[no-untyped-def]
    """A module's fixture: its server; where PostgreSQL is not installed its tests say so and are skipped."""

    @pytest.fixture(scope="module")
    def server():
        if not find("initdb") or not find("pg_ctl"):
            pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        made = Server()
        yield made
        made.close()

    return server
