"""What the gateway itself says no with, before anything is sent to a lock. Codes: domain.md 5.5."""

from firmware.lib.errors import FirmwareError


class Retained(FirmwareError):
    """The broker kept the message: it would come again at every connect."""

    code = "retained"


class Conflict(FirmwareError):
    """The id was used for another request."""

    code = "conflict"


class RateLimited(FirmwareError):
    """Too many requests."""

    code = "rate_limited"


class Forbidden(FirmwareError):
    """Not allowed to an unsigned request."""

    code = "forbidden"


class UnknownLock(FirmwareError):
    """This gateway has no keys for the lock."""

    code = "unknown_lock"


class Busy(FirmwareError):
    """No room for another one."""

    code = "busy"


class Cancelled(FirmwareError):
    """Withdrawn by a later request or by the owner."""

    code = "cancelled"


class Full(FirmwareError):
    """More locks than fit."""

    code = "refused"
    reason = "full"
