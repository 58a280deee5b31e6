"""Topic names of mqtt.md 1, built and taken apart. Owns no payload. The host tools use it as the gateway does."""

from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError

MAX_TOPIC = const(128)  # bytes, security.md CMD-8
HA_STATUS = "homeassistant/status"
_HA = "homeassistant"
GATEWAY_LEAVES = ("status", "info", "metrics", "cmd", "rsp", "log")
LOCK_LEAVES = ("availability", "state", "set", "cmd", "rsp", "event", "records", "records/ack", "trigger")


def is_id(text):
    """True for 12 lower-case hex digits, the form of `<gw>` and `<lock>`."""
    return len(text) == 12 and not text.strip("0123456789abcdef")


def discovery(gateway, device, prefix=_HA):
    """Where Home Assistant looks for a device of a gateway, a lock or itself, given their ids."""
    return "%s/device/%s/gatehouse_%s/config" % (prefix, gateway, device)


class Topics:
    """The topics of one gateway below one base. `gateway` "+" builds the filters of a program that watches them all.
    `prefix` is Home Assistant's, or "" for a gateway that does not listen to it."""

    def __init__(self, gateway, base="gatehouse", prefix=_HA):
        if gateway != "+" and not is_id(gateway):
            raise ProtocolError("gateway id is not 12 lower-case hex digits")
        self.base = base
        self.birth = prefix and prefix + "/status"
        self._root = base + "/" + gateway + "/"

    def gateway(self, leaf):
        """`leaf` is one of GATEWAY_LEAVES."""
        return self._root + leaf

    def lock(self, lock, leaf):
        """`lock` is the lock's id (or "+"), `leaf` one of LOCK_LEAVES."""
        return self._root + "lock/" + lock + "/" + leaf

    def obeyed(self):
        """What the gateway subscribes to, and all that its broker account may read (security.md ACL-1)."""
        own = [self.gateway("cmd")] + [self.lock("+", leaf) for leaf in ("cmd", "set", "records/ack")]
        return own + [self.birth] if self.birth else own

    def parse_obeyed(self, topic):
        """Topic of an arriving message -> (leaf, lock id | None), or None when it is none of ours.

        Leaves: "cmd", "set", "records/ack", and HA_STATUS whole for Home Assistant's birth message.
        """
        if topic == self.birth:
            return HA_STATUS, None
        if not topic.startswith(self._root):
            return None
        rest = topic[len(self._root) :]
        if rest == "cmd":
            return "cmd", None
        if rest[:5] == "lock/" and is_id(rest[5:17]) and rest[17:] in ("/cmd", "/set", "/records/ack"):
            return rest[18:], rest[5:17]
        return None


def parse(topic, base="gatehouse"):
    """Any topic below `base` -> (gateway id, lock id | None, leaf). Raises ProtocolError if mqtt.md 1 lacks it."""
    if topic.startswith(base + "/") and len(topic) <= MAX_TOPIC:
        parts = topic[len(base) + 1 :].split("/")
        if is_id(parts[0]):
            if len(parts) == 2 and parts[1] in GATEWAY_LEAVES:
                return parts[0], None, parts[1]
            leaf = "/".join(parts[3:])
            if len(parts) > 3 and parts[1] == "lock" and is_id(parts[2]) and leaf in LOCK_LEAVES:
                return parts[0], parts[2], leaf
    raise ProtocolError("topic is not one of ours")
