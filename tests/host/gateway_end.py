"""A gateway's end of mqtt.md 2 for tests of the tools: answers `hello`, demands the mac, signs what it answers.

What it says of an operation is the test's. It checks as a gateway does, with what a gateway has: the public bytes on
the topic, and its own keys.
"""

import json
import secrets

from firmware.lib import envelope, sealed, x25519
from host_tools.owner.gateways import Gateway

SECRET = bytes(range(1, 33))
PUBLIC = x25519.public_key(SECRET).hex()
KEY = bytes(range(64, 96))


def pinned(ident: str, **more) -> Gateway:
    """The gateway as a key book has it."""
    return Gateway(ident, PUBLIC, KEY.hex(), **more)


class GatewayEnd:
    """`refuse` gets each request and may give a code with which it is refused, signed."""

    def __init__(self, refuse=lambda request: None, key=KEY, public=PUBLIC, clock=None):
        self.refuse = refuse
        self.key = key
        self.public = public
        self.clock = clock
        self.nonces: set[str] = set()
        self.seen: set[int] = set()
        self.hellos = 0

    def sign(self, topic, body):
        """An answer on the topic of results that belongs to `topic`."""
        return envelope.sign(self.key, topic[:-3] + "rsp", json.dumps(body))

    def take(self, topic, payload, answer):
        """A message on a topic of commands -> (request or None, the payload of its answer or None). `answer(request)`
        gives the members of the result."""
        request = json.loads(payload)
        head = {"id": request["id"], "op": request["op"]}
        if request["op"] == "hello":
            self.hellos += 1
            nonce = secrets.token_hex(16)
            self.nonces.add(nonce)
            said = {"nonce": nonce, "time": self.clock, "trusted": self.clock is not None, "public": self.public}
            said["seq"] = max(self.seen, default=-1)
            return None, self.sign(topic, head | {"ok": True, "code": "ok", "data": said})
        if not envelope.verify(self.key, topic, payload):
            return None, json.dumps(head | {"ok": False, "code": "bad_signature"})
        assert len(payload) <= 1024 and len(request["id"]) == 32
        code = self.refuse(request)
        if code is None and request["nonce"] not in self.nonces:
            code = "stale_nonce"
        if code is None and (request["seq"] in self.seen or request["seq"] < max(self.seen, default=0) - 63):
            code = "replayed"
        if code:
            return None, self.sign(topic, head | {"ok": False, "code": code, "msg": code})
        self.seen.add(request["seq"])
        body = answer(request)
        if body is None:
            return request, None
        ended = {} if body.get("code") == "progress" else {"ok": True, "code": "ok"}
        return request, self.sign(topic, head | ended | body)

    def opened(self, topic, request):
        """The sealed arguments of a request, as only this gateway reads them."""
        bound = request["id"], request["op"], topic, request["iat"]
        return json.loads(sealed.unseal(request["sealed"], SECRET, bytes.fromhex(self.public), *bound))
