"""Every file, class and method that the pages for developers name is there."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PAGES = ("docs/architecture.md", "CONTRIBUTING.md", "docs/spec/README.md", "README.md", "SECURITY.md")
_NAMED = re.compile(r"`([\w./-]+(?:\.(?:py|md|toml|json|sh|ini|yaml|tsv)|/))`")
_MEMBER = re.compile(r"`([A-Z][a-z]\w+)\.(\w+)`")  # `Request.answer`
_TABLE_NAME = re.compile(r"`((?!GATEHOUSE_)_?[A-Z][A-Z_]{3,})`")  # `FEATURES`
_LINKED = re.compile(r"\]\(([^)#]+)\)")
_MADE = ("bench.json", "settings.json")  # on a board, or made by a run
_ROOTS = (".", "docs", "docs/spec", "firmware", "firmware/gateway", "host_tools", "host_tools/sim", "tests")


def sources() -> list[str]:
    roots = [ROOT / root for root in ("firmware", "host_tools", "tests")]
    return [path.read_text() for root in roots for path in root.rglob("*.py") if path != Path(__file__)]


def unknown(text: str) -> list[str]:
    """What a page says of classes and tables that no module has."""
    files = sources()
    text = "\n".join(line for line in text.splitlines() if not line.startswith("|"))
    gone = []
    for name, member in _MEMBER.findall(text):
        where = [each for each in files if re.search(r"^class %s\b" % name, each, re.MULTILINE)]
        if not any(re.search(r"\b(?:def|async def) %s\b|\b%s =" % (member, member), each) for each in where):
            gone.append("%s.%s" % (name, member))
    for name in _TABLE_NAME.findall(text):
        if not any(re.search(r"^%s\b.* = " % name, each, re.MULTILINE) for each in files):
            gone.append(name)
    return gone


def missing(page: str, text: str) -> list[str]:
    """What a page names and the repository lacks. A name may be told from the root, from one of the main
    folders, or alone."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = {Path(each).name for each in listed.splitlines() if (ROOT / each).exists()}
    gone = [link for link in _LINKED.findall(text) if "://" not in link and not ((ROOT / page).parent / link).exists()]
    for name in _NAMED.findall(text):
        if name.startswith(("/", "~", ".venv", ".cache")) or name in _MADE:
            continue
        if name not in names and not any((ROOT / root / name).exists() for root in _ROOTS):
            gone.append(name)
    return gone


@pytest.mark.parametrize("page", ("docs/architecture.md", "CONTRIBUTING.md"))
def test_every_class_and_table_named_exists(page: str) -> None:
    assert not unknown((ROOT / page).read_text())


@pytest.mark.parametrize("page", _PAGES)
def test_every_file_named_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    assert _NAMED.search(text) or _LINKED.search(text)
    assert not missing(page, text)


def test_a_name_that_is_gone_is_noticed() -> None:
    there = "`firmware/lib/frame.py`, `lib/frame.py`, `frame.py`, [here](operations.md)"
    assert not missing("docs/architecture.md", there)
    assert missing("docs/architecture.md", "`lib/gone.py`, `gone.py`, [there](gone.txt)") == [
        "gone.txt",
        "lib/gone.py",
        "gone.py",
    ]
    assert not unknown("`Request.answer`, `FEATURES`")
    assert unknown("`Request.whisper`, `Nobody.answer`, `_NO_SUCH_TABLE`") == [
        "Request.whisper",
        "Nobody.answer",
        "_NO_SUCH_TABLE",
    ]
