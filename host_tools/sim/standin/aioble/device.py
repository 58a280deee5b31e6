# Devices and the links to them.
import asyncio

from micropython import const

from .core import ble, log_error, register_irq_handler

_IRQ_MTU_EXCHANGED = const(21)


class DeviceDisconnectedError(Exception):
    pass


def _irq(event, data):
    if event == _IRQ_MTU_EXCHANGED:
        handle, mtu = data
        link = DeviceConnection._connected.get(handle)
        if link:
            link.mtu = mtu
            if link._mtu_event:
                link._mtu_event.set()


def _shutdown():
    for link in list(DeviceConnection._connected.values()):
        link._lost()
    DeviceConnection._connected = {}


register_irq_handler(_irq, _shutdown)


class DeviceTimeout:
    # `with` block whose task ends with TimeoutError after the time, or DeviceDisconnectedError when the link goes.
    # A cancellation from elsewhere passes through.
    def __init__(self, connection, timeout_ms):
        self._connection = connection
        self._timeout_ms = timeout_ms
        self._task = None
        self._timer = None
        self._error = None

    def __enter__(self):
        if self._connection is not None:
            if not self._connection.is_connected():
                raise DeviceDisconnectedError
            self._connection._blocks.append(self)
        self._task = asyncio.current_task()
        if self._timeout_ms:
            self._timer = asyncio.create_task(self._expire())
        return self

    async def _expire(self):
        await asyncio.sleep_ms(self._timeout_ms)
        self._timer = None
        self._interrupt(asyncio.TimeoutError)

    def _interrupt(self, error):
        if self._error is None and self._task is not None:
            self._error = error
            self._task.cancel()

    def __exit__(self, kind, error, trace):
        self._task = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._connection is not None and self in self._connection._blocks:
            self._connection._blocks.remove(self)
        if kind is asyncio.CancelledError and self._error is not None:
            raise self._error()


class Device:
    def __init__(self, addr_type, addr):
        if isinstance(addr, bytes) and len(addr) == 6:
            self.addr = addr
        elif isinstance(addr, str) and len(addr) == 17:
            self.addr = bytes(int(part, 16) for part in addr.split(":"))
        else:
            raise ValueError("Invalid address")
        self.addr_type = addr_type
        self._connection = None

    def __eq__(self, other):
        return isinstance(other, Device) and self.addr_type == other.addr_type and self.addr == other.addr

    def __hash__(self):
        return hash((self.addr_type, self.addr))

    def __repr__(self):
        kind = "PUBLIC" if self.addr_type == 0 else "RANDOM"
        up = ", CONNECTED" if self._connection else ""
        return "Device(ADDR_%s, %s%s)" % (kind, self.addr_hex(), up)

    def addr_hex(self):
        return ":".join("%02x" % each for each in self.addr)

    async def connect(
        self, timeout_ms=10000, scan_duration_ms=None, min_conn_interval_us=None, max_conn_interval_us=None
    ):
        if self._connection:
            return self._connection
        from .central import _connect

        self._connection = DeviceConnection(self)
        try:
            await _connect(self._connection, timeout_ms, scan_duration_ms, min_conn_interval_us, max_conn_interval_us)
        except BaseException:
            self._connection = None
            raise
        return self._connection


class DeviceConnection:
    _connected = {}  # conn_handle -> DeviceConnection

    def __init__(self, device):
        self.device = device
        self.encrypted = False
        self.authenticated = False
        self.bonded = False
        self.key_size = False
        self.mtu = None
        self._conn_handle = None
        self._event = asyncio.ThreadSafeFlag()  # set by the IRQ: connected, later disconnected
        self._gone = None  # asyncio.Event for `disconnected`, made when the link is up
        self._mtu_event = None
        self._pair_event = None
        self._watcher = None
        self._blocks = []  # DeviceTimeout blocks that are entered
        self._discover = None  # client.ClientDiscover in progress
        self._characteristics = {}  # value handle -> ClientCharacteristic

    def __str__(self):
        return "DeviceConnection(%s)" % ("CONNECTED" if self.is_connected() else "DISCONNECTED")

    # --- life of the link, driven by the IRQs of central.py and peripheral.py
    def _up(self, conn_handle):
        self._conn_handle = conn_handle
        DeviceConnection._connected[conn_handle] = self

    def _lost(self):
        DeviceConnection._connected.pop(self._conn_handle, None)
        self._conn_handle = None
        self._event.set()

    def _run(self):
        # begin to watch the link; called in task context
        self._gone = asyncio.Event()
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self):
        while self._conn_handle is not None:
            await self._event.wait()
        self.device._connection = None
        self._gone.set()
        for block in list(self._blocks):
            block._interrupt(DeviceDisconnectedError)

    # --- public
    def is_connected(self):
        return self._conn_handle is not None

    def timeout(self, timeout_ms):
        return DeviceTimeout(self, timeout_ms)

    async def disconnected(self, timeout_ms=None, disconnect=False):
        if not self.is_connected() and self._gone is None:
            return
        if disconnect and self.is_connected() and not ble.gap_disconnect(self._conn_handle):
            log_error("no such link")
        with DeviceTimeout(None, timeout_ms):
            await self._gone.wait()

    async def disconnect(self, timeout_ms=2000):
        await self.disconnected(timeout_ms, disconnect=True)

    async def service(self, uuid, timeout_ms=2000):
        found = None
        async for service in self.services(uuid, timeout_ms):
            if found is None and service.uuid == uuid:
                found = service  # go on to the end: discovery has to finish
        return found

    def services(self, uuid=None, timeout_ms=2000):
        from .client import ClientDiscover, ClientService

        return ClientDiscover(self, ClientService, self, timeout_ms, uuid)

    async def exchange_mtu(self, mtu=None, timeout_ms=1000):
        if not self.is_connected():
            raise DeviceDisconnectedError
        if mtu:
            ble.config(mtu=mtu)
        self._mtu_event = self._mtu_event or asyncio.ThreadSafeFlag()
        ble.gattc_exchange_mtu(self._conn_handle)
        with self.timeout(timeout_ms):
            await self._mtu_event.wait()
        return self.mtu

    async def pair(self, *args, **kwargs):
        from .security import pair

        await pair(self, *args, **kwargs)

    async def __aenter__(self):
        return self

    async def __aexit__(self, kind, error, trace):
        await self.disconnect()
