"""The staged tree: what each role gets, compiled for the interpreters we support, the same bytes every time."""

import hashlib
from pathlib import Path

import pytest

from host_tools.boards import stage


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


def test_source_tree_mirrors_the_repository(tmp_path):
    built = stage.stage("lock", tmp_path, mpy=False, simulator=True)
    for path in stage.modules("lock"):
        assert (built / "a" / path.relative_to(stage.ROOT)).read_bytes() == path.read_bytes()


def test_unknown_role_names_the_choices(tmp_path):
    with pytest.raises(stage.StageError, match="gateway, lock"):
        stage.stage("door", tmp_path)


def test_given_aioble_directory_without_aioble_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEHOUSE_AIOBLE", str(tmp_path))
    with pytest.raises(stage.StageError, match="GATEHOUSE_AIOBLE"):
        stage.find_aioble()
