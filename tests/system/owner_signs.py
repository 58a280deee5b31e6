"""The owner's signature on what tests send: a session for each gateway, begun again when the gateway came anew.

Owns sessions and the proof of answers; what is asked, and what is waited for, is the bench's. Tests give their requests
ids of their own, so this is not `host_tools.gateway.client`; what it signs with is the same.
"""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

from host_tools.gateway import signing
from host_tools.gateway.signing import LONG_VALID_S, VALID_S, Signer
from host_tools.sim.board.board import Board
from host_tools.sim.site.site import Site

LONG = ("records_read", "upload", "card_enrol", "fingerprint_enrol", "fob_add")  # those with somebody at the door
AGAIN = ("stale_nonce", "replayed")  # what a session's end, or a busy machine, makes of a good request


def id_of(name: str) -> str:
    """The id of a signed request, for one that a test has given a name."""
    is_one = len(name) == 32 and all(digit in "0123456789abcdef" for digit in name)
    return name if is_one else hashlib.sha256(name.encode()).hexdigest()[:32]


class OwnerSigns:
    """`mqtt` is the bench's observer."""

    def __init__(self, site: Site, mqtt: Any) -> None:
        self._site = site
        self._mqtt = mqtt
        self._signers: dict[str, Signer] = {}
        self._since: dict[str, int] = {}  # messages that had been heard when a session began
        self._times: dict[str, tuple[int, int]] = {}  # of requests: when, until when
        self._turn = asyncio.Lock()

    async def sign(self, gateway: Board, lock: str | None, request: dict, is_long: bool) -> str:
        """A request as the owner sends it, with a time: a repeat, by its id, has that of the first. `lock` is an id."""
        signer = await self._session(gateway)
        now = signer.now()
        valid_s = LONG_VALID_S if is_long else VALID_S
        iat, exp = self._times.get(request["id"], (now, now + valid_s))
        exp = request.get("exp", exp)
        iat = max(min(iat, exp - 1), exp - valid_s)  # a test's clock may be a second ahead of the gateway's
        self._times[request["id"]] = iat, exp
        return signer.sign(lock, {**request, "iat": iat, "exp": exp})

    def end(self, gateway: Board) -> None:
        """The gateway has said that it does not know the session."""
        self._since.pop(gateway.id, None)

    async def _session(self, gateway: Board) -> Signer:
        async with self._turn:
            if gateway.id not in self._signers:
                for pin in self._site.pins():
                    self._signers.setdefault(pin.id, Signer(pin, now_s=self._site.now, follows=False))
            signer = self._signers[gateway.id]
            if gateway.id not in self._since or self._came_anew(gateway):
                await self._hello(gateway, signer)
            return signer

    def _status(self, gateway: Board) -> Callable[[Any], bool]:
        topic = "gatehouse/%s/status" % gateway.id
        return lambda message: message.topic == topic and message.text == "online"

    def _came_anew(self, gateway: Board) -> bool:
        return any(map(self._status(gateway), self._mqtt.messages[self._since[gateway.id] :]))

    async def _hello(self, gateway: Board, signer: Signer) -> None:
        """Asked again whenever the gateway has connected anew meanwhile."""
        topic = signer.topic(None, "rsp")
        while True:
            ident = signing.new_id()
            seen = len(self._mqtt.messages)
            await self._mqtt.publish(signer.topic(None, "cmd"), signer.hello(ident))

            def is_answer(message: Any, ident: str = ident) -> bool:
                return message.topic == topic and message.value["id"] == ident

            is_online = self._status(gateway)
            told = await self._mqtt.wait(lambda m: is_answer(m) or is_online(m), after=seen)  # noqa: B023
            if is_answer(told):
                break
        assert signer.proves(topic, told.text.encode()), told.text
        signer.begin(told.value["data"])
        self._since[gateway.id] = seen
