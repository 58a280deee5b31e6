"""Arbitrary bytes into every decoder, and round trips over whole value ranges."""

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.lib import advert, crypto, dates, frame, records
from firmware.lib.errors import BadRequest, ProtocolError
from firmware.lib.reassembler import Reassembler
from tests.decoders import CLIENT, LOCK

RAW = st.binary(max_size=280)


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
