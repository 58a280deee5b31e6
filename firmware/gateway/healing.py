"""What the gateway does when its radio does not work: the rungs of its ladder, and scanning that climbs."""

from firmware.lib.compat import const
from firmware.lib.errors import LinkError
from firmware.system.ladder import Ladder, Rung

_RESCAN_MS = const(20000)  # what each rung is given to show an effect
_RADIO_MS = const(30000)
_REFUSED_MS = const(2000)


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
