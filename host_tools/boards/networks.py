"""Which boards are plugged in, and which Wi-Fi networks one of them hears. Owns how both are shown to a person."""

from serial.tools import list_ports

from host_tools import text
from host_tools.boards.serial_console import SerialConsole
from host_tools.errors import HostError

_SCAN_S = 20
_MAX = 40
# As MicroPython numbers the kinds of security of a network
_AUTH = {0: "open", 1: "WEP: too old for a gateway", 5: "WPA2 enterprise: a gateway cannot join it"}
_STRONG_DBM, _FAIR_DBM = -60, -75


def ports() -> list[tuple[str, str]]:
    """(port, what is told of it) of everything on USB."""
    return sorted((each.device, str(each.description or "")) for each in list_ports.comports() if each.vid is not None)


def heard(port: str) -> list[dict]:
    """Networks that the gateway on `port` hears, the strongest first: `ssid`, `rssi`, `auth`. [] where it cannot look
    (an older version), or tells rubbish."""
    try:
        with SerialConsole(port) as console:
            reply = console.ask({"do": "networks"}, _SCAN_S)
    except HostError as error:
        if error.code == "link":
            raise
        return []
    listed = reply.get("networks")
    return [each for each in listed[:_MAX] if _is_network(each)] if isinstance(listed, list) else []


def _is_network(value: object) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("ssid"), str) or not value["ssid"]:
        return False
    return all(isinstance(value.get(key), int) and not isinstance(value[key], bool) for key in ("rssi", "auth"))


def shown(network: dict) -> str:
    """One of them in a line."""
    dbm = network["rssi"]
    strength = "strong" if dbm >= _STRONG_DBM else "fair" if dbm >= _FAIR_DBM else "weak"
    kind = _AUTH.get(network["auth"], "with a password")
    return "%s  (%s, %d dBm, %s)" % (text.printable(network["ssid"], 64), strength, dbm, kind)
