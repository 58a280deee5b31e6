"""Command payloads from MQTT -> `Command`. Owns the envelope {"id","op","args" | "sealed","exp","keep"} with what a
signature adds, and the two forms of `…/set`; what an operation does with its arguments is for the gateway's operations,
whether a signature is right is `lib/envelope`'s.

Source: mqtt.md 1, security.md CMD-4, CMD-8, domain.md 5.5 (`bad_request`: not JSON, unknown or missing key, value out
of range, too long).
"""

import hashlib

from firmware.lib import dates
from firmware.lib.compat import const, is_whole
from firmware.lib.errors import BadRequest, ProtocolError
from firmware.lib.strict_json import Reader

_MAX_ID = const(64)
_MAX_OP = const(32)
_MEMBERS = ("id", "op", "args", "sealed", "exp", "keep", "iat", "iss", "nonce", "seq", "mac")
_MAX_KEEP_S = const(604800)
_OP_CHARS = "abcdefghijklmnopqrstuvwxyz0123456789_"
_SET = {b"LOCK": "lock", b"UNLOCK": "unlock"}
_DO = ("lock", "unlock")
_DO_MEMBERS = ("do", "code")


class Command:
    """One request. `id` is None for `…/set`; `exp` and `iat` are absolute Unix seconds or None; `sealed` is text or
    None, and then `args` is empty until whoever holds the key has opened it. `keep`: seconds for which a durable one is
    kept, or None. `iss`, `nonce` and `seq` are as they stand there, unchecked. `code`: the PIN that somebody typed,
    which only `…/set` carries; text or None.
    """

    __slots__ = ("id", "op", "args", "exp", "sealed", "keep", "iat", "iss", "nonce", "seq", "code")

    def __init__(self, id, op, args, exp=None, sealed=None):
        self.id = id
        self.op = op
        self.args = args
        self.exp = exp
        self.sealed = sealed
        self.keep = self.iat = self.iss = self.nonce = self.seq = self.code = None

    def digest(self, scope=""):
        """SHA-256 of what is asked, members in a fixed order; `scope` is the lock's id from the topic. The same id with
        another digest is a `conflict` (security.md CMD-4). Take it before unsealing, so that no secret goes into it.
        """
        state = hashlib.sha256()
        _canonical(state, [scope, self.op, self.args, self.exp, self.sealed])
        return state.digest()


def _canonical(state, value):
    """Feed a value of JSON kind to a hash: type letter, length, content; keys sorted. No two values collide."""
    if isinstance(value, dict):
        state.update(("d%d:" % len(value)).encode())
        for key in sorted(value):
            _canonical(state, key)
            _canonical(state, value[key])
    elif isinstance(value, list):
        state.update(("l%d:" % len(value)).encode())
        for item in value:
            _canonical(state, item)
    else:
        kind = "s" if isinstance(value, str) else "v"
        content = (value if isinstance(value, str) else repr(value)).encode()
        state.update(("%s%d:" % (kind, len(content))).encode())
        state.update(content)


def _id_of(members):
    """The request's id if it is one that may be echoed, else None."""
    value = members.get("id")
    if isinstance(value, str) and 0 < len(value) <= _MAX_ID and all(" " <= c <= "~" for c in value):
        return value
    return None


def _bad(text, id):
    err = BadRequest(text)
    err.id = id  # type: ignore[attr-defined]
    return err


def parse(payload):
    """Payload bytes of `…/cmd` -> Command.

    Raises BadRequest; its `.id` is the request's id if that could be read, else None.
    """
    reader = Reader(payload)
    try:
        members = reader.read()
    except ProtocolError as err:
        raise _bad(str(err), _id_of(reader.top))
    id = _id_of(members)
    if id is None:
        raise _bad("id must be 1 to %d printable ASCII characters" % _MAX_ID, None)
    for key in members:
        if key not in _MEMBERS or (key == "mac" and "iss" not in members):
            raise _bad("unknown member", id)
    op = members.get("op")
    if not isinstance(op, str) or not 0 < len(op) <= _MAX_OP or not all(c in _OP_CHARS for c in op):
        raise _bad("op missing or not a word", id)
    args = members.get("args")
    sealed = members.get("sealed")
    if sealed is not None:
        if args is not None or not isinstance(sealed, str):
            raise _bad("sealed must be text, without args beside it", id)
    if args is None:
        args = {}
    if not isinstance(args, dict):
        raise _bad("args must be an object", id)
    for key in ("exp", "iat"):
        if members.get(key) is not None:
            try:
                dates.check_unix(members[key], key, 0)
            except BadRequest as err:
                raise _bad(str(err), id)
    command = Command(id, op, args, members.get("exp"), sealed)
    command.keep = members.get("keep")
    if command.keep is not None and not is_whole(command.keep, 1, _MAX_KEEP_S):
        raise _bad("keep must be whole seconds, at most %d" % _MAX_KEEP_S, id)
    command.iat = members.get("iat")
    command.iss = members.get("iss")
    command.nonce = members.get("nonce")
    command.seq = members.get("seq")
    return command


def parse_args(text, id=None):
    """Opened sealed arguments (one JSON object under the same limits) -> dict. Raises BadRequest with `.id`."""
    try:
        return Reader(text).read()
    except ProtocolError:
        raise _bad("sealed arguments are not an object within the limits", id)


def parse_set(payload):
    """Payload bytes of `…/set` -> Command without id: LOCK, UNLOCK, or {"do","code"} with one of these words, in small
    letters or capitals. `code` counts for unlock only; empty is none, as a hub sends it when nobody was asked.

    Raises BadRequest, whose text never shows the code. Source: mqtt.md 2.2.
    """
    op = _SET.get(bytes(payload))
    code = None
    if op is None:
        if payload.strip()[:1] != b"{":
            raise _bad("neither LOCK nor UNLOCK", None)
        try:
            members = Reader(payload).read()
        except ProtocolError as err:
            raise _bad(str(err), None)
        for key in members:
            if key not in _DO_MEMBERS:
                raise _bad("unknown member", None)
        do = members.get("do")
        op = do if do in _DO else _SET.get(do.encode()) if isinstance(do, str) else None
        if op is None:
            raise _bad("do must be lock or unlock", None)
        if op == "unlock":
            code = members.get("code")
            if code is not None and not isinstance(code, str):
                raise _bad("code must be text", None)
    command = Command(None, op, {})
    command.code = code or None
    return command
