"""One durable request as the gateway keeps it in memory, and the scheduler's job while it is being done."""

from firmware.gateway.requests import CommandJob


class Entry:
    """A request that waits. `kept` is what stands on flash; the arguments stay there. Raises KeyError, TypeError,
    ValueError."""

    def __init__(self, slot, kept, now_s):
        self.slot = slot
        self.number = kept["n"]
        self.tag = kept["tag"]
        self.id = kept["id"]
        self.op = kept["op"]
        self.lock_id = kept["lock"]
        self.digest = bytes.fromhex(kept["digest"])
        self.until = kept["until"]  # Unix seconds, or None where the clock was not trusted
        self.life_s = kept["life"]
        self.since_s = now_s
        self.about = None
        self.is_renaming = False
        self.was_sent = False  # a frame that changes something may have arrived
        self.is_marked = False  # that is on flash
        self.is_withdrawn = False
        self.attempts = 0
        self.faults = 0
        self.last = None  # word of what went wrong last
        self.job = None  # while the scheduler has it
        self.number_kept = 0
        self.step_kept = None


class DurableJob(CommandJob):
    """One round of a durable request."""

    def __init__(self, jobs, entry, lock, deadline_ms, request, tools):
        self._jobs = jobs
        self.entry = entry
        was_sent = entry.was_sent
        super().__init__(lock, deadline_ms, request, tools, jobs.ended)
        entry.was_sent = was_sent
        self.number = entry.number_kept
        self.kept = entry.step_kept

    @property
    def was_sent(self):
        """Whether a frame that changes something may have arrived, in this round or one before, also across resets."""
        return self.entry.was_sent

    @was_sent.setter
    def was_sent(self, value):
        self.entry.was_sent = value

    def mark(self):
        """On flash before the frame leaves; a request that is taken up after a reset counts as sent."""
        self._jobs.mark(self.entry)

    def progress(self, found):
        """As CommandJob, with the request's state."""
        told = self._jobs.describe(self.entry)
        told.update(found)
        super().progress(told)
