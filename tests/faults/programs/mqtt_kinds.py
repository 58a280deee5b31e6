"""Payloads that no gateway may obey, one function per kind of badness. Pure, seeded by whoever imports it; written for
both interpreters. `good` makes the command that they are bad versions of."""

import random


def some(choices):
    return choices[random.getrandbits(16) % len(choices)]


def some_bytes(most):
    return bytes(random.getrandbits(8) for _ in range(random.getrandbits(16) % (most + 1)))


def good(op=None):
    """A command that would be obeyed, as text."""
    return '{"id":"%08x","op":"%s","exp":%d}' % (random.getrandbits(30), op or some(("unlock", "lock")), 1790000005)


def mutated():
    raw = bytearray(good().encode())
    for _ in range(1 + random.getrandbits(2)):
        at = random.getrandbits(16) % len(raw)
        how = random.getrandbits(2)
        if how == 0:
            raw[at] ^= 1 << random.getrandbits(3) % 8
        elif how == 1:
            raw = raw[:at] + raw[at + 1 :]
        elif how == 2:
            raw = raw[:at] + bytes((random.getrandbits(8),)) + raw[at:]
        else:
            raw = raw[:at]
        if not raw:
            return b"x"
    return bytes(raw)


def deep():
    depth = 1 + random.getrandbits(16) % 900
    opening = some(("[", '{"a":'))
    return ('{"id":"deep","op":"unlock","args":' + opening * min(4 + depth, 960 // len(opening))).encode()


def _twice():
    return some(
        (
            b'{"id":"twice","op":"lock","op":"unlock"}',
            b'{"id":"twice","op":"unlock","id":"other"}',
            b'{"id":"twice","op":"unlock","args":{"a":1,"a":2}}',
            b'{"id":"twice","op":"unlock","o\\u0070":"unlock"}',
        )
    )


def _mistyped():
    wrong = some(("null", "1", "true", "[]", "{}", '""', "-1", "1.5", '"x' + "y" * 70 + '"', '"\\u0000"', '"\\n"'))
    return some(
        (
            '{"id":%s,"op":"unlock"}' % (wrong if wrong != '""' else "7"),
            '{"id":"typed","op":%s}' % wrong,
            '{"id":"typed","op":"unlock","args":%s}' % ("1" if wrong in ("null", "{}") else wrong),
            '{"id":"typed","op":"unlock","exp":%s}' % ("[1]" if wrong in ("null", "1") else wrong),
            '{"id":"typed","op":"unlock","sealed":%s}' % ("1" if wrong == "null" else wrong),
            '{"id":"typed","op":"unlock","more":%s}' % wrong,
            '{"op":"unlock"}',
            '["unlock"]',
            '"UNLOCK"',
        )
    ).encode()


def _numbers():
    huge = some(("9007199254740993", "1" * (17 + random.getrandbits(9) % 400), "-9007199254740993", "1e999", "-1e400"))
    over = str(9007199254740993 + random.getrandbits(20))
    odd = some(("NaN", "Infinity", "-Infinity", "nan", "0x10", "01", "1.", ".5", "1e", "+1", "--1", huge, over, over))
    return ('{"id":"number","op":"unlock","exp":%s}' % odd).encode()


def _tails():
    return good().encode() + some((b"}", b"x", b"{}", b"\x00", b",", b"\xef\xbb\xbf", some_bytes(40) + b"!"))


def _keys():
    many = ",".join('"k%d":%d' % (number, number) for number in range(24 + random.getrandbits(5)))
    return ('{"id":"keys","op":"unlock","args":{%s}}' % many).encode()[:1024]


_ODD = (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x00", b"\n", b"\\ud800", b"\\x")
_ODD_IN = (b'{"id":"%s","op":"unlock"}', b'{"id":"t","op":"un%slock"}', b'{"id":"t","op":"unlock","a%s":1}')


def _text():
    return some(_ODD_IN) % some(_ODD)


def _random():
    return some_bytes(600) + b"\x01"


def _long():
    return b'{"id":"long","op":"unlock","args":{"a":"' + b"a" * (1024 + random.getrandbits(11)) + b'"}}'


KINDS = (_random, mutated, deep, _twice, _mistyped, _numbers, _tails, _keys, _text, _long)
WORDS = (b"lock", b"UNLOCK ", b"LOCK\x00", b"unlock", b"OPEN", b"\xff", b"UNLOC", b"LOCKUNLOCK", b'"UNLOCK"', b"1")

READABLE = (b"deep", b"twice", b"typed", b"number", b"keys")  # ids of what is broken behind its id
