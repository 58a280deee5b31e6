"""freeze and unfreeze: a frozen lock opens for nobody and changes nothing (lock-ble-commands.md 6.8; domain.md 3.4)."""

from firmware.gateway.operations.arguments import nothing
from firmware.lib import opcodes
from firmware.lib.errors import LockRefused
from firmware.lib.messages import settings_client, switches_client


def check(op, args):
    """No arguments."""
    return nothing(args)


async def run(job, session):
    """Change, and read back."""
    await session.get_to_know()
    wanted = job.op == "freeze"
    settings_client.changed(await session.change(opcodes.FREEZE, switches_client.freeze(wanted)))
    data = await session.ask_as_admin(opcodes.FREEZE, switches_client.query())
    battery, is_frozen = switches_client.frozen(data)
    if is_frozen != wanted:
        raise LockRefused("the lock said yes, and did not")
    job.context.registry.note_settings(session.lock, {"frozen": is_frozen}, battery)
    return {"frozen": is_frozen}
