"""Every citation of a specification is followed: the file is in docs/spec, section, identifier or vector in the file.

Forms: `lock-ble-link.md 8.4`, `security.md CMD-4, 4.3 rule 2`, `domain.md 3.1-3.8 and key feature 3`, `vectors k_ic_*`,
`vectors.md "Kinds"`. A file may follow another after a semicolon or a comma. Firmware and host tools cite nothing
without a file; tests may name a requirement or a row of the fault matrix by its identifier alone, which must exist.
"""

import io
import json
import re
import subprocess
import tokenize
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "docs" / "spec"
_WITH_FILE = ("firmware/", "host_tools/", "boot.py", "main.py")  # no identifier without its file
_GAP = r"[\s#`]*"
_FILE = re.compile(r"(?<![\w./-])(?:docs/spec/)?([A-Za-z][\w-]*\.md)\b(?!\))")
_NUMBER = r"\d{1,2}(?:\.\d{1,2})*(?![\w%]|\.\d)"
_NAME = r"(?:T-[A-Z]+(?:-\d+)?|CVE-\d+-\d+|(?!RFC|SHA|AES|QR|MQTT|UTF|CRC|CP)[A-Z]{1,4}-\d+|[FI]\d{1,3})\b"
_REF = re.compile(
    r"(?P<range>(?:(?P<low>{number}){gap}(?:-|–|to\b){gap}(?P<high>{number}))"
    r"|(?:(?P<first>{name}){gap}(?:–|to\b){gap}(?P<last>{name}|\d+\b)))|(?P<number>{number})|(?P<name>{name})"
    r"|(?P<feature>key{gap}features?)|(?P<word>(?:[Gg]lossary|rule|row|item|column)\b)|(?P<quote>\"[^\"\n]+\")".format(
        number=_NUMBER, name=_NAME, gap=_GAP
    )
)
_SEPARATOR = re.compile(r"{gap}(?:,|;|/|\band\b|\bor\b)?{gap}".format(gap=_GAP))
_INSIDE = re.compile(r"{gap}(\d+|\w+|\"[^\"]+\")".format(gap=_GAP))
_PARENTHESIS = re.compile(r"\([^()]*\)")
_BARE_NAME = re.compile(r"(?<![\w./-])(?:T-[A-Z]{2,}-\d+|[A-Z]{2,4}-\d+|R-\d+)\b")
_BARE_FACT = re.compile(r"(?<!noqa: )(?<![\w./-])F\d{1,3}\b")
_BARE_SECTION = re.compile(
    r"(?<=[\s\"'])\((?:see )?\d{1,2}\.\d{1,2}[,)]|, \d{1,2}\.\d{1,2}\)|\bsections? \d|§"
    r"|\b(?:link|commands|domain|security) \d{1,2}(?:\.\d|,)|\b(?:as|in|see|by|of) \d{1,2}\.\d{1,2} (?:says|asks)"
)
_GONE = re.compile(r"\bDESIGN\b|\bSTYLE\b|\bshared/|\.\./spec\b")
_VECTORS = re.compile(r"\bvectors?{gap}((?:[a-z]+[a-z0-9]*_[a-z0-9_*]+(?:,{gap})?)+)".format(gap=_GAP))
_KINDS = re.compile(r"\bvectors of kinds? ((?:\"\w+\"(?:, | and )?)+)")


class Problem(NamedTuple):
    place: int
    what: str


@cache
def tracked(*patterns: str) -> list[str]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.splitlines() if (ROOT / name).exists()]


@cache
def spec(name: str) -> str:
    return (SPEC / name).read_text()


@cache
def numbers(name: str) -> frozenset[str]:
    """The section numbers of a file, and "key feature 3" for such headings."""
    heads = re.findall(r"^#{2,4} (?:(\d+(?:\.\d+)*)\b|(Key feature \d+))", spec(name), re.MULTILINE)
    return frozenset((number or feature.lower()) for number, feature in heads)


@cache
def headings(path: Path) -> frozenset[str]:
    return frozenset(re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE))


@cache
def names() -> frozenset[str]:
    """Every requirement, decision and row of the fault matrix that a specification defines."""
    defining = spec("security.md") + spec("decisions.md")
    found = re.findall(r"(?:\*\*|`|^\| )((?:T-)?[A-Z]{1,5}-\d+)\b", defining, re.MULTILINE)
    return frozenset(found)


@cache
def vectors() -> tuple[frozenset[str], frozenset[str]]:
    named, kinds = set(), set()
    for path in SPEC.glob("vectors-*.json"):
        content = json.loads(path.read_text())
        named |= {each["name"] for each in content["vectors"] + content["transcripts"]}
        kinds |= {each["kind"] for each in content["vectors"]}
    return frozenset(named), frozenset(kinds)


def prose(name: str, text: str) -> str:
    """The text; of a program its comments and strings, code blotted out in place."""
    if not name.endswith(".py"):
        return text
    kept = [list(re.sub(r"\S", "\0", line)) for line in text.splitlines(keepends=True)]
    lines = text.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT) or tokenize.tok_name[token.type].startswith("FSTRING"):
            (row, start), (last, end) = token.start, token.end
            for at in range(row, last + 1):
                begin, until = start if at == row else 0, end if at == last else len(lines[at - 1])
                kept[at - 1][begin:until] = lines[at - 1][begin:until]
    return "".join("".join(line) for line in kept)


def _stands(file: str, ref: str) -> bool:
    if re.fullmatch(_NUMBER, ref):
        return ref in numbers(file)
    return re.search(r"(?<![\w-])%s(?![\w-])" % re.escape(ref), spec(file)) is not None


def _stands_inside(file: str, section: str, word: str, what: str) -> bool:
    """Whether a section has this rule, item or row (by its number), or this column."""
    parts = re.split(r"^#{2,4} (\d+(?:\.\d+)*)\b.*$", spec(file), flags=re.MULTILINE)
    body = "".join(parts[at + 1] for at in range(1, len(parts), 2) if parts[at] == section)
    if word == "column":
        return re.search(r"^\|.*\b%s\b" % re.escape(what.strip('"').split()[-1]), body, re.M | re.I) is not None
    return re.search(r"^(?:%s\. |\| %s \|)" % (what, what), body, re.MULTILINE) is not None


def _between(first: str, last: str) -> list[str]:
    """8.4 and 8.10 -> 8.4, 8.5 … 8.10; CMD-1 and CMD-3 likewise; "CMD-1" and "3" too."""
    stem, low = re.fullmatch(r"(.*?)(\d+)", first).groups()  # type: ignore[union-attr]
    high = re.fullmatch(r"(.*?)(\d+)", last).group(2)  # type: ignore[union-attr]
    return [stem + str(number).zfill(len(low) if low[0] == "0" else 0) for number in range(int(low), int(high) + 1)]


def _kind(match: re.Match) -> str:
    return next(kind for kind in ("range", "number", "name", "feature", "word", "quote") if match[kind])


def _follow(file: str, match: re.Match) -> list[str]:
    """What of one reference is not in the file."""
    kind, text = _kind(match), match.group()
    if kind == "range":
        first, last = match["low"] or match["first"], match["high"] or match["last"]
        return [ref for ref in _between(first, last) if not _stands(file, ref)]
    if kind == "quote":
        inner = text.strip('"')
        stands = inner in headings(SPEC / file) or "**%s**" % inner in spec(file) or text in spec(file)
        return [] if stands else [text]
    return [] if _stands(file, text) else [text]


def _references(text: str, at: int, file: str) -> tuple[int, int, list[Problem]]:
    """Read references from `at` on: (how many, where they end, problems)."""
    count, problems, counted, section = 0, [], "", ""
    while True:
        gap = _SEPARATOR.match(text, at)
        at_next = gap.end() if gap else at
        if text[at_next : at_next + 1] == "(" and count:
            inner = _PARENTHESIS.match(text, at_next)
            if inner is None:
                return count, at, problems
            for match in _REF.finditer(text, inner.start(), inner.end()):
                kind = _kind(match)
                if kind == "feature":
                    problems += _features(text, match.end(), file)[1]
                elif kind in ("name", "range") and not re.match(r"[\d.]+", match.group()):
                    problems += [Problem(match.start(), "%s of %s" % (ref, file)) for ref in _follow(file, match)]
            at = inner.end()
            continue
        match = _REF.match(text, at_next)
        if match is None or (count and _kind(match) == "quote" and not counted):
            return count, at, problems
        count += 1
        at = match.end()
        kind = _kind(match)
        if kind == "feature":
            at, wrong = _features(text, at, file)
            problems += wrong
        elif kind == "word":
            counted = match.group()
            if counted.lower() == "glossary":
                if "Glossary" not in headings(SPEC / file):
                    problems.append(Problem(match.start(), "glossary of %s" % file))
            else:
                inside = _INSIDE.match(text, at)
                if inside is None or not _stands_inside(file, section, counted, inside.group(1)):
                    shown = "%s %s" % (counted, inside.group(1) if inside else "?")
                    problems.append(Problem(match.start(), "%s in %s of %s" % (shown, section or "no section", file)))
                at = inside.end() if inside else at
            continue
        else:
            problems += [Problem(match.start(), "%s of %s" % (ref, file)) for ref in _follow(file, match)]
        counted = kind
        section = match.group() if kind == "number" else section


def _features(text: str, at: int, file: str) -> tuple[int, list[Problem]]:
    match = re.compile(_GAP + r"(\d+(?:(?:, | and | to |-)\d+(?!\.\d))*)").match(text, at)
    if match is None:
        return at, [Problem(at, "number of a key feature")]
    listed: list[str] = []
    for part in re.split(r", | and ", match.group(1)):
        ends = re.split(r" to |-", part)
        listed += _between(ends[0], ends[-1])
    wrong = ["key feature " + number for number in listed if "key feature " + number not in numbers(file)]
    return match.end(), [Problem(match.start(), "%s of %s" % (ref, file)) for ref in wrong]


def problems(name: str, text: str) -> list[str]:
    """What the file `name` with this prose cites that is not there, as `file:line: what`."""
    found: list[Problem] = []
    cited = list(text)
    for match in _FILE.finditer(text):
        file = match.group(1)
        if file == "README.md" or not (SPEC / file).exists():
            heading = re.compile(r',%s"([^"]+)"' % _GAP).match(text, match.end())
            here = [each for each in tracked("*.md") if each.endswith("/" + file) or each == file]
            if not here:
                found.append(Problem(match.start(), "%s, which is neither in docs/spec nor elsewhere" % file))
            elif heading and not any(" ".join(heading.group(1).split()) in headings(ROOT / each) for each in here):
                found.append(Problem(match.start(), "%s of %s" % (heading.group().strip(", "), file)))
            continue
        count, end, wrong = _references(text, match.end(), file)
        found += wrong
        if count == 0 and name.endswith(".py"):
            found.append(Problem(match.start(), "%s without a section" % file))
        cited[match.start() : end] = re.sub(r"[^\n]", " ", text[match.start() : end])
    rest = "".join(cited)
    found += [Problem(match.start(), match.group() + ", a document that is not here") for match in _GONE.finditer(rest)]
    for match in _BARE_NAME.finditer(rest):
        if match.group() in names() and name.startswith(_WITH_FILE):
            found.append(Problem(match.start(), match.group() + " without its file"))
        elif re.match(r"T-|R-\d", match.group()) and match.group() not in names():
            found.append(Problem(match.start(), match.group() + ", which no specification defines"))
    if name.endswith(".py"):
        for pattern in (_BARE_SECTION, _BARE_FACT)[: 2 if name.startswith(_WITH_FILE) else 1]:
            found += [Problem(match.start(), match.group() + " without its file") for match in pattern.finditer(rest)]
    named, kinds = vectors()
    for match in _VECTORS.finditer(text):
        wanted = re.findall(r"[a-z0-9_*]+", match.group(1))
        missing = [each for each in wanted if not any(fnmatchcase(one, each) for one in named)]
        found += [Problem(match.start(), "vector " + each) for each in missing]
    for match in _KINDS.finditer(text):
        missing = [each for each in re.findall(r"\w+", match.group(1)) if each not in kinds | {"and"}]
        found += [Problem(match.start(), "kind of vectors " + each) for each in missing]
    return ["%s:%d: %s" % (name, text.count("\n", 0, at) + 1, what) for at, what in sorted(set(found))]


def citing() -> list[str]:
    every = tracked("*.py", "*.md", "*.toml", "Makefile")
    return [name for name in every if name != "tests/host/test_citations.py"]


def problems_of(name: str) -> list[str]:
    return problems(name, prose(name, (ROOT / name).read_text()))


def test_every_citation_leads_somewhere() -> None:
    missing = [line for name in citing() for line in problems_of(name)]
    assert not missing, "not there:\n" + "\n".join(missing)


@pytest.mark.parametrize(
    "comment, wrong",
    [
        ("lock-ble-link.md 8.4-8.10, 3.2 and 9.1; lock-ble-commands.md 4.2", []),
        ("security.md 3.3 CRED-2, CRED-3; 3.6 RST-2, DEL-1; 4.3 rule 2", []),
        ("security.md CMD-1 to CMD-3, T-RND-1", []),
        ("domain.md 2 (key features 1 to 4, 7, 11), 3.1; domain.md key feature 3", []),
        ("lock-ble-link.md glossary (D5, D6), 12 item 2; hardware-facts.md F21", []),
        ("lock-ble-link.md 11 row 14; security.md 0 item 2", []),
        ("security.md 4.3 rule 12", ["rule 12 in 4.3 of security.md"]),
        ("feature-table.md F137; decisions.md DEC-9; vectors k_ic_*, r_accessory_battery", []),
        ("lock-ble-link.md 8.99", ["8.99 of lock-ble-link.md"]),
        ("lock-ble-link.md 8.12-8.15 (0x43)", ["%s of lock-ble-link.md" % n for n in ("8.14", "8.15")]),
        ("security.md 3.2, CMD-99", ["CMD-99 of security.md"]),
        ("domain.md key feature 12", ["key feature 12 of domain.md"]),
        ("hardware-facts.md F99", ["F99 of hardware-facts.md"]),
        ("lock-ble-wire.md 4", ["lock-ble-wire.md, which is neither in docs/spec nor elsewhere"]),
        ("see security.md", ["security.md without a section"]),
        ("once per id (CMD-4)", ["CMD-4 without its file"]),
        ("dormant (F1)", ["F1 without its file"]),
        ("one frame (3.3, 4.1)", ["(3.3, without its file"]),
        ("DESIGN 4", ["DESIGN, a document that is not here"]),
        ("vectors k_ic_*, k_nothing_here", ["vector k_nothing_here"]),
        ('vectors of kind "rumour"', ["kind of vectors rumour"]),
    ],
)
def test_a_citation_is_read_as_people_write_it(comment: str, wrong: list[str]) -> None:
    program = "CMD_4 = 1  # nothing\n# %s\n" % comment
    told = problems("firmware/it.py", prose("firmware/it.py", program))
    assert [line.replace("firmware/it.py:2: ", "") for line in told] == wrong
