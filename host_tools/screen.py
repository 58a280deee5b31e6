"""All that the command line shows, and all that it asks: lines, tables, JSON, questions, progress, the live view.

Owns rich, Typer's questions, standard output and standard error: nothing else in `host_tools.cli`, `owner`, `near` and
`gateway` imports or uses them (tests/host/test_screen.py). Every string goes through `text.printable` on its way out
and none is ever read as markup, so a name or a payload is shown and never obeyed. Looks are given as styles.
"""

import contextlib
import contextvars
import errno
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import rich.live
import rich.table
import typer
from rich.cells import cell_len
from rich.console import Console as _RichConsole
from rich.console import ConsoleRenderable, Group, RichCast
from rich.text import Text

from host_tools import layout
from host_tools.errors import HostError
from host_tools.text import is_safe, printable

_MAX_CELL = 200  # characters; a stranger's million is cut
_KEY = re.compile(r"\x1b[\[O][0-9]*[A-Za-z~]|[a-zA-Z ]")  # as terminals send them
_NOT_ASCII = re.compile("[^\x00-\x7e]")


class _Console(_RichConsole):
    """rich's console with one way from str to what is shown; `print`, tables, titles and measuring all use it."""

    def render_str(self, text: str, *, style: Any = "", justify: Any = None, overflow: Any = None, **_: Any) -> Text:
        return Text(printable(text), style=style, justify=justify, overflow=overflow)

    def on_broken_pipe(self) -> None:
        """rich would end the program with status 1, whatever a command has done."""
        with contextlib.suppress(OSError, ValueError):  # or the interpreter tries again, and fails, at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())
        raise BrokenPipeError(errno.EPIPE, "nobody reads the output")


class Table(rich.table.Table):
    """rich's table; a cell may be anything: None is empty, what is neither text nor styled text is shown by `str`."""

    def __init__(self, *headings: str, title: str | None = None, **options: Any) -> None:
        super().__init__(
            *headings, title=None if title is None else printable(title, _MAX_CELL), title_justify="left", **options
        )
        self.texts: list[list[str]] = []  # of the cells, by row
        self._added: list[tuple[Any, Any]] = []
        self._measured: list[list[str]] | None = None  # of the table that this one is a part of
        self._options = options

    def add_row(self, *cells: Any, style: Any = None, end_section: bool = False) -> None:
        self._added.append((cells, style))
        shown = [_cell(each) for each in cells]
        self.texts.append([each.plain if isinstance(each, Text) else str(each) for each in shown])
        super().add_row(*shown, style=style, end_section=end_section)

    @property
    def headings(self) -> list[str]:
        return [str(each.header) for each in self.columns]

    def tab_separated(self) -> list[str]:
        """One line per row, the headings first where there are any."""
        head = [self.headings] if self.show_header else []
        return ["\t".join(cells) for cells in [*head, *self.texts]]

    def part(self, first: int, count: int) -> "Table":
        """Some of the rows, in columns as wide as those of the whole."""
        made = Table(*self.headings, title=None if self.title is None else str(self.title), **self._options)
        made._measured = self.texts
        for cells, style in self._added[first : first + count]:
            made.add_row(*cells, style=style)
        return made

    def fitted(self, room: int) -> list[ConsoleRenderable]:
        """This table with columns that fit `room`, as `layout` says; else its rows one below the other."""
        columns = [list(each) for each in zip(*(self._measured or self.texts), strict=False)] or [
            [] for _ in self.columns
        ]
        kinds = [
            "fixed" if layout.is_fixed(cells) else "name" if layout.is_name(heading, cells) else "words"
            for heading, cells in zip(self.headings, columns, strict=False)
        ]
        lengths = [[cell_len(each) for each in cells] for cells in columns]
        for box in (self.box, None):
            sides = 3 * len(columns) + 1 if box else len(columns)
            widths = layout.fit(self.headings, lengths, kinds, room - sides)
            if widths is None:
                continue
            self.box = box
            if box is None:
                self.pad_edge, self.padding = False, (0, 1, 0, 0)
            for column, width, kind in zip(self.columns, widths, kinds, strict=True):
                column.width, column.no_wrap = width, kind != "words"
                column.overflow = "fold" if kind == "words" else "ellipsis"
            return [self]
        return self._upright()

    def _upright(self) -> list[ConsoleRenderable]:
        wide = max([cell_len(each) for each in self.headings] or [0])
        lines: list[ConsoleRenderable] = [Text(str(self.title))] if self.title else []
        for row in self.texts:
            pairs = zip(self.headings, row, strict=False)
            lines += [Text(("%-*s  %s" % (wide, heading, cell)).rstrip()) for heading, cell in pairs if cell]
            lines.append(Text(""))
        return lines


def _cell(value: object) -> Any:
    if value is None:
        return ""
    return value if isinstance(value, ConsoleRenderable | RichCast) else printable(value, _MAX_CELL)


def styled(*parts: str | tuple[str, str]) -> Text:
    """One line made of texts and (text, style)."""
    whole = Text()
    for part in parts:
        words, style = (part, "") if isinstance(part, str) else part
        whole.append(printable(words), style)
    return whole


class Documents:
    """What a command with --json says on standard output: JSON and nothing else. Words for people go to standard error.

    Documents wait for the end of the command, so that an error joins what is known by then; lines of a stream do not.
    """

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.words: list[str] = []  # that people would have read on standard output
        self.error: dict | None = None
        self.is_stream = False

    def lines(self) -> list[Any]:
        """What is left to say at the end."""
        if self.error is not None:
            known = self.kept[-1] if self.kept and isinstance(self.kept[-1], dict) else {}
            return [{**known, **self.error}]
        if self.kept or self.is_stream:
            return self.kept
        return [{"ok": True, "msg": "\n".join(self.words)} if self.words else {"ok": True}]


_documents: contextvars.ContextVar[Documents | None] = contextvars.ContextVar("documents", default=None)


def documents() -> Documents | None:
    """Those of the command that runs, None without --json."""
    return _documents.get()


def is_streaming() -> None:
    """The command that runs says what it has to say line by line, or lets another program say it."""
    made = _documents.get()
    if made is not None:
        made.is_stream = True


@contextlib.contextmanager
def for_machines(is_wanted: bool, more: dict | None = None, is_line: bool = False) -> Iterator[Documents | None]:
    """Around a command: with --json its documents are written at the end, as one, each with `more`; with `is_line` each
    in a line of its own."""
    if not is_wanted:
        yield None
        return
    made = Documents()
    token = _documents.set(made)
    try:
        yield made
    finally:
        _documents.reset(token)
        told = made.lines()
        for each in told:
            whole = {**(more or {}), **each} if isinstance(each, dict) else {**more, "found": each} if more else each
            out.write_json(whole, None if is_line or made.is_stream or len(told) > 1 else 2)


class Screen:
    """One of the two streams. They are looked up at each use, as tests and pipes replace them."""

    def __init__(self, is_error: bool = False) -> None:
        self._console = _Console(stderr=is_error, highlight=False, markup=False, emoji=False)

    @property
    def is_terminal(self) -> bool:
        return self._console.is_terminal

    @property
    def encoding(self) -> str:
        return self._console.encoding

    def print(self, *things: object, style: str | None = None) -> None:
        """One line, or a table. A text without its own line ends; those in it are shown as `\\x0a` (see `lines`)."""
        made = _documents.get()
        if made is not None and self is out:
            made.words += [str(each) for each in things if isinstance(each, str | Text)]
            err.print(*things, style=style)
            return
        self._prepare()
        for table in things:
            if isinstance(table, Table):
                self._print_table(table)
                return
        shown = [each if isinstance(each, ConsoleRenderable | RichCast) else printable(each) for each in things]
        is_text = all(isinstance(each, str | Text) for each in shown)
        self._console.print(*shown, style=style, soft_wrap=is_text)

    def _print_table(self, table: Table) -> None:
        """Drawn on a terminal; elsewhere tab-separated, for programs, its title on standard error."""
        if self.is_terminal:
            for each in table.fitted(self._console.width):
                self._console.print(each, soft_wrap=isinstance(each, Text))
            return
        if table.title and self is out:
            err.print(str(table.title))
        self._console.file.write("".join(line + "\n" for line in table.tab_separated()))
        self._console.file.flush()

    def lines(self, text: str) -> None:
        """A text of our own making that has several lines."""
        for line in text.split("\n"):
            self.print(line)

    def print_json(self, data: Any) -> None:
        """JSON, indented; what a terminal could misread stands as `\\u202e`, in strings the same to a reader."""
        made = _documents.get()
        if made is not None and self is out:
            made.kept.append(data)
            return
        self.write_json(data)

    def print_json_line(self, data: Any) -> None:
        """JSON in one line, at once: one of a stream."""
        is_streaming()
        self.write_json(data, None)

    def write_json(self, data: Any, indent: int | None = 2) -> None:
        """The same as `print_json`, past the documents of --json."""
        self._prepare()
        self._console.file.write(as_json(data, indent) + "\n")
        self._console.file.flush()

    @contextlib.contextmanager
    def status(self, text: str) -> Iterator[Callable[[str], None]]:
        """A spinner with a text on a terminal -> what changes the text; plain lines of changes elsewhere."""
        self._prepare()
        if not self.is_terminal:
            yield lambda step: self.print("  %s" % step)
            return
        with self._console.status(styled(text)) as spinner:
            yield lambda step: spinner.update(styled(step))

    @contextlib.contextmanager
    def live(self, view: Table) -> Iterator[Callable[[Table], None]]:
        """A table that stays and changes on a terminal -> what shows it anew; elsewhere nothing of it is drawn. What is
        longer than the screen scrolls, by the arrows, page keys, Home and End."""
        self._prepare()
        options: Any = {"console": self._console, "auto_refresh": False, "transient": not self.is_terminal}
        with _keys(self.is_terminal) as pressed:
            scroll = _Scroll()
            first = Group(*scroll.view(view, self._console.width, self._console.height))
            with rich.live.Live(first, **options) as drawn:

                def draw(table: Table) -> None:
                    scroll.move(pressed(), len(table.texts))
                    shown = scroll.view(table, self._console.width, self._console.height)
                    drawn.update(Group(*shown), refresh=self.is_terminal)

                yield draw

    def _prepare(self) -> None:
        """What the stream's encoding lacks is written as an escape. $COLUMNS counts as it is now."""
        file: Any = self._console.file
        if getattr(file, "errors", "") in ("strict", "surrogateescape") and hasattr(file, "reconfigure"):
            file.reconfigure(errors="backslashreplace")
        columns = os.environ.get("COLUMNS", "")
        if columns.isdigit():
            self._console.width = int(columns)


class _Scroll:
    """Which rows of a long table are on the screen."""

    def __init__(self) -> None:
        self._first = 0
        self._page = 1

    def move(self, keys: str, total: int) -> None:
        """As keys say: arrows, j and k, page keys, blank and b, Home and End, g and G."""
        for key in _KEY.findall(keys):
            far = {"A": -1, "k": -1, "B": 1, "j": 1, "6~": self._page, " ": self._page}
            far |= {"5~": -self._page, "b": -self._page, "H": -total, "1~": -total, "g": -total}
            far |= {"F": total, "4~": total, "G": total}
            self._first += far.get(key.removeprefix("\x1b[").removeprefix("\x1bO"), 0)
            self._first = max(0, min(self._first, total - self._page))

    def view(self, table: Table, width: int, height: int) -> list[ConsoleRenderable]:
        """The rows that fit, and where they are among all."""
        total = len(table.texts)
        around = 5 if table.title is None else 6  # headings, borders, and the line below
        self._page = max(1, min(total, height - around))
        if total <= self._page:
            return table.fitted(width)
        self._first = max(0, min(self._first, total - self._page))
        where = "%d to %d of %d; arrows and page keys scroll" % (self._first + 1, self._first + self._page, total)
        return [*table.part(self._first, self._page).fitted(width), Text(where, "dim")]


@contextlib.contextmanager
def _keys(is_terminal: bool) -> Iterator[Callable[[], str]]:
    """A function that gives the keys pressed since it was last called; "" where there is no keyboard."""
    if not (is_terminal and asks()):
        yield lambda: ""
        return
    import select
    import termios
    import tty

    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)

    def pressed() -> str:
        found = b""
        while select.select([handle], [], [], 0)[0]:
            more = os.read(handle, 1024)
            if not more:
                break
            found += more
        return found.decode("ascii", "replace")

    try:
        tty.setcbreak(handle)
        yield pressed
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


out = Screen()
err = Screen(is_error=True)


def as_json(data: Any, indent: int | None = 2) -> str:
    """JSON text in which every unsafe character is an escape."""
    return _NOT_ASCII.sub(_json_escape, json.dumps(data, indent=indent, ensure_ascii=False, default=str))


def _json_escape(match: re.Match) -> str:
    return match[0] if is_safe(match[0]) and ord(match[0]) != 0x7F else json.dumps(match[0])[1:-1]


def asks() -> bool:
    """Whether there is somebody who can be asked."""
    return sys.stdin.isatty()


def confirm(question: str, default: bool = False, abort: bool = False) -> bool:
    """A question with yes or no; with `abort`, no ends the command: HostError `cancelled`."""
    with _answered():
        if _documents.get() is not None:
            answer = _asked_aside("%s [%s]" % (question, "Y/n" if default else "y/N"), "ny"[default])[:1] in ("y", "Y")
        else:
            answer = bool(typer.confirm(printable(question), default=default))
    if abort and not answer:
        raise HostError("cancelled", "not confirmed; nothing was done")
    return answer


def ask(question: str, default: Any = None, type: Any = None, is_secret: bool = False, again: bool = False) -> Any:
    """A question with an answer, as Typer asks it; `again` asks twice for the same."""
    options: Any = {"default": default, "type": type, "hide_input": is_secret, "confirmation_prompt": again}
    with _answered():
        if _documents.get() is not None and not is_secret:
            return (type or str)(_asked_aside(question, default))
        return typer.prompt(printable(question), err=_documents.get() is not None, **options)


def _asked_aside(question: str, default: Any) -> Any:
    """A question on standard error, as standard output is for JSON alone."""
    err.print(question + ":")
    line = sys.stdin.readline()
    if not line:
        raise typer.Abort
    return line.strip() or default


@contextlib.contextmanager
def _answered() -> Iterator[None]:
    """A question that nobody answers ends the command: HostError `interrupted`."""
    try:
        yield
    except typer.Abort:
        raise HostError("interrupted", "stopped at a question", "a pipe has to hold the answer")


def read_line() -> str:
    """A line of standard input without its end; "" at the end of it."""
    return sys.stdin.readline().rstrip("\r\n")


def read_all(max_bytes: int) -> bytes:
    """All of standard input, at most so many bytes."""
    return sys.stdin.buffer.read(max_bytes)
