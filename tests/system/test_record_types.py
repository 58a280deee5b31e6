"""Every record type from the lock's bytes to the owner's table (F103), and which of them our lock causes."""

import pytest

from firmware.lib import opcodes, records
from firmware.lib.messages import passcode_client, session_client, session_lock
from host_tools.gateway.record_words import words
from host_tools.gateway.records_batch import read_batch
from host_tools.gateway.records_store import RecordStore
from tests.unit.lock_rig import Rig as LockRig
from tests.unit.test_gateway_records import Rig

# domain.md 4: type, payload class, number in the list ("-": not listed, "+" done, "x" failed, "?" unknown)
TABLE = """
1 U 1+
3 ? -
4 PP 4+
5 PP -
6 PP -
7 P 4x
8 D -
9 PP -
10 PP 4+
11 PP 4x
12 PP 4x
13 PP 4x
14 - -
15 C -
16 - -
17 C 7+
18 C -
19 M 9+
20 B6 8+
21 B6 -
22 B6 8x
23 B6 -
24 - -
25 C 7x
26 U 11+
27 - 10+
28 U 12+
29 - 29
30 S 30
31 S 31
32 - 32
33 B6 33
34 PP 34
35 C 35
36 - 36
37 UK 37
38 PP 4x
39 C 7x
40 B6 8x
41 U 1x
42 - 42
43 - 43
44 - 44
45 - 45
46 - 46
47 - 47
48 - 48
49 ? 49
50 - 50
51 C 51
52 U 52
53 PP 53
54 - 54
55 MKB 55
56 MB -
57 N2 57
58 N2 58x
59 - 59
60 - 60
61 N2 61
62 N2 62x
63 - 63
64 S 64
65 - 65x
66 - 66x
67 B6 67
68 B6 68x
69 B6 69
70 B6 -
71 B6 71x
72 B6 -
73 - -
74 C 7x
75 U 75
76 U 76
77 U 77
78 PP 78
79 B6 79
80 C 80
81 B6 81
82 MKB 82
83 B6 83
84 B6 84
85 B6 85
86 B6 86
87 B6 -
88 B6 88x
89 B6 -
90 - -
91 C 91x
92 PP 92
93 PT -
94 M ?
95 M ?
96 M ?
97 M ?
98 M ?
99 M ?
100 M ?
101 - ?
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]

CODE = b"\x06482913"
DATE = (2026, 5, 11, 14, 23, 7)
FIVE = b"\x1a\x05\x0b\x0e\x17"
# One tail of each class, written by hand, and what it says
TAILS = {
    "U": (b"\x00\x00\x00\x7b\x00\x00\x01\xc8", {"uid": 123, "record_id": 456}),
    "UK": (b"\x00\x00\x00\x7b\x00\x00\x01\xc8\x02", {"uid": 123, "record_id": 456, "key": 2}),
    "PP": (CODE + b"\x00", {"code": "482913", "new_code": ""}),
    "P": (CODE, {"code": "482913"}),
    "D": (FIVE, {"deleted": (2026, 5, 11, 14, 23)}),
    "C": (b"\xda\x3c\x4f\x66", {"card": 3661385574}),
    "B6": (b"\x00\x00\x00\x00\x01\x41", {"credential": 321}),
    "S": (b"\x50", {"accessory_battery": 80}),
    "M": (b"\x66\x55\x44\x33\x22\x11", {"address": b"\x11\x22\x33\x44\x55\x66"}),
    "MKB": (b"\x66\x55\x44\x33\x22\x11\x02\x50", {"address": b"\x11\x22\x33\x44\x55\x66", "key": 2}),
    "MB": (b"\x66\x55\x44\x33\x22\x11\x50\x50", {"address": b"\x11\x22\x33\x44\x55\x66", "accessory_battery": 80}),
    "N2": (b"\x01\x41", {"credential": 321}),
    "PT": (CODE + FIVE + FIVE, {"code": "482913", "start": (2026, 5, 11, 14, 23)}),
    "-": (b"", {}),
    "?": (b"\x01\x02\x03", {}),
}

# Types that our lock causes: `test_record_causes` sees each of them come of a real flow. The rest never, and why
CAUSED = {1, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 22, 23, 24, 25, 26, 27, 28, 30, 31, 36, 38, 39}
CAUSED |= {40, 41, 44, 45, 46, 47, 48, 51, 55, 59, 60, 63, 64, 65, 66, 91, 92, 93, 99, 100, 101}
NEWER = {111}  # opened by itself before the battery is empty, of the vendor's newer list (hardware-facts.md F57)
NEVER = {
    3: "an old server's unlock; nothing of ours unlocks by server",
    9: "no code is dropped to make room for another: the 251st is refused",
    32: "opened from inside: the inside button is 46, the key 27",
    19: "wristbands: no such reader",
    29: "parking locks only",
    33: "a finger opens or is refused; locking is by button, auto-lock or link",
    34: "as 33, a code",
    35: "as 33, a card",
    37: "remote-control receivers only (up, down, stop)",
    42: "mail boxes only",
    43: "mail boxes only",
    49: "hotel cards: no such system",
    50: "no thermometer",
    52: "dead lock by app: feature bit 0",
    53: "dead lock by code: feature bit 0",
    54: "parking locks only",
    56: "no keypad radio in the first version (security.md 2.1)",
    **dict.fromkeys((57, 58, 61, 62), "QR codes: feature bit 0"),
    **dict.fromkeys(range(67, 74), "faces: feature bit 53 is 0"),
    74: "CPU cards: no such reader",
    75: "authorized buttons: no such accessory",
    76: "authorized buttons: no such accessory",
    **dict.fromkeys(range(77, 84), "two factors: not offered"),
    **dict.fromkeys(range(84, 91), "palms: feature bit 70 is 0"),
    **dict.fromkeys(range(94, 99), "another maker's device: none opens; 99 to 101 tell of fobs"),
    2: "no meaning is known",
}


def test_the_table_is_complete():
    assert [int(row[0]) for row in ROWS] == [type for type in range(1, 102) if type != 2]
    assert CAUSED | set(NEVER) == set(range(1, 102))
    assert not CAUSED & set(NEVER)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_f103_a_type_keeps_its_fields_its_number_in_the_list_and_its_success(row, tmp_path):
    type, payload, listed = int(row[0]), row[1], row[2]
    tail, fields = TAILS[payload]
    raw = records.encode(type, DATE, 87, tail)
    # From the lock's page to the client's record
    after, found = session_client.log_page(session_lock.encode_record(7, raw))
    assert (after, found) == (8, [raw])
    record = records.decode(found[0])
    assert (record.type, record.date, record.battery, record.tail) == (type, DATE, 87, tail)
    got = records.fields(record)
    assert {key: got[key] for key in fields} == fields
    # Through the gateway's buffer and batch into the owner's table
    rig = Rig("types-%d" % type)
    rig.far.records = [raw]
    rig.read()
    rig.upload()
    topic, text, _, _ = rig.broker.sent[0]
    assert topic.endswith("/records") and "482913" not in text and "3661385574" not in text
    with RecordStore(tmp_path / "records.db") as store:
        assert store.keep("a", read_batch(text)) == 1
        kept = store.last("a", 1)[0]
    assert (kept["type"], kept["battery"], kept["ts"]) == (type, 87, "2026-05-11T14:23:07Z")
    number = listed.rstrip("+x")
    assert kept["list"] == (int(number) if number.isdigit() else None)
    if listed[-1] in "+x":
        assert kept["ok"] is (listed[-1] == "+")
    assert words(type) != "type %d" % type


def test_f103_a_type_that_nobody_knows_is_kept_and_shown(tmp_path):
    for type in (2, 102, 200, 255):
        rig = Rig("unknown-%d" % type)
        rig.far.records = [records.encode(type, DATE, 87, b"\x01\x02")]
        rig.read()
        rig.upload()
        with RecordStore(tmp_path / ("%d.db" % type)) as store:
            store.keep("a", read_batch(rig.broker.sent[0][1]))
            kept = store.last("a", 1)[0]
        assert (kept["type"], kept["list"], words(kept["type"])) == (type, None, "type %d" % type)


def test_f104_the_501st_record_takes_the_place_of_the_first_and_numbers_go_on(tmp_path):
    """The lock alone: its log by requests of a client, over a wrap of the store and a restart."""
    rig = LockRig(str(tmp_path / "lock")).paired()

    def walk(cursor):
        numbers = []
        while True:
            after, found = session_client.log_page(rig.ask(opcodes.LOG, session_client.log_request(cursor)))
            if not found:
                return numbers
            numbers.append(after - 1)
            cursor = after

    def record(count):
        """So many records: a passcode is added (93) and deleted (6), again and again."""
        while count:
            rig.now_ms += 60000  # a session of before is over
            rig.reach("S3")
            for _ in range(min(count, 40)):
                has_code = len(rig.device.stores.passcodes) > 0
                change = passcode_client.delete(1, "482913") if has_code else passcode_client.add(1, "482913")
                rig.ask(opcodes.PASSCODE, change)
                count -= 1

    record(500)
    assert walk(0) == list(range(500))
    record(1)
    assert walk(0) == list(range(1, 501))
    record(40)
    rig.disconnect()
    rig.start(False)
    rig.reach("S3")
    assert walk(0) == list(range(41, 541))
    assert rig.device.stores.ring.next_number == 541
