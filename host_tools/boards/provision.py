"""Gives a gateway its settings over USB serial: Wi-Fi, broker, what it may obey. The board checks them and starts anew.

Source: `firmware.gateway.provisioning`, which owns the checks; here only the talking.
"""

import json

from host_tools.boards.serial_console import SerialConsole
from host_tools.errors import HostError

_START_S = 30
_ASK_S = 15


def read_settings(text: str) -> dict:
    """JSON text of a settings file -> dict. HostError when it is none."""
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict) or not value:
        raise HostError("bad_request", "the settings are not a JSON object", 'write {"wifi_ssid": "...", ...}')
    return value


def provision(port: str, settings: dict) -> dict:
    """Write `settings` to the gateway on `port` and restart it; returns what it says of itself (`id`, `version`)."""
    with SerialConsole(port, _START_S) as console:
        about = console.ask({"do": "hello"}, _START_S, repeat=True)
        if about.get("role") != "gateway":
            raise HostError("refused", "the board on %s is no gateway" % port, "flash it: ./flash.sh gateway %s" % port)
        _accepted(console.ask({"do": "set", "settings": settings}, _ASK_S))
        _accepted(console.ask({"do": "reboot"}, _ASK_S))
    return about


def _accepted(reply: dict) -> None:
    if not reply.get("ok"):
        code = str(reply.get("code") or reply.get("error") or "internal")
        raise HostError(code, "the board refused: %s" % (reply.get("msg") or code), "correct these settings")
