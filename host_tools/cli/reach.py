"""How a command reaches a lock through a gateway: the options that say where, the request, how its result is shown.

A command says `via: Gateway` or `via: Change` and has the options --broker, --base, --gateway (and --no-wait).
"""

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from host_tools import screen
from host_tools.cli import common, completion, ending
from host_tools.cli.common import out, progress, run
from host_tools.cli.options import OptionGroup
from host_tools.errors import HostError, Pending
from host_tools.gateway import brokers, client, credentials, tls
from host_tools.gateway.client import ServedLock
from host_tools.owner.keybook import KeyBook, lock_id

_ASKING = ("_list", "_get", "state", "info", "jobs")  # ends of operations that change nothing


@dataclass
class Broker(OptionGroup):
    """Options of a command that needs the broker only."""

    broker: Annotated[
        str,
        typer.Option(
            "--broker",
            help="Name in config.toml, host[:port], mqtts:// or mqtt:// URL; default $GATEHOUSE_MQTT, else the "
            "configuration's, else localhost",
        ),
    ] = ""
    base: Annotated[str, typer.Option("--base", help="First level of the topics")] = "gatehouse"
    ca: Annotated[str, typer.Option("--ca", help="Who vouches for the broker: PEM or DER file, or system")] = ""
    cert: Annotated[str, typer.Option("--cert", help="Certificate of this computer at the broker, PEM or DER")] = ""
    key: Annotated[str, typer.Option("--key", help="Its private key, PEM or DER")] = ""
    insecure_broker: Annotated[
        bool, typer.Option("--insecure-broker", help="Talk to a broker without TLS: anyone on the way can listen")
    ] = False

    def connect(self) -> contextlib.AbstractAsyncContextManager[client.Gateways]:
        """`async with via.connect() as gateways`."""
        chosen = brokers.choose(brokers.Given(self.broker, self.ca, self.cert, self.key, self.insecure_broker))
        for each in tls.ending(chosen.tls) if chosen.tls else ():
            common.warn(each)
        return client.connect(chosen, self.base, pins=common.pins)


@dataclass
class Gateway(Broker):
    """Options of a command that asks one gateway."""

    gateway: Annotated[
        str,
        typer.Option(
            "--gateway", help="Name or id of the gateway, where several could serve", autocompletion=completion.gateways
        ),
    ] = ""

    @property
    def is_patient(self) -> bool:
        """Whether the command waits for a lock that is away."""
        return True

    @contextlib.asynccontextmanager
    async def serving(self, ident: str) -> AsyncIterator[ServedLock]:
        """The lock of this id at the gateway that serves it."""
        async with self.connect() as gateways:
            yield await gateways.serving(ident, self.gateway, self.is_patient)

    def use(
        self, lock: str, what: str, work: Callable[[ServedLock, Callable[[str], None]], Awaitable[Any]]
    ) -> tuple[str, Any]:
        """Run `work(served lock, step)` -> (the lock's name, what it returns). Errors end the command.

        Unless the command waits, a request that the gateway keeps gives its message in place of a result.
        """
        with common.reporting():
            ident, name = target(lock)

        known: list[Any] = []  # what is known is told, whatever happens while the connection is ended

        async def whole() -> None:
            async with self.serving(ident) as served:
                with progress("%s: %s ..." % (name, what)) as step:
                    try:
                        known.append(await work(served, lambda text: step("%s: %s" % (name, text))))
                    except Pending as kept:
                        if self.is_patient:
                            raise
                        known.append(kept.message)

        run(whole(), known)
        return name, known[0]

    def ask(
        self,
        lock: str,
        op: str,
        args: dict | None = None,
        secret: bool = False,
        note: Callable[[KeyBook, str, dict, str], Any] | None = None,
    ) -> tuple[str, dict]:
        """Run one operation on one lock -> (the lock's name, the result). Steps on the way are shown.

        `note(key book, id of the lock, data, pending)` is as for `credentials.noted`.
        """
        what = op.replace("_", " ")

        async def work(served: ServedLock, step: Callable[[str], None]) -> dict:
            return await credentials.noted(
                served,
                common.key_book(),
                op,
                args,
                note,
                secret,
                lambda data: _tell_progress(step, op, data),
                common.warn,
            )

        told = self.use(lock, what, work)
        ending.settle(not op.endswith(_ASKING))
        return told

    def items(self, lock: str, op: str, args: dict | None = None) -> tuple[str, list[dict]]:
        """Every item of a list that comes page by page -> (the lock's name, the items)."""
        what = op.replace("_", " ")

        async def work(served: ServedLock, step: Callable[[str], None]) -> list[dict]:
            return await served.items(op, args, lambda count: step("%s: %d so far ..." % (what, count)))

        return self.use(lock, what, work)


@dataclass
class Change(Gateway):
    """Options of a command whose request a gateway may keep until the lock is near."""

    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Leave what the gateway keeps until the lock is near (gatehouse jobs)")
    ] = False

    @property
    def is_patient(self) -> bool:
        return not self.no_wait


Near = Annotated[bool, typer.Option("--beside", help="Over Bluetooth from this computer, not through a gateway")]


@dataclass
class AnyGateway(Gateway):
    """Options of a question that a gateway or the local link carries."""

    near: Near = False


@dataclass
class AnyChange(Change):
    """Options of a change that a gateway or the local link carries."""

    near: Near = False


def target(lock: str) -> tuple[str, str]:
    """(id, name) of a lock; one that is not in the key book may be given by its id or address."""
    digits = lock_id(lock)
    try:
        entry = common.key_book().find(lock)
    except HostError as error:  # bad_request: it is also the name of another lock
        if error.code != "bad_request" and re.fullmatch("[0-9a-f]{12}", digits):
            return digits, digits
        raise
    return entry.id, entry.name


def _tell_progress(step: Callable[[str], None], op: str, data: dict) -> None:
    words = to_do(op, data) or "%s: %s" % (op.replace("_", " "), in_words(data))
    step(words)
    if screen.documents() is not None and to_do(op, data):
        out.print_json_line({"progress": op, "msg": words, **data})


def to_do(op: str, data: dict) -> str:
    """What somebody at the door has to do now; "" for what needs nobody."""
    if data.get("state") != "adding":
        return ""
    if op == "card_enrol":
        return "hold the card to the lock now"
    if op != "fingerprint_enrol":
        return ""
    pressed, total = data.get("press"), data.get("total")
    is_counted = isinstance(total, int) and total > 0
    whole = " of %s" % total if is_counted else ""
    if not pressed:
        return "press the finger on the lock's reader now"
    if is_counted and pressed == total:
        return "pressed %s%s: that was the last" % (pressed, whole)
    return "pressed %s%s: lift the finger, and press it again" % (pressed, whole)


def in_words(data: dict) -> str:
    """Data of a message on the way to a result, in a few words."""
    parts = [str(data["state"]).replace("_", " ")] if data.get("state") else []
    for key, total in (("press", "total"), ("done", "total")):
        if data.get(key) is not None:
            whole = " of %s" % data[total] if (data.get(total) or 0) > 0 else ""
            parts.append("%s %s%s" % ("press" if key == "press" else "", data[key], whole))
    if data.get("last"):
        parts.append("(%s)" % data["last"])
    return " ".join(" ".join(parts).split()) or "..."


def is_kept(result: dict) -> bool:
    """Whether `result` only says that the gateway keeps the request."""
    return "ok" not in result


def done(lock: str, name: str, what: str, result: dict, as_json: bool = False) -> None:
    """Show the result of an operation at a lock that did something: `what` says what, as in "front door unlocked".
    Times are those of the lock."""
    if as_json:
        out.print_json(data=result)
        return
    if is_kept(result):
        out.print("%s: the gateway keeps it as %s until the lock is near" % (name, result.get("id")))
        out.print("how it stands: gatehouse jobs '%s'" % name)
        return
    notes = ["%d ms" % result["ms"]] if isinstance(result.get("ms"), int) else []
    attempts = result.get("attempts")
    if isinstance(attempts, int) and attempts > 1:
        notes.append("%d attempts" % attempts)
    out.print("%s %s%s" % (name, what, " (%s)" % ", ".join(notes) if notes else ""))
    if result.get("data"):
        common.show("", result["data"], zone=common.zone_of(lock))
