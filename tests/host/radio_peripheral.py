# Board program of test_radio.py: echoes writes as notifications; b"flood:N" makes it send N of them.
import asyncio
import sys

import aioble
import bluetooth

SERVICE = bluetooth.UUID(0x1910)
VALUE = bluetooth.UUID("00000000-1111-2222-3333-444444444444")
STEADY = bluetooth.UUID(0x2A24)


async def flood(char, link, count):
    sent = 0
    while sent < count:
        try:
            char.notify(link, b"%05d" % sent)
            sent += 1
        except OSError as err:
            if err.errno != 12:  # out of buffers: wait for the air
                raise
            await asyncio.sleep_ms(2)


async def serve(char, link):
    while True:
        _, value = await char.written()
        if value.startswith(b"flood:"):
            await flood(char, link, int(value[6:]))
        elif value == b"indicate?":
            await char.indicate(link, b"yes")
        else:
            char.notify(link, value)


async def main():
    service = aioble.Service(SERVICE)
    char = aioble.BufferedCharacteristic(
        service,
        VALUE,
        read=True,
        write=True,
        write_no_response=True,
        notify=True,
        indicate=True,
        capture=True,
        max_len=64,
    )
    aioble.Characteristic(service, STEADY, read=True, initial=b"model")
    aioble.register_services(service)
    print("up", aioble.config("mac")[1].hex())
    while True:
        link = await aioble.advertise(100_000, name=sys.argv[1], services=[SERVICE], manufacturer=(0x1234, b"maker"))
        print("connected")
        job = asyncio.create_task(serve(char, link))
        await link.disconnected()
        job.cancel()
        print("disconnected")


asyncio.run(main())
