"""Arbitrary bytes into every decoder, and round trips over whole value ranges."""

import ast
import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.lib import advert, crypto, dates, frame, records
from firmware.lib.errors import BadRequest, ProtocolError
from firmware.lib.frame import Reassembler
from firmware.lock.commands.table import COMMANDS
from tests.decoders import CLIENT, LOCK

RAW = st.binary(max_size=280)


_ROOT = Path(__file__).resolve().parent.parent.parent


def _decoders() -> set[str]:
    """`module.function` of everything in `lib/messages` that takes what comes from the other end."""
    found = set()
    for path in (_ROOT / "firmware/lib/messages").glob("*_*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.args.args:
                is_of_lock = path.stem.endswith("_lock") and node.name.startswith("decode_")
                if is_of_lock or (path.stem.endswith("_client") and node.args.args[0].arg == "data"):
                    found.add("%s.%s" % (path.stem, node.name))
    return found


def test_every_decoder_is_fed() -> None:
    tree = ast.parse((_ROOT / "tests/decoders.py").read_text())
    fed = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    served = {".".join(row.split()[:2]) for row in COMMANDS.values()}
    assert len(_decoders()) > 40 and len(served) > 20
    assert sorted((_decoders() | served) - fed) == []


@pytest.mark.parametrize("place", range(len(CLIENT)))
@settings(max_examples=60, deadline=None)
@given(raw=RAW)
def test_answers(place, raw):
    try:
        CLIENT[place][0](raw)
    except ProtocolError:
        pass


@pytest.mark.parametrize("place", range(len(LOCK)))
@settings(max_examples=60, deadline=None)
@given(raw=RAW)
def test_requests(place, raw):
    try:
        LOCK[place][0](raw)
    except ProtocolError:
        pass
    except BadRequest as err:
        assert err.ble in (0x0E, 0x0F, 0x1B, 0x1D)


@settings(deadline=None)
@given(raw=RAW)
def test_advertisement_and_mask_never_raise(raw):
    advert.decode_manufacturer(raw)
    if raw:
        assert len(records.mask(raw)) == len(raw)


@settings(deadline=None)
@given(noise=st.binary(max_size=400), size=st.integers(1, 244), shaped=st.booleans(), payload=st.binary(max_size=255))
def test_frame_after_a_reset_is_found_whatever_came_before(noise, size, shaped, payload):
    parts = Reassembler()
    for chunk in frame.chunks(noise, size):
        for raw in parts.feed(chunk):
            assert len(raw) <= frame.MAX_FRAME
        assert parts.pending <= frame.MAX_FRAME
    parts.reset()
    raw = frame.encode(0x54, payload)
    found = [got for chunk in frame.chunks(raw, max(size, 2), shaped) for got in parts.feed(chunk)]
    assert found == [raw]
    assert frame.decode(raw).payload == payload


@settings(deadline=None)
@given(raw=st.lists(st.sampled_from([0x0D, 0x0A, 0x7F]), min_size=1, max_size=90).map(bytes), size=st.integers(3, 30))
def test_shaped_chunks_lose_nothing_and_never_end_in_crlf(raw, size):
    cut = list(frame.chunks(raw, size, shaped=True))
    assert b"".join(cut) == raw
    assert all(0 < len(chunk) <= size for chunk in cut)
    assert not any(chunk.endswith(b"\r\n") for chunk in cut[:-1])


@given(key=st.binary(min_size=16, max_size=16), plain=st.binary(max_size=111))
def test_ciphers_round_trip(key, plain):
    assert crypto.decrypt(key, crypto.encrypt(key, plain)) == plain
    assert crypto.ctr(key, key, crypto.ctr(key, key, plain)) == plain


@given(st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(2099, 12, 31, 23, 59, 59)))
def test_dates_agree_with_the_calendar(when):
    date = (when.year, when.month, when.day, when.hour, when.minute, when.second)
    seconds = int((when.replace(microsecond=0) - datetime.datetime(2000, 1, 1)).total_seconds())
    assert dates.to_seconds(date) == seconds
    assert dates.from_seconds(seconds) == date
    assert dates.decode6(dates.encode6(date)) == date
