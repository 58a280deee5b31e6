"""`gatehouse serve`: the service that keeps records, for years; the two files that the owner gives it; backup."""

import json
from pathlib import Path
from typing import Annotated

import typer

from host_tools.cli import common
from host_tools.cli.common import err, key_book, out, reporting, run
from host_tools.errors import HostError
from host_tools.owner import given_names, places, recorders
from host_tools.owner.ekeys import write_private
from host_tools.screen import Table

_EXTRA = "run: pip install 'gatehouse[serve]'"


def serve(
    config: Annotated[
        Path | None, typer.Option("--config", help="Its configuration, TOML; without it all stands in the environment")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Try all that it needs, send nothing, and end")] = False,
) -> dict | None:
    """Keep the records of your gateways, in SQLite or PostgreSQL, and tell of alerts; runs until it is stopped."""
    with reporting():
        try:
            from host_tools.serve import config as configuration
            from host_tools.serve import service
        except ModuleNotFoundError as error:
            raise HostError("unsupported", "the service needs the package %s" % error.name, _EXTRA)
        chosen = configuration.load(config)
    if not check:
        run(service.run(chosen, lambda text: err.print(text)))
        return None
    found = run(service.check(chosen))
    table = Table("what", "how it is")
    for row in found:
        table.add_row(*row)
    out.print(table)
    return {what: how for what, how in found if what != "notify"} | {
        "notify": [how for what, how in found if what == "notify"]
    }


def recorder(
    to: Annotated[
        Path | None,
        typer.Option("--to", help="New file for the service; default records-keys.json in your data folder"),
    ] = None,
) -> dict:
    """Write the keys of records of your gateways, for `gatehouse serve`: they prove records, and command nothing."""
    with reporting():
        known = recorders.to_file(key_book().gateways())
        if not known["gateways"]:
            raise HostError(
                "not_owned", "the key book has the key of records of no gateway", "see gatehouse gateway keys"
            )
        path = to or Path(common.private_path("records-keys.json"))
        path.unlink(missing_ok=True)  # the same, anew: a gateway has come
        write_private(path, known)
    out.print("wrote %s: records of %d gateways" % (path, len(known["gateways"])))
    err.print("whoever reads it can forge records and acknowledge them; it commands nothing")
    return {"file": str(path), "gateways": [each["id"] for each in known["gateways"]]}


def names(
    to: Annotated[str, typer.Argument(metavar="FILE", help='For `gatehouse serve`; "-" prints it')],
    keep: Annotated[bool, typer.Option("--keep", help="Write it anew with every change of the key book")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="No more")] = False,
) -> dict | None:
    """Write the names of locks, gateways and credentials, without keys and codes, for whoever keeps records."""
    with reporting():
        if stop:
            given_names.keep(key_book(), None)
            out.print("the file is no longer kept current")
            return None
        if to == "-":
            out.print(json.dumps(given_names.to_file(key_book()), ensure_ascii=False, indent=1))
            return None
        if keep:
            given_names.keep(key_book(), Path(to))
        else:
            given_names.write(key_book(), Path(to))
    out.print("wrote %s%s" % (to, "; every change of the key book writes it anew" if keep else ""))
    return {"file": to, "kept": keep}


def backup(
    file: Annotated[Path, typer.Argument(help="New file, or one of before that is written over")],
    plain: Annotated[bool, typer.Option("--unencrypted", help="In clear: whoever has it opens your doors")] = False,
) -> dict:
    """Write key book, names, groups and records into one file, under a passphrase of its own."""
    from host_tools.gateway import backups
    from host_tools.gateway.database import Database
    from host_tools.owner import backup_file

    with reporting():
        phrase = None if plain else common.passphrase("passphrase of the backup", True)
        if phrase == "":
            raise HostError("auth", "without a passphrase nothing is backed up", "or say --unencrypted")
        database = Database(places.records())
        try:
            count = backup_file.write(file, backups.rows(key_book(), database), phrase)
        finally:
            database.close()
    out.print("wrote %s: %d rows%s" % (file, count, ", in clear" if plain else ""))
    return {"file": str(file), "rows": count, "encrypted": not plain}


def restore(file: Annotated[Path, typer.Argument(help="What `gatehouse backup` wrote")]) -> dict:
    """Add what a backup has and is missing here; what is newer here stays."""
    from host_tools.gateway import backups
    from host_tools.gateway.database import Database
    from host_tools.owner import backup_file

    with reporting():
        database = Database(places.records())
        try:
            source = backup_file.read(file, lambda: common.passphrase("passphrase of the backup", False))
            done = backups.restore(source, key_book(), database)
        finally:
            database.close()
    new = (done.locks, done.gateways, done.records)
    out.print("restored %d locks, %d gateways and %d records that were missing here" % new)
    if done.completed:
        out.print("%d locks that are here were completed" % done.completed)
    for label in done.other_keys:
        common.warn("gateway %s has another key here, which stays" % label)
    if done.damaged:
        common.warn("%d records of the backup could not be read" % done.damaged)
    return vars(done)
