# MicroPython's `bluetooth` of an ESP32 (NimBLE) for the unix port, on the virtual radio (see _air_stream.py for the
# environment). Methods, arguments, events and OSError numbers are those of extmod/modbluetooth.c and
# extmod/nimble/modbluetooth_nimble.c (1.25 to 1.29) as the ESP32 port configures them:
#
# * Optional arguments are positional only, as in C; gap_advertise alone takes keywords.
# * No hci_cmd, no l2cap_*; config("rxbuf") is an unknown param, because events are delivered synchronously.
# * A handler that raises is printed and then disabled, until irq() is called again.
# * Byte strings in events are memoryviews of one buffer, and UUIDs one object: both are overwritten when the handler
#   returns. (On a board the tuple dies too, and the views are read-only.)
# * gatts_notify and gatts_indicate without data, and send_update, ask for the value by _IRQ_GATTS_READ_REQUEST with
#   connection 0xffff first.
#
# Values written by peers, and the values that peers read, live here in the board's process, as on a board.
import os
import sys

import _air_stream
from _bluetooth_uuid import UUID, buffer
from _bluetooth_values import Values

FLAG_READ = 0x0002
FLAG_WRITE_NO_RESPONSE = 0x0004
FLAG_WRITE = 0x0008
FLAG_NOTIFY = 0x0010
FLAG_INDICATE = 0x0020

_IRQ_GATTS_WRITE = 3
_IRQ_GATTS_READ_REQUEST = 4
_IRQ_GET_SECRET = 29
_IRQ_SET_SECRET = 30
_ENOTCONN = 107
_ENODEV = 19
_EINVAL = 22
_EAPP = -9  # NimBLE's own number for "the application refused", which has no errno
_NO_LINK = 0xFFFF
_MTU = 256
_NAME_LEN = 31
_PEER_SEC = 2  # kinds of secrets: our half of a bond (1), the peer's half, our identity resolving key
_OUR_IRK = 10
_IRK_KEY = b"irk"
_DEFAULT_IRK = b"\xef\x8d\xe2\x16\x4f\xec\x43\x0d\xbf\x5b\xdd\x34\xc0\x53\x1e\xb8"  # of programs that keep no secrets
_CONNECT_MS = 2000


class BLE:
    _it = None

    def __new__(cls, *_):
        if cls._it is None:
            cls._it = super().__new__(cls)
            cls._it._reset()
        return cls._it

    def _reset(self):
        self._handler = None
        self._on = False
        self._stream = None
        self._values = Values()
        self._uuid = UUID(0)
        self._name = b"MPY ESP32"
        self._mtu = _MTU
        self._security = {}  # bond, mitm, io, le_secure: they outlive active(False)

    def _radio(self):
        if not self._on:
            raise OSError(_ENODEV)
        return self._stream

    # --- events
    def _lost(self):
        self._on = False
        self._stream = None

    def _invoke(self, event, args):
        if self._handler is None:
            return None
        try:
            return self._handler(event, args)
        except KeyboardInterrupt:
            raise
        except BaseException as err:
            print("Unhandled exception in IRQ callback handler")
            sys.print_exception(err)
            self._handler = None

    def _event(self, frame):
        event, token = frame[0], frame[1]
        args = frame[2:]
        if event == _IRQ_GATTS_WRITE:
            value = self._values.find(args[1])
            if value:
                value.remote_write(args.pop())
        else:
            for at, each in enumerate(args):
                if isinstance(each, list):  # [bytes] is a UUID
                    self._uuid.__init__(each[0])
                    args[at] = self._uuid
        answer = self._invoke(event, tuple(args)) if self._on else None
        if token is None or self._stream is None:
            return
        if event == _IRQ_GATTS_READ_REQUEST:
            value = self._values.find(args[1])
            verdict = int(answer) if isinstance(answer, int) else 0
            self._stream.post("reply", token, verdict, value.buf if value else b"")
        elif event == _IRQ_GET_SECRET:
            self._stream.post("reply", token, None if answer is None else buffer(answer))
        else:
            self._stream.post("reply", token, bool(answer))

    def _own_value(self, value_handle):
        # as NimBLE reads it before it notifies
        if self._values.find(value_handle) is None:
            raise OSError(_EAPP)
        answer = self._invoke(_IRQ_GATTS_READ_REQUEST, (_NO_LINK, value_handle))
        if isinstance(answer, int) and answer:
            raise OSError(_EAPP)
        return self._values.find(value_handle).buf

    # --- general
    def active(self, *on):
        if on and on[0]:
            if self._on:
                self._stop()
            self._start()
        elif on and self._on:
            self._stop()
        return self._on

    def _start(self):
        if self._stream is None:
            self._stream = _air_stream.Stream(self._event, self._lost)
        self._values.create(())
        self._mtu = _MTU
        irk = self._load_irk()
        peers = []
        while True:
            record = self._invoke(_IRQ_GET_SECRET, (_PEER_SEC, len(peers), None))
            if record is None:
                break
            peers.append(buffer(record))
        for key, value in self._security.items():
            self._stream.call("config", key, value)
        self._stream.call("active", True, self._name, irk, peers)
        self._on = True

    def _load_irk(self):
        held = self._invoke(_IRQ_GET_SECRET, (_OUR_IRK, 0, memoryview(_IRK_KEY)))
        if held is not None and len(buffer(held)) == 16:
            return buffer(held)
        made = os.urandom(16)
        if self._invoke(_IRQ_SET_SECRET, (_OUR_IRK, memoryview(_IRK_KEY), memoryview(made))):
            return made
        return _DEFAULT_IRK

    def _stop(self):
        # the end of every link is reported before this returns
        self._stream.settle(self._stream.call("active", False)[0])
        self._on = False
        self._values.create(())

    def config(self, *names, **settings):
        if not settings:
            if len(names) != 1:
                raise TypeError("must query one param")
            name = names[0]
            if name == "gap_name":
                return self._name
            if name == "mac":
                kind, address = self._radio().call("mac")
                return kind, bytes(address)
            if name == "mtu":
                self._radio()
                return self._mtu
            raise ValueError("unknown config param")
        if names:
            raise TypeError("can't specify pos and kw args")
        for name, value in settings.items():
            self._configure(name, value)

    def _configure(self, name, value):
        if name == "gap_name":
            text = buffer(value)
            if len(text) > _NAME_LEN:
                raise OSError(_EINVAL)
            self._name = text
            if self._on:
                self._stream.call("config", name, text)
        elif name == "mtu":
            self._radio().call("config", name, int(value))
            self._mtu = value
        elif name == "addr_mode":
            self._radio().call("addr_mode", int(value))
        elif name in ("bond", "mitm", "io", "le_secure"):
            self._security[name] = value = int(value) if name == "io" else bool(value)
            if self._on:
                self._stream.call("config", name, value)
        else:
            raise ValueError("unknown config param")

    def irq(self, handler):
        if handler is not None and not callable(handler):
            raise ValueError("invalid handler")
        self._handler = handler

    # --- GAP
    def gap_advertise(self, interval_us=500000, adv_data=None, *, resp_data=None, connectable=True):
        if interval_us is None:
            if self._on:
                self._stream.call("adv_stop")
            return
        if adv_data is not None:
            adv_data = buffer(adv_data)
        if resp_data is not None:
            resp_data = buffer(resp_data)
        self._radio().call("adv", interval_us, adv_data, resp_data, bool(connectable))

    def gap_scan(self, *rest):
        duration_ms, interval_us, window_us, active = rest + (0, 1280000, 11250, False)[len(rest) :]
        if duration_ms is None:
            self._radio().call("scan_stop")
        else:
            self._radio().call("scan", duration_ms, interval_us, window_us, bool(active))

    def gap_connect(self, *rest):
        if len(rest) == 1:
            if rest[0] is not None:
                raise TypeError("invalid addr")
            self._radio().call("connect_cancel")
            return
        addr_type, addr, scan_duration_ms, min_us, max_us = rest + (None, None, None)[len(rest) - 2 :]
        addr = buffer(addr)
        if len(addr) != 6:
            raise ValueError("invalid addr")
        if scan_duration_ms is None:
            scan_duration_ms = _CONNECT_MS
        self._radio().call("connect", addr_type, addr, scan_duration_ms, min_us or 0, max_us or 0)

    def gap_disconnect(self, conn_handle):
        try:
            self._radio().call("disconnect", conn_handle)
        except OSError as err:
            if err.errno != _ENOTCONN:
                raise
            return False
        return True

    def gap_pair(self, conn_handle):
        if not self._on:
            raise OSError(_ENOTCONN)
        self._stream.call("pair", conn_handle)

    def gap_passkey(self, conn_handle, action, passkey):
        self._radio().call("passkey", conn_handle, action, passkey)

    # --- GATT server
    def gatts_register_services(self, services):
        tree = []
        for uuid, characteristics in services:
            if not isinstance(uuid, UUID):
                raise ValueError("invalid service UUID")
            tree.append((uuid._raw, [_characteristic(each) for each in characteristics]))
        handles = self._radio().call("services", tree)[0]
        self._values.create(handles)
        return tuple(tuple(service) for service in handles)

    def gatts_read(self, value_handle):
        return self._values.read(value_handle)

    def gatts_write(self, value_handle, data, *send_update):
        whole = buffer(data)
        radio = self._radio()
        self._values.write(value_handle, whole)
        if send_update and send_update[0]:
            for conn_handle, is_indication in radio.call("subscribed", value_handle)[0]:
                how = "indicate" if is_indication else "notify"
                radio.call(how, conn_handle, value_handle, self._own_value(value_handle))
        return len(whole)

    def gatts_notify(self, conn_handle, value_handle, *data):
        self._send("notify", conn_handle, value_handle, data)

    def gatts_indicate(self, conn_handle, value_handle, *data):
        self._send("indicate", conn_handle, value_handle, data)

    def _send(self, how, conn_handle, value_handle, data):
        radio = self._radio()
        whole = self._own_value(value_handle) if not data or data[0] is None else buffer(data[0])
        radio.call(how, conn_handle, value_handle, whole)

    def gatts_set_buffer(self, value_handle, length, *append):
        self._radio()
        self._values.set_buffer(value_handle, length, bool(append and append[0]))

    # --- GATT client
    def gattc_discover_services(self, conn_handle, *uuid):
        self._radio().call("disc_svc", conn_handle, _filter(uuid))

    def gattc_discover_characteristics(self, conn_handle, start_handle, end_handle, *uuid):
        self._radio().call("disc_chr", conn_handle, start_handle, end_handle, _filter(uuid))

    def gattc_discover_descriptors(self, conn_handle, start_handle, end_handle):
        self._radio().call("disc_dsc", conn_handle, start_handle, end_handle)

    def gattc_read(self, conn_handle, value_handle):
        self._radio().call("read", conn_handle, value_handle)

    def gattc_write(self, conn_handle, value_handle, data, *mode):
        self._radio().call("write", conn_handle, value_handle, buffer(data), int(mode[0]) if mode else 0)

    def gattc_exchange_mtu(self, conn_handle):
        if not self._on:
            raise OSError(_ENOTCONN)
        self._stream.call("mtu", conn_handle)


def _filter(uuid):
    if not uuid or uuid[0] is None:
        return None
    if not isinstance(uuid[0], UUID):
        raise TypeError("UUID")
    return uuid[0]._raw


def _characteristic(fields):
    if not 2 <= len(fields) <= 3:
        raise ValueError("invalid characteristic tuple")
    if not isinstance(fields[0], UUID):
        raise ValueError("invalid characteristic UUID")
    descriptors = []
    for uuid, flags in fields[2] if len(fields) == 3 else ():
        if not isinstance(uuid, UUID):
            raise ValueError("invalid descriptor UUID")
        descriptors.append((uuid._raw, flags & 0xFFFF))
    return fields[0]._raw, fields[1] & 0xFFFF, descriptors
