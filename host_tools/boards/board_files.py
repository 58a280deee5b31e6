"""Certificates and a key brought from this computer to a gateway over its console (`firmware/gateway/certificates.py`).

Owns what a person may give for `mqtt_ca`, `mqtt_cert` and `mqtt_key` (a file in PEM or DER, `system`, or a path that is
on the board already), its conversion to DER, and the pieces on the line.
"""

import binascii
import hashlib
from collections.abc import Callable, Generator
from pathlib import Path

from host_tools.boards.serial_console import SerialConsole
from host_tools.errors import HostError
from host_tools.gateway import certificates, tls

KEYS = {"mqtt_ca": "ca", "mqtt_cert": "cert", "mqtt_key": "key"}
_ON_BOARD = "/data/"
_PIECE = 256
_ASK_S = 15
_TRIES = 3


def located(settings: dict, folder: Path) -> dict:
    """`settings` with the paths of files seen from `folder`."""
    here = {key: settings[key] for key in KEYS if _is_here(settings.get(key)) and settings[key] != tls.SYSTEM}
    return settings | {key: str(folder / Path(text).expanduser()) for key, text in here.items()}


def read(settings: dict) -> dict[str, bytes]:
    """The files that `settings` name, as DER. HostError `io` or `config`."""
    wanted = {key: settings[key] for key in KEYS if _is_here(settings.get(key))}
    made: dict[str, bytes] = {}
    if wanted.get("mqtt_ca") == tls.SYSTEM:
        made["mqtt_ca"] = tls.root(settings.get("mqtt_host") or "", settings.get("mqtt_port") or 8883)
    elif "mqtt_ca" in wanted:
        found = certificates.certificates(wanted["mqtt_ca"], "the authority's certificate")
        if len(found) > 1:
            todo = "a gateway takes one: write that of the broker's own authority into a file"
            raise HostError("config", "%s holds %d certificates" % (wanted["mqtt_ca"], len(found)), todo)
        made["mqtt_ca"] = certificates.der(found[0])
    certificate = None
    if "mqtt_cert" in wanted:
        certificate = certificates.certificates(wanted["mqtt_cert"], "the client certificate")[0]
        made["mqtt_cert"] = certificates.der(certificate)
    if "mqtt_key" in wanted:
        made["mqtt_key"] = certificates.key_der(certificates.private_key(wanted["mqtt_key"], certificate))
    return made


def _is_here(value: object) -> bool:
    return isinstance(value, str) and value != "" and not value.startswith(_ON_BOARD)


def send(console: SerialConsole, files: dict[str, bytes], step: Callable[[str], None]) -> dict[str, str]:
    """Write them to the board -> setting: path there. HostError for what the board refuses."""
    talk = talks(files, step)
    try:
        request = next(talk)
        while True:
            request = talk.send(console.ask(request, _ASK_S))
    except StopIteration as end:
        return end.value


def talks(files: dict[str, bytes], step: Callable[[str], None]) -> Generator[dict, dict, dict[str, str]]:
    """What is said to write them, whichever way: yields each request, is sent its reply, returns setting: path there.
    HostError for what the board refuses."""
    paths = {}
    for key, content in files.items():
        step("bringing %s to the board" % key)
        for at in range(0, len(content), _PIECE):
            piece = content[at : at + _PIECE]
            request = {"do": "put", "name": KEYS[key], "at": at, "hex": piece.hex(), "crc": binascii.crc32(piece)}
            yield from _asked(request)
        digest = hashlib.sha256(content).hexdigest()
        paths[key] = str((yield from _asked({"do": "put", "name": KEYS[key], "sha256": digest})).get("path"))
    return paths


def _asked(request: dict) -> Generator[dict, dict, dict]:
    """A piece that is spoilt on the line may be sent again: it goes to the same place."""
    reply: dict = {}
    for _ in range(_TRIES):
        reply = yield request
        if reply.get("ok"):
            return reply
    code = str(reply.get("code") or "internal")
    if reply.get("msg") == "no such request":
        raise HostError("unsupported", "this gateway takes no certificates", "flash its present firmware")
    raise HostError(code, "the board refused a certificate: %s" % (reply.get("msg") or code))
