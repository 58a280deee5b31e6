"""What the live view says of a lock: what was told, and only while its gateway and itself can be reached."""

import itertools
import json

import pytest

from host_tools.gateway import payloads
from host_tools.gateway.monitor import Monitor, bolt, event_line, is_reachable

GATEWAY, LOCK = "240ac4a00000", "240ac4b00002"


class Gateways:
    """What the view reads of `client.Gateways`."""

    def __init__(self) -> None:
        self.online: dict[str, bool] = {}
        self.info: dict[str, dict] = {}
        self.reader = payloads.Reader()

    def name(self, gateway: str) -> str:
        return ""


def row(status: bool | None, availability: str | None, state: dict | None) -> list[str]:
    """The cells of the lock's one row."""
    gateways = Gateways()
    if status is not None:
        gateways.online[GATEWAY] = status
    view = Monitor(gateways, {LOCK: "Front door"})  # type: ignore[arg-type]
    if availability is not None:
        view.receive(GATEWAY, LOCK, "availability", availability)
    if state is not None:
        view.receive(GATEWAY, LOCK, "state", json.dumps(state))
    return [str(next(iter(column.cells))) for column in view.table().columns]


@pytest.mark.parametrize("status", [None, False, True])
@pytest.mark.parametrize("availability", [None, "offline", "online"])
def test_a_lock_is_online_when_its_gateway_and_itself_say_so(status, availability) -> None:
    cells = row(status, availability, {"lock": "LOCKED", "assumed": False, "door": "closed"})
    parts = {None: None, "offline": False, "online": True}
    reach = is_reachable(status, parts[availability])
    assert (reach is True) == (status is True and availability == "online")
    assert (reach is False) == (status is False or availability == "offline")
    assert cells[2] == {True: "online", False: "offline", None: "unknown"}[reach]
    # What a dead gateway retained is no present state
    assert cells[3:5] == (["LOCKED", "closed"] if reach else ["unknown (was LOCKED)", ""])


def test_what_was_never_told_is_unknown_and_what_is_assumed_says_so() -> None:
    for word, assumed, online in itertools.product(
        (None, "LOCKED", "UNLOCKED", "JAMMED"), (None, False, True), (True,)
    ):
        shown = bolt({"lock": word, "assumed": assumed}, online)
        assert ("unknown" in shown) == (word is None)
        assert ("assumed" in shown) == (word is not None and assumed is True)
    assert bolt({}, True) == "unknown"
    assert row(True, "online", None)[3] == "unknown"


def test_a_lock_that_does_not_lock_itself_stands_out() -> None:
    line, style = event_line("Front", {"event_type": "alarm", "method": "still_open"})
    assert "open for longer" in line and style == "bold red"
    for moved_s, words in (
        (-7 * 86400, "by -7 days"),
        (3600, "by +60 minutes"),
        (310, "by +5 minutes"),
        (None, "it showed none"),
        ("7", "it showed none"),
        (7, "by +7 seconds"),
    ):
        line, _ = event_line("Front", {"event_type": "alarm", "method": "clock_moved", "moved_s": moved_s})
        assert words in line, line
