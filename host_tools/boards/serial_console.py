"""A board's console on its serial port. What is said over it when a gateway gets its settings is `provisioning`'s.

One JSON object per line there, one back; log lines in between are passed over (`firmware.system.console`).
"""

import json
import random
import time
from collections.abc import Callable

import serial

from host_tools import json_text
from host_tools.errors import HostError

_BAUD = 115200
_GARBLED = "bad_request"
_AGAIN_S = 1.0
_MAX_LINE = 65536


class SerialConsole:
    """Use as a context manager; opening waits up to `wait_s` for a port that is coming back after a reset. `on_line`
    gets what is printed beside replies, line by line."""

    def __init__(self, port: str, wait_s: float = 0.0, on_line: Callable[[str], None] | None = None) -> None:
        self.port = port
        self._on_line = on_line
        until_s = time.monotonic() + wait_s
        while True:
            try:
                self._serial = serial.Serial(port, _BAUD, timeout=0.1, write_timeout=5, exclusive=True)
                break
            except (OSError, serial.SerialException) as err:
                if time.monotonic() >= until_s:
                    raise HostError("link", "cannot open %s (%s)" % (port, err), "is the board plugged in, and free?")
                time.sleep(0.2)
        self._line = bytearray()
        self._asked = random.randrange(1 << 16)  # another program may have asked, and gone

    def __enter__(self) -> "SerialConsole":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the port free."""
        self._serial.close()

    @property
    def unfinished(self) -> str:
        """What came of a line whose end is missing, such as a prompt."""
        return self._line.decode(errors="replace")

    def ask(self, request: dict, timeout_s: float = 10.0, repeat: bool = False) -> dict:
        """Send a request, return its reply. `repeat`: again each second, for a board that is starting, which may get
        the first one in pieces. Each request has
        a `seq`, which its reply repeats: what a slow board says late is no reply to the next one."""
        self._asked += 1
        request = {**request, "seq": self._asked}
        text = json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        until_s = time.monotonic() + timeout_s
        again_s = 0.0
        try:
            while time.monotonic() < until_s:
                if time.monotonic() >= again_s:
                    self._serial.write(text)
                    again_s = time.monotonic() + _AGAIN_S if repeat else until_s
                reply = self._reply(request)
                if reply is not None and not (repeat and reply.get("code") == _GARBLED):
                    return reply
        except (OSError, serial.SerialException) as err:
            raise HostError("link", "%s is gone (%s)" % (self.port, err), "plug the board in again")
        raise HostError("link_timeout", "no answer from %s" % self.port, "is a Gatehouse board there? press its reset")

    def _reply(self, request: dict) -> dict | None:
        for octet in self._serial.read(max(1, self._serial.in_waiting)):
            if octet not in b"\r\n":
                if len(self._line) < _MAX_LINE:
                    self._line.append(octet)
                continue
            line, self._line = bytes(self._line), bytearray()
            if not line.startswith(b"{"):
                if self._on_line and line:
                    self._on_line(line.decode(errors="replace"))
                continue
            try:
                value = json_text.loads(line, _MAX_LINE)
            except ValueError:
                continue
            if not isinstance(value, dict) or value == request:  # a terminal may echo what we sent
                continue
            if value.pop("seq", self._asked) == self._asked:  # older versions of the firmware repeat none
                return value
        return None


def read_settings(text: str) -> dict:
    """JSON text of a settings file -> dict. HostError when it is none."""
    try:
        value = json_text.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict) or not value:
        raise HostError("bad_request", "the settings are not a JSON object", 'write {"wifi_ssid": "...", ...}')
    return value
