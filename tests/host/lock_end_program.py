# Board program of test_lock_end.py: the lock's end of the radio on a real aioble, over a `bluetooth` that does exactly
# what the scenario says, so that events meet in orders that the air produces once a week.
import asyncio
import sys
import time


class UUID(bytes):
    def __init__(self, value):
        super().__init__(value.to_bytes(2, "little"))


class BLE:
    """What modbluetooth does on an ESP32, without the air. `links`: handles that are up; `on_air`: it advertises."""

    it = None

    def __new__(cls):
        if cls.it is None:
            cls.it = super().__new__(cls)
            cls.it.reset()
        return cls.it

    def reset(self):
        self.is_on = self.on_air = False
        self.links = set()
        self.values = {}
        self.notified = []

    def active(self, on=None):
        if on is not None:
            self.is_on = on
            if not on:
                self.reset()
        return self.is_on

    def config(self, *names, **settings):
        return (0, bytes(6)) if names else None

    def irq(self, handler):
        self.handler = handler

    def check(self):
        if not self.is_on:
            raise OSError(19)

    def gap_advertise(self, interval_us, adv_data=None, *, resp_data=None, connectable=True):
        self.check()
        self.on_air = interval_us is not None

    def gap_disconnect(self, handle):
        self.check()
        if handle not in self.links:
            return False
        asyncio.create_task(self.later(handle))  # the event comes when the air has agreed
        return True

    async def later(self, handle):
        await asyncio.sleep_ms(5)
        self.drop(handle)

    def gatts_register_services(self, services):
        self.check()
        handles = []
        for _, characteristics in services:
            first = len(self.values) + 1
            handles.append(tuple(range(first, first + len(characteristics))))
            self.values.update((handle, b"") for handle in handles[-1])
        return tuple(handles)

    def gatts_set_buffer(self, handle, length, append=False):
        self.values[handle] = b""

    def gatts_read(self, handle):
        value, self.values[handle] = self.values[handle], b""
        return value

    def gatts_write(self, handle, octets, send_update=False):
        self.values[handle] = bytes(octets)

    def gatts_notify(self, link, handle, octets):
        if link + 0 not in self.links:  # TypeError for None, as there
            raise OSError(19)
        self.notified.append((link, bytes(octets)))

    # What centrals do

    def arrive(self, handle):
        if not self.on_air:
            raise ValueError("nobody can connect: the lock does not advertise")
        self.on_air = False
        self.links.add(handle)
        self.handler(1, (handle, 0, memoryview(bytes(6))))

    def write(self, handle, octets):
        self.values[1] += octets
        self.handler(3, (handle, 1))

    def drop(self, handle):
        if handle in self.links:
            self.links.remove(handle)
            self.handler(2, (handle, 0, memoryview(bytes(6))))


class _Module:
    pass


_Module.UUID = UUID
_Module.BLE = BLE
sys.modules["bluetooth"] = _Module

from firmware.ble.peripheral import Peripheral  # noqa: E402
from firmware.ble.radio import Radio  # noqa: E402
from firmware.lib.errors import LinkError  # noqa: E402
from firmware.system.log import Log  # noqa: E402
from firmware.system.supervisor import Lease  # noqa: E402

ble = BLE()


class _Identity:
    device_name = "GH1_120000"
    manufacturer = model = hardware = firmware = "x"


def made():
    log = Log(lambda: 0, print)
    radio = Radio(log, True)
    peripheral = Peripheral(radio, _Identity, log)
    peripheral.set_advert(bytes(15), "GH1_120000", 400)
    return radio, peripheral


async def advertising():
    until_ms = time.ticks_add(time.ticks_ms(), 2000)
    while time.ticks_diff(until_ms, time.ticks_ms()) > 0:
        if ble.on_air:
            return
        await asyncio.sleep_ms(0)
    raise ValueError("the lock does not advertise")


async def serve(task, handle):
    """A whole visit of a central to a lock that waits in `task`."""
    await advertising()
    ble.arrive(handle)
    connection = await asyncio.wait_for_ms(task, 1000)
    ble.write(handle, b"question")
    assert await connection.receive(500) == b"question"
    del ble.notified[:]
    await connection.send(b"answer\r\n")
    assert ble.notified == [(handle, b"answer\r\n")], ble.notified
    return connection


async def leave(connection, handle):
    ble.drop(handle)
    try:
        await connection.receive(500)
    except LinkError:
        assert not connection.is_connected()
        return
    raise ValueError("the loss went unnoticed")


def waiting(peripheral):
    return asyncio.create_task(peripheral.accept(Lease()))


async def visits(radio, peripheral):
    for handle in (1, 1, 2, 1):
        await leave(await serve(waiting(peripheral), handle), handle)


async def gone_at_once(radio, peripheral):
    task = waiting(peripheral)
    for handle in (1, 1, 2):
        await advertising()
        ble.arrive(handle)
        ble.drop(handle)
        await asyncio.sleep_ms(20)
    await leave(await serve(task, 1), 1)


async def back_at_once(radio, peripheral):
    for _ in range(3):
        first = await serve(waiting(peripheral), 1)
        ble.drop(1)
        again = await serve(waiting(peripheral), 1)
        assert not first.is_connected()
        await asyncio.sleep_ms(50)
        await again.send(b"still\r\n")
        await leave(again, 1)


async def second_central(radio, peripheral):
    connection = await serve(waiting(peripheral), 1)
    ble.on_air = True
    ble.arrive(2)
    ble.write(2, b"foreign")
    await asyncio.sleep_ms(20)
    assert ble.links == {1} and connection.is_connected()
    await leave(connection, 1)
    await leave(await serve(waiting(peripheral), 2), 2)


async def arrival_as_the_time_runs_out(radio, peripheral):
    for handle in (1, 1, 2):
        once = asyncio.create_task(peripheral.advertise(30))
        await advertising()
        time.sleep_ms(50)
        ble.arrive(handle)
        served = await asyncio.wait_for_ms(once, 1000)
        if served is not None:
            ble.drop(handle)
        await asyncio.sleep_ms(30)
        assert not ble.links
    await leave(await serve(waiting(peripheral), 1), 1)


async def cancelled(radio, peripheral):
    for arrives in (False, True, True, False):
        task = waiting(peripheral)
        await advertising()
        if arrives:
            ble.arrive(1)
        task.cancel()
        try:
            await asyncio.wait_for_ms(task, 1000)
            raise ValueError("the cancellation was swallowed")
        except asyncio.CancelledError:
            pass
        await asyncio.sleep_ms(30)
        assert not ble.on_air and not ble.links, (ble.on_air, ble.links)
    await leave(await serve(waiting(peripheral), 1), 1)


async def main():
    await globals()[sys.argv[1]](*made())
    await asyncio.sleep_ms(30)
    if sys.argv[2] == "aioble":
        from aioble.device import DeviceConnection

        print("left", len(DeviceConnection._connected))
    assert ("aioble" in sys.modules) == (sys.argv[2] == "aioble")
    print("done")


asyncio.run(main())
