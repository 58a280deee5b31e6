"""Keeps the long-lived jobs running and feeds the watchdog. Owns every task that outlives one function.

Every job has a lease, which says how long it may be silent. One that ends, fails or outlives its lease is started again
within 5 s (security.md R-18); three such ends of one job in ten minutes are hopeless, and the board is reset. The
watchdog is fed here and nowhere else, once a second, and only while no lease has run out: a job that cannot even be
cancelled starves it, as does a blocked loop (security.md R-19).

Time is counted in rounds of about a second of the loop, not by the clock, so that neither a wrapped tick counter nor a
loop that was held up for a moment makes every job look late.
"""

import asyncio
import gc

from firmware.lib.compat import const
from firmware.system.timing import sleep_ms, ticks_diff, wait_for_ms

_ROUND_MS = const(1000)
_SILENT_ROUNDS = const(4)
_PAUSE_MS = const(1000)
_STRIKES = const(3)
_SPAN_ROUNDS = const(600)
_HEALTHY_ROUNDS = const(60)


class Lease:
    """How long a job may be silent. The job gets its lease as its argument and renews it; the rest is the supervisor's.

    Work between two waits needs no word: each report may come four rounds late.
    """

    def __init__(self, name="", run=None):
        self.name = name
        self.run = run
        self.task = None
        self.is_cut = False  # the task was cancelled for its silence
        self.ends = ()  # rounds of the latest ends that count
        self.renew()

    def renew(self, silence_ms=0):
        """The job does its work, and reports again within `silence_ms`."""
        self.rounds = _SILENT_ROUNDS + (silence_ms + _ROUND_MS - 1) // _ROUND_MS

    def suspend(self):
        """The job begins to wait for what may never come. It owes nothing until it renews the lease."""
        self.rounds = None

    def is_over(self):
        return self.rounds is not None and self.rounds < 0

    def sleep_ms(self, pause_ms):
        """Awaitable that ends after `pause_ms`, which the lease then covers."""
        self.renew(pause_ms)
        return sleep_ms(pause_ms)

    async def wait(self, event, limit_ms=None):
        """Wait until `event` is set, which may be never; False when `limit_ms` passed first."""
        if limit_ms is None:
            self.suspend()
            await event.wait()
        else:
            self.renew(limit_ms)
            try:
                await wait_for_ms(event.wait(), limit_ms)
            except asyncio.TimeoutError:
                pass
        self.renew()
        return event.is_set()


class Supervisor:
    """Runs jobs for ever. `now_ms` is a tick clock for the log, `restarts` a `restarts.Restarts`, `feed` feeds the
    watchdog, `on_hopeless(name, why)` is called when one job has ended too often, `why` being a word of `restarts` (a
    board resets itself there)."""

    def __init__(self, log, now_ms, restarts, feed=None, on_hopeless=None):
        self._log = log.area("supervisor")
        self._now_ms = now_ms
        self._restarts = restarts
        self._feed = feed
        self._on_hopeless = on_hopeless
        self._jobs = {}
        self._round = 0
        self._starving = None
        self._is_stopping = False

    def add(self, name, job):
        """Run the async function `job(lease)`, which must renew its lease before it runs out."""
        self._jobs[name] = Lease(name, job)

    def rounds(self):
        """Seconds, roughly, that the supervisor has been running."""
        return self._round

    def silent(self):
        """The name of a job whose lease has run out, or None."""
        for job in self._jobs.values():
            if job.is_over():
                return job.name
        return None

    async def run(self):
        """Run all jobs until cancelled; then cancel them and wait for their ends."""
        for job in self._jobs.values():
            job.task = asyncio.create_task(self._keep(job))
        try:
            while True:
                self.look()
                await sleep_ms(_ROUND_MS)
        finally:
            self._is_stopping = True
            for job in self._jobs.values():
                job.task.cancel()
            for job in self._jobs.values():
                try:
                    await job.task
                except asyncio.CancelledError:
                    pass

    def look(self):
        """One round: cut off who is silent, feed the watchdog if nobody is."""
        self._round += 1
        if self._round == _HEALTHY_ROUNDS:
            self._restarts.healthy()
        for job in self._jobs.values():
            if job.rounds is not None:
                job.rounds -= 1
            if job.is_over() and not job.is_cut and job.task:
                job.is_cut = True
                job.task.cancel()
        late = self.silent()
        if late is None:
            if self._feed:
                self._feed()
            if self._starving:
                self._starving = None
                self._restarts.withdraw()
        elif late != self._starving and self._jobs[late].rounds < -1:  # its cancellation had a round
            self._starving = late
            self._restarts.announce("silent", late)
            self._log.error("silent", job=late)

    async def _keep(self, job):
        while True:
            job.renew()
            began_ms = self._now_ms()
            pause_ms = _PAUSE_MS
            try:
                await job.run(job)
                why: object = "returned"
            except asyncio.CancelledError:
                if self._is_stopping or not job.is_cut:
                    raise
                why = "silent"
                pause_ms = 0  # its silence has lasted four seconds already
            except MemoryError as err:
                gc.collect()
                why = err
            except Exception as err:
                why = err
            job.suspend()
            job.is_cut = False
            try:
                self._record_end(job, why, ticks_diff(self._now_ms(), began_ms))
            except Exception:  # no memory for the log line: the job is restarted without it
                gc.collect()
            await sleep_ms(pause_ms)

    def _record_end(self, job, why, ran_ms):
        """A run of `job` has ended: count it, log it, and give up after the third in ten minutes."""
        job.ends = tuple(end for end in job.ends if self._round - end <= _SPAN_ROUNDS) + (self._round,)
        is_memory = isinstance(why, MemoryError)
        self._restarts.count("no_memory" if is_memory else "job")
        is_hopeless = len(job.ends) >= _STRIKES
        try:
            if isinstance(why, str):
                self._log.warn("ended", job=job.name, why=why, ran_ms=ran_ms, ends=len(job.ends))
            else:
                self._log.crash("failed", why, job=job.name, ran_ms=ran_ms, ends=len(job.ends))
            if is_hopeless:
                self._log.error("hopeless", job=job.name)
        finally:
            if is_hopeless and self._on_hopeless:
                self._on_hopeless(job.name, "memory" if is_memory else "failing")
