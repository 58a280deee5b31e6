# Two ends of one aioble story, on the aioble that is given: argv = "peripheral" or "central", file of the secrets.
import asyncio
import sys

import aioble
import aioble.security
import bluetooth

SERVICE = bluetooth.UUID("a5a5a5a5-ffff-9999-1111-5a5a5a5a5a5a")
SECRET, FIRST, SECOND = bluetooth.UUID(1), bluetooth.UUID(2), bluetooth.UUID(3)
_READ_ENCRYPTED = 0x0200


async def report(char, name):
    while True:
        _, value = await char.written()
        print("written", name, value.decode())


async def peripheral():
    service = aioble.Service(SERVICE)
    secret = aioble.Characteristic(service, SECRET, read=True, initial=b"for friends")
    secret.flags |= _READ_ENCRYPTED
    first = aioble.Characteristic(service, FIRST, write=True, capture=True)
    second = aioble.Characteristic(service, SECOND, write=True, capture=True)
    aioble.register_services(service)
    aioble.config(bond=True)
    tasks = [asyncio.create_task(report(second, "second")), asyncio.create_task(report(first, "first"))]
    print("up")
    link = await aioble.advertise(20000, name="secret")
    await link.disconnected()
    print("ended", int(link.encrypted), int(link.bonded), len(tasks))


async def central():
    async with aioble.scan(5000, 30000, 30000, active=True) as scanner:
        async for result in scanner:
            if result.name() == "secret":
                break
    async with await result.device.connect() as link:
        service = await link.service(SERVICE)
        secret = await service.characteristic(SECRET)
        first, second = await service.characteristic(FIRST), await service.characteristic(SECOND)
        try:
            await secret.read()
        except aioble.GattError as err:
            print("refused", err._status)
        await link.pair(bond=True)
        print("read", (await secret.read()).decode(), int(link.encrypted), int(link.authenticated), int(link.bonded))
        for number, char in enumerate((first, second, second, first)):
            await char.write(b"%d" % number, response=True)
        await asyncio.sleep_ms(200)
    print("done")


aioble.security.load_secrets(sys.argv[2])
asyncio.run(peripheral() if sys.argv[1] == "peripheral" else central())
