"""Whether arguments fit a function, known only by its parameters: nothing of the project is imported."""

from __future__ import annotations

import inspect
from functools import lru_cache

from defer_client.errors import InvalidArguments
from defer_client.models import Arguments
from defer_emulator.domain.functions import FunctionSpec, Parameter, ParameterKind

_KINDS: dict[ParameterKind, inspect._ParameterKind] = {
    "positional_only": inspect.Parameter.POSITIONAL_ONLY,
    "positional_or_keyword": inspect.Parameter.POSITIONAL_OR_KEYWORD,
    "var_positional": inspect.Parameter.VAR_POSITIONAL,
    "keyword_only": inspect.Parameter.KEYWORD_ONLY,
    "var_keyword": inspect.Parameter.VAR_KEYWORD,
}
_STARS: dict[ParameterKind, str] = {"var_positional": "*", "var_keyword": "**"}


def check_arguments(spec: FunctionSpec, arguments: Arguments) -> None:
    """Raises `InvalidArguments`, naming the parameter, where a call with these arguments would fail."""
    try:
        _signature(spec.parameters).bind(*arguments.positional, **arguments.keyword)
    except TypeError as error:
        raise InvalidArguments(
            f"the arguments do not fit {signature_text(spec)}: {error}",
            hint=f"given: {len(arguments.positional)} by position, {_names(arguments)} by name",
        ) from None


def signature_text(spec: FunctionSpec) -> str:
    """The signature as a reader knows it: `send_mail(to: str, subject: str = 'hello')`."""
    shown: list[str] = []
    previous: ParameterKind | None = None
    for parameter in spec.parameters:
        if previous == "positional_only" and parameter.kind != previous:
            shown.append("/")
        if parameter.kind == "keyword_only" and previous not in ("var_positional", "keyword_only"):
            shown.append("*")
        shown.append(_parameter_text(parameter))
        previous = parameter.kind
    if previous == "positional_only":
        shown.append("/")
    return f"{spec.name}({', '.join(shown)})"


def _parameter_text(parameter: Parameter) -> str:
    text = _STARS.get(parameter.kind, "") + parameter.name
    if parameter.annotation is not None:
        text += f": {parameter.annotation}"
    if parameter.default is not None:
        text += f" = {parameter.default}" if parameter.annotation is not None else f"={parameter.default}"
    return text


@lru_cache(maxsize=1_000)
def _signature(parameters: tuple[Parameter, ...]) -> inspect.Signature:
    empty = inspect.Parameter.empty
    return inspect.Signature(
        [
            inspect.Parameter(
                parameter.name,
                _KINDS[parameter.kind],
                default=empty if parameter.required or parameter.kind in _STARS else None,
            )
            for parameter in parameters
        ]
    )


def _names(arguments: Arguments) -> str:
    return ", ".join(arguments.keyword) or "none"
