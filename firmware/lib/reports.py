"""Payloads that the gateway publishes: results, state, info, metrics, events, record batches. Owns their members (an
allow-list each, security.md LOG-1), the result words with their TTLock numbers, and the bound on a batch.

Source: mqtt.md 1, domain.md 5.5, home-assistant-discovery.md 9 (state and event).
"""

import json

from firmware.lib import dates, records
from firmware.lib.compat import const, row
from firmware.lib.errors import FirmwareError, ProtocolError

_BATCH = const(640)  # bytes of a batch of several records: what a board has at hand in one piece
_MAX_BATCH = const(949)  # of one with a single long record, without its mac; "below 1 KiB" (docs/spec/mqtt.md 1)
_MAX_TEXT = const(120)
_STRONG_DBM = const(-75)
_MEDIUM_DBM = const(-85)

# What each may have: words between spaces, as a text takes no room where the firmware is frozen
_STATE = " lock door battery rssi signal tamper auto_lock_s sound settings last src assumed age_s drift seq ts "
_LAST = " method who ts "
_EVENT = " event_type type method who rec ts moved_s drift "
_ITEM = " rec date type list event method ok who ts approx battery button accessory_battery "
_INFO = """ id version board micropython name boot reset restart nonce x25519 owner locks features flags refused \
clock """
_INFO_LOCK = " mac name model features switch "
_METRICS = """ uptime_s boot reason heap heap_low rssi queue success_pct results operations drift_ms drift \
unlock_p50_ms unlock_p95_ms dropped restarts reconnects clock jobs records ts """

# Result word and its TTLock number, - for words without one. domain.md 5.5
_NUMBERS = """
ok 0
bad_request -3
expired -
no_clock -
no_zone -
retained -
conflict -
rate_limited 30006
forbidden -2018
bad_signature -
unknown_issuer -
stale_nonce -
replayed -
remote_unlock_disabled -3046
unknown_lock -1003
unsupported -4043
not_near -2012
busy -3003
link -3036
link_timeout -3036
outcome_unknown -
protocol 1
auth -2018
refused 1
cancelled -
internal 90000
"""
# Reason of `refused` -> TTLock number, where it is not 1; the object's kind decides for two of them
_REASONS = """
exists -3007
never_used -3008
frozen -2025
no_passcode_data -1007
"""
_NOT_FOUND = """
passcode -2009
card -1021
fingerprint -1023
"""
_CODE_LENGTH = const(0x0F)
_OUT_OF_RANGE = const(0x1D)


def ttlock_number(code, reason=None, op="", ble=None):
    """The TTLock number of a result, or None. `op` is the operation's name, which says what kind of object it is about;
    `ble` the lock's error byte, if the lock said no.
    """
    kind = op.split("_")[0]
    if code == "refused":
        if reason == "not_found":
            return int(row(_NOT_FOUND, kind) or 1)
        if reason == "full":
            return -3009 if kind == "passcode" else -4056
        return int(row(_REASONS, reason) or 1)
    if code == "bad_request" and kind == "passcode" and ble == _CODE_LENGTH:
        return -3006
    if code == "bad_request" and kind == "autolock" and ble == _OUT_OF_RANGE:
        return -4082
    number = row(_NUMBERS, code) or row(_NUMBERS, "internal")
    return None if number == "-" else int(number)


def success(id, op, ms, attempts, values=None, job_state=None):
    """The `rsp` of an operation that was done; `values` is its `data`, a dict or None; `ms` None: how long it took is
    not known. `job_state`: of an operation that was kept until it could be done (domain.md 3.2)."""
    return _result(id, op, "ok", "", ms, attempts, values, 0, job_state)


def failure(id, op, err, ms, attempts, values=None, job_state=None):
    """The `rsp` for an exception. Of FirmwareError the code, and the text, which never holds a secret (CONTRIBUTING.md,
    "Errors"); of any other nothing but `internal`. An attribute `ttlock` of the exception stands before the table's
    number.
    """
    if not isinstance(err, FirmwareError) or row(_NUMBERS, err.code) is None:
        return _result(
            id, op, "internal", "see the gateway's log", ms, attempts, values, ttlock_number("internal"), job_state
        )
    values = dict(values or {})
    reason = getattr(err, "reason", None)
    if reason is not None:
        values["reason"] = reason
    if err.is_answer:
        values["ble"] = err.ble
    number = getattr(err, "ttlock", None)
    if number is None:
        number = ttlock_number(err.code, reason, op or "", err.ble)
    return _result(id, op, err.code, str(err), ms, attempts, values, number, job_state)


def progress(id, op, values):
    """A message on the way to a `rsp`: it has `data`, no `ok`, and is never the last one of its id."""
    return _dump({"id": id, "op": op, "code": "progress", "data": values})


def _result(id, op, code, text, ms, attempts, values, number, job_state):
    body = {"id": id, "op": op, "ok": code == "ok", "code": code, "msg": text[:_MAX_TEXT]}
    if ms is not None:
        body["ms"] = ms
    body["attempts"] = attempts
    body["data"] = values or {}
    if number is not None:
        body["ttlock"] = number
    if job_state is not None:
        body["job_state"] = job_state
    return _dump(body)


def signal(rssi_dbm):
    """strong, medium or weak (domain.md 6.2); None: not known."""
    if rssi_dbm is None:
        return None
    return "strong" if rssi_dbm >= _STRONG_DBM else "medium" if rssi_dbm >= _MEDIUM_DBM else "weak"


def state(**members):
    """`…/state`, retained. Members as in mqtt.md 1; `lock` is LOCKED, UNLOCKED, LOCKING, UNLOCKING or JAMMED."""
    if members.get("last"):
        _allow(members["last"], _LAST)
    return _dump(_allow(members, _STATE))


def event(**members):
    """`…/event`: event_type, type (of the record, where it is one), method, who, rec, ts; of a clock moved_s, drift."""
    return _dump(_allow(members, _EVENT))


def info(**members):
    """Gateway `info`, retained; every entry of `locks` is a dict of its own allow-list."""
    for lock in members.get("locks", ()):
        _allow(lock, _INFO_LOCK)
    return _dump(_allow(members, _INFO))


def metrics(**members):
    """Gateway `metrics`, each minute."""
    return _dump(_allow(members, _METRICS))


def record_item(number, record, unix_s, who, is_approx=False):
    """One entry of a batch from a `records.Record`, its number, its time and the number of the credential. `date` is
    the lock's own, six bytes as hex: with lock, era and number it tells the record from all others (mqtt.md 2). `list`
    is the type's number in the owner's list, None for what is not listed; `approx` stands beside a time that may be off
    by a change of the clock's offset. Codes and card numbers stay here.
    """
    word, method, ok = records.meaning(record.type)
    code, _ = records.listed(record.type)
    try:
        values = records.fields(record)
    except ProtocolError:
        values = {}
    item = {"rec": number, "type": record.type, "list": code, "event": word, "method": method, "ok": ok, "who": who}
    item["date"] = bytes(record.raw[1:7]).hex()
    item["ts"] = iso(unix_s) if unix_s is not None else None
    if is_approx:
        item["approx"] = True
    item["battery"] = record.battery
    for key, name in (("key", "button"), ("accessory_battery", "accessory_battery")):
        if key in values:
            item[name] = values[key]
    return item


def batch(epoch, items, gap=0):
    """Payload of `…/records` with as many of `items` from the first on as fit 640 bytes -> (payload, how many).

    Items are dicts as `record_item` makes them, in order, at least one; `gap` is how many records before the first are
    lost for good. Raises ProtocolError if not even one fits.
    """
    texts: list = []
    size = len(_frame(epoch, items[0]["rec"], 0xFFFFFFFF, gap, ()))
    for item in items:
        text = _dump(_allow(item, _ITEM))
        size += len(text.encode()) + 1
        if size > (_BATCH if texts else _MAX_BATCH):
            break
        texts.append(text)
    if not texts:
        raise ProtocolError("record too long for a batch")
    last = items[len(texts) - 1]["rec"]
    return _frame(epoch, items[0]["rec"], last, gap, texts), len(texts)


def _frame(epoch, first, last, gap, texts):
    head = '{"epoch":%d,"from":%d,"to":%d,"gap":%d,"items":[' % (epoch, first, last, gap)
    return head + ",".join(texts) + "]}"


def iso(unix_s):
    """Unix seconds -> `2026-08-22T18:04:11Z`. Raises ProtocolError outside 2000 to 2099."""
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % dates.from_unix(unix_s)


def _allow(members, allowed):
    for key in members:
        if " %s " % key not in allowed:
            raise ValueError("member %s is not for publishing" % key)
    return members


def _dump(body):
    return json.dumps(body, separators=(",", ":"))
