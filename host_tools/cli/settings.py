"""`gatehouse setting`, `passage`, `freeze`, `unfreeze`, `emergency-unlock`: what a lock does, when it stays open."""

import re
from typing import Annotated

import typer
from rich.table import Table

from host_tools.cli import common, recurring
from host_tools.cli.asking import ask, done
from host_tools.cli.common import out, reporting
from host_tools.errors import HostError

setting_app = typer.Typer(no_args_is_help=True, help="The lock's switches and numbers.")
passage_app = typer.Typer(no_args_is_help=True, help="Windows in which the door, once opened, stays open.")

Date = Annotated[str, typer.Option("--date", help="In place of days: 25.12 or, each month, 25")]

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _value(text: str) -> bool | int | str:
    if text in ("on", "off", "true", "false"):
        return text in ("on", "true")
    return int(text) if text.lstrip("-").isdigit() else text


@setting_app.command("get")
def setting_get(
    lock: common.Lock,
    name: Annotated[str, typer.Argument(help="Which; left out: all that the lock has")] = "",
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Read a setting, or all."""
    title, result = ask(lock, broker, base, gateway, "setting_get", {"name": name} if name else None)
    common.show(title, result if as_json else result["data"]["settings"], as_json)


@setting_app.command("set")
def setting_set(
    lock: common.Lock,
    name: Annotated[str, typer.Argument(help="sound, volume, privacy, tamper, reset_button, door_alarm_s, ...")],
    value: Annotated[str, typer.Argument(help="on, off, a number or a word")],
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Change a setting. The remote-unlock switch is not among them: `gatehouse remote-unlock`, beside the lock."""
    title, result = ask(lock, broker, base, gateway, "setting_set", {"name": name, "value": _value(value)})
    done(title, "setting changed", result, as_json)


def window(days: str, hours: str, date: str) -> dict:
    """Arguments of passage_add and passage_delete. Raises HostError."""
    args: dict = {}
    if date:
        parts = re.fullmatch(r"(\d\d?)(?:\.(\d\d?)\.?)?", date)
        if days or not parts:
            raise HostError("bad_request", "--date is 25.12 or 25, and stands alone")
        args.update(day=int(parts[1]), month=int(parts[2] or 0))
    elif days:
        args["weekdays"] = recurring.read_days(days)
    if hours:
        args["from_min"], args["to_min"] = recurring.read_hours(hours)
    return args


def _clock(minute: int) -> str:
    return "%02d:%02d" % divmod(minute, 60)


def _when(item: dict) -> str:
    if "day" in item:
        return "%d.%d." % (item["day"], item["month"]) if item["month"] else "%d. of each month" % item["day"]
    return _DAYS[item["weekday"] - 1] if item["weekday"] else "every day"


@passage_app.command("list")
def passage_list(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """The lock's passage windows."""
    title, result = ask(lock, broker, base, gateway, "passage_list")
    items = result["data"]["items"]
    if as_json:
        out.print_json(data=items)
        return
    table = Table("day", "from", "until", title=title, title_justify="left")
    for item in items:
        table.add_row(_when(item), _clock(item["from_min"]), _clock(item["to_min"]))
    out.print(table if items else "%s has no passage windows" % title)


@passage_app.command("add")
def passage_add(
    lock: common.Lock,
    days: recurring.Days = "",
    hours: recurring.Hours = "",
    date: Date = "",
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
) -> None:
    """Add a window; each of several days takes one of the lock's five."""
    with reporting():
        args = window(days, hours, date)
    title, result = ask(lock, broker, base, gateway, "passage_add", args)
    done(title, "has %d passage windows" % len(result["data"].pop("items")), result, False)


@passage_app.command("delete")
def passage_delete(
    lock: common.Lock,
    days: recurring.Days = "",
    hours: recurring.Hours = "",
    date: Date = "",
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
) -> None:
    """Delete exactly this window."""
    with reporting():
        args = window(days, hours, date)
    title, result = ask(lock, broker, base, gateway, "passage_delete", args)
    done(title, "has %d passage windows" % len(result["data"].pop("items")), result, False)


@passage_app.command("clear")
def passage_clear(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
) -> None:
    """Delete all windows."""
    title, result = ask(lock, broker, base, gateway, "passage_clear")
    result["data"].pop("items", None)
    done(title, "has no passage windows", result, False)


def freeze(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Freeze a lock: it opens for nobody, and nothing in it changes."""
    title, result = ask(lock, broker, base, gateway, "freeze")
    done(title, "frozen", result, as_json)


def unfreeze(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Let a frozen lock work again."""
    title, result = ask(lock, broker, base, gateway, "unfreeze")
    done(title, "works again", result, as_json)


def emergency_unlock(
    lock: common.Lock,
    broker: common.Broker = "",
    base: common.Base = "gatehouse",
    gateway: common.Gateway = "",
    as_json: common.Json = False,
) -> None:
    """Switch auto-lock off, then open the door: it stays open until `gatehouse autolock set`."""
    title, result = ask(lock, broker, base, gateway, "emergency_unlock")
    done(title, "unlocked, and stays so", result, as_json)
