"""The diagnosis report: 0xe7. What helps to find out why a lock does not do what it should, and no secret in it.

A UTF-8 JSON text in pages, made anew when its first page is asked for, so that the pages of one reading fit together.
Source: lock-ble-commands.md 9.2; domain.md key feature 11.
"""

import json

from firmware.lib import opcodes
from firmware.lib.errors import BadRequest
from firmware.lib.messages import common, session_lock

_STORES = ("passcodes", "cards", "fingerprints", "fobs", "ekeys")
_GUARDS = ("user", "admin", "keypad", "cards", "fingers")
# The settings that are reported: an allow-list, since a later setting may hold a secret
_OPTIONS: tuple = ("autolock_s", "sound", "volume", "remote_unlock", "passcode_display", "tamper", "privacy")
_OPTIONS += ("reset_button", "passage_auto_unlock", "door_alarm_s", "lamp_s", "direction", "language", "frozen")
_OPTIONS += ("double_locked", "wrong_limit", "lockout_s")


def page(engine, number):
    """One page of the report."""
    session = engine.session
    if number == 0 or session.report is None:
        session.report = json.dumps(_report(engine), separators=(",", ":")).encode()
    try:
        data = session_lock.encode_report(engine.device.battery_pct, session.report, number)
    except BadRequest as err:
        return common.failure(opcodes.DIAGNOSIS, err.ble)
    return common.success(opcodes.DIAGNOSIS, data)


def _report(engine):
    device = engine.device
    stores = engine.stores
    report = device.about() if device.about else {}
    identity = engine.identity
    report["model"] = identity.model
    report["firmware"] = identity.firmware
    report["features"] = "%x" % engine.features
    report["battery"] = device.battery_pct
    report["bolt"] = device.bolt.state
    report["movements"] = device.bolt.movements
    report["clock"] = "%04d-%02d-%02dT%02d:%02d:%02d" % stores.clock.date6()
    report["clock_trusted"] = stores.clock.is_trusted
    ring = stores.ring
    report["records"] = {"kept": len(ring), "next": ring.next_number, "unread": ring.has_unread}
    report["refused_by_flash"] = {"records": device.unrecorded, "counters": stores.limits.unsaved}
    report["stores"] = {name: len(getattr(stores, name)) for name in _STORES}
    report["wrong"] = {}  # in a row, in 24 hours, seconds to wait
    for name in _GUARDS:
        guard = getattr(stores.limits, name)
        wait_s = (guard.wait_ms(engine.now_ms) + 999) // 1000
        report["wrong"][name] = [guard.consecutive, guard.spent, wait_s]
    report["options"] = {name: getattr(stores.options, name) for name in _OPTIONS}
    return report
