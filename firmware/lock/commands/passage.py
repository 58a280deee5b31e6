"""Passage windows: 0x66. Listing needs S1, a change S3. Source: lock-ble-commands.md 6.2."""

from firmware.lib import opcodes
from firmware.lib.messages import common, passage_lock

_NO_PERMISSION = 0x02
_FULL = 0x04
_NOT_FOUND = 0x1F


def manage(engine, request):
    """0x66"""
    op, found = request
    passage = engine.device.passage
    battery = engine.device.battery_pct
    if op == passage_lock.LIST:
        raw = passage.at(found)
        return common.success(opcodes.PASSAGE, passage_lock.encode_list(battery, found + 1, raw))
    if not engine.is_admin():
        return common.failure(opcodes.PASSAGE, _NO_PERMISSION)
    if op == passage_lock.ADD:
        if not passage.add(found):
            return common.failure(opcodes.PASSAGE, _FULL)
    elif op == passage_lock.DELETE:
        if not passage.remove(found):
            return common.failure(opcodes.PASSAGE, _NOT_FOUND)
    else:
        passage.clear()
    engine.note("passage", windows=len(passage))
    return common.success(opcodes.PASSAGE, passage_lock.encode_managed(battery, op))
