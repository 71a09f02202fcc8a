"""The rules for code that calls the project's functions, anywhere in the project."""

from __future__ import annotations

import ast
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from defer_emulator.project.callers import Caller, Callers, Names, Target, targets
from defer_emulator.project.diagnostics import Diagnostic, at
from defer_emulator.project.parser import FunctionNode, ParsedFile, client_name, imports, parameters_of

DERIVING = frozenset({"delay", "assign_options", "add_metadata", "discard_after", "await_result"})
"""Functions of the client that make a callable, with the same meaning, of a deferred function."""

BLOCKING = frozenset({"sync.await_result"})
STARTING = frozenset({"enqueue", "with_options"})
ADAPTER = "adapters.AsgiRoute"  # makes a route that starts a function

NAMES_DEFER = re.compile(r"(?<!from defer_client )\bimport\b(?:\s*\([^)]*|[^\n]*)\bdefer\b")
"""An import that may give another meaning to `defer`."""

Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp

WORD = re.compile(r"\w+")


def check_usage(files: Sequence[ParsedFile], callers: Callers) -> Iterator[Diagnostic]:
    """All findings about calls of the project's functions. `files` are those of the functions."""
    yield from callers.findings
    names = Names(targets=targets(files), exports=callers.exports)
    for caller in callers.files:
        yield from _findings(caller, names, ())
    words = frozenset(target.name for target in names.targets.values())
    for parsed in files:
        own = [function.name for function in parsed.functions if function.is_kept]
        if parsed.module and _may_matter(parsed.module.text, own, words):
            yield from _findings(Caller(source=parsed.source, module=parsed.module), names, own)


def _may_matter(text: str, own: Iterable[str], functions: frozenset[str]) -> bool:
    """Whether a function's file names another function, or itself once more: most do not."""
    found = WORD.findall(text)
    others = functions.intersection(found).difference(own)
    return bool(others) or any(found.count(name) > 1 for name in own) or NAMES_DEFER.search(text) is not None


def _findings(caller: Caller, names: Names, own: Sequence[str]) -> list[Diagnostic]:
    visitor = _Visitor(caller, names, own)
    visitor.visit(caller.module.tree)
    return visitor.found


# --- the rules ----------------------------------------------------------------------------------


class _Scope(dict[str, str | None]):
    """Names, each with the dotted name of what it is; None: something else."""

    def __init__(self, names: Iterable[str] = (), *, is_class: bool = False) -> None:
        super().__init__(dict.fromkeys(names))
        self.is_class = is_class


class _Visitor(ast.NodeVisitor):
    """Follows names through the scopes of a file and looks at each call of a deferred function."""

    def __init__(self, caller: Caller, names: Names, own: Sequence[str]) -> None:
        self.caller = caller
        self.names = names
        self.own = own  # names of the deferred functions that the file holds
        self.found: list[Diagnostic] = []
        self.scopes = [_Scope()]
        self.functions: list[FunctionNode] = []
        self.later: deque[tuple[FunctionNode, list[_Scope], list[FunctionNode]]] = deque()
        self.unused: set[ast.Call] = set()  # calls whose value nobody keeps
        self.meanings: dict[bool, ast.stmt] = {}  # imports of a `defer`: whether it is the client's

    def visit_Module(self, node: ast.Module) -> None:
        """The statements, then the bodies of functions, which may use what is defined below them."""
        module = self.scopes[0]
        module.update({name: f"{self.caller.source.module}.{name}" for name in self.own})
        for statement in node.body:
            with suppress(RecursionError):  # thousands of terms or branches in one statement
                self.visit(statement)
            self.scopes = [module]
        while self.later:
            function, self.scopes, self.functions = self.later.popleft()
            with suppress(RecursionError):
                for statement in function.body:
                    self.visit(statement)
        self._report_two_meanings()

    # names

    def _bind(self, name: str, target: str | None) -> None:
        if len(self.scopes) > 1 or name not in self.own:
            self.scopes[-1][name] = target

    def visit_Import(self, node: ast.Import) -> None:
        self._bind_import(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._bind_import(node)

    def _bind_import(self, node: ast.Import | ast.ImportFrom) -> None:
        source = self.caller.source
        for name, target in imports(node, source.module, is_package=source.path.name == "__init__.py"):
            if name == "*":
                self.scopes[-1].update(self.names.all_of(target.removesuffix(".*")))
                continue
            self.scopes[-1][name] = target
            if name == "defer":
                self.meanings.setdefault(client_name(target) is not None, node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_function(node)

    def _visit_function(self, node: FunctionNode) -> None:
        for outside in (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(outside)
        self._bind(node.name, None)
        around = [scope for scope in self.scopes if not scope.is_class]
        scope = _Scope(given.arg for given in parameters_of(node.args))
        self.later.append((node, [*around, scope], [*self.functions, node]))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for outside in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(outside)
        self._bind(node.name, None)
        self.scopes.append(_Scope(is_class=True))
        for statement in node.body:
            self.visit(statement)
        self.scopes.pop()

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for outside in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(outside)
        self.scopes.append(_Scope(given.arg for given in parameters_of(node.args)))
        self.visit(node.body)
        self.scopes.pop()

    def _visit_comprehension(self, node: Comprehension) -> None:
        self.scopes.append(_Scope())
        for generator in node.generators:
            self.visit(generator)
        for value in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.visit(value)
        self.scopes.pop()

    visit_ListComp = visit_SetComp = visit_GeneratorExp = visit_DictComp = _visit_comprehension

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):  # the target of a loop, a `with`, an unpacking
            self._bind(node.id, None)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        if node.name:
            self._bind(node.name, None)
        self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        """What a handler puts in place of a failed import does not make the import unknown."""
        for statement in node.body:
            self.visit(statement)
        known = {name: target for name, target in self.scopes[-1].items() if target is not None}
        for handler in node.handlers:
            if handler.name:
                self._bind(handler.name, None)
            for statement in handler.body:
                self.visit(statement)
        self.scopes[-1].update(known)
        for statement in (*node.orelse, *node.finalbody):
            self.visit(statement)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._visit_assignment(node.targets, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._visit_assignment([node.target], node.value)

    def _visit_assignment(self, targets: Sequence[ast.expr], value: ast.expr) -> None:
        only = targets[0]
        if len(targets) == 1 and isinstance(only, ast.Name) and self.functions:
            self.unused.update(self._never_looked_at(only.id, value))
        self.visit(value)
        for target in targets:
            if isinstance(target, ast.Name):
                self._bind(target.id, self._dotted(value))
            else:
                self.visit(target)

    # calls

    def visit_Expr(self, node: ast.Expr) -> None:
        self.unused.update(_discarded(node.value))
        self.visit(node.value)

    def visit_If(self, node: ast.If | ast.While | ast.IfExp | ast.Assert) -> None:
        """A coroutine is always true."""
        self.unused.update(_tested(node.test))
        self.generic_visit(node)

    visit_While = visit_IfExp = visit_Assert = visit_If

    def visit_Call(self, node: ast.Call) -> None:
        name = self._client(node.func)
        if name and (name.removeprefix("sync.") in DERIVING or name == ADAPTER):
            self._started(node.args[0] if node.args else None, node)
        elif isinstance(node.func, ast.Attribute) and node.func.attr in STARTING:
            self._started(node.func.value, node)
        else:
            self._started(node.func, node)
        if node in self.unused:
            self._never_awaited(node)
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

    def _never_looked_at(self, name: str, value: ast.expr) -> Iterator[ast.Call]:
        """`task = send_mail(...)` in a function that never looks at `task` again."""
        calls = [call for call in _discarded(value) if self._target(call.func) is not None]
        if calls and not any(
            isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Store)
            for node in ast.walk(self.functions[0])
        ):
            yield from calls

    def _report(self, node: ast.expr | ast.stmt, code: str, message: str, fix: str) -> None:
        place = self.caller.module.place(node)
        self.found.append(at(code, self.caller.source.relative, message, fix, place))

    def _report_two_meanings(self) -> None:
        if len(self.meanings) == 2:
            self._report(
                max(self.meanings.values(), key=lambda statement: statement.lineno),
                "DF013",
                "this file gives the name 'defer' to defer_client's decorator and to the project's folder",
                "write from defer.x import x instead of import defer.x",
            )

    # what an expression is

    def _target(self, node: ast.expr | None) -> Target | None:
        name = self._dotted(node)
        return self.names.find(name) if name else None

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
    """The calls whose value is lost with that of the expression."""
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


def _tested(node: ast.expr) -> Iterator[ast.Call]:
    """The calls of which only the truth is asked."""
    if isinstance(node, ast.Call):
        yield node
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _tested(value)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield from _tested(node.operand)
