"""fob_change, fob_delete, fob_clear, fob_list: key fobs of a lock of ours, named by their address (`mac`).

Letting a fob in is done beside the lock, over its local Bluetooth: there is no such operation here (domain.md 2, key
feature 8). Source: lock-ble-commands.md 8.1.
"""

from firmware.gateway.lock import address_of
from firmware.gateway.operations import periods, schedules
from firmware.gateway.operations.arguments import nothing, number, only
from firmware.gateway.operations.entries import Entries
from firmware.lib import opcodes
from firmware.lib.compat import const
from firmware.lib.errors import Unsupported
from firmware.lib.messages import accessory_client, cyclic_client

_FEATURE = const(41)


def check(op, args):
    """`mac`, and for a change `start`, `end`, `days`, `from_min`, `to_min`."""
    if op == "fob_clear":
        return nothing(args)
    if op == "fob_list":
        number(only(args, "cursor"), "cursor", 0, 0xFFFE, 0)
        return args
    only(args, "mac") if op == "fob_delete" else only(args, "mac", "start", "end", *schedules.KEYS)
    which = accessory_client.number_of(address_of(args))
    if op == "fob_change":
        periods.check(args)
        schedules.check(args)
    found = {key: args[key] for key in args if key != "mac"}
    found["number"] = which
    return found


async def run(job, session):
    """Do one of the four."""
    lock = session.lock
    await session.get_to_know()
    if not lock.is_own or not lock.has_feature(_FEATURE):
        raise Unsupported("the lock takes no key fobs")
    if "days" in job.args:
        schedules.demand(lock)
    periods.demand_future(job)
    entries = Entries(session, opcodes.KEY_FOB, cyclic_client.FOB, accessory_client.entry)
    found = await entries.run(job, job.op.split("_")[1])
    if found is not None:
        for item in found["items"]:
            item["mac"] = accessory_client.address_of(item.pop("number")).hex()
    return found
