"""The rules for code that calls the project's functions, anywhere in the project."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from defer_emulator.domain.functions import FunctionKind
from defer_emulator.project.diagnostics import Diagnostic, problem
from defer_emulator.project.finder import (
    Project,
    SourceFile,
    import_path,
    is_test,
    python_files,
    source_file,
    walk,
)
from defer_emulator.project.parser import (
    FunctionNode,
    Module,
    ParsedFile,
    SyntaxProblem,
    client_name,
    imports,
    read_module,
)

DERIVING = frozenset({"delay", "assign_options", "add_metadata", "discard_after", "await_result"})
"""Functions of the client that make a callable, with the same meaning, of a deferred function."""

BLOCKING = frozenset({"sync.await_result"})
STARTING = frozenset({"enqueue", "with_options"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a dotted name means to a caller."""

    name: str  # of the function
    module: str
    kind: FunctionKind
    is_module: bool = False  # the module that holds the function


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """A file of the project, read."""

    source: SourceFile
    module: Module
    own: Sequence[str] = ()  # names of the deferred functions that it holds


def check_usage(project: Project, files: Sequence[ParsedFile]) -> Iterator[Diagnostic]:
    """All findings about calls of the project's functions. `files` are those of the functions."""
    targets = dict(_targets(project, files))
    for caller in _callers(project, files):
        if isinstance(caller, Diagnostic):
            yield caller
        else:
            visitor = _Visitor(caller, targets)
            with suppress(RecursionError):  # thousands of terms or branches in one statement
                visitor.visit(caller.module.tree)
            yield from visitor.found


# --- what may be called, and who may call it ----------------------------------------------------


def _targets(project: Project, files: Iterable[ParsedFile]) -> Iterator[tuple[str, Target]]:
    """Every dotted name under which a file of the project may know a function."""
    for parsed in files:
        source = parsed.source
        exported = _is_exported(source)
        for function in parsed.functions:
            if not function.is_kept:
                continue
            for module in _module_names(project, source):
                target = Target(name=function.name, module=source.module, kind=function.kind)
                yield f"{module}.{function.name}", target
                if function.name != source.function:
                    continue
                yield (
                    module,
                    Target(
                        name=function.name, module=source.module, kind=function.kind, is_module=not exported
                    ),
                )


def _module_names(project: Project, source: SourceFile) -> Iterator[str]:
    """The module's name from each folder between the root and it: applications differ in `sys.path`."""
    parts = source.path.relative_to(project.root).with_suffix("").parts
    inner = len(source.module.split("."))
    for start in range(len(parts) - inner + 1):
        yield ".".join(parts[start:])


def _is_exported(source: SourceFile) -> bool:
    """Whether the package around it makes the function known under the module's name."""
    try:
        text = (source.path.parent / "__init__.py").read_text("utf-8", "replace")
    except OSError:
        return False
    return re.search(rf"\bimport\b[^#]*\b{re.escape(source.function)}\b", text) is not None


def _callers(project: Project, files: Iterable[ParsedFile]) -> Iterator[Caller | Diagnostic]:
    for parsed in files:
        if parsed.module:
            own = [function.name for function in parsed.functions if function.is_kept]
            yield Caller(source=parsed.source, module=parsed.module, own=own)
    known = {parsed.source.path for parsed in files}
    for folder in project.folders:
        base = import_path(folder)
        for path in python_files(folder):
            if path in known:
                continue
            known.add(path)
            if is_test(path.name):
                continue
            source = source_file(project.root, base, path)
            module = read_module(path)
            if isinstance(module, Module):
                yield Caller(source=source, module=module)
            elif path.name == "__init__.py":  # other ignored files matter to those who import them
                yield _broken(source, module)
    names = [re.escape(folder.name).encode() for folder in project.folders]
    mention = re.compile(rb"\b(" + b"|".join(names) + rb")\b")
    for path in _application(project, known):
        if read := _read_if(path, mention):
            yield Caller(source=source_file(project.root, project.root, path), module=read)


def _application(project: Project, known: set[Path]) -> Iterator[Path]:
    for _, files in walk(project.root):
        yield from (path for path in files if path not in known and not is_test(path.name))


def _read_if(path: Path, mention: re.Pattern[bytes]) -> Module | None:
    """The file, if it is Python and mentions one of the folders."""
    try:
        if not mention.search(path.read_bytes()):
            return None
    except OSError:
        return None
    module = read_module(path)
    return module if isinstance(module, Module) else None


def _broken(source: SourceFile, found: SyntaxProblem) -> Diagnostic:
    return problem(
        "DF008",
        source.relative,
        found.message,
        found.fix,
        line=found.place.line,
        column=found.place.column,
    )


# --- the rules ----------------------------------------------------------------------------------


class _Visitor(ast.NodeVisitor):
    """Follows names through the scopes of a file and looks at each call of a deferred function."""

    def __init__(self, caller: Caller, targets: Mapping[str, Target]) -> None:
        self.caller = caller
        self.targets = targets
        self.found: list[Diagnostic] = []
        self.scopes: list[dict[str, str | None]] = [{}]
        self.functions: list[FunctionNode] = []
        self.meanings: dict[bool, ast.stmt] = {}  # imports of a `defer`: whether it is the client's

    # names

    def visit_Module(self, node: ast.Module) -> None:
        for statement in node.body:  # a function's body may use what is imported below it
            for inner in ast.walk(statement) if isinstance(statement, ast.If | ast.Try) else [statement]:
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    self._bind_import(inner)
        self.scopes[0].update({name: f"{self.caller.source.module}.{name}" for name in self.caller.own})
        self.generic_visit(node)
        if len(self.meanings) == 2:
            self._report(
                max(self.meanings.values(), key=lambda statement: statement.lineno),
                "DF013",
                "this file gives the name 'defer' to defer_client's decorator and to the project's folder",
                "write from defer.x import x instead of import defer.x",
            )

    def visit_Import(self, node: ast.Import) -> None:
        self._bind_import(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._bind_import(node)

    def _bind_import(self, node: ast.Import | ast.ImportFrom) -> None:
        source = self.caller.source
        for name, target in imports(node, source.module, is_package=source.path.name == "__init__.py"):
            self.scopes[-1][name] = target
            if name == "defer":
                self.meanings.setdefault(client_name(target) is not None, node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_function(node)

    def _visit_function(self, node: FunctionNode) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        if not (len(self.scopes) == 1 and node.name in self.caller.own):
            self.scopes[-1][node.name] = None
        given = node.args
        names = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        self.scopes.append({name.arg: None for name in names if name})
        self.functions.append(node)
        for statement in node.body:
            self.visit(statement)
        self.functions.pop()
        self.scopes.pop()

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.scopes.append({given.arg: None for given in node.args.args})
        self.generic_visit(node)
        self.scopes.pop()

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):  # the target of a loop, a `with`, an unpacking
            self.scopes[-1][node.id] = None

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name):
                if len(self.scopes) > 1 or target.id not in self.caller.own:
                    self.scopes[-1][target.id] = self._dotted(node.value)
                self._check_unused(target.id, node.value)

    # calls

    def visit_Expr(self, node: ast.Expr) -> None:
        for call in _discarded(node.value):
            self._never_awaited(call)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = self._client(node.func)
        if name and name.removeprefix("sync.") in DERIVING:
            self._started(node.args[0] if node.args else None, node)
        elif isinstance(node.func, ast.Attribute) and node.func.attr in STARTING:
            self._started(node.func.value, node)
        else:
            self._started(node.func, node)
        self.generic_visit(node)

    def _started(self, function: ast.expr | None, node: ast.Call) -> None:
        target = self._target(function)
        if target is None or isinstance(function, ast.Call):
            return  # a call in `function` is visited for itself
        if target.is_module:
            self._report(
                node,
                "DF018",
                f"{target.name} is the module {target.module} here, not the function in it",
                f"write from {target.module} import {target.name}",
            )
        elif target.kind == "cron":
            self._report(
                node,
                "DF014",
                f"{target.name} is a cron: it runs by its schedule, an application cannot start it",
                f"run it from the command line (defer run {target.name}), "
                "or move its body to a function that both can call",
            )

    def _never_awaited(self, node: ast.Call) -> None:
        target = self._target(node.func)
        if target is None or target.is_module or target.kind == "cron":
            return
        shown = ast.unparse(node.func)
        if self.functions and isinstance(self.functions[-1], ast.AsyncFunctionDef):
            fix = f"write await {shown}(...)"
        else:
            fix = f"write {shown}.enqueue(...), or await it in async code"
            if self._client(getattr(node.func, "func", None)) == "await_result":
                fix = "use await_result of defer_client.sync here, or await it in async code"
        self._report(node, "DF015", f"this call of {target.name} is never awaited: nothing is enqueued", fix)

    def _check_unused(self, name: str, value: ast.expr) -> None:
        """`task = send_mail(...)` in a function that never looks at `task` again."""
        if not (self.functions and isinstance(value, ast.Call)):
            return
        used = any(
            isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
            for node in ast.walk(self.functions[0])
        )
        if not used:
            self._never_awaited(value)

    def _report(self, node: ast.expr | ast.stmt, code: str, message: str, fix: str) -> None:
        place = self.caller.module.place(node)
        self.found.append(
            problem(code, self.caller.source.relative, message, fix, line=place.line, column=place.column)
        )

    # what an expression is

    def _target(self, node: ast.expr | None) -> Target | None:
        name = self._dotted(node)
        return self.targets.get(name) if name else None

    def _client(self, node: ast.expr | None) -> str | None:
        return client_name(self._dotted(node))

    def _dotted(self, node: ast.expr | None) -> str | None:
        """The dotted name of what `node` is, or is derived from by options."""
        if isinstance(node, ast.Call):
            name = self._client(node.func)
            if name in BLOCKING:
                return None
            if name and name.removeprefix("sync.") in DERIVING and node.args:
                return self._dotted(node.args[0])
            if isinstance(node.func, ast.Attribute) and node.func.attr == "with_options":
                return self._dotted(node.func.value)
            return None
        if isinstance(node, ast.Attribute):
            base = self._dotted(node.value)
            return f"{base}.{node.attr}" if base else None
        if isinstance(node, ast.Name):
            return next((scope[node.id] for scope in reversed(self.scopes) if node.id in scope), None)
        return None


def _discarded(node: ast.expr) -> Iterator[ast.Call]:
    """The calls whose value an expression statement throws away."""
    if isinstance(node, ast.Call):
        yield node
    elif isinstance(node, ast.IfExp):
        yield from _discarded(node.body)
        yield from _discarded(node.orelse)
    elif isinstance(node, ast.BoolOp):
        yield from _discarded(node.values[-1])
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp):
        yield from _discarded(node.elt)
    elif isinstance(node, ast.Tuple | ast.List):
        for element in node.elts:
            yield from _discarded(element)
