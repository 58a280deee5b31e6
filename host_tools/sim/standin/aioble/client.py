# GATT client: discovery, reads, writes, notifications and indications.
# As in upstream, a characteristic keeps only its newest notification.
import asyncio
import struct

import bluetooth
from micropython import const

from .core import GattError, ble, register_irq_handler
from .device import DeviceConnection

_IRQ_SERVICE_RESULT = const(9)
_IRQ_SERVICE_DONE = const(10)
_IRQ_CHARACTERISTIC_RESULT = const(11)
_IRQ_CHARACTERISTIC_DONE = const(12)
_IRQ_DESCRIPTOR_RESULT = const(13)
_IRQ_DESCRIPTOR_DONE = const(14)
_IRQ_READ_RESULT = const(15)
_IRQ_READ_DONE = const(16)
_IRQ_WRITE_DONE = const(17)
_IRQ_NOTIFY = const(18)
_IRQ_INDICATE = const(19)

_CCCD = const(0x2902)
_CCCD_NOTIFY = const(1)
_CCCD_INDICATE = const(2)

_PROPERTY_READ = const(0x02)
_PROPERTY_WRITE_NO_RESPONSE = const(0x04)
_PROPERTY_WRITE = const(0x08)
_PROPERTY_NOTIFY = const(0x10)
_PROPERTY_INDICATE = const(0x20)


def _irq(event, data):
    link = DeviceConnection._connected.get(data[0]) if _IRQ_SERVICE_RESULT <= event <= _IRQ_INDICATE else None
    if link is None:
        return
    if event in (_IRQ_SERVICE_RESULT, _IRQ_CHARACTERISTIC_RESULT, _IRQ_DESCRIPTOR_RESULT):
        if link._discover:
            link._discover._found(data[1:])
    elif event in (_IRQ_SERVICE_DONE, _IRQ_CHARACTERISTIC_DONE, _IRQ_DESCRIPTOR_DONE):
        if link._discover:
            link._discover._finish(data[1])
    else:
        attribute = link._characteristics.get(data[1])
        if attribute is None:
            return
        if event == _IRQ_READ_RESULT:
            attribute._read_value = bytes(data[2])
        elif event == _IRQ_READ_DONE:
            attribute._read_status = data[2]
            attribute._read_event.set()
        elif event == _IRQ_WRITE_DONE:
            attribute._write_status = data[2]
            attribute._write_event.set()
        elif event == _IRQ_NOTIFY and attribute._notify_event:
            attribute._notify_value = bytes(data[2])
            attribute._notify_event.set()
        elif event == _IRQ_INDICATE and attribute._indicate_event:
            attribute._indicate_value = bytes(data[2])
            attribute._indicate_event.set()


register_irq_handler(_irq, None)


class ClientDiscover:
    # `async for` over what one discovery finds. It must run to its end, because a link runs one at a time.
    def __init__(self, connection, kind, parent, timeout_ms, *args):
        self._connection = connection
        self._kind = kind
        self._parent = parent
        self._timeout_ms = timeout_ms
        self._args = args
        self._queue = []
        self._status = None
        self._event = asyncio.ThreadSafeFlag()

    def _found(self, fields):
        # the UUID, always last, dies with the event
        self._queue.append(fields[:-1] + (bluetooth.UUID(fields[-1]),))
        self._event.set()

    def _finish(self, status):
        self._status = status
        self._event.set()

    def __aiter__(self):
        return self

    async def __anext__(self):
        link = self._connection
        if link._discover is not self:
            if self._status is not None:
                raise StopAsyncIteration
            if link._discover is not None:
                raise ValueError("Discovery in progress")
            with link.timeout(None):  # raises when the link is down
                link._discover = self
                try:
                    self._kind._start_discovery(self._parent, *self._args)
                except OSError:
                    link._discover = None
                    raise
        try:
            while not self._queue and self._status is None:
                with link.timeout(self._timeout_ms):
                    await self._event.wait()
        except BaseException:
            self._end(0)
            raise
        if self._queue:
            return self._kind(self._parent, *self._queue.pop(0))
        self._end(self._status)
        raise StopAsyncIteration

    def _end(self, status):
        self._status = status
        if self._connection._discover is self:
            self._connection._discover = None


class ClientService:
    def __init__(self, connection, start_handle, end_handle, uuid):
        self.connection = connection
        self._start_handle = start_handle
        self._end_handle = end_handle
        self.uuid = uuid

    def __str__(self):
        return "Service: %d %d %s" % (self._start_handle, self._end_handle, self.uuid)

    @staticmethod
    def _start_discovery(connection, uuid=None):
        ble.gattc_discover_services(connection._conn_handle, uuid)

    async def characteristic(self, uuid, timeout_ms=2000):
        found = None
        async for each in self.characteristics(uuid, timeout_ms):
            if found is None and each.uuid == uuid:
                found = each
        return found

    def characteristics(self, uuid=None, timeout_ms=2000):
        return ClientDiscover(self.connection, ClientCharacteristic, self, timeout_ms, uuid)


class _Attribute:
    # what characteristics and descriptors share: reading and writing
    def __init__(self, value_handle, properties, uuid):
        self._value_handle = value_handle
        self.properties = properties
        self.uuid = uuid
        self._read_event = self._write_event = None
        self._read_value = None
        self._read_status = self._write_status = None
        self._notify_event = self._indicate_event = None
        if properties & _PROPERTY_READ:
            self._read_event = asyncio.ThreadSafeFlag()
        if properties & (_PROPERTY_WRITE | _PROPERTY_WRITE_NO_RESPONSE):
            self._write_event = asyncio.ThreadSafeFlag()

    def _register(self):
        self._connection()._characteristics[self._value_handle] = self

    def _check(self, wanted):
        if not self.properties & wanted:
            raise ValueError("Unsupported")

    async def read(self, timeout_ms=1000):
        self._check(_PROPERTY_READ)
        link = self._connection()
        with link.timeout(timeout_ms):
            self._register()
            self._read_value = None
            self._read_event.clear()
            ble.gattc_read(link._conn_handle, self._value_handle)
            await self._read_event.wait()
        if self._read_status:
            raise GattError(self._read_status)
        return self._read_value

    async def write(self, data, response=None, timeout_ms=1000):
        self._check(_PROPERTY_WRITE | _PROPERTY_WRITE_NO_RESPONSE)
        if response is None:  # ask for an answer where the other end can give only that
            response = bool(self.properties & _PROPERTY_WRITE) and not self.properties & _PROPERTY_WRITE_NO_RESPONSE
        link = self._connection()
        if not response:
            with link.timeout(None):
                ble.gattc_write(link._conn_handle, self._value_handle, data, 0)
            return
        with link.timeout(timeout_ms):
            self._register()
            self._write_event.clear()
            ble.gattc_write(link._conn_handle, self._value_handle, data, 1)
            await self._write_event.wait()
        if self._write_status:
            raise GattError(self._write_status)


class ClientCharacteristic(_Attribute):
    def __init__(self, service, end_handle, value_handle, properties, uuid):
        super().__init__(value_handle, properties, uuid)
        self.service = service
        self._end_handle = end_handle
        self._notify_value = self._indicate_value = None
        if properties & _PROPERTY_NOTIFY:
            self._notify_event = asyncio.ThreadSafeFlag()
        if properties & _PROPERTY_INDICATE:
            self._indicate_event = asyncio.ThreadSafeFlag()
        self._register()

    def __str__(self):
        return "Characteristic: %d %d %d %s" % (self._end_handle, self._value_handle, self.properties, self.uuid)

    def _connection(self):
        return self.service.connection

    @staticmethod
    def _start_discovery(service, uuid=None):
        handle = service.connection._conn_handle
        ble.gattc_discover_characteristics(handle, service._start_handle, service._end_handle, uuid)

    async def descriptor(self, uuid, timeout_ms=2000):
        found = None
        async for each in self.descriptors(timeout_ms):
            if found is None and each.uuid == uuid:
                found = each
        return found

    def descriptors(self, timeout_ms=2000):
        return ClientDiscover(self._connection(), ClientDescriptor, self, timeout_ms)

    async def notified(self, timeout_ms=None):
        self._check(_PROPERTY_NOTIFY)
        if self._notify_value is None:
            with self._connection().timeout(timeout_ms):
                while self._notify_value is None:
                    await self._notify_event.wait()
        value, self._notify_value = self._notify_value, None
        self._notify_event.clear()
        return value

    async def indicated(self, timeout_ms=None):
        self._check(_PROPERTY_INDICATE)
        if self._indicate_value is None:
            with self._connection().timeout(timeout_ms):
                while self._indicate_value is None:
                    await self._indicate_event.wait()
        value, self._indicate_value = self._indicate_value, None
        self._indicate_event.clear()
        return value

    async def subscribe(self, notify=True, indicate=False):
        cccd = await self.descriptor(bluetooth.UUID(_CCCD))
        if cccd is None:
            raise ValueError("CCCD not found")
        wish = (_CCCD_NOTIFY if notify else 0) | (_CCCD_INDICATE if indicate else 0)
        await cccd.write(struct.pack("<H", wish), True)


class ClientDescriptor(_Attribute):
    def __init__(self, characteristic, handle, uuid):
        super().__init__(handle, _PROPERTY_READ | _PROPERTY_WRITE, uuid)
        self.characteristic = characteristic

    def __str__(self):
        return "Descriptor: %d %s" % (self._value_handle, self.uuid)

    def _connection(self):
        return self.characteristic.service.connection

    @staticmethod
    def _start_discovery(characteristic):
        handle = characteristic.service.connection._conn_handle
        # the first handle after the declaration's value; MicroPython's discovery wants the value's own
        ble.gattc_discover_descriptors(handle, characteristic._value_handle, characteristic._end_handle)
