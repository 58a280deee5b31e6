"""Import from another lock: passcodes and cards of one lock are added to another; what cannot be copied is listed.

Reads lock A, then writes lock B, as their administrator over the local link. What B has already stays as it is, so that
a run that was cut off is simply done again. Fingerprints belong to A's sensor, ekeys to A's keys (domain.md key feature
11).
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from firmware.lib import opcodes
from firmware.lib.errors import FirmwareError, LinkError, LockRefused, ProtocolError
from firmware.lib.messages import card_client, cyclic_client, fingerprint_client, passcode_client
from host_tools.errors import HostError
from host_tools.near.local_link import AdminLink, walk
from host_tools.owner import ekeys
from host_tools.owner.keybook import Entry

WRITTEN, THERE, FAILED, STAYS = "written", "there already", "failed", "cannot move"


@dataclass
class Item:
    """What became of one credential; `what` names it without its digits."""

    kind: str
    what: str
    state: str
    why: str = ""


async def passcodes(admin: AdminLink) -> AsyncIterator[passcode_client.Passcode]:
    """All of a lock's, one by one. Some locks end the list with error 01."""
    ask = admin.ask, opcodes.PASSCODE_LIST
    async for page in walk(*ask, passcode_client.list_request, passcode_client.page, ProtocolError):
        for each in page:
            yield each


async def _cards(admin: AdminLink) -> list[tuple[card_client.Card, list[bytes]]]:
    """All cards of a lock, each with its recurring hours."""
    listed = walk(admin.ask, opcodes.CARD, card_client.list_request, card_client.entry)
    return [(card, await _hours(admin, card.id)) async for card in listed]


async def _hours(admin: AdminLink, card: bytes) -> list[bytes]:
    """None for a card without, and for a lock that cannot be asked for them."""

    def request(index: int) -> bytes:
        return cyclic_client.query(cyclic_client.CARD, card, index)

    return [each async for each in walk(admin.ask, opcodes.CYCLIC, request, cyclic_client.window_of, FirmwareError)]


async def _fingers(admin: AdminLink) -> int:
    listed = walk(admin.ask, opcodes.FINGERPRINT, fingerprint_client.list_request, fingerprint_client.entry)
    return len([each async for each in listed])


async def _write(admin: AdminLink, command: int, plain: bytes, kind: str, what: str) -> Item:
    try:
        await admin.ask(command, plain)
    except LinkError:
        raise
    except LockRefused as err:
        if err.reason == "exists":
            return Item(kind, what, THERE)
        return Item(kind, what, FAILED, err.reason)
    except FirmwareError as err:
        return Item(kind, what, FAILED, err.code)
    return Item(kind, what, WRITTEN)


async def copy(source: Entry, target: Entry, progress: Callable[[str], None] = lambda step: None) -> list[Item]:
    """Copy; one Item for each credential of `source`."""
    if source.mac == target.mac:
        raise HostError("bad_request", "that is the same lock")
    report: list[Item] = []
    async with AdminLink(source) as reader:
        codes = [each async for each in passcodes(reader)]
        progress("%d passcodes read from %s" % (len(codes), source.name))
        cards = await _cards(reader)
        progress("%d cards read" % len(cards))
        fingers = await _fingers(reader)
    async with AdminLink(target) as writer:
        there = {each.code: each async for each in passcodes(writer)}
        for place, code in enumerate(codes):
            what = "%d of %d" % (place + 1, len(codes))
            same = there.get(code.code)
            if same is not None:
                is_same = _limits(same) == _limits(code)
                report.append(Item("passcode", what, THERE if is_same else FAILED, "" if is_same else "other validity"))
                continue
            plain = passcode_client.recover(code.kind, code.code, code.start, code.end, code.schedule)
            report.append(await _write(writer, opcodes.PASSCODE, plain, "passcode", what))
            progress("passcode %s: %s" % (what, report[-1].state))
        have = {card.id: (card.start, card.end, hours) for card, hours in await _cards(writer)}
        for place, (card, hours) in enumerate(cards):
            what = "%d of %d" % (place + 1, len(cards))
            if card.id in have and have[card.id] == (card.start, card.end, hours):
                report.append(Item("card", what, THERE))
                continue
            plain = card_client.add(card.id, card.start, card.end)
            item = await _write(writer, opcodes.CARD, plain, "card", what)
            for window in hours:
                if item.state == WRITTEN and window not in have.get(card.id, (None, None, []))[2]:
                    plain = cyclic_client.add(cyclic_client.CARD, card.id, window)
                    item = await _write(writer, opcodes.CYCLIC, plain, "card", what)
            report.append(item)
            progress("card %s: %s" % (what, item.state))
    report += [Item("fingerprint", "%d of %d" % (n + 1, fingers), STAYS, "enrol it anew") for n in range(fingers)]
    for each in ekeys.ekeys_of(source):
        if each.is_live:
            report.append(Item("ekey", each.person, STAYS, "send a new one"))
    return report


def _limits(code: passcode_client.Passcode) -> tuple:
    return code.kind, code.start, code.end, code.schedule
