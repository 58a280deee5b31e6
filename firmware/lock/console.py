"""What the serial port understands: who is there, the owner's settings, and the panel: keys and touches.

`{"do":"hello"}`, `{"do":"settings"}`, `{"do":"set","settings":{key: value}}` (null: the default; takes effect after the
restart that `{"do":"reboot"}` asks for); the gateway has the same four. The panel's words are understood only with the
setting `panel`; what acts on pins (button, door, tamper, battery) is the simulator's own business.
"""

from firmware.lib.compat import is_whole, unload

_MAX_NUMBER = (1 << 64) - 1
_KEYS = "0123456789*#"


def _card(request):
    """`number`, with `bytes` 4 or 8 if it is not as short as it can be -> the card's bytes, or None."""
    number, size = request.get("number"), request.get("bytes", 4)
    if size not in (4, 8) or not is_whole(number, 0, _MAX_NUMBER):
        return None
    return number.to_bytes(8 if number >> 32 else size, "big")


def _finger(request):
    """`id`, which finger of which person -> what the sensor recognises it by, or None."""
    number = request.get("id")
    if not is_whole(number, 0, _MAX_NUMBER):
        return None
    return number.to_bytes(8, "big")


def _fob(request):
    """`mac`, `button` 1 or 2 and, if it is to be said, `battery` -> the arguments of `Reader.press_fob`, or None."""
    mac, button, level = request.get("mac"), request.get("button", 1), request.get("battery", 100)
    try:
        address = bytes.fromhex(mac.replace(":", "")) if isinstance(mac, str) else b""
    except ValueError:
        return None
    is_level = isinstance(level, int) and 0 <= level <= 100
    if len(address) != 6 or button not in (1, 2) or not is_level:
        return None
    return bytes(reversed(address)), button, level


class Panel:
    """`handle(request)` gives the reply; `describe()` the state as a dict."""

    def __init__(self, keypad, reader, describe, now_ms, is_on=False):
        self._keypad = keypad
        self._reader = reader
        self._describe = describe
        self._now_ms = now_ms
        self._is_on = is_on

    def handle(self, request):
        """A dict with `do` -> the dict to answer."""
        if not self._is_on:
            return {"error": "disabled"}
        what = request.get("do")
        if what == "state":
            return self._describe()
        if what == "touch":
            self._keypad.touch(self._now_ms())
            return {"ok": True}
        if what == "keys":
            digits = request.get("digits")
            if not isinstance(digits, str) or not digits or [key for key in digits if key not in _KEYS]:
                return {"error": "bad_request"}
            for key in digits:
                self._keypad.press(key, self._now_ms())
            return {"ok": True}
        if what == "card":
            return self._present("card", _card(request))
        if what == "finger":
            return self._present("finger", _finger(request))
        if what == "fob":
            pressed = _fob(request)
            if pressed is None:
                return {"error": "bad_request"}
            self._reader.press_fob(*pressed, self._now_ms())
            return {"ok": True}
        return {"error": "unsupported"}

    def _present(self, kind, key):
        if key is None:
            return {"error": "bad_request"}
        self._reader.present(kind, key, self._now_ms())
        return {"ok": True}


class Words:
    """`handle(request)` gives the reply; raises ConfigError for settings that cannot be used. `panel` has the words
    that are not understood here; `hello()` and `reboot()` do what they say; `path` is the settings file.
    """

    def __init__(self, panel, hello, reboot, path):
        self._panel = panel
        self._hello = hello
        self._reboot = reboot
        self._path = path

    def handle(self, request):
        """A dict with `do` -> the dict to answer."""
        what = request.get("do")
        if what == "hello":
            return self._hello()
        if what == "settings" or what == "set":
            from firmware.lock.settings import TABLE
            from firmware.system import config

            unload(("firmware.lock.settings", "firmware.system.config"))
            if what == "settings":
                return {"ok": True, "settings": config.load(self._path, TABLE).as_dict()}
            config.write(self._path, TABLE, request.get("settings"))
            return {"ok": True}
        if what == "reboot":
            self._reboot()
            return {"ok": True}
        return self._panel.handle(request)
