"""Records on their way into the database: checked as they come, committed together, then acknowledged.

Owns that nothing is acknowledged before it is on the disk, and that nothing is kept that its gateway does not prove.
The gateway sends again what was not acknowledged, to whichever instance the broker chooses; the store knows it again.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import aiomqtt

from firmware.lib.errors import ProtocolError
from firmware.lib.topics import parse
from host_tools.errors import HostError
from host_tools.gateway import payloads
from host_tools.gateway.database import Database, DatabaseError
from host_tools.gateway.records_batch import Batch, read_batch
from host_tools.gateway.records_store import RecordStore
from host_tools.gateway.signing import Recorder
from host_tools.serve.alerting import Alerting
from host_tools.serve.alerts import Incident
from host_tools.serve.bus import Bus
from host_tools.serve.files import Keys
from host_tools.serve.metrics import Metrics

_PAUSE_S, _MAX_PAUSE_S = 0.5, 30.0
_TOLD_S = 60.0  # an impostor is noted once in this time


@dataclass(frozen=True)
class Arrived:
    """A batch that its gateway proves."""

    recorder: Recorder
    lock: str
    batch: Batch


class Intake:
    """`take` gets groups of messages from `bus`. Writing is done in `executor`, one transaction at a time."""

    def __init__(
        self,
        database: Database,
        keys: Keys,
        alerting: Alerting,
        metrics: Metrics,
        executor: Executor,
        told: Callable[[str], None],
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._store = RecordStore(database)
        self._keys = keys
        self._alerting = alerting
        self._metrics = metrics
        self._executor = executor
        self._told = told
        self._now_s = now_s
        self._impostors: dict[str, float] = {}
        self.bus: Bus | None = None

    async def take(self, group: list[aiomqtt.Message]) -> None:
        """Check, commit, acknowledge. While there is no database it waits, and so does what comes behind."""
        arrived: dict[tuple[str, str, bytes], Arrived] = {}
        impostors = set()
        for message in group:
            try:
                gateway, lock, leaf = parse(str(message.topic), self._keys.base)
                payload = bytes(message.payload)  # type: ignore[arg-type]
            except (ProtocolError, ValueError, TypeError):
                self._metrics.batches.labels("unread").inc()
                continue
            if leaf != "records" or lock is None or len(payload) > payloads.longest(leaf):
                self._metrics.batches.labels("unread").inc()
                continue
            one, result = self._checked(gateway, lock, payload)
            if one is not None:
                arrived[gateway, lock, payload] = one  # the same one twice is one
                continue
            self._metrics.batches.labels(result).inc()
            if result == "forged" and self._is_news(gateway):
                impostors.add(gateway)
        if not arrived and not impostors:
            return
        kept = await self._committed(list(arrived.values()), impostors)
        if self.bus is not None and kept:
            sent = [self._acknowledgement(each) for each in kept]
            self._metrics.acks.inc(await self.bus.publish(sent))

    def _checked(self, gateway: str, lock: str, payload: bytes) -> tuple[Arrived | None, str]:
        recorder = self._keys.recorders.get(gateway)
        if recorder is None:
            return None, "stranger"
        if not recorder.proves(lock, payload):
            return None, "forged"
        try:
            batch = read_batch(payload.decode())
        except (HostError, ValueError):
            return None, "unread"
        batch.proven = True
        return Arrived(recorder, lock, batch), "kept"

    def _is_news(self, gateway: str) -> bool:
        now = self._now_s()
        is_news = now - self._impostors.get(gateway, float("-inf")) > _TOLD_S
        if is_news:
            self._impostors[gateway] = now
        return is_news

    def _acknowledgement(self, one: Arrived) -> tuple[str, str]:
        return one.recorder.acknowledgement(one.lock, one.batch, int(self._now_s()))

    async def _committed(self, arrived: list[Arrived], impostors: set[str]) -> list[Arrived]:
        """On the disk when it returns -> those that are. Waits for a database that is away."""
        loop = asyncio.get_running_loop()
        pause_s = _PAUSE_S
        while True:
            try:
                await loop.run_in_executor(self._executor, self._commit, arrived, impostors)
                self._metrics.batches.labels("kept").inc(len(arrived))
                return arrived
            except DatabaseError as error:
                if self._metrics.database(error.line()) or not error.is_away:
                    self._told(error.line())
                if not error.is_away:
                    break
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)
        if len(arrived) + len(impostors) <= 1:  # the database will not have it: it stays with the gateway
            self._metrics.batches.labels("refused").inc(len(arrived))
            return []
        kept = []
        for each in arrived:
            kept += await self._committed([each], set())
        for gateway in impostors:
            await self._committed([], {gateway})
        return kept

    def _commit(self, arrived: list[Arrived], impostors: set[str]) -> None:
        began = time.perf_counter()
        now = self._now_s()
        new = told = alerts = 0
        with self._database.writing() as base:
            self._database.hold(base, *{each.lock for each in arrived}, *impostors)
            for each in arrived:
                items = self._store.file(base, each.lock, each.batch)
                new += len(items)
                told += len(each.batch.items)
                if items:
                    alerts += self._alerting.of_records(base, each.lock, items, now)
            for gateway in impostors:
                alerts += self._alerting.judge(base, Incident("impostor", gateway, now), now)
        self._metrics.database("")
        self._metrics.commits.observe(time.perf_counter() - began)
        self._metrics.records.labels("new").inc(new)
        self._metrics.records.labels("known").inc(told - new)
        self._metrics.began.inc(alerts)
