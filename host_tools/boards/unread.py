"""What nothing of a role reads is left out of its image: modules are written for both ends of a protocol, and for two
kinds of boards, and a board pays for each function that it has in memory. Owns which definitions those are.

A name counts as read wherever it stands, in any module, so that too much is kept and never too little. What is looked
up by a text is not seen: modules of LOADED_BY_NAME keep all that they define.
"""

import ast
from collections.abc import Collection

LOADED_BY_NAME = ("firmware.gateway.operations.", "firmware.lib.messages.", "firmware.lock.commands.")


def without_unread(modules: Collection[str], texts: dict[str, str]) -> dict[str, str]:
    """Texts of `modules` without the functions, classes and plain values that nothing reads, lines kept."""
    definitions: dict[str, set[str]] = {}  # name -> names that are read where it is defined
    read: set[str] = set()
    for name, text in texts.items():
        for node in ast.parse(text).body:
            defined = _defined(node) if name in modules else None
            if defined:
                definitions.setdefault(defined, set()).update(_read(node))
            else:
                read |= _read(node)
    waiting = list(read)
    while waiting:
        new = definitions.get(waiting.pop(), set()) - read
        read |= new
        waiting += new
    kept = {}
    for name in modules:
        lines = texts[name].splitlines(keepends=True)
        for node in ast.parse(texts[name]).body:
            if _defined(node) and _defined(node) not in read:
                first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", ()))])
                last = node.end_lineno or first
                lines[first - 1 : last] = ["\n"] * (last - first + 1)
        kept[name] = "".join(lines)
    return kept


def _defined(node: ast.stmt) -> str | None:
    """The one name that a statement defines and does nothing else."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name
    target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
    if isinstance(node, ast.AnnAssign):
        target = node.target
    acts = any(isinstance(each, ast.Call) for each in ast.walk(node))
    return target.id if isinstance(target, ast.Name) and not acts else None


def _read(node: ast.stmt) -> set[str]:
    names = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and (isinstance(each.ctx, ast.Load) or isinstance(node, ast.AugAssign)):
            names.add(each.id)
        elif isinstance(each, ast.Attribute):
            names.add(each.attr)
        elif isinstance(each, ast.alias):
            names.add(each.name)
    return names
