"""`gatehouse group`: names for several locks, for --group."""

from typing import Annotated

import typer

from host_tools.cli import common, completion
from host_tools.cli.common import key_book, out
from host_tools.cli.options import App
from host_tools.cli.shared import Called
from host_tools.owner import groups
from host_tools.screen import Table

app = App(no_args_is_help=True, help="Groups of locks, for --group.")

Group = Annotated[str, typer.Argument(metavar="GROUP", help="Name of the group")]
NewGroup = Annotated[str, typer.Argument(metavar="GROUP", help="Name of the group"), Called("name of the group")]
Locks = Annotated[list[str], typer.Argument(metavar="LOCK...", autocompletion=completion.locks, help="Their names")]


@app.command("list")
def list_(as_json: common.Json = False) -> None:
    """Which groups there are, and the locks in them."""
    known = key_book().entries()
    found = {name: groups.members(known, name) for name in groups.names(known)}
    if as_json:
        out.print_json(
            {name: [{"mac": each.mac, "name": each.name} for each in locks] for name, locks in found.items()}
        )
        return
    table = Table("group", "locks")
    for name, locks in found.items():
        table.add_row(name, ", ".join(each.name for each in locks))
    out.print(table if found else "there are no groups; `gatehouse group add GROUP LOCK` makes one")


@app.command("add")
def add(group: NewGroup, lock: Locks) -> None:
    """Put locks into a group; it is made where there is none."""
    book = key_book()
    for entry in [book.find(each) for each in lock]:
        groups.add(book, group, entry)
        out.print("%s is in the group %s" % (entry.name, group))


@app.command("remove")
def remove(group: Group, lock: Locks) -> None:
    """Take locks out of a group; it ends with its last lock."""
    book = key_book()
    for entry in [book.find(each) for each in lock]:
        groups.remove(book, group, entry)
        out.print("%s is no longer in the group %s" % (entry.name, group))
