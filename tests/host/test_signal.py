"""How strong a lock is heard, in words: in its state and to who stands beside it."""

import pytest

from firmware.lib import reports
from host_tools.near import sightings


@pytest.mark.parametrize(
    "rssi_dbm,word",
    [(-30, "strong"), (-75, "strong"), (-76, "medium"), (-85, "medium"), (-86, "weak"), (-120, "weak")],
)
def test_f028_strength_is_classed_alike_everywhere(rssi_dbm: int, word: str) -> None:
    assert reports.signal(rssi_dbm) == sightings.strength(rssi_dbm) == word
    assert reports.signal(None) is None
