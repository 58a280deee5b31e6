"""What a backup adds to a key book: what is missing there. What is there is newer, and stays.

Owns the rule for each kind of thing. A lock that was paired later than the one with the same address wins, and keeps
the other one as its `earlier`; of one pairing what is known is completed, never replaced.
"""

from dataclasses import asdict, replace
from typing import Any

from host_tools.owner.gateways import Gateway
from host_tools.owner.keybook import Entry

_COMPLETED = ("admin_passcode", "model", "features", "erase_code", "seeds", "groups")


def locks(here: dict[str, Entry], kept: list[Entry]) -> tuple[int, int]:
    """Merge into `here` -> (how many locks are new, how many were completed)."""
    new = completed = 0
    for old in kept:
        known = here.get(old.mac)
        made = old if known is None else merged(known, old)
        new += known is None
        completed += known is not None and made != known
        here[old.mac] = made
    return new, completed


def gateways(here: dict[str, Gateway], kept: list[Gateway]) -> tuple[int, list[str]]:
    """The same of gateways -> (how many are new, labels of those for which another key is here)."""
    new, other = 0, []
    for old in kept:
        known = here.get(old.id)
        if known is None:
            here[old.id] = old
            new += 1
        elif (known.public, known.key) != (old.public, old.key):
            other.append(known.label)
    return new, other


def merged(known: Entry, old: Entry) -> Entry:
    """One lock."""
    if known.aes != old.aes:
        return replace(old, earlier=asdict(known)) if old.paired_at > known.paired_at else known
    told: dict[str, Any] = {name: getattr(known, name) or getattr(old, name) for name in _COMPLETED}
    if not known.zone_rule:
        told |= {"zone": old.zone, "zone_rule": old.zone_rule}
    if known.provisional and not old.provisional:
        told |= {"provisional": False, "earlier": old.earlier}
    told["credentials"] = known.credentials + [
        each for each in old.credentials if not any(_same(each, other) for other in known.credentials)
    ]
    uids = {each.get("uid") for each in known.ekeys}
    told["ekeys"] = known.ekeys + [each for each in old.ekeys if each.get("uid") not in uids]
    told["minted"] = known.minted + [each for each in old.minted if each not in known.minted]
    told["flag_pos"] = max(known.flag_pos, old.flag_pos)
    return replace(known, **told)


def _same(one: dict, other: dict) -> bool:
    """Whether two rows are of one credential, in the lock or deleted."""
    if one.get("kind") != other.get("kind"):
        return False
    if set(one.get("who") or []) & set(other.get("who") or []):
        return True
    return (
        one.get("number") is not None
        and one.get("number") == other.get("number")
        and one.get("name") == other.get("name")
    )
