"""The administrator's passcode and the owner's erase code: set beside the lock, over the local link only.

The key book knows a new code before the lock may have it, and says so until the lock has said yes.
Source: lock-ble-commands.md 3.4; domain.md 3.1 (the erase code has 7 to 9 digits).
"""

from firmware.lib import opcodes
from firmware.lib.messages import pairing_client, passcode_client
from host_tools.errors import HostError
from host_tools.near.local_link import local_link
from host_tools.owner.keybook import Entry, KeyBook

ADMIN, ERASE = "admin_passcode", "erase_code"


def check_erase_code(code: str) -> str:
    """The code, or HostError."""
    if code and not 7 <= len(code) <= 9:
        raise HostError("bad_request", "an erase code has 7 to 9 digits", ttlock=-3006)
    return code


async def set_code(book: KeyBook, entry: Entry, which: str, code: str) -> None:
    """`which` is ADMIN or ERASE; `code` "" deletes it. HostError when the lock refuses: nothing has changed then."""
    command, encode = {
        ADMIN: (opcodes.SET_ADMIN_PASSCODE, pairing_client.set_admin_passcode),
        ERASE: (opcodes.SET_ERASE_CODE, passcode_client.set_erase_code),
    }[which]
    async with local_link(entry) as link:
        await link.exchange(command, encode(code))
    book.update(entry.id, lambda kept: setattr(kept, which, code))


async def read_admin_code(book: KeyBook, entry: Entry) -> str:
    """What the lock says its administrator's passcode is; the key book is put right by it."""
    async with local_link(entry) as link:
        data = await link.exchange(opcodes.GET_ADMIN_PASSCODE, pairing_client.get_admin_passcode())
    code = pairing_client.admin_passcode(data)[1]
    book.update(entry.id, lambda kept: setattr(kept, ADMIN, code))
    return code
