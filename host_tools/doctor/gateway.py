"""`gatehouse doctor GATEWAY`: what is wrong with a gateway, by what it says over MQTT and whether it answers.

`look` asks over a connection that stands, `judge` says. Metrics are asked for; a gateway that knows no such request
publishes them each minute, and is not waited for.
"""

import asyncio
import contextlib
import time
from datetime import UTC, datetime

from host_tools.doctor import facts, port, words
from host_tools.doctor.facts import INFO, METRICS
from host_tools.doctor.findings import ERROR, NOTE, OK, WARNING, Findings
from host_tools.errors import HostError
from host_tools.gateway.client import Gateways

_ASK_S = 8
_METRICS_S = 3
_SETTLE_S = 0.5
_OLD_S = 180
_WEAK_DBM, _BAD_DBM = -75, -85
_LOW_PCT = 80
_FEW = 10  # results, of which a share says little


class Heard:
    """The newest metrics of each gateway, as they come."""

    def __init__(self) -> None:
        self.metrics: dict[str, tuple[dict, float]] = {}  # with when they came
        self._changed = asyncio.Event()

    def take(self, gateways: Gateways, gateway: str, text: str) -> None:
        value = gateways.reader.message(text, METRICS)
        if value is not None:
            self.metrics[gateway] = value, time.monotonic()
            self._changed.set()

    async def wait(self, gateway: str, seconds: float) -> None:
        """Until metrics of a gateway have come, or for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while gateway not in self.metrics:
                    self._changed.clear()
                    await self._changed.wait()


async def settle(gateways: Gateways, seconds: float) -> None:
    """Wait for what is retained; shorter where no more comes."""
    until_s = time.monotonic() + seconds
    before = -1
    while time.monotonic() < until_s and before != gateways.told + len(gateways.online):
        before = gateways.told + len(gateways.online)
        await asyncio.sleep(_SETTLE_S)


async def look(gateways: Gateways, heard: Heard, gateway: str) -> dict:
    """What one gateway says, and how it answers."""
    found: dict = {"online": gateways.online.get(gateway), "info": gateways.info.get(gateway, {})}
    try:
        signer = gateways.signer(gateway)
        found["issuer"] = signer.gateway.issuer if signer else None
        found["pinned"] = signer.gateway.public if signer else None
        found["simulated"] = gateways.is_simulated(gateway)
    except HostError as error:
        found["issuer"] = found["pinned"] = None
        found["answer"] = error.code
    if found["online"]:
        found["answer"] = await _answer(gateways, gateway)
        if found["answer"] == "ok":
            with contextlib.suppress(HostError):
                await gateways.command(gateway, None, "metrics", wait_s=_ASK_S)
        await heard.wait(gateway, _METRICS_S)
    metrics = heard.metrics.get(gateway)
    found["metrics"] = metrics[0] if metrics else {}
    found["age_s"] = round(time.monotonic() - metrics[1]) if metrics else None
    return found


async def _answer(gateways: Gateways, gateway: str) -> str:
    """`ok`, or the code of what came instead; a signed question where this computer can sign."""
    try:
        await gateways.command(gateway, None, "ping", wait_s=_ASK_S)
        return "ok"
    except HostError as error:
        return error.code


def judge(title: str, found: dict) -> Findings:
    """Findings about a gateway, whatever it has said."""
    told = Findings(title)
    info = facts.read(found.get("info"), INFO)
    metrics = facts.read(found.get("metrics"), METRICS)
    online = found.get("online")
    if online is True:
        told.add("online", OK, "it is at the broker")
    elif online is False:
        told.add("online", ERROR, "it is not at the broker")
    else:
        told.add("online", ERROR, "it has never been at this broker, or its messages do not reach this computer")
    _judge_keys(told, found, info)
    _judge_info(told, info)
    if online is True:
        if metrics:
            _judge_metrics(told, metrics, found.get("age_s"))
        else:
            told.add("metrics", NOTE, "it published no metrics while we listened")
    return told


def _judge_keys(told: Findings, found: dict, info: dict) -> None:
    pinned, shown = found.get("pinned"), info.get("x25519")
    if not pinned:
        told.add("yours", NOTE, "this key book does not command it")
    elif shown is not None:
        is_same = isinstance(shown, str) and isinstance(pinned, str) and shown.lower() == pinned
        told.judge("pinned_key", is_same, "it shows the pinned key", "it shows another key than the pinned one")
    if info.get("owner") is False:
        told.add("owner", WARNING, "it has no owner: it obeys no signed command")
    answer = found.get("answer")
    if answer is None:
        return
    how = "a signed question" if pinned else "a question"
    told.judge("answers", answer == "ok", "it answers %s" % how, "%s is answered with `%s`" % (how, answer))


def _judge_info(told: Findings, info: dict) -> None:
    if not info:
        return
    port.judge_version(told, info.get("version"))
    if facts.part(info, "restart"):
        port.judge_start(told, facts.part(info, "restart"), info.get("boot"))
    refused = [str(each) for each in facts.items(info, "refused")]
    told.judge(
        "subscriptions", not refused, "the broker grants all its subscriptions", "refused: %s" % ", ".join(refused)
    )
    flags = facts.items(info, "flags")
    if "insecure_broker" in flags:
        told.add("insecure_broker", WARNING, "it talks to its broker without TLS: everybody on the way reads along")
    if "unsigned_unlock" in flags:
        told.add("unsigned_unlock", WARNING, "whoever may publish at its broker may unlock")
    count = len(facts.items(info, "locks"))
    told.add("locks", OK if count else NOTE, "it serves %d locks" % count)


def _judge_metrics(told: Findings, metrics: dict, heard_s: object) -> None:
    age_s = _age_s(metrics.get("ts"))
    known = age_s if age_s is not None else heard_s if isinstance(heard_s, int) else 0
    text = "its metrics are %s old" % words.age(max(0, known))
    told.add("metrics", OK if known < _OLD_S else WARNING, text)
    up_s = metrics.get("uptime_s")
    if isinstance(up_s, int):
        told.add("boots", OK, "it has been running for %s" % words.age(max(0, up_s)))
    port.judge_heap(told, metrics.get("heap_low", metrics.get("heap")))
    rssi = metrics.get("rssi")
    if isinstance(rssi, int):
        severity = OK if rssi > _WEAK_DBM else WARNING if rssi >= _BAD_DBM else ERROR
        told.add("wifi_signal", severity, "its Wi-Fi is heard with %d dBm" % rssi)
    clock = metrics.get("clock")
    if clock is not None:
        told.judge("clock", clock == "trusted", "its clock is trusted", "its clock is not trusted", WARNING)
    faults = words.faults(facts.part(metrics, "restarts"))
    if faults:
        told.add("restarts", WARNING, "restarts since its power came on: %s" % words.counted(faults))
    for code, name, what in (("records_waiting", "records", "records"), ("jobs_waiting", "jobs", "jobs")):
        count = metrics.get(name)
        if isinstance(count, int):
            told.add(code, NOTE if count > 0 else OK, "%d %s wait" % (count, what))
    dropped = {key: each for key, each in facts.part(metrics, "dropped").items() if each > 0 and key != "adverts"}
    if dropped:
        told.add("dropped", NOTE, "it has dropped: %s" % words.counted(dropped))
    share, results = metrics.get("success_pct"), sum(facts.part(metrics, "results").values())
    if isinstance(share, int | float) and results >= _FEW:
        is_good = share >= _LOW_PCT
        told.judge(
            "success", is_good, "%d %% of %d requests went well" % (share, results), _of(share, results), WARNING
        )


def _of(share: float, results: int) -> str:
    return "only %d %% of %d requests went well" % (share, results)


def _age_s(ts: object) -> int | None:
    """Seconds since a moment as gateways write it; None for none, and for one that lies ahead."""
    try:
        moment = datetime.fromisoformat(str(ts))
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    age_s = (datetime.now(UTC) - moment).total_seconds()
    return int(age_s) if 0 <= age_s < 1e9 else None
