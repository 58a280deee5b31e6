"""One module in place of many: nothing is lost, no name is read that is not there, a line is found again."""

import ast
import builtins
import subprocess
import symtable
from pathlib import Path

import pytest

from firmware.gateway.operations import table as operations
from firmware.lock.commands.table import COMMANDS
from host_tools.boards import bundle, frozen, stage, traceback
from host_tools.boards.debian import Unavailable


@pytest.fixture(scope="module", params=stage.ROLES)
def tree(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    bundle.write(request.param, folder)
    return folder


def starts(tree: Path) -> list[tuple[int, str]]:
    return traceback.load(tree / bundle.MAP)


def sources(tree: Path) -> list[Path]:
    return sorted(tree.rglob("*.py"))


def role_of(tree: Path) -> str:
    return next(role for role in stage.ROLES if tree.name.startswith(role))


def test_every_module_of_the_image_is_merged_or_there(tree: Path) -> None:
    merged = {name for _, name in starts(tree)}
    there = {str(path.relative_to(tree)) for path in sources(tree) if path.name != "__init__.py"}
    needed = {str(path.relative_to(stage.ROOT)) for path in stage.modules(role_of(tree)) if path.name != "__init__.py"}
    assert merged | there == needed | {"boot.py", "main.py", "image.py"}
    assert not merged & there
    assert len(merged) > len(there)


def test_what_is_loaded_by_name_is_there(tree: Path) -> None:
    if role_of(tree) == "gateway":
        names = {operations.module(op).__name__ for op in operations.operations()}
        paths = [name.replace(".", "/") + ".py" for name in names]
    else:
        rows = [row.split() for row in COMMANDS.values()]
        paths = ["firmware/lib/messages/%s.py" % row[0] for row in rows]
        paths += ["firmware/lock/commands/%s.py" % row[2] for row in rows]
    assert [path for path in paths if not (tree / path).exists()] == []


def unknown_names(path: Path) -> set[str]:
    """Global names that a module reads and nobody has given a value."""
    table = symtable.symtable(path.read_text(), str(path), "exec")
    known = set(dir(builtins)) | {
        each.get_name() for each in table.get_symbols() if each.is_assigned() or each.is_imported()
    }
    read: set[str] = set()

    def look(scope: symtable.SymbolTable) -> None:
        for each in scope.get_symbols():
            if each.is_referenced() and (each.is_global() or scope is table):
                read.add(each.get_name())
        for child in scope.get_children():
            look(child)

    look(table)
    return read - known - {"const", "__name__"}


def test_every_name_that_is_read_exists(tree: Path) -> None:
    assert {str(path): unknown_names(path) for path in sources(tree) if unknown_names(path)} == {}


def test_what_is_taken_from_the_merged_module_is_in_it(tree: Path) -> None:
    table = symtable.symtable((tree / "image.py").read_text(), "image.py", "exec")
    offered = {each.get_name() for each in table.get_symbols() if each.is_assigned() or each.is_imported()}
    for path in sources(tree):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == bundle.IMAGE:
                assert {alias.name for alias in node.names} <= offered, path
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == bundle.IMAGE:
                assert node.attr in offered, (path, node.attr)


def test_no_two_definitions_share_a_name(tree: Path) -> None:
    body = ast.parse((tree / "image.py").read_text()).body
    defined = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    assert len(defined) == len(set(defined))


def test_no_folded_constant_is_read_before_the_line_that_makes_it(tree: Path) -> None:
    """MicroPython keeps no `_NAME = const(...)`: it puts the value where the name is read, from that line on."""
    module = ast.parse((tree / "image.py").read_text())
    made = {
        node.targets[0].id: node.lineno
        for node in module.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id[0] == "_"
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == "const"
    }
    early = {
        "%s in line %d" % (node.id, node.lineno)
        for node in ast.walk(module)
        if isinstance(node, ast.Name) and node.lineno < made.get(node.id, 0)
    }
    assert len(made) > 100 and not early


def test_what_nothing_of_the_role_reads_is_left_out(tree: Path) -> None:
    body = ast.parse((tree / "image.py").read_text()).body
    defined = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    read = set()
    for path in sources(tree):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name | ast.Attribute | ast.alias):
                read.add(next(getattr(node, key) for key in ("id", "attr", "name") if hasattr(node, key)))
    ends = {"encode_manufacturer", "decode_manufacturer"}  # of an advertisement: one role makes it, the other reads it
    assert defined & ends == {"decode_manufacturer" if role_of(tree) == "gateway" else "encode_manufacturer"}
    assert "main" in defined and defined - read == set()


def test_every_definition_stands_where_the_map_says(tree: Path) -> None:
    checked = 0
    for node in ast.walk(ast.parse((tree / "image.py").read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            told = traceback.resolve('  File "image.py", line %d, in x' % node.lineno, starts(tree))
            name, line = told.split('"')[1], int(told.split("line ")[1].split(",")[0])
            text = (stage.ROOT / name).read_text().splitlines()[line - 1]
            assert node.name.split("_")[0] in text and text.lstrip().startswith(("def ", "class ")), (told, text)
            checked += 1
    assert checked > 100


def test_public_numbers_are_folded_away(tree: Path) -> None:
    numbers = [
        node.targets[0].id
        for node in ast.parse((tree / "image.py").read_text()).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and type(node.value.value) is int
    ]
    assert numbers == []


def test_other_lines_of_a_log_stay_as_they_are(tree: Path) -> None:
    for line in ("Traceback (most recent call last):", '  File "main.py", line 3, in _run', "   1.2 I lock started"):
        assert traceback.resolve(line, starts(tree)) == line


@pytest.mark.parametrize("role", stage.ROLES)
def test_a_traceback_of_the_frozen_build_leads_to_the_source(role: str) -> None:
    try:
        frozen.build()
    except Unavailable as err:
        pytest.skip(str(err))
    program = "import sys\nsys.path.append('host_tools/sim/shims')\nimport image\nimage.Inbox(None)\n"
    done = subprocess.run(
        [str(frozen.interpreter(role)), "-c", program], capture_output=True, text=True, check=False, cwd=stage.ROOT
    )
    told = traceback.resolve(done.stderr, traceback.load(frozen.tree(role) / bundle.MAP))
    assert 'File "firmware/system/inbox.py", line ' in told, done.stderr
    line = int(told.split('inbox.py", line ')[1].split(",")[0])
    assert "depth + 1" in (stage.ROOT / "firmware/system/inbox.py").read_text().splitlines()[line - 1]
