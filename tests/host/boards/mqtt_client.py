"""Runs `net/mqtt` on MicroPython for the tests of a real broker: `mqtt_client.py PORT KEEPALIVE_S MESSAGES`.

$HOW (JSON; a text of more than 255 bytes is no argument of this port): {"ca": a DER file, then TLS to "localhost";
"cert", "key": DER files; "host", "user", "password", "topics", "dns": port of a name server}.
Prints one word and its values per event; publishes MESSAGES QoS 1 messages to `t/out/N`, all at once, at every connect.
"""

import asyncio
import json
import os
import sys

from firmware.lib.errors import NetError
from firmware.net.mqtt import Mqtt
from firmware.net.udp import Resolver
from firmware.system.log import Log
from firmware.system.supervisor import Lease

_PORT, _KEEPALIVE_S, _MESSAGES = [int(arg) for arg in sys.argv[1:4]]


def authority(path):
    with open(path, "rb") as file:
        return file.read()


async def main():
    log = Log(sink=lambda line: print("LOG", line))
    how = json.loads(os.getenv("HOW") or "{}")
    client = Mqtt(
        "board",
        how.get("host", "localhost" if "ca" in how else "127.0.0.1"),
        _PORT,
        log,
        how.get("user"),
        how.get("password"),
        _KEEPALIVE_S,
        authority(how["ca"]) if "ca" in how else None,
        "ca" not in how,
        Resolver(lambda: "127.0.0.1", how["dns"]).address if "dns" in how else None,
        (authority(how["cert"]), authority(how["key"])) if "cert" in how else None,
    )
    client.set_last_will("t/status", "offline", True, 1)
    client.subscribe(how.get("topics", ["t/in/+", "t/big"]))
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
        print("UP", client.refused or "")
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
