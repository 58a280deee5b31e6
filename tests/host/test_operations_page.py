"""docs/operations.md names every operation with the flags that hold for it, and every state of a connection."""

from pathlib import Path

from firmware.gateway.operations import table
from host_tools.boards import provisioning

PAGE = Path(__file__).resolve().parents[2] / "docs/operations.md"
_LETTERS = ((table.VOLATILE, "V"), (table.DURABLE, "D"), (table.GUARDED, "G"), (table.SEALED, "S"))


def _rows(text: str) -> dict[str, str]:
    """First cell -> second, of the lines whose first cell is a word in backticks."""
    lines = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| `")]
    return {
        first.strip(" `"): second.strip()
        for first, second in lines
        if first.strip() != "`state`" or "says" not in second
    }


def test_page_says_of_every_operation_what_the_table_says() -> None:
    told = {name: flags.split() for name, flags in _rows(PAGE.read_text().split("## Connection")[0]).items()}
    meant = {}
    for name in table.operations():
        rules = table.rules(name, True)
        assert rules is not None
        meant[name] = [letter for flag, letter in _LETTERS if rules & flag]
    assert told == meant


def test_page_says_of_every_state_of_a_connection_what_it_means() -> None:
    words = set(provisioning.STATES) | set(provisioning.UNDER_WAY)
    assert set(_rows(PAGE.read_text().split("## Connection")[1])) == words
    firmware = "".join(
        (PAGE.parents[1] / "firmware" / path).read_text() for path in ("net/wifi.py", "net/mqtt.py", "net/tls.py")
    )
    assert all('"%s"' % word in firmware for word in words - {"online"})
