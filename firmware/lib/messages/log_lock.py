"""The operation log: requests to our lock and its pages. Command 0x25. Masking digits below S3: `records.mask`.

Source: lock-ble-link.md 9.1.
"""

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.messages.common import check_length, decode_number, number

_MAX_NUMBER = const(65533)
_MAX_RECORD = const(104)  # 111 bytes of plain answer, less echo, status, length, sequence, record length


def decode_request(plain):
    """0x25 -> cursor; 0xFFFF asks for what no such walk has delivered."""
    check_length(plain, 2)
    return decode_number(plain, 0, 2)


def encode_page(number_, record):
    """Data of the answer to 0x25: one record with its number, or None (any number) when there is none."""
    if record is None:
        return b"\x00\x00"
    if not 0 <= number_ <= _MAX_NUMBER or not 0 < len(record) <= _MAX_RECORD:
        raise ProtocolError("record %d of %d bytes" % (number_, len(record)))
    body = number(number_ + 1, 2) + number(len(record), 1) + record
    return number(len(body), 2) + body
