"""One device after the other as Home Assistant is told of it. Owns what of a lock is shown, and the memory of what
stands at the broker, without which a component, a lock or a whole prefix that is out of use would stay there for ever.
Loaded for a round; when there is one is for `announcer`.

What is to be removed from a device is said in a payload of its own, which names it with its platform alone; the next
one leaves it out (home-assistant-discovery.md 5). The memory is written before anything of it is published, and after
it was taken back, so that a power cut leaves nothing that is not known.
"""

import os

from firmware.lib import discovery, records, topics
from firmware.lib.compat import const
from firmware.system import restarts, store
from firmware.system.timing import sleep_ms
from firmware.version import VERSION

_ID_LEN = const(6)
_ROW_LEN = const(11)  # id, mask of components
_STEPS = const(4)  # pieces made in one go
_OLD_DOOR = const(13)  # domain.md 3.12: a door sensor of the first kind


class Memory:
    """What stands at the broker, kept at `path`: the prefix, and of each device, by its id, a mask of components."""

    def __init__(self, path):
        self._path = path
        kept = store.load(path)
        self.prefix = ""
        self._rows = b""
        try:
            rows = bytes.fromhex(kept["rows"])
            self._rows = rows[: len(rows) // _ROW_LEN * _ROW_LEN]
            self.prefix = str(kept["prefix"])
        except (KeyError, TypeError, ValueError):  # none yet, or not of our making
            pass

    def ids(self):
        """The ids of all devices."""
        return [self._rows[at : at + _ID_LEN] for at in range(0, len(self._rows), _ROW_LEN)]

    def mask(self, id):
        """The components of a device; None where it has nothing at the broker."""
        for at in range(0, len(self._rows), _ROW_LEN):
            if self._rows[at : at + _ID_LEN] == id:
                return int.from_bytes(self._rows[at + _ID_LEN : at + _ROW_LEN], "big")
        return None

    def put(self, id, mask, prefix=None):
        """Keep that a device has these components, None for nothing any more. Costs no flash where that is known."""
        if mask == self.mask(id) and prefix in (None, self.prefix):
            return
        if prefix is not None:
            self.prefix = prefix
        rows = b""
        for at in range(0, len(self._rows), _ROW_LEN):
            if self._rows[at : at + _ID_LEN] != id:
                rows += self._rows[at : at + _ROW_LEN]
        if mask is not None:
            rows += id + mask.to_bytes(_ROW_LEN - _ID_LEN, "big")
        self._rows = rows
        if rows:
            store.save(self._path, {"prefix": self.prefix, "rows": rows.hex()})
        elif store.exists(self._path):
            os.remove(self._path)


async def step(announcer):
    """Publish the next device, or take one back. Raises NetError, and OSError of a flash that refuses."""
    if not announcer.marked:
        return
    memory = announcer.memory = announcer.memory or Memory(announcer.path)
    own = bytes.fromhex(announcer.id)
    if announcer.is_whole:
        await _look_for_strays(announcer, memory, own)
        announcer.is_whole = False
    address = own if own in announcer.marked else min(announcer.marked)
    lock = announcer.registry.get(address)
    announcer.marked.discard(address)  # it may change again while it is being published
    is_done = False
    try:
        if not announcer.prefix or announcer.is_ending or (lock is None and address != own):
            await _take_back(announcer, memory, address, announcer.prefix)
        else:
            await _publish(announcer, memory, address, lock)
        is_done = True
    finally:
        if not is_done:
            announcer.marked.add(address)


async def _look_for_strays(announcer, memory, own):
    """Take back what stands below another prefix; mark what is served no more, though nobody could say so then."""
    for id in memory.ids():
        if memory.prefix != announcer.prefix:
            await _take_back(announcer, memory, id, memory.prefix)
        elif id != own and announcer.registry.get(id) is None:
            announcer.marked.add(id)


async def _take_back(announcer, memory, address, prefix):
    """An empty message in place of what a device has at the broker; of a lock that is gone, of its state too."""
    publish = announcer.mqtt.publish
    if prefix:
        await publish(topics.discovery(announcer.id, address.hex(), prefix), b"", True, 1)
    if address != bytes.fromhex(announcer.id) and announcer.registry.get(address) is None:
        for leaf in ("state", "availability"):
            await publish(announcer.topics.lock(address.hex(), leaf), b"", True, 1)
    if memory.mask(address) is not None:
        announcer.log.info("taken_back", id=address.hex())
    memory.put(address, None)


async def _publish(announcer, memory, address, lock):
    table = discovery.GATEWAY if lock is None else discovery.LOCK
    mask = discovery.mask_of(table, lambda word: _has(announcer, lock, word))
    gone = (memory.mask(address) or 0) & ~mask
    memory.put(address, mask | gone, announcer.prefix)
    if gone:
        await (await _sent(announcer, table, address, lock, mask, gone))
    await (await _sent(announcer, table, address, lock, mask, 0))
    memory.put(address, mask)
    announcer.log.info("published", id=address.hex())


async def _sent(announcer, table, address, lock, mask, gone):
    """What sends a payload, to be awaited: who waits for that holds nothing of it."""
    id = address.hex()
    if lock is None:
        start = _gateway_head(announcer)
        lists = discovery.words(restarts.WORDS[: restarts.WORDS.index("unknown") + 1]), b""
        base = announcer.topics.gateway("")
    else:
        start = _lock_head(announcer, lock)
        lists = discovery.words(records.METHODS + records.OTHER_METHODS), discovery.words(records.EVENTS)
        base = announcer.topics.lock(id, "")
    args = table, start, mask, gone, id, discovery.topic_text(base[:-1]), lists, announcer.may("pin")
    size = count = 0
    for piece in discovery.pieces(*args):
        size += len(piece)
        count += 1
        if count % _STEPS == 0:
            await sleep_ms(0)
    topic = topics.discovery(announcer.id, id, announcer.prefix)
    return announcer.mqtt.publish_pieces(topic, size, discovery.pieces(*args), True)


def _has(announcer, lock, word):
    """Whether a device meets one need of its table. What a lock has not told yet it has not."""
    if word == "unsigned":
        return announcer.may(word)
    if word == "admin":
        return bool(lock.admin_ps)
    if word == "own":
        return lock.is_own
    if word == "door":
        return lock.door is not None or bool((lock.features or 0) >> _OLD_DOOR & 1) or _tells(lock, word)
    return _tells(lock, word)


def _tells(lock, word):
    return lock.features is not None and not lock.lacks(word)


def _lock_head(announcer, lock):
    address = ":".join(["%02x" % octet for octet in lock.address])
    names = (
        ("name", lock.name or "Lock " + lock.id),
        ("mf", "Gatehouse" if lock.is_own else "TTLock compatible"),
        ("mdl", lock.model),
        ("hw", lock.hardware),
        ("sw", lock.firmware),
    )
    gateway = announcer.topics.gateway("status")
    there = announcer.topics.lock(lock.id, "availability")
    state = announcer.topics.lock(lock.id, "state")
    return discovery.head(lock.id, ("bluetooth", address), names, VERSION, announcer.id, (gateway, there), state)


def _gateway_head(announcer):
    name, kind = announcer.describe()
    id = announcer.id
    address = ":".join([id[at : at + 2] for at in range(0, len(id), 2)])
    names = ("name", name or "Gatehouse " + id), ("mf", "Gatehouse"), ("mdl", kind), ("sw", VERSION)
    own = announcer.topics.gateway
    return discovery.head(id, ("mac", address), names, VERSION, "", (own("status"),), own("metrics"))
