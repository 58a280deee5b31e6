"""`gatehouse logs`: what a board prints on its port, or what a gateway publishes of its log because its owner asks.

Owns how lines are shown. A gateway is asked for a bounded time, which ends with the command.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import typer

from host_tools import screen
from host_tools.cli import common, completion
from host_tools.cli.common import out, run
from host_tools.cli.reach import Broker
from host_tools.doctor.log_lines import Filter, Line, parse
from host_tools.errors import HostError
from host_tools.gateway import payloads
from host_tools.gateway.client import Gateways
from host_tools.gateway.payloads import Reader

_MINUTES = 10
_ASK_S = 10
_NEVER = object()
_LOOK_S = 1.0
_STYLES = {"warning": "yellow", "error": "bold red", "debug": "dim"}
_KIND = payloads.members(
    ("lines",), n=payloads.whole, left_s=payloads.whole, dropped=payloads.whole, lines=payloads.listed(payloads.text)
)


def logs(
    via: Broker,
    target: Annotated[
        str,
        typer.Argument(metavar="PORT|GATEWAY", help="A serial port, or a gateway", autocompletion=completion.gateways),
    ],
    level: Annotated[str, typer.Option("--level", help="The lowest: debug, info, warning, error; default all")] = "",
    source: Annotated[list[str] | None, typer.Option("--source", help="Part of the firmware; repeatable")] = None,
    minutes: Annotated[
        int, typer.Option("--minutes", min=1, max=60, help="For how long a gateway publishes its log")
    ] = _MINUTES,
    seconds: Annotated[float, typer.Option("--seconds", min=0, help="End by itself")] = 0,
    as_json: common.Json = False,
) -> None:
    """Follow a board's log, until Ctrl-C; nothing on the board is reset or stopped by it."""
    with common.reporting():
        chosen = Filter(level, tuple(source or ()))
    if as_json:
        screen.is_streaming()

    def show(text: str) -> None:
        line = parse(text)
        if chosen.shows(line):
            _print(line, as_json)

    until_s = time.monotonic() + seconds if seconds else None
    if is_port(target):
        _follow_port(target, show, until_s)
    else:
        run(_follow_gateway(via, target, minutes, show, until_s))


def is_port(target: str) -> bool:
    """Whether a word means a serial port: a path, `COM3`, a URL of pyserial's."""
    return "/" in target or "\\" in target or target[:3].upper() == "COM" and target[3:].isdigit()


def _print(line: Line, as_json: bool) -> None:
    now = datetime.now().astimezone()
    if as_json:
        out.print_json_line({"at": now.isoformat(timespec="milliseconds"), **line.to_json()})
    else:
        out.print("%s %s" % (now.strftime("%H:%M:%S.%f")[:-3], line.text), style=_STYLES.get(line.level or ""))


def _note(text: str) -> None:
    screen.err.print("-- " + text, style="dim")


def _follow_port(port: str, show: Callable[[str], None], until_s: float | None) -> None:
    from host_tools.doctor import serial_log

    with common.reporting(), contextlib.suppress(KeyboardInterrupt):
        for text in serial_log.follow(port, _note, until_s):
            show(text)


class Published:
    """Messages of one gateway's `…/log` that it proves, in their order."""

    def __init__(self, reach: Gateways, gateway: str, show: Callable[[str], None]) -> None:
        self._reach = reach
        self._gateway = gateway
        self._show = show
        self._next = 0
        self._dropped = 0
        self.is_over = False

    def begin(self) -> None:
        """A request was made: numbers begin anew."""
        self._next = self._dropped = 0
        self.is_over = False

    def take(self, gateway: str, text: str) -> None:
        """A message; one that is not proven, or that came before, is passed over."""
        signer = self._reach.signer(gateway)
        if gateway != self._gateway or signer is None or not signer.proves(signer.topic(None, "log"), text.encode()):
            return
        value = Reader().message(text, _KIND)
        number = value.get("n") if value else None
        if value is None or not isinstance(number, int) or number < self._next:
            return
        if number > self._next:
            _note("%d messages are missing" % (number - self._next))
        dropped = value.get("dropped") or 0
        if dropped > self._dropped:
            _note("%d lines found no room at the gateway" % (dropped - self._dropped))
        self._next, self._dropped = number + 1, dropped
        for line in value.get("lines") or []:
            self._show(line)
        self.is_over = value.get("left_s") == 0


async def _ask(reach: Gateways, gateway: str, minutes: int) -> None:
    try:
        await reach.command(gateway, None, "log", {"minutes": minutes}, wait_s=_ASK_S)
    except HostError as error:
        if error.code == "bad_request":
            raise HostError(
                "unsupported", "gateway %s does not publish its log" % gateway, "update it: gatehouse update"
            )
        raise


async def _follow_gateway(
    via: Broker, target: str, minutes: int, show: Callable[[str], None], until_s: float | None
) -> None:
    async with via.connect() as reach:
        gateway = await reach.choose(target)
        published = Published(reach, gateway, show)
        await reach.hear("log", published.take)
        end_s = time.monotonic() + 60 * minutes
        until_s = end_s if until_s is None else min(until_s, end_s)
        try:
            boot: object = _NEVER
            while not published.is_over and time.monotonic() < until_s:
                now = reach.info.get(gateway, {}).get("boot"), reach.online.get(gateway)
                if now[1] and now[0] != boot:
                    if boot is not _NEVER:
                        _note("the gateway has started anew")
                    boot = now[0]
                    published.begin()
                    await _ask(reach, gateway, max(1, round((end_s - time.monotonic()) / 60)))
                await asyncio.sleep(_LOOK_S)
        except asyncio.CancelledError:  # Ctrl-C is the usual end
            pass
        finally:
            with contextlib.suppress(HostError, asyncio.CancelledError):
                await asyncio.shield(_ask(reach, gateway, 0))


async def some(reach: Gateways, gateway: str, seconds: float) -> list[str]:
    """The lines that a gateway publishes within some seconds; what it refuses gives none."""
    lines: list[str] = []
    published = Published(reach, gateway, lines.append)
    with contextlib.suppress(HostError):
        await reach.hear("log", published.take)
        published.begin()
        await _ask(reach, gateway, 1)
        await asyncio.sleep(seconds)
        await _ask(reach, gateway, 0)
    return ["%s: %s" % (gateway, each) for each in lines]
