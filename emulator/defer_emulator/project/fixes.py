"""`defer check --fix`: the findings that can be mended without understanding the code, and how."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from defer_emulator.project.check import CheckResult
from defer_emulator.project.diagnostics import Diagnostic
from defer_emulator.project.edits import Change, Edit, apply, is_taken, overlap
from defer_emulator.project.finder import is_function_file, own_python_files, source_file
from defer_emulator.project.parser import FoundFunction, FunctionNode, ParsedFile
from defer_emulator.project.removals import unused_parameters, without_parameters
from defer_emulator.project.renames import (
    File,
    NotMechanical,
    Uses,
    find_uses,
    holder_of,
    names_of,
    rename_definition,
)
from defer_emulator.project.rules import better_name, def_word, first_parameter
from defer_emulator.project.sources import Module, Place, parse, read_bytes, read_module

RUNS_A_LOOP = re.compile(r"\b(?:asyncio|anyio|trio)\.run\b|\brun_until_complete\b|\basync_to_sync\b")
"""What an async function must not call."""

LOCAL = re.compile(r"(\w+)\s*(?:\.\s*with_options\s*\([^()]*\)\s*)?\.\s*local\s*\(")

Edits = dict[Path, list[Edit]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fix:
    """What mends one finding."""

    finding: Diagnostic
    edits: Edits = field(default_factory=dict)
    renames: dict[Path, Path] = field(default_factory=dict)
    note: str = ""  # what a person should know of it


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All that can be mended at once, and why the rest of that kind cannot."""

    fixes: tuple[Fix, ...] = ()
    changes: tuple[Change, ...] = ()
    left: tuple[tuple[Diagnostic, str], ...] = ()


def plan_fixes(result: CheckResult) -> Plan:
    """Decide what to change; nothing is changed here. What needs a person's judgement is left out."""
    planner = _Planner(result)
    fixes: list[Fix] = []
    left: list[tuple[Diagnostic, str]] = []
    for finding in result.diagnostics:
        try:
            fix = planner.fix(finding)
            if fix is not None and not any(_meet(fix, other) for other in fixes):
                planner.changes([fix])  # that they can be made at all
                planner.accept(fix)
                fixes.append(fix)
        except NotMechanical as reason:
            left.append((finding, str(reason)))
    return Plan(fixes=tuple(fixes), changes=planner.changes(fixes), left=tuple(left))


def fixable(result: CheckResult) -> frozenset[Diagnostic]:
    """The findings that `plan_fixes` would probably mend, in less time."""
    planner = _Planner(result)
    found = set()
    for finding in result.diagnostics:
        with suppress(NotMechanical):
            if fix := planner.fix(finding):
                planner.accept(fix)
                found.add(finding)
    return frozenset(found)


def _meet(one: Fix, other: Fix) -> bool:
    """Whether they touch the same code: the second then has its turn the next time."""
    paths = {*one.renames, *one.renames.values()} & {*other.renames, *other.renames.values()}
    return bool(paths) or any(overlap(edits, other.edits.get(path, ())) for path, edits in one.edits.items())


class _Planner:
    def __init__(self, result: CheckResult) -> None:
        self._root = result.project.root
        self._files = {parsed.source.relative: parsed for parsed in result.files}
        self._paths = {parsed.source.path: parsed for parsed in result.files}
        self._raw: dict[Path, bytes] = {}
        self._code: dict[Path, Module] = {}
        self._parents: dict[Path, dict[ast.AST, ast.AST]] = {}
        self._made_async: dict[Diagnostic, FunctionNode] = {}
        self._becoming_async: set[FunctionNode] = set()

    def fix(self, finding: Diagnostic) -> Fix | None:
        """None where nothing mends that kind of finding mechanically. Raises `NotMechanical`."""
        mend = MENDERS.get(finding.code)
        return None if mend is None else mend(self, finding)

    def accept(self, fix: Fix) -> None:
        """It will be made: other fixes may build on it."""
        if fix.finding in self._made_async:
            self._becoming_async.add(self._made_async[fix.finding])

    # --- files ----------------------------------------------------------------------------------

    def changes(self, fixes: Sequence[Fix]) -> tuple[Change, ...]:
        """What the files would be. Raises `NotMechanical`."""
        targets = {path: target for fix in fixes for path, target in fix.renames.items()}
        edits: Edits = {}
        for fix in fixes:
            for path, found in fix.edits.items():
                edits.setdefault(path, []).extend(found)
        return tuple(
            self._change(path, targets.get(path, path), edits.get(path, ()))
            for path in sorted({*targets, *edits})
        )

    def _change(self, path: Path, target: Path, edits: Collection[Edit]) -> Change:
        raw = self._changeable(path)
        if not edits:
            return Change(path=path, target=target, raw=raw, content=raw)
        before = self._module(path).source
        after = before.but(apply(before.text, edits))
        if not isinstance(parse(after), Module):
            raise NotMechanical("it would be no Python any more")
        try:
            content = after.encode()
        except UnicodeEncodeError:
            raise NotMechanical(f"its encoding, {after.encoding}, lacks a character") from None
        return Change(
            path=path, target=target, raw=raw, content=content, before=before.text, after=after.text
        )

    def _changeable(self, path: Path) -> bytes:
        """The content of a file that may be written. Raises `NotMechanical`."""
        if path not in self._raw:
            shown = path.relative_to(self._root).as_posix()
            if path.is_symlink() or not path.resolve().is_relative_to(self._root.resolve()):
                raise NotMechanical(f"{shown} is a link")
            if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
                raise NotMechanical(f"{shown} may not be written")
            try:
                self._raw[path] = read_bytes(path)
            except OSError as error:
                raise NotMechanical(f"{shown} cannot be read: {error.strerror}") from None
        return self._raw[path]

    def _module(self, path: Path) -> Module:
        """A file that may be changed. Raises `NotMechanical`."""
        if path not in self._code:
            raw, parsed = self._changeable(path), self._paths.get(path)
            code = parsed.module if parsed is not None else read_module(path)
            if not isinstance(code, Module) or code.source.encode() != raw:
                raise NotMechanical(f"{path.relative_to(self._root).as_posix()} cannot be kept as it is")
            self._code[path] = code
        return self._code[path]

    @cached_property
    def _texts(self) -> dict[Path, str]:
        """All Python files of the project, the tests too."""
        found = {}
        for path in own_python_files(self._root):
            with suppress(OSError):
                found[path] = read_bytes(path).decode("utf-8", "replace")
        return found

    def _importers(self, word: str) -> Iterator[File]:
        """The files that name a module."""
        mention = re.compile(rf"\b{re.escape(word)}\b")
        for path, text in self._texts.items():
            if not mention.search(text):
                continue
            code = self._paths[path].module if path in self._paths else read_module(path)
            if isinstance(code, Module):
                source = source_file(self._root, self._root, path)
                yield File(path=path, relative=source.relative, module=source.module, code=code)

    @cached_property
    def _run_here(self) -> frozenset[str]:
        """The names of functions whose body somebody runs directly: `send_mail.local(...)`."""
        return frozenset(
            name for text in self._texts.values() if ".local" in text for name in LOCAL.findall(text)
        )

    # --- functions ------------------------------------------------------------------------------

    def _definition(
        self, finding: Diagnostic, place_of: Callable[[ParsedFile, FoundFunction], Place]
    ) -> tuple[ParsedFile, FoundFunction, FunctionNode]:
        """The function that a finding is about, if only defer uses its `def`. Raises `NotMechanical`."""
        parsed = self._files[finding.file]
        for function in parsed.functions:
            place = place_of(parsed, function)
            if function.definition is None or (place.line, place.column) != (finding.line, finding.column):
                continue
            self._require_only_deferred(parsed, function, function.definition)
            return parsed, function, function.definition
        raise NotMechanical("it is not defined in that file")

    def _require_only_deferred(self, parsed: ParsedFile, function: FoundFunction, node: FunctionNode) -> None:
        if not function.is_only_deferred:
            raise NotMechanical("another decorator wraps it, too")
        if function.name in self._run_here:
            raise NotMechanical(f"{function.name}.local(...) runs its body somewhere")
        if node.decorator_list:
            return
        uses = sum(
            isinstance(inner, ast.Name) and inner.id == node.name and isinstance(inner.ctx, ast.Load)
            for inner in ast.walk(self._module(parsed.source.path).tree)
        )
        if uses > 1:
            raise NotMechanical(f"{node.name} is used in that file before or beside defer")

    def add_async(self, finding: Diagnostic) -> Fix:
        parsed, function, node = self._definition(finding, def_word)
        code = self._module(parsed.source.path)
        body = ast.get_source_segment(code.text, node) or ""
        if function.yields or RUNS_A_LOOP.search(body):
            raise NotMechanical("its body could not run in an event loop")
        start = code.offset(node.lineno, node.col_offset)
        self._made_async[finding] = node
        return Fix(finding=finding, edits={parsed.source.path: [Edit(start=start, end=start, text="async ")]})

    def remove_parameters(self, finding: Diagnostic) -> Fix:
        parsed, function, node = self._definition(finding, first_parameter)
        code = self._module(parsed.source.path)
        unused = unused_parameters(node)
        if not unused:
            raise NotMechanical("its body uses them")
        edit = without_parameters(code, node, unused)
        if edit is None:
            raise NotMechanical("a comment between them would get lost")
        used = [given.name for given in function.parameters or () if given.name not in unused]
        note = f"{function.name} keeps {', '.join(used)}, which its body uses" if used else ""
        return Fix(finding=finding, edits={parsed.source.path: [edit]}, note=note)

    # --- calls ----------------------------------------------------------------------------------

    def add_await(self, finding: Diagnostic) -> Fix:
        path = self._root / finding.file
        code = self._module(path)
        around, call = self._call_at(path, finding)
        if not self._may_await(around, call):
            raise NotMechanical("it stands where nothing can be awaited")
        start = code.offset(call.lineno, call.col_offset)
        return Fix(finding=finding, edits={path: [Edit(start=start, end=start, text="await ")]})

    def _call_at(self, path: Path, finding: Diagnostic) -> tuple[list[ast.AST], ast.Call]:
        """The call that begins there, the longest of them, and the nodes around it, the innermost first."""
        code = self._module(path)
        if path not in self._parents:
            self._parents[path] = {
                child: node for node in ast.walk(code.tree) for child in ast.iter_child_nodes(node)
            }
        parents = self._parents[path]
        calls = [
            node
            for node in parents
            if isinstance(node, ast.Call)
            and node.lineno == finding.line
            and code.column(node.lineno, node.col_offset) == finding.column - 1
        ]
        call = max(calls, key=lambda node: (node.end_lineno or 0, node.end_col_offset or 0))
        around: list[ast.AST] = []
        node: ast.AST = call
        while node in parents:
            node = parents[node]
            around.append(node)
        return around, call

    def _may_await(self, around: Sequence[ast.AST], call: ast.Call) -> bool:
        """Whether it is code of an async function, and nobody looks at the value of the call."""
        inner: ast.AST = call
        for node in around:
            if isinstance(node, FunctionNode):
                return isinstance(node, ast.AsyncFunctionDef) or node in self._becoming_async
            if isinstance(node, ast.ClassDef) or getattr(node, "test", None) is inner:
                return False
            if isinstance(node, ast.expr) and not isinstance(node, LOSING):
                return False
            inner = node
        return False

    # --- names ----------------------------------------------------------------------------------

    def rename(self, finding: Diagnostic) -> Fix:
        """The function, where nobody else knows it by its name; else the file, if that can be."""
        parsed = self._files[finding.file]
        if len(parsed.functions) != 1:
            raise NotMechanical("it is not clear which function is meant")
        (function,) = parsed.functions
        source = parsed.source
        if function.name == source.function:
            raise NotMechanical(f"{function.name} has the right name, but is hidden")
        modules = names_of(source.module, source.relative)
        uses = find_uses(self._importers(source.function), modules, function.name, source.function)
        fixes, reasons = [], []
        for attempt in (self._rename_function, self._rename_file):
            try:
                fixes.append(attempt(finding, parsed, function, uses))
            except NotMechanical as reason:
                reasons.append(str(reason))
        if not fixes:
            raise NotMechanical("; ".join(dict.fromkeys(reasons)))
        alone = [fix for fix in fixes if not fix.edits.keys() - {source.path}]
        fix = alone[0] if alone else fixes[-1]
        notes = [f"look at {', '.join(uses.texts[:3])}, where a text names it"] if uses.texts else []
        if fix.renames:
            because = reasons[0] if reasons else f"others import {function.name} by its name"
            notes.insert(0, f"the file is renamed, not the function: {because}")
        elif not alone:
            notes.insert(0, f"whoever imports {function.name} goes on calling it so")
        return replace(fix, note="; ".join(notes))

    def _rename_function(
        self, finding: Diagnostic, parsed: ParsedFile, function: FoundFunction, uses: Uses
    ) -> Fix:
        path, new = parsed.source.path, parsed.source.function
        self._require_unique(parsed, new)
        if uses.obstacle_of_function:
            raise NotMechanical(uses.obstacle_of_function)
        own = rename_definition(self._module(path), function, new)
        return Fix(finding=finding, edits={**uses.of_function, path: own})

    def _rename_file(
        self, finding: Diagnostic, parsed: ParsedFile, function: FoundFunction, uses: Uses
    ) -> Fix:
        path, new = parsed.source.path, function.name
        self._require_unique(parsed, new)
        node, tree = function.definition, self._module(path).tree
        if node is None or not (node.decorator_list or holder_of(tree, new, new)):
            raise NotMechanical(f"what defer({new}) gives has another name")
        if uses.obstacle_of_module:
            raise NotMechanical(uses.obstacle_of_module)
        package = self._texts.get(path.parent / "__init__.py", "")
        if re.search(rf"""["']{parsed.source.function}["']""", package):
            raise NotMechanical("the __init__.py beside it names the file in a text")
        return Fix(finding=finding, edits=uses.of_module, renames={path: self._free(path, new)})

    def rename_file(self, finding: Diagnostic) -> Fix:
        """A file that nobody can import."""
        parsed = self._files[finding.file]
        path, name = parsed.source.path, better_name(parsed)
        if not name:
            raise NotMechanical("its folder has to be renamed")
        return Fix(finding=finding, renames={path: self._free(path, name)})

    def _free(self, path: Path, name: str) -> Path:
        """The file of that name beside another one. Raises `NotMechanical` where there is one."""
        target = path.with_name(f"{name}.py")
        if not is_function_file(target.name):
            raise NotMechanical(f"a file named {target.name} is ignored")
        if is_taken(target, path):
            raise NotMechanical(f"there is a file {target.name} already")
        return target

    def _require_unique(self, parsed: ParsedFile, name: str) -> None:
        for other in self._files.values():
            if other is not parsed and name in (
                other.source.function,
                *(one.name for one in other.functions),
            ):
                raise NotMechanical(f"{other.source.relative} has that name")


LOSING = (ast.BoolOp, ast.IfExp, ast.ListComp, ast.SetComp, ast.Tuple, ast.List)
"""Expressions in which the call of a statement can stand."""

MENDERS: dict[str, Callable[[_Planner, Diagnostic], Fix]] = {
    "DF001": _Planner.rename,
    "DF003": _Planner.remove_parameters,
    "DF006": _Planner.add_async,
    "DF015": _Planner.add_await,
    "DF017": _Planner.rename_file,
}
