"""What `gatehouse doctor` asks for: how the board stands, and how one lock does, by what is known without the radio.
Loaded when it is asked for and let go of. Owns nothing that is kept; no member is a secret.
"""

import os

from firmware.gateway import lock as locks
from firmware.gateway.admission import Refusal
from firmware.gateway.diagnostics import time_text
from firmware.gateway.operations.arguments import only
from firmware.lib import reports
from firmware.lib.errors import ProtocolError


def of_board(facts, free_heap, restart):
    """Members that need no settings: `facts` as in `info`, the heap, why it started, the flash; None is unknown."""
    found = dict(facts, heap=free_heap, restart=restart)
    try:
        block, fragment, blocks, free = os.statvfs("/")[:4]
        found["flash"] = (fragment or block) * blocks
        found["flash_free"] = block * free
    except (OSError, AttributeError):
        found["flash"] = found["flash_free"] = None
    return found


def of_lock(context, jobs, args):
    """`data` of `locks` with a `mac`: one lock, as known without calling it. Raises BadRequest, Refusal."""
    registry = context.registry
    lock = registry.get(locks.address_of(only(args, "mac")))
    if lock is None:
        raise Refusal("unknown_lock", "no keys for this lock")
    age_s = registry.age_s(lock)
    try:
        checked = reports.iso(lock.clock_s)
    except ProtocolError:
        checked = None
    return dict(
        lock.summary(),
        mac=lock.id,
        name=lock.name,
        near=registry.presence(lock),
        rssi=lock.rssi_dbm,
        heard_s=age_s,
        heard=None if age_s is None else time_text(context.clock, age_s),
        zone=lock.zone,
        clock_checked=checked,
        remote_unlock=lock.switch,
        unread=lock.has_records,
        waiting=context.records.waiting(lock)[0],
        jobs=len(jobs.of(lock.id)),
        failures=context.failures.of(lock.id),
    )
