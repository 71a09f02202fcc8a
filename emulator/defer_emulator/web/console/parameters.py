"""How a form asks for one parameter, and what a text in its field means. Pure."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from defer_client.models import Json
from defer_emulator.domain.functions import Parameter

Kind = Literal["text", "integer", "number", "choice", "json"]

_NAMES: dict[str, Kind] = {"str": "text", "int": "integer", "float": "number", "bool": "choice"}
_LISTS = {"list", "List", "tuple", "Tuple", "Sequence", "Iterable", "Collection", "set", "frozenset"}
_OBJECTS = {"dict", "Dict", "Mapping", "MutableMapping", "TypedDict"}
_TOO_LONG = 20_000  # characters of an annotation or a default that are read


class Wrong(ValueError):
    """The text in a field cannot be what its parameter takes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """How a parameter is asked for."""

    kind: Kind
    nullable: bool = False  # None is a value of it
    shape: Literal["list", "object", "any"] = "any"  # of JSON
    loose: bool = False  # what is no JSON is a text
    choices: Sequence[Json] = ()  # of a choice


def asked(parameter: Parameter) -> Asked:
    """How to ask for it, by its annotation.

    >>> asked(Parameter(name="a", kind="keyword_only", required=True, annotation="int | None"))
    Asked(kind='integer', nullable=True, shape='any', loose=False, choices=())
    """
    if parameter.kind == "var_positional":
        return Asked(kind="json", shape="list")
    if parameter.kind == "var_keyword":
        return Asked(kind="json", shape="object")
    members = _members(parameter.annotation)
    nullable = any(isinstance(one, ast.Constant) and one.value is None for one in members)
    others = [one for one in members if not (isinstance(one, ast.Constant) and one.value is None)]
    return _by_type(others[0], nullable) if len(others) == 1 else Asked(kind="json", loose=True)


def default_of(parameter: Parameter) -> tuple[bool, Json]:
    """Whether its default is a JSON value, and that value."""
    if parameter.default is None or len(parameter.default) > _TOO_LONG:
        return False, None
    try:
        value = ast.literal_eval(parameter.default)
        return True, json.loads(json.dumps(value, allow_nan=False))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False, None


def shown(value: Json, how: Asked) -> str:
    """The text of a field that stands for a value."""
    if how.kind == "text" and isinstance(value, str):
        return value
    if value is None and how.kind in ("text", "integer", "number"):
        return ""
    if how.loose and isinstance(value, str) and _is_plain(value):
        return value
    return json.dumps(
        value, ensure_ascii=False, indent=2 if isinstance(value, dict | list) and value else None
    )


def meant(text: str, how: Asked) -> Json:
    """The value that a text in its field stands for. Raises `Wrong`."""
    if how.kind == "text":
        return text
    stripped = text.strip()
    if how.nullable and stripped in ("null", "None"):
        return None
    if how.kind == "integer":
        return _integer(stripped)
    if how.kind == "number":
        return _number(stripped)
    value = _json(text, loose=how.loose)
    if how.kind == "choice":
        if not any(_same(value, choice) for choice in how.choices):
            raise Wrong(f"must be one of {', '.join(map(json.dumps, how.choices))}")
    elif how.shape == "list" and not (isinstance(value, list) or (value is None and how.nullable)):
        raise Wrong("must be a list, such as [1, 2]")
    elif how.shape == "object" and not (isinstance(value, dict) or (value is None and how.nullable)):
        raise Wrong('must be an object, such as {"key": 1}')
    return value


def parse_json(text: str) -> Json:
    """Raises `Wrong`, with where it goes wrong."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise Wrong("is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise Wrong(f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except ValueError as error:
        raise Wrong(f"is not JSON: {error}") from None


def _members(annotation: str | None) -> list[ast.expr]:
    """The types that `X | Y`, `Optional[X]` and `Union[X, Y]` stand for; none for what cannot be read."""
    text = (annotation or "").strip()
    if not text or len(text) > _TOO_LONG:
        return []
    try:
        tree = ast.parse(text, mode="eval").body
        return _united(tree)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []


def _united(tree: ast.expr) -> list[ast.expr]:
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        return _members(tree.value)
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.BitOr):
        return [*_united(tree.left), *_united(tree.right)]
    if isinstance(tree, ast.Subscript):
        inner = tree.slice.elts if isinstance(tree.slice, ast.Tuple) else [tree.slice]
        if _name(tree.value) == "Optional":
            return [*_united(inner[0]), ast.Constant(value=None)]
        if _name(tree.value) == "Union":
            return [member for part in inner for member in _united(part)]
    return [tree]


def _name(tree: ast.expr) -> str:
    """`list` of `list`, `typing.List` and `list[int]`."""
    if isinstance(tree, ast.Subscript):
        return _name(tree.value)
    if isinstance(tree, ast.Attribute):
        return tree.attr
    return tree.id if isinstance(tree, ast.Name) else ""


def _by_type(tree: ast.expr, nullable: bool) -> Asked:
    name = _name(tree)
    if name == "Literal" and isinstance(tree, ast.Subscript):
        inner = tree.slice.elts if isinstance(tree.slice, ast.Tuple) else [tree.slice]
        values = [one.value for one in inner if isinstance(one, ast.Constant)]
        if len(values) == len(inner) and all(isinstance(value, str | int) for value in values):
            return Asked(kind="choice", nullable=nullable, choices=[*values, None] if nullable else values)
    if name == "bool":
        choices = [True, False, None] if nullable else [True, False]
        return Asked(kind="choice", nullable=nullable, choices=choices)
    if name in _NAMES:
        return Asked(kind=_NAMES[name], nullable=nullable)
    if name in _LISTS:
        return Asked(kind="json", nullable=nullable, shape="list")
    if name in _OBJECTS:
        return Asked(kind="json", nullable=nullable, shape="object")
    return Asked(kind="json", nullable=nullable, loose=True)


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,4000}", text):
        raise Wrong("must be a whole number, such as 7")
    return int(text)


def _number(text: str) -> float:
    value: Any
    try:
        value = parse_json(text)
    except Wrong:
        value = None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong("must be a number, such as 1.5")
    return value


def _json(text: str, *, loose: bool) -> Json:
    try:
        return parse_json(text)
    except Wrong:
        # Something that begins like JSON was meant to be JSON.
        if loose and _is_plain(text):
            return text
        raise


def _is_plain(text: str) -> bool:
    """Whether a text stands for itself where JSON is expected, too."""
    if text.lstrip()[:1] in ("", "{", "[", '"'):
        return False
    try:
        parse_json(text)
    except Wrong:
        return True
    return False


def _same(value: Json, choice: Json) -> bool:
    """`True == 1` in Python, not in JSON."""
    return type(value) is type(choice) and value == choice


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
