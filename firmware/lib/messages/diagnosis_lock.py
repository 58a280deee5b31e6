"""The diagnosis report of our own lock: requests and pages. Command 0xe7 (our own range; other locks do not know it).

Source: lock-ble-commands.md 9.2.
"""

from firmware.lib.compat import const
from firmware.lib.messages.common import QUERY, bad_request, check_length, operation, percent, unknown_operation

_PAGE = const(96)
_LAST = const(0xFF)
MOST = 96 * 16  # bytes of a report: what an answer may take of a small heap


def decode_request(plain):
    """0xe7 -> the page asked for, from 0. BadRequest for a page that no report has."""
    op = operation(plain)
    if op != QUERY:
        raise unknown_operation(op)
    check_length(plain, 2)
    if plain[1] >= MOST // _PAGE:
        raise bad_request("page %d" % plain[1])
    return plain[1]


def encode_page(battery, report, page):
    """Data of the answer: the bytes of one page of `report`, and which is next (0xff: none). BadRequest behind it."""
    at = page * _PAGE
    if at and at >= len(report):
        raise bad_request("page %d of %d bytes" % (page, len(report)))
    following = page + 1 if at + _PAGE < min(len(report), MOST) else _LAST
    return bytes((percent(battery), QUERY, following)) + report[at : at + _PAGE]
