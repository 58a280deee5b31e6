import asyncio
import unittest

from firmware.ble import aioble_stack, direct_stack
from firmware.ble.peripheral import Peripheral
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
    """`bluetooth.BLE`: what a radio's ends ask of it, and of a direct stack's the database and advertising too."""

    def __init__(self):
        self.calls = []
        self.advertised = []
        self.values = {}  # handle -> value
        self.uuids = {}  # UUID -> handle
        self.notified = []
        self.busy = 0
        self.radio = None

    def gap_advertise(self, interval_us, adv_data=None, resp_data=None, connectable=True):
        if interval_us is not None:
            self.calls.append(("advertise", interval_us, bytes(adv_data)))
            self.advertised.append((interval_us, bytes(adv_data), bytes(resp_data)))

    def gap_disconnect(self, handle):
        self.calls.append(("disconnect", handle))
        self.radio.server.irq(_DISCONNECT, (handle, 0, bytes(6)))

    def gatts_register_services(self, services):
        given = []
        for _, values in services:
            for uuid, _ in values:
                self.uuids[uuid] = len(self.uuids) + 16
            given.append(tuple(self.uuids[uuid] for uuid, _ in values))
        return tuple(given)

    def gatts_set_buffer(self, handle, size, append):
        self.values[handle] = b""

    def gatts_write(self, handle, octets):
        self.values[handle] = octets

    def gatts_read(self, handle):
        return self.values[handle]

    def gatts_notify(self, handle, value_handle, octets):
        if self.busy:
            self.busy -= 1
            raise OSError(12)
        self.notified.append(bytes(octets))


class _Radio:
    """On aioble."""

    def __init__(self):
        self.ble = _Ble()
        self.name = None
        self.server = None
        self.stack = self._stack()
        self.ble.radio = self

    def _stack(self):
        core = self.aioble = _Aioble()
        core.ble, core.ble_irq = self.ble, self.aioble.irq
        return aioble_stack.Stack(self.aioble, core, lambda number: number)

    @property
    def advertised(self):
        return self.aioble.advertised

    @property
    def shown(self):
        """Every advertisement, also under a running `advertise`."""
        return [adv for _, adv, _ in self.aioble.advertised] + [call[2] for call in self.ble.calls]

    def refreshed(self):
        """Advertisements under a running `advertise`."""
        return [call[2] for call in self.ble.calls]

    def value(self, uuid):
        return self.aioble.by_uuid(uuid).value

    def is_busy(self, times):
        self.aioble.by_uuid(0xFFF4).busy = times

    def notified(self):
        return self.aioble.by_uuid(0xFFF4).notified

    def start(self, name):
        self.name = name

    def connect(self, handle):
        self.server.irq(_CONNECT, (handle, 0, bytes(6)))

    def drop(self, handle):
        self.server.irq(_DISCONNECT, (handle, 0, bytes(6)))

    def drop_at_once(self, handle):
        """Before the task that advertises has seen it."""
        self.aioble.arrived, keep = None, self.aioble.arrived
        self.drop(handle)
        self.aioble.arrived = keep

    def wrote(self, handle, octets):
        self.aioble.by_uuid(0xFFF2).value = octets
        self.server.irq(_WRITE, (handle, 12))


class _DirectRadio(_Radio):
    """On `bluetooth.BLE` itself."""

    def _stack(self):
        return direct_stack.Stack(_Bluetooth(self.ble))

    @property
    def advertised(self):
        return self.ble.advertised

    @property
    def shown(self):
        return [adv for _, adv, _ in self.ble.advertised]

    def refreshed(self):
        return self.shown[1:]

    def value(self, uuid):
        return self.ble.values[self.ble.uuids[uuid]]

    def is_busy(self, times):
        self.ble.busy = times

    def notified(self):
        return self.ble.notified

    def drop_at_once(self, handle):
        self.drop(handle)

    def wrote(self, handle, octets):
        self.ble.values[self.ble.uuids[0xFFF2]] = octets
        self.server.irq(_WRITE, (handle, 12))


class _Bluetooth:
    def __init__(self, ble):
        self._ble = ble

    def BLE(self):
        return self._ble

    @staticmethod
    def UUID(number):
        return number


def _peripheral(make=_Radio):
    radio = make()
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
    def _peripheral(self):
        return _peripheral()

    def test_database_has_no_empty_readable_value(self):
        radio, _ = self._peripheral()
        values = [radio.value(uuid) for uuid in (0x2A29, 0x2A24, 0x2A27, 0x2A26, 0x2A19)]
        self.assertEqual(values, [b"Gatehouse", b"GATEHOUSE-L1", b"1.0", b"-", b"\x64"])
        self.assertEqual(radio.name, "GH1_120000")

    def test_advertisement_is_the_layout_of_the_specification(self):
        radio, peripheral = self._peripheral()
        asyncio.run(_accepted(radio, peripheral))
        interval_us, adv, resp = radio.advertised[0]
        self.assertEqual(interval_us, 400000)
        self.assertEqual(adv.hex(), "020106" + "03031019" + "10ff" + "050302005a00000000" + "120000c40a24")
        self.assertEqual(resp, b"\x0b\x09GH1_120000")

    def test_content_that_changes_before_advertising_begins_is_not_lost(self):
        radio, peripheral = self._peripheral()

        async def scenario():
            task = asyncio.create_task(peripheral.accept(Lease()))
            manufacturer = advert.encode_manufacturer(_ADDRESS, 2, 4, 90)
            for _ in range(6):  # whichever turn it is at which the advertisement is handed to the stack
                peripheral.set_advert(manufacturer, "GH1_120000", 400)
                await asyncio.sleep(0)
                if radio.advertised:
                    break
                manufacturer = advert.encode_manufacturer(_ADDRESS, 2, manufacturer[3] + 1, 90)
            await _turns()
            radio.connect(1)
            await task
            return radio.shown[-1][9:], manufacturer

        shown, manufacturer = asyncio.run(scenario())
        self.assertEqual(shown, manufacturer)

    def test_new_content_is_on_the_air_at_once_and_old_content_is_not_sent_again(self):
        radio, peripheral = self._peripheral()

        async def scenario():
            task = asyncio.create_task(peripheral.accept(Lease()))
            await _turns()
            for flags in (1, 1, 0):
                peripheral.set_advert(advert.encode_manufacturer(_ADDRESS, 2, flags, 90), "GH1_120000", 400)
            radio.connect(1)
            peripheral.set_advert(advert.encode_manufacturer(_ADDRESS, 2, 2, 90), "GH1_120000", 400)
            await task

        asyncio.run(scenario())
        self.assertEqual([adv[12] for adv in radio.refreshed()], [1, 0])

    def test_nudge_ends_a_wait_for_chunks_at_once(self):
        radio, peripheral = self._peripheral()

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
        radio, peripheral = self._peripheral()

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
        radio, peripheral = self._peripheral()
        raw = bytes(18) + b"\x0d\x0a" + bytes(5)

        async def scenario():
            connection = await _accepted(radio, peripheral)
            radio.is_busy(2)
            await connection.send(raw)
            radio.drop(1)
            try:
                await connection.send(raw)
            except LinkError:
                return radio.notified()

        self.assertEqual(asyncio.run(scenario()), [raw[:19], raw[19:]])

    def test_second_central_is_sent_away(self):
        radio, peripheral = self._peripheral()

        async def scenario():
            connection = await _accepted(radio, peripheral, 1)
            radio.connect(2)
            radio.wrote(2, b"foreign")
            return connection.is_connected(), [call for call in radio.ble.calls if call[0] == "disconnect"]

        self.assertEqual(asyncio.run(scenario()), (True, [("disconnect", 2)]))

    def test_second_central_waits_when_it_may_and_is_served_next(self):
        radio, peripheral = self._peripheral()

        async def scenario():
            first = await _accepted(radio, peripheral, 1)
            peripheral.open_again(True)
            await _turns()
            self.assertFalse(peripheral.has_next)
            for handle in (2, 3):  # one that leaves again, and one that stays
                radio.connect(handle)
                await _turns()
                self.assertTrue(peripheral.has_next)
                if handle == 2:
                    radio.drop(2)
                    peripheral.open_again(True)
                    await _turns()
                    self.assertFalse(peripheral.has_next)
            radio.connect(4)
            radio.wrote(1, b"one")
            radio.wrote(3, b"three")
            radio.wrote(4, b"four")
            peripheral.open_again(True)
            self.assertEqual(await first.receive(1000), b"one")
            self.assertTrue(first.is_connected())
            self.assertEqual([call for call in radio.ble.calls if call[0] == "disconnect"], [("disconnect", 4)])
            await first.disconnect()
            second = await peripheral.accept(Lease())
            self.assertEqual(await second.receive(1000), b"three")
            self.assertFalse(peripheral.has_next)
            return second.handle, second.epoch, len(radio.advertised)

        self.assertEqual(asyncio.run(scenario()), (3, 2, 3))

    def test_second_central_is_sent_away_when_it_may_no_longer_wait(self):
        for has_come in (False, True):
            radio, peripheral = self._peripheral()

            async def scenario(radio=radio, peripheral=peripheral, has_come=has_come):
                first = await _accepted(radio, peripheral, 1)
                peripheral.open_again(True)
                await _turns()
                if has_come:
                    radio.connect(2)
                    await _turns()
                peripheral.open_again(False)
                await _turns()
                radio.connect(3)
                self.assertTrue(first.is_connected())
                self.assertFalse(peripheral.has_next)
                return [call[1] for call in radio.ble.calls if call[0] == "disconnect"]

            self.assertEqual(asyncio.run(scenario()), [2, 3] if has_come else [3])

    def test_central_that_is_gone_at_once_leaves_the_lock_advertising(self):
        radio, peripheral = self._peripheral()

        async def scenario():
            task = asyncio.create_task(peripheral.accept(Lease()))
            await _turns()
            radio.connect(1)
            radio.drop_at_once(1)
            await _turns()
            self.assertEqual(len(radio.advertised), 2)
            radio.connect(2)
            connection = await task
            return connection.is_connected(), connection.epoch

        self.assertEqual(asyncio.run(scenario()), (True, 1))

    def test_epoch_counts_connections_and_disconnect_ends_them(self):
        radio, peripheral = self._peripheral()

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
        _, peripheral = self._peripheral()
        self.assertRaises(ValueError, peripheral.set_advert, bytes(14), "GH1", 400)
        self.assertRaises(ValueError, peripheral.set_advert, bytes(15), "", 400)
        self.assertRaises(ValueError, peripheral.set_advert, bytes(15), "x" * 30, 400)


class DirectPeripheralTest(PeripheralTest):
    """The same without aioble."""

    def _peripheral(self):
        return _peripheral(_DirectRadio)

    def test_advertising_ends_when_it_is_given_up_and_not_when_a_central_came(self):
        radio, peripheral = self._peripheral()
        ended = []
        advertise = radio.ble.gap_advertise
        radio.ble.gap_advertise = lambda interval_us, **more: (
            advertise(interval_us, **more) or ended.append(interval_us)
        )

        async def scenario():
            await _accepted(radio, peripheral)
            self.assertEqual(ended, [400000])
            task = asyncio.create_task(peripheral.accept(Lease()))
            await _turns()
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass

        asyncio.run(scenario())
        self.assertEqual(ended, [400000, 400000, None])
