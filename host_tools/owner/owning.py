"""How a gateway becomes the owner's: its issuer key is made and kept here, and the gateway's own key is pinned.

Owns the order: the key is on the disk before the gateway gets it, so that no gateway ever belongs to a key that nobody
has. Leaves the cable to the caller: `request` is what its console is asked, `settle` takes the reply. mqtt.md 2.
"""

from dataclasses import replace
from typing import Any

from firmware.lib import envelope
from host_tools import text
from host_tools.errors import HostError
from host_tools.owner import gateways
from host_tools.owner.gateways import Gateway
from host_tools.owner.keybook import KeyBook


class Owning:
    """One gateway on a cable, whose id is `ident`; `more` are members of its entry (name, broker, base, simulated)."""

    def __init__(self, book: KeyBook, ident: str, **more: Any) -> None:
        self._book = book
        self._ident = ident
        self._more = more
        self._before: Gateway | None = None
        self._entry: Gateway | None = None

    def request(self) -> dict:
        """What to say on the gateway's console. The key in it is in the key book by then. HostError."""

        def with_key(known: Gateway | None) -> Gateway:
            self._before = known
            if known is not None and known.issuer == envelope.OWNER:
                return known
            return gateways.new(self._ident)

        self._entry = self._book.change_gateway(self._ident, with_key)
        assert self._entry is not None
        return {"do": "own", "issuer": self._entry.key}

    def settle(self, reply: dict) -> Gateway:
        """Pin what the gateway has answered -> its entry. HostError `owned` when it is somebody else's."""
        public = reply.get("public")
        if not reply.get("ok") or not isinstance(public, str):
            self._book.change_gateway(self._ident, lambda known: self._before)
            raise _refusal(self._ident, reply)

        entry = self._entry
        assert entry is not None
        told: dict[str, Any] = {key: _tidy(value) for key, value in self._more.items()}
        entry = replace(entry, public=public.lower(), **told)
        self._book.change_gateway(self._ident, lambda known: entry)
        return entry


def _refusal(ident: str, reply: dict) -> HostError:
    code = str(reply.get("code") or reply.get("error") or "")
    if code == "owned":
        todo = "erase it first: `gatehouse gateway reset --port PORT`; it then forgets its locks and settings"
        return HostError("owned", "gateway %s belongs to somebody else" % ident, todo)
    text_ = "gateway %s does not know what an owner is (%s)" % (ident, reply.get("msg") or code or "no key")
    return HostError("unsupported", text_, "give it its present firmware: `gatehouse update PORT`, or `flash`")


def _tidy(value: Any) -> Any:
    return text.tidy(value) if isinstance(value, str) else value
