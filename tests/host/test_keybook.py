"""The key book: private, atomic, optionally encrypted; and the rules for passcodes."""

import json
import os
import stat

import pytest

from host_tools.errors import HostError
from host_tools.owner import codes
from host_tools.owner.keybook import Entry, KeyBook


def entry(mac="AA:BB:CC:11:22:33", name="Front door", **more):
    return Entry(mac, name, "00112233445566778899AABBCCDDEEFF", 12345678, 87654321, **more)


def test_what_is_put_is_found_again_by_name_address_and_id(tmp_path):
    book = KeyBook(tmp_path / "deep" / "keys.json")
    book.put(entry())
    again = KeyBook(book.path)
    for who in ("front door", "FRONT DOOR", "aa:bb:cc:11:22:33", "AABBCC112233"):
        assert again.find(who) == entry()
    assert stat.S_IMODE(os.stat(book.path).st_mode) == 0o600
    assert [name for name in os.listdir(book.path.parent) if name.startswith(".keys-")] == []


def test_file_that_others_can_read_is_refused_and_says_what_to_do(tmp_path):
    book = KeyBook(tmp_path / "keys.json")
    book.put(entry())
    for mode in (0o640, 0o604, 0o620):
        os.chmod(book.path, mode)
        with pytest.raises(HostError) as caught:
            book.entries()
        assert "chmod 600" in caught.value.line()


def test_passphrase_protects_every_secret_and_can_be_taken_off(tmp_path):
    path = tmp_path / "keys.json"
    book = KeyBook(path)
    book.put(entry(admin_passcode="7418529"))
    book.protect("correct horse")
    for secret in ("00112233445566778899aabbccddeeff", "12345678", "7418529", "Front"):
        assert secret not in path.read_text()
    assert KeyBook(path, lambda again: "correct horse").entries()[0].admin_passcode == "7418529"
    with pytest.raises(HostError) as caught:
        KeyBook(path, lambda again: "wrong").entries()
    assert caught.value.code == "auth"
    with pytest.raises(HostError):
        KeyBook(path).put(entry())
    book.protect(None)
    assert KeyBook(path).entries()[0].name == "Front door"


def test_damaged_files_are_named_and_never_overwritten(tmp_path):
    path = tmp_path / "keys.json"
    damaged = ("", "{", "[]", '{"gatehouse_keys": 9}', '{"gatehouse_keys": 1, "locks": [{"mac": "x"}]}')
    sealed = json.dumps({"gatehouse_keys": 1, "sealed": {"n": 1 << 30}})
    for text in (*damaged, sealed):
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(HostError):
            KeyBook(path, lambda again: "x").put(entry())
        assert path.read_text() == text


def test_ambiguous_and_unknown_names(tmp_path):
    book = KeyBook(tmp_path / "keys.json")
    book.put(entry())
    book.put(entry("aa:bb:cc:11:22:34", "Front gate"))
    book.put(entry("aa:bb:cc:11:22:35", "front Gate"))
    for who, code in (("front gate", "bad_request"), ("front", "unknown_lock"), ("cellar", "unknown_lock")):
        with pytest.raises(HostError) as caught:
            book.find(who)
        assert caught.value.code == code


def test_entry_never_shows_its_keys():
    assert "0011" not in repr(entry()) and "12345678" not in repr(entry())


def test_passcode_rules():
    assert codes.check("739154") == "739154"
    assert codes.check("7391", short=True) == "7391"
    for code in ("7391", "111111", "123456", "987654", "890123", "121212", "12a456", "1234567890", "٣٣٣٣٣٣"):
        with pytest.raises(HostError):
            codes.check(code)
    assert not any(codes.is_trivial(codes.random_code(7)) for _ in range(200))
