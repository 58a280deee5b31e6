"""T-AUTZ-1: every opcode at every level, as whole requests under the right key, against security.md 3.2 as below.

One line per request: opcode, name, then one answer per level. A number is the error byte of the refusal.
"""

import score
from lock_kept import kept

from firmware.lib import crypto, dates, opcodes
from firmware.lib.messages import cyclic_client, ekey_client, session_client
from tests.unit.lock_rig import ADMIN_PS, START_S, UNLOCK_KEY, Rig, erase

_FOLDER = score.scratch("authority")
_FOB = b"fob000"  # the address of one; it is let in before its hours are asked for
_LEVELS = ("factory", "open", "keyed", "P", "S1", "user", "admin", "S3", "old")  # old: S3 for 31 s

_MATRIX = """
45 init        07 ok 07 07 ok ok ok ok ok
19 get_key     07 ok 07 07 07 07 07 07 07
56 add_admin   07 07 ok 07 07 07 07 07 07
01 features    06 06 06 ok ok ok ok ok ok
34 get_clock   06 06 06 ok ok ok ok ok ok
14 status      06 06 06 ok ok ok ok ok ok
90 info        06 06 06 ok ok ok ok ok ok
25 log         06 06 06 ok ok ok ok ok ok
41 check_admin 06 06 06 ok ok ok ok ok ok
55 check_user  06 06 06 ok ok ok ok ok ok
30 random      06 06 06 02 02 ok ok 02 02
47 unlock      06 06 06 02 02 ok ok 02 02
58 lock        06 06 06 02 02 ok ok 02 02
43 clock_near  06 06 06 ok ok ok ok ok ok
43 clock_far   06 06 06 ok 02 02 02 ok ok
36 lock_query  06 06 06 ok ok ok ok ok ok
36 lock_set    06 06 06 02 02 02 02 ok ok
37 rem_query   06 06 06 ok ok ok ok ok ok
37 rem_set     06 06 06 02 02 02 02 ok ok
59 disp_query  06 06 06 ok ok ok ok ok ok
59 disp_set    06 06 06 02 02 02 02 ok ok
62 snd_query   06 06 06 ok ok ok ok ok ok
62 snd_set     06 06 06 02 02 02 02 ok ok
66 pass_list   06 06 06 ok ok ok ok ok ok
66 pass_add    06 06 06 02 02 02 02 ok ok
61 frz_query   06 06 06 02 02 02 02 ok ok
61 frz_set     06 06 06 02 02 02 02 ok ok
67 lamp_query  06 06 06 02 02 02 02 ok ok
67 lamp_set    06 06 06 02 02 02 02 ok ok
68 sw_query    06 06 06 02 02 02 02 ok ok
68 sw_set      06 06 06 02 02 02 02 ok ok
71 dir_query   06 06 06 02 02 02 02 ok ok
71 dir_set     06 06 06 02 02 02 02 ok ok
e6 num_query   06 06 06 02 02 02 02 ok ok
e6 num_set     06 06 06 02 02 02 02 ok ok
03 code_add    06 06 06 02 02 02 02 ok ok
07 code_list   06 06 06 02 02 02 02 ok ok
05 card_list   06 06 06 02 02 02 02 ok ok
05 card_add    06 06 06 02 02 02 02 ok ok
05 card_lost   06 06 06 02 02 02 02 ok ok
06 finger_list 06 06 06 02 02 02 02 ok ok
06 finger_add  06 06 06 02 02 02 02 ok ok
e3 fob_add     06 06 06 02 02 02 02 ok ok
e3 fob_list    06 06 06 02 02 02 02 ok ok
70 hours_ask   06 06 06 02 02 02 02 ok ok
70 hours_add   06 06 06 02 02 02 02 ok ok
74 fob_battery 06 06 06 02 02 02 02 ok ok
e7 diagnosis   06 06 06 02 02 02 02 ok ok
4e name_set    06 06 06 02 02 02 02 ok ok
04 code_count  06 06 06 02 02 02 02 ok ok
44 erase_code  06 06 06 02 02 02 02 ok ok
e8 ekey_list   06 06 06 02 02 02 02 ok ok
e8 ekey_add    06 06 06 02 02 02 02 ok ok
e8 ekey_reset  06 06 06 02 02 02 02 ok ok
53 admin_code  06 06 06 ok 02 02 02 ok ok
65 admin_read  06 06 06 ok 02 02 02 ok ok
31 seeds       06 06 06 ok 02 02 02 ok ok
52 reset       06 06 06 02 02 02 02 ok 02
57 finished    06 06 06 ok ok ok ok ok ok
"""


def clock(ahead_s):
    return dates.encode6(dates.from_seconds(START_S + ahead_s))


def plains():
    """The plain text of each request of the matrix."""
    add = (ADMIN_PS + 1).to_bytes(4, "big") + UNLOCK_KEY.to_bytes(4, "big") + b"SCIENER"  # not the bytes of before
    return {
        "init": b"",
        "get_key": b"ANOTHER",
        "add_admin": add,
        "features": b"",
        "get_clock": b"",
        "status": b"SCIENER",
        "info": b"\x01",
        "log": b"\x00\x00",
        "check_admin": session_client.check_admin(ADMIN_PS),
        "check_user": session_client.check_user(),
        "lock_query": b"\x01",
        "lock_set": b"\x02\x00\x07",
        "rem_query": b"\x01",
        "rem_set": b"\x02\x01",
        "disp_query": b"\x01",
        "disp_set": b"\x02\x00",
        "snd_query": b"\x01",
        "snd_set": b"\x02\x00",
        "pass_list": b"\x01\x00",
        "pass_add": b"\x02\x01\x05\x00\x08\x00\x09\x00",
        "frz_query": b"\x01",
        "frz_set": b"\x02\x00",
        "lamp_query": b"\x01",
        "lamp_set": b"\x02\x03",
        "sw_query": b"\x01",
        "sw_set": b"\x02\x03\x01",
        "dir_query": b"\x01",
        "dir_set": b"\x02\x01",
        "num_query": b"\x01\x01",
        "num_set": b"\x02\x01\x00\x03",
        "code_add": b"\x02\x01\x06123456\x00\x01\x01\x00\x00",
        "code_list": b"\x00\x00",
        "card_list": b"\x01\x00\x00",
        "card_add": b"\x02\xde\xad\xbe\xef\x00\x01\x01\x00\x00\x63\x01\x01\x00\x00",
        "card_lost": b"\x20\xde\xad\xbe\xef",
        "diagnosis": b"\x01\x00",
        "name_set": b"Porch",
        "code_count": b"",
        "erase_code": b"\x02\x04\x06\x08\x01\x03\x06",
        "finger_list": b"\x06\x00\x00",
        "finger_add": b"\x02",
        "hours_ask": cyclic_client.query(cyclic_client.FOB, _FOB, 0),
        "hours_add": cyclic_client.add(cyclic_client.FOB, _FOB, cyclic_client.window(1, 1, 480, 1080)),
        "fob_list": b"\x06\x00\x00",
        "fob_add": b"\x02" + _FOB,
        "fob_battery": b"\x04",
        "ekey_list": b"\x06\x00\x00",
        "ekey_add": ekey_client.add(ekey_client.FIRST_UID, 4711),
        "ekey_reset": b"\x04\x00\x00\x01",
        "admin_code": b"\x02\x04\x06\x08\x01\x03\x05",
        "admin_read": b"",
        "seeds": b"\x1a" + b"\x12\x30\x00\x00\x00\x07" * 10,
        "reset": b"",
        "finished": b"",
    }


def reach(rig, level):
    challenge = rig.reach("S3" if level == "old" else level)
    if level == "old":
        rig.wait(15500, 500)
        rig.ask(opcodes.STATUS, b"SCIENER")
        rig.wait(15500, 500)
    if level in ("factory", "open"):
        rig.key = crypto.DEFAULT_KEY
    return challenge or 0


def state(rig):
    device = rig.device
    return (
        kept(rig),
        len(device.stores.ring),
        device.bolt.movements,
        device.is_resetting,
        device.stores.limits.user.consecutive,
        device.stores.limits.admin.consecutive,
    )


def outcome(rig, opcode, plain):
    """ "ok", an error byte as text, or "silence"."""
    key = rig.key
    if rig.device.pairing.stage in (0, 1) and not (opcode == 0x56 and rig.device.pairing.stage == 1):
        key = crypto.DEFAULT_KEY
    answer = rig.plain(opcode, plain, key)
    if answer is None:
        return "silence"
    if answer == b"" or answer[:2] == bytes((opcode, 1)):
        return "ok"
    return "%02x" % answer[2] if answer[:2] == bytes((opcode, 0)) and len(answer) == 3 else answer.hex()


def request(rig, name, given, challenge):
    if name in ("clock_near", "clock_far"):
        return dates.encode6(dates.from_seconds(rig.rtc + (10 if name == "clock_near" else 9000)))
    if name in ("random", "unlock", "lock"):
        total = ((challenge + UNLOCK_KEY) & 0xFFFFFFFF).to_bytes(4, "big")
        return total + (b"" if name == "random" else b"\x6a\x00\x00\x01")
    return given[name]


def main():
    result = score.Score()
    rig = Rig(_FOLDER, pairing_over_air=True)
    given = plains()
    rows = [line.split() for line in _MATRIX.strip().split("\n")]
    known = set(int(row[0], 16) for row in rows)
    for column, level in enumerate(_LEVELS):
        for row in rows:
            opcode, name, expected = int(row[0], 16), row[1], row[2 + column]
            challenge = reach(rig, level)
            before = state(rig)
            got = outcome(rig, opcode, request(rig, name, given, challenge))
            result.check(got == expected, "%s at %s: %s, not %s" % (name, level, got, expected))
            if expected != "ok":
                result.check(state(rig) == before, "%s at %s was refused and changed something" % (name, level))
        reach(rig, level)
        before = state(rig)
        for opcode in range(256):
            if opcode not in known:
                for plain in (b"", b"\x01", b"\x02\x01"):
                    got = outcome(rig, opcode, plain)
                    result.check(got == "1b", "%02x at %s: %s" % (opcode, level, got))
        result.check(state(rig) == before, "an unknown opcode changed something at %s" % level)
    result.figures = {"opcodes": 256, "levels": len(_LEVELS), "known": len(known)}
    erase(_FOLDER)
    result.end()


main()
