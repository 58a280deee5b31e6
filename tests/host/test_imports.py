"""Imports point one way (CONTRIBUTING.md, "Layout"): read from the sources, so that a wrong arrow fails early."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
START = {ROOT / "boot.py", ROOT / "main.py"}

# Package -> what of ours it may import besides itself.
ALLOWED = {
    "lib": set(),
    "system": {"lib"},
    "ble": {"lib", "system"},
    "net": {"lib", "system"},
    "gateway": {"lib", "system", "version"},
    "lock": {"lib", "system", "version"},
}
EDGES = {"ble", "net", "board"}  # for the two app.py only

# MicroPython modules with one owner each.
OWNERS = {
    "aioble": {"firmware/ble/radio.py"},
    "bluetooth": {"firmware/ble/radio.py"},
    "network": {"firmware/net/wifi.py"},
    "machine": {"firmware/board.py", "boot.py", "main.py"},
    "esp32": {"firmware/board.py"},
}


def sources() -> list[Path]:
    return sorted(FIRMWARE.rglob("*.py")) + sorted(START)


def imported(path: Path) -> set[str]:
    """Full names of the modules that `path` imports, also inside functions; `from p import m` counts as p.m too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def package(path: Path) -> str:
    """First folder below firmware/, or the module's name when it lies in firmware/ itself."""
    part = path.relative_to(FIRMWARE).parts[0]
    return part.removesuffix(".py")


def ours(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("firmware.")}


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [path for path in sources() if path not in START], ids=label)
def test_packages_import_only_what_lies_below_them(path: Path) -> None:
    own = package(path)
    if own not in ALLOWED:  # board.py, version.py: nothing of ours but the pure core
        assert ours(imported(path)) <= {"lib"}
        return
    allowed = ALLOWED[own] | {own}
    if path.name == "app.py":
        allowed |= EDGES
    assert ours(imported(path)) <= allowed, f"{label(path)} imports {sorted(ours(imported(path)) - allowed)}"


@pytest.mark.parametrize("path", sources(), ids=label)
def test_each_piece_of_hardware_has_one_owner(path: Path) -> None:
    for name in imported(path):
        owners = OWNERS.get(name.split(".")[0])
        assert owners is None or label(path) in owners, f"{label(path)} imports {name}"


def test_boot_imports_nothing_of_ours_and_main_only_the_roles() -> None:
    assert not ours(imported(ROOT / "boot.py"))
    assert ours(imported(ROOT / "main.py")) <= {"gateway", "lock"}


def test_package_files_are_empty() -> None:
    """Whatever an __init__.py imports, every importer pays for in RAM."""
    assert [label(path) for path in FIRMWARE.rglob("__init__.py") if path.stat().st_size] == []
