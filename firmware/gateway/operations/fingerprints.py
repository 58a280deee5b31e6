"""fingerprint_enrol, _add, _change, _delete, _clear, _list (lock-ble-commands.md 5). Numbers name fingerprints; what is
pressed stays in the lock. Enrolling needs somebody at the door, and is told press by press.
"""

from firmware.gateway.operations import periods, schedules
from firmware.gateway.operations.arguments import nothing, number, only
from firmware.gateway.operations.entries import Entries
from firmware.lib import opcodes
from firmware.lib.compat import const
from firmware.lib.errors import FirmwareError, LinkError, Unsupported
from firmware.lib.messages import cyclic_client, fingerprint_client

_FEATURE = const(2)
_TEMPLATES = (47, 48, 49)
_PRESS_MS = const(12000)  # a lock gives up 8.5 s after a press (1.6)
_MOST = const(0xFFFFFFFFFFFF)
_PERIOD = ("start", "end") + schedules.KEYS


def check(op, args):
    """Arguments of the operations: `number`, `start`, `end`, `days`, `from_min`, `to_min`, as each needs them."""
    if op == "fingerprint_clear":
        return nothing(args)
    if op == "fingerprint_list":
        number(only(args, "cursor"), "cursor", 0, 0xFFFE, 0)
        return args
    if op == "fingerprint_add":  # template data of any form: no lock here takes them
        return args
    if op == "fingerprint_enrol":
        only(args, *_PERIOD)
    elif op == "fingerprint_delete":
        only(args, "number")
    else:
        only(args, "number", *_PERIOD)
    if op != "fingerprint_enrol":
        number(args, "number", 0, _MOST)
    if op != "fingerprint_delete":
        periods.check(args, op == "fingerprint_change")
        schedules.check(args)
    return args


async def run(job, session):
    """Do one of them."""
    lock = session.lock
    await session.get_to_know()
    if lock.has_feature(_FEATURE) is False:
        raise Unsupported("the lock takes no fingerprints")
    if job.op == "fingerprint_add":
        if not any(lock.has_feature(bit) for bit in _TEMPLATES):
            raise Unsupported("the lock takes no templates: enrol the finger at the door")
        raise Unsupported("how this lock's sensor wants its templates is not published")
    if "days" in job.args:
        schedules.demand(lock)
    periods.demand_future(job)
    entries = Entries(session, opcodes.FINGERPRINT, cyclic_client.FINGERPRINT, fingerprint_client.entry)
    if job.op == "fingerprint_enrol":
        return await _enrol(job, session, entries)
    return await entries.run(job, job.op.split("_")[1])


async def _enrol(job, session, entries):
    """As many presses as the lock wants, then the period: before that the finger opens whenever it likes, so a refusal
    takes it back, and a lost link is taken up again where it was.
    """
    if job.kept is None:
        job.kept = await _press(job, session)
    args = job.args
    found = {"number": job.kept}
    if "start" not in args and "end" not in args and "days" not in args:
        return found
    try:
        await entries.limit(job.kept, args)
    except LinkError:
        raise
    except FirmwareError:
        await entries.delete(job.kept)
        raise
    return found


async def _press(job, session):
    """Enrol -> the number."""
    presses = 0

    def read(data):
        nonlocal presses
        state, which, done, total = fingerprint_client.added(data)
        if state == fingerprint_client.ADDED:
            return which
        if state == fingerprint_client.PRESSED:
            presses += 1
        job.progress({"state": "adding", "press": presses if done is None else done, "total": total or -1})
        return None

    return await session.enrol(opcodes.FINGERPRINT, fingerprint_client.enrol(), read, _PRESS_MS)
