"""One attempt of a Bumble host to connect, whose caller may be cancelled.

Bumble 0.0.236 gives an attempt back to the controller when its own time-out passes, but not when the task that waits is
cancelled: the controller goes on initiating, refuses every later attempt (COMMAND_DISALLOWED), and a link that comes
after all belongs to nobody and keeps the peer from everybody.
"""

import asyncio
import contextlib

from bumble import core, hci
from bumble.device import Connection, ConnectionParametersPreferences, Device

_END_S = 2.0


async def connect(
    device: Device, address: hci.Address, preferences: ConnectionParametersPreferences, timeout_s: float
) -> Connection:
    """Connect from the public address. Raises Bumble's errors. When cancelled, nothing is left behind."""
    attempt = asyncio.ensure_future(
        device.connect_le(
            address, {hci.Phy.LE_1M: preferences}, own_address_type=hci.OwnAddressType.PUBLIC, timeout=timeout_s
        )
    )
    try:
        return await asyncio.shield(attempt)
    except asyncio.CancelledError:
        attempt.add_done_callback(_drop)
        if not attempt.done():
            with contextlib.suppress(hci.HCI_Error, core.BaseBumbleError):
                await device.send_sync_command(hci.HCI_LE_Create_Connection_Cancel_Command())
            await asyncio.wait((attempt,), timeout=_END_S)
        raise


def _drop(attempt: asyncio.Future) -> None:
    """End the link of an attempt that nobody waits for."""
    if not attempt.cancelled() and attempt.exception() is None:
        asyncio.ensure_future(_disconnect(attempt.result()))


async def _disconnect(link: Connection) -> None:
    with contextlib.suppress(hci.HCI_Error, core.BaseBumbleError):
        await link.disconnect()
