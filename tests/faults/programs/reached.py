"""How many lines of some modules a program reaches, under CPython: arguments modules, program, its own arguments.

Counts the lines inside functions, but for those that only raise on our own mistakes. Prints like a row's program.
"""

import io
import json
import runpy
import sys
import threading
from contextlib import redirect_stdout
from pathlib import Path
from types import CodeType, FrameType

ROOT = Path(__file__).resolve().parents[3]


def lines_of(path: Path) -> set[int]:
    """Line numbers with code inside the functions of a file."""
    found: set[int] = set()

    def walk(code: CodeType, is_function: bool) -> None:
        if is_function:
            found.update(line for _, _, line in code.co_lines() if line and line != code.co_firstlineno)
        for const in code.co_consts:
            if isinstance(const, CodeType):
                walk(const, bool(const.co_flags & 2))  # CO_NEWLOCALS: a function, not a class body

    walk(compile(path.read_text(), str(path), "exec"), False)
    return found


def main() -> None:
    modules = [ROOT / name for name in json.loads(sys.argv[1])]
    wanted = {str(path): lines_of(path) for path in modules}
    seen: dict[str, set[int]] = {name: set() for name in wanted}

    def trace(frame: FrameType, event: str, _arg):
        name = frame.f_code.co_filename
        if name not in seen:
            return None
        if event == "line":
            seen[name].add(frame.f_lineno)
        return trace

    program = Path(__file__).with_name(json.loads(sys.argv[2]) + ".py")
    sys.argv = [str(program), *sys.argv[3:]]
    sys.path[:0] = [str(program.parent), str(ROOT)]
    told = io.StringIO()
    threading.settrace(trace)
    sys.settrace(trace)
    with redirect_stdout(told):
        runpy.run_path(str(program), run_name="__main__")
    sys.settrace(None)
    result = json.loads(told.getvalue().strip().splitlines()[-1])
    missed = {name: sorted(wanted[name] - seen[name]) for name in wanted}
    result["reached"] = {name: sorted(lines & wanted[name]) for name, lines in seen.items()}
    result["missed"] = missed
    print(json.dumps(result))


main()
