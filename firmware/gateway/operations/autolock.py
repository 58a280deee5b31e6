"""autolock_get and autolock_set: seconds until the lock locks itself, 0 for never (lock-ble-commands.md 6.1)."""

from firmware.gateway.operations.arguments import nothing, number, only
from firmware.lib import opcodes
from firmware.lib.compat import const
from firmware.lib.errors import Unsupported
from firmware.lib.messages import settings_client

_FEATURE = const(4)


def check(op, args):
    """`seconds` for the change."""
    if op == "autolock_get":
        return nothing(args)
    number(only(args, "seconds"), "seconds", 0, 0xFFFF)
    return args


async def run(job, session):
    """Query, or change and read back."""
    lock = session.lock
    await session.get_to_know()
    if lock.has_feature(_FEATURE) is False:
        raise Unsupported("the lock has no auto-lock setting")
    if job.op == "autolock_set":
        plain = settings_client.auto_lock_set(job.args["seconds"])
        settings_client.changed(await session.change(opcodes.AUTO_LOCK, plain))
    found = settings_client.auto_lock(await session.ask_as_admin(opcodes.AUTO_LOCK, settings_client.auto_lock_query()))
    battery, seconds, low, high = found
    job.context.registry.note_auto_lock(lock, seconds, battery)
    return {"seconds": seconds, "min": low, "max": high}
