# MicroPython's `bluetooth` for the unix port, on the virtual radio (see _air_stream.py for the environment).
# Values written by peers, and the values that peers read, live here in the board's process, as on an ESP32.
import struct
import sys

import _air_stream

FLAG_BROADCAST = 0x0001
FLAG_READ = 0x0002
FLAG_WRITE_NO_RESPONSE = 0x0004
FLAG_WRITE = 0x0008
FLAG_NOTIFY = 0x0010
FLAG_INDICATE = 0x0020
FLAG_AUTHENTICATED_SIGNED_WRITE = 0x0040
FLAG_AUX_WRITE = 0x0100
FLAG_READ_ENCRYPTED = 0x0200
FLAG_READ_AUTHENTICATED = 0x0400
FLAG_READ_AUTHORIZED = 0x0800
FLAG_WRITE_ENCRYPTED = 0x1000
FLAG_WRITE_AUTHENTICATED = 0x2000
FLAG_WRITE_AUTHORIZED = 0x4000

_IRQ_GATTS_WRITE = 3
_IRQ_GATTS_READ_REQUEST = 4
_ENODEV = 19
_EINVAL = 22
_ADVERT_LEN = 31
_VALUE_LEN = 20  # initial room of a value, until gatts_set_buffer or a longer local write
_ATTRIBUTE_LEN = 512


class UUID(bytes):
    def __init__(self, value):
        if isinstance(value, int):
            if not 0 <= value <= 0xFFFF:
                raise ValueError("invalid UUID")
            raw = struct.pack("<H", value)
        elif isinstance(value, str) and len(value) not in (2, 4, 16):
            text = value.replace("-", "")
            if len(text) != 32:
                raise ValueError("invalid UUID")
            raw = bytes(int(text[at : at + 2], 16) for at in range(30, -2, -2))
        else:
            raw = _bytes(value)
            if len(raw) not in (2, 4, 16):
                raise ValueError("invalid UUID")
        super().__init__(raw)
        self._raw = raw

    def __eq__(self, other):
        return isinstance(other, UUID) and self._raw == other._raw

    def __lt__(self, other):
        return (len(self._raw), self._raw) < (len(other._raw), other._raw)

    def __hash__(self):
        return hash(self._raw)

    def __repr__(self):
        text = "".join("%02x" % each for each in reversed(self._raw))
        if len(text) <= 8:
            return "UUID(0x%s)" % text
        return "UUID('%s-%s-%s-%s-%s')" % (text[:8], text[8:12], text[12:16], text[16:20], text[20:])

    __str__ = __repr__


def _bytes(value):
    # anything with the buffer protocol, which in MicroPython a str has too
    if value is None:
        return None
    if isinstance(value, UUID):
        return value._raw
    return value.encode() if isinstance(value, str) else bytes(value)


class _Value:
    # one characteristic's or descriptor's value
    __slots__ = ("buf", "room", "is_append")

    def __init__(self):
        self.buf = b""
        self.room = _VALUE_LEN
        self.is_append = False

    def remote_write(self, part):
        if self.is_append:
            self.buf += bytes(part[: max(0, self.room - len(self.buf))])
        else:
            self.buf = bytes(part[: self.room])


class BLE:
    _it = None

    def __new__(cls):
        if cls._it is None:
            cls._it = super().__new__(cls)
            cls._it._reset()
        return cls._it

    def _reset(self):
        self._handler = None
        self._on = False
        self._stream = None
        self._values = {}  # value handle -> _Value
        self._config = {"gap_name": b"MPY ESP32", "mtu": 256, "rxbuf": 512}
        self._adv = self._rsp = b""

    def _radio(self):
        if not self._on:
            raise OSError(_ENODEV)
        return self._stream

    # --- events
    def _lost(self):
        self._on = False
        self._stream = None

    def _event(self, frame):
        event, token = frame[0], frame[1]
        args = frame[2:]
        if event == _IRQ_GATTS_WRITE:
            value = self._values.get(args[1])
            if value:
                value.remote_write(args.pop())
        else:
            for at, each in enumerate(args):
                if isinstance(each, list):  # [bytes] is a UUID
                    args[at] = UUID(each[0])
        verdict = None
        try:
            if self._handler and self._on:
                verdict = self._handler(event, tuple(args))
        except Exception as err:
            print("Unhandled exception in IRQ callback handler")
            sys.print_exception(err)
        if token is None or self._stream is None:
            return
        if event == _IRQ_GATTS_READ_REQUEST:
            value = self._values.get(args[1])
            self._stream.post("reply", token, verdict or 0, value.buf if value else b"")
        else:
            self._stream.post("reply", token, verdict or 0)

    # --- general
    def active(self, on=None):
        if on is None:
            return self._on
        if on and not self._on:
            if self._stream is None:
                self._stream = _air_stream.Stream(self._event, self._lost)
            for key, value in self._config.items():
                if key not in ("gap_name", "mtu", "rxbuf"):
                    self._stream.call("config", key, value)
            self._stream.call("active", True, self._config["gap_name"], self._config["mtu"])
            self._on = True
        elif not on and self._on:
            self._on = False
            self._stream.call("active", False)
            self._values = {}
            self._adv = self._rsp = b""
        return self._on

    def config(self, *names, **settings):
        if names:
            if settings or len(names) != 1:
                raise TypeError("can't specify pos and kw args")
            name = names[0]
            if name == "mac":
                kind, address = self._radio().call("mac")
                return kind, bytes(address)
            if name in ("gap_name", "mtu", "rxbuf"):
                return self._config[name]
            raise ValueError("unknown config param")
        for name, value in settings.items():
            if name == "gap_name":
                value = _bytes(value)
            elif name not in ("mtu", "rxbuf", "addr_mode", "bond", "mitm", "io", "le_secure"):
                raise ValueError("unknown config param")
            self._config[name] = value
            if self._on and name != "rxbuf":
                self._stream.call("config", name, value)

    def irq(self, handler):
        if handler is not None and not callable(handler):
            raise ValueError("invalid handler")
        self._handler = handler

    # --- GAP
    def gap_advertise(self, interval_us=500000, adv_data=None, *, resp_data=None, connectable=True):
        radio = self._radio()
        if interval_us is None:
            radio.call("adv_stop")
            return
        if adv_data is not None:
            self._adv = _bytes(adv_data)
        if resp_data is not None:
            self._rsp = _bytes(resp_data)
        if len(self._adv) > _ADVERT_LEN or len(self._rsp) > _ADVERT_LEN:
            raise OSError(_EINVAL)
        radio.call("adv", interval_us, self._adv, self._rsp, bool(connectable))

    def gap_scan(self, duration_ms=0, interval_us=1280000, window_us=11250, active=False):
        if duration_ms is None:
            self._radio().call("scan_stop")
        else:
            self._radio().call("scan", duration_ms, interval_us, window_us, bool(active))

    def gap_connect(self, addr_type, addr=None, scan_duration_ms=2000, min_us=None, max_us=None):
        if addr_type is None:
            self._radio().call("connect_cancel")
            return
        if scan_duration_ms is None:
            scan_duration_ms = 2000
        self._radio().call("connect", addr_type, bytes(addr), scan_duration_ms, min_us or 0, max_us or 0)

    def gap_disconnect(self, conn_handle):
        return self._radio().call("disconnect", conn_handle)[0]

    def gap_pair(self, conn_handle):
        self._radio().call("pair", conn_handle)

    def gap_passkey(self, conn_handle, action, passkey):
        self._radio().call("passkey", conn_handle, action, passkey)

    # --- GATT server
    def gatts_register_services(self, services):
        tree = []
        for uuid, characteristics in services:
            chars = []
            for each in characteristics:
                descriptors = [(one[0]._raw, one[1]) for one in each[2]] if len(each) > 2 else []
                chars.append((each[0]._raw, each[1] & 0xFFFF, descriptors))
            tree.append((uuid._raw, chars))
        handles = self._radio().call("services", tree)[0]
        self._values = {}
        for service in handles:
            for handle in service:
                self._values[handle] = _Value()
        return tuple(tuple(service) for service in handles)

    def _value(self, handle):
        self._radio()
        try:
            return self._values[handle]
        except KeyError:
            raise OSError(_EINVAL)

    def gatts_read(self, value_handle):
        value = self._value(value_handle)
        whole = value.buf
        if value.is_append:
            value.buf = b""
        return whole

    def gatts_write(self, value_handle, data, send_update=False):
        value = self._value(value_handle)
        whole = _bytes(data)
        if len(whole) > _ATTRIBUTE_LEN:
            raise OSError(_EINVAL)
        value.buf = whole
        value.room = max(value.room, len(whole))
        if send_update:
            self._stream.call("update", value_handle, whole)

    def gatts_set_buffer(self, value_handle, length, append=False):
        value = self._value(value_handle)
        value.buf = b""
        value.room = length
        value.is_append = append

    def gatts_notify(self, conn_handle, value_handle, data=None):
        whole = self._value(value_handle).buf if data is None else _bytes(data)
        self._radio().call("notify", conn_handle, value_handle, whole)

    def gatts_indicate(self, conn_handle, value_handle, data=None):
        whole = self._value(value_handle).buf if data is None else _bytes(data)
        self._radio().call("indicate", conn_handle, value_handle, whole)

    # --- GATT client
    def gattc_discover_services(self, conn_handle, uuid=None):
        self._radio().call("disc_svc", conn_handle, _bytes(uuid))

    def gattc_discover_characteristics(self, conn_handle, start_handle, end_handle, uuid=None):
        self._radio().call("disc_chr", conn_handle, start_handle, end_handle, _bytes(uuid))

    def gattc_discover_descriptors(self, conn_handle, start_handle, end_handle):
        self._radio().call("disc_dsc", conn_handle, start_handle, end_handle)

    def gattc_read(self, conn_handle, value_handle):
        self._radio().call("read", conn_handle, value_handle)

    def gattc_write(self, conn_handle, value_handle, data, mode=0):
        self._radio().call("write", conn_handle, value_handle, _bytes(data), int(mode))

    def gattc_exchange_mtu(self, conn_handle):
        self._radio().call("mtu", conn_handle)
