"""Runs `net/mqtt` on MicroPython for the tests of a real broker: `mqtt_client.py PORT KEEPALIVE_S MESSAGES [CA]`.

With CA, a DER file, it connects to "localhost" by TLS. Prints one word and its values per event; publishes MESSAGES
QoS 1 messages to `t/out/N`, all at once, at every connect.
"""

import asyncio
import sys

from firmware.lib.errors import NetError
from firmware.net.mqtt import Mqtt
from firmware.system.log import Log
from firmware.system.supervisor import Lease

_PORT, _KEEPALIVE_S, _MESSAGES = [int(arg) for arg in sys.argv[1:4]]


async def main():
    log = Log(sink=lambda line: print("LOG", line))
    if len(sys.argv) > 4:
        with open(sys.argv[4], "rb") as file:
            client = Mqtt("board", "localhost", _PORT, log, keepalive_s=_KEEPALIVE_S, ca=file.read())
    else:
        client = Mqtt("board", "127.0.0.1", _PORT, log, keepalive_s=_KEEPALIVE_S, insecure=True)
    client.set_last_will("t/status", "offline", True, 1)
    client.subscribe(["t/in/+", "t/big"])
    client.set_callback(
        lambda topic, payload, retained, qos: print("MESSAGE", topic, len(payload), payload[:20], int(retained), qos)
    )

    async def publish(n):
        try:
            await client.publish("t/out/%d" % n, "%d" % n, qos=1)
            return True
        except NetError:
            return False

    async def welcome():
        print("UP")
        await client.publish("t/status", "online", True, 1)
        await client.publish("t/zero", b"\x00\xff")
        sent = await asyncio.gather(*[publish(n) for n in range(_MESSAGES)])
        print("ACKED", sum(sent), "OF", len(sent))

    client.on_connected = welcome
    try:
        await client.publish("t/status", "too early", qos=1)
    except NetError:
        print("NOT_YET")
    await client.run(Lease())


asyncio.run(main())
