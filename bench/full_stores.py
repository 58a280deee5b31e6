"""Flash contents of boards that have been in use: a lock with every store full, a gateway that knows many locks.

Made with the firmware's own classes, under CPython, so that they are what the boards would have written.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from firmware.gateway import lock as locks
from firmware.gateway.issuers import Issuers
from firmware.lib import credentials, records
from firmware.lock.stores import held
from firmware.lock.stores.passcodes import CAPACITY
from firmware.lock.stores.ring import CAPACITY as RECORDS
from firmware.system.vault import Vault
from tests.unit.fake_nvs import Nvs
from tests.unit.lock_rig import ADMIN_PS, UNLOCK_KEY, Rig

_POWERED_ON = 14
_FROM_2000 = bytes((0, 1, 1, 0, 0))


@dataclass
class Stores:
    """`files`: path on the board -> content; `nvs`: what programs/keep_nvs.py reads."""

    files: dict[str, bytes]
    nvs: bytes


@dataclass
class LockStores(Stores):
    """The same of a paired lock, and its keys."""

    aes: bytes
    numbers: range  # of the records
    admin_ps: int = ADMIN_PS
    unlock_key: int = UNLOCK_KEY


def files_below(folder: Path, at: str) -> dict[str, bytes]:
    """Every file below `folder`, as path on the board -> content."""
    return {"%s/%s" % (at, path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def full_lock(folder: Path, unread: int) -> LockStores:
    """A paired lock with remote unlocking on, 250 passcodes, 1000 cards, 100 fingerprints and 500 records, of which
    `unread` are not yet fetched.

    The newest record, of the start, is made by the board itself.
    """
    rig = Rig(str(folder)).paired()
    rig.device.stores.options.change("remote_unlock", 1)
    rig.device.stores.options.change("autolock_s", 0)
    for number in range(CAPACITY):
        refused = rig.device.stores.passcodes.add(credentials.PERMANENT, b"%06d" % (100000 + 3571 * number), _FROM_2000)
        assert refused is None, refused
    vault = rig.device.stores.vault
    vault.begin()  # each page is written once
    for number in range(held.MAX_CARDS):
        assert rig.device.stores.cards.add((0x10000000 + 7919 * number).to_bytes(4, "big")) is None
    for number in range(held.MAX_FINGERS):
        assert rig.device.stores.fingerprints.add(b"%08d" % number)
    vault.commit("cards.00")
    while len(rig.device.stores.ring) < RECORDS - unread:
        rig.device.record(_POWERED_ON)
    while rig.device.stores.ring.read(0xFFFF):
        pass
    while len(rig.device.stores.ring) < RECORDS - 1:
        rig.device.record(_POWERED_ON)
    newest = rig.device.stores.ring.next_number
    numbers = range(newest + 1 - RECORDS, newest + 1)
    return LockStores(files_below(folder, "/data"), _entries(rig.nvs), bytes(rig.device.stores.keys.aes), numbers)


def lock_with_records(folder: Path, count: int) -> LockStores:
    """A paired lock that has nothing but records, the newest of which, of the start, is made by the board itself."""
    rig = Rig(str(folder)).paired()
    ring = rig.device.stores.ring
    tails = ((4, records.by_code(b"864201")), (17, records.by_card(b"\xda\x3c\x4f\x66")), (7, b"\x04" + b"1234"))
    while ring.next_number < count - 1:
        rig.rtc += 60
        rig.device.record(*tails[ring.next_number % len(tails)])
    return LockStores(files_below(folder, "/data"), _entries(rig.nvs), bytes(rig.device.stores.keys.aes), range(count))


def known_locks(folder: Path, number: int, owner_key: bytes) -> Stores:
    """A gateway that serves `number` locks of the owner who signs with `owner_key`."""
    nvs = Nvs()
    Issuers(nvs, folder=str(folder / "issuers")).own(owner_key)
    vault = Vault(str(folder / "locks"), nvs)
    for index in range(number):
        lock = locks.Lock(b"\xf0\x0d\xab\x00\x01" + bytes((index,)), bytes(range(index, index + 16)))
        lock.name = "Flat %d, front door" % (index + 1)
        lock.admin_ps, lock.unlock_key = ADMIN_PS + index, UNLOCK_KEY + index
        lock.model, lock.hardware, lock.firmware = "GATEHOUSE-L1", "1", "0.1.0"
        lock.features, lock.verified, lock.epoch = 0x1234567890, True, 3
        vault.save(lock.id, json.dumps(lock.as_dict()).encode())
    return Stores(files_below(folder, "/data"), _entries(nvs))


def _entries(nvs: Nvs) -> bytes:
    kept = [[space, key, value.hex()] for (space, key), value in nvs.values.items()]
    return json.dumps(kept).encode()
