"""A gateway on a chip whose power may go, beside a lock that keeps passcodes: for flows of durable requests."""

from tests.faults.programs.gateway_world import GatewayWorld
from tests.unit.job_rig import PasscodeLock


class JobWorld(GatewayWorld):
    """What the lock has is part of what is judged: never twice, never lost once it was told to be there."""

    counts_records = False

    def __init__(self, chip):
        super().__init__(chip, PasscodeLock())

    def physical(self):
        return super().physical(), list(self.far.codes), self.far.changes

    def revert(self, physical):
        super().revert(physical[0])
        self.far.codes, self.far.changes = list(physical[1]), physical[2]

    def state(self):
        found = super().state()
        found["codes"] = list(self.far.codes)
        found["waiting"] = [entry.id for entry in self.tools.jobs.of(self.lock.id)]
        return found

    def judge(self, before, after, found, is_acked):
        """The lock is outside: it may be ahead of what the gateway has told, and never behind."""
        wrong = super().judge(before, after, dict(found, waiting=after["waiting"]), is_acked)
        if len(set(found["codes"])) != len(found["codes"]):
            wrong.append("a code twice: %r" % len(found["codes"]))
        return wrong
