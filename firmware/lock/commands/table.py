"""Which functions understand and answer which command. Whether it may be answered at all is `authority`'s.

A decoder takes the decrypted payload; it raises ProtocolError for what deserves silence (lock-ble-link.md 6.2) and
BadRequest for a wrong value, and has no effect. A handler takes the engine and what the decoder made, and returns the
plain text of the answer, or `LATER` when it answers through `engine.answer_later`.
"""

from firmware.lib import opcodes
from firmware.lib.messages import common, log_lock, pairing_lock, passcode_lock, session_lock, settings_lock
from firmware.lock.commands import log, motion, pairing, passcodes, session, settings

LATER = motion.LATER

# opcode: (decoder, handler)
COMMANDS = {
    opcodes.INIT: (pairing_lock.decode_init, pairing.init),
    opcodes.GET_AES_KEY: (pairing_lock.decode_get_aes_key, pairing.get_key),
    opcodes.ADD_ADMIN: (pairing_lock.decode_add_admin, pairing.add_admin),
    opcodes.PAIRING_DONE: (pairing_lock.decode_finished, pairing.done),
    opcodes.SET_ADMIN_PASSCODE: (pairing_lock.decode_set_admin_passcode, pairing.set_admin_passcode),
    opcodes.GET_ADMIN_PASSCODE: (pairing_lock.decode_get_admin_passcode, pairing.get_admin_passcode),
    opcodes.INIT_PASSWORDS: (pairing.decode_seeds, pairing.init_passwords),
    opcodes.RESET: (common.decode_empty, pairing.reset),
    opcodes.CHECK_ADMIN: (session_lock.decode_check_admin, session.check_admin),
    opcodes.CHECK_USER: (session_lock.decode_check_user, session.check_user),
    opcodes.CHECK_RANDOM: (session_lock.decode_sum, session.check_random),
    opcodes.STATUS: (session_lock.decode_status_request, session.status),
    opcodes.FEATURES: (common.decode_empty, session.features),
    opcodes.GET_CLOCK: (common.decode_empty, session.get_clock),
    opcodes.SET_CLOCK: (session_lock.decode_set_clock, session.set_clock),
    opcodes.DEVICE_INFO: (session_lock.decode_device_item, session.device_info),
    opcodes.UNLOCK: (session_lock.decode_operate, motion.unlock),
    opcodes.LOCK: (session_lock.decode_operate, motion.lock),
    opcodes.LOG: (log_lock.decode_request, log.page),
    opcodes.PASSCODE: (passcode_lock.decode_manage, passcodes.manage),
    opcodes.PASSCODE_LIST: (passcode_lock.decode_list, passcodes.listing),
    opcodes.AUTO_LOCK: (settings_lock.decode_auto_lock, settings.auto_lock),
    opcodes.REMOTE_UNLOCK: (settings_lock.decode_remote_unlock, settings.remote_unlock),
    opcodes.PASSCODE_DISPLAY: (settings_lock.decode_screen, settings.passcode_display),
    opcodes.SOUND: (settings_lock.decode_sound, settings.sound),
}
