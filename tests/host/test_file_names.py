"""Every file that the pages for developers name is there."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PAGES = ("docs/architecture.md", "CONTRIBUTING.md", "docs/spec/README.md", "README.md", "SECURITY.md")
_NAMED = re.compile(r"`([\w./-]+(?:\.(?:py|md|toml|json|sh|ini|yaml|tsv)|/))`")
_LINKED = re.compile(r"\]\(([^)#]+)\)")
_MADE = ("bench.json", "settings.json")  # on a board, or made by a run
_ROOTS = (".", "docs", "docs/spec", "firmware", "firmware/gateway", "host_tools", "host_tools/sim", "tests")


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
