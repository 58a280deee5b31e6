"""What a gateway's refusal means to the user. Owns the words for the codes of domain.md 5.5 and their reasons."""

from host_tools.errors import HostError
from host_tools.owner.gateways import PROVISION

# What the user can do about a word of domain.md 5.5
TODO = {
    "expired": "the gateway was busy, or this computer's clock is wrong: try again",
    "no_clock": "the gateway has no time from its NTP server yet; try again in a minute",
    "no_zone": "say where the lock is: gatehouse time zone LOCK --zone Europe/Berlin",
    "rate_limited": "wait a minute, or raise the limit in the gateway's settings",
    "forbidden": "the owner allows this computer other operations or locks: gatehouse issuer list",
    "replayed": "try again",
    "stale_nonce": "the gateway lost its broker again and again: try again",
    "unknown_issuer": "the owner took this computer's right back: gatehouse issuer add, there",
    "owned": "it is somebody's: reset it first",
    "remote_unlock_disabled": "switch it on beside the lock: gatehouse remote-unlock LOCK --on",
    "unknown_lock": "hand its keys over: gatehouse import LOCK",
    "unsupported": "this lock cannot do that",
    "not_near": "the gateway does not hear the lock: check its batteries, or move the gateway nearer",
    "busy": "too many commands at once: try again",
    "link": "the lock could not be reached; try again, or move the gateway nearer",
    "link_timeout": "the lock did not answer; try again, or move the gateway nearer",
    "outcome_unknown": "look at `gatehouse state` before you try again",
    "protocol": "the lock's answers make no sense; look at the gateway's log",
    "auth": "the lock does not accept these keys: it was reset or paired anew",
    "internal": "look at the gateway's log",
}
REASONS = {
    "exists": "the lock has it already",
    "shared_key": "import the administrator's keys of this lock, or ask who has them",
    "full": "delete one first",
    "jammed": "the bolt did not arrive: look at the door",
    "low_battery": "change the lock's batteries",
    "unproven_time": "`gatehouse time sync LOCK` from a computer whose clock is right",
    "not_paired": "the lock was reset: pair it again",
}
_UNSIGNED = "this key book cannot sign for the gateway: provision it again over USB: `%s`" % PROVISION


def refusal(result: dict, op: str, is_signed: bool = False) -> HostError:
    """The error of a result that is not ok; `is_signed`: of a request that was."""
    code = str(result.get("code") or "protocol")
    data = result.get("data")
    reason = str(data.get("reason") or "") if isinstance(data, dict) else ""
    text = str(result.get("msg") or op)
    if reason and reason not in text:
        text = "%s (%s)" % (text, reason)
    todo = REASONS.get(reason, TODO.get(code, ""))
    if code == "forbidden" and not is_signed:
        todo = _UNSIGNED
    return HostError(code, text, todo, reason, result.get("ttlock"))
