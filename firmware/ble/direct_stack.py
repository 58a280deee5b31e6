"""The Bluetooth stack without aioble: `bluetooth.BLE` itself. Part of `radio`, for builds that leave aioble out, as
frozen ones do: it takes 7 KB of heap.

Owns the values of the lock's database and the wait for a central. Has the methods of `aioble_stack`.
"""

from firmware.lib.compat import const
from firmware.system.inbox import Inbox

_IRQ_CENTRAL_CONNECT = const(1)


class Stack:
    """`bluetooth` is the module."""

    def __init__(self, bluetooth):
        self.ble = bluetooth.BLE()
        self._uuid = bluetooth.UUID
        self._arrived = Inbox(1)  # handle of the central that has connected

    def start(self):
        self.ble.active(True)

    def stop(self):
        self.ble.active(False)

    def register(self, services):
        """Register a database, as `peripheral` writes it; returns the handles of its values, in order."""
        uuid = self._uuid
        wanted = [(uuid(number), tuple((uuid(each[0]), each[1]) for each in values)) for number, values in services]
        handles = []
        for (_, values), given in zip(services, self.ble.gatts_register_services(tuple(wanted))):  # noqa: B905
            for (_, _, initial, size), handle in zip(values, given):  # noqa: B905, MicroPython's zip takes no more
                if size:  # append: a port that delivers interrupts late then loses none of several writes
                    self.ble.gatts_set_buffer(handle, size, True)
                elif initial:
                    self.ble.gatts_write(handle, initial)
                handles.append(handle)
        return handles

    def read(self, value):
        return self.ble.gatts_read(value)

    def write(self, value, octets):
        self.ble.gatts_write(value, octets)

    def notify(self, connection, value, octets):
        """Raises OSError while the stack has no buffer."""
        self.ble.gatts_notify(connection.handle, value, octets)

    async def advertise(self, interval_us, adv, resp, timeout_ms):
        """Advertise until a central connects. Raises asyncio.TimeoutError, OSError."""
        self._arrived.clear()
        handle = None
        try:
            self.ble.gap_advertise(interval_us, adv_data=adv, resp_data=resp, connectable=True)
            handle = await self._arrived.get_within(timeout_ms)
        finally:
            if handle is None:  # a connection ends it by itself
                self._end_advertising()
        return handle

    def _end_advertising(self):
        try:
            self.ble.gap_advertise(None)
        except OSError:  # the radio is off, or a central has connected this moment
            pass

    def forget(self, handle):
        """The link `handle` has ended: nothing is kept of it."""

    def irq(self, event, args):
        """In the interrupt handler: an event that `peripheral` has seen."""
        if event == _IRQ_CENTRAL_CONNECT:
            self._arrived.put(args[0])
