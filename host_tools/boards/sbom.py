"""The software bill of materials, CycloneDX 1.5 as JSON: what images, tools and tests are made of, by version and hash.

Owns reading the lock files and the pins of `fetch`, and the hash of each image, which `stage` builds the same way every
time. The same sources give the same bill, byte for byte. Leaves fetching to pip and `fetch`. Written here, in place of
a package that stands on ten others, because the lock files have all of it. Source: security.md SUP-1, SUP-2.
"""

import argparse
import hashlib
import json
import re
import sys
import tempfile
import uuid
from pathlib import Path

from firmware.version import VERSION
from host_tools.boards import debian, pins, stage
from host_tools.boards.fetch import PINNED

LOCKS = {
    "requirements.lock": "host tools, simulator and tests",
    "requirements-stubs.lock": "type checks",
    "requirements-client.lock": "a reference client of the tests",
}
_REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[[^\]]*\])?==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_MICROPYTHON = "1.25.0"  # what boards/README.md builds from; the oldest that the firmware runs on

Component = dict[str, object]


def locked(text: str) -> list[tuple[str, str, list[str]]]:
    """(name, version, SHA-256 of each accepted file) of every requirement of a lock file.

    Raises ValueError for a line that is no requirement by version and hash: what is not pinned is not left out.
    """
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        pin = _REQUIREMENT.match(line)
        hashes = _HASH.findall(line)
        if pin is None or not hashes:
            raise ValueError("not pinned by version and hash: %s" % line[:80])
        found.append((re.sub(r"[-_.]+", "-", pin["name"]).lower(), pin["version"], sorted(hashes)))
    return found


def _component(kind: str, name: str, version: str, purl: str, what: str, hashes: list[str]) -> Component:
    made: Component = {"type": kind, "bom-ref": purl or name, "name": name, "version": version, "description": what}
    if purl:
        made["purl"] = purl
    if hashes:
        made["hashes"] = [{"alg": "SHA-256", "content": each} for each in hashes]
    return made


def _packages() -> list[Component]:
    kept: dict[str, tuple[str, str, set[str], list[str]]] = {}

    def add(name: str, version: str, hashes: list[str], what: str) -> None:
        purl = "pkg:pypi/%s@%s" % (name, version)
        _, _, known, uses = kept.setdefault(purl, (name, version, set(), []))
        known.update(hashes)
        uses.append(what)

    for lock, what in LOCKS.items():
        for name, version, hashes in locked((stage.ROOT / lock).read_text()):
            add(name, version, hashes, "%s (%s)" % (what, lock))
    for requirement, sha256, member in PINNED:
        name, version = requirement.split("==")
        add(name, version, [sha256], "MicroPython library %s: simulator and tests" % member)
    return [
        _component("library", name, version, purl, "; ".join(uses), sorted(hashes))
        for purl, (name, version, hashes, uses) in sorted(kept.items())
    ]


def _of_boards() -> list[Component]:
    """What of others may be put on boards: nothing but what is pinned. The hash is the digest of `pins`."""
    what = "optional, on boards: a copy of the owner's, checked against boards/aioble.pins"
    return [
        _component("library", "aioble", version, "pkg:generic/aioble@%s?digest=%s" % (version, sha256), what, [sha256])
        for sha256, version in sorted(pins.read().items())
    ]


def _image(role: str, folder: Path) -> Component:
    """What `flash` puts on a board of this role: the hash is over the lines `SHA-256  path` of its files, sorted."""
    tree = stage.stage(role, folder / role)
    lines = [
        "%s  %s\n" % (hashlib.sha256(path.read_bytes()).hexdigest(), path.relative_to(tree))
        for path in sorted(tree.rglob("*"))
        if path.is_file()
    ]
    whole = hashlib.sha256("".join(lines).encode()).hexdigest()
    return _component(
        "firmware", "gatehouse-" + role, VERSION, "", "%d files of the %s image" % (len(lines), role), [whole]
    )


def bill() -> dict:
    """The whole bill. Raises ValueError, stage.StageError."""
    with tempfile.TemporaryDirectory() as folder:
        images = [_image(role, Path(folder)) for role in stage.ROLES]
    interpreter = (
        "the boards' interpreter, put there by their owner: %s or newer; umqtt.simple is part of its ESP32 builds"
    )
    components = images + _packages() + _of_boards()
    components.append(
        _component(
            "platform",
            "micropython",
            _MICROPYTHON,
            "pkg:github/micropython/micropython@v" + _MICROPYTHON,
            interpreter % _MICROPYTHON,
            [],
        )
    )
    components.append(
        _component(
            "platform",
            "micropython-32-bit",
            debian.SUITE,
            "pkg:deb/debian/micropython?arch=i386&distro=" + debian.SUITE,
            "tests and measurements only; apt checks the archive's signature",
            [],
        )
    )
    main = _component(
        "application", "gatehouse", VERSION, "", "firmware of gateway and lock, host tools, simulator", []
    )
    made = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": main},
        "components": components,
        "dependencies": [{"ref": "gatehouse", "dependsOn": [str(each["bom-ref"]) for each in components]}],
    }
    made["serialNumber"] = "urn:uuid:%s" % uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(made, sort_keys=True))
    return made


def main() -> None:
    """Entry point of `make sbom`."""
    parser = argparse.ArgumentParser(
        prog="python -m host_tools.boards.sbom", description="Write the bill of materials."
    )
    parser.add_argument("file", type=Path)
    path = parser.parse_args().file
    try:
        made = bill()
    except (ValueError, stage.StageError) as err:
        sys.exit("sbom: %s" % err)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")
    print("%s: %d components" % (path, len(made["components"])))


if __name__ == "__main__":
    main()
