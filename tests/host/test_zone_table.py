"""A table of twelve zones, each change of two years: what a lock is told of a date, what its lists say, and which time
its records get, against zoneinfo. `python -m pytest -s` prints it; records marked approximate are counted apart.

The program runs the gateway's own parts under both interpreters (tests/host/zone_program.py). Rightly marked are
records of before the gateway first saw a lock whose zone has changes ("stranger"), and what is sent a second time
after more changes than are kept ("later").
"""

import io
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from host_tools.owner import zones
from tests import micropython
from tests.host.tzif import ramadan

START = int(datetime(2027, 2, 1, tzinfo=UTC).timestamp())
END = START + 2 * 366 * 86400
STEPS = (-86400, -7200, -3660, -3600, -1800, -60, -1, 0, 1, 59, 60, 1799, 1800, 3599, 3600, 5400, 7200, 86400)
PLACES = ("Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Sydney", "Pacific/Auckland")
PLACES += ("Europe/Dublin", "Australia/Lord_Howe", "America/Nuuk", "Asia/Gaza", "Asia/Kolkata")


def offset_min(real: tzinfo, at_s: int) -> int:
    found = datetime.fromtimestamp(at_s, real).utcoffset()
    assert found is not None
    return int(found.total_seconds()) // 60


def _dates(real: tzinfo, turns: list[int]) -> list:
    """[moment, wall date5, first and last moment of that minute] by zoneinfo."""
    moments = {turn + step for turn in turns for step in STEPS} | set(range(START, END, 11 * 86400 + 3456))
    found = []
    for at_s in sorted(moments):
        wall = datetime.fromtimestamp(at_s, real).replace(second=0)
        both = [int(wall.replace(fold=fold).timestamp()) for fold in (0, 1)]
        found.append([at_s, list(wall.timetuple()[:5]), *both])
    return found


def case(name: str, rule: str, real: tzinfo) -> dict:
    turns = [at_s for at_s, _ in zones.changes(real, START, END)]
    both = [[turn, offset_min(real, turn - 1), offset_min(real, turn)] for turn in turns]
    return {"name": name, "rule": rule, "dates": _dates(real, turns), "turns": both}


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Path:
    made = []
    for name in PLACES:
        place = zones.find(name, START)
        real = ZoneInfo.from_file(io.BytesIO(zones.raw(name)), name)
        made.append(case(name, zones.choose(place, True), real))
    with pytest.MonkeyPatch.context() as patch:
        turns, content = ramadan()
        patch.setattr(zones, "raw", lambda name: content)
        place = zones.find("Africa/Casablanca", START)
        assert place.missed  # its rule does not tell them
        made.append(case("Casablanca, one by one", zones.choose(place, True), ZoneInfo.from_file(io.BytesIO(content))))
    by_hand = case("by hand", zones.find("UTC+1").rule, ZoneInfo("Etc/GMT-1"))
    first, then = (zones.find(each).rule for each in ("UTC+1", "UTC+2"))
    turns_by_hand = [START + 40 * 86400 + 7, START + 220 * 86400, START + 400 * 86400]
    by_hand["turns"] = [
        [turn, 60 + 60 * (place % 2), 120 - 60 * (place % 2)] for place, turn in enumerate(turns_by_hand)
    ]
    by_hand["rules"] = [then, first, then]
    made.append(by_hand)
    path = tmp_path_factory.mktemp("zones") / "cases.json"
    path.write_text(json.dumps(made))
    return path


def _interpreters() -> list[str]:
    widths = micropython.interpreters()
    return ["cpython", *(widths if os.environ.get("GATEHOUSE_FAULTS") else widths[-1:])]


@pytest.mark.parametrize("on", _interpreters(), ids=lambda path: Path(path).parent.name if "/" in path else path)
def test_no_date_and_no_time_of_a_record_is_wrong_in_two_years_of_twelve_zones(cases, on, monkeypatch):
    monkeypatch.setenv("GATEHOUSE_CASES", str(cases))
    began = time.monotonic()
    if on == "cpython":
        command = [sys.executable, "-m", "tests.host.zone_program"]
        done = subprocess.run(
            command, cwd=micropython.ROOT, env=os.environ, capture_output=True, text=True, timeout=300
        )
    else:
        done = micropython.run(["-c", "import tests.host.zone_program"], 300, on=on)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for each in lines:
        print(
            "%-24s %4d dates %5d records, %d wrong, approx %s"
            % tuple(each[key] for key in ("name", "dates", "records", "wrong", "approx"))
        )
    count = {key: sum(each[key] for each in lines) for key in ("dates", "records", "wrong")}
    approx = {
        key: sum(each["approx"].get(key, 0) for each in lines)
        for key in ("present", "away", "unread", "stranger", "later")
    }
    print(
        "%d wrong of %d dates and %d records; approximate: %s; %.1f s"
        % (count["wrong"], count["dates"], count["records"], approx, time.monotonic() - began)
    )
    assert len(lines) == 12 and count["dates"] > 1500 and count["records"] > 4000
    assert [fault for each in lines for fault in each["faults"]] == [] and count["wrong"] == 0
    assert approx["present"] == approx["away"] == 0  # whoever is there, or comes back, knows
