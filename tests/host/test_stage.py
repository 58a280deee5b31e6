"""The staged tree: what each role gets, compiled for the interpreters we support, the same bytes every time."""

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from firmware.version import BUILT
from host_tools import sources
from host_tools.boards import bundle, pins, sbom, stage, unread


def tree(path: Path) -> dict[str, str]:
    return {
        str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def test_lock_image_holds_neither_gateway_nor_network_nor_client_messages():
    names = [str(path.relative_to(stage.ROOT)) for path in stage.modules("lock")]
    assert "firmware/lock/app.py" in names
    assert not [n for n in names if n.startswith(("firmware/gateway/", "firmware/net/")) or n.endswith("_client.py")]


def test_gateway_image_holds_neither_lock_nor_lock_messages_nor_peripheral():
    names = [str(path.relative_to(stage.ROOT)) for path in stage.modules("gateway")]
    assert "firmware/gateway/app.py" in names
    assert not [n for n in names if n.startswith("firmware/lock/") or n.endswith("_lock.py")]
    assert "firmware/ble/peripheral.py" not in names


@pytest.mark.parametrize("role", stage.ROLES)
def test_stage_is_complete_compiled_and_deterministic(role, tmp_path):
    first = tree(stage.stage(role, tmp_path / "one", simulator=True))
    assert first == tree(stage.stage(role, tmp_path / "two", simulator=True))
    assert (tmp_path / "one" / "role").read_text() == role
    assert {"boot.py", "main.py", "a/firmware/%s/app.mpy" % role, "lib/aioble/__init__.mpy"} <= set(first)
    assert ("lib/umqtt/simple.mpy" in first) == (role == "gateway")
    assert [name for name in first if name.startswith("a/") and not name.endswith(".mpy")] == []
    header = (tmp_path / "one" / "a" / "firmware" / "version.mpy").read_bytes()
    assert header[:2] == b"M\x06"  # format 6: MicroPython 1.23 and newer


@pytest.mark.parametrize("role", stage.ROLES)
def test_what_nothing_of_the_role_reads_is_left_out(role, tmp_path):
    built = stage.stage(role, tmp_path, simulator=True)
    advert = (built / "a" / "firmware" / "lib" / "advert.mpy").read_bytes()
    pins = (built / "a" / "firmware" / "board.mpy").read_bytes()
    assert (b"encode_manufacturer" in advert, b"decode_manufacturer" in advert) == (role == "lock", role == "gateway")
    assert (b"Motor" in pins) == (role == "lock")
    assert b"Watchdog" in pins
    assert list(built.rglob("firmware/**/*.py")) == []


def test_a_name_that_is_read_anywhere_is_kept_with_all_that_it_reads():
    texts = {
        "app": "from lib import first\nimport lib as other\nother.fourth()\n",
        "lib": "def first():\n    second()\n\n\ndef second():\n    pass\n\n\n@deco\ndef third():\n    second()\n\n\n"
        "def fourth():\n    pass\n\n\nTABLE = (1,)\nUSED = [1]\nUSED += [2]\nMADE = list()\n",
    }
    left = unread.without_unread(["lib"], texts)
    assert set(left) == {"lib"}
    assert left["lib"].count("\n") == texts["lib"].count("\n")
    kept = [line for line in left["lib"].split("\n") if line and line[0] != " "]
    assert kept == ["def first():", "def second():", "def fourth():", "USED = [1]", "USED += [2]", "MADE = list()"]


def test_source_tree_mirrors_the_repository(tmp_path):
    built = stage.stage("lock", tmp_path, mpy=False, simulator=True)
    for path in stage.modules("lock"):
        assert (built / "a" / path.relative_to(stage.ROOT)).read_bytes() == path.read_bytes()


def test_unknown_role_names_the_choices(tmp_path):
    with pytest.raises(stage.StageError, match="gateway, lock"):
        stage.stage("door", tmp_path)


def _copy_of_aioble(folder: Path) -> Path:
    (folder / "aioble").mkdir()
    for name in ("__init__.py", "core.py"):
        (folder / "aioble" / name).write_text("NAME = %r\n" % name)
    return folder / "aioble"


@pytest.mark.parametrize("change", ["nothing", "a byte", "a file more", "a file less", "a name", "no pin"])
def test_a_board_gets_the_aioble_that_is_pinned_and_no_other(change, tmp_path, monkeypatch):
    package = _copy_of_aioble(tmp_path)
    listed = tmp_path / "aioble.pins"
    listed.write_text("# checked\n0.6.1 sha256:%s\n" % pins.digest(package))
    monkeypatch.setattr(pins, "PINS", listed)
    monkeypatch.setattr(pins.checked, "__defaults__", (listed,))
    monkeypatch.setattr(pins.read, "__defaults__", (listed,))
    monkeypatch.setenv("GATEHOUSE_AIOBLE", str(tmp_path))
    if change == "a byte":
        (package / "core.py").write_text("NAME = 'core.pY'\n")
    elif change == "a file more":
        (package / "evil.mpy").write_bytes(b"M")
    elif change == "a file less":
        (package / "core.py").unlink()
    elif change == "a name":
        (package / "core.py").rename(package / "care.py")
    elif change == "no pin":
        listed.write_text("")
    if change == "nothing":
        built = stage.stage("lock", tmp_path / "tree")
        assert (built / "lib" / "aioble" / "core.mpy").is_file()
        assert {"aioble"} <= {each["name"] for each in sbom.bill()["components"]}
        return
    with pytest.raises(stage.StageError, match="aioble.pins") as caught:
        stage.stage("lock", tmp_path / "tree")
    assert pins.digest(package) in str(caught.value)
    stage.stage("lock", tmp_path / "simulated", simulator=True)  # a simulated board may have any


def test_the_repository_pins_no_aioble_and_a_line_that_is_no_pin_is_an_error(tmp_path, capsys, monkeypatch):
    assert pins.read() == {}
    for line in ("0.6.1", "0.6.1 sha256:12", "sha256:" + 64 * "0", "0.6.1 md5:" + 32 * "0", "aioble 0.6.1 x"):
        (tmp_path / "pins").write_text(line + "\n")
        with pytest.raises(pins.NotPinned, match="line 1"):
            pins.read(tmp_path / "pins")
    package = _copy_of_aioble(tmp_path)
    monkeypatch.setattr("sys.argv", ["pins", str(package), "0.6.1"])
    pins.main()
    (tmp_path / "pins").write_text(capsys.readouterr().out)
    assert pins.checked(package, tmp_path / "pins") == "0.6.1"


def test_given_aioble_directory_without_aioble_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEHOUSE_AIOBLE", str(tmp_path))
    with pytest.raises(stage.StageError, match="GATEHOUSE_AIOBLE"):
        stage.find_aioble()


def _released(changelog: str) -> list[float]:
    """The days of the releases that a changelog names."""
    days = re.findall(r"^## \S+, (\d{4}-\d\d-\d\d)$", changelog, re.MULTILINE)
    return [datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() for day in days]


def test_the_clocks_floor_is_a_day_no_earlier_than_the_newest_release():
    assert _released("## 0.3.0, unreleased\n\n## 0.2.0, 2027-01-02\n\n## 0.1.0, 2026-12-01\n")[0] == 1798848000
    assert BUILT % 86400 == 0
    assert BUILT >= max(_released(sources.top("CHANGELOG.md").read_text()), default=0)
    day = datetime.fromtimestamp(BUILT, UTC).strftime("(%Y-%m-%d)")
    assert day in (stage.ROOT / "firmware" / "version.py").read_text()


@pytest.mark.parametrize("mpy", [True, False])
def test_a_build_has_the_day_of_its_sources_and_is_the_same_each_time(mpy, tmp_path, monkeypatch):
    module = "a/firmware/version." + ("mpy" if mpy else "py")
    made = {}
    for number, epoch in enumerate((None, BUILT + 90000, BUILT + 90000, BUILT - 1, "tomorrow")):
        monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
        if epoch:
            monkeypatch.setenv("SOURCE_DATE_EPOCH", str(epoch))
        made[number] = tree(stage.stage("gateway", tmp_path, mpy=mpy, simulator=True))
    assert made[0] == made[3] == made[4]
    assert made[1] == made[2]
    assert {name for name in made[0] if made[0][name] != made[1][name]} == {module}


def test_a_frozen_build_has_it_too(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(BUILT + 1))
    path = stage.ROOT / "firmware" / "version.py"
    assert "BUILT = %d\n" % (BUILT + 1) in bundle.Source("firmware.version", path).text
