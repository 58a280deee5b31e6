"""The operation log: 0x25, one record per page. Source: lock-ble-link.md 9.1."""

from firmware.lib import opcodes, records
from firmware.lib.messages import common, log_lock


def page(engine, cursor):
    """The record for a cursor; passcode digits are masked below S3."""
    found = engine.device.ring.read(cursor)
    if found is None:
        return common.success(opcodes.LOG, log_lock.encode_page(0, None))
    number, raw = found
    return common.success(opcodes.LOG, log_lock.encode_page(number, raw if engine.is_admin() else records.mask(raw)))
