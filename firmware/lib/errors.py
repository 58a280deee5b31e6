"""Every exception that Gatehouse raises on purpose, with its stable code.

Codes are the words of `domain.md` 5.5; they appear in payloads, logs and tests. Owns the translation of a lock's
error byte to such a word; how a word is published is the business of `reports`.
"""


class FirmwareError(Exception):
    """Base of everything raised on purpose; `code` is stable, the text is for people. `ble` is the lock's error byte,
    or None where no lock has answered."""

    code = "internal"
    ble: int | None = None

    @property
    def is_answer(self):
        """True for what a lock has answered: it has heard the request, and refused it."""
        return self.ble is not None


class ProtocolError(FirmwareError):
    """Bytes that do not mean what the specification allows."""

    code = "protocol"


class LinkError(FirmwareError):
    """Radio: not found, refused, dropped. `sent` is True once the command may have reached the lock."""

    code = "link"
    sent = False


class LinkTimeout(LinkError):
    """A deadline passed while waiting on the link."""

    code = "link_timeout"


class GaveWay(LinkError):
    """More urgent work wants the radio. Never a result, so it has no code of its own: the job is begun again later."""


class AuthError(FirmwareError):
    """A proof of the key failed."""

    code = "auth"


class LockRefused(FirmwareError):
    """The lock refused. `reason` is a word of `domain.md` 5.5."""

    code = "refused"

    def __init__(self, text, ble=None, reason="other"):
        super().__init__(text)
        self.ble = ble
        self.reason = reason


class Unsupported(FirmwareError):
    """The lock does not know the command, or its feature bit is 0."""

    code = "unsupported"


class BadRequest(FirmwareError):
    """A request that cannot be carried out as written; `ttlock` is a number that says more than that of the word
    (`reports`), or None."""

    code = "bad_request"
    ttlock: int | None = None


class NetError(FirmwareError):
    """Wi-Fi, name resolution or broker. `step` is the word of operations.md, "Connection", that says where the way
    ends, or ""; `cause` is what a socket raised, or None."""

    code = "net"
    cause: Exception | None = None

    def __init__(self, text, step=""):
        super().__init__(text)
        self.step = step


class EntropyError(FirmwareError):
    """The platform's random generator failed, or gives what no random generator gives."""


class ConfigError(FirmwareError):
    """Settings that cannot be used."""

    code = "config"


# A reason in each line, and the error bytes that mean it. Text: a dict would lie in the RAM of a frozen image
_REASONS = """
exists 10 14 19
not_found 15 18 1A 1F
full 04 16
not_valid_now 0E 11
frozen 1C
double_locked 1E
low_battery 0A
not_paired 00 05 06
already_paired 07
no_passcode_data 0B 0C
"""


_CHECKS = b"\x41\x55"
_MEANT = b"\x0a\x0d\x0e\x11\x1c\x1e"  # of a lock that has understood


def _reason(error):
    found = _REASONS.find(" %02X" % error)
    return _REASONS[_REASONS.rfind("\n", 0, found) + 1 : found].split(" ")[0] if found >= 0 else "other"


def from_ble(command, error):
    """The exception (not raised) for error byte `error` in a lock's answer to `command`.

    Source: domain.md 5.5, column "from BLE code"; 0x19 to 0x90 means "no such item" (domain.md 5.4).
    """
    text = "lock answered 0x%02x to command 0x%02x" % (error, command)
    if command in _CHECKS and error not in _MEANT:  # hardware-facts.md F22
        text += ": the header's scene, group or org may be wrong before the keys are"
    if error == 0x1B or (command == 0x90 and error == 0x19):
        kind: type = Unsupported
    elif error in (0x02, 0x03, 0x08, 0x0D, 0x12):
        kind = AuthError
    elif error in (0x0F, 0x17, 0x1D, 0x20):
        kind = BadRequest
    elif error == 0x01:
        kind = ProtocolError
    else:
        return LockRefused(text, error, _reason(error))
    err = kind(text)
    err.ble = error
    return err
