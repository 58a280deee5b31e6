"""name_set: the name that the lock advertises (0x4e). Source: lock-ble-commands.md 6."""

from firmware.gateway.operations.arguments import only
from firmware.lib import opcodes
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest
from firmware.lib.messages import name_client

_MOST = const(20)


def check(op, args):
    """`name`, 1 to 20 bytes of UTF-8 without control characters."""
    name = only(args, "name").get("name")
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= _MOST:
        raise BadRequest("name must be a text of 1 to 20 bytes")
    if any(ord(sign) < 0x20 or ord(sign) == 0x7F for sign in name):
        raise BadRequest("name must hold no control characters")
    return args


async def run(job, session):
    """Give the name. The same again changes nothing."""
    await session.get_to_know()
    name_client.named(await session.change(opcodes.LOCK_NAME, name_client.name(job.args["name"])))
    return {"name": job.args["name"]}
