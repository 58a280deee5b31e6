"""Flash images: a board never starts from a cached image whose ingredients have changed since."""

from pathlib import Path

import pytest

from host_tools.sim.board import flash_image


def aioble_on_board(folder: Path) -> bytes:
    folder.mkdir()
    flash_image.create(folder / "image", "lock", mpy=False)
    flash_image.unpack(folder / "image", folder / "files")
    (package,) = (folder / "files" / "lib").glob("aioble")
    return b"".join(path.read_bytes() for path in sorted(package.iterdir()))


def test_board_gets_the_aioble_that_is_given_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "given" / "aioble"
    given.mkdir(parents=True)
    monkeypatch.setenv("GATEHOUSE_AIOBLE", str(given.parent))
    for turn, content in enumerate((b"first = 1\n", b"second = 2\n", b"first = 1\n")):
        (given / "__init__.py").write_bytes(content)
        assert aioble_on_board(tmp_path / str(turn)) == content
    (given / "more.py").write_bytes(b"third = 3\n")
    assert aioble_on_board(tmp_path / "more") == b"first = 1\nthird = 3\n"
    monkeypatch.delenv("GATEHOUSE_AIOBLE")
    assert aioble_on_board(tmp_path / "without") not in (b"first = 1\n", b"first = 1\nthird = 3\n")
