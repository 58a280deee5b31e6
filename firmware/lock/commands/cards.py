"""Cards over the link: 0x05, level S3. Source: lock-ble-commands.md 4; records 15, 16, 18."""

from firmware.lib import opcodes, records
from firmware.lib.compat import const
from firmware.lib.messages import card_lock, common

_ADDED = const(15)
_CLEARED = const(16)
_DELETED = const(18)


def _answer(engine, op, error):
    if error is not None:
        return common.failure(opcodes.CARD, error)
    return common.success(opcodes.CARD, card_lock.encode_managed(engine.device.battery_pct, op))


def _added(device, card, limits):
    """Store a card -> the answer."""
    is_new = not device.stores.cards.is_stored(card, limits)
    error = device.stores.cards.add(card, limits) if is_new else None
    if error is not None:
        return common.failure(opcodes.CARD, error)
    if is_new:
        device.record(_ADDED, records.by_card(card))
    return common.success(opcodes.CARD, card_lock.encode_added(device.battery_pct, card))


def _enrol(engine):
    device = engine.device
    device.enrolment.begin(opcodes.CARD, "card", lambda card: (_added(device, card, None), True), engine.now_ms)
    return common.success(opcodes.CARD, card_lock.encode_ready(device.battery_pct))


def _delete(device, card):
    error = device.stores.cards.delete(card)
    if error is None:
        device.record(_DELETED, records.by_card(card))
    return error


def _clear(device):
    if len(device.stores.cards):
        device.stores.cards.clear()
        device.record(_CLEARED)


def _listing(device, op, index):
    stored = device.stores.cards.at(index, op == card_lock.LIST_LOST)
    if stored is None:
        data = card_lock.encode_list(device.battery_pct, op, None)
    else:
        slot, card, limits = stored
        data = card_lock.encode_list(device.battery_pct, op, slot + 1, card, limits)
    return common.success(opcodes.CARD, data)


def manage(engine, request):
    """0x05: list, add by tap and by number, modify, delete, clear, and what is lost; durable before the answer."""
    device = engine.device
    op = request[0]
    if op == card_lock.LIST or op == card_lock.LIST_LOST:
        return _listing(device, op, request[1])
    if op == card_lock.ADD:
        return _enrol(engine) if request[1] is None else _added(device, request[1], request[2])
    error = None
    if op == card_lock.CLEAR:
        _clear(device)
    elif op == card_lock.DELETE:
        error = _delete(device, request[1])
    elif op == card_lock.MODIFY:
        error = device.stores.cards.modify(request[1], request[2])
    elif op == card_lock.MARK_LOST:
        error = device.stores.cards.mark_lost(request[1])
    else:
        error = device.stores.cards.unmark_lost(request[1])
    return _answer(engine, op, error)
