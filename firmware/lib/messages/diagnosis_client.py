"""The diagnosis report of our own lock, fetched page by page. Command 0xe7. Source: lock-ble-commands.md 9.2."""

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import QUERY

_LAST = const(0xFF)
_MAX_PAGES = const(16)  # no lock may keep us asking


def request(page):
    """0xe7: one page, from 0."""
    return bytes((QUERY, page))


def page(data, asked):
    """Answer to 0xe7 for the page `asked` -> (page to ask for next or None, bytes of the report)."""
    if len(data) < 3 or data[1] != QUERY:
        raise ProtocolError("diagnosis of %d bytes" % len(data))
    following = data[2]
    if following == _LAST:
        return None, bytes(data[3:])
    if following != asked + 1 or following >= _MAX_PAGES:
        raise ProtocolError("diagnosis page %d leads to %d" % (asked, following))
    return following, bytes(data[3:])
