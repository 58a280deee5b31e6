"""With which status a command ends, by the code of its error. Owns that table; docs/reference.md shows it."""

from host_tools import extras
from host_tools.owner import key_files

DONE = 0
FAILED = 1
USAGE = 2
AWAY = 3
UNKNOWN = 4
NETWORK = 5
FILE = 6
KEPT = 7
ABSENT = 8
WARNED = 9
STOPPED = 130

MEANING = {
    DONE: "done",
    FAILED: "refused or failed: nothing was changed, or what was changed is said",
    USAGE: "the command was not written as it has to be, or names what is not known here",
    AWAY: "the lock or the gateway was not reached in time; nothing was done",
    UNKNOWN: "it was sent, and what became of it is not known: look before you try again",
    NETWORK: "broker or network",
    FILE: "a file, a folder or the key book cannot be read or written",
    KEPT: "not done yet: the gateway keeps it and will do it (`gatehouse jobs`)",
    ABSENT: "a part of Gatehouse is not installed that the command needs; nothing was done",
    WARNED: "it works, and something should be looked at (`gatehouse doctor`)",
    STOPPED: "interrupted: Ctrl-C, the end of the terminal, `kill`",
}

_BY_STATUS = {
    DONE: "ok",
    FAILED: "refused auth wrong_pop unsupported forbidden gateway_key not_owned owned unknown_issuer bad_signature "
    "stale_nonce replayed remote_unlock_disabled cancelled conflict retained rate_limited "
    "protocol internal fault",
    USAGE: "bad_request too_long usage unknown_lock not_found unknown_name unknown_gateway no_zone config",
    AWAY: "not_near busy link link_timeout expired no_clock",
    UNKNOWN: "outcome_unknown",
    NETWORK: "net no_answer wifi_name wifi_password wifi address broker_name broker_refused broker_silent login "
    "broker_lost tls_authority tls_name tls_time tls_client tls_none memory",
    FILE: "keys io",
    KEPT: "pending",
    ABSENT: extras.CODE,
    WARNED: "warning",
    STOPPED: "interrupted",
}
BY_CODE = {code: status for status, codes in _BY_STATUS.items() for code in codes.split()}
BY_CODE |= dict.fromkeys(key_files.CODES, FAILED)  # of a file's faults; what was right in it is taken


def of(code: str) -> int:
    """The status of an error's code; one that is not known here (a newer gateway's) is a failure."""
    return BY_CODE.get(code, FAILED)
