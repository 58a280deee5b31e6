"""`gatehouse serve`: records into the database, acknowledged; alerts out of it; metrics. For years.

Owns which jobs there are, and that each comes back: broker, database and receivers may be away at any moment and for
any time. It holds no key that commands a gateway: only that of records, which proves batches and acknowledges them.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from firmware.lib.topics import Topics
from host_tools.errors import HostError
from host_tools.gateway.database import Database, DatabaseError
from host_tools.serve import files, sender, watcher
from host_tools.serve.alerting import Alerting
from host_tools.serve.bus import Bus
from host_tools.serve.config import Config
from host_tools.serve.files import Keys, Watched
from host_tools.serve.intake import Intake
from host_tools.serve.metrics import Endpoint, Metrics
from host_tools.serve.sender import Sender
from host_tools.serve.watcher import Watcher

_TICK_S = 5.0
_SEND_S = 1.0
_LOOK_S = 5.0
_PAUSE_S, _MAX_PAUSE_S = 1.0, 30.0

Told = Callable[[str], None]


def record_filter(config: Config) -> str:
    """Records come to one of the instances of the group each."""
    return "$share/%s/%s" % (config.group, Topics("+", config.base).lock("+", "records"))


class Once:
    """Tells the same only once until something else was told, so that a broker that is away for a night makes no
    thousand lines."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._last = ""

    def __call__(self, text: str) -> None:
        if text and text != self._last:
            self._told(text)
        self._last = text


async def run(config: Config, told: Told) -> None:
    """Until SIGTERM, SIGINT or cancellation; what was taken is committed and acknowledged before it ends."""
    metrics = Metrics()
    keys = Keys(config.keys, config.base)
    keys.file.look()  # without them nothing can be taken
    endpoint = Endpoint(metrics, config.listen) if config.listen else None
    database = await _opened(config, metrics, told)
    alerting = Alerting(config.rules, {each.name: each.kinds for each in config.targets}, config.off)
    failed = Once(told)
    with ThreadPoolExecutor(1) as writing, ThreadPoolExecutor(1) as sending:
        intake = Intake(database, keys, alerting, metrics, writing, failed)
        intake.bus = Bus(config.broker, [record_filter(config)], intake.take, _telling("broker", metrics, told))
        watching = Watcher(database, keys, alerting, config.rules, metrics, writing, failed)
        listening = Bus(
            config.broker, watcher.filters(config.base), watching.take, _telling("watch", metrics, lambda text: None)
        )
        outgoing = Sender(database, config.targets, metrics, told)
        watched = [keys.file]
        if config.names:
            watched.append(Watched(config.names, files.names_into(database)))
        loop = asyncio.get_running_loop()
        told("serving %d gateways from %s to %s" % (len(keys.recorders), config.broker, database.name))
        jobs = [
            intake.bus.run(),
            listening.run(),
            _again(_TICK_S, lambda: loop.run_in_executor(writing, watching.tick), metrics, failed),
            _again(_SEND_S, lambda: loop.run_in_executor(sending, outgoing.work), metrics, failed),
            _again(_LOOK_S, lambda: loop.run_in_executor(writing, files.look_at, watched, told), metrics, failed),
        ]
        try:
            await _until_told(jobs)
        finally:
            if endpoint:
                endpoint.close()
    database.close()
    told("ended")


async def _until_told(jobs: list[Coroutine[Any, Any, None]]) -> None:
    """Run all until a signal; none of them ends by itself, and one that fails ends the service."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(each, stop.set)
    tasks = [asyncio.create_task(job) for job in jobs]
    waiting = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {waiting}:
            task.result()
    finally:
        for task in (*tasks, waiting):
            task.cancel()
        await asyncio.gather(*tasks, waiting, return_exceptions=True)


async def _opened(config: Config, metrics: Metrics, told: Told) -> Database:
    """The database, once it is there."""
    failed = Once(told)
    pause_s = _PAUSE_S
    while True:
        try:
            database = await asyncio.to_thread(Database, config.url, config.password)
            metrics.database("")
            return database  # from here on the jobs tell when it goes away
        except DatabaseError as error:
            if not error.is_away:
                raise
            metrics.database(error.line())
            failed(error.line())
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _MAX_PAUSE_S)


async def _again(every_s: float, work: Callable[[], Any], metrics: Metrics, failed: Callable[[str], None]) -> None:
    """Do some work now and then; a database that is away is met again later."""
    pause_s = every_s
    while True:
        try:
            await work()
            pause_s = every_s
        except DatabaseError as error:
            if metrics.database(error.line()):
                failed(error.line())
            pause_s = min(2 * pause_s, max(_MAX_PAUSE_S, every_s))
        await asyncio.sleep(pause_s)


def _telling(part: str, metrics: Metrics, told: Told) -> Callable[[str], None]:
    once = Once(told)

    def changed(failure: str) -> None:
        metrics.tell(part, failure)
        once(failure or "connected to the broker")

    return changed


# --- trying it out


async def check(config: Config) -> list[tuple[str, str]]:
    """Try all that the service needs, sending nothing -> (what, how it is). HostError for what cannot work."""
    found = []
    keys = Keys(config.keys, config.base)
    keys.file.look()
    found.append(("keys", "records of %d gateways can be proven" % len(keys.recorders)))
    database = await asyncio.to_thread(Database, config.url, config.password)
    found.append(("database", database.name))
    try:
        if config.names:
            Watched(config.names, files.names_into(database)).look()
            found.append(("names", str(config.names)))
    finally:
        database.close()
    wanted = [record_filter(config), *watcher.filters(config.base)]
    bus = Bus(config.broker, wanted, _nothing, lambda failure: None)
    try:
        async with asyncio.timeout(30), bus.connected():
            found.append(("broker", str(config.broker)))
    except HostError:
        raise
    except Exception as error:  # of whatever kind: told as it is
        raise HostError("net", "broker %s: %s" % (config.broker, error or "no answer"), "is it running?")
    for target in config.targets:
        if not sender.is_receiver(target):
            raise HostError("config", "notify.%s: apprise does not know this URL" % target.name, "see its manual")
        found.append(("notify", target.name))
    if config.listen:
        found.append(("listen", "%s:%d" % config.listen))
    found.append(("time", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())))
    return found


async def _nothing(group: list) -> None:
    pass
