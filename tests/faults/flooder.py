"""A stranger at the broker, in a process of its own so that it takes nothing from the bench:
`python -m tests.faults.flooder HOST PORT GATEWAY LOCK RATE SEED [BYTES]`, a captured command on standard input. Prints
how many messages it has sent, each second, until it is ended. With BYTES all have that length, and none is a request.
"""

import asyncio
import random
import sys
import time

import aiomqtt

_UNDER_WAY = 20
_HANG_S = 600  # he is stopped now and then, while his time passes


def message(gateway: str, lock: str, captured: str, number: int) -> tuple[str, str | bytes, bool, int]:
    """(topic, payload, whether retained, QoS) of one of any mixture."""
    base = "gatehouse/%s/" % gateway
    at = base + "lock/%s/" % lock
    head = '{"id":"flood-%d","op":' % number
    kinds: list[tuple[str, str | bytes, bool]] = [
        (at + "cmd", head + '"lock"}', False),
        (at + "cmd", head + '"unlock"}', False),
        (at + "cmd", head + '"state"}', False),
        (at + "cmd", head + '"state","exp":1700000000}', False),
        (at + "cmd", '{"id":"flood","op":"lock"}', False),
        (at + "cmd", head + '"lock"}', True),
        (at + "cmd", "nonsense {" * (1 + number % 90), False),
        (at + "cmd", b"x" * (1025 + number % 3000), False),
        (at + "cmd", captured, False),
        (at + "cmd", captured[:-3] + '0"}', False),
        (at + "set", "LOCK", False),
        (at + "set", "UNLOCK", True),
        (at + "set", '{"do":"unlock","code":"%04d"}' % (number % 10000), False),
        (at + "records/ack", '{"epoch":1,"from":1,"to":%d}' % number, False),
        (at + "records/ack", captured, False),
        (base + "cmd", head + '"hello","args":{"iss":"owner"}}', False),
        (base + "cmd", head + '"import","sealed":"AAAA"}', False),
    ]
    topic, payload, retain = random.choice(kinds)
    return topic, payload, retain, random.choice((0, 1, 1, 2))


async def flood(host: str, port: int, gateway: str, lock: str, per_s: float, captured: str, size: int = 0) -> None:
    """Send so many a second, for ever, without waiting for the broker's receipts: some are under way at a time."""
    async with aiomqtt.Client(host, port, identifier="stranger") as stranger, asyncio.TaskGroup() as under_way:
        room = asyncio.Semaphore(_UNDER_WAY)

        async def send(number: int) -> None:
            topic, payload, retain, qos = message(gateway, lock, captured, number)
            if size:
                topic, payload, retain = "gatehouse/%s/lock/%s/cmd" % (gateway, lock), b"x" * size, False
            await stranger.publish(topic, payload, qos=qos, retain=retain, timeout=_HANG_S)
            room.release()

        began = time.monotonic()
        sent = told = 0
        while True:
            await room.acquire()
            under_way.create_task(send(sent))
            sent += 1
            if sent - told >= per_s:
                told = sent
                print(sent, flush=True)
            await asyncio.sleep(max(0, began + sent / per_s - time.monotonic()))


if __name__ == "__main__":
    _host, _port, _gateway, _lock, _per_s, _seed, *_size = sys.argv[1:]
    random.seed(int(_seed))
    _captured = sys.stdin.readline().strip()
    asyncio.run(flood(_host, int(_port), _gateway, _lock, float(_per_s), _captured, int(_size[0]) if _size else 0))
