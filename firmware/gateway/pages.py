"""The pages of a lock's log, read over one link. Owns the reading of one record; how far and what for is the caller's.

Source: lock-ble-link.md 9.1.
"""

from firmware.gateway import redact
from firmware.lib import opcodes
from firmware.lib.compat import const
from firmware.lib.errors import AuthError, LockRefused, ProtocolError
from firmware.lib.messages import log_client

_MIN_LEN = const(8)


class Pages:
    """The log of one lock over one link, page by page. Nothing secret leaves it.

    A lock of ours keeps the digits of codes from whoever is not its administrator; with the first such record we log
    in, once for a link, so that a log without codes costs nothing more.
    """

    def __init__(self, session):
        self._session = session
        self._may_log_in = True

    async def at(self, cursor):
        """(number, record without secrets, number of its credential) at or above the cursor, or None. Raises as
        `Session.ask`."""
        found = await self._ask(self._session.ask, cursor)
        if found is None:
            return None
        if self._may_log_in and redact.is_masked(found[1]):
            try:
                found = await self._ask(self._session.ask_as_admin, found[0]) or found
            except AuthError:  # the record does without
                self._may_log_in = False
        who, raw = redact.redact(self._session.lock.aes, found[1])
        return found[0], raw, who

    async def _ask(self, ask, cursor):
        try:
            data = await ask(opcodes.LOG, log_client.request(cursor))
        except LockRefused as err:
            if err.reason == "not_found":
                return None
            raise
        except ProtocolError as err:
            if getattr(err, "ble", None) is None:
                raise
            return None  # error 01 is "no such record" on some locks (9.1)
        after, found = log_client.page(data)
        if not found:
            return None
        if not 0 < after < 0xFFFF or after == cursor:
            raise ProtocolError("log page leads nowhere")
        raw = found[0]
        if len(raw) < _MIN_LEN:
            raw = raw + bytes(_MIN_LEN - len(raw))  # cut off: kept, so that its number is not taken for lost
        return after - 1, raw
