"""docs/operations.md names every operation with the flags that hold for it, and no other."""

from pathlib import Path

from firmware.gateway.operations import table

PAGE = Path(__file__).resolve().parents[2] / "docs/operations.md"
_LETTERS = ((table.VOLATILE, "V"), (table.DURABLE, "D"), (table.GUARDED, "G"), (table.SEALED, "S"))


def test_page_says_of_every_operation_what_the_table_says() -> None:
    told = {}
    for line in PAGE.read_text().splitlines():
        if line.startswith("| `"):
            name, flags = (cell.strip(" `") for cell in line.split("|")[1:3])
            told[name] = flags.split()
    meant = {}
    for name in table.lock_operations():
        rules = table.rules(name, True)
        assert rules is not None
        meant[name] = [letter for flag, letter in _LETTERS if rules & flag]
    assert told == meant
