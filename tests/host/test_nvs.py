"""The simulated boards' NVS: what it keeps over a power cut at each of its flash operations, and what a dump shows."""

import importlib
import io
import random
import subprocess
import sys

import pytest

from host_tools.sim.board.interpreter import SHIMS, interpreter


class Cut(Exception):
    """The power went."""


@pytest.fixture(scope="module")
def shims():
    sys.path.append(str(SHIMS))
    try:
        yield tuple(importlib.import_module(name) for name in ("_power", "_nor", "_nvs"))
    finally:
        sys.path.remove(str(SHIMS))


class Chip:
    """An NVS partition that is powered on by `boot`."""

    def __init__(self, shims) -> None:
        self.power_module, self.nor_module, self.nvs_module = shims
        self.store = io.BytesIO(b"\xff" * self.nvs_module.PAGES * self.nor_module.BLOCK)

    def boot(self):
        def off():
            raise Cut

        self.power = self.power_module.Power(off)
        self.nor = self.nor_module.Nor(self.store, self.nvs_module.PAGES, self.power)
        self.nvs = self.nvs_module.Nvs(self.nor)
        return self.nvs


def steps(seed: int, count: int):
    """Changes of a few keys of different sizes, enough to use up pages."""
    draw = random.Random(seed)
    for _ in range(count):
        key = draw.choice(("a", "b", "long-key-name-15", "d")[:3])[:15]
        value = draw.randbytes(draw.choice((1, 4, 32, 33, 300)))
        yield key, None if draw.random() < 0.2 else value


def test_values_come_back_after_a_thousand_changes(shims) -> None:
    chip = Chip(shims)
    chip.boot()
    kept: dict[str, bytes] = {}
    for count, (key, value) in enumerate(steps(1, 1000)):
        if value is None:
            assert chip.nvs.erase("space", "b", key) == (key in kept)
            kept.pop(key, None)
        else:
            chip.nvs.set("space", "b", key, value)
            kept[key] = value
        chip.nvs.set("space", "i", "n", count)
        if count % 50 == 0:
            chip.boot()
        for each in ("a", "b", "long-key-name-1"):
            assert chip.nvs.get("space", "b", each) == kept.get(each)
        assert chip.nvs.get("space", "i", "n") == count
    assert not chip.nor.clashes
    assert chip.nvs.get("other", "b", "a") is None


@pytest.mark.parametrize("tear", ["", "prefix", "bits", "noise"])
def test_power_cut_at_every_operation_leaves_the_old_value_or_the_new_one(shims, tear: str) -> None:
    chip = Chip(shims)
    chip.boot()
    kept: dict[str, bytes] = {}
    draw = random.Random(tear)
    cuts = 0
    for key, value in steps(2, 400):
        after = draw.randrange(12)
        chip.power.cut_after(after, tear, draw.randrange(1 << 30))
        old = kept.get(key)
        try:
            if value is None:
                chip.nvs.erase("space", "b", key)
            else:
                chip.nvs.set("space", "b", key, value)
            found = value
        except Cut:
            cuts += 1
            while True:  # and again while it starts, now and then
                try:
                    chip.boot()
                    break
                except Cut:
                    pass
            found = chip.nvs.get("space", "b", key)
            assert found in (old, value)
        kept.pop(key, None)
        if found is not None:
            kept[key] = found
        chip.power.cut_after(10000)
        for each in ("a", "b", "long-key-name-1"):
            assert chip.nvs.get("space", "b", each) == kept.get(each)
    assert cuts > 200
    assert not chip.nor.clashes


@pytest.mark.parametrize("tear", ["", "bits", "noise"])
def test_power_cut_while_a_page_is_freed_and_while_that_is_made_good(shims, tear: str) -> None:
    chip = Chip(shims)
    chip.boot()
    for key in ("a", "b", "c"):
        chip.nvs.set("space", "b", key, key.encode() * 300)
    n = 0
    while not any(chip.nor.erases):
        n += 1
        before = chip.store.getvalue()
        chip.nvs.set("space", "i", "n", n)
    for first in range(60):
        for second in (0, 1, 3, 7, 100):
            chip.store = io.BytesIO(before)
            chip.boot()
            chip.power.cut_after(first, tear, first)
            try:
                chip.nvs.set("space", "i", "n", n)
            except Cut:
                pass
            power_off = chip.power_module.Power

            def off() -> None:
                raise Cut

            power = power_off(off)
            power.cut_after(second, tear, second)
            try:
                chip.nvs_module.Nvs(chip.nor_module.Nor(chip.store, chip.nvs_module.PAGES, power))
            except Cut:
                pass
            chip.boot()
            for key in ("a", "b", "c"):
                assert chip.nvs.get("space", "b", key) == key.encode() * 300, (first, second)
            assert chip.nvs.get("space", "i", "n") in (n, n - 1)
            chip.nvs.set("space", "b", "d", b"there is room")


def test_an_erased_value_stays_readable_in_the_dump_as_on_the_chip(shims) -> None:
    chip = Chip(shims)
    chip.boot()
    chip.nvs.set("space", "b", "key", b"canary-canary-canary-canary-0123")
    chip.nvs.erase("space", "b", "key")
    assert chip.nvs.get("space", "b", "key") is None
    assert b"canary-canary" in chip.store.getvalue()


_FILL = """
import gc, io, sys
sys.path.append(sys.argv[1])
import _nor, _nvs, _power
nvs = _nvs.Nvs(_nor.Nor(io.BytesIO(b"\\xff" * _nor.BLOCK * _nvs.PAGES), _nvs.PAGES, _power.Power(None)))
def fill(start, end):
    for number in range(start, end):
        nvs.set("space", "b", "key-%d" % number, bytes(40))
def alive():
    gc.collect()
    return gc.mem_alloc()
fill(0, 4)
before = alive()
fill(4, 100)
print(alive() - before)
"""


def test_what_it_keeps_takes_nothing_of_the_boards_heap() -> None:
    done = subprocess.run([interpreter(), "-c", _FILL, str(SHIMS)], capture_output=True, text=True, check=True)
    assert abs(int(done.stdout)) < 200  # the collector is conservative
