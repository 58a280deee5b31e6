"""A client of Espressif's provisioning over Bluetooth, security scheme 1, as a gateway in its add window speaks it.

Owns the link (bleak), the handshake, and the way a request goes to each endpoint. Messages are the firmware's own
(`firmware.lib.protocomm`); what is asked, and what an answer means to a person, is `window`'s.
"""

import asyncio
import json
import time
from typing import Any

from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.lib import protobuf, protocomm, security1
from firmware.lib.errors import AuthError, ProtocolError
from host_tools import json_text
from host_tools.errors import HostError

_CONNECT_S = 20
_TRIES = 3
_AGAIN_S = 0.2
_PART = 160  # of a request: with its frame in one write of the MTU that MicroPython asks for, 256
_MAX_REPLY = 16384
_DESCRIPTION = "00002901"
_NEARER = "go nearer to the gateway, and run this again"
_KEY_LEN = 32
_ANSWER = 11  # field of the answer to message 0


class Client:
    """`async with Client(device) as client: await client.open(pop)`, then `wifi` and `ask`. Raises HostError: `link`
    for the radio, `wrong_pop`, `protocol` for what is no gateway."""

    def __init__(self, device: BLEDevice) -> None:
        self._device = device
        self._link: BleakClient | None = None
        self._endpoints: dict[str, Any] = {}
        self._stream: Any = None
        self._macs: security1.Macs | None = None

    async def __aenter__(self) -> "Client":
        for left in range(_TRIES, 0, -1):
            link = BleakClient(self._device, timeout=_CONNECT_S)
            try:
                await link.connect()
                self._endpoints = await _endpoints(link)
                self._link = link
                return self
            except (BleakError, TimeoutError, OSError) as err:
                await _close(link)
                if left == 1:
                    raise HostError("link", "cannot connect to the gateway (%s)" % (err or "no answer"), _NEARER)
        raise AssertionError

    async def __aexit__(self, *_: object) -> None:
        link, self._link = self._link, None
        if link is not None:
            await _close(link)

    async def send(self, endpoint: str, octets: bytes) -> bytes:
        """Write, and read the answer, which stands there by then."""
        value = self._endpoints.get(endpoint)
        if value is None:
            todo = "flash its present firmware" if endpoint == "gatehouse" else "is it a gateway in its add window?"
            raise HostError("unsupported", "the board has no endpoint %s" % endpoint, todo)
        if self._link is None:
            raise HostError("link", "the link to the gateway has ended", _NEARER)
        try:
            await self._link.write_gatt_char(value, octets, response=True)
            return bytes(await self._link.read_gatt_char(value))
        except (BleakError, TimeoutError, OSError) as err:
            raise HostError("link", "the gateway ended the session (%s)" % (str(err).split("\n")[0] or "lost"), _NEARER)

    async def version(self) -> dict:
        """What `proto-ver` tells; of a gateway of ours with `gatehouse`."""
        return _object(await self.send("proto-ver", b"ESP"))

    async def open(self, pop: str) -> None:
        """The handshake. HostError `wrong_pop`."""
        secret = X25519PrivateKey.generate()
        public = secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        try:
            greeting = protocomm.encode_session(protocomm.COMMAND0, protobuf.octets(1, public))
            kind, members = protocomm.decode_session(await self.send("prov-session", greeting))
            theirs, start = protobuf.octets_in(members, 2), protobuf.octets_in(members, 3)
            if kind != protocomm.RESPONSE0 or len(theirs) != _KEY_LEN or len(start) != _KEY_LEN // 2:
                raise ProtocolError("greeting")
            key = security1.key_of(secret.exchange(X25519PublicKey.from_public_bytes(theirs)), pop.encode())
            self._stream = Cipher(algorithms.AES(key), modes.CTR(start)).encryptor()
            proof = protocomm.encode_session(protocomm.COMMAND1, protobuf.octets(2, self._stream.update(theirs)))
            kind, members = protocomm.decode_session(await self.send("prov-session", proof))
            answer = self._stream.update(protobuf.octets_in(members, 3))
        except (ProtocolError, AuthError, ValueError):
            raise HostError(
                "protocol", "the board's answer is no greeting of a gateway", "is it one in its add window?"
            )
        if kind != protocomm.RESPONSE1 or answer != public:
            todo = "`gatehouse gateway pop --port PORT` shows it; five wrong ones close the window"
            raise HostError("wrong_pop", "the proof of possession is wrong", todo)
        self._macs = security1.Macs(key)

    async def wifi(self, endpoint: str, kind: int, body: bytes = b"") -> tuple[bytes, int]:
        """A request of prov-config or prov-scan -> the encoded members of the answer, and the status of a scan's."""
        answer = await self.send(endpoint, self._stream.update(protocomm.encode_wifi(kind, body)))
        try:
            outer = protobuf.message(self._stream.update(answer))
            if protobuf.number_in(outer, 1) != kind + 1:
                raise ProtocolError("another answer")
            return protobuf.octets_in(outer, _ANSWER + kind), protobuf.number_in(outer, 2)
        except ProtocolError:
            raise HostError("protocol", "the gateway's answer means nothing", _NEARER)

    async def ask(self, request: dict, timeout_s: float = 60) -> dict:
        """A request as on the serial console -> its reply."""
        text = json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode()
        until_s = time.monotonic() + timeout_s
        flag, part = protocomm.DONE, b""
        for at in range(0, len(text), _PART):
            piece = text[at : at + _PART]
            last = at + _PART >= len(text)
            flag, part = await self._frame(protocomm.DONE if last else protocomm.MORE, piece)
        reply = b""
        while flag != protocomm.DONE or not (reply or part):
            reply += part
            if flag == protocomm.BUSY:
                if time.monotonic() > until_s:
                    raise HostError("link_timeout", "the gateway does not answer", _NEARER)
                await asyncio.sleep(_AGAIN_S)
            if len(reply) > _MAX_REPLY:
                raise HostError("protocol", "the gateway's answer has no end", _NEARER)
            flag, part = await self._frame(protocomm.DONE, b"")
        return _object(reply + part)

    async def _frame(self, flag: int, part: bytes) -> tuple[int, bytes]:
        assert self._macs is not None  # after `open`
        sealed = self._macs.seal(security1.TO_DEVICE, bytes((flag,)) + part)
        answer = self._stream.update(await self.send("gatehouse", self._stream.update(sealed)))
        try:
            text = self._macs.unseal(security1.TO_CLIENT, answer)
        except AuthError:
            raise HostError(
                "protocol", "an answer was altered on its way", "run this again; somebody may be in between"
            )
        return text[0], text[1:]


async def _endpoints(link: BleakClient) -> dict[str, Any]:
    """Name -> characteristic, by the user descriptions."""
    named = {}
    for service in link.services:
        if service.uuid.lower() != protocomm.SERVICE:
            continue
        for value in service.characteristics:
            for each in value.descriptors:
                if each.uuid.lower().startswith(_DESCRIPTION):
                    named[bytes(await link.read_gatt_descriptor(each.handle)).decode("utf-8", "replace")] = value
    return named


async def _close(link: BleakClient) -> None:
    try:
        await link.disconnect()
    except (BleakError, TimeoutError, OSError, EOFError):
        pass  # it has ended


def _object(octets: bytes) -> dict:
    try:
        value = json_text.loads(octets.decode(), _MAX_REPLY)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise HostError("protocol", "the gateway's answer means nothing", _NEARER)
    return value
