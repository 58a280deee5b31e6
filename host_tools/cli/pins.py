"""`gatehouse remote-pin`: the PIN with which somebody may unlock through a hub that cannot sign, such as Home Assistant
(mqtt.md 2.2). The gateway keeps it; nothing shows it again."""

from host_tools import screen
from host_tools.cli import common
from host_tools.cli.common import out, progress, reporting, run
from host_tools.cli.options import App
from host_tools.cli.reach import Gateway
from host_tools.errors import HostError

app = App(no_args_is_help=True, help="A PIN to unlock by, through a hub that cannot sign (Home Assistant).")

_FLAG = "remote_pin"


def _check(pin: str) -> str:
    """The PIN, if the gateway's own table takes it. HostError, which does not show it."""
    from firmware.gateway.settings import TABLE

    faults = TABLE.faults({_FLAG: pin}, True)
    if faults or not pin:
        raise HostError("bad_request", "a PIN has 4 to 8 digits", "the more, the harder to guess")
    return pin


def _command(via: Gateway, op: str, args: dict | None = None) -> tuple[str, dict]:
    """Ask the gateway, as its owner -> (its name or id, `data` of the result)."""

    async def work() -> tuple[str, dict]:
        async with via.connect() as reach:
            chosen = await reach.choose(via.gateway)
            with progress("gateway %s ..." % chosen):
                result = await reach.command(chosen, None, op, args, secret=bool(args))
            return reach.title(chosen), result.get("data") or {}

    told: tuple[str, dict] = run(work(), is_change=op != "info")
    return told


@app.command("set")
def set_(via: Gateway) -> None:
    """Set the PIN, or another one; it is asked for, and goes to the gateway sealed. It holds at once."""
    with reporting():
        pin = _check(common.secret("PIN", again=screen.asks()))
    name, _ = _command(via, "pin_set", {"pin": pin})
    out.print("gateway %s unlocks for whoever sends this PIN through its broker" % name)


@app.command("clear")
def clear(via: Gateway) -> None:
    """Take the PIN back: what is not signed unlocks no more."""
    name, _ = _command(via, "pin_clear")
    out.print("gateway %s has no PIN" % name)


@app.command("show")
def show(via: Gateway, as_json: common.Json = False) -> None:
    """Whether a gateway has a PIN. Never shows it."""
    name, data = _command(via, "info")
    flags = data.get("flags")
    is_on = isinstance(flags, list) and _FLAG in flags
    if as_json:
        out.print_json(data={"gateway": name, _FLAG: is_on})
        return
    out.print("gateway %s %s" % (name, "unlocks by a PIN" if is_on else "has no PIN"))
