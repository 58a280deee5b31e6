"""Who may say and hear what at a broker: access rules for each identity (security.md ACL-1).

Owns the rules as filters, and as mosquitto's access file. An identity that has none has no rights at all. Leaves
certificates to `authority`. `may` answers for one topic, for tests and for whoever wants to know.
"""

from collections.abc import Iterable

from firmware.lib.topics import GATEWAY_LEAVES, HA_STATUS, LOCK_LEAVES, Topics
from host_tools.broker.authority import Identity

_OBEYED = ("cmd", "set", "records/ack")
_TOLD = [leaf for leaf in GATEWAY_LEAVES if leaf not in _OBEYED]
_LOCK_TOLD = [leaf for leaf in LOCK_LEAVES if leaf not in _OBEYED]
_RECORDS = ("records", "event", "availability")
_SERVICE = (*_RECORDS, "state")  # it tells of doors and batteries, too

Rule = tuple[str, str]  # ("read" | "write", filter)


def rules(identity: Identity, gateways: Iterable[str], base: str = "gatehouse") -> list[Rule]:
    """What `identity` may read (hear) and write (publish), where these gateways are at the broker."""
    if identity.role == "gateway":
        own = Topics(identity.name, base)
        told = [own.gateway(leaf) for leaf in _TOLD] + [own.lock("+", leaf) for leaf in _LOCK_TOLD]
        told.append("homeassistant/device/%s/+/config" % identity.name)
        return [("write", topic) for topic in told] + [("read", topic) for topic in own.obeyed()]
    made: list[Rule] = []
    for gateway in gateways:
        topics = Topics(gateway, base)
        if identity.role in ("recorder", "service"):
            made += [("read", topics.gateway(leaf)) for leaf in ("status", "info")]
            made += [
                ("read", topics.lock("+", leaf)) for leaf in (_SERVICE if identity.role == "service" else _RECORDS)
            ]
            made.append(("write", topics.lock("+", "records/ack")))
        else:
            made += [("read", topics.gateway(leaf)) for leaf in _TOLD]
            made += [("read", topics.lock("+", leaf)) for leaf in _LOCK_TOLD]
            made.append(("write", topics.gateway("cmd")))
            made += [("write", topics.lock("+", leaf)) for leaf in _OBEYED]
            made.append(("read", "homeassistant/device/%s/+/config" % gateway))
    if identity.role == "controller":  # Home Assistant tells that it has started
        made.append(("write", HA_STATUS))
        made.append(("read", HA_STATUS))
    return made


def access_file(identities: list[Identity], base: str = "gatehouse") -> str:
    """The text of mosquitto's `acl_file`. The user of a connection is the name in its certificate."""
    gateways = [each.name for each in identities if each.role == "gateway"]
    lines = ["# Written by `gatehouse broker`, and written anew by it: what is changed here by hand is lost.", ""]
    for identity in identities:
        lines += ["# %s" % identity.role, "user %s" % identity.name]
        lines += ["topic %s %s" % rule for rule in rules(identity, gateways, base)]
        lines.append("")
    return "\n".join(lines)


def may(given: list[Rule], action: str, topic: str) -> bool:
    """Whether `rules` let somebody "read" or "write" one topic."""
    return any(each == action and _matches(pattern, topic) for each, pattern in given)


def _matches(pattern: str, topic: str) -> bool:
    levels, asked = pattern.split("/"), topic.split("/")
    return len(levels) == len(asked) and all(level in ("+", each) for level, each in zip(levels, asked, strict=True))
