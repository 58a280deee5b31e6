"""Which feature is shown by which test: `python -m tests.feature_table` writes the table of `tests/README.md`.

`features.tsv` is the index: number, section of the app manual, feature, components (L lock image, G gateway, C command
line and MQTT, W web console, P flash and provisioning, S simulator; `-` none), and why nothing shows it, if so.
A test belongs to a feature by its name: `test_f076_a_custom_passcode_…`, or to several: `test_f087_f085_…`.
"""

import ast
import re
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
_FOLDERS = ("system", "faults", "host")
_BEGIN, _END = "<!-- features: begin -->\n", "<!-- features: end -->\n"
_NAMED = re.compile(r"test_((?:f\d{3}_)+)")

# Rows with L or G that nothing shows yet; what their reasons in `features.tsv` say is for later
EXCEPTED = {
    *("F018", "F019", "F020", "F026", "F042", "F046", "F048", "F054", "F056"),
    *("F093", "F095", "F096", "F097", "F100", "F110", "F134", "F135"),
}
# Rows whose tests are being written
PENDING: set[str] = set()


class Feature(NamedTuple):
    """A row of `features.tsv`."""

    number: str
    section: str
    name: str
    components: str
    reason: str

    @property
    def is_ours(self) -> bool:
        """True for what the firmware has a part in."""
        return bool({"L", "G"} & set(self.components.split()))


class Named(NamedTuple):
    """A test that is named after features: its file below `tests/`, its name."""

    file: str
    name: str

    @property
    def numbers(self) -> list[str]:
        found = _NAMED.match(self.name)
        return [part.upper() for part in found[1].split("_") if part] if found else []


def features() -> list[Feature]:
    """The index, in order."""
    lines = (HERE / "features.tsv").read_text().splitlines()
    return [Feature(*line.split("\t")) for line in lines]


def named_tests(here: Path = HERE) -> list[Named]:
    """Every test function with a feature's number in its name, in order of files and lines."""
    found = []
    for folder in _FOLDERS:
        for path in sorted((here / folder).glob("test_*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _NAMED.match(node.name):
                    found.append(Named(str(path.relative_to(here)), node.name))
    return found


def faults(rows: list[Feature], tests: list[Named], excepted: set[str], pending: set[str]) -> list[str]:
    """What is wrong with the index and the tests together; empty when every row is shown or says why not."""
    known = {row.number for row in rows}
    shown = {number for test in tests for number in test.numbers}
    wrong = ["%s: no such row, named by %s" % (n, t.name) for t in tests for n in t.numbers if n not in known]
    wrong += ["%s: excepted or pending, and no row" % number for number in sorted((excepted | pending) - known)]
    for row in rows:
        if row.number in shown:
            if row.number in pending:
                wrong.append("%s: has a test and is called pending" % row.number)
        elif row.number in pending:
            continue
        elif row.is_ours and row.number not in excepted:
            wrong.append("%s (%s): no test" % (row.number, row.name))
        elif not row.reason:
            wrong.append("%s (%s): neither a test nor a reason" % (row.number, row.name))
    return wrong


def table(rows: list[Feature], tests: list[Named]) -> str:
    """The table in Markdown."""
    lines = ["| row | manual | feature | parts | shown by |", "|---|---|---|---|---|"]
    for row in rows:
        by_file: dict[str, list[str]] = {}
        for test in tests:
            if row.number in test.numbers:
                by_file.setdefault(test.file, []).append(_NAMED.sub("", test.name).replace("_", " "))
        shown = ["[%s](%s): %s" % (Path(file).stem, file, "; ".join(names)) for file, names in by_file.items()]
        if row.reason:
            shown.append("*%s*" % row.reason)
        cells = (row.number, row.section, row.name, row.components, "<br>".join(shown))
        lines.append("| %s |" % " | ".join(cells))
    return "\n".join(lines) + "\n"


def readme(text: str) -> str:
    """`text` with the table of today between its marks."""
    before, rest = text.split(_BEGIN)
    after = rest.split(_END)[1]
    return before + _BEGIN + table(features(), named_tests()) + _END + after


def main() -> int:
    """Write the table; status 1 when a row is neither shown nor explained."""
    README.write_text(readme(README.read_text()))
    wrong = faults(features(), named_tests(), EXCEPTED, PENDING)
    print("\n".join(wrong) or "every row is shown or says why not")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
