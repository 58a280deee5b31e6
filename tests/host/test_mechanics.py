"""The bolt of a simulated lock takes the time that its site gives it."""

import asyncio

import pytest

from host_tools.sim.board.mechanics import MOTOR_UNLOCK, SWITCH_UNLOCKED, Mechanics


@pytest.mark.parametrize("travel_s", (0.05, 0.3))
def test_bolt_arrives_when_its_travel_is_over_and_not_before(travel_s: float) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        arrived: list[float] = []

        def put(pin: int, level: int) -> None:
            if pin == SWITCH_UNLOCKED and not level:
                arrived.append(loop.time())

        bolt = Mechanics(put, lambda pin, level: None, travel_s)
        began = loop.time()
        bolt.on_pin(MOTOR_UNLOCK, 1)
        while not arrived:
            await asyncio.sleep(0.005)
            assert loop.time() - began < 10
        assert arrived[0] - began >= travel_s - 0.001
        assert [(move.before, move.after) for move in bolt.movements] == [("locked", "unlocked")]

    asyncio.run(story())
