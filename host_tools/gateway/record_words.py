"""What a record's type means, in words for people, and which of them are alarms. Source: domain.md 4."""

from firmware.lib import records

_OPENED_BY_ITSELF = (50, 111)  # for heat, for want of power: nobody asked for it
_WORDS = """
1 unlocked by app
3 unlocked by server
4 unlocked by passcode
5 passcode changed at the keypad
6 passcode deleted at the keypad
7 wrong passcode
8 passcodes cleared
9 passcode squeezed out
10 erase passcode used
11 passcode refused: not valid now
12 passcode refused: no room
13 passcode refused: blocked
14 powered on
15 card added
16 cards cleared
17 unlocked by card
18 card deleted
19 unlocked by wristband
20 unlocked by fingerprint
21 fingerprint added
22 fingerprint refused: not valid now
23 fingerprint deleted
24 fingerprints cleared
25 card refused: not valid now
26 locked by app
27 unlocked by key
28 unlocked through the gateway
29 OPENED BY FORCE
30 door closed
31 door opened
32 opened from inside
33 locked by fingerprint
34 locked by passcode
35 locked by card
36 locked by key
37 button of the app pressed
38 passcode refused: double locked
39 card refused: double locked
40 fingerprint refused: double locked
41 app refused: double locked
42 mail box
43 mail box
44 TAMPERED WITH
45 locked itself
46 unlocked by button
47 locked by button
48 LOCKED OUT after wrong tries
49 unlocked by hotel card
50 OPENED BY HIGH TEMPERATURE
51 card refused: blocked
52 dead-locked by app
53 dead-locked by passcode
54 car left
55 key fob
56 wireless keypad battery
57 unlocked by QR code
58 QR code refused: not valid now
59 double lock on
60 double lock off
61 locked by QR code
62 QR code refused: double locked
63 opened by passage mode
64 DOOR LEFT OPEN
65 could not unlock: bolt did not arrive
66 COULD NOT LOCK: bolt did not arrive
67 unlocked by face
68 face refused: double locked
69 locked by face
70 face added
71 face refused: not valid now
72 face deleted
73 faces cleared
74 card refused: security data
75 unlocked by authorized button
76 unlocked by authorized gateway button
77 first of two factors: app
78 first of two factors: passcode
79 first of two factors: fingerprint
80 first of two factors: card
81 first of two factors: face
82 first of two factors: fob
83 first of two factors: palm
84 unlocked by palm
85 palm refused: double locked
86 locked by palm
87 palm added
88 palm refused: not valid now
89 palm deleted
90 palms cleared
91 card refused
92 unlocked by the admin passcode
93 passcode added
94 unlocked by another maker's device
95 locked by another maker's device
96 device refused: double locked
97 device refused: not valid now
98 first of two factors: device
99 device added
100 device deleted
101 devices cleared
107 record of a partner's device
111 OPENED BY LOW BATTERY
115 HIGH TEMPERATURE
116 FIRE
249 NFC state read
"""
_OF = {int(number): words for number, words in (line.split(" ", 1) for line in _WORDS.strip().splitlines())}


def words(type: int | None) -> str:
    """`type 200` for an unknown one, "" for None."""
    return "" if type is None else _OF.get(type, "type %d" % type)


def is_alarm(type: int | None) -> bool:
    """True for what needs a look at once."""
    return type is not None and (records.meaning(type)[0] == "alarm" or type in _OPENED_BY_ITSELF)
