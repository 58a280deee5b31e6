"""The clocks of the locks: reading them, and setting them right. Owns the policy of domain.md 3.7.

A lock shows local time without a zone; the offset from UTC was given at the import. Clocks are set after an admin login
and only while our own clock is trusted.
"""

from firmware.gateway.admission import Refusal
from firmware.lib import dates, opcodes
from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages import session_client

_DAY_S = const(86400)


class Clocks:
    """`clock` has `now()` (Unix seconds) and `trusted`; `max_drift_s` is what is left alone."""

    def __init__(self, clock, registry, log, max_drift_s=30):
        self._clock = clock
        self._registry = registry
        self._log = log.area("clocks")
        self._max_drift_s = max_drift_s
        self._asked = set()  # addresses of locks to look at soon, whatever the day

    def want(self, lock):
        """Look at this clock soon: the lock was imported, or has been without power (record 14)."""
        self._asked.add(lock.address)

    def is_due(self, lock):
        """True when the lock's clock should be looked at and can be."""
        if not self._clock.trusted:
            return False
        return (
            lock.address in self._asked
            or self._clock.now() - lock.clock_s >= _DAY_S
            or lock.clock_s > self._clock.now()
        )

    def unix_of(self, lock, date):
        """date5 or date6 of the lock's clock -> Unix seconds."""
        return dates.to_unix(date, lock.utc_offset_min)

    async def _read(self, session, utc_offset_min):
        """(date6 or None when the clock shows none, seconds it is ahead or None)"""
        data = await session.ask(opcodes.GET_CLOCK)
        try:
            date = session_client.clock(data)
        except ProtocolError:  # never set since it lost its power
            return None, None
        return date, dates.to_unix(date, utc_offset_min) - self._clock.now()

    async def look(self, session):
        """Read the clock -> {"time": local time as text, "drift_s": seconds ahead, None while ours is not trusted}."""
        date, drift_s = await self._read(session, session.lock.utc_offset_min)
        text = None if date is None else "%04d-%02d-%02dT%02d:%02d:%02d" % tuple(date)
        return {"time": text, "drift_s": drift_s if self._clock.trusted else None}

    async def correct(self, session, limit_s=None, utc_offset_min=None):
        """Read the clock and set it if it is off by more than `limit_s` (default: the setting) -> {"drift_s" before,
        "set", "left_s" after}. Another offset is kept once the lock has it. Raises Refusal while ours is not
        trusted.
        """
        if not self._clock.trusted:
            raise Refusal("no_clock", "the gateway's clock is not trusted")
        lock = session.lock
        if utc_offset_min is None:
            utc_offset_min = lock.utc_offset_min
        _, drift_s = await self._read(session, utc_offset_min)
        left_s = drift_s
        limit_s = self._max_drift_s if limit_s is None else limit_s
        is_set = drift_s is None or not -limit_s <= drift_s <= limit_s
        if is_set:
            local = dates.from_unix(self._clock.now(), utc_offset_min)
            await session.change(opcodes.SET_CLOCK, session_client.set_clock(local))
            if lock.utc_offset_min != utc_offset_min:
                lock.utc_offset_min = utc_offset_min
                self._registry.save(lock)
            _, left_s = await self._read(session, utc_offset_min)
            self._log.info("clock_set", addr=lock.address, drift_s=drift_s, left_s=left_s)
        lock.utc_offset_min = utc_offset_min
        lock.clock_s = self._clock.now()
        self._registry.save(lock)
        self._asked.discard(lock.address)
        return {"drift_s": drift_s, "set": is_set, "left_s": left_s}
