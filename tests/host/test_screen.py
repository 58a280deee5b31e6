"""Nothing but `host_tools.screen` shows or asks anything, and nothing that it shows is obeyed by rich or a terminal."""

import ast
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools import screen, text

ROOT = Path(__file__).resolve().parents[2] / "host_tools"
OWNER = ROOT / "screen.py"
# Programs of their own, without names from outside: what set-up fetches and builds, and the simulator's boards.
APART = {
    ROOT / "boards" / name
    for name in ("fetch.py", "fetch32.py", "fetch_client.py", "frozen.py", "pins.py", "sbom.py", "traceback.py")
} | {ROOT / "release" / name for name in ("aarch64.py", "dist.py")}
SOURCES = [
    path
    for path in sorted(ROOT.rglob("*.py"))
    if path != OWNER and path not in APART and ROOT / "sim" not in path.parents
]
STREAMS = {"stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__"}
QUESTIONS = {"echo", "secho", "confirm", "prompt", "style", "getchar", "launch", "edit"}


def faults_in(tree: ast.AST) -> list[str]:
    """Ways to the terminal that go round the one owner."""
    faults = []
    for node in ast.walk(tree):
        where = getattr(node, "lineno", 0)
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
            if node.module == "sys" and STREAMS & {alias.name for alias in node.names}:
                faults.append("%d: a stream of sys" % where)
            if node.module == "typer" and QUESTIONS & {alias.name for alias in node.names}:
                faults.append("%d: a question of Typer" % where)
        faults += ["%d: %s" % (where, each) for each in modules if each.split(".")[0] in ("rich", "click", "curses")]
        if isinstance(node, ast.Name) and node.id in ("print", "input"):
            faults.append("%d: %s" % (where, node.id))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = node.value.id
            if owner == "sys" and node.attr in STREAMS or owner == "typer" and node.attr in QUESTIONS:
                faults.append("%d: %s.%s" % (where, owner, node.attr))
        if isinstance(node, ast.keyword) and node.arg in ("markup", "highlight"):
            faults.append("%d: %s=" % (where, node.arg))
    return faults


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_one_module_shows_and_asks(path):
    assert faults_in(ast.parse(path.read_text())) == []


@pytest.mark.parametrize(
    "line",
    [
        "print('x')",
        "from rich.console import Console",
        "import rich.table",
        "import click",
        "typer.echo('x')",
        "from typer import confirm",
        "sys.stdout.write('x')",
        "from sys import stderr",
        "out.print('x', markup=True)",
        "show = print",
        "input()",
    ],
)
def test_the_guard_sees_every_way_round(line):
    assert faults_in(ast.parse(line))


@pytest.fixture
def stream(monkeypatch):
    """A strict standard output; patched when the test begins, as the runner sets its own before."""

    def replace(encoding="utf-8"):
        made = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)
        monkeypatch.setattr("sys.stdout", made)
        monkeypatch.setenv("COLUMNS", "60")
        return made

    return replace


def shown(stream) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()


HOSTILE = [
    "Garage [/]",
    "[/x]",
    "[bold]x[/bold]",
    ":smile:",
    "a\x1b[31mred",
    "\x07",
    "\u202eevil",
    "a\nb",
    "\ud83d",
    "x\x9b1m",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_shown_as_it_is_or_escaped(stream, name):
    stream = stream()
    screen.out.print("%s is open" % name)
    screen.out.print(screen.styled(("error", "red"), name))
    table = screen.Table("name", title=name)
    table.add_row(name)
    screen.out.print(table)
    with screen.out.status(name) as step:
        step(name)
    with screen.out.live(table) as draw:
        draw(table)
    screen.out.print_json({"name": name, name: 1})
    printed = shown(stream)
    assert all(text.is_safe(sign) or sign == "\n" for sign in printed)
    assert printed.count(text.printable(name)) >= 4
    assert json.loads(printed[printed.index("{") :])["name"] == name


@given(name=st.text(max_size=200) | st.text(st.characters(categories=("Cs", "Cf", "Cc")), max_size=30))
def test_any_text_becomes_one_safe_line(name):
    line = text.printable(name)
    assert all(map(text.is_safe, line))
    line.encode()
    assert json.loads(screen.as_json([name])) == json.loads(json.dumps([name]))
    assert all(text.is_safe(sign) or sign == "\n" for sign in screen.as_json([name]))


def test_a_million_characters_are_cut(stream):
    stream = stream()
    table = screen.Table("name")
    table.add_row("x" * 1_000_000)
    screen.out.print(table)
    screen.out.print("y" * 1_000_000)
    assert len(shown(stream)) < 4000


@pytest.mark.parametrize("cell", [None, 7, 1.5, True, {"a": 1}, ["x"], b"raw", object])
def test_a_cell_may_be_anything(stream, cell):
    stream = stream()
    table = screen.Table("x")
    table.add_row(cell)
    screen.out.print(table)
    screen.out.print(cell)
    assert shown(stream)


def test_a_stream_without_unicode_gets_escapes(stream):
    stream = stream("ascii")
    screen.out.print("Haustür 😀")
    assert shown(stream) == "Haust\\xfcr \\U0001f600\n"
