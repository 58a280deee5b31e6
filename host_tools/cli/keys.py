"""`gatehouse keys`: look into the key book, take in other programs' keys, give them out."""

from pathlib import Path
from typing import Annotated

import typer

from host_tools import screen
from host_tools.cli import common, statuses
from host_tools.cli.common import key_book, out, reporting
from host_tools.cli.options import App
from host_tools.cli.shared import Called
from host_tools.errors import HostError
from host_tools.owner import bundles, key_files, key_import, zones
from host_tools.owner.ekeys import write_private
from host_tools.owner.key_files import Found
from host_tools.screen import Table

app = App(no_args_is_help=True, help="The key book: what opens your locks.")
_FORMATS = ("virtual-key", "lock-data")


@app.command("list")
def list_(as_json: common.Json = False) -> None:
    """Locks whose keys you hold. Shows no secret."""
    with reporting():
        book = key_book()
        entries = book.entries()
    if as_json:
        out.print_json(data=[{"mac": each.mac, "name": each.name, "model": each.model} for each in entries])
        return
    if not entries:
        out.print("no locks in %s; `gatehouse pair` or `gatehouse keys import FILE` adds one" % book.path)
        return
    table = Table("name", "address", "model", "paired", "")
    for each in entries:
        paired = common.when(each.paired_at, zones.of(each)) if each.paired_at else "imported"
        table.add_row(each.name, each.mac, each.model, paired, "to be confirmed" if each.provisional else "")
    out.print(table)


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(help='Key file of another program, or a key book; "-" reads standard input')],
    name: Annotated[str, typer.Option("--name", help="Name to keep it under (a file with one lock)"), Called()] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Complete locks that are in the key book")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Take nothing if anything in the file is wrong")] = False,
    zone: common.Zone = "",
    as_json: common.Json = False,
) -> None:
    """Add the locks of another program's key file to the key book; what is wrong with others is listed."""
    with reporting():
        value = key_files.loads(common.read_text(file))
        book = key_book()
        if isinstance(value, dict) and "gatehouse_keys" in value:
            value = {"locks": key_book().locks_in(value)}
        report = key_files.read(value)
        if name and len(report.locks) != 1:
            raise HostError("bad_request", "--name is for a file with one lock; this one has %d" % len(report.locks))
        _place(report.locks, zone)
        outcome = key_import.take(book, report, name, replace, strict)
    if as_json:
        taken = [{"mac": entry.mac, "name": entry.name, "state": state} for entry, state in outcome.taken]
        out.print_json({"taken": taken, "faults": [vars(each) for each in outcome.faults], "notes": outcome.notes})
    else:
        for entry, state in outcome.taken:
            shared = "" if entry.admin_ps else ", a shared key: it opens and locks"
            out.print("kept %s (%s): %s%s" % (entry.name, entry.mac, state, shared))
        for note in outcome.notes:
            common.err.print("note: %s" % note)
        for fault in outcome.faults:
            common.err.print(common.styled(("error", "bold red"), " " + fault.line()))
    if outcome.faults:
        first = outcome.faults[0]
        if as_json:
            raise HostError(first.code, "%s: %s" % (first.where or "the file", first.expected))
        raise typer.Exit(statuses.of(first.code))


def _place(locks: list[Found], zone: str) -> None:
    """Give locks their time zone: the one that is named, else that of the file, else the one that somebody at the
    terminal says. Without any it stays unknown."""
    known = {each.mac for each in key_book().entries() if each.zone_rule}
    unknown = [each for each in locks if not each.entry.zone_rule and each.entry.mac not in known]
    if not zone and unknown and screen.asks():
        zone = screen.ask("these keys do not say in which time zone the lock is: which?", default=zones.here().name)
    if zone:
        place = zones.find(zone)
        for each in locks:
            each.entry.zone, each.entry.zone_rule = place.name, zones.choose(place, True)
            each.given |= {"zone", "zone_rule", "zone_said"}
        if place.missed:
            common.err.print("note: %s" % zones.explain(place))
        return
    for each in locks:
        entry = each.entry
        if each in unknown:
            words = "note: the time zone of %s is not known: no gateway sets its clock, or takes a date for it; %s"
            common.err.print(words % (entry.name, "run `gatehouse time zone`, or import with --zone"))
        elif entry.zone_rule and entry.mac not in known:
            words = "note: %s is taken to be always at %s, as its keys say; `gatehouse time zone` names its place"
            common.err.print(words % (entry.name, entry.zone))


@app.command("export")
def export(
    lock: common.Lock,
    form: Annotated[str, typer.Option("--format", help="virtual-key (ttlock-ble) or lock-data (ttlock-sdk-js)")] = (
        "virtual-key"
    ),
    to: Annotated[
        str,
        typer.Option(
            "--to", help='New file, readable by you only; default in the user data folder; "-" prints the secrets'
        ),
    ] = "",
) -> None:
    """Write one lock's keys in another program's format."""
    with reporting():
        if form not in _FORMATS:
            raise HostError("bad_request", "no format %r" % form, "choose one of: %s" % ", ".join(_FORMATS))
        entry = key_book().find(lock)
        value: object = bundles.virtual_key(entry) if form == "virtual-key" else [bundles.lock_data(entry)]
        if to == "-":
            out.print_json(value)
            return
        path = Path(to) if to else common.private_path("%s.%s.json" % (entry.id, form))
        write_private(path, value)
    common.err.print("wrote %s: whoever reads it can open the lock" % path)


@app.command("remove")
def remove(lock: common.Lock, yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False) -> None:
    """Drop a lock from the key book. A lock still paired with these keys can then only be reset by its button."""
    with reporting():
        book = key_book()
        entry = book.find(lock)
        if not yes:
            screen.confirm("drop the keys of %s (%s) for ever?" % (entry.name, entry.mac), abort=True)
        book.remove(entry.mac)
    out.print("dropped %s" % entry.name)


@app.command("protect")
def protect(
    off: Annotated[bool, typer.Option("--off", help="Store the key book in the clear again (file mode 0600)")] = False,
) -> None:
    """Encrypt the key book with a passphrase."""
    with reporting():
        book = key_book()
        book.entries()  # asks for the present passphrase, if there is one
        book.protect(None if off else common.secret("new passphrase of the key book", again=True))
    out.print("%s is %s" % (book.path, "in the clear" if off else "encrypted"))
