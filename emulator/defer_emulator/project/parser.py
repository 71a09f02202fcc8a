"""Source → facts about its functions. Nothing of the project is imported or run here."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from defer_emulator.domain.functions import FunctionKind, Parameter, ParameterKind
from defer_emulator.project.finder import SourceFile

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef

UNKNOWN: Any = type("Unknown", (), {"__repr__": lambda _: "UNKNOWN"})()
"""A value that only running the code can tell."""

CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    line: int  # from 1
    column: int  # from 1, in characters


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntaxProblem:
    """Why a file cannot be read as Python."""

    place: Place
    message: str
    fix: str = "correct the syntax"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Module:
    """A file that is Python."""

    text: str
    tree: ast.Module

    def place(self, node: ast.expr | ast.stmt | ast.keyword) -> Place:
        column = node.col_offset
        if not self.text.isascii():  # Python counts bytes
            line = re.split(r"\r\n|\r|\n", self.text)[node.lineno - 1]
            column = len(line.encode()[:column].decode("utf-8", "replace"))
        return Place(line=node.lineno, column=column + 1)


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
    place: Place
    is_async: bool | None = None
    parameters: tuple[Parameter, ...] | None = None
    expression: Given | None = None  # of a cron; None where it is missing
    options: Mapping[str, Given] = field(default_factory=dict)
    misplaced: Given | None = None  # a positional argument that is no function
    is_kept: bool = True  # False: a plain call whose result is thrown away
    yields: bool = False


NameUse = Literal["deferred", "plain", "other", "missing"]
"""What the file's own name is in it: a deferred function, a plain one or a class, something that only
importing can tell, or nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedFile:
    source: SourceFile
    functions: tuple[FoundFunction, ...] = ()
    own_name: NameUse = "missing"
    own_place: Place = Place(line=1, column=1)
    problem: SyntaxProblem | None = None
    module: Module | None = field(default=None, repr=False, compare=False)


# --- text → tree ------------------------------------------------------------------------------


def read_module(path: Path) -> Module | SyntaxProblem:
    """Read a Python file. Whatever is in it, this raises nothing."""
    start = Place(line=1, column=1)
    try:
        raw = path.read_bytes()
    except OSError as error:
        return SyntaxProblem(
            place=start,
            message=f"cannot be read: {error.strerror}",
            fix="make it a readable file, or remove it",
        )
    try:
        text = _decode(raw)
    except UnicodeDecodeError as error:
        place = Place(line=raw.count(b"\n", 0, error.start) + 1, column=1)
        message = f"not valid {error.encoding}: byte {raw[error.start]:#04x}"
        return SyntaxProblem(place=place, message=message, fix="save the file as UTF-8")
    except (LookupError, SyntaxError) as error:
        return SyntaxProblem(place=start, message=f"{error}")
    if "\0" in text:
        place = Place(line=text.count("\n", 0, text.index("\0")) + 1, column=1)
        return SyntaxProblem(place=place, message="source code cannot contain null bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like are the linters' business
            return Module(text=text, tree=ast.parse(text))
    except SyntaxError as error:
        place = Place(line=max(error.lineno or 1, 1), column=max(error.offset or 1, 1))
        return SyntaxProblem(place=place, message=error.msg)
    except (ValueError, RecursionError, MemoryError) as error:
        return SyntaxProblem(place=start, message=str(error) or "nested too deeply")


def _decode(raw: bytes) -> str:
    coding = CODING.search(b"\n".join(raw.split(b"\n", 2)[:2]))
    if coding is None or raw.startswith(b"\xef\xbb\xbf"):
        return raw.decode("utf-8-sig")
    return raw.decode(coding[1].decode("ascii"))


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


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run on import, in their order, also those inside `if`, `try` and `with`."""
    waiting = list(reversed(body))
    while waiting:
        statement = waiting.pop()
        yield statement
        if isinstance(statement, FunctionNode | ast.ClassDef):
            continue
        inner = list(getattr(statement, "body", []))
        for handler in getattr(statement, "handlers", []):
            inner += handler.body
        inner += [*getattr(statement, "orelse", []), *getattr(statement, "finalbody", [])]
        waiting.extend(reversed(inner))


# --- tree → functions -------------------------------------------------------------------------


def parse_file(source: SourceFile) -> ParsedFile:
    """The facts of a function's file. Raises nothing: a file that is no Python has a `problem`."""
    module = read_module(source.path)
    if isinstance(module, SyntaxProblem):
        return ParsedFile(source=source, problem=module)
    reader = _Reader(source, module)
    for statement in _top_level(module.tree.body):
        reader.read(statement)
    functions = tuple(reader.functions.values())
    use, place = reader.own
    if any(function.name == source.function for function in functions):
        use = "deferred"
    return ParsedFile(source=source, functions=functions, own_name=use, own_place=place, module=module)


class _Reader:
    """Reads the statements of a file in their order."""

    def __init__(self, source: SourceFile, module: Module) -> None:
        self.source = source
        self.module = module
        self.names: dict[str, str | None] = {}
        self.defined: dict[str, FunctionNode] = {}
        self.functions: dict[str, FoundFunction] = {}
        self.own: tuple[NameUse, Place] = ("missing", Place(line=1, column=1))

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
                self._add(node.name, kind, node, call, call.args if call else [])
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
        self._add(original, kind, node, options, given[1:], is_kept=is_kept)
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
        is_kept: bool = True,
    ) -> None:
        definition = node if isinstance(node, FunctionNode) else None
        values = [Given(value=_literal(value, self.names), place=self.module.place(value)) for value in given]
        self.functions[name] = FoundFunction(
            name=name,
            kind=kind,
            place=self.module.place(node),
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
            yields=definition is not None and any(_yields(definition)),
        )


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
