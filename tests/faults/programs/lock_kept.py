"""What nobody below an administrator's session may change in a lock."""

from firmware.lock.stores.options import OPTIONS


def kept(rig):
    """The lock's keys, codes and settings, to be compared."""
    device = rig.device
    keys = device.stores.keys
    options = device.stores.options
    return (
        keys.is_paired,
        keys.aes,
        keys.admin_ps,
        keys.unlock_key,
        keys.admin_passcode,
        len(device.stores.passcodes),
        [device.stores.passcodes.at(slot) for slot in range(3)],
        device.stores.name.text,
        device.stores.ekeys.flag_pos,
        device.stores.ekeys.next_uid,
        [device.stores.ekeys.at(slot) for slot in range(3)],
        [(len(device.stores.cards), device.stores.cards.at(0), device.stores.cards.at(0, True))],
        [device.stores.fingerprints.at(slot) for slot in range(3)],
        [(device.stores.fobs.at(slot, 0), device.stores.fobs.windows(b"fob000")) for slot in range(3)],
        options.autolock_s,
        options.sound,
        options.remote_unlock,
        options.passcode_display,
        [getattr(options, name) for name, _, _ in OPTIONS],
        [device.stores.passage.at(place) for place in range(5)],
    )
