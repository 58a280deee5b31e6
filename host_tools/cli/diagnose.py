"""`gatehouse diagnose`: one file with what helps to find a fault, from lock, gateway and this computer. No secrets."""

import json
import os
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from firmware.version import VERSION
from host_tools.cli import common
from host_tools.cli.common import out, run
from host_tools.cli.reach import Gateway, target
from host_tools.errors import HostError
from host_tools.owner import names

_PARTS = ("errors", "lock", "report", "stores", "settings", "gateway")  # the errors before our own asking adds some
_PACKAGES = ("aiomqtt", "bleak", "cryptography", "paho-mqtt", "typer")
_NEWEST = 20


def diagnose(
    lock: common.Lock,
    via: Gateway,
    to: Annotated[
        str,
        typer.Option(
            "--to", "--output", help="File to write; default diagnosis-LOCK-TIME.json in the user data folder"
        ),
    ] = "",
) -> dict:
    """Write a file to send to whoever helps: versions, settings, clock, battery, what went wrong; no keys or codes."""
    with common.reporting():
        ident, name = target(lock)
        report: dict = {"id": ident, "made": common.when(time.time()), "host": host(ident)}
        report |= run(_ask(ident, name, via))
        name_of_file = "diagnosis-%s-%s.json" % (ident, time.strftime("%Y%m%d-%H%M%S"))
        path = Path(to) if to else common.private_path(name_of_file)
        try:  # no secrets, but who comes and goes when: for its owner's eyes until it is sent
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        except OSError as err:
            raise HostError("io", "cannot write %s: %s" % (path, err.strerror), "choose another file with --to")
    out.print("%s: %s" % (name, path))
    for part, why in report["missing"].items():
        out.print("  without %s: %s" % (part, why))
    return {"id": ident, "file": str(path), "missing": report["missing"]}


def host(ident: str) -> dict:
    """This computer's part: versions, what is known of the lock here, and its newest records without names."""
    from host_tools.gateway.records_choice import Choice  # SQLAlchemy takes longer to load than most commands to run
    from host_tools.gateway.records_store import RecordStore

    facts: dict = {
        "gatehouse": VERSION,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "encoding": out.encoding,
    }
    try:
        entry = common.key_book().find(ident)
        known = ("model", "features", "scene", "paired_at", "zone", "zone_rule", "provisional")
        facts["key_book"] = {key: getattr(entry, key) for key in known}
        facts["key_book"]["credentials"] = {
            kind: sum(each.kind == kind and not each.gone for each in names.Names(entry).credentials)
            for kind in names.KINDS
        }
    except HostError as err:
        facts["key_book"] = err.code
    with RecordStore() as store:
        newest = store.last(ident, _NEWEST)
        facts["records"] = {"kept": store.count(ident, Choice()), "lost": store.lost(ident), "newest": newest}
    return facts


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


async def _ask(ident: str, name: str, via: Gateway) -> dict:
    answers: dict = {"missing": {}}
    async with via.serving(ident) as served:
        with common.progress("%s: asking lock and gateway ..." % name) as step:
            for part in _PARTS:
                step("%s: %s ..." % (name, part))
                try:
                    answers[part] = ((await served.command("diagnosis", {"part": part})).get("data") or {}).get("found")
                except HostError as err:  # half a diagnosis is better than none
                    answers["missing"][part] = err.code
                    answers[part] = None
    return {"missing": answers.pop("missing"), **answers}
