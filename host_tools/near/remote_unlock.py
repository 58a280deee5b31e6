"""The change of a lock's remote-unlock switch, sent beside the lock by its owner and by nothing else.

It lives here so that no gateway image contains it (security.md 3.7 REM-3); the query is in the firmware's
`settings_client`. Source: lock-ble-commands.md 6.4.
"""


def change(is_allowed: bool) -> bytes:
    """0x37, after an admin login; answered by `settings_client.changed`."""
    return b"\x02\x01" if is_allowed else b"\x02\x00"
