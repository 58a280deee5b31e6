"""A gateway on a chip whose power may go, beside a lock that keeps passcodes: for flows of durable requests."""

from tests.faults.programs.gateway_world import GatewayWorld
from tests.unit.job_rig import PasscodeLock


class JobWorld(GatewayWorld):
    """What the lock has is part of what is judged: never twice, never lost once it was told to be there."""

    counts_records = False

    def __init__(self, chip):
        super().__init__(chip, PasscodeLock())

    def physical(self):
        return super().physical(), list(self.far.codes), self.far.changes, self.far.seeds, self.is_away

    def revert(self, physical):
        super().revert(physical[0])
        self.far.codes, self.far.changes, self.far.seeds, self.is_away = (list(physical[1]),) + physical[2:]

    def state(self):
        found = super().state()
        found["codes"] = list(self.far.codes)
        found["seeds"] = self.far.seeds
        found["waiting"] = [entry.id for entry in self.jobs.of(self.lock.id)]
        return found

    def leave(self):
        """The lock is heard no more."""
        self.is_away = True
        self.lock.seen_s = None

    def come(self):
        """It is heard again."""
        self.is_away = False
        self.lock.seen_s = self.now()

    def keep(self, request):
        """Send a request while the lock is away, until the asker is told that it waits."""
        self.send(request)
        self.work(len(self.out.steps) + 1, lambda: self.out.steps)
        assert self.jobs.find(request["id"]) is not None, self.told

    def judge(self, before, after, found, is_acked):
        """The lock is outside: it may be ahead of what the gateway has told, and never behind."""
        wrong = super().judge(before, after, dict(found, waiting=after["waiting"]), is_acked)
        if len(set(found["codes"])) != len(found["codes"]):
            wrong.append("a code twice: %r" % len(found["codes"]))
        return wrong
