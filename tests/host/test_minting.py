"""Codes made at the host: limits of issue, what is noted, and the text to hand over."""

import pytest

from firmware.lib import offline_codes, zone
from host_tools.errors import HostError
from host_tools.owner import bundles, key_files, minting, names
from host_tools.owner.keybook import Entry, KeyBook

NOW = 1778509387  # 2026-05-11 14:23:07 UTC, a Monday
HOUR = 3600
OFFSET_MIN = 120


@pytest.fixture
def book(tmp_path):
    book = KeyBook(tmp_path / "keys.json")
    entry = Entry("aa:bb:cc:dd:ee:ff", "front door", "00" * 16, 1, 2, zone_rule=zone.plain(OFFSET_MIN))
    entry.seeds = minting.make_seeds()
    book.put(entry)
    return book


def mint(book, kind, start=None, end=None, now=NOW):
    return minting.mint(book, "aabbccddeeff", kind, start, end, "guest", now)


def entry_of(book):
    return book.find("front door")


def refused(book, number, *args, **more):
    with pytest.raises(HostError) as caught:
        mint(book, *args, **more)
    assert caught.value.ttlock == number
    return str(caught.value)


def test_seeds_are_what_real_locks_take():
    packed = bytes.fromhex(minting.make_seeds())
    assert len(packed) == 61
    for at in range(1, 61, 6):
        value = int.from_bytes(packed[at : at + 6], "big")
        assert 96 <= value >> 36 <= 916 and sorted("%010d" % (value & 0xFFFFFFFFF)) == list("0123456789")


def test_the_lock_finds_what_the_host_made(book):
    secret = minting.secret_of(entry_of(book))
    now = (NOW - 946684800 + 60 * OFFSET_MIN) // 3600
    for kind in ("once", "permanent", "erase", "daily", "mon", "workday"):
        made = mint(book, kind, NOW, NOW + 3 * HOUR)
        assert offline_codes.Search(secret, now, made.code).run()[0] == minting.KINDS[kind]
        assert made.start == NOW - NOW % HOUR
    assert offline_codes.Search(secret, now, mint(book, "timed", NOW, NOW + 48 * HOUR).code).run() == (3, now, 24)


def test_limits_of_issue(book):
    codes = {mint(book, "once").code for _ in range(200)}
    assert len(codes) == 200
    assert "200" in refused(book, None, "once")
    assert mint(book, "once", NOW + HOUR).code not in codes
    for _ in range(20):
        mint(book, "permanent")
    refused(book, None, "permanent")
    mint(book, "timed", NOW, NOW + 5 * HOUR)
    refused(book, minting.ALREADY_ISSUED, "timed", NOW, NOW + 5 * HOUR)
    names.mark_deleted(book, "aabbccddeeff", "passcode")
    refused(book, minting.ALREADY_ISSUED, "timed", NOW, NOW + 5 * HOUR)
    assert mint(book, "erase").code == mint(book, "erase").code


def test_periods_that_make_no_code(book):
    assert "year" in refused(book, None, "timed", NOW, NOW + 367 * 24 * HOUR)
    mint(book, "timed", NOW, NOW + 366 * 24 * HOUR)
    assert "nearest: 24 h" in refused(book, None, "timed", NOW, NOW + 30 * HOUR)
    refused(book, None, "timed", NOW, NOW + 60)
    refused(book, None, "once", NOW - 6 * HOUR)
    mint(book, "once", NOW - 5 * HOUR)
    refused(book, None, "permanent", NOW - 24 * HOUR)
    refused(book, None, "daily", NOW, NOW + 25 * HOUR)
    assert mint(book, "daily", NOW, NOW + 9 * HOUR).end == NOW - NOW % HOUR + 9 * HOUR  # beyond midnight


def test_recurring_codes_begin_with_their_first_window(book):
    assert mint(book, "thu", NOW, NOW + HOUR).start == NOW - NOW % HOUR + 3 * 24 * HOUR
    assert mint(book, "weekend", NOW, NOW + HOUR).start == NOW - NOW % HOUR + 5 * 24 * HOUR


def test_without_seeds_or_between_two_of_them(book):
    book.update("aabbccddeeff", lambda entry: setattr(entry, "next_seeds", "00" * 61))
    refused(book, minting.NO_SEEDS, "once")
    book.update("aabbccddeeff", lambda entry: [setattr(entry, name, "") for name in ("seeds", "next_seeds")])
    refused(book, minting.NO_SEEDS, "once")


def test_text_to_share_names_lock_code_and_validity(book):
    for kind, words in (("timed", ("2026-05-11 16:00", "2026-05-11 18:00")), ("mon", ("Mondays, 16:00 to 18:00",))):
        made = mint(book, kind, NOW, NOW + 2 * HOUR)
        text = minting.share_text(entry_of(book), made)
        assert all(each in text for each in ("front door", made.code, *words)), text
        assert minting.find(entry_of(book), made.code).end == made.end
    assert "once, 2026-05-11 16:00 to 2026-05-11 22:00" in minting.share_text(entry_of(book), mint(book, "once"))
    assert "from 2026-05-11 16:00 on" in minting.share_text(entry_of(book), mint(book, "permanent"))
    assert "removes" in minting.share_text(entry_of(book), mint(book, "erase"))
    assert minting.find(entry_of(book), "123123123") is None


def test_no_digits_in_the_key_book(book):
    code = mint(book, "permanent").code
    assert code not in book.path.read_text()


def test_seeds_in_other_programs_files(book):
    entry = entry_of(book)
    again = key_files.read(bundles.lock_data(entry)).locks[0].entry
    assert again.seeds == entry.seeds
