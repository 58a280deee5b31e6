"""The panel protocol: keys and touches as JSON lines, and what the lock looks like. Only with the setting `panel`.

Source: DESIGN.md 3, 7. What acts on pins (button, door, tamper, battery) is the simulator's own business.
"""

_KEYS = "0123456789*#"


def _card(request):
    """`number`, with `bytes` 4 or 8 if it is not as short as it can be -> the card's bytes, or None."""
    number, size = request.get("number"), request.get("bytes", 4)
    if size not in (4, 8) or isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << 64:
        return None
    return number.to_bytes(8 if number >> 32 else size, "big")


def _finger(request):
    """`id`, which finger of which person -> what the sensor recognises it by, or None."""
    number = request.get("id")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << 64:
        return None
    return number.to_bytes(8, "big")


def _fob(request):
    """`mac`, `button` 1 or 2 and, if it is to be said, `battery` -> the arguments of `FobRadio.press`, or None."""
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

    def __init__(self, keypad, describe, now_ms, is_on=False, reader=None, fob_radio=None):
        self._keypad = keypad
        self._reader = reader
        self._fob_radio = fob_radio
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
        if what == "card" and self._reader is not None:
            return self._present("card", _card(request))
        if what == "finger" and self._reader is not None:
            return self._present("finger", _finger(request))
        if what == "fob" and self._fob_radio is not None:
            heard = _fob(request)
            if heard is None:
                return {"error": "bad_request"}
            self._fob_radio.press(*heard, self._now_ms())
            return {"ok": True}
        return {"error": "unsupported"}

    def _present(self, kind, key):
        if key is None:
            return {"error": "bad_request"}
        self._reader.present(kind, key, self._now_ms())
        return {"ok": True}
