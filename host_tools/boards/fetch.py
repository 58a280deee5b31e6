"""Fetches the MicroPython libraries that no wheel carries, with pinned versions and hashes, into `.cache/`.

umqtt.simple is frozen into every ESP32 build and `unittest` is what MicroPython runs our unit suite with; both exist
only as source archives whose build backend pip cannot run, so `unearth` finds, checks and unpacks them from the index
that pip itself is configured for. Upstream aioble is not fetched: MicroPython's index gives no hash to check it by, and
nothing needs it (architecture.md, "The simulator"). The 32-bit interpreter is `fetch32`'s, the newest reference client
`fetch_client`'s. `sbom` names what is pinned here.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from host_tools.boards import fetch32, fetch_client

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / ".cache"
LIBRARY = CACHE / "micropython-lib"

PINNED = (
    ("micropython-umqtt.simple==1.3.4", "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f", "umqtt"),
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
    from pip._internal.models.index import PyPI

    return pip_setting("index-url") or [PyPI.simple_url]


def fetch_pinned(requirement: str, sha256: str, member: str) -> None:
    """Download one source archive, check its hash and put `member` of it into `.cache/micropython-lib`."""
    from unearth import PackageFinder

    target = LIBRARY / member
    if target.exists():
        return
    finder = PackageFinder(index_urls=index_urls(), find_links=pip_setting("find-links"), no_binary=[":all:"])
    best = finder.find_best_match(requirement, hashes={"sha256": [sha256]}).best
    if best is None:
        sys.exit("fetch: %s is not in the package index that pip uses (sha256 %s)" % (requirement, sha256))
    with tempfile.TemporaryDirectory() as folder:
        unpacked = finder.download_and_unpack(best.link, Path(folder) / "unpacked", hashes={"sha256": [sha256]})
        LIBRARY.mkdir(parents=True, exist_ok=True)
        source = Path(unpacked) / member
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    print("fetched", requirement)


def main() -> None:
    """Entry point of `make`: everything that the environment needs beside `.venv`."""
    for pinned in PINNED:
        fetch_pinned(*pinned)
    fetch32.main()
    fetch_client.main()


if __name__ == "__main__":
    main()
