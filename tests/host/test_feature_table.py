"""Every feature has a test or says why not, and the table in `tests/README.md` is the one of today."""

from tests import feature_table
from tests.feature_table import EXCEPTED, PENDING, Feature, Named

_ROWS = [
    Feature("F001", "1", "Open", "L G", ""),
    Feature("F002", "2", "Console", "W", "later"),
    Feature("F003", "3", "Faces", "L", "later"),
]
_OPEN = Named("system/test_x.py", "test_f001_it_opens")


def test_every_row_is_shown_or_says_why_not() -> None:
    assert not feature_table.faults(feature_table.features(), feature_table.named_tests(), EXCEPTED, PENDING)


def test_readme_has_the_table_of_today() -> None:
    text = feature_table.README.read_text()
    assert feature_table.readme(text) == text, "run python -m tests.feature_table"


def test_index_is_whole() -> None:
    rows = feature_table.features()
    assert [row.number for row in rows] == ["F%03d" % number for number in range(1, 138)]
    assert all(row.reason for row in rows if row.number in EXCEPTED or row.components == "-")


def test_row_without_test_or_reason_and_test_without_row_are_told() -> None:
    def faults(tests, excepted=frozenset({"F003"}), pending=frozenset()):
        return [each[:4] for each in feature_table.faults(_ROWS, tests, set(excepted), set(pending))]

    assert faults([_OPEN]) == []
    assert faults([]) == ["F001"]
    assert faults([], pending={"F001"}) == []
    assert faults([_OPEN], pending={"F001"}) == ["F001"]
    assert faults([_OPEN], excepted=()) == ["F003"], "a reason alone excuses no firmware"
    assert faults([_OPEN, Named("system/test_x.py", "test_f001_f099_it_opens")]) == ["F099"]


def test_test_that_is_named_after_two_rows_shows_both(tmp_path) -> None:
    (tmp_path / "system").mkdir()
    (tmp_path / "system/test_x.py").write_text("def test_f087_f085_a_card():\n    pass\n\ndef test_plain(): ...\n")
    (found,) = feature_table.named_tests(tmp_path)
    assert found.numbers == ["F087", "F085"] and found.file == "system/test_x.py"
    assert "[test_x](system/test_x.py): a card" in feature_table.table(
        [Feature("F085", "K3", "Validity", "L", "")], [found]
    )
