"""An execution as something to paste: for a terminal, for curl, for Python."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from defer_client.models import Arguments, Execution, Json
from defer_emulator.domain.functions import FunctionSpec

LONGEST = 3_000  # characters; what is longer is no use to paste


@dataclass(frozen=True, kw_only=True, slots=True)
class Snippet:
    key: str
    label: str
    text: str


def snippets(
    execution: Execution, arguments: Arguments, spec: FunctionSpec | None, *, url: str, has_token: bool
) -> list[Snippet]:
    """How to make the same call again. Those that would be too long are left out."""
    found = [Snippet(key="defer", label="defer", text=_command(execution, arguments, spec))]
    if spec is None or spec.kind != "cron":  # no application can start a cron
        found.append(Snippet(key="curl", label="curl", text=_curl(execution, arguments, url, has_token)))
        found.append(Snippet(key="python", label="Python", text=_python(execution, arguments, spec)))
    return [one for one in found if len(one.text) <= LONGEST]


def _command(execution: Execution, arguments: Arguments, spec: FunctionSpec | None) -> str:
    words = ["defer", "run", execution.function_name]
    value = _one_value(arguments, spec)
    if value not in ([], {}):
        words += ["--json", _dumps(value)]
    for key, text in execution.metadata.items():
        words += ["--metadata", f"{key}={text}"]
    return shlex.join(words)


def _one_value(arguments: Arguments, spec: FunctionSpec | None) -> Json:
    """An array, or an object by name."""
    if not arguments.keyword:
        return list(arguments.positional)
    by_place = [one.name for one in (spec.parameters if spec else ()) if one.kind == "positional_or_keyword"]
    return {**dict(zip(by_place, arguments.positional, strict=False)), **arguments.keyword}


def _curl(execution: Execution, arguments: Arguments, url: str, has_token: bool) -> str:
    body: dict[str, Json] = {
        "function_name": execution.function_name,
        "function_arguments": list(arguments.positional),
    }
    if arguments.keyword:
        body["function_keyword_arguments"] = dict(arguments.keyword)
    if execution.metadata:
        body["metadata"] = dict(execution.metadata)
    lines = [f"curl -X PUT {shlex.quote(url + '/public/v2/executions')}"]
    lines += ['-H "Authorization: Bearer $DEFER_TOKEN"'] if has_token else []
    lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(_dumps(body))}"]
    return " \\\n  ".join(lines)


def _python(execution: Execution, arguments: Arguments, spec: FunctionSpec | None) -> str:
    name = execution.function_name
    module = spec.module if spec and spec.module else f"defer.{name}"
    options = f".with_options(metadata={dict(execution.metadata)!r})" if execution.metadata else ""
    return f"from {module} import {name}\n\nawait {name}{options}({_call(arguments)})"


def _call(arguments: Arguments) -> str:
    parts: Sequence[str] = [repr(value) for value in arguments.positional]
    keyword: Mapping[str, Json] = arguments.keyword
    if all(name.isidentifier() for name in keyword):
        return ", ".join([*parts, *(f"{name}={value!r}" for name, value in keyword.items())])
    return ", ".join([*parts, f"**{dict(keyword)!r}"])


def _dumps(value: Json) -> str:
    """Readable, and one line of plain text whatever it holds."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)
