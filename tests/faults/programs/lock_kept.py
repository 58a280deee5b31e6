"""What nobody below an administrator's session may change in a lock."""

from firmware.lock.settings import OPTIONS


def kept(rig):
    """The lock's keys, codes and settings, to be compared."""
    device = rig.device
    keys = device.keys
    options = device.options
    return (
        keys.is_paired,
        keys.aes,
        keys.admin_ps,
        keys.unlock_key,
        keys.admin_passcode,
        len(device.passcodes),
        [device.passcodes.at(slot) for slot in range(3)],
        device.name.text,
        device.ekeys.flag_pos,
        device.ekeys.next_uid,
        [device.ekeys.at(slot) for slot in range(3)],
        [(len(device.cards), device.cards.at(0), device.cards.at(0, True))],
        [device.fingerprints.at(slot) for slot in range(3)],
        [(device.fobs.at(slot, 0), device.fobs.windows(b"fob000")) for slot in range(3)],
        options.autolock_s,
        options.sound,
        options.remote_unlock,
        options.passcode_display,
        [getattr(options, name) for name, _, _, _ in OPTIONS],
        [device.passage.at(place) for place in range(5)],
    )
