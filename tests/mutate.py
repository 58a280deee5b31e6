"""`make mutate`: take one row out of a dispatch table, or weaken it, and see which test notices. One line per mutant.

Tables are read from the source, so that a row that is added is tried as well. A mutant is made in a copy of the tree;
the test files that speak of what it took away run there, the quick ones first, until one test fails. Exit status 1 if
a mutant survives. A test that fails without any mutant as well has noticed nothing.
"""

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
_LOCK_TABLE = "firmware/lock/commands/table.py"
_AUTHORITY = "firmware/lock/authority.py"
_ENGINE = "firmware/lock/engine.py"
_GATEWAY_TABLE = "firmware/gateway/operations/table.py"
_PANEL = "firmware/lock/console.py"
_GATEWAY_LOCK = "firmware/gateway/lock.py"

_MATRIX = "tests/faults/test_lock_authority.py"
_OF_OPERATIONS = ("tests/unit/test_gateway_rules.py",)
_BITS_FILES = (_MATRIX, "tests/unit/test_lock_features.py")
_ORDER = ("tests/unit", "tests/vectors", "tests/faults", "tests/host", "tests/system")  # quick ones first
_NOT_THESE = ("test_on_micropython.py", "test_demo.py", "test_port32.py", "test_imports.py")
_FILE_S = 400
_OLD = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.M)


class Mutant(NamedTuple):
    """What was done to which file, its text afterwards, what tests of it mention, the files to try before others."""

    name: str
    path: str
    text: str
    word: str
    first: tuple[str, ...] = ()


class Fate(NamedTuple):
    """`test` is the one that failed, or None."""

    mutant: Mutant
    test: str | None
    seconds: float


# --- edits


def _cut(text: str, node: ast.expr, by: str) -> str:
    """`text` with the source of `node` replaced."""
    lines = text.encode().splitlines(keepends=True)
    assert node.end_lineno is not None and node.end_col_offset is not None
    begin = sum(map(len, lines[: node.lineno - 1])) + node.col_offset
    end = sum(map(len, lines[: node.end_lineno - 1])) + node.end_col_offset
    raw = text.encode()
    return (raw[:begin] + by.encode() + raw[end:]).decode()


def _assigned(text: str, name: str) -> ast.expr:
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(each, ast.Name) and each.id == name for each in node.targets
        ):
            return node.value
    raise SystemExit("there is no table %s" % name)


def _without(text: str, table: ast.Dict, place: int) -> str:
    left = [pair for n, pair in enumerate(zip(table.keys, table.values, strict=True)) if n != place]
    return _cut(text, table, "{%s}" % ", ".join("%s: %s" % tuple(map(ast.unparse, pair)) for pair in left))


def _rows(path: str, name: str) -> Iterator[tuple[str, str, ast.Dict, int]]:
    """(source of the file, key as it is written, the table, place) of each row of a table that is a dict."""
    text = (ROOT / path).read_text()
    table = _assigned(text, name)
    assert isinstance(table, ast.Dict)
    for place, key in enumerate(table.keys):
        assert key is not None
        yield text, ast.unparse(key), table, place


# --- the tables


def _commands() -> Iterator[Mutant]:
    for text, key, table, place in _rows(_LOCK_TABLE, "COMMANDS"):
        yield Mutant("%s: no decoder and handler" % key, _LOCK_TABLE, _without(text, table, place), key, (_MATRIX,))


def _authority() -> Iterator[Mutant]:
    for text, key, table, place in _rows(_AUTHORITY, "_ROWS"):
        yield Mutant("%s: no right" % key, _AUTHORITY, _without(text, table, place), key, (_MATRIX,))
        row = table.values[place]
        assert isinstance(row, ast.Tuple)
        level, bit = row.elts[0], row.elts[1]
        shows_key = ast.unparse(row.elts[2]) == "False"  # by its payload, which decrypts: S0 would be the same as S1
        for looser in ("_S1",) if shows_key else ("_S0", "_S1"):
            if ast.unparse(level) not in ("_S0", looser):
                name = "%s: %s instead of %s" % (key, looser, ast.unparse(level))
                yield Mutant(name, _AUTHORITY, _cut(text, level, looser), key, (_MATRIX,))
        if ast.unparse(bit) != "255":
            yield Mutant("%s: bound to no feature bit" % key, _AUTHORITY, _cut(text, bit, "255"), key, _BITS_FILES)


def _bits() -> Iterator[Mutant]:
    text = (ROOT / _ENGINE).read_text()
    bits = _assigned(text, "_BITS")
    assert isinstance(bits, ast.Tuple)
    commands = {}
    for _, key, table, place in _rows(_AUTHORITY, "_ROWS"):
        row = table.values[place]
        assert isinstance(row, ast.Tuple)
        commands.setdefault(ast.unparse(row.elts[1]), key)
    for bit in bits.elts:
        left = [ast.unparse(each) for each in bits.elts if each is not bit]
        number = ast.unparse(bit)
        word = commands.get(number, "features")
        yield Mutant(
            "feature bit %s: 0" % number, _ENGINE, _cut(text, bits, "(%s,)" % ", ".join(left)), word, _BITS_FILES
        )


def _operations() -> Iterator[Mutant]:
    text = (ROOT / _GATEWAY_TABLE).read_text()
    rows = ast.literal_eval(_assigned(text, "_LOCK_OPS")) + ast.literal_eval(_assigned(text, "_GATEWAY_OPS"))
    for row in rows.split("\n"):
        if not row:
            continue
        op, module, *letters = row.split()
        word = '"%s"' % op
        gone = text.replace("\n%s\n" % row, "\n", 1)
        yield Mutant("%s: no such operation" % op, _GATEWAY_TABLE, gone, word, _OF_OPERATIONS)
        for letter in "".join(letters):
            rest = " ".join([op, module, "".join(letters).replace(letter, "")]).strip()
            loose = text.replace("\n%s\n" % row, "\n%s\n" % rest, 1)
            yield Mutant("%s: not %s" % (op, letter), _GATEWAY_TABLE, loose, word, _OF_OPERATIONS)


def _features() -> Iterator[Mutant]:
    text = (ROOT / _GATEWAY_LOCK).read_text()
    for row in ast.literal_eval(_assigned(text, "_FEATURES")).split("\n"):
        if row:
            what = row.split()[0]
            gone = text.replace("\n%s\n" % row, "\n", 1)
            yield Mutant("%s: asks for no feature bit" % what, _GATEWAY_LOCK, gone, '"' + what, _OF_OPERATIONS)


def _panel() -> Iterator[Mutant]:
    text = (ROOT / _PANEL).read_text()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare) and ast.unparse(node.left) == "what":
            for each in node.comparators:
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    word = '"do": "%s"' % each.value
                    gone = _cut(text, each, '"%s"' % each.value[::-1])
                    yield Mutant("panel: no %s" % each.value, _PANEL, gone, word, ("tests/unit/test_lock_panel.py",))


def mutants() -> list[Mutant]:
    """All of them."""
    return [*_commands(), *_authority(), *_bits(), *_operations(), *_features(), *_panel()]


# --- running


def _tests(mutant: Mutant) -> list[str]:
    """Test files in the order in which they are tried: those given, then those that mention the word."""
    found = [name for name in mutant.first if (ROOT / name).exists()]
    pattern = re.compile(
        re.escape(mutant.word) + (r"(?!\w)" if mutant.word[-1:].isalnum() and mutant.word[0] != '"' else "")
    )
    for folder in _ORDER:
        speaking = []
        for path in (ROOT / folder).glob("test_*.py"):
            times = len(pattern.findall(path.read_text()))
            if times and path.name not in _NOT_THESE:
                speaking.append((-times, str(path.relative_to(ROOT))))
        found += [name for _, name in sorted(speaking) if name not in found]
    return found


def _copy(folder: Path) -> Path:
    """The tree as git sees it, in `folder`, with the environment beside it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    (folder / ".cache").mkdir()
    for each in (ROOT / ".cache").iterdir():
        if each.name != "sim":  # images of boards: every mutant has its own
            (folder / ".cache" / each.name).symlink_to(each)
    return folder


def _pytest(folder: Path, tests: list[str], *more: str) -> tuple[int, list[str]]:
    """(exit status, the tests that failed)."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *more, *tests],
        cwd=folder,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_FILE_S * max(1, len(tests)),
        check=False,
    )
    return done.returncode, _OLD.findall(done.stdout)


class Trial:
    """A folder for mutants, and one without any in which a test that failed must pass. Verdicts are shared by all."""

    def __init__(self, folder: Path, clean: Path, verdicts: dict[str, bool]) -> None:
        self._folder = folder
        self._clean = clean
        self._verdicts = verdicts

    def _passes_without(self, test: str) -> bool:
        if test not in self._verdicts:
            self._verdicts[test] = _pytest(self._clean, [test])[0] == 0
        return self._verdicts[test]

    def _noticed_by(self, name: str) -> str | None:
        """The test of a file that fails, and does not fail without the mutant."""
        passed_over: list[str] = []
        while True:
            status, failed = _pytest(self._folder, [name], "-x", *passed_over)
            if status in (0, 5):  # all pass, or none is left
                return None
            test = failed[0] if failed else name
            if self._passes_without(test):
                return test
            if test == name:
                return None
            passed_over.append("--deselect=" + test)

    def fate(self, mutant: Mutant) -> Fate:
        """Make it, run its tests, and put the folder in order again."""
        began = time.monotonic()
        path = self._folder / mutant.path
        before = path.read_text()
        path.write_text(mutant.text)
        try:
            found = None
            for name in _tests(mutant):
                found = self._noticed_by(name)
                if found:
                    break
            return Fate(mutant, found, time.monotonic() - began)
        finally:
            path.write_text(before)


def _told(each: Fate) -> str:
    return "%-62s %5.1f s  %s" % (each.mutant.name, each.seconds, each.test or "SURVIVES")


def run(chosen: list[Mutant], workers: int) -> int:
    """Print the fate of each; 0 if every one was noticed."""
    fates = []
    verdicts: dict[str, bool] = {}
    with tempfile.TemporaryDirectory(prefix="gatehouse-mutants-") as place:
        free: SimpleQueue[Trial] = SimpleQueue()
        for number in range(workers):
            folders = Path(place) / str(number), Path(place) / ("clean-%d" % number)
            free.put(Trial(_copy(folders[0]), _copy(folders[1]), verdicts))

        def work(mutant: Mutant) -> Fate:
            trial = free.get()
            try:
                return trial.fate(mutant)
            finally:
                free.put(trial)

        with ThreadPoolExecutor(workers) as pool:
            for each in pool.map(work, chosen):
                print(_told(each), flush=True)
                fates.append(each)
    survivors = [each for each in fates if each.test is None]
    killers = {each.test for each in fates if each.test}
    print("%d mutants, %d noticed by %d tests" % (len(fates), len(fates) - len(survivors), len(killers)))
    for each in survivors:
        print("survives: " + each.mutant.name)
    for name in sorted(name for name, passes in verdicts.items() if not passes):
        print("fails without any mutant: " + name)
    return 1 if survivors else 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description=__doc__)
    parser.add_argument("--only", default="", help="a regular expression of names")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="name them and run nothing")
    given = parser.parse_args()
    chosen = [each for each in mutants() if re.search(given.only, each.name)]
    if given.list:
        print("\n".join("%s: %s" % (each.name, " ".join(_tests(each)[:4])) for each in chosen))
        return 0
    return run(chosen, given.jobs)


if __name__ == "__main__":
    sys.exit(main())
