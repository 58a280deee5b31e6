"""Login, unlock and lock, clock, status, features, device info, log, diagnosis: requests to our lock and its answers.

Commands 0x41, 0x55, 0x30, 0x47, 0x58, 0x14, 0x01, 0x34, 0x43, 0x90, 0x25 (masking digits below S3: `records.mask`) and
0xe7 (our own range; other locks do not know it). Encoders give the data of a success; echo and status are
`common.success`'s. Source: lock-ble-link.md 8.4-8.12, 9.1; lock-ble-commands.md 9.2.
"""

from firmware.lib import dates
from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import (
    QUERY,
    SCIENER,
    bad_request,
    check_length,
    decode_date,
    decode_number,
    number,
    operation,
    percent,
    unknown_operation,
)

_EXPIRED = const(0x0E)
# "Always", as clients say it: decimal, BCD, and the vendor's app (lock-ble-link.md 8.5)
_ALWAYS_STARTS = (b"\x00\x01\x1f\x0e\x00", b"\x00\x01\x31\x14\x00", b"\x00\x01\x01\x00\x00")
_ALWAYS_ENDS = (b"\x63\x0b\x1e\x0e\x00", b"\x99\x11\x30\x14\x00", b"\x63\x0c\x1f\x17\x3b")

_MAX_NUMBER = const(65533)
_MAX_RECORD = const(104)  # 111 bytes of plain answer, less echo, status, length, sequence, record length

_PAGE = const(96)
_MAX_PAGES = const(16)  # of a report: what an answer may take of a small heap
_LAST = const(0xFF)


def decode_check_admin(plain):
    """0x41 -> (admin_ps, flag_pos, uid)."""
    check_length(plain, 11)
    return decode_number(plain, 0, 4), decode_number(plain, 4, 3), decode_number(plain, 7, 4)


def _from_bcd(octets):
    plain = bytearray(len(octets))
    for place in range(len(octets)):
        high, low = octets[place] >> 4, octets[place] & 15
        if high > 9 or low > 9:
            raise ProtocolError("not BCD")
        plain[place] = 10 * high + low
    return plain


def _window(start, end):
    if start in _ALWAYS_STARTS and end in _ALWAYS_ENDS:
        return None, None
    try:
        return dates.decode5(start), dates.decode5(end)
    except ProtocolError:
        pass
    try:
        return dates.decode5(_from_bcd(start)), dates.decode5(_from_bcd(end))
    except ProtocolError:
        pass
    if start[0] == 0 and end[0] in (0x63, 0x99):
        return None, None
    raise bad_request("window is no pair of dates", _EXPIRED)


def decode_check_user(plain):
    """0x55 -> (start, end, flag_pos, uid); start and end are date5, or both None for the permanent window.

    Accepts decimal and BCD dates as lock-ble-link.md 8.5 says. BadRequest (0x0E) for bytes that are neither.
    """
    check_length(plain, 17)
    start, end = _window(bytes(plain[:5]), bytes(plain[5:10]))
    return start, end, decode_number(plain, 10, 3), decode_number(plain, 13, 4)


def encode_challenge(challenge):
    """Data of the answer to 0x41 and 0x55."""
    return number(challenge, 4)


def decode_sum(plain):
    """0x30 -> the sum of challenge and unlock key."""
    check_length(plain, 4)
    return decode_number(plain, 0, 4)


def decode_operate(plain):
    """0x47, 0x58 -> (sum, the client's Unix time)."""
    check_length(plain, 8)
    return decode_number(plain, 0, 4), decode_number(plain, 4, 4)


def encode_operated(battery, uid, record_id, date6):
    """Data of the answer to 0x47, 0x58 and of the push after a record: the full form, 15 bytes."""
    return bytes((percent(battery),)) + number(uid, 4) + number(record_id, 4) + dates.encode6(date6)


def decode_status_request(plain):
    """0x14: nothing but the fixed word."""
    if bytes(plain) != SCIENER:
        raise ProtocolError("status request without its word")


def encode_status(battery, state, door):
    """Data of the answer to 0x14 and of a pushed state: always three bytes (lock-ble-link.md 8.8)."""
    return bytes((percent(battery), state, door))


def encode_features(battery, mask, words=4):
    """Data of the answer to 0x01; bit n of `mask` is feature n. Locks send four words, the last ones zero
    (lock-ble-link.md 8.9)."""
    data = bytes((percent(battery),))
    for place in range(words):
        data += number(mask >> (32 * place) & 0xFFFFFFFF, 4)
    return data


def encode_clock(date6):
    """Data of the answer to 0x34, and to 0x90 for item 6."""
    return dates.encode6(date6)


def decode_set_clock(plain):
    """0x43 -> date6. BadRequest (0x1D) when the six bytes are no date."""
    check_length(plain, 6)
    return decode_date(plain, 0, 6)


def decode_device_item(plain):
    """0x90 -> item number."""
    check_length(plain, 1)
    return plain[0]


def encode_text(text):
    """Data of the answer to 0x90 for items 1 to 4: the text and one 00, which clients cut off (lock-ble-link.md
    8.10)."""
    return text.encode() + b"\x00"


def encode_address(address):
    """Data of the answer to 0x90 for item 5: least significant octet first."""
    check_length(address, 6)
    return bytes(address[5 - place] for place in range(6))


def decode_log(plain):
    """0x25 -> cursor; 0xFFFF asks for what no such walk has delivered."""
    check_length(plain, 2)
    return decode_number(plain, 0, 2)


def encode_record(number_, record):
    """Data of the answer to 0x25: one record with its number, or None (any number) when there is none."""
    if record is None:
        return b"\x00\x00"
    if not 0 <= number_ <= _MAX_NUMBER or not 0 < len(record) <= _MAX_RECORD:
        raise ProtocolError("record %d of %d bytes" % (number_, len(record)))
    body = number(number_ + 1, 2) + number(len(record), 1) + record
    return number(len(body), 2) + body


def decode_diagnosis(plain):
    """0xe7 -> the page asked for, from 0. BadRequest for a page that no report has."""
    op = operation(plain)
    if op != QUERY:
        raise unknown_operation(op)
    check_length(plain, 2)
    if plain[1] >= _MAX_PAGES:
        raise bad_request("page %d" % plain[1])
    return plain[1]


def encode_report(battery, report, page):
    """Data of the answer: the bytes of one page of `report`, and which is next (0xff: none). BadRequest behind it."""
    at = page * _PAGE
    if at and at >= len(report):
        raise bad_request("page %d of %d bytes" % (page, len(report)))
    following = page + 1 if at + _PAGE < min(len(report), _MAX_PAGES * _PAGE) else _LAST
    return bytes((percent(battery), QUERY, following)) + report[at : at + _PAGE]
