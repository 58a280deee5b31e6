"""What all messages share: answers, length checks, numbers, codes of digits.

Requests are called `plain` (the decrypted payload), answers `data` (what follows echo and status). Decoders of answers
raise ProtocolError for anything that is not in the specification. Decoders of requests (the lock's end) raise
ProtocolError for a structure that does not add up (the lock is silent) and BadRequest, with the error byte to answer in
`ble`, for a well-formed request with a value out of range (0x1D, 0x0F), an unknown operation (0x1B, which the lock
answers above S1 only). Encoders raise BadRequest for values that do not fit.
Source: lock-ble-link.md 6, 6.2; lock-ble-commands.md 1.1, 1.5.
"""

from firmware.lib import dates
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest, ProtocolError

SCIENER = b"SCIENER"

UNKNOWN_OPERATION = 0x1B
OUT_OF_RANGE = 0x1D
BAD_DIGITS = 0x0F

QUERY = 1  # operation bytes of the commands that ask for a setting or change it
CHANGE = 2

MAX_PLAIN = 111  # an answer above is unreadable for clients that take the length byte as signed (lock-ble-link.md 3.3)

_FAILED = const(0)
_OK = const(1)


def reply(plain):
    """Decrypted answer -> (echo, ok, data); after a failure `data` begins with the error byte.

    An empty payload, which only 0x52 may have, is for the caller to notice before.
    """
    if len(plain) < 2 or plain[1] > _OK or (plain[1] == _FAILED and len(plain) < 3):
        raise ProtocolError("answer of %d bytes" % len(plain))
    return plain[0], plain[1] == _OK, plain[2:]


def success(command, data=b""):
    """The plain answer "done", to be encrypted."""
    if len(data) + 2 > MAX_PLAIN:
        raise ProtocolError("answer of %d bytes" % (len(data) + 2))
    return bytes((command, _OK)) + data


def failure(command, error):
    """The plain answer "refused", with its error byte."""
    return bytes((command, _FAILED, error))


def check_length(data, *allowed):
    """Raise ProtocolError unless `data` has one of the allowed lengths."""
    if len(data) not in allowed:
        raise ProtocolError("%d bytes" % len(data))


def decode_empty(plain):
    """For requests that carry nothing."""
    check_length(plain, 0)


def bad_request(text, error=OUT_OF_RANGE):
    """A BadRequest (not raised) with its error byte."""
    err = BadRequest(text)
    err.ble = error
    return err


def number(value, size):
    """An unsigned number -> `size` bytes, big-endian. Raises BadRequest when it does not fit."""
    if not 0 <= value < 1 << (8 * size):
        raise bad_request("number does not fit %d bytes" % size)
    return value.to_bytes(size, "big")


def decode_number(buf, at, size):
    """`size` bytes at `at`, big-endian -> unsigned number."""
    if len(buf) < at + size:
        raise ProtocolError("number cut off")
    return int.from_bytes(buf[at : at + size], "big")


def percent(value):
    """A battery level as its byte: never above 100, which clients read as signed or not at all."""
    return min(max(value, 0), 100)


def encode_level(battery):
    """Data of the answers to 0x30, 0x43 and, on a paired lock, 0x45 (hardware-facts.md F24)."""
    return bytes((percent(battery),))


def decode_percent(data, at=0):
    """The battery level that begins most answers."""
    if len(data) <= at or data[at] > 100:
        raise ProtocolError("no battery level")
    return data[at]


def digits(code, shortest=4, longest=9):
    """A code (str or bytes of digits) -> ASCII bytes. Raises BadRequest for a wrong length or a non-digit."""
    if isinstance(code, str):
        code = code.encode()
    if not shortest <= len(code) <= longest or not is_digits(code):
        raise bad_request("a code has %d to %d digits" % (shortest, longest), BAD_DIGITS)
    return bytes(code)


def is_digits(code):
    """True if every byte is an ASCII digit."""
    for byte in code:
        if not 0x30 <= byte <= 0x39:
            return False
    return True


def take(buf, at):
    """A length byte at `at` and as many bytes -> (bytes, index behind them)."""
    if at >= len(buf) or at + 1 + buf[at] > len(buf):
        raise ProtocolError("field cut off")
    end = at + 1 + buf[at]
    return bytes(buf[at + 1 : end]), end


def encode_date(date, size=5):
    """A date of a client's request -> 5 or 6 bytes. Raises BadRequest when it is none."""
    try:
        return dates.encode5(date) if size == 5 else dates.encode6(date)
    except ProtocolError as err:
        raise bad_request(str(err))


def decode_date(buf, at, size=5):
    """A date of a request -> date5 or date6. Raises BadRequest (0x1D) when the bytes are no date."""
    if len(buf) < at + size:
        raise ProtocolError("date cut off")
    try:
        return dates.decode5(buf, at) if size == 5 else dates.decode6(buf, at)
    except ProtocolError as err:
        raise bad_request(str(err))


def operation(plain):
    """The operation byte that begins a request."""
    if not plain:
        raise ProtocolError("no operation")
    return plain[0]


def unknown_operation(op):
    """The exception (not raised) for an operation byte that the command does not have."""
    return bad_request("operation %d" % op, UNKNOWN_OPERATION)
