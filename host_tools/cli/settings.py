"""`gatehouse setting`, `passage`, `freeze`, `unfreeze`, `emergency-unlock`: what a lock does, when it stays open."""

from typing import Annotated

import typer

from host_tools.cli import common, times
from host_tools.cli.common import out, reporting
from host_tools.cli.options import App
from host_tools.cli.reach import Change, Gateway, done
from host_tools.errors import HostError
from host_tools.screen import Table

setting_app = App(no_args_is_help=True, help="The lock's switches and numbers.")
passage_app = App(no_args_is_help=True, help="Windows in which the door, once opened, stays open.")

Date = Annotated[str, typer.Option("--date", help="In place of days: 12-25 or 25.12; each month: 25")]


def _value(text: str) -> bool | int | str:
    if text in ("on", "off", "true", "false"):
        return text in ("on", "true")
    return int(text) if text.lstrip("-").isdigit() else text


@setting_app.command("get", bulk=True)
def setting_get(
    lock: common.Lock,
    via: Gateway,
    name: Annotated[str, typer.Argument(help="Which; left out: all that the lock has")] = "",
    as_json: common.Json = False,
) -> None:
    """Read a setting, or all."""
    title, result = via.ask(lock, "setting_get", {"name": name} if name else None)
    shown = result if as_json else (result.get("data") or {}).get("settings") or {}
    common.show(title, shown, as_json, common.zone_of(lock))


@setting_app.command("set", bulk=True)
def setting_set(
    lock: common.Lock,
    via: Change,
    name: Annotated[str, typer.Argument(help="sound, volume, privacy, tamper, reset_button, door_alarm_s, ...")],
    value: Annotated[str, typer.Argument(help="on, off, a number or a word")],
    as_json: common.Json = False,
) -> None:
    """Change a setting. The remote-unlock switch is not among them: `gatehouse remote-unlock`, beside the lock."""
    title, result = via.ask(lock, "setting_set", {"name": name, "value": _value(value)})
    done(lock, title, "setting changed", result, as_json)


def window(days: str, hours: str, date: str) -> dict:
    """Arguments of passage_add and passage_delete. Raises HostError."""
    args: dict = {}
    if date:
        if days:
            raise HostError("bad_request", "--date or --days, not both")
        args["day"], args["month"] = times.read_day_of_year(date)
    elif days:
        args["weekdays"] = times.read_days(days)
    if hours:
        args["from_min"], args["to_min"] = times.read_hours(hours)
    return args


def _when(item: dict) -> str:
    day, weekday = item.get("day"), item.get("weekday")
    if day is not None:
        return "%d.%d." % (day, item["month"]) if item.get("month") else "%d. of each month" % day
    if weekday is None:
        return "unknown"
    return times.DAYS[weekday - 1] if weekday else "every day"


def _windows_left(lock: str, title: str, result: dict) -> None:
    data = result.get("data") or {}
    left = data.pop("items", None)
    if data.pop("existed", None) is False:
        with reporting():
            todo = "see `gatehouse passage list`: a window is deleted as it was added"
            raise HostError("refused", "%s has no such window; nothing was deleted" % title, todo, "not_found")
    done(lock, title, "has %s passage windows" % (len(left) if left else "no"), result)


@passage_app.command("list", bulk=True)
def passage_list(lock: common.Lock, via: Gateway, as_json: common.Json = False) -> None:
    """The lock's passage windows."""
    title, result = via.ask(lock, "passage_list")
    items = (result.get("data") or {}).get("items") or []
    if as_json:
        out.print_json(data=items)
        return
    table = Table("day", "from", "until", title=title)
    for item in items:
        table.add_row(_when(item), times.clock(item["from_min"]), times.clock(item["to_min"]))
    out.print(table if items else "%s has no passage windows" % title)


@passage_app.command("add", bulk=True)
def passage_add(
    lock: common.Lock, via: Change, days: times.Days = "", hours: times.Hours = "", date: Date = ""
) -> None:
    """Add a window; each of several days takes one of the lock's five."""
    with reporting():
        args = window(days, hours, date)
    title, result = via.ask(lock, "passage_add", args)
    _windows_left(lock, title, result)


@passage_app.command("delete", bulk=True)
def passage_delete(
    lock: common.Lock, via: Change, days: times.Days = "", hours: times.Hours = "", date: Date = ""
) -> None:
    """Delete exactly this window."""
    with reporting():
        args = window(days, hours, date)
    title, result = via.ask(lock, "passage_delete", args)
    _windows_left(lock, title, result)


@passage_app.command("clear", bulk=True)
def passage_clear(lock: common.Lock, via: Change) -> None:
    """Delete all windows."""
    title, result = via.ask(lock, "passage_clear")
    _windows_left(lock, title, result)


def freeze(lock: common.Lock, via: Change, as_json: common.Json = False) -> None:
    """Freeze a lock: it opens for nobody, and nothing in it changes."""
    title, result = via.ask(lock, "freeze")
    done(lock, title, "frozen", result, as_json)


def unfreeze(lock: common.Lock, via: Change, as_json: common.Json = False) -> None:
    """Let a frozen lock work again."""
    title, result = via.ask(lock, "unfreeze")
    done(lock, title, "works again", result, as_json)


def emergency_unlock(lock: common.Lock, via: Gateway, as_json: common.Json = False) -> None:
    """Switch auto-lock off, then open the door: it stays open until `gatehouse autolock set`."""
    title, result = via.ask(lock, "emergency_unlock")
    done(lock, title, "unlocked, and stays so", result, as_json)
