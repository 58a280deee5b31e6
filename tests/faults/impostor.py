"""A radio that passes for a lock: its address, its advertisement, its database handle for handle, and answers of the
test's choice.
"""

from collections.abc import Callable

from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue, Service

from firmware.lib import advert, frame
from firmware.lib.frame import Reassembler
from host_tools.sim.air.air import Air
from host_tools.sim.air.air_host import AirHost

Answers = Callable[[frame.Frame], list[bytes]]
_FLAGS_AND_SERVICE = b"\x02\x01\x06\x03\x03\x10\x19\x10\xff"


def _generic_access() -> Service:
    read, readable = Characteristic.Properties.READ, Characteristic.READABLE
    return Service("1800", [Characteristic(uuid, read, readable, b"GH1") for uuid in ("2A00", "2A01")])


def _generic_attribute() -> Service:
    changed = Characteristic("2A05", Characteristic.Properties.INDICATE, Characteristic.READABLE, b"")
    return Service("1801", [changed])


class Impostor:
    """`answers(request)` gives the raw frames that follow a request. `asked` are the commands of all requests."""

    def __init__(self, air: Air, mac: str, answers: Answers, scene: int = 2, flags: int = 0) -> None:
        self.asked: list[int] = []
        self.answers = answers
        self._host = AirHost(air, mac, "impostor", is_bare=True)
        address = bytes.fromhex(mac.replace(":", ""))
        self._advert = _FLAGS_AND_SERVICE + advert.encode_manufacturer(address, scene, flags, 100)
        name = advert.lock_name("GH1", address).encode()
        self._response = bytes((len(name) + 1, 9)) + name
        self._parts: dict[int, Reassembler] = {}
        self._out = Characteristic("FFF4", Characteristic.Properties.NOTIFY, Characteristic.READABLE, b"")

    async def __aenter__(self) -> "Impostor":
        device = self._host.device
        writable = Characteristic.Properties.WRITE | Characteristic.Properties.WRITE_WITHOUT_RESPONSE
        taken = Characteristic("FFF2", writable, Characteristic.WRITEABLE, CharacteristicValue(write=self._written))
        device.add_services([_generic_access(), _generic_attribute(), Service("1910", [taken, self._out])])
        await self._host.start()
        await self._host.advertise(200, self._advert, self._response)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._host.stop()

    async def _written(self, connection: Connection, value: bytes) -> None:
        for raw in self._parts.setdefault(connection.handle, Reassembler()).feed(value):
            request = frame.decode(raw)
            self.asked.append(request.command)
            for answer in self.answers(request):
                for part in frame.chunks(answer, 20, True):
                    await self._host.device.notify_subscriber(connection, self._out, part)
