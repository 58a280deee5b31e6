"""0x4e: the lock's name, level S3. Source: lock-ble-commands.md 6."""

from firmware.lib import opcodes
from firmware.lib.messages import common, name_lock


def set_name(engine, text):
    """Durable before the answer; advertised from the next start of advertising on."""
    engine.device.name.set(text)
    engine.note("named", bytes=len(text.encode()))
    return common.success(opcodes.LOCK_NAME, name_lock.encode_named(engine.device.battery_pct))
