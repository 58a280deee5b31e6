"""A gateway's client against a broker whose handshakes are disturbed (R-16): `tls_faults.py HOW`, a JSON object of
host, port, `folder` (ca.der, client.der, client-key.der) and `attempts`, after which the broker is left alone.

Deadlines are a twentieth of what they are, and pauses are not waited for but told, so that hundreds of attempts take
seconds. A heartbeat beside the client tells whether the loop lives. Prints, for each attempt, its step and its pause,
and whether the client came up in the end.
"""

import asyncio
import json

from firmware.net import mqtt
from firmware.system.log import Log
from firmware.system.supervisor import Lease
from tests.faults.programs.score import arguments
from tests.unit.tasks import cancel

_FASTER = 20
_LAST = 20  # attempts that a busy machine may need once nobody disturbs

how = arguments()[0]
beats = [0]
attempts = []


class Hasty:
    """asyncio, with deadlines that come sooner."""

    def __getattr__(self, name):
        return getattr(asyncio, name)

    @staticmethod
    def wait_for(awaitable, timeout_s):
        return asyncio.wait_for(awaitable, timeout_s / _FASTER)


class Eager(Lease):
    """Does not pause, and keeps how each attempt ended: the log leaves lines out when there are many."""

    client = None

    async def sleep_ms(self, pause_ms):
        attempts.append({"step": self.client.step, "pause_ms": pause_ms, "beats": beats[0]})
        beats[0] = 0
        if len(attempts) >= how["attempts"] + _LAST:
            raise asyncio.CancelledError()
        await asyncio.sleep_ms(0)


async def heart():
    while True:
        beats[0] += 1
        await asyncio.sleep_ms(2)


def content(name):
    with open(how["folder"] + "/" + name + ".der", "rb") as file:
        return file.read()


async def main():
    mqtt.asyncio = Hasty()
    identity = (content("client"), content("client-key"))
    client = mqtt.Mqtt(
        "board", how["host"], how["port"], Log(sink=lambda line: None), ca=content("ca"), identity=identity
    )
    client.subscribe(["t/in", "t/out"])
    beating = asyncio.create_task(heart())
    lease = Eager()
    lease.client = client
    running = asyncio.create_task(client.run(lease))
    while not running.done() and not client.is_up:
        await asyncio.sleep_ms(2)
    is_up = client.is_up
    for task in (running, beating):
        await cancel(task)
    print(json.dumps({"up": is_up, "attempts": attempts}))


asyncio.run(main())
