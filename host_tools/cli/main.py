"""The command `gatehouse`: one place that names every command. What they do is in the other modules of this package."""

from typing import Annotated

import typer

from firmware.version import VERSION
from host_tools.cli import (
    boards,
    broker,
    completion,
    control,
    credentials,
    diagnose,
    doctor,
    ekeys,
    gateways,
    groups,
    guests,
    issuers,
    keys,
    locks,
    logs,
    ownership,
    passcodes,
    pins,
    records,
    serve,
    settings,
    setup,
)
from host_tools.cli.options import App, Root
from host_tools.screen import out

app = App(
    name="gatehouse",
    cls=Root,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # rich tracebacks show local variables, keys among them
    help="Locks of the TTLock family over your own gateway: pair, hand over the keys, open, watch.",
)


def _version(wanted: bool) -> None:
    if wanted:
        out.print("gatehouse %s" % VERSION)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version")] = (
        False
    ),
    no_wait: Annotated[
        bool,
        typer.Option("--no-wait", help="Leave what a gateway keeps until the lock is near to it (gatehouse jobs)"),
    ] = False,
) -> None:
    pass


app.command("pair")(locks.pair)
app.command("import", bulk=True)(locks.hand_over)
app.command("forget", bulk=True)(locks.forget)
app.command("scan")(ownership.scan)
app.command("touch")(ownership.touch)
app.command("delete")(ownership.delete)
app.command("name")(ownership.name)
app.command("rename")(ownership.rename)
app.command("basics", bulk=True)(ownership.basics)
app.command("import-credentials")(ownership.import_credentials)
app.command("remote-unlock")(locks.remote_unlock)
app.command("unlock", opens=True)(control.unlock)
app.command("lock", bulk=True)(control.lock)
app.command("state", bulk=True)(control.state)
app.command("info")(control.info)
app.add_typer(keys.app, name="keys")
keys.app.command("names")(serve.names)
app.add_typer(issuers.app, name="issuer")
issuers.app.command("recorder")(serve.recorder)
app.add_typer(control.time_app, name="time")
app.command("freeze", bulk=True)(settings.freeze)
app.command("unfreeze", bulk=True)(settings.unfreeze)
app.command("emergency-unlock", opens=True)(settings.emergency_unlock)
app.add_typer(control.autolock_app, name="autolock")
passcodes.app.command("sync")(guests.sync)
app.add_typer(passcodes.app, name="passcode")
app.add_typer(passcodes.admin_app, name="admin-code")
app.command("erase-code")(passcodes.erase_code)
app.add_typer(credentials.fingerprint_app, name="fingerprint")
app.add_typer(credentials.fob_app, name="fob")
app.add_typer(credentials.card_app, name="card")
app.add_typer(settings.setting_app, name="setting")
app.add_typer(settings.passage_app, name="passage")
app.add_typer(ekeys.app, name="ekey")
app.command("jobs", bulk=True)(control.jobs)
app.command("cancel")(control.cancel)
app.command("records", bulk=True)(records.records)
app.command("upload", bulk=True)(records.upload)
app.command("diagnose")(diagnose.diagnose)
app.command("doctor")(doctor.doctor)
app.command("logs")(logs.logs)
app.add_typer(gateways.app, name="gateway")
app.add_typer(pins.app, name="remote-pin")
app.add_typer(groups.app, name="group")
app.command("completion")(completion.completion)
app.command("monitor")(control.monitor)
app.command("setup")(setup.setup)
app.command("provision")(boards.provision)
app.add_typer(broker.app, name="broker")
app.command("serve")(serve.serve)
app.command("backup")(serve.backup)
app.command("restore")(serve.restore)
app.command("flash")(boards.flash)
app.command("update")(boards.update)
app.add_typer(boards.sim_app, name="sim")
