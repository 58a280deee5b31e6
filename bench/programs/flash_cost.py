"""Flash operations of what lock and gateway do, counted under MicroPython on its littlefs and on NVS in pages.

Argument: how often each is done. Prints one JSON line: [{"act", "n", "programs", "bytes", "erases", "worst"}], totals
but for `worst`, the erases of the block that had most.
"""

import asyncio
import json
import sys

from firmware.lib import opcodes, records
from firmware.lib.messages import passcode_client
from tests.faults.programs.cuts import Chip
from tests.faults.programs.gateway_flows import reading_image
from tests.faults.programs.gateway_world import GatewayWorld
from tests.faults.programs.lock_flows import owned_image

_NOT_NOW = 11


def _as_admin(world, plain):
    world.connect()
    world.log_in()
    world.ask(opcodes.PASSCODE, plain)
    world.disconnect()


def _operate(world, command):
    world.connect()
    world.operate(command)
    world.disconnect()
    world.wait(1000)


def _typed(world, digits):
    world.type(digits)
    world.wait(700)


def lock_acts(world):
    """(name, function of the n-th time)"""
    client = passcode_client
    return (
        ("lock: record", lambda n: world.device.record(_NOT_NOW, records.by_code(b"%06d" % n))),
        ("lock: unlock, lock by app", lambda n: _operate(world, (opcodes.UNLOCK, opcodes.LOCK)[n % 2])),
        ("lock: code typed", lambda n: (_typed(world, "864209#"), _operate(world, opcodes.LOCK))),
        ("lock: code added, deleted", lambda n: _as_admin(world, (client.add, client.delete)[n % 2](1, "445566"))),
    )


def _read(world, n):
    world.far.records.append(world.far.records[0])
    asyncio.run(world.records.read(world.session(), lambda: False))


def _upload(world):
    async def work():
        while await world.uploads.offer(world.lock):
            pass

    asyncio.run(work())


def _batch(world, n):
    _read(world, n)
    if n % 10 == 9:
        _upload(world)


def gateway_acts(world):
    """The same of a gateway."""
    return (
        ("gateway: record read, sent", lambda n: _batch(world, n)),
        ("gateway: unlock with id", lambda n: world.ask(("unlock", "lock")[n % 2], "id-%d" % n)),
        ("gateway: query with id", lambda n: world.ask("state", "query-%d" % n)),
    )


def measure(chip, acts, count):
    """Rows of the table."""
    found = []
    for act, do in acts:
        nors = (chip.nor, chip.entries_nor)
        before = [(nor.programs, nor.programmed, list(nor.erases)) for nor in nors]
        for n in range(count):
            do(n)
        row = {"act": act, "n": count, "programs": 0, "bytes": 0, "erases": 0, "worst": 0}
        for nor, (programs, programmed, erases) in zip(nors, before):  # noqa: B905, MicroPython's zip takes no more
            spent = [after - was for after, was in zip(nor.erases, erases)]  # noqa: B905
            row["programs"] += nor.programs - programs
            row["bytes"] += nor.programmed - programmed
            row["erases"] += sum(spent)
            row["worst"] = max(row["worst"], max(spent))
        found.append(row)
    return found


def main():
    count = json.loads(sys.argv[1])
    chip = Chip()
    image, make = owned_image(chip)
    chip.load(image)
    world = make(chip)
    chip.boot()
    world.start()
    rows = measure(chip, lock_acts(world), count)
    image, _ = reading_image(chip)
    chip.load(image)
    chip.boot()
    world = GatewayWorld(chip)
    world.start()
    record = records.encode(4, (2026, 5, 11, 14, 23, 7), 90, records.by_code(b"864209"))
    world.far.records = [record] * 55
    rows += measure(chip, gateway_acts(world), count)
    print(json.dumps(rows))


main()
