"""What every command that asks a gateway for an operation on a lock needs: whom to ask, and how to show the result."""

import click

from host_tools.cli import common
from host_tools.cli.common import out, progress, run
from host_tools.errors import HostError
from host_tools.gateway import client as gateway_client
from host_tools.owner.keybook import lock_id


def target(lock: str) -> tuple[str, str]:
    """(id, name) of a lock; one that is not in the key book may be given by its id or address."""
    digits = lock_id(lock)
    try:
        entry = common.key_book().find(lock)
    except HostError:
        if len(digits) == 12 and all(sign in "0123456789abcdef" for sign in digits):
            return digits, digits
        raise
    return entry.id, entry.name


def ask(
    lock: str,
    broker: str,
    base: str,
    gateway: str,
    op: str,
    args: dict | None = None,
    secret: bool = False,
    is_patient: bool = True,
) -> tuple[str, dict]:
    """Run one operation on one lock; (its name, the result). Errors end the command. Steps on the way are shown.

    Unless `is_patient`, or with `gatehouse --no-wait`, an operation that the gateway keeps until the lock is near is
    left to it.
    """
    context = click.get_current_context(silent=True)
    if context and context.find_root().params.get("no_wait"):
        is_patient = False
    with common.reporting():
        ident, name = target(lock)
    what = "%s: %s" % (name, op.replace("_", " "))

    async def work() -> dict:
        async with gateway_client.connect(broker, base) as gateways:
            with progress(what + " ...") as step:
                chosen = await gateways.choose(gateway, ident)
                return await gateways.command(
                    chosen,
                    ident,
                    op,
                    args,
                    secret,
                    on_progress=lambda found: step("%s: %s" % (what, in_words(found))),
                    is_patient=is_patient,
                )

    return name, run(work())


def in_words(found: dict) -> str:
    """Data of a message on the way to a result, in a few words."""
    parts = [str(found["state"]).replace("_", " ")] if found.get("state") else []
    for key, total in (("press", "total"), ("done", "total")):
        if key in found:
            whole = " of %s" % found[total] if isinstance(found.get(total), int) and found[total] > 0 else ""
            parts.append("%s %s%s" % ("press" if key == "press" else "", found[key], whole))
    if found.get("last"):
        parts.append("(%s)" % found["last"])
    return " ".join(" ".join(parts).split()) or "..."


def done(name: str, what: str, result: dict, as_json: bool) -> None:
    """Show the result of an operation that did something: `what` says what, as in "front door unlocked"."""
    if as_json:
        out.print_json(data=result)
        return
    if "ok" not in result:
        out.print("%s: the gateway keeps it as %s until the lock is near" % (name, result.get("id")))
        return
    attempts = result.get("attempts") or 1
    more = ", %d attempts" % attempts if attempts > 1 else ""
    out.print("%s %s (%s ms%s)" % (name, what, result.get("ms"), more))
    if result.get("data"):
        common.show("", result["data"])
