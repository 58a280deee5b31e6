"""What the serial port understands: who is there, the owner's settings, and the panel's words.

`{"do":"hello"}`, `{"do":"settings"}`, `{"do":"set","settings":{key: value}}` (null: the default; takes effect after the
restart that `{"do":"reboot"}` asks for), and those of `panel.panel`. The gateway has the same first four.
"""

from firmware.lock.panel.panel import Panel
from firmware.system import config


class Words:
    """`handle(request)` gives the reply; raises ConfigError for settings that cannot be used."""

    def __init__(self, keypad, describe, hello, reboot, now_ms, settings, path, table, reader=None, fob_radio=None):
        self._panel = Panel(keypad, describe, now_ms, settings.panel, reader, fob_radio)
        self._hello = hello
        self._reboot = reboot
        self._path = path
        self._table = table

    def handle(self, request):
        """A dict with `do` -> the dict to answer."""
        what = request.get("do")
        if what == "hello":
            return self._hello()
        if what == "settings":
            return {"ok": True, "settings": config.load(self._path, self._table).as_dict()}
        if what == "set":
            config.write(self._path, self._table, request.get("settings"))
            return {"ok": True}
        if what == "reboot":
            self._reboot()
            return {"ok": True}
        return self._panel.handle(request)
