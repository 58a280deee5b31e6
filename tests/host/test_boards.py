"""boards/: what a build of MicroPython with the firmware frozen in would take from us. No chip, and no ESP-IDF."""

import subprocess
from contextlib import chdir
from pathlib import Path

import pytest

from host_tools.boards import bundle, frozen, stage, traceback

BOARDS = stage.ROOT / "boards"
ESP32 = BOARDS / "GATEHOUSE_ESP32"
KIB = 1024
FLASH = 4096 * KIB


class Manifest:
    """Runs a manifest as MicroPython's tools/manifestfile.py does. `modules`: name in the image -> source, or None for
    what is MicroPython's own."""

    def __init__(self, path: Path) -> None:
        self.modules: dict[str, Path | None] = {}
        self.required: list[str] = []
        self._include(path)

    def _include(self, path: Path) -> None:
        def place(base_path: str) -> Path | None:
            return None if base_path.startswith("$(") else (path.parent / base_path).resolve()

        def module(name: str, base_path: str = ".") -> None:
            base = place(base_path)
            assert name not in self.modules, "%s is frozen twice" % name
            self.modules[name] = base and base / name

        def package(name: str, files: tuple[str, ...] | None = None, base_path: str = ".") -> None:
            base = place(base_path)
            assert base, "a package of MicroPython's own is not expected"
            for source in sorted((base / name).rglob("*.py")) if files is None else files:
                module(str((base / name / source).relative_to(base)), str(base))

        def include(name: str) -> None:
            if not name.startswith("$("):
                self._include((path.parent / name).resolve())

        words = {"module": module, "package": package, "include": include, "require": self.required.append}
        with chdir(path.parent):
            exec(compile(path.read_text(), str(path), "exec"), words)


@pytest.mark.parametrize("role", stage.ROLES)
@pytest.mark.parametrize("manifest", [ESP32 / "manifest.py", frozen.MANIFEST], ids=["esp32", "unix"])
def test_the_manifest_freezes_what_the_image_needs_and_nothing_else_of_ours(
    role: str, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle.write(role, tmp_path)
    monkeypatch.setenv("GATEHOUSE_TREE", str(tmp_path))
    modules = Manifest(manifest).modules
    merged = {name for _, name in traceback.load(tmp_path / bundle.MAP)}
    needed = {str(path.relative_to(stage.ROOT)) for path in stage.modules(role)}
    ours = {name for name in modules if name.startswith("firmware/") and not name.endswith("/__init__.py")}
    assert ours | merged == {name for name in needed if not name.endswith("/__init__.py")}
    assert {"boot.py", "main.py", "image.py"} <= set(modules)
    assert all(source is None or source.is_file() for source in modules.values())
    assert not any(name.startswith("aioble") for name in modules)  # radio.py chooses its stack by that


def test_the_chip_gets_the_libraries_that_the_firmware_expects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle.write("gateway", tmp_path)
    monkeypatch.setenv("GATEHOUSE_TREE", str(tmp_path))
    manifest = Manifest(ESP32 / "manifest.py")
    assert manifest.required == ["umqtt.simple"]
    assert {"_boot.py", "flashbdev.py", "inisetup.py"} <= set(manifest.modules)


def partitions() -> list[tuple[str, str, str, int, int]]:
    """(name, type, subtype, offset, size) of each row."""
    rows = []
    for line in (ESP32 / "partitions-4MiB.csv").read_text().splitlines():
        if line and not line.startswith("#"):
            name, kind, subtype, offset, size, flags = (cell.strip() for cell in line.split(","))
            assert not flags
            rows.append((name, kind, subtype, int(offset, 16), int(size, 16)))
    return rows


def test_partitions_follow_one_another_and_fill_the_flash() -> None:
    rows = partitions()
    end = 0x9000  # behind the bootloader and the table itself (ESP-IDF, "Partition Tables")
    for name, kind, _, offset, size in rows:
        assert offset == end, name
        assert not offset % (64 * KIB if kind == "app" else 4 * KIB), name
        assert size and not size % (4 * KIB), name
        end = offset + size
    assert end == FLASH


def test_partitions_are_those_that_micropython_looks_for() -> None:
    rows = {name: (kind, subtype, size) for name, kind, subtype, _, size in partitions()}
    assert rows["nvs"][:2] == ("data", "nvs") and rows["phy_init"][:2] == ("data", "phy")
    assert rows["factory"][:2] == ("app", "factory")
    kind, subtype, size = rows["vfs"]  # MicroPython's flashbdev.py finds it by its label and makes it littlefs
    assert (kind, subtype) == ("data", "fat") and size >= 1024 * KIB


def test_the_board_names_files_that_are_there() -> None:
    configuration = (ESP32 / "sdkconfig.board").read_text()
    assert 'CUSTOM_FILENAME="boards/%s/partitions-4MiB.csv"' % ESP32.name in configuration
    cmake = (ESP32 / "mpconfigboard.cmake").read_text()
    assert "boards/%s/sdkconfig.board" % ESP32.name in cmake and "${MICROPY_BOARD_DIR}/manifest.py" in cmake
    assert "MICROPY_GC_INITIAL_HEAP_SIZE (104 * 1024)" in (ESP32 / "mpconfigboard.h").read_text()


@pytest.mark.skipif(not frozen.SOURCE.is_dir(), reason="no source of MicroPython here; `make frozen` fetches it")
def test_the_patch_applies_to_the_micropython_that_is_tested_with() -> None:
    patch = BOARDS / "fixed-heap.patch"
    done = subprocess.run(
        ["git", "apply", "--check", "-v", str(patch)],
        cwd=frozen.SOURCE,
        capture_output=True,
        text=True,
        check=False,
        env={"GIT_CEILING_DIRECTORIES": str(frozen.HOME), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0 and "mpconfigport.h" in done.stderr, done.stderr
