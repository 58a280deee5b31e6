"""The gateway's light, by its pins: every state of domain.md 6.1 that a gateway comes to without somebody at its radio.

Told by what is switched on, one after the other, not by when: a state is shown once its colours have come three times
in a row and nothing else in between.
"""

import asyncio

from host_tools.sim.board.board import Board
from tests.system.bench import Bench

_ALTERNATING, _RED, _BLUE = ["red", "blue"] * 3, ["red"] * 3, ["blue"] * 3


class Trace:
    """Which lamps a board has switched on so far."""

    def __init__(self, board: Board) -> None:
        self.lit: list[str] = []
        self._mechanics = board.mechanics
        self._on_pin = board.mechanics.on_pin
        board.mechanics.on_pin = self._pin  # type: ignore[method-assign]

    def _pin(self, pin: int, level: int) -> None:
        before = dict(self._mechanics.light)
        self._on_pin(pin, level)
        self.lit += [name for name, on in self._mechanics.light.items() if on and not before[name]]

    def shows(self, wanted: list[str]) -> bool:
        """Whether the light shows a state now; from either colour on where it alternates."""
        last = self.lit[-len(wanted) :]
        return last in (wanted, wanted[1:] + wanted[:1])

    @property
    def colours(self) -> list[str]:
        """What is on at this moment."""
        return [name for name, on in self._mechanics.light.items() if on]


def test_f021_light_shows_every_state(tmp_path) -> None:
    async def story() -> None:
        async with Bench(tmp_path) as bench:
            site, board, trace = bench.site, bench.gateway, Trace(bench.gateway)
            await bench.adopt()

            async def shows(wanted: list[str], state: str) -> None:
                trace.lit.clear()
                await bench.until(lambda: trace.shows(wanted), state)

            site.switch_wifi(False)
            await shows(_RED, "joining")
            await site.broker.stop()
            site.switch_wifi(True)
            await shows(_BLUE, "no broker")
            await site.broker.start()
            await bench.until_answers()
            await bench.until_linkless()
            await bench.until(lambda: trace.colours == ["blue"], "online")
            trace.lit.clear()
            await bench.ask("unlock")
            await bench.until(lambda: "blue" in trace.lit, "busy")  # it was dark, and is lit again
            assert set(trace.lit) == {"blue"}

            assert (await board.ask({"do": "reset"}))["ok"]
            await shows(_ALTERNATING, "add window open")
            await site.leap(301)
            await shows(_RED, "add window closed")

    asyncio.run(story())
