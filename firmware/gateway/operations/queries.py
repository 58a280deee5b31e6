"""state, info and diagnosis: what a lock says of itself, and what helps to find out why it does not do what it should;
jobs and cancel: the requests that wait for it. All in parts, as a result must stay below 1 KiB. No secret is in any.

Parts of a diagnosis: `lock`: what the gateway knows, clock and battery as the lock says now. `report`, `stores`: our
own lock's report (0xe7) in two halves, null for others. `settings`: those that can be asked for. `gateway`: the gateway
itself. `errors`: what went wrong last.
Source: domain.md key feature 11; lock-ble-commands.md 9.2.
"""

from firmware.gateway.operations.arguments import number, only, word
from firmware.lib import opcodes, reports
from firmware.lib.compat import const, loads_object
from firmware.lib.errors import BadRequest, FirmwareError, ProtocolError
from firmware.lib.messages import settings_client

PARTS = ("lock", "report", "stores", "settings", "gateway", "errors")

_ROOM = const(600)  # characters of the ids of waiting requests in one result
_ROW = const(110)
_MAX_CURSOR = const(0x7FFFFFFF)


def check(op, args):
    """Of `diagnosis` `part`, one of PARTS; of `jobs` `cursor`, from an earlier list; of `cancel` the request's `id`."""
    if op == "diagnosis":
        word(only(args, "part"), "part", PARTS, "lock")
    elif op == "jobs":
        number(only(args, "cursor"), "cursor", 0, _MAX_CURSOR, 0)
    elif op == "cancel":
        if not isinstance(only(args, "id").get("id"), str):
            raise BadRequest("id must be the id of a request")
    else:
        only(args)
    return args


async def state(job, session):
    """Bolt, with its source and age; door, battery."""
    lock = session.lock
    battery, _, _ = await session.status()
    return dict(job.context.registry.standing(lock), door=lock.door, battery=battery)


async def info(job, session):
    """What the lock is."""
    await session.status()
    return await session.describe()


async def diagnosis(job, session):
    """One part -> {"part", "found", "parts"}."""
    part = job.args.get("part", "lock")
    if part == "gateway":
        result = job.context.about()
        result["success_pct"] = job.context.metrics.success_pct()
        result["results"] = job.context.metrics.codes
    elif part == "errors":
        result = job.context.failures.of(session.lock.id)
    else:
        await session.get_to_know()
        if part == "lock":
            result = await _lock(job, session)
        elif part == "settings":
            result = await _settings(session)
        else:
            result = await _report(session, part)
    return {"part": part, "found": result, "parts": list(PARTS)}


async def _lock(job, session):
    lock = session.lock
    await session.status()
    clock = await job.context.clocks.look(session)
    buffer = job.context.records.buffer(lock)
    try:
        checked = reports.iso(lock.clock_s)
    except ProtocolError:
        checked = None
    return dict(
        lock.summary(),
        door=lock.door,
        rssi=lock.rssi_dbm,
        unread=lock.has_records,
        clock=clock["time"],
        drift_s=clock["drift_s"],
        clock_checked=checked,
        zone=lock.zone,
        utc_offset_min=lock.shown_min,
        waiting=buffer.pending(),
        cursor=buffer.cursor,
        epoch=buffer.era,
    )


async def _report(session, part):
    if not session.lock.is_own:
        return None
    text = b""
    page = 0
    while page is not None:
        page, more = settings_client.report_page(
            await session.ask_as_admin(opcodes.DIAGNOSIS, settings_client.report_request(page)), page
        )
        text += more
    try:
        report = loads_object(text.decode())
    except (ValueError, UnicodeError):
        raise ProtocolError("diagnosis report of %d bytes" % len(text))
    values = {}
    for key, value in report.items():
        if (part == "stores") == (isinstance(value, dict) and key != "restart"):
            values[key] = value
    return values


async def _settings(session):
    values = {"remote_unlock": await session.may_unlock_remotely()}
    for name, command, decode in (
        ("auto_lock_s", opcodes.AUTO_LOCK, settings_client.auto_lock),
        ("sound", opcodes.SOUND, settings_client.sound),
    ):
        try:
            values[name] = decode(await session.ask_as_admin(command, settings_client.query()))[1]
        except FirmwareError as err:
            if not err.is_answer:
                raise
            values[name] = None  # the lock does not have it
    return values


# --- answered without the radio


def answer(jobs, lock, op, args):
    """`jobs` -> {"items", "next", "count"}; `cancel` -> {"cancelled", "running"}. Raises LockRefused."""
    if op == "jobs":
        return _waiting(jobs, lock, args.get("cursor", 0))
    cancelled, running = jobs.cancel(lock, args["id"])
    return {"cancelled": cancelled, "running": running}


def _waiting(jobs, lock, cursor):
    items: list = []
    entries = jobs.of(lock.id)
    room = _ROOM
    after = None
    for entry in entries:
        if entry.number < cursor:
            continue
        room -= _ROW + len(entry.id)
        if room < 0 and items:
            after = entry.number
            break
        state, number_ = entry.pending()
        items.append(
            {
                "id": entry.id,
                "op": entry.op,
                "state": state,
                "job_state": number_,
                "age_s": jobs.age_s(entry),
                "attempts": entry.attempts,
                "sent": entry.was_sent,
                "running": jobs.is_running(entry),
                "last": entry.last,
            }
        )
    return {"items": items, "next": after, "count": len(entries)}
