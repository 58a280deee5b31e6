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
    global _attributes
    _attributes = {}


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
        self._written = []  # (connection, value or None) in the order of arrival
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
        if self._capture:
            if len(self._written) >= _CAPTURED:
                log_warn("captured writes overflow")
                self._written.pop(0)
            self._written.append((connection, ble.gatts_read(self._value_handle)))
        else:
            self._written = [(connection, None)]
        self._write_event.set()

    async def written(self, timeout_ms=None):
        """Wait for a write: the connection it came on, or (connection, value) with capture=True."""
        if not self.flags & (_FLAG_WRITE | _FLAG_WRITE_NO_RESPONSE):
            raise ValueError("Not supported")
        with DeviceTimeout(None, timeout_ms):
            while not self._written:
                await self._write_event.wait()
        connection, value = self._written.pop(0)
        return (connection, value) if self._capture else connection

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
        # the buffer first: making it empties the value
        ble.gatts_set_buffer(value_handle, self._max_len, self._append)
        super()._register(value_handle)


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
