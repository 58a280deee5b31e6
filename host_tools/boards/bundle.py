"""Merges what one image always imports into one module, for a build that freezes it.

`python -m host_tools.boards.bundle gateway DIR` writes the tree that boards/manifest.py takes with GATEHOUSE_TREE=DIR.

A module costs heap even when its bytecode is in flash: the module, its table of names, and in it every name imported
from elsewhere. In one module a name exists once, an import is nothing, and a public number is folded away as a private
one is. Modules that are imported inside functions stay as they are, but for where they take their names from. What
nothing of this role reads is left out: modules are written for both ends of a protocol, and for two kinds of boards.

Source lines keep their order and their number: names are replaced where they stand, imports become blank, and a module
begins at the line that `image.map` names, so that `host_tools.boards.traceback` finds a line's source again.
"""

import argparse
import ast
import builtins
import json
import symtable
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeGuard

from host_tools import sources
from host_tools.boards import stage, unread

IMAGE = "image"  # the merged module's name
MAP = "image.map"
_ROOT_MODULE = {role: "firmware.%s.app" % role for role in stage.ROLES}
_RARE = ("firmware.gateway.erasure",)  # what the root module itself imports when it is needed
_ALWAYS_THERE = {  # by role, of those what is imported as everything else is
    "gateway": (
        "firmware.gateway.operations.arguments",
        "firmware.gateway.operations.table",
        "firmware.lib.messages.common",
        "firmware.lib.messages.session_client",
    ),
    "lock": ("firmware.lock.commands.table",),
}
_Place = tuple[int, int]


class BundleError(Exception):
    """A module uses something that merging does not know how to keep; the text says what and where."""


class _UsedAsValue(Exception):
    """Somebody hands on the module as a value, so it has to stay one."""


@dataclass
class Source:
    """One module: its text, tree and scopes; `names` it defines at its top, in order."""

    name: str
    path: Path
    text: str = field(init=False)
    tree: ast.Module = field(init=False)
    names: list[str] = field(init=False)
    constants: dict[str, object] = field(init=False)

    def __post_init__(self) -> None:
        self.text = sources.text_of(self.path)
        self.tree = ast.parse(self.text, str(self.path))
        self.scopes = symtable.symtable(self.text, str(self.path), "exec")
        imported = {alias.asname or alias.name.split(".")[0] for alias in _aliases(self.tree.body)}
        self.names = [each.get_name() for each in self.scopes.get_symbols() if each.is_assigned()]
        self.names = [name for name in self.names if name not in imported]
        stored = Counter(
            node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        )
        by_identity = {
            node.id
            for test in ast.walk(self.tree)
            if isinstance(test, ast.Compare) and any(isinstance(op, ast.Is | ast.IsNot) for op in test.ops)
            for node in (test.left, *test.comparators)
            if isinstance(node, ast.Name)
        }
        self.constants = {
            name: value
            for name, value in _constants(self.tree)
            if stored[name] == 1 and name not in by_identity and not self._is_global(name)
        }

    def _is_global(self, name: str) -> bool:
        return any(isinstance(node, ast.Global) and name in node.names for node in ast.walk(self.tree))


def _aliases(body: list[ast.stmt]) -> Iterator[ast.alias]:
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from node.names
        elif isinstance(node, ast.Try):
            yield from _aliases(node.body)


def _constants(tree: ast.Module) -> Iterator[tuple[str, object]]:
    """Top-level `NAME = 5`, `_NAME = const(5)`, and the same with text, bytes and tuples of them."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = node.value
            if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "const":
                value = value.args[0]
            try:
                literal = ast.literal_eval(value)
            except ValueError:
                continue
            if type(literal) in (int, str, bytes, tuple):
                yield node.targets[0].id, literal


class Image:
    """What one role's image is made of. `merged`: the modules that become one, in the order of their import."""

    def __init__(self, role: str) -> None:
        paths = [path for path in stage.modules(role) if path.name != "__init__.py"]
        paths.append(sources.top("main.py"))
        self.sources = {name: Source(name, path) for name, path in ((_name(path), path) for path in paths)}
        self.merged: list[str] = []
        self.renamed: dict[tuple[str, str], str] = {}
        self._kept_out = {name for name in self.sources if name.startswith(unread.LOADED_BY_NAME)}
        self._kept_out -= set(_ALWAYS_THERE[role])
        self._kept_out |= {"main", *_RARE}
        self._kept_out |= set(self._named_in_strings())
        self._root = _ROOT_MODULE[role]

    def texts(self) -> dict[str, str]:
        """The new text of every module, by name."""
        while True:
            self.merged = []
            self._visit(self._root, set())
            self.renamed = self._rename()
            try:
                texts = {name: Rewriter(self, source).text() for name, source in self.sources.items()}
                return texts | unread.without_unread({name for name in texts if not self._is_read_by_name(name)}, texts)
            except _UsedAsValue as err:
                self._kept_out.add(str(err))

    def _is_read_by_name(self, module: str) -> bool:
        return module == "main" or (module.startswith(unread.LOADED_BY_NAME) and module not in self.merged)

    def targets(self, node: ast.ImportFrom) -> Iterator[tuple[str, str, str]]:
        """(local name, module, name in it or "" for the module itself) of an import of ours."""
        for alias in node.names:
            full = "%s.%s" % (node.module, alias.name)
            is_module = full in self.sources
            yield alias.asname or alias.name, full if is_module else node.module or "", "" if is_module else alias.name

    def origin(self, module: str, name: str) -> tuple[str, str]:
        """Where a name that `module` offers is defined: it may have been imported there."""
        if module in self.sources and name not in self.sources[module].names:
            for node in self.sources[module].tree.body:
                if _is_ours(node):
                    for local, source, inner in self.targets(node):
                        if local == name and inner:
                            return self.origin(source, inner)
        return module, name

    def new_name(self, module: str, name: str) -> str:
        """The name in the merged module of what a merged module offers; a library's keeps its own."""
        return self.renamed.get((module, name), name)

    def _visit(self, name: str, seen: set[str]) -> None:
        seen.add(name)
        tree = self.sources[name].tree
        for node in ast.walk(tree) if name == self._root else tree.body:  # the root puts the image together
            if _is_ours(node):
                for _, module, _ in self.targets(node):
                    if module in self.sources and module not in seen:
                        self._visit(module, seen)
        if name not in self._kept_out:
            self.merged.append(name)

    def _named_in_strings(self) -> Iterator[str]:
        """Modules that somebody loads or forgets by name."""
        for source in self.sources.values():
            for node in ast.walk(source.tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in self.sources:
                    yield node.value

    def _libraries(self) -> dict[str, str]:
        """What the merged modules import of libraries: local name -> what it is. Raises BundleError on two meanings."""
        found: dict[str, str] = {}
        for module in self.merged:
            for node in ast.walk(self.sources[module].tree):
                if isinstance(node, ast.Import | ast.ImportFrom) and not _is_ours(node):
                    for alias in node.names:
                        what = "%s.%s" % (getattr(node, "module", ""), alias.name)
                        local = alias.asname or alias.name.split(".")[0]
                        if found.setdefault(local, what) != what:
                            raise BundleError("%s: %s is %s and %s" % (module, local, what, found[local]))
        return found

    def _rename(self) -> dict[tuple[str, str], str]:
        """(module, name) -> its name in the merged module: its own where it is the only one."""
        taken = set(dir(builtins)) | {"const"} | set(self._libraries())
        used: set[str] = set()
        stored: set[str] = set()
        attributes: set[str] = set()
        for source in self.sources.values():
            for node in ast.walk(source.tree):
                if isinstance(node, ast.Name):
                    used.add(node.id)
                    if isinstance(node.ctx, ast.Store):
                        stored.add(node.id)
                elif isinstance(node, ast.arg):
                    stored.add(node.arg)
                elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    attributes.add(node.attr)
        used |= stored
        count = Counter(name for module in self.merged for name in self.sources[module].names)
        renamed = {}
        for module in self.merged:
            for name in self.sources[module].names:
                wanted = name
                if name in self.sources[module].constants and not name.startswith("_"):
                    wanted = "_" + name
                hides = name in stored and name in attributes  # `module.name` where a local is called `name`
                if count[name] > 1 or wanted in taken or hides or (wanted != name and wanted in used):
                    wanted = "%s_%s" % (wanted, module.rsplit(".", 1)[1])
                while wanted in taken or (wanted != name and wanted in used):
                    wanted += "_"
                taken.add(wanted)
                renamed[module, name] = wanted
        return renamed


def _name(path: Path) -> str:
    return ".".join(path.relative_to(stage.ROOT).with_suffix("").parts)


def _is_ours(node: ast.AST) -> TypeGuard[ast.ImportFrom]:
    return isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "firmware"


class Rewriter:
    """Rewrites one module of an image: a merged one for the merged module, another for taking its names from there."""

    def __init__(self, image: Image, source: Source) -> None:
        self._image = image
        self._source = source
        self._is_merged = source.name in image.merged
        self._edits: list[tuple[_Place, _Place, str]] = []
        self._lines = source.text.splitlines(keepends=True)

    def text(self) -> str:
        """The module's new text, with as many lines."""
        names: dict[str, tuple[str, str]] = {}
        for node in self._source.tree.body:
            self._bind(node, names)
        if self._is_merged:
            names |= {name: (self._source.name, name) for name in self._source.names}
        self._fold_constants()
        self._body(self._source.tree.body, self._source.scopes, [names])
        self._replace_imports(self._source.tree.body, True)
        lines = self._lines
        for start, end, new in sorted(self._edits, reverse=True):
            first, last = start[0] - 1, end[0] - 1
            head = lines[first].encode()[: start[1]].decode()
            tail = lines[last].encode()[end[1] :].decode()
            lines[first : last + 1] = [head + new + tail] + ["\n"] * (last - first)
        return "".join(lines)

    def _fold_constants(self) -> None:
        """MicroPython keeps no name for `_X = const(...)`. A module of its own offers its public names to others."""
        for node in self._source.tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name, value = node.targets[0].id, node.value
                is_ours = self._is_merged or name.startswith("_")
                if is_ours and name in self._source.constants and not isinstance(value, ast.Call):
                    start, end = (value.lineno, value.col_offset), (value.end_lineno or 0, value.end_col_offset or 0)
                    self._edits.append((start, start, "const("))
                    self._edits.append((end, end, ")"))

    def _bind(self, node: ast.AST, names: dict[str, tuple[str, str]]) -> None:
        """What an import of ours binds, where that is in the merged module: local name -> (module, name or "")."""
        if _is_ours(node):
            for local, module, inner in self._image.targets(node):
                module, inner = self._image.origin(module, inner) if inner else (module, inner)
                if module in self._image.merged:
                    names[local] = module, inner

    # --- references

    def _body(self, nodes: list, scope: symtable.SymbolTable, names: list[dict]) -> None:
        children = list(scope.get_children())
        for node in nodes:
            self._visit(node, scope, children, names)

    def _child(self, children: list, kind: str, node: ast.AST) -> symtable.SymbolTable:
        line = getattr(node, "lineno", 0)
        if getattr(node, "decorator_list", None):
            line = node.decorator_list[0].lineno  # type: ignore[attr-defined]
        for child in children:
            if child.get_name() == kind and child.get_lineno() in (line, getattr(node, "lineno", 0)):
                children.remove(child)
                return child
        raise BundleError("%s:%d: no scope for %s" % (self._source.name, line, kind))

    def _visit(self, node: ast.AST, scope: symtable.SymbolTable, children: list, names: list[dict]) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            self._function(node, scope, children, names)
        elif isinstance(node, ast.ClassDef):
            for each in (*node.decorator_list, *node.bases, *node.keywords):
                self._visit(each, scope, children, names)
            self._define(node, node.name, scope, names)
            self._body(node.body, self._child(children, node.name, node), names)
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            self._comprehension(node, scope, children, names)
        elif isinstance(node, ast.Name):
            self._reference(node, scope, names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            self._attribute(node, node.value, scope, names)
        elif isinstance(node, ast.JoinedStr):
            raise BundleError("%s:%d: an f-string" % (self._source.name, node.lineno))
        elif isinstance(node, ast.Global):
            if any(self._where(name, names) for name in node.names):
                raise BundleError("%s:%d: global" % (self._source.name, node.lineno))
        else:
            for child in ast.iter_child_nodes(node):
                self._visit(child, scope, children, names)

    def _function(self, node, scope: symtable.SymbolTable, children: list, names: list[dict]) -> None:
        for each in (*getattr(node, "decorator_list", ()), *node.args.defaults, *filter(None, node.args.kw_defaults)):
            self._visit(each, scope, children, names)
        is_lambda = isinstance(node, ast.Lambda)
        inner = self._child(children, "lambda" if is_lambda else node.name, node)
        if is_lambda:
            self._body([node.body], inner, names)
            return
        self._define(node, node.name, scope, names)
        local: dict[str, tuple[str, str]] = {}
        for each in ast.walk(node):
            self._bind(each, local)
        self._replace_imports(node.body, False)
        self._body(node.body, inner, [*names, local])

    def _comprehension(self, node, scope: symtable.SymbolTable, children: list, names: list[dict]) -> None:
        kinds = {
            ast.ListComp: "listcomp",
            ast.SetComp: "setcomp",
            ast.GeneratorExp: "genexpr",
            ast.DictComp: "dictcomp",
        }
        first, *others = node.generators
        self._visit(first.iter, scope, children, names)
        try:
            inner = self._child(children, kinds[type(node)], node)
        except BundleError:  # from Python 3.12 on it may be part of the scope around it
            inner = scope
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        more = [each for other in others for each in (other.target, other.iter, *other.ifs)]
        self._body([first.target, *first.ifs, *more, *parts], inner, names)

    def _where(self, name: str, names: list[dict]) -> tuple[str, str] | None:
        for each in reversed(names):
            if name in each:
                return each[name]
        return None

    def _meaning(self, name: str, scope: symtable.SymbolTable, names: list[dict]) -> tuple[str, str] | None:
        """(module, name in it or "") when the name stands for something of the merged module in this scope."""
        if scope.get_type() == "module":
            return names[0].get(name)
        symbol = scope.lookup(name)
        if symbol.is_global():
            return names[0].get(name)
        return None if symbol.is_local() and not symbol.is_imported() else self._where(name, names[1:])

    def _define(self, node, name: str, scope: symtable.SymbolTable, names: list[dict]) -> None:
        if self._is_merged and scope.get_type() == "module":
            new = self._image.renamed.get((self._source.name, name), name)
            if new != name:
                line = self._lines[node.lineno - 1]
                column = line.index(name, node.col_offset)
                self._edit(node.lineno, column, len(name), new)

    def _reference(self, node: ast.Name, scope: symtable.SymbolTable, names: list[dict]) -> None:
        where = self._meaning(node.id, scope, names)
        if where is None:
            return
        module, name = where
        if not name:
            raise _UsedAsValue(module)
        if self._is_merged:
            new = self._image.new_name(module, name)
        elif name in self._image.sources[module].constants:
            new = repr(self._image.sources[module].constants[name])
        else:
            return  # bound under its own name by the import
        if new != node.id:
            self._edit(node.lineno, node.col_offset, len(node.id.encode()), new)

    def _attribute(self, node: ast.Attribute, value: ast.Name, scope: symtable.SymbolTable, names: list[dict]) -> None:
        where = self._meaning(value.id, scope, names)
        if where is None or where[1]:
            self._reference(value, scope, names)
            return
        module, name = self._image.origin(where[0], node.attr)
        if module not in self._image.merged:
            raise BundleError("%s:%d: %s.%s" % (self._source.name, node.lineno, value.id, node.attr))
        if self._is_merged:
            new = self._image.new_name(module, name)
        elif name in self._image.sources[module].constants:
            new = repr(self._image.sources[module].constants[name])
        else:
            new = "%s.%s" % (IMAGE, self._image.new_name(module, name))
        assert node.end_lineno == node.lineno, ast.unparse(node)
        self._edit(node.lineno, node.col_offset, (node.end_col_offset or 0) - node.col_offset, new)

    def _edit(self, line: int, column: int, length: int, new: str) -> None:
        self._edits.append(((line, column), (line, column + length), new))

    # --- imports

    def _replace_imports(self, body: list[ast.stmt], is_top: bool) -> None:
        for node in body:
            if _is_ours(node):
                self._import(node, is_top)
            elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                for part in ("body", "orelse", "finalbody"):
                    self._replace_imports(getattr(node, part, []), False)
                for handler in getattr(node, "handlers", []):
                    self._replace_imports(handler.body, False)
            elif isinstance(node, ast.ClassDef):
                self._replace_imports([each for each in node.body if not isinstance(each, ast.FunctionDef)], False)

    def _import(self, node: ast.ImportFrom, is_top: bool) -> None:
        image = self._image
        words = []
        needs_image = False
        for local, module, inner in image.targets(node):
            if inner == "const" and module == "firmware.lib.compat":
                if not self._is_merged:
                    words.append("from micropython import const")
                continue
            module, inner = image.origin(module, inner) if inner else (module, inner)
            if module not in image.merged:
                package, _, leaf = module.rpartition(".")
                what = (module, inner) if inner else (package, leaf)
                words.append("from %s import %s as %s" % (*what, local))
            elif not inner:
                needs_image = not self._is_merged
            elif inner in image.sources[module].constants:
                continue
            elif not self._is_merged:
                words.append("from %s import %s as %s" % (IMAGE, image.new_name(module, inner), local))
        if needs_image:
            words.append("import %s" % IMAGE)
        new = "; ".join(words) or ("" if is_top else "pass")
        self._edits.append(((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0), new))


def write(role: str, dest: Path) -> None:
    """Write the tree of an image into the directory `dest`, and nothing else: the merged module, its map, the rest."""
    image = Image(role)
    texts = image.texts()
    lines = "from micropython import const\n"
    starts = []
    for name in image.merged:
        starts.append((lines.count("\n") + 1, str(image.sources[name].path.relative_to(stage.ROOT))))
        lines += texts.pop(name).rstrip("\n") + "\n"
    tree = {
        IMAGE + ".py": lines,
        MAP: json.dumps(starts, indent=1) + "\n",
        "boot.py": sources.top("boot.py").read_text(),
    }
    for name, text in texts.items():
        path = PurePosixPath(name.replace(".", "/") + ".py")
        tree |= {str(parent / "__init__.py"): "" for parent in path.parents if parent.parts}
        tree[str(path)] = text
    for old in dest.rglob("*"):
        if old.is_file() and str(old.relative_to(dest)) not in tree:
            old.unlink()
    for name, text in tree.items():
        target = dest / name
        if not target.is_file() or target.read_text() != text:  # so that a build compiles again what has changed
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Merge what an image always imports into one module")
    parser.add_argument("role", choices=stage.ROLES)
    parser.add_argument("dest", type=Path, help="folder for the tree; what else lies in it goes")
    chosen = parser.parse_args()
    try:
        write(chosen.role, chosen.dest)
    except BundleError as err:
        raise SystemExit("cannot be merged: %s" % err) from None


if __name__ == "__main__":
    main()
