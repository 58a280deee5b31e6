"""When Home Assistant is told what: after each connection, when something that it shows of a lock has changed, when a
lock comes or goes, and when it says that it has started. Owns the choice of the moment, which is cheap and always
there; `discovery`, loaded for each round, makes and publishes what is told.

Source: home-assistant-discovery.md 1 "Birth message", 7.
"""

import gc
import os

from firmware.lib.compat import const, unload
from firmware.lib.errors import NetError
from firmware.system.timing import sleep_ms

_LATE = ("firmware.gateway.discovery", "firmware.lib.discovery")
_SPREAD_S = const(10)  # gateways of a house do not answer a birth message all at once
_BIRTH_S = const(120)  # whoever sends birth messages without end gets a round each two minutes
_AT_ONCE = const(8)  # devices between two looks at what else is to be published
_LATER_S = const(60)
_PATIENCE_S = const(15)  # for which a round gives way to whatever needs the heap
_BORN = b"online"


def _never():
    return False


class Announcer:
    """`path`: of the file with what stands at the broker. `id` is the gateway's, `describe()` gives its (name, board),
    `prefix` is Home Assistant's, "" where discovery is off: then what stands at the broker is taken back. `may(word)`
    tells of `unsigned`, whether who cannot sign may change something, and of `pin`. `on_birth()` is called when a round
    follows a birth message."""

    def __init__(self, path, registry, topics, mqtt, now_s, log, id, prefix, describe, may, on_birth):
        self.path = path
        self.registry = registry
        self.topics = topics
        self.mqtt = mqtt
        self.log = log.area("discovery")
        self.id = id
        self.prefix = prefix
        self.describe = describe
        self.may = may
        self.marked = set()  # addresses of devices to publish, the gateway's own id among them
        self.memory = None  # what stands at the broker, while a round goes on
        self.is_whole = False  # what stands at the broker, and should not, is looked for
        self.is_ending = False  # everything is taken back, and then:
        self._on_end: object = None
        self._now_s = now_s
        self._on_birth = on_birth
        self.is_busy = _never  # set by the composition root: the heap is small, and somebody else needs it
        self._busy_s = 0
        self._told = {}  # address -> hash of what was last seen of it
        self._birth_s = self._pause_s = 0
        self._next_birth_s = 0

    def look(self, lock):
        """Something of a lock has changed; most of what changes is not shown here."""
        shown = (
            hash((lock.name, lock.model, lock.hardware, lock.firmware, lock.features, lock.door is None, lock.admin_ps))
            & 0xFFFFFFF
        )
        if self.prefix and self._told.get(lock.address) != shown:
            self._told[lock.address] = shown
            self.marked.add(lock.address)

    def removed(self, lock):
        """The lock is served no more."""
        self._told.pop(lock.address, None)
        if self.prefix:
            self.marked.add(lock.address)

    def mark_all(self):
        """The broker may have lost what it kept, or another release wrote it."""
        self.is_whole = True
        self.marked.add(bytes.fromhex(self.id))
        if self.prefix:
            for lock in self.registry.all():
                self.marked.add(lock.address)

    def end(self, on_end):
        """Take everything back, then call `on_end()`: the gateway is about to forget all -> whether that makes sense
        now."""
        if not self.mqtt.is_up:
            return False
        self.is_ending = True
        self._on_end = on_end
        self.mark_all()
        return True

    def born(self, payload):
        """What was said on Home Assistant's own topic, by it or by anybody else."""
        if payload == _BORN and not self._birth_s:
            soon_s = self._now_s() + 1 + os.urandom(1)[0] % _SPREAD_S
            self._birth_s = max(soon_s, self._next_birth_s)

    async def step(self, lease):
        """Publish a few of the devices that are due. Raises NetError; what was not sent stays marked."""
        now_s = self._now_s()
        if self._birth_s and now_s >= self._birth_s:
            self._birth_s = 0
            self._next_birth_s = now_s + _BIRTH_S
            self.mark_all()
            self._on_birth()
        if not self.marked or now_s < self._pause_s or not self.mqtt.is_up:
            return
        if self.is_busy():
            self._busy_s = self._busy_s or now_s
            if now_s - self._busy_s < _PATIENCE_S:
                self.memory = None
                unload(_LATE)
                return
        self._busy_s = 0
        lease.suspend()  # the connection has the deadline
        from firmware.gateway import discovery

        try:
            count = 0
            while self.marked and (not count or count < _AT_ONCE and not self.is_busy() or self.is_ending):
                await discovery.step(self)
                await sleep_ms(0)
                count += 1
            on_end = self._on_end
            if callable(on_end) and not self.marked:
                self._on_end = None
                on_end()
        except (OSError, MemoryError) as err:
            self._pause_s = now_s + _LATER_S
            self.log.warn("put_off", err=err)
            gc.collect()
        except NetError:
            self.memory = None
            raise
        finally:
            if not self.marked or self._pause_s > now_s:
                self.memory = None
                unload(_LATE)
