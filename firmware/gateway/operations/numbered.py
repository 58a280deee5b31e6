"""fingerprint_enrol, _add, _change, _delete, _clear, _list, and fob_change, _delete, _clear, _list: what the lock
names by a number. A fob's is its address (`mac`). Each change of a period is read back.

What is pressed stays in the lock: enrolling needs somebody at the door, and is told press by press. Letting a fob in is
done beside the lock, over its local Bluetooth: there is no such operation here (domain.md 2, key feature 8).
Source: lock-ble-commands.md 5, 8.1; domain.md 3.2, 5.4.
"""

from firmware.gateway.operations import limits
from firmware.gateway.operations.arguments import number, octets, only, remove
from firmware.lib import dates, opcodes
from firmware.lib.compat import const
from firmware.lib.errors import FirmwareError, LinkError, LockRefused, Unsupported
from firmware.lib.messages import cyclic_client, fingerprint_client

_PAGE = const(6)  # entries of one result, which must stay below 1 KiB
_MAX_LIST = const(1000)  # pages of a list that has no end
_PRESS_MS = const(12000)  # a lock gives up 8.5 s after a press (lock-ble-commands.md 1.6)
_MAX_NUMBER = const(0xFFFFFFFFFFFF)
_MAX_CURSOR = const(0xFFFE)


def check(op, args):
    """`number` or `mac`, `start`, `end`, `days`, `from_min`, `to_min`, as each needs them -> `mac` as a number."""
    family, what = op.split("_")
    if op == "fingerprint_add":
        raise Unsupported("how a sensor wants its templates is not published: enrol the finger at the door")
    if what == "clear":
        return only(args)
    if what == "list":
        number(only(args, "cursor"), "cursor", 0, _MAX_CURSOR, 0)
        return args
    key = "mac" if family == "fob" else "number"
    only(args, *((() if what == "enrol" else (key,)) + (() if what == "delete" else limits.KEYS)))
    if what != "delete":
        limits.check(args, op == "fingerprint_change")
    if family == "fob":
        which = fingerprint_client.number_of(octets(args, "mac", 6))
        args = {key: args[key] for key in args if key != "mac"}
        args["number"] = which
    elif what != "enrol":
        number(args, "number", 0, _MAX_NUMBER)
    return args


def judge(op, args, lock):
    """Only a lock of ours takes fobs, and none endless hours."""
    limits.judge(args, lock)
    if op.startswith("fob") and lock.model and not lock.is_own:
        raise Unsupported("the lock takes no key fobs")


def _kind(job):
    """(command, kind of its hours in 0x70, decoder of a line of the list)."""
    if job.op.startswith("fob"):
        return opcodes.KEY_FOB, cyclic_client.FOB, fingerprint_client.fob_entry
    return opcodes.FINGERPRINT, cyclic_client.FINGERPRINT, fingerprint_client.entry


async def _change(job, session, plain):
    """A change that is answered by an echo."""
    fingerprint_client.managed(await session.change(_kind(job)[0], plain), plain[0])


async def _entry(job, session, cursor):
    command, _, decode = _kind(job)
    return decode(await session.ask_as_admin(command, fingerprint_client.list_request(cursor)))


async def fingerprint_enrol(job, session):
    """As many presses as the lock wants, then the period: before that the finger opens whenever it likes, so a refusal
    takes it back, and a lost link is taken up again where it was.
    """
    limits.demand(job)
    if job.kept is None:
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

        job.kept = await session.enrol(opcodes.FINGERPRINT, fingerprint_client.enrol(), read, _PRESS_MS)
    args = job.args
    if "start" in args or "end" in args or "days" in args:
        try:
            await _limit(job, session, job.kept)
        except LinkError:
            raise
        except FirmwareError:
            await remove(job, _change(job, session, fingerprint_client.delete(job.kept)))
            raise
    return {"number": job.kept}


async def _limit(job, session, which):
    """Set the period and, where the arguments say some, the hours; read both back.

    The period goes first: a power cut between the two leaves hours of before inside the new period. Some real locks
    accept a change and keep the old (lock-ble-commands.md 4.2).
    """
    start, end = limits.period(session.lock, job.args)
    await _change(job, session, fingerprint_client.modify(which, start, end))
    await limits.replace_hours(session, _kind(job)[1], which.to_bytes(6, "big"), job.args)
    cursor = 0
    for _ in range(_MAX_LIST):
        cursor, entry = await _entry(job, session, cursor)
        if entry is not None and entry.number == which:
            if (entry.start, entry.end) != (start or dates.NO_START, end or dates.NO_END):
                raise LockRefused("the lock accepted the change, and lists another period")
            return
        if cursor is None:
            break
    raise LockRefused("the lock accepted the change, and lists no such entry", None, "not_found")


async def fingerprint_change(job, session):
    """Another period, and hours where the arguments say some."""
    limits.demand(job)
    await _limit(job, session, job.args["number"])


async def fingerprint_delete(job, session):
    """One of them."""
    return await remove(job, _change(job, session, fingerprint_client.delete(job.args["number"])))


async def fingerprint_clear(job, session):
    """All of them."""
    await _change(job, session, fingerprint_client.clear())


async def fingerprint_list(job, session):
    """A page: numbers, periods, hours, status; of fobs battery and whether they are near."""
    cursor = job.args.get("cursor", 0)
    items = []
    size = 0
    while cursor is not None and size < _PAGE:
        after, entry = await _entry(job, session, cursor)
        if entry is not None:
            item = {"number": entry.number}
            if entry.number is None:
                items.append({"number": None, "unknown": True})
                size += 1
                cursor = after
                continue
            if hasattr(entry, "battery"):
                item = {"mac": fingerprint_client.address_of(entry.number).hex()}
                item["battery"] = entry.battery
                item["online"] = bool(entry.flags & 1)
            items.append(item)
            size += await limits.describe(job, session, item, _kind(job)[1], entry.number.to_bytes(6, "big"), entry)
        cursor = after
    return {"items": items, "next": cursor}


fob_change = fingerprint_change
fob_delete = fingerprint_delete
fob_clear = fingerprint_clear
fob_list = fingerprint_list
