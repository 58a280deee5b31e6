"""Which function answers which command. Whether it may be answered at all is `authority`'s.

A handler takes the engine and the decrypted payload and returns the plain text of the answer, or `LATER` when it
answers through `engine.answer_later`. It raises ProtocolError for what deserves silence (lock-ble-link.md 6.2).
"""

from firmware.lib import opcodes
from firmware.lock.commands import log, motion, pairing, passcodes, session, settings

LATER = motion.LATER

HANDLERS = {
    opcodes.INIT: pairing.init,
    opcodes.GET_AES_KEY: pairing.get_key,
    opcodes.ADD_ADMIN: pairing.add_admin,
    opcodes.PAIRING_DONE: pairing.done,
    opcodes.SET_ADMIN_PASSCODE: pairing.set_admin_passcode,
    opcodes.GET_ADMIN_PASSCODE: pairing.get_admin_passcode,
    opcodes.INIT_PASSWORDS: pairing.init_passwords,
    opcodes.RESET: pairing.reset,
    opcodes.CHECK_ADMIN: session.check_admin,
    opcodes.CHECK_USER: session.check_user,
    opcodes.CHECK_RANDOM: session.check_random,
    opcodes.STATUS: session.status,
    opcodes.FEATURES: session.features,
    opcodes.GET_CLOCK: session.get_clock,
    opcodes.SET_CLOCK: session.set_clock,
    opcodes.DEVICE_INFO: session.device_info,
    opcodes.UNLOCK: motion.unlock,
    opcodes.LOCK: motion.lock,
    opcodes.LOG: log.page,
    opcodes.PASSCODE: passcodes.manage,
    opcodes.PASSCODE_LIST: passcodes.listing,
    opcodes.AUTO_LOCK: settings.auto_lock,
    opcodes.REMOTE_UNLOCK: settings.remote_unlock,
    opcodes.PASSCODE_DISPLAY: settings.passcode_display,
    opcodes.SOUND: settings.sound,
}
