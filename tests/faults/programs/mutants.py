"""Structure-aware mutation of requests: before encryption, after it, and in how they are cut into writes."""

import random

from firmware.lib import crypto, frame, opcodes

_SPICES = (b"\r\n", b"\x7f\x5a", b"\x7f\x5a\x05\x03", b"\x00" * 4, b"\xff" * 4, b"\x7f", b"\n\r\r\n", b"SCIENER")
_SIZES = (1, 2, 3, 19, 20, 21, 100, 182, 243, 244)

# A right request of every command the lock knows, so that mutants stay near to what is understood
PLAINS = {
    opcodes.INIT: b"",
    opcodes.GET_AES_KEY: b"SCIENER",
    opcodes.ADD_ADMIN: b"\x00\x00\x10\x01\x00\x00\x20\x02SCIENER",
    opcodes.PAIRING_DONE: b"",
    opcodes.SET_ADMIN_PASSCODE: b"\x02\x04\x06\x08\x01\x03\x05",
    opcodes.GET_ADMIN_PASSCODE: b"",
    opcodes.INIT_PASSWORDS: b"\x1a" + b"\x12\x30\x00\x00\x00\x07" * 10,
    opcodes.RESET: b"",
    opcodes.CHECK_ADMIN: b"\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00",
    opcodes.CHECK_USER: b"\x00\x01\x1f\x0e\x00\x63\x0b\x1e\x0e\x00\x00\x00\x00\x00\x00\x00\x00",
    opcodes.CHECK_RANDOM: b"\x12\x34\x56\x78",
    opcodes.UNLOCK: b"\x12\x34\x56\x78\x6a\x00\x00\x01",
    opcodes.LOCK: b"\x12\x34\x56\x78\x6a\x00\x00\x02",
    opcodes.STATUS: b"SCIENER",
    opcodes.FEATURES: b"",
    opcodes.GET_CLOCK: b"",
    opcodes.SET_CLOCK: b"\x1a\x05\x0b\x0e\x17\x07",
    opcodes.DEVICE_INFO: b"\x01",
    opcodes.LOG: b"\xff\xff",
    opcodes.PASSCODE: b"\x02\x01\x06123456\x00\x01\x01\x00\x00",
    opcodes.PASSCODE_LIST: b"\x00\x00",
    opcodes.AUTO_LOCK: b"\x02\x00\x07",
    opcodes.REMOTE_UNLOCK: b"\x02\x01",
    opcodes.PASSCODE_DISPLAY: b"\x01",
    opcodes.SOUND: b"\x02\x01\x03\x00",
}
COMMANDS = sorted(PLAINS)
_OFTEN = COMMANDS + 5 * [opcodes.PASSCODE, opcodes.CHECK_USER]  # those with the most structure
_PASSCODE_PLAINS = (
    b"\x01",
    PLAINS[opcodes.PASSCODE],
    b"\x02\x03\x06654321\x1a\x01\x01\x00\x00\x1a\x0c\x01\x00\x00",
    b"\x02\x04\x06777777\x00\x01\x01\x08\x00\x04\x39",
    b"\x03\x01\x06123456",
    b"\x05\x01\x06123456\x04\x34\x35\x36\x37\x1a\x01\x01\x00\x00\x1a\x0c\x01\x00\x00",
)


def noise(n):
    """`n` bytes from the seeded generator."""
    return bytes(random.getrandbits(8) for _ in range(n))


def mutate(octets, most=250):
    """Up to three changes: bits, bytes, insertions, deletions, repeats, cuts, things that look like a frame's ends."""
    octets = bytes(octets)
    for _ in range(random.randint(0, 3)):
        how = random.getrandbits(3)
        at = random.randint(0, len(octets))
        if how == 0 and octets:
            at = at % len(octets)
            octets = octets[:at] + bytes((octets[at] ^ (1 << random.getrandbits(3)),)) + octets[at + 1 :]
        elif how == 1:
            octets = octets[:at] + noise(random.randint(1, 4)) + octets[at + 1 :]
        elif how == 2:
            octets = octets[:at] + random.choice(_SPICES) + octets[at:]
        elif how == 3:
            octets = octets[:at] + octets[at + random.randint(1, 8) :]
        elif how == 4:
            octets = octets[: random.choice((at, at, 0, 1, 2, 3, 4))]
        elif how == 5:
            octets = octets + octets[at:]
        elif how == 6:
            octets = noise(random.randint(0, 48))
        else:
            octets = octets[:at] + noise(random.randint(1, 20)) + octets[at:]
    return octets[:most]


def _reseal(raw):
    """Make the length byte and the CRC of a mutated frame right again, so that what is inside is looked at."""
    if len(raw) < 15:
        return raw
    body = raw[12 : min(len(raw) - 3, 12 + 255)]
    head = bytes(raw[:11]) + bytes((len(body),)) + body
    total = frame.crc_standard(head) if random.getrandbits(1) else frame.crc_vendor(head)
    return head + bytes((total,)) + b"\r\n"


def request(keys):
    """(bytes to write, True if they were altered after encryption) for one request, under one of `keys`."""
    command = random.choice(_OFTEN) if random.getrandbits(3) else random.getrandbits(8)
    plain = PLAINS.get(command, b"\x01")
    key = random.choice(keys)
    way = random.randint(0, 4)  # 0, 4: mutated before encryption, 1: after it, 2: both, 3: both, or never encrypted
    if way != 1:
        plain = mutate(random.choice(_PASSCODE_PLAINS) if command == opcodes.PASSCODE else plain, 239)
    payload = crypto.encrypt(key, plain) if way != 3 or random.getrandbits(1) else plain
    raw = frame.encode(command, payload, vendor=bool(random.getrandbits(1)))
    if way in (0, 4):
        return raw, False
    raw = mutate(raw, 520)
    if random.getrandbits(1):
        raw = _reseal(raw)
    return raw, True


def pieces(raw):
    """Cut into writes of one size, from 1 to 244 bytes."""
    size = random.choice(_SIZES) if random.getrandbits(1) else random.randint(1, 244)
    return [raw[at : at + size] for at in range(0, len(raw), size)]
