"""Loads the two vector files of docs/spec and drives our codecs with them, on both interpreters. Source: vectors.md
"Kinds"."""

import json

from firmware.lib import dates, opcodes
from firmware.lib.messages import (
    card_client,
    card_lock,
    common,
    cyclic_client,
    fingerprint_client,
    held_lock,
    pairing_client,
    pairing_lock,
    passage_client,
    passcode_client,
    passcode_lock,
    session_client,
    session_lock,
    settings_client,
    settings_lock,
)

_FACE = 0xE0  # no part of ours takes faces; their messages have the layout of fingerprints
FOLDER = (__file__.rsplit("/", 1)[0] if "/" in __file__ else ".") + "/../../docs/spec"


def load(name):
    """The vectors of one file."""
    with open("%s/%s" % (FOLDER, name)) as file:
        return json.load(file)["vectors"]


def octets(text):
    """Hex -> bytes."""
    return bytes(int(text[place : place + 2], 16) for place in range(0, len(text), 2))


def client_request(command, plain, change_remote=None):
    """Rebuild a request with the client's encoders from what the lock's decoders found in it."""
    if command in (opcodes.FEATURES, opcodes.GET_CLOCK, opcodes.RESET):
        common.decode_empty(plain)
        return b""
    if command == opcodes.INIT:
        pairing_lock.decode_init(plain)
        return pairing_client.init()
    if command == opcodes.PAIRING_DONE:
        pairing_lock.decode_finished(plain)
        return pairing_client.finished()
    if command == opcodes.GET_ADMIN_PASSCODE:
        pairing_lock.decode_get_admin_passcode(plain)
        return pairing_client.get_admin_passcode()
    if command == opcodes.GET_AES_KEY:
        pairing_lock.decode_get_aes_key(plain)
        return pairing_client.get_aes_key()
    if command == opcodes.ADD_ADMIN:
        return pairing_client.add_admin(*pairing_lock.decode_add_admin(plain))
    if command == opcodes.INIT_PASSWORDS:
        return pairing_client.init_passwords(*pairing_lock.decode_init_passwords(plain))
    if command == opcodes.SET_ADMIN_PASSCODE:
        return pairing_client.set_admin_passcode(pairing_lock.decode_set_admin_passcode(plain))
    if command == opcodes.SET_ERASE_CODE:
        return passcode_client.set_erase_code(pairing_lock.decode_set_admin_passcode(plain))
    if command == opcodes.SET_CLOCK:
        return session_client.set_clock(session_lock.decode_set_clock(plain))
    if command == opcodes.CHECK_ADMIN:
        return session_client.check_admin(*session_lock.decode_check_admin(plain))
    if command == opcodes.CHECK_USER:
        return session_client.check_user(*session_lock.decode_check_user(plain))
    if command == opcodes.CHECK_RANDOM:
        return session_client.check_random(session_lock.decode_sum(plain), 0)
    if command in (opcodes.UNLOCK, opcodes.LOCK):
        total, unix_s = session_lock.decode_operate(plain)
        return session_client.operate(total, 0, unix_s)
    if command == opcodes.STATUS:
        session_lock.decode_status_request(plain)
        return session_client.status_request()
    if command == opcodes.DEVICE_INFO:
        return session_client.device_item(session_lock.decode_device_item(plain))
    if command == opcodes.LOG:
        return session_client.log_request(session_lock.decode_log(plain))
    if command == opcodes.PASSCODE_LIST:
        return passcode_client.list_request(passcode_lock.decode_list(plain))
    if command == opcodes.PASSCODE:
        return _passcode_request(plain)
    if command == opcodes.CARD:
        return _card_request(plain)
    if command in (opcodes.FINGERPRINT, _FACE):
        return _fingerprint_request(plain)
    if command == opcodes.CYCLIC:
        return _cyclic_request(plain)
    if command == opcodes.ACCESSORY_BATTERY:
        return fingerprint_client.battery_request(held_lock.decode_battery(plain))
    if command == opcodes.AUTO_LOCK:
        wanted = settings_lock.decode_auto_lock(plain)
        return settings_client.query() if wanted is None else settings_client.auto_lock_set(wanted)
    if command == opcodes.SOUND:
        wanted = settings_lock.decode_sound(plain)
        return settings_client.query() if wanted is None else settings_client.sound_set(*wanted)
    if command == opcodes.PASSCODE_DISPLAY:
        wanted = settings_lock.decode_screen(plain)
        return settings_client.query() if wanted is None else settings_client.screen_set(wanted)
    if command == opcodes.REMOTE_UNLOCK:
        wanted = settings_lock.decode_remote_unlock(plain)
        if wanted is not None:  # the firmware has no encoder for the change
            return change_remote(wanted) if change_remote else b"\x02" + bytes((wanted,))
        return session_client.remote_unlock_query()
    return _switch_request(command, plain)


def _switch_request(command, plain):
    if command == opcodes.PASSAGE:
        op, found = settings_lock.decode_passage(plain)
        if op == settings_lock.PASSAGE_LIST:
            return passage_client.list_request(found)
        if op == settings_lock.PASSAGE_CLEAR:
            return passage_client.clear()
        raw = passage_client.window(*passage_client.read(found))
        return passage_client.add(raw) if op == settings_lock.PASSAGE_ADD else passage_client.delete(raw)
    if command == opcodes.SWITCHES:
        assert settings_lock.decode_switches(plain) is None
        return settings_client.query()
    if command == opcodes.LAMP:
        wanted = settings_lock.decode_lamp(plain)
        return settings_client.query() if wanted is None else settings_client.lamp_set(wanted)
    if command == opcodes.UNLOCK_DIRECTION:
        wanted = settings_lock.decode_direction(plain)
        return settings_client.query() if wanted is None else settings_client.direction_set(wanted)
    if command == opcodes.SETTING:
        which, wanted = settings_lock.decode_number_of(plain)
        assert wanted is None
        return settings_client.number_query(which)
    raise KeyError("no handler for request 0x%02x" % command)


def _passcode_request(plain):
    found = passcode_lock.decode_manage(plain)
    op = found[0]
    if op == passcode_lock.CLEAR:
        return passcode_client.clear()
    if op == passcode_lock.DELETE:
        return passcode_client.delete(plain[1], found[1])
    if op == passcode_lock.MODIFY:
        start, end = dates.decode5(found[3]), dates.decode5(found[4])
        return passcode_client.modify(plain[1], found[1], found[2], start, end)
    kind, code, trailer = found[1:]
    end = dates.decode5(trailer, 5) if len(trailer) == 10 else None
    schedule = common.decode_number(trailer, 5, 2) if len(trailer) == 7 else None
    build = passcode_client.add if op == passcode_lock.ADD else passcode_client.recover
    return build(kind, code, dates.decode5(trailer), end, schedule)


def _card_request(plain):
    found = card_lock.decode_manage(plain)
    op = found[0]
    if op in (card_lock.LIST, card_lock.LIST_LOST):
        return card_client.list_request(found[1], op)
    if op == card_lock.CLEAR:
        return card_client.clear()
    if op == card_lock.ADD and found[1] is None:
        return card_client.enrol()
    build = {
        card_lock.ADD: card_client.add,
        card_lock.MODIFY: card_client.modify,
        card_lock.DELETE: card_client.delete,
        card_lock.MARK_LOST: card_client.mark_lost,
        card_lock.UNMARK_LOST: card_client.unmark_lost,
    }[op]
    return build(found[1], *[dates.decode5(limits, at) for limits in found[2:] for at in (0, 5)])


def _fingerprint_request(plain):
    found = held_lock.decode_fingerprint(plain)
    op = found[0]
    if op == held_lock.LIST:
        return fingerprint_client.list_request(found[1])
    if op == held_lock.DELETE:
        return fingerprint_client.delete(int.from_bytes(found[1], "big"))
    if op == held_lock.MODIFY:
        start, end = dates.decode5(found[2]), dates.decode5(found[2], 5)
        return fingerprint_client.modify(int.from_bytes(found[1], "big"), start, end)
    return fingerprint_client.clear() if op == held_lock.CLEAR else fingerprint_client.enrol()


def _cyclic_request(plain):
    op, kind, user = held_lock.decode_hours(plain)[:3]
    if op == held_lock.HOURS_CLEAR:
        return cyclic_client.clear(kind, user)
    if op == held_lock.HOURS_QUERY:
        return cyclic_client.query(kind, user, plain[-1])
    raw = held_lock.decode_hours(plain)[3]
    window = cyclic_client.window(raw[0], raw[1], raw[3] * 60 + raw[4], raw[5] * 60 + raw[6])
    return (cyclic_client.add if op == held_lock.HOURS_ADD else cyclic_client.remove)(kind, user, window)


def lock_answer(command, plain):
    """Rebuild an answer (or push) with the lock's encoders from what the client's decoders found in it."""
    echo, ok, data = common.reply(plain)
    if echo != command:
        raise KeyError("echo 0x%02x to 0x%02x" % (echo, command))
    if not ok:
        return common.failure(echo, data[0])
    return common.success(echo, _lock_data(echo, data))


def _lock_data(command, data):
    if command in (opcodes.CHECK_RANDOM, opcodes.SET_CLOCK) or (command == opcodes.INIT and data):
        common.check_length(data, 1)
        return common.encode_level(common.decode_percent(data))
    if command in (0x45, 0x31, 0x53, 0x57):
        common.check_length(data, 0)
        return b""
    if command == opcodes.GET_AES_KEY:
        return pairing_lock.encode_aes_key(pairing_client.aes_key(data))
    if command == opcodes.ADD_ADMIN:
        pairing_client.admin_added(data)
        return pairing_lock.encode_admin_added()
    if command == opcodes.GET_ADMIN_PASSCODE:
        return pairing_lock.encode_admin_passcode(*pairing_client.admin_passcode(data))
    if command == opcodes.FEATURES:
        return session_lock.encode_features(*session_client.features(data), words=len(data) // 4)
    if command in (opcodes.CHECK_ADMIN, opcodes.CHECK_USER):
        return session_lock.encode_challenge(session_client.challenge(data))
    if command in (opcodes.UNLOCK, opcodes.LOCK):
        return session_lock.encode_operated(*session_client.operated(data))
    if command == opcodes.STATUS:
        found = session_client.pushed(command, data)
        if found[0] == "status":
            return session_lock.encode_status(*session_client.status(data))
        return session_lock.encode_operated(*found[1:])
    if command == opcodes.GET_CLOCK:
        return session_lock.encode_clock(session_client.clock(data))
    if command == opcodes.DEVICE_INFO:
        if data[-1] == 0:
            return session_lock.encode_text(session_client.device_text(data))
        if data[0] == 26:
            return session_lock.encode_clock(session_client.device_clock(data))
        return session_lock.encode_address(session_client.device_address(data))
    if command == opcodes.LOG:
        cursor, found = session_client.log_page(data)
        return session_lock.encode_record(cursor - 1, found[0]) if found else session_lock.encode_record(0, None)
    if command == opcodes.PASSCODE:
        return passcode_lock.encode_managed(*passcode_client.managed(data))
    if command == opcodes.PASSCODE_LIST:
        return _passcode_page(data)
    if command == opcodes.CARD:
        return _card_data(data)
    if command in (opcodes.FINGERPRINT, _FACE):
        return _fingerprint_data(data)
    if command == opcodes.CYCLIC:
        after, window = cyclic_client.window_of(data)
        return held_lock.encode_window(data[0], after, window or b"")
    if command == opcodes.ACCESSORY_BATTERY:
        return held_lock.encode_battery(*fingerprint_client.battery(data))
    return _setting(command, data)


def _card_data(data):
    battery, op = data[0], data[1]
    if op == card_client.LIST:
        after, found = card_client.entry(data)
        if found is None:
            return card_lock.encode_list(battery, op, None)
        limits = dates.encode5(found.start) + dates.encode5(found.end)
        return card_lock.encode_list(battery, op, after, found.id, limits)
    if op == card_client.ADD:
        card = card_client.added(data)
        return card_lock.encode_ready(battery) if card is None else card_lock.encode_added(battery, card)
    card_client.managed(data, op)
    return card_lock.encode_managed(battery, op)


def _fingerprint_data(data):
    battery = data[0]
    if data[1] == fingerprint_client.LIST:
        after, found = fingerprint_client.entry(data)
        if found is None:
            return held_lock.encode_list(battery, None)
        limits = dates.encode5(found.start) + dates.encode5(found.end)
        return held_lock.encode_list(battery, after, common.number(found.number, 6), limits)
    state, which, done, total = fingerprint_client.added(data)
    if state == fingerprint_client.ADDED:
        return held_lock.encode_added(battery, common.number(which, 6))
    if state == fingerprint_client.READY:
        return held_lock.encode_ready(battery)
    return held_lock.encode_pressed(battery, done, total)


def _passcode_page(data):
    cursor, found = passcode_client.page(data)
    if not found:
        return passcode_lock.encode_list(0, None)
    entry = found[0]
    item = bytes((entry.kind, len(entry.code))) + entry.code.encode() + bytes((len(entry.created),))
    item += entry.created.encode() + dates.encode5(entry.start)
    if entry.end is not None:
        item += dates.encode5(entry.end)
    if entry.schedule is not None:
        item += common.number(entry.schedule, 2)
    return passcode_lock.encode_list(cursor or 0, item)


def _setting(command, data):
    if command == opcodes.AUTO_LOCK:
        if len(data) == 2:
            return settings_lock.encode_changed(settings_client.changed(data))
        return settings_lock.encode_auto_lock(*settings_client.auto_lock(data)[:2])
    if command == opcodes.SOUND:
        if len(data) == 2:
            return settings_lock.encode_changed(settings_client.changed(data))
        return settings_lock.encode_sound(*settings_client.sound(data))
    if command == opcodes.PASSCODE_DISPLAY:
        return settings_lock.encode_screen(settings_client.screen(data))
    if command == opcodes.REMOTE_UNLOCK:
        return settings_lock.encode_remote_unlock(*session_client.remote_unlock(data))
    if command == opcodes.PASSAGE:
        after, listed = passage_client.entries(data)
        return settings_lock.encode_passage_list(data[0], after, listed[0] if listed else None)
    if command == opcodes.SWITCHES:
        return settings_lock.encode_switches(common.QUERY, settings_client.switches(data))
    if command == opcodes.LAMP:
        return settings_lock.encode_lamp(settings_client.lamp(data))
    if command == opcodes.UNLOCK_DIRECTION:
        return settings_lock.encode_direction(data[0], settings_client.direction(data))
    if command == opcodes.SETTING:
        return settings_lock.encode_number(data[0], data[1], data[2], settings_client.number_of(data, data[2]))
    raise KeyError("no handler for answer 0x%02x" % command)
