"""diagnosis: what helps to find out why a lock does not do what it should, part by part, as a result must stay below
1 KiB. No secret is in any of them.

`lock`: what the gateway knows, clock and battery as the lock says now. `report`, `stores`: our own lock's report (0xe7)
in two halves, null for others. `settings`: those that can be asked for. `gateway`: the gateway itself.
`errors`: what went wrong last.
Source: domain.md key feature 11; lock-ble-commands.md 9.2.
"""

import json

from firmware.gateway.operations.arguments import only, word
from firmware.lib import opcodes, reports
from firmware.lib.errors import FirmwareError, ProtocolError
from firmware.lib.messages import diagnosis_client, settings_client

PARTS = ("lock", "report", "stores", "settings", "gateway", "errors")


def check(op, args):
    """`part`: one of PARTS."""
    word(only(args, "part"), "part", PARTS, "lock")
    return args


async def run(job, session):
    """One part -> {"part", "found", "parts"}."""
    part = job.args.get("part", "lock")
    found = await _READERS[part](job, session)
    return {"part": part, "found": found, "parts": list(PARTS)}


async def _lock(job, session):
    lock = session.lock
    context = job.context
    await session.get_to_know()
    await session.status()
    clock = await context.clocks.look(session)
    return {
        "model": lock.model,
        "hardware": lock.hardware,
        "firmware": lock.firmware,
        "features": "%X" % (lock.features or 0),
        "verified": lock.verified,
        "lock": lock.word(),
        "door": lock.door,
        "battery": lock.battery,
        "rssi": lock.rssi_dbm,
        "unread": lock.has_records,
        "clock": clock["time"],
        "drift_s": clock["drift_s"],
        "clock_checked": _text(lock.clock_s),
        "utc_offset_min": lock.utc_offset_min,
        "waiting": context.records.buffer(lock).pending(),
        "cursor": context.records.buffer(lock).cursor,
        "epoch": context.records.buffer(lock).epoch,
    }


def _text(unix_s):
    try:
        return reports.iso(unix_s)
    except ProtocolError:
        return None


async def _report(job, session):
    await session.get_to_know()
    if not session.lock.is_own:
        return None
    text = b""
    page = 0
    while page is not None:
        page, more = diagnosis_client.page(
            await session.ask_as_admin(opcodes.DIAGNOSIS, diagnosis_client.request(page)), page
        )
        text += more
    try:
        found = json.loads(text.decode())
    except (ValueError, UnicodeError):
        raise ProtocolError("diagnosis report of %d bytes" % len(text))
    if not isinstance(found, dict):
        raise ProtocolError("diagnosis report of another form")
    halves = {"report": {}, "stores": {}}
    for key, value in found.items():
        halves["stores" if isinstance(value, dict) and key != "restart" else "report"][key] = value
    return halves[job.args["part"]]


async def _settings(job, session):
    await session.get_to_know()
    found = {"remote_unlock": await session.may_unlock_remotely()}
    for name, command, query, decode in (
        ("auto_lock_s", opcodes.AUTO_LOCK, settings_client.auto_lock_query, settings_client.auto_lock),
        ("sound", opcodes.SOUND, settings_client.sound_query, settings_client.sound),
    ):
        try:
            found[name] = decode(await session.ask_as_admin(command, query()))[1]
        except FirmwareError as err:
            if getattr(err, "ble", None) is None:
                raise
            found[name] = None  # the lock does not have it
    return found


async def _gateway(job, session):
    about = job.context.about()
    metrics = job.context.metrics
    about["success_pct"] = metrics.success_pct()
    about["results"] = metrics.codes
    return about


async def _errors(job, session):
    return job.context.failures.of(session.lock.id)


_READERS = {
    "lock": _lock,
    "report": _report,
    "stores": _report,
    "settings": _settings,
    "gateway": _gateway,
    "errors": _errors,
}
