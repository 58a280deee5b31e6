"""R-13: a lock, or who passes for one, that sends without end. The gateway goes on answering everybody else, gives the
request its end, and lets the link go."""

import asyncio
import random

import pytest

from firmware.lib import crypto, frame, opcodes
from firmware.lib.messages import common
from tests.faults.impostor import Impostor
from tests.faults.rows import FULL, Row
from tests.system.bench import Bench

_COUNT = 1500  # notifications after each request: the air takes many seconds for so many
_ENDS = ("link", "link_timeout", "outcome_unknown", "expired", "not_near", "protocol", "auth")
_SETTINGS = {"expiry_s": 3}


def _floods(key: bytes, draw: random.Random) -> dict[str, list[bytes]]:
    """What follows each request, as notifications of at most 20 bytes."""
    push = frame.encode(opcodes.ANSWER, crypto.encrypt(key, common.success(opcodes.LOG, b"\x50")), 2, 1, 1)
    damaged = frame.encode(opcodes.ANSWER, draw.randbytes(16), 2, 1, 1)
    return {
        "pushes under the key": [push],
        "noise": [draw.randbytes(20)],
        "one byte": [b"\x00"],
        "damaged frames": [damaged],
        "beginnings": [push[:14]],
        "a frame that never ends": [push[:11] + b"\xff"] + [b"\x11" * 20] * 40,
    }


@pytest.mark.row("R-13b", "floods of notifications at the gateway, by kinds: others are answered, the request ends")
def test_a_flood_holds_nobody_but_itself(row: Row, tmp_path) -> None:
    draw = random.Random(row.seed)

    async def story() -> None:
        async with Bench(tmp_path, seed=row.seed, gateway_settings=_SETTINGS) as bench:
            entry = await bench.adopt()
            await bench.until_linkless()
            await bench.lock.kill()
            starts = bench.gateway.starts
            floods = _floods(bytes.fromhex(entry.aes), draw)
            for kind in floods if FULL else list(floods)[: row.count(2, 6)]:
                parts = (floods[kind] * _COUNT)[:_COUNT]
                async with Impostor(bench.site.radio.air, bench.lock.mac, lambda request, parts=parts: parts) as other:
                    asked = asyncio.create_task(bench.ask("unlock"))
                    await bench.until(lambda other=other: other.asked, "a request to whoever floods")
                    for _ in range(3):
                        await bench.until_answers()
                        row.tried()
                    told = (await asked)["code"]
                    row.check(told in _ENDS, "%s: unlock ended as %s" % (kind, told))
                await bench.until_linkless()
            row.check(bench.gateway.starts == starts and not bench.gateway.crashes, "the gateway started anew")
            seen = len(bench.mqtt.messages)
            await bench.lock.start()
            told = (await bench.ask("lock", timeout_s=110))["code"]
            row.check(told in ("ok", "link_timeout", "not_near"), "afterwards: %s" % told)
            row.figure("messages", len(bench.mqtt.messages) - seen)

    asyncio.run(story())
