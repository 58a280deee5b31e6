"""The records of a lock's log, page by page, without their secrets. Owns what the gateway gets to see of a record; how
far the log is read is `records`'.

No digits, no card number and no address stay on the gateway (security.md LOG-2, LOG-3). The credential is named by a
number instead: a user's uid and a fingerprint's number as they are, a code, a card and a fob by its mark. Wrong entries
have none: they are near misses of a real code.
"""

from firmware.lib import marks, opcodes, records
from firmware.lib.compat import const
from firmware.lib.errors import AuthError, FirmwareError, ProtocolError
from firmware.lib.messages import session_client

_HEADER = const(8)
_ADDRESS = const(6)
_WRONG_CODE = const(7)


class Pages:
    """The log of one lock over one link, page by page. Nothing secret leaves it. `asked`: how many were asked for.

    A lock of ours keeps the digits of codes from whoever is not its administrator; with the first such record we log
    in, once for a link, so that a log without codes costs nothing more.
    """

    def __init__(self, session):
        self._session = session
        self._may_log_in = True
        self.asked = 0

    async def at(self, cursor):
        """(number, record without secrets, number of its credential) at or above the cursor, or None at the end. A lock
        may refuse a cursor for once; what it refuses twice is raised. Raises as `Session.ask`."""
        try:
            record = await self._ask(self._session.ask, cursor)
        except FirmwareError as err:
            if not err.is_answer or isinstance(err, AuthError):
                raise
            record = await self._ask(self._session.ask, cursor)
        if record is None:
            return None
        if self._may_log_in and _is_masked(record[1]):
            try:
                record = await self._ask(self._session.ask_as_admin, record[0]) or record
            except AuthError:  # the record does without
                self._may_log_in = False
        who, raw = _redacted(self._session.lock.aes, record[1])
        return record[0], raw, who

    async def _ask(self, ask, cursor):
        self.asked += 1
        after, listed = session_client.log_page(await ask(opcodes.LOG, session_client.log_request(cursor)))
        if not listed:
            return None
        if not 0 < after < 0xFFFF:
            raise ProtocolError("log page leads nowhere")
        raw = listed[0]
        if len(raw) < _HEADER:
            raw = raw + bytes(_HEADER - len(raw))  # cut off: kept, so that its number is not taken for lost
        return after - 1, raw


def _is_masked(raw):
    """True when the record is about a code whose digits the lock keeps from whoever is not its administrator."""
    if raw[0] == _WRONG_CODE:
        return False
    try:
        return "*" in records.fields(records.decode(raw)).get("code", "")
    except ProtocolError:
        return False


def _redacted(aes, raw):
    """A raw record as the lock sent it -> (number of the credential or None, the record without secrets).

    Lengths and layout stay, so that the rest can be read from it; a tail that does not fit its type is dropped,
    and one of a type that nobody has seen, but for alarms, where nobody shows a credential.
    """
    clean = bytearray(records.mask(raw))
    try:
        fields = records.fields(records.decode(raw))
    except ProtocolError:
        fields = None
    if not fields:
        return None, bytes(clean if raw[0] in records.LATER else clean[:_HEADER])
    who = fields.get("uid", fields.get("credential"))
    if "card" in fields:
        who = marks.of_card(aes, fields["card"])
        clean[_HEADER:] = bytes(len(clean) - _HEADER)
    elif "address" in fields:
        who = marks.of_fob(aes, fields["address"])
        clean[_HEADER : _HEADER + _ADDRESS] = bytes(_ADDRESS)
    elif raw[0] != _WRONG_CODE and fields.get("code", "*").find("*") < 0 and fields["code"]:
        who = marks.of_passcode(aes, fields["code"].encode())
    return who, bytes(clean)
