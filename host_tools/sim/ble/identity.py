"""Under which address one simulated board advertises, scans and connects: BLE().config(addr_mode=...) and "mac".

An ESP32 always has a public address. Random addresses are drawn from the air's seed, resolvable private ones from the
identity resolving key that the program keeps as a secret. A resolvable private address is renewed when an operation
begins and the last one is 15 minutes old (a chip renews it during an operation too).
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from bumble import crypto, hci
from bumble.device import Device

from host_tools.sim.ble.errno_words import EINVAL, BoardError

if TYPE_CHECKING:
    from host_tools.sim.ble.session import Session

PUBLIC, RANDOM, RPA, NRPA = range(4)
_RENEW_S = 900.0


def printed(address: hci.Address) -> bytes:
    """An address in printed order."""
    return bytes(address)[::-1]


class Identity:
    """The board's own addresses."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._mode = PUBLIC
        self._device: Device | None = None
        self._renewed_s = 0.0

    def commands(self) -> dict[str, Callable]:
        return {"mac": self.mac, "addr_mode": self.set_mode}

    def watch(self, device: Device) -> None:
        """A radio has been switched on: public again."""
        self._device = device
        self._mode = PUBLIC

    @property
    def own_type(self) -> hci.OwnAddressType:
        """What advertising, scanning and connecting ask the chip to use."""
        return hci.OwnAddressType.PUBLIC if self._mode == PUBLIC else hci.OwnAddressType.RANDOM

    @property
    def is_identity_random(self) -> bool:
        """Whether peers shall know the board by its random address."""
        return self._mode in (RANDOM, NRPA)

    def mac(self) -> list:
        """Address type and address as BLE().config("mac") gives them; NimBLE cannot name a private one."""
        if self._mode == PUBLIC:
            return [0, printed(self._session.address)]
        if self._mode == RPA or self._device is None:
            raise BoardError(EINVAL)
        return [1, printed(self._device.random_address)]

    async def set_mode(self, mode: int) -> None:
        """BLE().config(addr_mode=mode). An unknown mode changes nothing, as in MicroPython."""
        if not PUBLIC <= mode <= NRPA:
            return
        self._mode = mode
        if mode in (RANDOM, NRPA):
            draw = self._session.air.stream("address", self._session.address)
            raw = bytearray(draw.randbytes(6))
            raw[5] = raw[5] | 0xC0 if mode == RANDOM else raw[5] & 0x3F
            await self._use(hci.Address(bytes(raw), hci.Address.RANDOM_DEVICE_ADDRESS))
        elif mode == RPA:
            await self._renew()

    async def refresh(self) -> None:
        """An operation begins."""
        if self._mode == RPA and asyncio.get_running_loop().time() - self._renewed_s >= _RENEW_S:
            await self._renew()

    async def _renew(self) -> None:
        assert self._device is not None
        draw = self._session.air.stream("address", self._session.address)
        raw = bytearray(draw.randbytes(3))
        raw[2] = raw[2] & 0x3F | 0x40
        self._renewed_s = asyncio.get_running_loop().time()
        whole = crypto.ah(self._device.irk, bytes(raw)) + bytes(raw)
        await self._use(hci.Address(whole, hci.Address.RANDOM_DEVICE_ADDRESS))

    async def _use(self, address: hci.Address) -> None:
        assert self._device is not None
        self._device.random_address = address
        self._device.static_address = address
        await self._device.send_sync_command(hci.HCI_LE_Set_Random_Address_Command(random_address=address))
