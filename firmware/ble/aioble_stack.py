"""The Bluetooth stack through aioble, as stock MicroPython has it. Part of `radio`, which hands it the modules.

Owns what aioble 0.6 needs worked around. Has the methods of `direct_stack`.
"""

import asyncio

from firmware.lib.compat import const

_IRQ_CENTRAL_DISCONNECT = const(2)

_READ = const(0x02)
_WRITE_NO_RESPONSE = const(0x04)
_WRITE = const(0x08)
_NOTIFY = const(0x10)


class Stack:
    """`aioble` and `core` are aioble's modules, `uuid` makes UUIDs."""

    def __init__(self, aioble, core, uuid):
        self.ble = core.ble
        self._aioble = aioble
        self._core = core
        self._uuid = uuid

    def start(self):
        self._core.ensure_active()

    def stop(self):
        self._aioble.stop()

    def register(self, services):
        """Register a database, as `peripheral` writes it; returns aioble's characteristics, in order."""
        aioble = self._aioble
        made = []
        registered = []
        for number, values in services:
            service = aioble.Service(self._uuid(number))
            for uuid, flags, initial, size in values:
                options = {
                    "read": bool(flags & _READ),
                    "write": bool(flags & _WRITE),
                    "write_no_response": bool(flags & _WRITE_NO_RESPONSE),
                    "notify": bool(flags & _NOTIFY),
                    "initial": initial,
                }
                kind = aioble.Characteristic
                if size:  # append: a port that delivers interrupts late then loses none of several writes
                    kind = aioble.BufferedCharacteristic
                    options.update(max_len=size, append=True)
                made.append(kind(service, self._uuid(uuid), **options))
            registered.append(service)
        aioble.register_services(*registered)
        return made

    def read(self, value):
        return value.read()

    def write(self, value, octets):
        value.write(octets)

    def notify(self, connection, value, octets):
        """Raises OSError while the stack has no buffer."""
        try:
            value.notify(connection.connection, octets)
        except TypeError:  # aioble has just forgotten the link
            raise OSError("the link is gone")

    async def advertise(self, interval_us, adv, resp, timeout_ms):
        """Advertise until a central connects; returns aioble's connection. Raises asyncio.TimeoutError, OSError."""
        connection = await self._aioble.advertise(interval_us, adv_data=adv, resp_data=resp, timeout_ms=timeout_ms)
        if connection is None:  # aioble 0.6 swallows the cancellation
            raise asyncio.CancelledError
        return connection

    def forget(self, handle):
        """The link `handle` had ended before aioble could see it: tell it again, so that it forgets the link."""
        self._core.ble_irq(_IRQ_CENTRAL_DISCONNECT, (handle, 0, bytes(6)))

    def irq(self, event, args):
        """In the interrupt handler: an event that `peripheral` has seen."""
        try:
            return self._core.ble_irq(event, args)
        except AttributeError:  # aioble from before micropython-lib #471: the link dropped before advertise() resumed
            return None
