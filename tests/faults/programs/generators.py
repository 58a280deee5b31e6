"""T-RNG-2: random generators broken in several ways give no key; a good one is not refused. Arguments: n, seed."""

import os
import random

import score

from firmware.lib import crypto
from firmware.lib.errors import EntropyError

N, SEED = score.arguments()


class Generator:
    def __init__(self, urandom):
        self.urandom = urandom


def fails(n):
    raise OSError(5)


def constant():
    value = random.getrandbits(8)
    return lambda n: bytes((value,)) * n


def stuck_from():
    """Good until some byte, the same value from there on."""
    left = [random.randint(0, 500)]

    def urandom(n):
        good = min(n, left[0])
        left[0] -= good
        return os.urandom(good) + b"\x77" * (n - good)

    return urandom


def few_values():
    mask = (1 << random.randint(0, 3)) - 1
    return lambda n: bytes(octet & mask for octet in os.urandom(n))


def same_again():
    block = os.urandom(1024)
    return lambda n: block[:n]


def short_period():
    block = os.urandom(random.choice((1, 2, 4, 8, 16)))
    return lambda n: (block * (n // len(block) + 1))[:n]


def too_few(n):
    return os.urandom(n - 1)


def refused(urandom, make):
    crypto.os = Generator(urandom)
    try:
        make()
    except EntropyError:
        return True
    finally:
        crypto.os = os
    return False


def main():
    random.seed(SEED)
    result = score.Score()
    makers = (constant, stuck_from, few_values, same_again, short_period, lambda: fails, lambda: too_few)
    for n in range(N):
        make = makers[n % len(makers)]
        result.check(refused(make(), lambda: crypto.new_key(16)), "generator %d gives a key" % (n % len(makers)))
    for urandom in (fails, constant(), too_few):
        result.check(refused(urandom, lambda: crypto.random_below(0x7FFFFFFF)), "a challenge")
    for _ in range(N):
        try:
            result.check(len(crypto.new_key(32)) == 32, "length")
        except EntropyError as err:
            result.fail("a good generator is refused: %s" % err)
    result.end()


main()
