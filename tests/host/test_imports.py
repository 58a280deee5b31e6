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
    return imports_of(ast.parse(path.read_text()), path)


def imports_of(tree: ast.AST, path: Path) -> set[str]:
    names = set()
    for node in ast.walk(tree):
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


# Package of host_tools -> what of it the package may import besides itself. The simulator may use the tools; of the
# tools only the command line starts it.
HOST_ALLOWED = {
    "owner": set(),
    "near": {"owner"},
    "gateway": {"owner"},
    "boards": {"gateway", "near"},
    "doctor": {"boards", "gateway", "owner"},
    "broker": {"gateway"},
    "release": set(),
    "serve": {"owner", "gateway"},
    "cli": {"owner", "near", "gateway", "boards", "broker", "doctor", "serve", "sim.ble", "sim.air", "sim.site"},
    "sim.air": set(),
    "sim.ble": {"sim.air"},
    "sim.board": {"boards"},
    "sim.inject": {"sim.ble"},
    "sim.site": {"owner", "near", "gateway", "boards", "broker", "sim.air", "sim.ble", "sim.board"},
}
BOARD_SIDE = {"shims", "standin"}  # MicroPython modules, which simulated boards import
HOST_FIRMWARE = {"lib", "version", "ble.link", "system.inbox", "gateway.settings", "gateway.operations.table"}


def host_sources() -> list[Path]:
    return [path for path in sorted((ROOT / "host_tools").rglob("*.py")) if not BOARD_SIDE & set(path.parts)]


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def host_package(name: str) -> str:
    """`sim.ble` of host_tools.sim.ble.gap, `near` of host_tools.near.pairing, "" of host_tools.errors."""
    parts = name.split(".")[1:]
    return ".".join(parts[: 2 if parts[0] == "sim" else 1]) if len(parts) > 1 else ""


def needed(path: Path) -> set[str]:
    """As `imported`, without what only annotations need (`if TYPE_CHECKING`)."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    return imports_of(tree, path)


@pytest.mark.parametrize("path", host_sources(), ids=label)
def test_host_tools_import_only_what_lies_below_them(path: Path) -> None:
    own = host_package(module_name(path))
    modules = {module_name(each) for each in host_sources()}
    used = {host_package(name) for name in imported(path) & modules} - {"", own}
    if own and path.name != "__init__.py":  # demo.py shows everything at work
        assert used <= HOST_ALLOWED[own], f"{label(path)} imports {sorted(used - HOST_ALLOWED[own])}"
    firmware = {name.removeprefix("firmware.") for name in imported(path) if name.startswith("firmware.")}
    foreign = {name for name in firmware if not any((name + ".").startswith(each + ".") for each in HOST_FIRMWARE)}
    assert not foreign, f"{label(path)} imports {sorted(foreign)} of the firmware"


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Every set of modules that import one another, also by way of others."""
    reach = {}
    for start in graph:
        seen: set[str] = set()
        left = list(graph[start])
        while left:
            name = left.pop()
            if name not in seen:
                seen.add(name)
                left += graph[name]
        reach[start] = seen
    found = {tuple(sorted(b for b in reach[a] if a in reach[b])) for a in graph if a in reach[a]}
    return [list(each) for each in sorted(found)]


def test_circles_are_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}) == [["a", "b", "c"]]
    assert circles({"a": {"b"}, "b": set()}) == []


def test_modules_of_host_tools_import_one_another_in_no_circle() -> None:
    modules = {module_name(path): path for path in host_sources()}
    assert circles({name: needed(path) & set(modules) - {name} for name, path in modules.items()}) == []


def test_package_files_are_empty() -> None:
    """Whatever an __init__.py imports, every importer pays for in RAM."""
    packages = [*FIRMWARE.rglob("__init__.py"), *(path for path in host_sources() if path.name == "__init__.py")]
    assert [label(path) for path in packages if path.stat().st_size] == []


def test_modules_are_let_go_of_by_the_one_function_that_takes_them_from_their_package_too():
    for path in sources():
        if path.name == "compat.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            targets = node.targets if isinstance(node, ast.Delete) else [node] if isinstance(node, ast.Call) else []
            for target in targets:
                text = ast.unparse(target)
                assert not text.startswith(("sys.modules[", "sys.modules.pop(")), f"{path}: {text}, not unload"
