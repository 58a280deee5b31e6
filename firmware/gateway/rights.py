"""Who may ask for what, and when: signatures, the owner's settings, times of signed requests and sealed arguments.
Owns these rules (mqtt.md 2; security.md CMD-3, CMD-7, CMD-9); leaves the order of all checks to the bridge, and what a
signature is to `issuers`.
"""

from firmware.gateway.admission import Refusal
from firmware.gateway.operations import table
from firmware.gateway.scheduler import Expired
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest

_FRESH_NONCE_S = const(30)  # a nonce so young makes its command's iat a time to believe
_EARLY_S = const(30)  # how far ahead the clock of an issuer may be
_UNLOCK_S = const(30)
_MAX_S = const(120)
_SEALED_S = const(120)
NO_OWNER = "this gateway has no owner yet: provision it again, by `gatehouse provision`"


def permit(request, issuers, ids, clock, is_unsigned_allowed, pin=None):
    """Who may ask for this. `ids` is the table of ids, `clock` the gateway's; `is_unsigned_allowed` is the owner's word
    on requests that change something, `pin` the `remote_pin.Pin` with which `…/set` may unlock, if there is one. Raises
    Refusal `forbidden`, for the PIN also `rate_limited`; for sealed arguments Expired, BadRequest."""
    command = request.command
    has_owner = issuers is not None and issuers.has_owner
    rules = table.rules(command.op, request.lock_id is not None) or 0
    if request.proof:
        issuer = request.proof.issuer
        may = issuer.may(command.op, request.lock_id, bool(rules & table.SIGNED))
        if not may or rules & table.OWNERS and not issuer.is_owner:
            raise Refusal("forbidden", "%s may not ask for that" % issuer.name)
        return
    if rules & table.SIGNED:
        raise Refusal("forbidden", "this needs the owner's signature" if has_owner else NO_OWNER)
    if rules & table.GUARDED and not is_unsigned_allowed:
        if pin is None or command.id is not None or command.op != "unlock":  # `…/set` alone has no id
            raise Refusal("forbidden", "unsigned_unlock is off, and the command has no signature")
        pin.judge(command.code, request.lock_id)
        request.is_second_class = False  # from here on it is the owner's word
    if command.sealed is not None and has_owner:
        _judge_sealed(command, issuers, ids, clock)


def _judge_sealed(command, issuers, ids, clock):
    """Sealed arguments without a signature: young, and not seen in a signed request. Raises BadRequest, Refusal."""
    if command.iat is None:
        raise BadRequest("sealed arguments need iat")
    if not clock.trusted:
        raise Refusal("no_clock", "the age of sealed arguments cannot be judged: the gateway's clock is not trusted")
    if not -_EARLY_S <= clock.now() - command.iat <= _SEALED_S:
        raise Expired("sealed arguments are older than %d s" % _SEALED_S)
    for issuer in issuers.all():
        if ids.is_known("%s %s" % (issuer.name, command.id)):
            raise Refusal("replayed", "these arguments came in a signed request before")


def judge_times(request, clock):
    """The times of a signed request (security.md CMD-3). The time of one whose nonce is young is believed while the
    clock is untrusted, and before all servers where its issuer may set the clock of every lock. Raises Refusal,
    Expired, BadRequest."""
    command = request.command
    max_s = _UNLOCK_S if command.op in ("unlock", "emergency_unlock") else _MAX_S
    if not 0 <= command.exp - command.iat <= max_s:
        raise BadRequest("exp must lie at most %d s after iat" % max_s)
    proof = request.proof
    if proof.age_s <= _FRESH_NONCE_S:
        clock.signed(command.iat, proof.age_s, proof.issuer.may("time_sync", None, True))
    elif not clock.trusted:
        raise Refusal("stale_nonce", "the gateway has no time of its own: say hello right before")
    if not clock.trusted:
        raise Refusal("no_clock", "iat is earlier than what the gateway knows for certain")
    if not command.iat - _EARLY_S <= clock.now() <= command.exp:
        raise Expired("iat and exp do not agree with the gateway's clock")
