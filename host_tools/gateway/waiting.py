"""Messages about one request: which of them are believed, and when the last one is there.

Owns that rule (mqtt.md 2): a request that was signed believes what its gateway proves, on the topic of its results, and
nothing else. Leaves the connection to `client`.
"""

import asyncio
from collections.abc import Callable

from host_tools.errors import Pending
from host_tools.gateway import payloads
from host_tools.gateway.signing import Signer

Progress = Callable[[dict], None]


class Waiter:
    """For one request: `topic` is where its answers come, `signer` who must have made them (None: anybody may)."""

    def __init__(
        self, op: str, topic: str, signer: Signer | None, on_progress: Progress | None = None, is_patient: bool = True
    ) -> None:
        self.op = op
        self.is_signed = signer is not None
        self.kept: dict | None = None  # the first message that says that the gateway keeps the request
        self.unproven = ""  # code of an answer that nobody proved
        self._topic = topic
        self._signer = signer
        self._on_progress = on_progress
        self._is_patient = is_patient
        self.renew()

    def renew(self) -> None:
        """Wait for one more final answer: the request was sent again."""
        self.final: asyncio.Future[dict] = asyncio.get_running_loop().create_future()

    def receive(self, topic: str, text: str, reader: payloads.Reader) -> None:
        """A message with the id of this request, read as its operation has it, which the request says."""
        value = reader.message(text, payloads.result(self.op))
        if value is None or topic != self._topic:
            return
        if self._signer is not None and not self._signer.proves(topic, text.encode()):
            self.unproven = str(value.get("code") or "nothing")
        elif not self.final.done():
            self._believe(value)

    def _believe(self, value: dict) -> None:
        if "ok" in value:
            self.final.set_result(value)
            return
        data = value.get("data")
        if data is None:
            return
        if "job_state" in data and self.kept is None:
            self.kept = value
        if self._on_progress:
            self._on_progress(data)
        if self.kept is not None and not self._is_patient:
            self.final.set_exception(Pending(self.kept, "not waited for"))

    def fail(self, error: Exception) -> None:
        """There will be no more messages."""
        if not self.final.done():
            self.final.set_exception(error)

    @property
    def silence(self) -> str:
        """What to add when nothing came that could be believed."""
        if not self.unproven:
            return ""
        return " that proves to be the gateway's (somebody answered `%s`)" % self.unproven
