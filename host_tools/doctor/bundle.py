"""`gatehouse doctor --bundle FILE`: a zip to send to whoever helps, without keys, codes, names and networks.

Owns the files in it. What may be in them is `masking`'s; nothing of the record store goes in.

doctor.json    the findings and what they are made of
log.txt        lines that boards printed or published meanwhile
versions.json  of this computer
"""

import io
import json
import os
import platform
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

from firmware.version import VERSION
from host_tools.doctor.masking import Mask, allowed
from host_tools.errors import HostError

_PACKAGES = ("aiomqtt", "bleak", "cryptography", "paho-mqtt", "pyserial", "mpremote", "typer")
_MAX_LINES = 2000


def versions() -> dict:
    """Of this computer's programs."""
    found: dict[str, Any] = {"gatehouse": VERSION, "python": platform.python_version(), "system": platform.system()}
    found["machine"] = platform.machine()
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def write(path: Path, findings: list[dict], looked: dict, lines: list[str], mask: Mask) -> None:
    """Write the bundle, readable by its owner only. `looked`: title -> what was asked there. HostError `io`."""
    files = {
        "doctor.json": _json(mask.whole({"findings": findings, "facts": looked})),
        "log.txt": "".join(mask.text(line) + "\n" for line in lines[-_MAX_LINES:]),
        "versions.json": _json(versions()),
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in files.items():
            packed.writestr(name, text)
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(made.getvalue())
    except OSError as error:
        raise HostError("io", "cannot write %s: %s" % (path, error.strerror), "choose another file")


def harmless(found: dict) -> dict:
    """What was looked at -> what of it may leave this computer."""
    kept = {name: allowed(found[name]) for name in ("hello", "health", "info", "metrics") if found.get(name)}
    for name in ("answer", "online", "age_s", "settings"):
        if name in found:
            kept[name] = found[name]
    rows = found.get("gateways")
    if isinstance(rows, list):
        shape: dict[str, Any] = dict.fromkeys(
            "model firmware features verified battery near rssi heard_s zone clock_checked".split(), 0
        )
        shape |= dict.fromkeys("drift_s remote_unlock waiting jobs".split(), 0)
        shape["failures"] = dict.fromkeys(("ts", "op", "code"), 0)
        kept["gateways"] = [
            {"online": each.get("online"), "answer": each.get("answer"), "look": allowed(each.get("look"), shape)}
            for each in rows
            if isinstance(each, dict)
        ]
    return kept


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
