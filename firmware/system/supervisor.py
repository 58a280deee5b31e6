"""Keeps the long-lived jobs running and feeds the watchdog. Owns every task that outlives one function.

A job that ends, for whatever reason, is started again after a pause that doubles up to a minute and is short again
after a long healthy run. The watchdog is fed here and nowhere else, and only while every job that promised to report
does so; a blocked event loop starves it as well.
"""

import asyncio

from firmware.lib.backoff import next_pause
from firmware.lib.compat import const
from firmware.system.timing import sleep_ms, ticks_diff

_FEED_MS = const(1000)
_HEALTHY_MS = const(60000)
_HOPELESS = const(8)  # failed runs in a row of one job


class _Job:
    def __init__(self, name, run, report_within_ms):
        self.name = name
        self.run = run
        self.report_within_ms = report_within_ms
        self.seen_ms = 0
        self.is_paused = False
        self.failures = 0
        self.restarts = 0


class Supervisor:
    """Runs jobs for ever. `now_ms` is a tick clock, `feed` feeds the watchdog, `on_hopeless(name)` is called when one
    job has failed too often in a row (a board resets itself there)."""

    def __init__(self, log, now_ms, feed=None, on_hopeless=None):
        self._log = log.area("supervisor")
        self._now_ms = now_ms
        self._feed = feed
        self._on_hopeless = on_hopeless
        self._jobs = {}

    def add(self, name, job, report_within_ms=None):
        """Run the async callable `job`; with `report_within_ms` it must call `alive(name)` at least that often."""
        self._jobs[name] = _Job(name, job, report_within_ms)
        return self._jobs[name]

    def alive(self, name):
        """Job `name` reports that it still does its work."""
        self._jobs[name].seen_ms = self._now_ms()

    def restarts(self):
        """How often jobs were started again, all together."""
        return sum(job.restarts for job in self._jobs.values())

    def late(self):
        """The name of a job whose report is overdue, or None. A job in its pause is not late."""
        now_ms = self._now_ms()
        for job in self._jobs.values():
            if job.report_within_ms is None or job.is_paused:
                continue
            if ticks_diff(now_ms, job.seen_ms) > job.report_within_ms:
                return job.name
        return None

    async def run(self):
        """Run all jobs until cancelled; then cancel them and wait for their ends."""
        for job in self._jobs.values():
            job.seen_ms = self._now_ms()
        tasks = [asyncio.create_task(self._keep(job)) for job in self._jobs.values()]
        try:
            await self._watch()
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                try:
                    await task
                except asyncio.CancelledError:
                    pass

    async def _watch(self):
        starving = None
        while True:
            late = self.late()
            if late is None:
                starving = None
                if self._feed:
                    self._feed()
            elif late != starving:
                starving = late
                self._log.error("late", job=late)
            await sleep_ms(_FEED_MS)

    async def _keep(self, job):
        pause_s = 0
        while True:
            began_ms = job.seen_ms = self._now_ms()
            try:
                await job.run()
                why = None
            except Exception as err:  # CancelledError is not an Exception, so a stop passes through
                why = err
            ran_ms = ticks_diff(self._now_ms(), began_ms)
            pause_s = next_pause(pause_s, ran_ms)
            self.note_end(job, why, ran_ms, pause_s)
            job.is_paused = True
            await sleep_ms(int(pause_s * 1000))
            job.is_paused = False

    def note_end(self, job, why, ran_ms, pause_s):
        """A run of `job` (as `add` returned it) has ended: log it, and count towards hopelessness."""
        job.failures = 1 if ran_ms >= _HEALTHY_MS else job.failures + 1
        job.restarts += 1
        if why is None:
            self._log.warn("ended", job=job.name, ran_ms=ran_ms, pause_s=pause_s)
        else:
            self._log.crash("failed", why, job=job.name, ran_ms=ran_ms, pause_s=pause_s)
        if job.failures >= _HOPELESS:
            self._log.error("hopeless", job=job.name, failures=job.failures)
            if self._on_hopeless:
                self._on_hopeless(job.name)
