"""Giving a function the name of its file, or the file that of its function; and what imports them, too."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from defer_emulator.project.edits import Edit
from defer_emulator.project.parser import FoundFunction, FunctionNode, dotted, imports
from defer_emulator.project.sources import Module

FROM = r"from[\s\\]+\.*[ \t]*(?:\w+\.)*(?P<name>{name})\b"


class NotMechanical(Exception):
    """Why a person has to do it: a part of a sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A Python file of the project, read."""

    path: Path
    relative: str  # to the project's root, with forward slashes
    module: str  # dotted, from there
    code: Module


@dataclass(kw_only=True, slots=True)
class Uses:
    """Where other code names a function and its file, and what it would be after a rename of one of them."""

    of_function: dict[Path, list[Edit]] = field(default_factory=dict)
    of_module: dict[Path, list[Edit]] = field(default_factory=dict)
    obstacle_of_function: str = ""  # why it cannot be renamed for all of them; "" where it can
    obstacle_of_module: str = ""
    texts: list[str] = field(default_factory=list)  # places, where a text names them, which nobody changes


# --- the function's own file ----------------------------------------------------------------------


def rename_definition(code: Module, function: FoundFunction, new: str) -> list[Edit]:
    """The edits that give a function another name in its own file. Raises `NotMechanical`."""
    node, old = function.definition, function.name
    if node is None or node not in code.tree.body:
        raise NotMechanical(f"{old} is not defined at the top of its file")
    holder = holder_of(code.tree, old, new)
    if not node.decorator_list and holder is None and holder_of(code.tree, old, old) is None:
        raise NotMechanical(f"what defer({old}) gives has another name")
    uses = [inner for inner in ast.walk(code.tree) if isinstance(inner, ast.Name) and inner.id == old]
    if holder is not None and len(uses) > 1:
        raise NotMechanical(f"{old} is used without defer, too")
    stored = sum(isinstance(use.ctx, ast.Store) for use in uses)
    if stored > (holder_of(code.tree, old, old) is not None):
        raise NotMechanical(f"that file gives {old} a second meaning")
    for inner in ast.walk(code.tree):
        if holder is None and isinstance(inner, ast.Name) and inner.id == new:
            raise NotMechanical(f"{new} means something else in that file")
        if inner is not node and not {old, new}.isdisjoint(_other_names(inner)):
            raise NotMechanical(f"that file gives one of {old} and {new} a second meaning")
    edits = [_name_of(code, node, new), *(_exactly(code, use, old, new) for use in uses)]
    if len(set(edits)) < len(edits):
        raise NotMechanical(f"{old} is used where its place is not known")  # in an f-string, before 3.12
    return edits + list(_in_all(code, old, new))


def holder_of(tree: ast.Module, old: str, new: str) -> ast.stmt | None:
    """The statement `new = defer(old, ...)`."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            mentioned = {inner.id for inner in ast.walk(statement.value) if isinstance(inner, ast.Name)}
            if old in mentioned and [getattr(target, "id", "") for target in targets] == [new]:
                return statement
    return None


def _other_names(node: ast.AST) -> set[str]:
    """The names that a node gives a meaning to, but for those of `ast.Name`."""
    match node:
        case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return {name}
        case ast.ClassDef(name=name):
            return {name}
        case ast.alias(name=name, asname=other):
            return {other or name.partition(".")[0]}
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return set(names)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return {name}
        case ast.MatchMapping(rest=str(name)):
            return {name}
    return set()


def _name_of(code: Module, node: FunctionNode, new: str) -> Edit:
    place = code.name_place(node)
    start = code.start_of(place)
    if code.text[start : start + len(node.name)] != node.name:
        raise NotMechanical(f"the name of {node.name} is not beside its def")
    return Edit(start=start, end=start + len(node.name), text=new)


def _exactly(code: Module, node: ast.expr | ast.alias, old: str, new: str) -> Edit:
    """The edit of a node that begins with a word."""
    start = code.offset(node.lineno, node.col_offset)
    if code.text[start : start + len(old)] != old:
        raise NotMechanical(f"{old} is used where its place is not known")
    return Edit(start=start, end=start + len(old), text=new)


def _in_all(code: Module, old: str, new: str) -> Iterator[Edit]:
    """The name in `__all__ = [...]`."""
    for statement in code.tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if [getattr(target, "id", "") for target in targets] != ["__all__"]:
                continue
            for inner in ast.walk(statement.value):
                if isinstance(inner, ast.Constant) and inner.value == old:
                    start = code.offset(inner.lineno, inner.col_offset) + 1
                    if code.text[start : start + len(old)] != old:
                        raise NotMechanical(f"{old} stands in __all__ in an unusual way")
                    yield Edit(start=start, end=start + len(old), text=new)


# --- all others -----------------------------------------------------------------------------------


def find_uses(files: Iterable[File], modules: frozenset[str], function: str, file: str) -> Uses:
    """Look for imports of a function and of the file that holds it; either may get the other's name.

    `modules` are the dotted names that the file is known by.
    """
    uses = Uses()
    for importer in files:
        finder = _Finder(importer, modules, function, file)
        try:
            finder.look()
        except NotMechanical as obstacle:
            uses.obstacle_of_function = uses.obstacle_of_module = f"{obstacle} ({importer.relative})"
            continue
        uses.obstacle_of_function = finder.obstacle_of_function or uses.obstacle_of_function
        if finder.of_function:
            uses.of_function[importer.path] = finder.of_function
        if finder.of_module:
            uses.of_module[importer.path] = finder.of_module
        uses.texts += finder.texts
    return uses


class _Finder:
    def __init__(self, file: File, modules: frozenset[str], function: str, stem: str) -> None:
        self.file, self.code = file, file.code
        self.modules, self.function, self.stem = modules, function, stem
        self.names: dict[str, str] = {}
        self.of_function: list[Edit] = []
        self.of_module: list[Edit] = []
        self.obstacle_of_function = ""
        self.texts: list[str] = []

    def look(self) -> None:
        """Raises `NotMechanical`."""
        nodes = list(ast.walk(self.code.tree))
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._look_at_import(node)
        roots = {self._look_at_attribute(node) for node in nodes if isinstance(node, ast.Attribute)}
        bound = {
            node.id if isinstance(node, ast.Name) else node.arg
            for node in nodes
            if isinstance(node, ast.arg) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
        }
        if shadowed := sorted(roots & bound):
            raise NotMechanical(f"{shadowed[0]} has two meanings in it")
        known = re.compile(rf"\b(?:{'|'.join(re.escape(name) for name in self.modules)})\b")
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and known.search(node.value):
                self.texts.append(f"{self.file.relative}:{node.lineno}")

    def _look_at_import(self, node: ast.Import | ast.ImportFrom) -> None:
        is_package = self.file.path.name == "__init__.py"
        bindings = imports(node, self.file.module, is_package=is_package)
        is_from_module = False
        for alias, (bound, target) in zip(node.names, bindings, strict=True):
            other = self.names.setdefault(bound, target)
            if other != target and (self._leads_there(other) or self._leads_there(target)):
                raise NotMechanical(f"{bound} has two meanings in it")
            base = target.rpartition(".")[0]
            if isinstance(node, ast.ImportFrom) and base in self.modules:
                is_from_module = True
                if alias.name == self.function:
                    new = self.stem if alias.asname else f"{self.stem} as {self.function}"
                    self.of_function.append(_exactly(self.code, alias, self.function, new))
                elif alias.name == "*":
                    self.obstacle_of_function = f"{self.file.relative} imports * from its file"
            elif isinstance(node, ast.ImportFrom) and target in self.modules:
                new = self.function if alias.asname else f"{self.function} as {self.stem}"
                self.of_module.append(_exactly(self.code, alias, self.stem, new))
            elif isinstance(node, ast.Import) and alias.name in self.modules:
                end = _exactly(self.code, alias, alias.name, "").end
                self.of_module.append(Edit(start=end - len(self.stem), end=end, text=self.function))
        if is_from_module:
            start = self.code.offset(node.lineno, node.col_offset)
            found = re.compile(FROM.format(name=re.escape(self.stem))).match(self.code.text, start)
            if found is None:
                raise NotMechanical("it is imported in an unusual way")
            self.of_module.append(Edit(start=found.start("name"), end=found.end("name"), text=self.function))

    def _leads_there(self, name: str) -> bool:
        return any(f"{module}.".startswith(f"{name}.") for module in self.modules)

    def _look_at_attribute(self, node: ast.Attribute) -> str:
        """`defer.send_mail` and `send_mail.send_email`; the name that it begins with, "" for others."""
        name = dotted(node, self.names)
        if name is None:
            return ""
        is_function = name.rpartition(".")[0] in self.modules and node.attr == self.function
        if not is_function and name not in self.modules:
            return ""
        assert node.end_lineno is not None and node.end_col_offset is not None
        end = self.code.offset(node.end_lineno, node.end_col_offset)
        if self.code.text[end - len(node.attr) : end] != node.attr:
            raise NotMechanical(f"{node.attr} is used where its place is not known")
        new, found = (self.stem, self.of_function) if is_function else (self.function, self.of_module)
        found.append(Edit(start=end - len(node.attr), end=end, text=new))
        root: ast.expr = node
        while isinstance(root, ast.Attribute):
            root = root.value
        return root.id if isinstance(root, ast.Name) else ""


def names_of(module: str, relative: str) -> frozenset[str]:
    """The dotted names of a file's module from each folder between the root and it.

    >>> sorted(names_of("defer.send_mail", "src/defer/send_mail.py"))
    ['defer.send_mail', 'src.defer.send_mail']
    """
    parts = relative.removesuffix(".py").split("/")
    return frozenset(".".join(parts[start:]) for start in range(len(parts) - module.count(".")))
