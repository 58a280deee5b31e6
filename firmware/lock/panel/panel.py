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


class Panel:
    """`handle(request)` gives the reply; `describe()` the state as a dict."""

    def __init__(self, keypad, describe, now_ms, is_on=False, reader=None):
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
        if what == "card" and self._reader is not None:
            return self._present("card", _card(request))
        return {"error": "unsupported"}

    def _present(self, kind, key):
        if key is None:
            return {"error": "bad_request"}
        self._reader.present(kind, key, self._now_ms())
        return {"ok": True}
