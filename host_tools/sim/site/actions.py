"""What can be done to a running site: one table for the control port and for the events of a site description.

A request is an object with `do`, the name of an action, and that action's keys; `faults_of` says what is wrong with
one, `perform` does it. `README.md` lists them for people. Boards are named by name, Bluetooth address or id.
"""

import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from host_tools.sim.air.faults import SIDES
from host_tools.sim.air.squatter import Squatter
from host_tools.sim.board import panel
from host_tools.sim.board.interpreter import SimError
from host_tools.sim.site.uplink import MODES
from host_tools.text import tidy

if TYPE_CHECKING:
    from host_tools.sim.board.board import Board
    from host_tools.sim.site.site import Site

Check = Callable[[Any], str | None]


def number(value: Any) -> str | None:
    is_one = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return None if is_one else "must be a number"


def amount(value: Any) -> str | None:
    return number(value) or (None if value >= 0 else "must not be negative")


def chance(value: Any) -> str | None:
    return number(value) or (None if 0 <= value <= 1 else "must lie between 0 and 1")


def count(value: Any) -> str | None:
    return None if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else "must be a whole number"


def within(low: int, high: int) -> Check:
    return lambda value: count(value) or (None if low <= value <= high else "must be %d to %d" % (low, high))


def flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "must be a text"


def name(value: Any) -> str | None:
    return text(value) or (None if tidy(value) == value else "has signs that no name may have")


def either(*words: str) -> Check:
    return lambda value: None if value in words else "must be one of " + ", ".join(words)


def some_of(*words: str) -> Check:
    def check(value: Any) -> str | None:
        is_right = isinstance(value, list) and all(each in words for each in value)
        return None if is_right else "must be a list of any of " + ", ".join(words)

    return check


def pair(value: Any) -> str | None:
    wrong = not isinstance(value, list) or len(value) != 2 or any(amount(each) for each in value)
    return "must be two numbers, from and to" if wrong or value[0] > value[1] else None


def point(value: Any) -> str | None:
    wrong = not isinstance(value, list) or len(value) != 2 or any(number(each) for each in value)
    return "must be a place: two numbers, x and y in metres" if wrong else None


def one_or_more(value: Any) -> str | None:
    wrong = not isinstance(value, list) or not value or any(number(each) for each in value)
    return "must be a number or a list of them" if number(value) and wrong else None


def one_or_pair(value: Any) -> str | None:
    return "must be a number or two, from and to" if amount(value) and pair(value) else None


class Action(NamedTuple):
    """`needs` and `takes`: its keys with their checks, required and optional ones."""

    run: Callable[["Site", dict], Awaitable[dict | None]]
    needs: dict[str, Check] = {}
    takes: dict[str, Check] = {}


def faults_of(request: dict) -> list[tuple[str, str]]:
    """Everything wrong with a request, as (key, what); unknown keys are wrong."""
    what = request.get("do")
    action = ACTIONS.get(what) if isinstance(what, str) else None
    if action is None:
        return [("do", "nothing called %r; there are: %s" % (what, ", ".join(sorted(ACTIONS))))]
    faults = [(key, "is missing from %s" % what) for key in action.needs if key not in request]
    checks = {**action.needs, **action.takes}
    for key, value in request.items():
        if key == "do":
            continue
        fault = checks[key](value) if key in checks else "is no key of %s" % what
        if fault:
            faults.append((key, fault))
    return faults


async def perform(site: "Site", request: dict) -> dict:
    """Do it; the answer's further members. Raises SimError when it cannot be done, also for a faulty request."""
    faults = faults_of(request)
    if faults:
        raise BadRequest("; ".join("%s %s" % pair for pair in faults))
    try:
        return await ACTIONS[request["do"]].run(site, request) or {}
    except ValueError as err:
        raise BadRequest(str(err)) from err


class BadRequest(SimError):
    """The request makes no sense."""


async def answer(site: "Site", request: dict) -> dict:
    """The control port's answer to a request; failures have `ok` false, a `code` and a `msg`."""
    try:
        result = await perform(site, request)
    except BadRequest as err:
        return {"ok": False, "code": "bad_request", "msg": str(err)}
    except SimError as err:
        return {"ok": False, "code": "refused", "msg": str(err)}
    return {"ok": True, **result}


# --- the site as a whole


async def _leap(site: "Site", request: dict) -> None:
    await site.leap(request["s"])


async def _state(site: "Site", _request: dict) -> dict:
    return site.state()


async def _broker(site: "Site", request: dict) -> None:
    await (site.broker.start() if request["up"] else site.broker.stop())


# --- boards


async def _power(site: "Site", request: dict) -> None:
    board = site.board(request["board"])
    await {"kill": board.kill, "start": board.start, "restart": board.restart}[request["do"]]()


async def _reset(site: "Site", request: dict) -> None:
    site.board(request["board"]).reset()


async def _power_cut(site: "Site", request: dict) -> None:
    site.board(request["board"]).cut_power_after(request["after"], request.get("tear", ""))


async def _panel(site: "Site", request: dict) -> dict:
    words = {key: value for key, value in request.items() if key != "lock"}
    words["do"] = {"jam_bolt": "jam"}.get(request["do"], request["do"])
    answer = await panel.act(site.board(request["lock"]), words)
    if not answer.pop("ok", False):
        raise SimError("%s: %s" % (request["lock"], answer.get("msg") or answer.get("error") or "the lock said no"))
    return answer


# --- places and the air


async def _place(site: "Site", request: dict) -> None:
    mac = site.board(request["board"]).mac
    if "over_s" in request:
        site.spawn(site.radio.walk(mac, request["x"], request["y"], request["over_s"]))
    else:
        site.radio.place(mac, request["x"], request["y"])


async def _profile(site: "Site", request: dict) -> None:
    site.radio.change_profile(request["name"])


async def _jam(site: "Site", request: dict) -> None:
    x_m, y_m = request.get("at", (0.0, 0.0))
    site.radio.faults.jam(x_m, y_m, request.get("radius_m", math.inf), request.get("for_s"))


def _mac(site: "Site", request: dict) -> str | None:
    return site.board(request["lock"]).mac if "lock" in request else None


async def _drop(site: "Site", request: dict) -> None:
    reset = site.board(request["reset"]).reset if "reset" in request else None
    site.radio.faults.cut(
        _mac(site, request), request["sender"], request["packet"], request.get("delivered", False), reset
    )


async def _lose(site: "Site", request: dict) -> None:
    site.radio.faults.lose(request["chance"], _mac(site, request), request.get("sender"))


async def _corrupt(site: "Site", request: dict) -> None:
    site.radio.faults.corrupt(request["chance"], _mac(site, request), request.get("sender"))


async def _delay(site: "Site", request: dict) -> None:
    site.radio.faults.delay(request["s"], _mac(site, request), request.get("sender"))


async def _sleep(site: "Site", request: dict) -> None:
    gap = request["gap_s"]
    low_s, high_s = gap if isinstance(gap, list) else (gap, gap)
    site.radio.faults.sleep(site.board(request["lock"]).mac, low_s, high_s, request.get("awake_s", 0.0))


async def _squat(site: "Site", request: dict) -> None:
    lock = site.board(request["lock"]).mac
    if lock in site.squatters:
        raise SimError("somebody squats there already")
    mac = "5a0000%06x" % (len(site.squatters) + 1)
    site.squatters[lock] = await Squatter(site.radio.air, lock, mac, request.get("per_min")).start()


async def _unsquat(site: "Site", request: dict) -> None:
    squatter = site.squatters.pop(site.board(request["lock"]).mac, None)
    if squatter:
        await squatter.stop()


async def _lift(site: "Site", _request: dict) -> dict:
    lifted = site.radio.faults.describe()
    site.radio.faults.lift()
    return {"lifted": lifted}


# --- the network


async def _wifi(site: "Site", request: dict) -> None:
    if "up" in request:
        site.switch_wifi(request["up"])
    if "password" in request:
        site.wifi.change_password(request["password"])
    if "join_s" in request:
        site.wifi.join_s = tuple(request["join_s"])
    if "rssi_dbm" in request:
        site.wifi.set_rssi(request["rssi_dbm"])
    if "subnet" in request:
        site.wifi.subnet = request["subnet"]
    if "dhcp" in request:
        site.wifi.has_dhcp = request["dhcp"]


async def _flap(site: "Site", request: dict) -> None:
    await site.wifi.flap(request["up_s"], request["down_s"], request.get("for_s"))


async def _uplink(site: "Site", request: dict) -> None:
    gateways: list[Board] = [site.board(request["gateway"])] if "gateway" in request else site.gateways
    for gateway in gateways:
        if gateway not in site.gateways:
            raise SimError("%s has no uplink" % gateway.name)
        uplink = site.uplinks[site.gateways.index(gateway)]
        uplink.loss = request.get("loss", uplink.loss)
        uplink.latency_s = request.get("latency_s", uplink.latency_s)
        uplink.mode = request.get("mode", uplink.mode)
        if request.get("cut"):
            uplink.cut()


async def _ntp(site: "Site", request: dict) -> None:
    which = request.get("server")
    for ntp in site.ntp.servers if which is None else [site.ntp.servers[int(which) - 1]]:
        ntp.is_silent = request.get("silent", ntp.is_silent)
        ntp.lie_s = request.get("lie_s", ntp.lie_s)
        ntp.delay_s = request.get("delay_s", ntp.delay_s)


_BOARD: dict[str, Check] = {"board": text}
_LOCK: dict[str, Check] = {"lock": text}
_SENDER = either(*SIDES)

ACTIONS: dict[str, Action] = {
    "leap": Action(_leap, {"s": amount}),
    "state": Action(_state),
    "broker": Action(_broker, {"up": flag}),
    "kill": Action(_power, _BOARD),
    "start": Action(_power, _BOARD),
    "restart": Action(_power, _BOARD),
    "reset": Action(_reset, _BOARD),
    "cut": Action(_power_cut, _BOARD | {"after": count}, {"tear": either("prefix", "bits", "noise")}),
    "place": Action(_place, _BOARD | {"x": number, "y": number}, {"over_s": amount}),
    "profile": Action(_profile, {"name": text}),
    "jam": Action(_jam, {}, {"at": point, "radius_m": amount, "for_s": amount}),
    "drop": Action(_drop, {"sender": _SENDER, "packet": count}, _LOCK | {"delivered": flag, "reset": text}),
    "lose": Action(_lose, {"chance": chance}, _LOCK | {"sender": _SENDER}),
    "corrupt": Action(_corrupt, {"chance": chance}, _LOCK | {"sender": _SENDER}),
    "delay": Action(_delay, {"s": amount}, _LOCK | {"sender": _SENDER}),
    "sleep": Action(_sleep, _LOCK | {"gap_s": one_or_pair}, {"awake_s": amount}),
    "squat": Action(_squat, _LOCK, {"per_min": amount}),
    "unsquat": Action(_unsquat, _LOCK),
    "lift": Action(_lift),
    "wifi": Action(
        _wifi,
        {},
        {"up": flag, "password": text, "join_s": pair, "rssi_dbm": number, "subnet": within(0, 255), "dhcp": flag},
    ),
    "flap": Action(_flap, {"up_s": amount, "down_s": amount}, {"for_s": amount}),
    "uplink": Action(
        _uplink, {}, {"gateway": text, "loss": chance, "latency_s": amount, "mode": either(*MODES), "cut": flag}
    ),
    "ntp": Action(_ntp, {}, {"silent": flag, "lie_s": one_or_more, "delay_s": amount, "server": within(1, 3)}),
    # what a lock's panel takes, see `panel.act`
    "touch": Action(_panel, _LOCK),
    "keys": Action(_panel, _LOCK | {"digits": text}),
    "card": Action(_panel, _LOCK | {"number": count}),
    "finger": Action(_panel, _LOCK | {"id": count}),
    "door": Action(_panel, _LOCK | {"open": flag}),
    "tamper": Action(_panel, _LOCK, {"open": flag}),
    "battery": Action(_panel, _LOCK | {"pct": amount}),
    "turn": Action(_panel, _LOCK | {"to": either("locked", "unlocked")}),
    "jam_bolt": Action(_panel, _LOCK, {"on": flag}),
    "reset_button": Action(_panel, _LOCK, {"s": amount}),
    "inside_button": Action(_panel, _LOCK, {"s": amount}),
}
