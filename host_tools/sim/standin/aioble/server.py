# GATT server: services, their values, and what centrals write.
import asyncio

from micropython import const

from .core import GattError, ble, ensure_active, log_info, log_warn, register_irq_handler
from .device import DeviceConnection, DeviceTimeout

_IRQ_GATTS_WRITE = const(3)
_IRQ_GATTS_READ_REQUEST = const(4)
_IRQ_GATTS_INDICATE_DONE = const(20)

_FLAG_READ = const(0x0002)
_FLAG_WRITE_NO_RESPONSE = const(0x0004)
_FLAG_WRITE = const(0x0008)
_FLAG_NOTIFY = const(0x0010)
_FLAG_INDICATE = const(0x0020)
_CAPTURED = const(10)  # writes kept for written(), with capture=True

_attributes = {}  # value handle -> Characteristic or Descriptor
_captured = []  # (attribute, connection, value): one queue for all, so that their order is that of the air


def _irq(event, data):
    if event == _IRQ_GATTS_WRITE:
        attribute = _attributes.get(data[1])
        if attribute:
            attribute._on_write(DeviceConnection._connected.get(data[0]))
    elif event == _IRQ_GATTS_READ_REQUEST:
        attribute = _attributes.get(data[1])
        if attribute:
            return attribute.on_read(DeviceConnection._connected.get(data[0]))
    elif event == _IRQ_GATTS_INDICATE_DONE:
        attribute = _attributes.get(data[1])
        link = DeviceConnection._connected.get(data[0])
        if attribute and link is attribute._indicate_link:
            attribute._indicate_status = data[2]
            attribute._indicate_event.set()


def _shutdown():
    global _attributes, _captured
    _attributes = {}
    _captured = []


register_irq_handler(_irq, _shutdown)


class Service:
    def __init__(self, uuid):
        self.uuid = uuid
        self.characteristics = []

    def _tuple(self):
        return (self.uuid, tuple(each._tuple() for each in self.characteristics))


class BaseCharacteristic:
    def __init__(self, uuid, flags, initial, capture):
        self.uuid = uuid
        self.flags = flags
        self._value_handle = None
        self._initial = initial
        self._capture = capture
        self._writer = None  # [connection] of the newest write that written() has not returned
        self._write_event = asyncio.ThreadSafeFlag()

    def _register(self, value_handle):
        self._value_handle = value_handle
        _attributes[value_handle] = self
        if self._initial is not None:
            self.write(self._initial)
            self._initial = None

    def read(self):
        """The value, as last written by either side."""
        if self._value_handle is None:
            return self._initial or b""
        return ble.gatts_read(self._value_handle)

    def write(self, data, send_update=False):
        if self._value_handle is None:
            self._initial = data
        else:
            ble.gatts_write(self._value_handle, data, send_update)

    def _on_write(self, connection):
        if not self._capture:
            self._writer = [connection]
            self._write_event.set()
            return
        if len(_captured) >= _CAPTURED:
            log_warn("captured writes overflow")
            _captured.pop(0)
        _captured.append((self, connection, ble.gatts_read(self._value_handle)))
        _captured[0][0]._write_event.set()

    def _has_write(self):
        return _captured and _captured[0][0] is self if self._capture else self._writer

    async def written(self, timeout_ms=None):
        """Wait for a write: the connection it came on, or (connection, value) with capture=True."""
        if not self.flags & (_FLAG_WRITE | _FLAG_WRITE_NO_RESPONSE):
            raise ValueError("Not supported")
        with DeviceTimeout(None, timeout_ms):
            while not self._has_write():
                await self._write_event.wait()
        if not self._capture:
            writer, self._writer = self._writer, None
            return writer[0]
        _, connection, value = _captured.pop(0)
        if _captured:
            _captured[0][0]._write_event.set()
        return connection, value

    def on_read(self, connection):
        """Override to answer a read with an ATT error number, or to write a fresh value before it is served."""
        return 0


class Characteristic(BaseCharacteristic):
    def __init__(
        self,
        service,
        uuid,
        read=False,
        write=False,
        write_no_response=False,
        notify=False,
        indicate=False,
        initial=None,
        capture=False,
    ):
        flags = (_FLAG_READ if read else 0) | (_FLAG_NOTIFY if notify else 0) | (_FLAG_INDICATE if indicate else 0)
        flags |= (_FLAG_WRITE if write else 0) | (_FLAG_WRITE_NO_RESPONSE if write_no_response else 0)
        super().__init__(uuid, flags, initial, capture)
        self.descriptors = []
        self._indicate_link = None
        self._indicate_event = None
        self._indicate_status = None
        service.characteristics.append(self)

    def _tuple(self):
        if not self.descriptors:
            return (self.uuid, self.flags)
        return (self.uuid, self.flags, tuple(each._tuple() for each in self.descriptors))

    def notify(self, connection, data=None):
        if not self.flags & _FLAG_NOTIFY:
            raise ValueError("Not supported")
        ble.gatts_notify(connection._conn_handle, self._value_handle, data)

    async def indicate(self, connection, data=None, timeout_ms=1000):
        if not self.flags & _FLAG_INDICATE:
            raise ValueError("Not supported")
        if self._indicate_link is not None:
            raise ValueError("Indication in progress")
        self._indicate_link = connection
        self._indicate_event = self._indicate_event or asyncio.ThreadSafeFlag()
        self._indicate_event.clear()
        try:
            with connection.timeout(timeout_ms):
                ble.gatts_indicate(connection._conn_handle, self._value_handle, data)
                await self._indicate_event.wait()
            if self._indicate_status:
                raise GattError(self._indicate_status)
        finally:
            self._indicate_link = None


class BufferedCharacteristic(Characteristic):
    def __init__(self, *args, max_len=20, append=False, **kwargs):
        super().__init__(*args, **kwargs)
        self._max_len = max_len
        self._append = append

    def _register(self, value_handle):
        super()._register(value_handle)
        ble.gatts_set_buffer(value_handle, self._max_len, self._append)  # which empties an `initial` value, as upstream


class Descriptor(BaseCharacteristic):
    def __init__(self, characteristic, uuid, read=False, write=False, initial=None):
        flags = (_FLAG_READ if read else 0) | (_FLAG_WRITE if write else 0)
        super().__init__(uuid, flags, initial, False)
        characteristic.descriptors.append(self)

    def _tuple(self):
        return (self.uuid, self.flags)


def register_services(*services):
    global _attributes
    ensure_active()
    _attributes = {}
    handles = ble.gatts_register_services(tuple(each._tuple() for each in services))
    for service, numbers in zip(services, handles):
        left = iter(numbers)
        for characteristic in service.characteristics:
            characteristic._register(next(left))
            for descriptor in characteristic.descriptors:
                descriptor._register(next(left))
    log_info("registered", len(_attributes), "attributes")
