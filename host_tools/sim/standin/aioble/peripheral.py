# Advertising, and links that centrals open.
import asyncio
import struct

from micropython import const

from .core import ble, ensure_active, log_error, log_warn, register_irq_handler
from .device import Device, DeviceConnection, DeviceTimeout

_IRQ_CENTRAL_CONNECT = const(1)
_IRQ_CENTRAL_DISCONNECT = const(2)

_FIELD_FLAGS = const(0x01)
_FIELD_UUID16 = const(0x03)
_FIELD_UUID32 = const(0x05)
_FIELD_UUID128 = const(0x07)
_FIELD_NAME = const(0x09)
_FIELD_APPEARANCE = const(0x19)
_FIELD_MANUFACTURER = const(0xFF)

_ROOM = const(31)

_waiting = None  # ThreadSafeFlag of the advertise() in progress
_arrived = None  # link for it


def _irq(event, data):
    global _arrived
    if event == _IRQ_CENTRAL_CONNECT:
        handle, addr_type, addr = data
        if _waiting is None or _arrived is not None:
            log_warn("a central that nobody waits for")
            ble.gap_disconnect(handle)
            return
        device = Device(addr_type, bytes(addr))
        _arrived = device._connection = DeviceConnection(device)
        _arrived._up(handle)
        _waiting.set()
    elif event == _IRQ_CENTRAL_DISCONNECT:
        link = DeviceConnection._connected.get(data[0])
        if link:
            link._lost()


def _shutdown():
    global _waiting, _arrived
    _waiting = _arrived = None


register_irq_handler(_irq, _shutdown)


def _place(adv, resp, kind, value):
    # put one field where there is room -> True; the advertisement first
    for payload in (adv, resp):
        if len(payload) + 2 + len(value) <= _ROOM:
            payload.extend(bytes((len(value) + 1, kind)))
            payload.extend(value)
            return True
    return False


def _compose(adv, resp, name, services, appearance, manufacturer, limited_disc, br_edr):
    flags = (0x01 if limited_disc else 0x02) + (0x18 if br_edr else 0x04)
    _place(adv, resp, _FIELD_FLAGS, bytes((flags,)))
    if services:
        for size, kind in ((2, _FIELD_UUID16), (4, _FIELD_UUID32), (16, _FIELD_UUID128)):
            for uuid in services:
                if len(bytes(uuid)) == size and not _place(adv, resp, kind, bytes(uuid)):
                    raise ValueError("no room for the services")
    if appearance and not _place(adv, resp, _FIELD_APPEARANCE, struct.pack("<H", appearance)):
        raise ValueError("no room for the appearance")
    if manufacturer:
        company, value = manufacturer
        if not _place(adv, resp, _FIELD_MANUFACTURER, struct.pack("<H", company) + value):
            raise ValueError("no room for the manufacturer data")
    if name:
        text = name.encode() if isinstance(name, str) else bytes(name)
        if not _place(adv, resp, _FIELD_NAME, text):
            raise ValueError("no room for the name")


async def advertise(
    interval_us,
    adv_data=None,
    resp_data=None,
    connectable=True,
    limited_disc=False,
    br_edr=False,
    name=None,
    services=None,
    appearance=0,
    manufacturer=None,
    timeout_ms=None,
):
    """Advertise until a central connects, and return the link. Raises TimeoutError."""
    global _waiting, _arrived
    ensure_active()
    if not adv_data and not resp_data:
        adv_data, resp_data = bytearray(), bytearray()
        _compose(adv_data, resp_data, name, services, appearance, manufacturer, limited_disc, br_edr)
    _waiting = mine = asyncio.ThreadSafeFlag()
    _arrived = None
    link = None
    try:
        ble.gap_advertise(interval_us, adv_data=adv_data, resp_data=resp_data, connectable=connectable)
        with DeviceTimeout(None, timeout_ms):
            await mine.wait()
        link = _arrived
    finally:
        if _waiting is mine:
            late = _arrived if link is None else None
            _waiting = _arrived = None
            if late is not None and late.is_connected():  # it came while we were being cancelled
                ble.gap_disconnect(late._conn_handle)
        if link is None and ble.active():
            try:
                ble.gap_advertise(None)
            except OSError as err:
                log_error("stop advertising", err)
    if link is not None:
        link._run()
    return link
