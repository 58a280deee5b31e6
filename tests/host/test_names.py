"""Names of credentials in the key book: found by what records carry, without a digit kept."""

import pytest

from firmware.lib import marks, records
from host_tools.owner import names
from host_tools.owner.keybook import Entry, KeyBook

MAC = "24:0a:c4:b0:00:02"
ENTRY = Entry(MAC, "Front door", "00112233445566778899aabbccddeeff", 11, 22, "7654321")
KEY = bytes.fromhex(ENTRY.aes)


@pytest.fixture
def book(tmp_path):
    found = KeyBook(tmp_path / "keys.json")
    found.put(ENTRY)
    return found


def known(book):
    return names.Names(book.find(MAC))


def test_a_credential_is_named_by_what_records_carry(book):
    assert names.remember(book, MAC, "passcode", None, "Ada", secret="864201")
    assert names.remember(book, MAC, "card", 7, "Ben", secret="3661413478")
    assert names.remember(book, MAC, "fingerprint", 123456789012, "Cem")
    assert names.remember(book, MAC, "fob", None, "Dina", secret="c0:ff:ee:01:02:03")
    found = known(book)
    assert found.of("passcode", marks.of_passcode(KEY, b"864201")) == "Ada"
    assert found.of("card", marks.of_card(KEY, 3661413478)) == "Ben"
    assert found.of("fingerprint", 123456789012) == "Cem"
    assert found.of("remote", marks.of_fob(KEY, b"\xc0\xff\xee\x01\x02\x03")) == "Dina"
    assert found.of("gateway", records.GATEWAY_UID) == "gateway"
    assert found.of("passcode", marks.of_passcode(KEY, b"7654321")) == "administrator"
    assert (found.of("card", 5), found.of("card", None)) == ("5", "")
    assert found.named("card", 7) == "Ben"
    text = book.path.read_text()
    for secret in ("864201", "3661413478", "c0ffee010203", "c0:ff:ee:01:02:03"):
        assert secret not in text


def test_a_changed_code_keeps_its_name_and_its_earlier_records(book):
    names.remember(book, MAC, "passcode", None, "Ada", secret="864201")
    names.remember(book, MAC, "passcode", None, "", secret="975310", was="864201")
    found = known(book)
    assert len(found.credentials) == 1
    for code in (b"864201", b"975310"):
        assert found.of("passcode", marks.of_passcode(KEY, code)) == "Ada"
    assert len(found.numbers("ada")) == 2


def test_what_is_gone_keeps_its_name_and_gives_up_its_slot(book):
    names.remember(book, MAC, "card", 7, "Ben", secret="1111111111")
    names.mark_deleted(book, MAC, "card", 7)
    names.remember(book, MAC, "card", 7, "Eva", secret="2222222222")
    found = known(book)
    assert found.named("card", 7) == "Eva"
    assert found.of("card", marks.of_card(KEY, 1111111111)) == "Ben"
    names.mark_deleted(book, MAC, "card")
    assert known(book).named("card", 7) == ""


def test_an_unknown_lock_is_no_error(book):
    assert not names.remember(book, "00:00:00:00:00:01", "card", 1, "Ada", secret="1")
    assert names.Names(None).of("card", 9) == "9"
