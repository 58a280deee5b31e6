"""`gatehouse doctor LOCK`: what is wrong with a lock, by what the gateways that serve it know. The lock is not called.

`look` asks every gateway that serves it, `judge` says.
"""

import re
from collections.abc import Callable

from host_tools.doctor import facts, words
from host_tools.doctor.facts import LOOK, STATE
from host_tools.doctor.findings import ERROR, NOTE, OK, WARNING, Findings
from host_tools.errors import HostError
from host_tools.gateway.client import Gateways

_ASK_S = 8
_WEAK_DBM, _BAD_DBM = -85, -95  # docs/spec/domain.md 6.2: below -85 is weak
_LOW_PCT, _EMPTY_PCT = 20, 10
_FAR_S = 60  # of its clock
_FAILED = 3
_HEX = re.compile("[0-9A-Fa-f]+")


class Retained:
    """What is retained of locks: (gateway, lock) -> availability, state."""

    def __init__(self) -> None:
        self.availability: dict[tuple[str, str], str] = {}
        self.state: dict[tuple[str, str], dict] = {}

    def take(self, gateways: Gateways, gateway: str, lock: str, leaf: str, text: str) -> None:
        if leaf == "availability":
            self.availability[gateway, lock] = text[:16]
        else:
            value = gateways.reader.message(text, STATE)
            if value is not None:
                self.state[gateway, lock] = value


def serving(gateways: Gateways, lock: str) -> list[str]:
    """The gateways that say that they serve a lock (an id)."""
    return sorted(
        gateway
        for gateway, info in gateways.info.items()
        if any(lock == str(each.get("mac", "")).replace(":", "") for each in info.get("locks") or [])
    )


async def look(gateways: Gateways, retained: Retained, lock: str, entry: dict, title: Callable[[str], str]) -> dict:
    """What each gateway that serves it knows of a lock. `entry`: `zone_rule` and `known` of the key book; `title` names
    a gateway."""
    rows = []
    for gateway in serving(gateways, lock):
        row: dict = {"gateway": title(gateway), "online": gateways.online.get(gateway), "look": {}}
        row["availability"] = retained.availability.get((gateway, lock))
        row["state"] = retained.state.get((gateway, lock), {})
        if row["online"]:
            try:
                told = await gateways.command(gateway, None, "locks", {"mac": lock}, wait_s=_ASK_S)
                row["look"] = facts.read(told.get("data"), LOOK)
                row["answer"] = "ok"
            except HostError as error:
                row["answer"] = error.code
        rows.append(row)
    return {**entry, "gateways": rows}


def judge(title: str, found: dict) -> Findings:
    """Findings about a lock, whatever has been said of it."""
    told = Findings(title)
    rows = [each for each in facts.items(found, "gateways") if isinstance(each, dict)]
    if found.get("known") is False:
        told.add("key_book", NOTE, "the key book does not hold this lock")
    if not rows:
        told.add("served", ERROR, "no gateway at this broker has its keys")
        return told
    away = [str(each.get("gateway")) for each in rows if not each.get("online")]
    names = [str(each.get("gateway")) for each in rows if each.get("online")]
    if names:
        told.add("served", OK, "served by %s" % ", ".join(names))
    for each in away:
        told.add("online", WARNING if names else ERROR, "gateway %s, which has its keys, is not online" % each)
    looks = [facts.read(each.get("look"), LOOK) for each in rows if each.get("online")]
    _judge_heard(told, rows)
    known = [each for each in looks if each]
    for row in rows:
        if row.get("answer") not in (None, "ok"):
            told.add("answers", NOTE, "gateway %s tells nothing of it: `%s`" % (row.get("gateway"), row["answer"]))
    _judge_lock(told, known, [facts.read(each.get("state"), STATE) for each in rows])
    _judge_zone(told, known, found.get("zone_rule"))
    return told


def _judge_heard(told: Findings, rows: list[dict]) -> None:
    """Who hears it, when and how strong."""
    best = None
    for row in rows:
        if not row.get("online"):
            continue
        told_of = facts.read(row.get("look"), LOOK)
        state = facts.read(row.get("state"), STATE)
        rssi = told_of.get("rssi") if isinstance(told_of.get("rssi"), int) else state.get("rssi")
        heard_s = told_of.get("heard_s")
        is_near = told_of.get("near")
        if is_near is None and row.get("availability") is not None:
            is_near = row["availability"] == "online"
        when = "%s ago" % words.age(max(0, heard_s)) if isinstance(heard_s, int) else "at an unknown time"
        strength = " with %d dBm" % rssi if isinstance(rssi, int) else ""
        text = "gateway %s heard it %s%s" % (row.get("gateway"), when, strength)
        if is_near is False:
            text = "gateway %s does not hear it now" % (row.get("gateway"),)
        told.add("heard", OK if is_near else NOTE, text)
        if is_near and isinstance(rssi, int):
            best = rssi if best is None else max(best, rssi)
        elif is_near and best is None:
            best = 0
    if best is None:
        told.add("heard", ERROR, "no gateway hears it")
    elif best < 0:
        severity = OK if best >= _WEAK_DBM else WARNING if best >= _BAD_DBM else ERROR
        told.add("signal", severity, "the strongest of them hears it with %d dBm" % best)


def _first(rows: list[dict], name: str, kind: type | tuple) -> object:
    """The first value of a kind among what was told; a lock heard now is told of first."""
    for each in sorted(rows, key=lambda row: (row.get("near") is not True, _int(row.get("heard_s"), 1 << 40))):
        value = each.get(name)
        if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return value
    return None


def _int(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _judge_lock(told: Findings, known: list[dict], states: list[dict]) -> None:
    battery = _first(known, "battery", int)
    if battery is None:
        battery = _first(states, "battery", int)
    if isinstance(battery, int):
        severity = OK if battery > _LOW_PCT else WARNING if battery > _EMPTY_PCT else ERROR
        told.add("battery", severity, "its batteries have %d %%" % battery)
    else:
        told.add("battery", NOTE, "how full its batteries are is not known")
    bolt = _first(known, "lock", str) or _first(states, "lock", str)
    if bolt == "JAMMED":
        told.add("bolt", ERROR, "its bolt is jammed")
    elif bolt is None:
        told.add("bolt", NOTE, "how its bolt stands is not known")
    if _first(states, "tamper", str) == "on":
        told.add("tamper", ERROR, "it has told of tampering")
    verified = _first(known, "verified", bool)
    if verified is not None:
        told.judge(
            "keys_accepted", bool(verified), "it has accepted its keys", "it has not yet proved its keys", WARNING
        )
    switch = _first(known, "remote_unlock", bool)
    told.judge(
        "remote_unlock",
        None if switch is None else bool(switch),
        "it may be unlocked through a gateway",
        "it may not be unlocked through a gateway",
        WARNING,
    )
    features = _first(known, "features", str)
    is_known = isinstance(features, str) and _HEX.fullmatch(features) is not None
    told.add("features", OK if is_known else NOTE, "features %s" % features if is_known else "not known yet")
    _judge_clock(told, known)
    _judge_work(told, known)


def _judge_clock(told: Findings, known: list[dict]) -> None:
    drift_s = _first(known, "drift_s", (int, float))
    if isinstance(drift_s, int | float):
        is_right = abs(drift_s) <= _FAR_S
        told.judge("clock_drift", is_right, "its clock is right", "its clock is off by %d s" % drift_s, WARNING)
    checked = _first(known, "clock_checked", str)
    told.judge(
        "clock_checked",
        None if not known else checked is not None,
        "its clock was looked at last at %s" % checked,
        "no gateway has looked at its clock yet",
        NOTE,
    )


def _judge_work(told: Findings, known: list[dict]) -> None:
    for code, name, what in (("jobs_waiting", "jobs", "jobs wait for it"), ("records_waiting", "waiting", "records")):
        counts = [each[name] for each in known if isinstance(each.get(name), int)]
        if counts:
            text = "%d %s%s" % (sum(counts), what, " wait to be acknowledged" if name == "waiting" else "")
            told.add(code, NOTE if sum(counts) > 0 else OK, text)
    failures = [one for each in known for one in facts.items(each, "failures") if isinstance(one, dict)]
    if failures:
        last = failures[-_FAILED:]
        text = "; ".join("%s: %s at %s" % (one.get("op"), one.get("code"), one.get("ts") or "?") for one in last)
        told.add("failures", NOTE, "its last failures (%d): %s" % (len(failures), text))


def _judge_zone(told: Findings, known: list[dict], rule: object) -> None:
    zones = [each.get("zone") for each in known]
    if zones:
        told.judge("zone", all(zones), "its time zone is known", "a gateway does not know its time zone", WARNING)
    if rule and any(zone and zone != rule for zone in zones):
        told.add("zone", WARNING, "a gateway has another time zone for it than the key book")
