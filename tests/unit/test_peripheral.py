import asyncio
import unittest

from firmware.ble.peripheral import Peripheral
from firmware.ble.server import Server
from firmware.lib import advert
from firmware.lib.errors import LinkError, LinkTimeout
from firmware.system.log import Log
from firmware.system.supervisor import Lease

_CONNECT = 1
_DISCONNECT = 2
_WRITE = 3
_ADDRESS = bytes.fromhex("240ac4000012")


class _Identity:
    device_name = "GH1_120000"
    manufacturer = "Gatehouse"
    model = "GATEHOUSE-L1"
    hardware = "1.0"
    firmware = ""


class _Characteristic:
    def __init__(self, service, uuid, initial=None, **flags):
        self.uuid = uuid
        self.value = initial
        self.notified = []
        self.busy = 0
        service.append(self)

    def read(self):
        value, self.value = self.value, b""
        return value

    def write(self, octets):
        self.value = octets

    def notify(self, connection, octets):
        if self.busy:
            self.busy -= 1
            raise OSError(12)
        self.notified.append(bytes(octets))


class _Aioble:
    """aioble's server part at its worst: before micropython-lib #471 its handler raised when a link dropped early."""

    def __init__(self):
        self.services = []
        self.advertised = []
        self.waiting = None
        self.arrived = None
        self.Characteristic = self.BufferedCharacteristic = _Characteristic

    def Service(self, uuid):
        return []

    def register_services(self, *services):
        self.services = services

    def by_uuid(self, uuid):
        return [each for service in self.services for each in service if each.uuid == uuid][0]

    async def advertise(self, interval_us, adv_data, resp_data, timeout_ms):
        self.advertised.append((interval_us, bytes(adv_data), bytes(resp_data)))
        self.waiting = asyncio.Event()
        await self.waiting.wait()
        return self.arrived

    def irq(self, event, args):
        if event == _CONNECT:
            self.arrived = "connection %d" % args[0]
            self.waiting.set()
        elif event == _DISCONNECT and self.arrived is None:
            raise AttributeError("event")


class _Ble:
    def __init__(self):
        self.calls = []
        self.server = None

    def gap_advertise(self, interval_us, adv_data=None, resp_data=None, connectable=True):
        self.calls.append(("advertise", interval_us, bytes(adv_data)))

    def gap_disconnect(self, handle):
        self.calls.append(("disconnect", handle))
        self.server.irq(_DISCONNECT, (handle, 0, bytes(6)))


class _Radio:
    def __init__(self):
        self.aioble = _Aioble()
        self.ble = _Ble()
        self.name = None
        log = Log(lambda: 0, lambda line: None)
        self.server = Server(self.aioble, self.ble, lambda number: number, self.aioble.irq, log.area("radio"))
        self.ble.server = self.server

    def start(self, name):
        self.name = name

    def connect(self, handle):
        self.server.irq(_CONNECT, (handle, 0, bytes(6)))

    def drop(self, handle):
        self.server.irq(_DISCONNECT, (handle, 0, bytes(6)))

    def wrote(self, handle, octets):
        self.aioble.by_uuid(0xFFF2).value = octets
        self.server.irq(_WRITE, (handle, 12))


def _peripheral():
    radio = _Radio()
    peripheral = Peripheral(radio, _Identity, Log(lambda: 0, lambda line: None))
    peripheral.set_advert(advert.encode_manufacturer(_ADDRESS, 2, 0, 90), "GH1_120000", 400)
    return radio, peripheral


async def _turns():
    for _ in range(8):
        await asyncio.sleep(0)


async def _accepted(radio, peripheral, handle=1):
    task = asyncio.create_task(peripheral.accept(Lease()))
    await _turns()
    radio.connect(handle)
    return await task


class PeripheralTest(unittest.TestCase):
    def test_database_has_no_empty_readable_value(self):
        radio, _ = _peripheral()
        values = [radio.aioble.by_uuid(uuid).value for uuid in (0x2A29, 0x2A24, 0x2A27, 0x2A26, 0x2A19)]
        self.assertEqual(values, [b"Gatehouse", b"GATEHOUSE-L1", b"1.0", b"-", b"\x64"])
        self.assertEqual(radio.name, "GH1_120000")

    def test_advertisement_is_the_layout_of_the_specification(self):
        radio, peripheral = _peripheral()
        asyncio.run(_accepted(radio, peripheral))
        interval_us, adv, resp = radio.aioble.advertised[0]
        self.assertEqual(interval_us, 400000)
        self.assertEqual(adv.hex(), "020106" + "03031019" + "10ff" + "050302005a00000000" + "120000c40a24")
        self.assertEqual(resp, b"\x0b\x09GH1_120000")

    def test_content_that_changes_before_advertising_begins_is_not_lost(self):
        radio, peripheral = _peripheral()

        async def scenario():
            task = asyncio.create_task(peripheral.accept(Lease()))
            manufacturer = advert.encode_manufacturer(_ADDRESS, 2, 4, 90)
            for _ in range(6):  # whichever turn it is at which the advertisement is handed to the stack
                peripheral.set_advert(manufacturer, "GH1_120000", 400)
                await asyncio.sleep(0)
                if radio.aioble.advertised:
                    break
                manufacturer = advert.encode_manufacturer(_ADDRESS, 2, manufacturer[3] + 1, 90)
            await _turns()
            radio.connect(1)
            await task
            shown = [adv for _, adv, _ in radio.aioble.advertised] + [call[2] for call in radio.ble.calls]
            return shown[-1][9:], manufacturer

        shown, manufacturer = asyncio.run(scenario())
        self.assertEqual(shown, manufacturer)

    def test_new_content_is_on_the_air_at_once_and_old_content_is_not_sent_again(self):
        radio, peripheral = _peripheral()

        async def scenario():
            task = asyncio.create_task(peripheral.accept(Lease()))
            await _turns()
            for flags in (1, 1, 0):
                peripheral.set_advert(advert.encode_manufacturer(_ADDRESS, 2, flags, 90), "GH1_120000", 400)
            radio.connect(1)
            peripheral.set_advert(advert.encode_manufacturer(_ADDRESS, 2, 2, 90), "GH1_120000", 400)
            await task

        asyncio.run(scenario())
        self.assertEqual([call[2][12] for call in radio.ble.calls], [1, 0])

    def test_nudge_ends_a_wait_for_chunks_at_once(self):
        radio, peripheral = _peripheral()

        async def scenario():
            connection = await _accepted(radio, peripheral)

            async def nudge():
                connection.nudge()

            task = asyncio.create_task(nudge())
            try:
                await connection.receive(60000)
            except LinkTimeout:
                await task
                return connection.is_connected()

        self.assertTrue(asyncio.run(scenario()))

    def test_chunks_arrive_in_order_also_when_nobody_was_waiting(self):
        radio, peripheral = _peripheral()

        async def scenario():
            connection = await _accepted(radio, peripheral)
            for octets in (b"one", b"two", b"three"):
                radio.wrote(1, octets)
            got = []
            for _ in range(3):
                got.append(await connection.receive(100))
            try:
                await connection.receive(10)
            except LinkTimeout:
                got.append("timeout")
            radio.wrote(1, b"last")
            radio.drop(1)
            got.append(await connection.receive(100))
            try:
                await connection.receive(100)
            except LinkTimeout:
                got.append("wrong")
            except LinkError:
                got.append("lost")
            return got, connection.is_connected()

        self.assertEqual(asyncio.run(scenario()), ([b"one", b"two", b"three", "timeout", b"last", "lost"], False))

    def test_frame_is_notified_in_shaped_chunks_and_a_full_stack_is_waited_for(self):
        radio, peripheral = _peripheral()
        raw = bytes(18) + b"\x0d\x0a" + bytes(5)

        async def scenario():
            connection = await _accepted(radio, peripheral)
            radio.aioble.by_uuid(0xFFF4).busy = 2
            await connection.send(raw)
            radio.drop(1)
            try:
                await connection.send(raw)
            except LinkError:
                return radio.aioble.by_uuid(0xFFF4).notified

        self.assertEqual(asyncio.run(scenario()), [raw[:19], raw[19:]])

    def test_second_central_is_sent_away(self):
        radio, peripheral = _peripheral()

        async def scenario():
            connection = await _accepted(radio, peripheral, 1)
            radio.connect(2)
            radio.wrote(2, b"foreign")
            return connection.is_connected(), radio.ble.calls

        self.assertEqual(asyncio.run(scenario()), (True, [("disconnect", 2)]))

    def test_central_that_is_gone_at_once_leaves_the_lock_advertising(self):
        radio, peripheral = _peripheral()

        async def scenario():
            task = asyncio.create_task(peripheral.accept(Lease()))
            await _turns()
            radio.connect(1)
            radio.aioble.arrived, keep = None, radio.aioble.arrived
            radio.drop(1)
            radio.aioble.arrived = keep
            await _turns()
            self.assertEqual(len(radio.aioble.advertised), 2)
            radio.connect(2)
            connection = await task
            return connection.is_connected(), connection.epoch

        self.assertEqual(asyncio.run(scenario()), (True, 1))

    def test_epoch_counts_connections_and_disconnect_ends_them(self):
        radio, peripheral = _peripheral()

        async def scenario():
            epochs = []
            for handle in (1, 2, 3):
                connection = await _accepted(radio, peripheral, handle)
                epochs.append(connection.epoch)
                await connection.disconnect()
                epochs.append(connection.is_connected())
            return epochs

        self.assertEqual(asyncio.run(scenario()), [1, False, 2, False, 3, False])

    def test_advertisement_that_does_not_fit_is_refused(self):
        _, peripheral = _peripheral()
        self.assertRaises(ValueError, peripheral.set_advert, bytes(14), "GH1", 400)
        self.assertRaises(ValueError, peripheral.set_advert, bytes(15), "", 400)
        self.assertRaises(ValueError, peripheral.set_advert, bytes(15), "x" * 30, 400)
