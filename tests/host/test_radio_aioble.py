"""The aioble that is given (our stand-in, or upstream) on boards of both ports."""

import asyncio
from pathlib import Path

from tests.host.radio_bench import GATEWAY, LOCK, Board, air, on_every_port

INSUFFICIENT_AUTHENTICATION, INSUFFICIENT_ENCRYPTION = 0x105, 0x10F


@on_every_port
def test_pairing_a_bond_kept_over_a_restart_and_captured_writes_in_order(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with air() as radio:
            for refusal in (INSUFFICIENT_AUTHENTICATION, INSUFFICIENT_ENCRYPTION):  # a stranger, then a friend
                program = "radio_aioble.py"
                async with Board(radio, LOCK, program, "peripheral", str(tmp_path / "lock.json"), on=port) as lock:
                    await lock.line("up")
                    async with Board(radio, GATEWAY, program, "central", str(tmp_path / "gw.json"), on=port) as gateway:
                        assert await gateway.line("refused") == [str(refusal)]
                        assert await gateway.line("read") == ["for", "friends", "1", "0", "1"]
                        await gateway.line("done")
                    written = [await lock.line("written") for _ in range(4)]
                    assert written == [["first", "0"], ["second", "1"], ["second", "2"], ["first", "3"]]
                    assert await lock.line("ended") == ["1", "1", "2"]

    asyncio.run(story())
