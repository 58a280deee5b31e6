"""Which functions understand and answer which command. Whether it may be answered at all is `authority`'s.

A decoder takes the decrypted payload; it raises ProtocolError for what deserves silence (lock-ble-link.md 6.2) and
BadRequest for a wrong value, and has no effect. A handler takes the engine and what the decoder made, and returns the
plain text of the answer, or `LATER` when it answers through `engine.answer_later`. Their modules are loaded when a
command first comes: a lock that is never asked for its cards does not hold what reads them.
"""

import sys

from firmware.lib import opcodes

LATER = object()  # a handler's promise to answer when it can, such as when the bolt has arrived

# opcode: module of the decoder below `lib.messages`, decoder, module of the handler below `lock.commands`, handler; one
# text, for a tuple of four costs a board seven times as much memory
COMMANDS = {
    opcodes.INIT: "pairing_lock decode_init pairing init",
    opcodes.GET_AES_KEY: "pairing_lock decode_get_aes_key pairing get_key",
    opcodes.ADD_ADMIN: "pairing_lock decode_add_admin pairing add_admin",
    opcodes.PAIRING_DONE: "pairing_lock decode_finished pairing done",
    opcodes.SET_ADMIN_PASSCODE: "pairing_lock decode_set_admin_passcode pairing set_admin_passcode",
    opcodes.GET_ADMIN_PASSCODE: "pairing_lock decode_get_admin_passcode pairing get_admin_passcode",
    opcodes.INIT_PASSWORDS: "pairing_lock decode_seeds pairing init_passwords",
    opcodes.RESET: "common decode_empty pairing reset",
    opcodes.CHECK_ADMIN: "session_lock decode_check_admin session check_admin",
    opcodes.CHECK_USER: "session_lock decode_check_user session check_user",
    opcodes.CHECK_RANDOM: "session_lock decode_sum session check_random",
    opcodes.STATUS: "session_lock decode_status_request session status",
    opcodes.FEATURES: "common decode_empty session features",
    opcodes.GET_CLOCK: "common decode_empty session get_clock",
    opcodes.SET_CLOCK: "session_lock decode_set_clock session set_clock",
    opcodes.DEVICE_INFO: "session_lock decode_device_item session device_info",
    opcodes.LOG: "session_lock decode_log session log",
    opcodes.UNLOCK: "session_lock decode_operate motion unlock",
    opcodes.LOCK: "session_lock decode_operate motion lock",
    opcodes.DIAGNOSIS: "session_lock decode_diagnosis diagnosis page",
    opcodes.PASSCODE: "passcode_lock decode_manage passcodes manage",
    opcodes.PASSCODE_LIST: "passcode_lock decode_list passcodes listing",
    opcodes.PASSCODE_COUNT: "common decode_empty passcodes count",
    opcodes.SET_ERASE_CODE: "pairing_lock decode_set_admin_passcode passcodes set_erase_code",
    opcodes.CARD: "card_lock decode_manage cards manage",
    opcodes.FINGERPRINT: "held_lock decode_fingerprint held fingerprints",
    opcodes.KEY_FOB: "held_lock decode_fob held fobs",
    opcodes.ACCESSORY_BATTERY: "held_lock decode_battery held battery",
    opcodes.CYCLIC: "held_lock decode_hours held hours",
    opcodes.EKEY: "ekey_lock decode_manage ekeys manage",
    opcodes.AUTO_LOCK: "settings_lock decode_auto_lock settings auto_lock",
    opcodes.REMOTE_UNLOCK: "settings_lock decode_remote_unlock settings remote_unlock",
    opcodes.PASSCODE_DISPLAY: "settings_lock decode_screen settings passcode_display",
    opcodes.SOUND: "settings_lock decode_sound settings sound",
    opcodes.PASSAGE: "settings_lock decode_passage settings passage",
    opcodes.FREEZE: "settings_lock decode_freeze settings freeze",
    opcodes.LAMP: "settings_lock decode_lamp settings lamp",
    opcodes.SWITCHES: "settings_lock decode_switches settings switches",
    opcodes.UNLOCK_DIRECTION: "settings_lock decode_direction settings direction",
    opcodes.SETTING: "settings_lock decode_number_of settings number",
    opcodes.LOCK_NAME: "settings_lock decode_name settings set_name",
}


def _function(module, name):
    module = "firmware." + module
    if module not in sys.modules:
        __import__(module)
    return getattr(sys.modules[module], name)


def functions(command):
    """(decoder, handler) of a command that is in the table."""
    messages, decoder, module, handler = COMMANDS[command].split()
    return _function("lib.messages." + messages, decoder), _function("lock.commands." + module, handler)
