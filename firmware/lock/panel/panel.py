"""The panel protocol: keys and touches as JSON lines, and what the lock looks like. Only with the setting `panel`.

Source: DESIGN.md 3, 7. What acts on pins (button, door, tamper, battery) is the simulator's own business.
"""

_KEYS = "0123456789*#"


class Panel:
    """`handle(request)` gives the reply; `describe()` the state as a dict."""

    def __init__(self, keypad, describe, now_ms, is_on=False):
        self._keypad = keypad
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
        return {"error": "unsupported"}
