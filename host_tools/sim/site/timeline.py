"""What happens when on a site: events of a site description, done at their time by `actions`.

Times are seconds since the site was up, in real time: a leap moves the boards' clocks, not the events.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from host_tools.sim.board.interpreter import SimError
from host_tools.sim.site import actions

if TYPE_CHECKING:
    from host_tools.sim.site.site import Site


@dataclass(frozen=True)
class Event:
    """`request` is done at `t_s`, and every `every_s` after that when given, so long as `until_s` has not passed."""

    t_s: float
    request: dict
    every_s: float | None = None
    until_s: float | None = None

    def next(self) -> "Event | None":
        """Its repetition, if there is one."""
        if self.every_s is None or (self.until_s is not None and self.t_s + self.every_s > self.until_s):
            return None
        return Event(self.t_s + self.every_s, self.request, self.every_s, self.until_s)


class Timeline:
    """`run` does all events. One that cannot be done is told to `report` and kept in `failures`; the rest goes on."""

    def __init__(self, site: "Site", events: list[Event]) -> None:
        self._site = site
        self.report: Callable[[str], None] = lambda text: None
        self.waiting = sorted(events, key=lambda event: event.t_s)
        self.done = 0
        self.failures: list[str] = []

    async def run(self) -> None:
        """Return after the last event; never, if one repeats for ever."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while self.waiting:
            event = self.waiting.pop(0)
            await asyncio.sleep(max(0.0, began_s + event.t_s - loop.time()))
            again = event.next()
            if again:
                self.waiting.append(again)
                self.waiting.sort(key=lambda event: event.t_s)
            try:
                await actions.perform(self._site, event.request)
                self.done += 1
            except SimError as err:
                self.failures.append("t=%g %s: %s" % (event.t_s, event.request["do"], err))
                self.report(self.failures[-1])
