"""What the owner asks about issuers over MQTT: `issuers`, `issuer_add`, `issuer_remove`. Owns the checks of their
arguments; loaded for a moment only. No key is ever shown.
"""

from firmware.gateway import issuers as store
from firmware.gateway.admission import Refusal
from firmware.gateway.operations import table
from firmware.gateway.operations.arguments import number, only
from firmware.gateway.provisioning import hex_key
from firmware.lib import envelope, topics
from firmware.lib.errors import BadRequest

_MAX_RATE = 10000


def _names(args, key, is_right, max_count):
    """A list of names, or None for `*` and for what is not said. Raises BadRequest."""
    value = args.get(key, "*")
    if value == "*":
        return None
    if isinstance(value, list) and 0 < len(value) <= max_count and all(is_right(each) for each in value):
        return sorted(set(value))
    raise BadRequest("%s must be * or a list of names" % key)


def _is_op(word):
    if not isinstance(word, str):
        return False
    rules = table.rules(word, True)
    if rules is None:
        rules = table.rules(word, False)
    return rules is not None and not rules & table.OWNERS


def _is_lock(id):
    return isinstance(id, str) and topics.is_id(id)


def _shown(name, kept):
    shown = {"name": name}
    for key in ("ops", "locks"):
        shown[key] = kept.get(key) or "*"
    if kept.get("rates"):
        shown["rates"] = kept["rates"]
    return shown


def run(issuers, op, args):
    """Do it -> `data` of the result. Raises BadRequest, Refusal, OSError."""
    kept = issuers.kept()
    if op == "issuers":
        only(args)
        return {"items": [_shown(name, kept[name]) for name in sorted(kept)]}
    name = args.get("name")
    if not envelope.is_name(name):
        raise BadRequest("name must be 1 to 16 of a-z, 0-9 and -")
    if name == envelope.OWNER:
        raise Refusal("forbidden", "the owner comes and goes at the gateway itself")
    if op == "issuer_remove":
        only(args, "name")
        if kept.pop(name, None) is not None:
            issuers.store(kept)
        return {}
    only(args, "name", "key", "ops", "locks", "rates")
    kept[name] = {
        "key": hex_key(args.get("key")).hex(),
        "ops": _names(args, "ops", _is_op, 32),
        "locks": _names(args, "locks", _is_lock, 64),
        "rates": _rates(args.get("rates")),
    }
    if len(kept) > store.MAX_ISSUERS:
        raise Refusal("refused", "this gateway has %d issuers already" % store.MAX_ISSUERS, "full")
    for other in kept:
        if other != name and kept[other]["key"] == kept[name]["key"]:
            raise Refusal("refused", "another issuer has this key", "exists")
    issuers.store(kept)
    return _shown(name, kept[name])


def _rates(rates):
    if rates is None:
        return None
    if not isinstance(rates, dict):
        raise BadRequest("rates must be an object")
    only(rates, *store.RATES)
    return {key: number(rates, key, 1, _MAX_RATE) for key in rates}
