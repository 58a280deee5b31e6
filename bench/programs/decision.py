"""What one card held to the reader costs, for stores of several sizes. Run by bench/decision.py, prints JSON."""

import gc
import json
import sys

from firmware.lib.messages import card_client
from tests.scratch import scratch
from tests.unit.lock_rig import Rig, erase

_LIMITS = b"\x00\x01\x01\x00\x00\x63\x01\x01\x00\x00"
_FOLDER = scratch("bench-decision")


def card(n):
    return card_client.encode_id(0x10000000 + 7919 * n)


def cost(rig, key):
    """One decision by a lock that has just started, its page cache empty."""
    rig.start(False)
    bank = rig.device.stores.cards.bank
    steps, pages = bank.comparisons, bank.pages_read
    moved = rig.device.bolt.movements
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    rig.lock.reader.present("card", key, rig.now_ms)
    used = gc.mem_alloc() - before
    gc.enable()
    opened = rig.device.bolt.movements > moved
    rig.wait(7000, 100)
    return {"opened": opened, "comparisons": bank.comparisons - steps, "pages": bank.pages_read - pages, "bytes": used}


def main():
    found = []
    for size in json.loads(sys.argv[1]):
        rig = Rig(_FOLDER).paired()
        vault = rig.device.stores.vault
        vault.begin()  # each page is written once
        for n in range(size):
            assert rig.device.stores.cards.add(card(n), _LIMITS) is None
        vault.commit("cards.00")
        for what, n in (("first", 0), ("middle", size // 2), ("last", size - 1), ("unknown", size)):
            found.append(dict(cost(rig, card(n)), cards=size, what=what))
    erase(_FOLDER)
    print(json.dumps(found))


main()
