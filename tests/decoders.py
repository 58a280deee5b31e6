"""Every decoder of the pure core that takes bytes from outside, for tests that feed them garbage."""

from firmware.lib import crypto, dates, frame, records
from firmware.lib.messages import (
    common,
    log_client,
    log_lock,
    pairing_client,
    pairing_lock,
    passcode_client,
    passcode_lock,
    session_client,
    session_lock,
    settings_client,
    settings_lock,
)


def _fields(raw):
    return records.fields(records.decode(raw))


# With a well-formed input each, from which mutations start. At the lock's end BadRequest is an answer too.
CLIENT = (
    (frame.decode, frame.encode(0x14, b"0123456789abcdef")),
    (lambda raw: crypto.decrypt(crypto.DEFAULT_KEY, raw), crypto.encrypt(crypto.DEFAULT_KEY, b"SCIENER")),
    (dates.decode5, b"\x1a\x05\x0b\x0e\x17"),
    (dates.decode6, b"\x1a\x05\x0b\x0e\x17\x07"),
    (records.decode, b"\x01\x1a\x05\x0b\x0e\x17\x07\x5a\x00\x00\x00\x7b\x00\x00\x01\xc8"),
    (_fields, b"\x04\x1a\x05\x0b\x0e\x17\x07\x5a\x041111\x042222"),
    (_fields, b"\x08\x1a\x05\x0b\x0e\x17\x07\x5a\x1a\x05\x0b\x0e\x17\x041234"),
    (_fields, b"\x5d\x1a\x05\x0b\x0e\x17\x07\x5a\x041234\x1a\x05\x11\x0c\x00\x1a\x05\x12\x0c\x00"),
    (common.reply, b"\x14\x01\x2d\x00\x02"),
    (session_client.challenge, b"\x1d\xb7\x8a\x8f"),
    (session_client.operated, b"\x2c\x00\x00\x00\x00\x6a\x02\x24\xa3\x1a\x05\x0b\x0f\x30\x08"),
    (session_client.status, b"\x2d\x00\x02"),
    (lambda data: session_client.pushed(0x14, data), b"\x2d\x00\x02"),
    (session_client.features, b"\x64\x71\xc4\xf5\xf1\x00\x00\x05\x10"),
    (session_client.clock, b"\x1a\x05\x0b\x0e\x17\x07"),
    (session_client.device_text, b"GATEHOUSE-L1\x00"),
    (session_client.device_address, b"\x33\x22\x11\xcc\xbb\xaa"),
    (pairing_client.aes_key, b"0123456789abcdef"),
    (pairing_client.admin_added, b"SCIENER"),
    (pairing_client.admin_passcode, b"\x64\x071234567"),
    (passcode_client.managed, b"\x5a\x02"),
    (passcode_client.page, b"\x00\x17\x00\xb4\x14\x01\x06123456\x06123456\x00\x01\x01\x00\x00"),
    (log_client.page, b"\x00\x0b\x00\x03\x08\x0e\x1a\x05\x0b\x0e\x17\x07\x5a"),
    (settings_client.changed, b"\x5a\x02"),
    (settings_client.auto_lock, b"\x5a\x01\x01\x2c\x00\x01\x03\x84\x01"),
    (settings_client.sound, b"\x5a\x01\x01\x03"),
    (settings_client.screen, b"\x01\x01"),
    (settings_client.remote_unlock, b"\x5a\x01\x01"),
)
LOCK = (
    (common.decode_empty, b""),
    (session_lock.decode_check_admin, b"\x00\xcf\x33\xee\x01\x02\x03\x12\x34\x56\x78"),
    (session_lock.decode_check_user, b"\x1a\x05\x0b\x08\x00\x1a\x05\x0c\x12\x00\x01\x02\x03\x12\x34\x56\x78"),
    (session_lock.decode_sum, b"\x1f\x30\x26\x1c"),
    (session_lock.decode_operate, b"\x1f\x30\x26\x1c\x6a\x01\xe6\x4b"),
    (session_lock.decode_status_request, b"SCIENER"),
    (session_lock.decode_set_clock, b"\x1a\x05\x0b\x0e\x17\x07"),
    (session_lock.decode_device_item, b"\x01"),
    (pairing_lock.decode_get_aes_key, b"SCIENER"),
    (pairing_lock.decode_add_admin, b"\x00\xcf\x33\xee\x01\x78\x9b\x8dSCIENER"),
    (pairing_lock.decode_init_passwords, b"\x1a" + b"\x14\x90\x6d\x10\x7e\x5c" * 10),
    (pairing_lock.decode_set_admin_passcode, b"\x01\x02\x03\x04\x05\x06\x07"),
    (passcode_lock.decode_manage, b"\x02\x03\x06112233\x1a\x01\x02\x03\x04\x1b\x06\x07\x08\x09"),
    (passcode_lock.decode_manage, b"\x05\x01\x06123456\x06654321\x14\x01\x01\x00\x00\x16\x0c\x1f\x17\x3b"),
    (passcode_lock.decode_manage, b"\x03\x01\x06654321"),
    (passcode_lock.decode_list, b"\x00\xb4"),
    (log_lock.decode_request, b"\xff\xff"),
    (settings_lock.decode_auto_lock, b"\x02\x01\x2c"),
    (settings_lock.decode_sound, b"\x02\x01\x03\x00"),
    (settings_lock.decode_screen, b"\x02\x01"),
    (settings_lock.decode_remote_unlock, b"\x02\x01"),
)
