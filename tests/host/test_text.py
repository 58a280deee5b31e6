"""Names from outside: what is one, which two are the same, and that a part of one never picks anything."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools import text
from host_tools.errors import HostError
from host_tools.owner.keybook import Entry, KeyBook

AES = "00112233445566778899aabbccddeeff"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"),
        ("Haustu\u0308r", "Haustür"),
        ("HAUSTÜR", "haustu\u0308r"),
        (" Front  door ", "front door"),
        ("ΟΔΟΣ", "οδος"),
        ("ﬁre", "FIRE"),
        ("front\u00a0door", "Front Door"),
    ],
)
def test_names_that_people_take_for_the_same(one, other):
    assert text.key(one) == text.key(other)


def test_a_name_is_composed_and_has_single_blanks():
    assert text.name("  Haustu\u0308r   2 ") == "Haustür 2"
    assert text.name("\ud83d\ude00 cellar") == "😀 cellar"
    assert text.name("👨\u200d👩\u200d👧") == "👨\u200d👩\u200d👧"


@pytest.mark.parametrize(
    "value", ["", " ", "\u00a0", "a\x1bb", "a\nb", "\u202eab", "\ud83d", "x" * 65, "\x00", "a\u2028b"]
)
def test_what_is_no_name(value):
    with pytest.raises(HostError) as caught:
        text.name(value)
    assert caught.value.code == "bad_request"
    assert all(map(text.is_safe, caught.value.line()))


@given(
    value=st.one_of(st.text(), st.text(st.characters(categories=("Cs", "Cf", "Cc", "Zs"))), st.none(), st.integers())
)
def test_a_tidied_name_is_a_name_or_nothing(value):
    tidied = text.tidy(value)
    assert tidied == "" or text.name(tidied) == tidied
    assert text.tidy(tidied) == tidied


@given(
    value=st.text()
    | st.sampled_from(["../../etc/passwd", "/", "..", ".", "a/b\\c", "C:\\x", "~", "$(id)", "-rf", "\x00"])
)
def test_a_part_of_a_file_s_name_leaves_no_folder(value):
    part = text.file_part(value)
    assert part
    assert os.path.basename(part) == part
    assert not part.startswith((".", "-", "~"))
    assert not set(part) & set("/\\:$`'\"*?<>| \0\n")


class TestKeyBook:
    @pytest.fixture
    def book(self, tmp_path):
        book = KeyBook(tmp_path / "keys.json")
        for number, name in enumerate(("Room 7", "Straße", "Haustür", "Garage [/]", "Twin", "twin", "aabbccddee01")):
            book.put(Entry("24:0a:c4:b0:00:%02x" % number, name, AES, 1, 2))
        book.put(Entry("aa:bb:cc:dd:ee:01", "Attic", AES, 1, 2))
        return book

    @pytest.mark.parametrize(
        ("who", "name"),
        [
            ("room 7", "Room 7"),
            ("STRASSE", "Straße"),
            ("Haustu\u0308r", "Haustür"),
            ("garage [/]", "Garage [/]"),
            ("24:0A:C4:B0:00:00", "Room 7"),
            ("24-0a-c4-b0-00-00", "Room 7"),
            ("240ac4b00000", "Room 7"),
        ],
    )
    def test_a_whole_name_or_address_finds_a_lock(self, book, who, name):
        assert book.find(who).name == name

    @pytest.mark.parametrize(
        "who", ["", " ", "\u00a0", ":", "R", "room", "7", "24:0a", "240ac4b0000", "Room 77", "%", "*", "."]
    )
    def test_nothing_less_finds_one(self, book, who):
        with pytest.raises(HostError) as caught:
            book.find(who)
        assert caught.value.code in ("bad_request", "unknown_lock")

    @pytest.mark.parametrize("who", ["TWIN", "aabbccddee01"])
    def test_a_name_that_several_have_is_an_error_with_their_addresses(self, book, who):
        with pytest.raises(HostError) as caught:
            book.find(who)
        assert caught.value.code == "bad_request"
        assert caught.value.line().count("24:0a:c4:b0") + caught.value.line().count("(aa:bb:cc") == 2

    def test_a_part_is_answered_with_what_it_may_mean(self, book):
        with pytest.raises(text.NoSuchName) as caught:
            book.find("roo")
        assert "did you mean Room 7 (24:0a:c4:b0:00:00)?" in caught.value.line()

    def test_a_part_of_one_name_is_a_question_where_it_can_be_asked(self, book):
        asked = []
        book = KeyBook(book.path, is_meant=lambda typed, entry: asked.append((typed, entry.name)) or typed == "roo")
        assert book.find("roo").name == "Room 7"
        with pytest.raises(text.NoSuchName):
            book.find("room")
        with pytest.raises(HostError):
            book.find("")
        assert asked == [("roo", "Room 7"), ("room", "Room 7")]

    @given(who=st.text(max_size=12))
    def test_only_the_same_key_finds(self, who):
        names = ["Room 7", "Straße", "R", ""]
        try:
            found = text.pick(who, names, lambda each: [each], str, "a lock")
        except HostError:
            return
        assert text.key(found) == text.key(who) != ""
