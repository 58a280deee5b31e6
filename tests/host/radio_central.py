# Board program of test_radio.py: finds a name, connects, discovers, echoes, takes a flood; prints one line per finding.
import asyncio
import sys
import time

import aioble
import bluetooth

SERVICE = bluetooth.UUID(0x1910)
VALUE = bluetooth.UUID("00000000-1111-2222-3333-444444444444")
_NOTIFY = 18


async def find(name):
    async with aioble.scan(5000, 30000, 30000, active=True) as scanner:
        async for result in scanner:
            if result.name() == name and SERVICE in result.services():
                return result


async def main():
    name, count, job = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    found = await find(name)
    print("found", found.device.addr_hex(), found.connectable, list(found.manufacturer(0x1234))[0][1])
    link = await found.device.connect(min_conn_interval_us=7500, max_conn_interval_us=7500)
    service = await link.service(SERVICE)
    char = await service.characteristic(VALUE)
    model = await service.characteristic(bluetooth.UUID(0x2A24))
    await char.subscribe(notify=True, indicate=True)
    print("discovered", (await model.read()).decode(), await link.exchange_mtu(180))
    if job == "stay":
        last_ms = time.ticks_ms()
        print("staying")
        while True:
            try:
                await char.write(b"beat", response=True, timeout_ms=8000)
                last_ms = time.ticks_ms()
                await asyncio.sleep_ms(50)
            except (aioble.DeviceDisconnectedError, aioble.GattError):  # a request under way fails first
                print("lost", time.ticks_diff(time.ticks_ms(), last_ms))
                break
        await link.disconnected()
        again = await find(name)
        async with await again.device.connect(timeout_ms=5000):
            print("back")
        return
    async with link:
        for number in range(10):
            await char.write(b"echo%d" % number, response=bool(number & 1))
            assert await char.notified(2000) == b"echo%d" % number
        await char.write(b"indicate?", response=True)
        print("indicated", (await char.indicated(2000)).decode())
        try:
            await char.notified(50)
        except asyncio.TimeoutError:  # noqa: UP041 - MicroPython's own class
            print("timeout")
        seen = []

        def irq(event, data):
            if event == _NOTIFY:
                seen.append(int(bytes(data[2])))

        aioble.core.register_irq_handler(irq, None)
        began_ms = time.ticks_ms()
        await char.write(b"flood:%d" % count, response=True)
        while len(seen) < count and time.ticks_diff(time.ticks_ms(), began_ms) < 15000:
            await asyncio.sleep_ms(5)
        rate = count * 1000 // max(1, time.ticks_diff(time.ticks_ms(), began_ms))
        print("flood", seen == list(range(count)), rate)
    print("connected", link.is_connected())


asyncio.run(main())
