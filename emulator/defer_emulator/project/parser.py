"""Source → facts about its functions. Nothing of the project is imported or run here."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from defer_emulator.domain.functions import FunctionKind, Parameter, ParameterKind
from defer_emulator.project.finder import SourceFile
from defer_emulator.project.sources import START, Module, Place, SyntaxProblem, read_module

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

UNKNOWN: Any = type("Unknown", (), {"__repr__": lambda _: "UNKNOWN"})()
"""A value that only running the code can tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """A value as the source gives it: a literal, or UNKNOWN."""

    value: Any
    place: Place


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFunction:
    """A deferred function, as far as its source tells. None: only importing can tell."""

    name: str
    kind: FunctionKind
    place: Place  # of its name, where a `def` is
    is_async: bool | None = None
    parameters: tuple[Parameter, ...] | None = None
    expression: Given | None = None  # of a cron; None where it is missing
    options: Mapping[str, Given] = field(default_factory=dict)
    misplaced: Given | None = None  # a positional argument that is no function
    is_kept: bool = True  # False: a plain call whose result is thrown away
    made_at: Place = START  # the decorator, or the call
    yields: bool = False
    definition: FunctionNode | None = field(default=None, repr=False, compare=False)
    is_only_deferred: bool = False  # nothing else wraps the definition


NameUse = Literal["deferred", "plain", "other", "missing"]
"""What the file's own name is in it: a deferred function, a plain one or a class, something that only
importing can tell, or nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedFile:
    source: SourceFile
    functions: tuple[FoundFunction, ...] = ()
    replaced: tuple[FoundFunction, ...] = ()  # those that a later one of the same name takes away
    own_name: NameUse = "missing"
    own_place: Place = START
    problem: SyntaxProblem | None = None
    module: Module | None = field(default=None, repr=False, compare=False)


# --- names ------------------------------------------------------------------------------------


def imports(node: ast.Import | ast.ImportFrom, module: str, *, is_package: bool) -> Iterator[tuple[str, str]]:
    """The names that an import binds, each with the dotted name of what it is.

    `module` is the dotted name of the file that holds the import.
    """
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield (alias.asname, alias.name) if alias.asname else (alias.name.partition(".")[0],) * 2
        return
    base = node.module or ""
    if node.level:
        parts = module.split(".")
        kept = parts[: len(parts) - node.level + is_package]
        base = ".".join([*kept, *([node.module] if node.module else [])])
    for alias in node.names:
        yield alias.asname or alias.name, f"{base}.{alias.name}"


def dotted(node: ast.expr, names: Mapping[str, str | None]) -> str | None:
    """The dotted name of an expression such as `defer.cron`, where its first name is known."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        base = dotted(node.value, names)
        return f"{base}.{node.attr}" if base else None
    return None


def client_name(name: str | None) -> str | None:
    """What a dotted name is in `defer_client`: "defer", "defer.cron", "sync.await_result"; else None."""
    if name is None or not name.startswith("defer_client."):
        return None
    return name.removeprefix("defer_client.").removeprefix("functions.")


def top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run on import, in their order, also those inside `if`, `try`, `match` and so on."""
    waiting = list(reversed(body))
    while waiting:
        statement = waiting.pop()
        yield statement
        if isinstance(statement, FunctionNode | ast.ClassDef):
            continue
        inner = list(getattr(statement, "body", []))
        for branch in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
            inner += branch.body
        inner += [*getattr(statement, "orelse", []), *getattr(statement, "finalbody", [])]
        waiting.extend(reversed(inner))


# --- tree → functions -------------------------------------------------------------------------


def parse_file(source: SourceFile) -> ParsedFile:
    """The facts of a function's file. Raises nothing: a file that is no Python has a `problem`."""
    module = read_module(source.path)
    if isinstance(module, SyntaxProblem):
        return ParsedFile(source=source, problem=module)
    reader = _Reader(source, module)
    for statement in top_level(module.tree.body):
        reader.read(statement)
    functions = tuple(reader.functions.values())
    use, place = reader.own
    if any(function.name == source.function for function in functions):
        use = "deferred"
    return ParsedFile(
        source=source,
        functions=functions,
        replaced=tuple(reader.replaced),
        own_name=use,
        own_place=place,
        module=module,
    )


class _Reader:
    """Reads the statements of a file in their order."""

    def __init__(self, source: SourceFile, module: Module) -> None:
        self.source = source
        self.module = module
        self.names: dict[str, str | None] = {}
        self.defined: dict[str, FunctionNode] = {}
        self.functions: dict[str, FoundFunction] = {}
        self.replaced: list[FoundFunction] = []
        self.own: tuple[NameUse, Place] = ("missing", START)

    def read(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for name, target in imports(statement, self.source.module, is_package=False):
                if name == "*":
                    self._bind(self.source.function, "other", statement)
                    if target == "defer_client.*":
                        self.names["defer"] = "defer_client.defer"
                else:
                    self.names[name] = target
                    self._bind(name, "other", statement)
        elif isinstance(statement, FunctionNode):
            self._read_definition(statement)
        elif isinstance(statement, ast.ClassDef):
            self._bind(statement.name, "plain", statement)
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets: list[ast.expr] = (
                statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            )
            made = self._read_value(statement.value, is_kept=True)
            for name in (target.id for target in targets if isinstance(target, ast.Name)):
                self._bind(name, "missing" if made else "other", statement)  # its name is the function's own
                self.names[name] = dotted(statement.value, self.names)
        elif isinstance(statement, ast.Expr):
            self._read_value(statement.value, is_kept=False)

    def _bind(self, name: str, use: NameUse, node: ast.stmt) -> None:
        if name == self.source.function:
            self.own = (use, self.module.place(node))

    def _read_definition(self, node: FunctionNode) -> None:
        self.defined[node.name] = node
        self.names[node.name] = None
        self._bind(node.name, "other" if node.decorator_list else "plain", node)
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            kind = self._kind(call.func if call else decorator)
            if kind:
                given = call.args if call else []
                self._add(node.name, kind, node, call, given, made_by=decorator, is_decorated=True)
                return

    def _read_value(self, value: ast.expr, *, is_kept: bool) -> bool:
        """`defer(fn, ...)`, `defer(...)(fn)`, `defer.cron(fn, "...")`; whether it is one of these."""
        if not isinstance(value, ast.Call):
            return False
        options, given = value, value.args
        if isinstance(value.func, ast.Call):
            options, given = value.func, [*value.args, *value.func.args]
        kind = self._kind(options.func)
        if not kind or not given or not isinstance(given[0], ast.Name):
            return False
        function = given[0].id
        original = (self.names.get(function) or function).rpartition(".")[2]
        node = self.defined.get(function) or value
        self._add(original, kind, node, options, given[1:], made_by=value, is_kept=is_kept)
        return True

    def _kind(self, node: ast.expr) -> FunctionKind | None:
        name = client_name(dotted(node, self.names))
        if name in ("defer", "sync.defer"):
            return "background"
        return "cron" if name in ("defer.cron", "sync.defer.cron") else None

    def _add(
        self,
        name: str,
        kind: FunctionKind,
        node: FunctionNode | ast.expr,
        call: ast.Call | None,
        given: list[ast.expr],
        *,
        made_by: ast.expr,
        is_kept: bool = True,
        is_decorated: bool = False,
    ) -> None:
        definition = node if isinstance(node, FunctionNode) else None
        if is_decorated and (old := self.functions.get(name)) and self._always_replaces(old, definition):
            self.replaced.append(old)
        values = [Given(value=_literal(value, self.names), place=self.module.place(value)) for value in given]
        self.functions[name] = FoundFunction(
            name=name,
            kind=kind,
            place=self.module.place(node) if definition is None else self.module.name_place(definition),
            is_async=None if definition is None else isinstance(definition, ast.AsyncFunctionDef),
            parameters=None if definition is None else _parameters(definition.args),
            expression=values[0] if values and kind == "cron" else None,
            options={
                keyword.arg: Given(
                    value=_literal(keyword.value, self.names), place=self.module.place(keyword)
                )
                for keyword in (call.keywords if call else [])
                if keyword.arg
            },
            misplaced=next(iter(values[1:] if kind == "cron" else values), None),
            is_kept=is_kept,
            made_at=self.module.place(made_by),
            yields=definition is not None and "yield" in self.module.text and any(_yields(definition)),
            definition=definition,
            is_only_deferred=len(getattr(node, "decorator_list", ())) == is_decorated,
        )

    def _always_replaces(self, old: FoundFunction, definition: FunctionNode | None) -> bool:
        """Whether both are defined whatever happens: in an `if`, they may be alternatives."""
        body = self.module.tree.body
        return old.definition in body and definition in body and old.definition is not definition


def _literal(node: ast.expr, names: Mapping[str, str | None]) -> Any:
    """The value of a literal; the fields of a `RetryPolicy` of literals; else UNKNOWN."""
    try:
        if isinstance(node, ast.Call) and not node.args:
            if (dotted(node.func, names) or "").endswith(".RetryPolicy"):
                return {given.arg: ast.literal_eval(given.value) for given in node.keywords}
            return UNKNOWN
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNKNOWN


def _yields(function: FunctionNode) -> Iterator[bool]:
    """True for each `yield` of the function itself."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            yield True
        if not isinstance(node, FunctionNode | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


def parameters_of(given: ast.arguments) -> list[ast.arg]:
    """All parameters, in their order."""
    stars = ([given.vararg] if given.vararg else [], [given.kwarg] if given.kwarg else [])
    return [*given.posonlyargs, *given.args, *stars[0], *given.kwonlyargs, *stars[1]]


def _parameters(arguments: ast.arguments) -> tuple[Parameter, ...]:
    positional = [(given, "positional_only") for given in arguments.posonlyargs]
    positional += [(given, "positional_or_keyword") for given in arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    found = [(given, kind, default) for (given, kind), default in zip(positional, defaults, strict=True)]
    if arguments.vararg:
        found.append((arguments.vararg, "var_positional", None))
    found += [
        (given, "keyword_only", default)
        for given, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    if arguments.kwarg:
        found.append((arguments.kwarg, "var_keyword", None))
    return tuple(
        Parameter(
            name=given.arg,
            kind=cast("ParameterKind", kind),
            required=default is None and not kind.startswith("var_"),
            annotation=ast.unparse(given.annotation) if given.annotation else None,
            default=ast.unparse(default) if default else None,
        )
        for given, kind, default in found
    )
