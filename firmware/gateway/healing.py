"""Looks after the radio: the signs that it does not work, the rungs of the ladder that help, and scanning that climbs.
Owns the judgement of `ble.health`'s signs.

What the stack itself got wrong may lead as far as a reset. Silence, and attempts that fail, may have other causes, such
as a lock that was carried away: for them the radio is switched off and on, again and again at longer pauses, and no
more.
"""

from firmware.lib.compat import const
from firmware.lib.errors import LinkError
from firmware.system.ladder import Ladder, Rung

_RESCAN_MS = const(20000)  # what each rung is given to show an effect
_RADIO_MS = const(30000)
_REFUSED_MS = const(2000)
_GAP_MS = const(15000)  # so long a time between looks says that time has leapt, or that everything stood still
_REFUSED = const(8)
_UNREPORTED = const(2)
_FAILED = const(24)
_NEAR_S = const(600)  # a lock heard within this time should be heard again
_HEARD_S = const(60)
_DEAF_MS = const(90000)
_DEAF_MAX_MS = const(1440000)  # of silence between two attempts to end it
_MASK = const(0x3FFFFFFF)
_MOST = "radio_cycle"


class Healing:
    """`radio` and `scanner` are those of firmware.ble; `ladder.trouble(why)` climbs."""

    def __init__(self, radio, scanner, lifeline, log):
        self._radio = radio
        self._scanner = scanner
        reset = lifeline.reset_when_idle
        rungs = (
            Rung("rescan", self._rescan, _RESCAN_MS),
            Rung("radio_cycle", self._cycle, _RADIO_MS),
            Rung("soft_reset", lambda why: reset("radio", why, True), 0),
            Rung("radio", lambda why: reset("radio", why), 0),
        )
        self.ladder = Ladder(rungs, lifeline.restarts, log)

    async def scan(self, lease):
        """Scan for ever; a stack that refuses is trouble."""
        while True:
            try:
                await self._scanner.run(lease)
            except LinkError:
                self.ladder.trouble("scan_refused")
                await lease.sleep_ms(_REFUSED_MS)

    async def _rescan(self, why):
        self._radio.stop_scan()

    async def _cycle(self, why):
        self._radio.restart()


class RadioWatch:
    """`trouble(why, most)` as in `system.ladder`; `linked()` is true while a link to a lock is up."""

    def __init__(self, health, registry, trouble, linked):
        self._health = health
        self._registry = registry
        self._trouble = trouble
        self._linked = linked
        self._listened_ms = health.listened_ms()
        self._adverts = 0
        self._silent_ms = 0
        self._deaf_ms = _DEAF_MS

    def look(self):
        """Judge, every few seconds."""
        health = self._health
        self._listen()
        if health.unreported >= _UNREPORTED:
            self._report("connect_unreported")
        elif health.refused >= _REFUSED:
            self._report("connect_refused")
        elif health.failed >= _FAILED and self._is_any_heard(_HEARD_S if health.failed < 2 * _FAILED else _NEAR_S):
            self._report("connects_fail", _MOST)  # while it connects it hears nobody, so what was near counts as well
        elif self._silent_ms >= self._deaf_ms and self._is_any_heard(_NEAR_S + self._silent_ms // 1000):
            self._deaf_ms += min(self._deaf_ms, _DEAF_MAX_MS)
            self._trouble("deaf", _MOST)

    def _listen(self):
        """Add up for how long the radio scanned and heard nobody at all. While a lock is served, it may be the one that
        should be heard."""
        listened_ms = self._health.listened_ms()
        passed_ms = (listened_ms - self._listened_ms) & _MASK
        self._listened_ms = listened_ms
        if self._adverts != self._health.adverts:
            self._adverts = self._health.adverts
            self._silent_ms = 0
            self._deaf_ms = _DEAF_MS
        elif passed_ms < _GAP_MS and not self._linked():
            self._silent_ms += passed_ms

    def _report(self, why, most=None):
        self._health.forgive()
        self._trouble(why, most)

    def _is_any_heard(self, within_s):
        """True when a lock that is served was heard so recently."""
        for lock in self._registry.all():
            age_s = self._registry.age_s(lock)
            if age_s is not None and age_s <= within_s:
                return True
        return False
