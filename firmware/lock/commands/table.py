"""Which functions understand and answer which command. Whether it may be answered at all is `authority`'s.

A decoder takes the decrypted payload; it raises ProtocolError for what deserves silence (lock-ble-link.md 6.2) and
BadRequest for a wrong value, and has no effect. A handler takes the engine and what the decoder made, and returns the
plain text of the answer, or `LATER` when it answers through `engine.answer_later`. Their modules are loaded when a
command first comes: a lock that is never asked for its cards does not hold what reads them.
"""

import sys

from firmware.lib import opcodes

LATER = object()  # a handler's promise to answer when it can, such as when the bolt has arrived

# opcode: (module of the decoder, decoder, module of the handler below `lock.commands`, handler)
COMMANDS = {
    opcodes.INIT: ("lib.messages.pairing_lock", "decode_init", "pairing", "init"),
    opcodes.GET_AES_KEY: ("lib.messages.pairing_lock", "decode_get_aes_key", "pairing", "get_key"),
    opcodes.ADD_ADMIN: ("lib.messages.pairing_lock", "decode_add_admin", "pairing", "add_admin"),
    opcodes.PAIRING_DONE: ("lib.messages.pairing_lock", "decode_finished", "pairing", "done"),
    opcodes.SET_ADMIN_PASSCODE: (
        "lib.messages.pairing_lock",
        "decode_set_admin_passcode",
        "pairing",
        "set_admin_passcode",
    ),
    opcodes.GET_ADMIN_PASSCODE: (
        "lib.messages.pairing_lock",
        "decode_get_admin_passcode",
        "pairing",
        "get_admin_passcode",
    ),
    opcodes.INIT_PASSWORDS: ("lock.commands.pairing", "decode_seeds", "pairing", "init_passwords"),
    opcodes.RESET: ("lib.messages.common", "decode_empty", "pairing", "reset"),
    opcodes.CHECK_ADMIN: ("lib.messages.session_lock", "decode_check_admin", "session", "check_admin"),
    opcodes.CHECK_USER: ("lib.messages.session_lock", "decode_check_user", "session", "check_user"),
    opcodes.CHECK_RANDOM: ("lib.messages.session_lock", "decode_sum", "session", "check_random"),
    opcodes.STATUS: ("lib.messages.session_lock", "decode_status_request", "session", "status"),
    opcodes.FEATURES: ("lib.messages.common", "decode_empty", "session", "features"),
    opcodes.GET_CLOCK: ("lib.messages.common", "decode_empty", "session", "get_clock"),
    opcodes.SET_CLOCK: ("lib.messages.session_lock", "decode_set_clock", "session", "set_clock"),
    opcodes.DEVICE_INFO: ("lib.messages.session_lock", "decode_device_item", "session", "device_info"),
    opcodes.UNLOCK: ("lib.messages.session_lock", "decode_operate", "motion", "unlock"),
    opcodes.LOCK: ("lib.messages.session_lock", "decode_operate", "motion", "lock"),
    opcodes.DIAGNOSIS: ("lib.messages.diagnosis_lock", "decode_request", "diagnosis", "page"),
    opcodes.LOG: ("lib.messages.log_lock", "decode_request", "log", "page"),
    opcodes.PASSCODE: ("lib.messages.passcode_lock", "decode_manage", "passcodes", "manage"),
    opcodes.PASSCODE_LIST: ("lib.messages.passcode_lock", "decode_list", "passcodes", "listing"),
    opcodes.LOCK_NAME: ("lib.messages.name_lock", "decode_name", "naming", "set_name"),
    opcodes.PASSCODE_COUNT: ("lib.messages.common", "decode_empty", "passcodes", "count"),
    opcodes.SET_ERASE_CODE: ("lib.messages.pairing_lock", "decode_set_admin_passcode", "passcodes", "set_erase_code"),
    opcodes.CARD: ("lib.messages.card_lock", "decode_manage", "cards", "manage"),
    opcodes.FINGERPRINT: ("lib.messages.fingerprint_lock", "decode_manage", "fingerprints", "manage"),
    opcodes.CYCLIC: ("lib.messages.cyclic_lock", "decode_manage", "cyclic", "manage"),
    opcodes.KEY_FOB: ("lib.messages.accessory_lock", "decode_manage", "fobs", "manage"),
    opcodes.ACCESSORY_BATTERY: ("lib.messages.accessory_lock", "decode_battery", "fobs", "battery"),
    opcodes.EKEY: ("lib.messages.ekey_lock", "decode_manage", "ekeys", "manage"),
    opcodes.AUTO_LOCK: ("lib.messages.settings_lock", "decode_auto_lock", "settings", "auto_lock"),
    opcodes.REMOTE_UNLOCK: ("lib.messages.settings_lock", "decode_remote_unlock", "settings", "remote_unlock"),
    opcodes.PASSCODE_DISPLAY: ("lib.messages.settings_lock", "decode_screen", "settings", "passcode_display"),
    opcodes.PASSAGE: ("lib.messages.passage_lock", "decode_manage", "passage", "manage"),
    opcodes.FREEZE: ("lib.messages.switches_lock", "decode_freeze", "switches", "freeze"),
    opcodes.LAMP: ("lib.messages.switches_lock", "decode_lamp", "switches", "lamp"),
    opcodes.SWITCHES: ("lib.messages.switches_lock", "decode_switches", "switches", "switches"),
    opcodes.UNLOCK_DIRECTION: ("lib.messages.switches_lock", "decode_direction", "switches", "direction"),
    opcodes.SETTING: ("lib.messages.switches_lock", "decode_number_of", "switches", "number"),
    opcodes.SOUND: ("lib.messages.settings_lock", "decode_sound", "settings", "sound"),
}


def _function(module, name):
    module = "firmware." + module
    if module not in sys.modules:
        __import__(module)
    return getattr(sys.modules[module], name)


def functions(command):
    """(decoder, handler) of a command that is in the table."""
    decoder_module, decoder, module, handler = COMMANDS[command]
    return _function(decoder_module, decoder), _function("lock.commands." + module, handler)
