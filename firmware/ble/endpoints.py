"""A GATT service of endpoints that answer at once: what a central writes to one is answered there, and read next.
Owns the database, advertising and the one link of a board's add window. What is said is the window's.

The answer is in its place before the write is acknowledged: it is made in the event handler, and an ESP32's stack sends
the response when the handler has returned (MicroPython calls it from NimBLE's own task, "synchronous events"). So the
handler may take long, but must not go deep: that task has a stack of a few KiB (micropython/micropython pull 13680).
"""

from firmware.lib.compat import const

_IRQ_CENTRAL_CONNECT = const(1)
_IRQ_CENTRAL_DISCONNECT = const(2)
_IRQ_GATTS_WRITE = const(3)
_IRQ_GATTS_READ_REQUEST = const(4)
_READ = const(0x02)
_WRITE = const(0x08)
_DESCRIPTION = const(0x2901)
_NOTHING_TO_READ = const(0x02)  # ATT: read not permitted
_INTERVAL_US = const(100000)
_FLAGS = b"\x02\x01\x06"
_UUID128 = b"\x11\x07"
_NAME = b"\x09"
_MAX = const(512)


class Endpoints:
    """`table` is ((name, UUID), ...). In the event handler are called: `on_open()` when a central has connected,
    `on_close()` when it has gone, and `on_write(place in the table, octets)`, which returns the answer, or None."""

    def __init__(self, radio, service, table, on_open, on_write, on_close):
        self._on_open = on_open
        self._on_write = on_write
        self._on_close = on_close
        self._link = None
        self._answered = None  # the value that may be read
        self._radio = radio
        self._ble = ble = radio.serve(self)
        radio.start()
        uuid = radio.uuid
        values = [(uuid(each[1]), _READ | _WRITE, ((uuid(_DESCRIPTION), _READ),)) for each in table]
        handles = ble.gatts_register_services(((uuid(service), tuple(values)),))[0]
        self._values = [handles[2 * place] for place in range(len(table))]
        for place in range(len(table)):
            ble.gatts_set_buffer(handles[2 * place], _MAX)
            ble.gatts_write(handles[2 * place + 1], table[place][0].encode())
        octets = bytes(reversed(bytes.fromhex(service.replace("-", ""))))
        self._advert = _FLAGS + _UUID128 + octets

    @property
    def is_linked(self):
        """True while a central is connected."""
        return self._link is not None

    def advertise(self, name):
        """Be found and connected under this name, until a central connects; an OSError of the stack is raised."""
        text = name.encode()
        resp = bytes((len(text) + 1,)) + _NAME + text
        self._ble.gap_advertise(_INTERVAL_US, adv_data=self._advert, resp_data=resp, connectable=True)

    def drop(self):
        """End the link."""
        link = self._link
        if link is not None:
            try:
                self._ble.gap_disconnect(link)
            except OSError:
                pass

    def close(self):
        """Switch the radio off."""
        self._radio.stop()

    def stop(self):
        """The radio is off."""
        self._link = self._answered = None

    def irq(self, event, args):
        """In the event handler."""
        if event == _IRQ_CENTRAL_CONNECT:
            if self._link is not None:  # one at a time
                self._ble.gap_disconnect(args[0])
                return None
            self._link = args[0]
            self._answered = None
            self._on_open()
        elif event == _IRQ_CENTRAL_DISCONNECT:
            if args[0] == self._link:
                self._link = self._answered = None
                self._on_close()
        elif event == _IRQ_GATTS_WRITE:
            if args[0] == self._link and args[1] in self._values:
                answer = self._on_write(self._values.index(args[1]), self._ble.gatts_read(args[1]))
                self._ble.gatts_write(args[1], answer or b"")
                self._answered = None if answer is None else args[1]
        elif event == _IRQ_GATTS_READ_REQUEST:
            if args[1] in self._values and (args[0] != self._link or args[1] != self._answered):
                return _NOTHING_TO_READ
        return None
