"""Durable requests while they wait: on flash, one class of a vault each, and in memory. Owns the folder and its slots,
and what the names of durable operations mean: states to show, what they are about, which later one makes an earlier
one pointless.

A slot is used again and its class never removed: a free one holds a single byte. Its number in NVS therefore only
rises, and a request that has ended does not come back from an older copy of the folder (security.md DEL-1). Arguments
may hold codes and card numbers, so that nothing of a request is written in the clear.

That a request is about to change something is one small file, a `Cell` with the 8 random bytes that name the request:
the mark of an earlier request in the same slot does not count. A mark that cannot be read counts as set.

States: domain.md 3.2, asynchronous job state.
"""

import json

from firmware.gateway.requests import CommandJob, Request
from firmware.lib import commands, crypto
from firmware.lib.compat import const
from firmware.system.store import Cell
from firmware.system.timing import ticks_ms
from firmware.system.vault import Vault

MAX_JOBS = 64
NORMAL = 1
_TAG_LEN = const(8)
_FREE = b"-"
_ADDING = ("adding", 4, "add_failed", 5)
_MODIFYING = ("modifying", 6, "modify_failed", 7)
_DELETING = ("deleting", 8, "delete_failed", 9)
_STATES = {"add": _ADDING, "delete": _DELETING, "clear": _DELETING}
_NAMES = ("code", "number", "slot", "mac", "uid", "name")  # arguments that say which one is meant
_RENAMING = ("new", "new_code")
_CHANGES = ("set", "sync", "freeze", "unfreeze")


class JobStore:
    """`nvs` as `Vault` takes it."""

    def __init__(self, folder, nvs):
        self._folder = folder
        self._vault = Vault(folder, nvs)
        self._used = set()
        self.damaged = 0  # requests that could not be read at start

    def load(self):
        """What is kept, as a list of (slot, request, whether it was marked); to be called once."""
        result = []
        for name in self._vault.names():
            packed = self._vault.load(name)
            if packed is None:
                self.damaged += 1
                continue
            if packed == _FREE:
                continue
            slot = int(name[3:])
            try:
                kept = json.loads(packed.decode())
                result.append((slot, kept, self._is_marked(slot, kept["tag"])))
            except (KeyError, ValueError, UnicodeError):
                self.damaged += 1
                continue
            self._used.add(slot)
        return result

    def _is_marked(self, slot, tag):
        cell = self._mark(slot)
        return cell.load() == bytes.fromhex(tag) or cell.is_damaged

    def _mark(self, slot):
        return Cell(self._folder + "/mark%02d" % slot)

    def add(self, kept):
        """Keep a request (dict of JSON kind; gets the member `tag`) -> slot. Raises OSError when the flash refuses; it
        is not kept then."""
        slot = 0
        while slot in self._used:
            slot += 1
        kept["tag"] = crypto.random_bytes(_TAG_LEN).hex()
        packed = json.dumps(kept).encode()
        name = _name(slot)
        try:
            self._vault.save(name, packed)
        except OSError:
            if self._vault.load(name) != packed:  # one good copy is as good as two
                raise
        self._used.add(slot)
        return slot

    def args(self, slot):
        """The arguments of a request, or None when flash damage took them."""
        packed = self._vault.load(_name(slot))
        try:
            return json.loads(packed.decode())["args"]
        except (AttributeError, KeyError, ValueError, UnicodeError):
            return None

    def mark(self, slot, tag):
        """Note durably that the request is about to change something."""
        self._mark(slot).save(bytes.fromhex(tag))

    def drop(self, slot):
        """Forget a request. Raises OSError when the flash refuses: it is still there then."""
        self._vault.save(_name(slot), _FREE)
        self._used.discard(slot)


def _name(slot):
    return "job%02d" % slot


class DurableRequest(Request):
    """A request that waits. `kept` is what stands on flash; the arguments stay there. Raises KeyError, TypeError,
    ValueError."""

    was_sent = False  # a frame that changes something may have arrived
    is_marked = False  # that is on flash
    is_withdrawn = False
    attempts = 0
    faults = 0
    last = None  # code of the last failure
    job = None  # while the scheduler has it
    job_number = 0  # `number` and `kept` of the last round's job
    job_kept = None

    def __init__(self, slot, kept, now_s, answers):
        command = commands.Command(kept["id"], kept["op"], {})
        super().__init__(command, kept["lock"], ticks_ms(), answers, bytes.fromhex(kept["digest"]), kept.get("iss"))
        self.slot = slot
        self.number = kept["n"]
        self.tag = kept["tag"]
        self.until = kept["until"]  # Unix seconds, or None where the clock was not trusted
        self.life_s = kept["life"]
        self.since_s = now_s
        self.about = _subject(kept["op"], kept["args"])
        self.is_renaming = any(key in kept["args"] for key in _RENAMING)  # the item has another name afterwards

    @property
    def id(self):
        return self.command.id

    @property
    def op(self):
        return self.command.op

    def pending(self):
        """(word, number) of its state while it waits or is being done."""
        return _states(self.op)[:2]

    def failed(self):
        """(word, number) of its state when it has failed."""
        return _states(self.op)[2:]

    def is_pointless(self, later):
        """Whether it need not be done because of a later one, which leaves the same behind without it."""
        family, what = _parts(self.op)
        later_family, later_what = _parts(later.op)
        if family != later_family:
            return False
        if later_what == "clear":
            return what in ("add", "change", "delete", "clear")
        if self.about is None or self.about != later.about:
            return False
        if later_what == "delete":
            return what in ("add", "delete") or (what == "change" and not self.is_renaming)
        if later_what in ("freeze", "unfreeze"):
            return what in ("freeze", "unfreeze")
        return self.op == later.op and what in _CHANGES


class DurableJob(CommandJob):
    """One round of a durable request."""

    is_patient = True

    def __init__(self, jobs, request, lock, deadline_ms, args, context):
        super().__init__(lock, deadline_ms, request, context)
        self._jobs = jobs
        self.args = args
        self.number = request.job_number
        self.kept = request.job_kept

    @property
    def was_sent(self):
        """Whether a frame that changes something may have arrived, in this round or one before, also across resets."""
        return self.request.was_sent

    @was_sent.setter
    def was_sent(self, value):
        self.request.was_sent = value

    def mark(self):
        """On flash before the frame leaves; after a reset, a marked request counts as sent."""
        self._jobs.mark(self.request)

    def progress(self, members):
        """As CommandJob, with the request's state."""
        known = self._jobs.describe(self.request)
        known.update(members)
        super().progress(known)

    def finish(self, result, err):
        self._jobs.ended(self, result, err)


def _parts(op):
    """("passcode", "add") of passcode_add; ("", "freeze") of freeze."""
    at = op.rfind("_")
    return ("", op) if at < 0 else (op[:at], op[at + 1 :])


def _states(op):
    return _STATES.get(_parts(op)[1], _MODIFYING)


def _subject(op, args):
    """What a request is about, as text that may hold secrets, or None: add, change and delete of one item have the
    same."""
    family, what = _parts(op)
    named = ["%s=%s" % (key, args[key]) for key in _NAMES if key in args]
    if named:
        return family + ":" + ",".join(named)
    return family if what in _CHANGES else None
