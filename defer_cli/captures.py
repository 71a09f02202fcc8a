"""The source of a test that repeats a captured execution."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from defer_cli.literals import literal, text
from defer_cli.text import moment, one_line
from defer_client.models import Arguments, Json, State
from defer_client.wire import time_to_json
from defer_emulator.domain.ids import short_id
from defer_emulator.operations.capture import Captured, CapturedChild

SECRETS = re.compile(
    r"passw|secret|token|api_?key|credential|authoriz|private|session|cookie|card|iban", re.IGNORECASE
)
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def name_of_test(captured: Captured) -> str:
    """`test_send_mail_3c6ef362`."""
    return f"test_{captured.execution.function_name}_{short_id(captured.execution.id)}"


def source(captured: Captured) -> str:
    """A module with one test: it passes if the execution had succeeded, and fails as that did if not."""
    marker = f'start="{time_to_json(captured.started_at)}"' + _allowed(captured)
    imports = "Child, replay" if captured.children else "replay"
    body = "    assert " if captured.execution.state is State.SUCCEED else "    "
    expected = _expected(captured) if captured.execution.state is State.SUCCEED else ""
    return (
        f"{_docstring(captured)}\n"
        "import pytest\n"
        f"from defer_emulator.testing.replay import {imports}\n\n\n"
        f"@pytest.mark.defer({marker})\n"
        f"def {name_of_test(captured)}(defer_emulator):\n"
        f"{''.join(_assignments(captured))}"
        f"{body}{_call(captured)}{expected}\n"
    )


def _docstring(captured: Captured) -> str:
    execution, failure = captured.execution, captured.outcome.failure
    lines = [
        f'"""Execution {execution.id}',
        f"of {execution.function_name}, which {'succeeded' if failure is None else 'failed'}"
        f" at {moment(execution.finished_at or execution.updated_at)}.",
    ]
    if failure is not None:
        said = one_line(f"{failure.name}: {failure.message}").replace("\\", "\\\\").replace('"""', "'''")
        lines += ["", f"{said[:70].rstrip()}", "", "The test fails likewise until that is corrected."]
    return "\n".join([*lines, '"""', ""])


def _allowed(captured: Captured) -> str:
    """What the test may leave behind, as the execution did when it ended."""
    left = []
    end = captured.execution.finished_at or captured.execution.updated_at
    if any(child.outcome.failure is not None for child in captured.children):
        left.append('"failed"')
    executions = [child.outcome.execution for child in captured.children]
    if any(
        not one.state.is_final or min(one.scheduled_at, one.finished_at or one.updated_at) > end
        for one in executions
    ):
        left.append('"waiting"')
    return f", allow=[{', '.join(left)}]" if left else ""


def _assignments(captured: Captured) -> Iterator[str]:
    mentioned = _mentioned(captured)
    if captured.children:
        yield "    children = [\n"
        for child in captured.children:
            yield f"        {_child(child, mentioned)},\n"
        yield "    ]\n"


def _call(captured: Captured) -> str:
    arguments = captured.arguments
    parts = ["defer_emulator", text(captured.execution.function_name), *_values(arguments, 8)]
    if captured.children:
        parts.append("children=children")
    if captured.execution.id in _mentioned(captured):
        parts.append(f'id="{captured.execution.id}"')
    return _joined("replay", parts, 4)


def _mentioned(captured: Captured) -> frozenset[str]:
    """Ids in what the function gave, its result and the arguments of what it has started: of executions that
    have others in the test."""
    given = [captured.outcome.result]
    given += [[*child.arguments.positional, dict(child.arguments.keyword)] for child in captured.children]
    return frozenset(_ID.findall(json.dumps(given)))


def _child(child: CapturedChild, mentioned: frozenset[str]) -> str:
    outcome = child.outcome
    parts = [text(outcome.execution.function_name), *_values(child.arguments, 12)]
    if outcome.failure is not None:
        error: dict[str, Json] = {"name": outcome.failure.name, "message": outcome.failure.message}
        if outcome.failure.module is not None and outcome.failure.arguments is not None:
            error |= {"module": outcome.failure.module, "arguments": list(outcome.failure.arguments)}
        parts.append(f"error={literal(error, 12, 6)}")
    elif outcome.result is not None:
        parts.append(f"result={literal(outcome.result, 12, 7)}")
    if outcome.execution.id in mentioned:
        parts.append(f'id="{outcome.execution.id}"')
    return _joined("Child", parts, 8)


def _values(arguments: Arguments, indent: int) -> Iterator[str]:
    if arguments.positional or arguments.keyword:
        yield literal(list(arguments.positional), indent)
    if arguments.keyword:
        yield literal(dict(arguments.keyword), indent)


def _joined(name: str, parts: list[str], indent: int) -> str:
    """A call on one line, or with an argument a line."""
    short = f"{name}({', '.join(parts)})"
    if "\n" not in short and indent + len(short) + 1 <= 80:
        return short
    space = " " * indent
    return f"{name}(\n" + "".join(f"{space}    {part},\n" for part in parts) + f"{space})"


def _expected(captured: Captured) -> str:
    result = captured.outcome.result
    compares = "is" if result is None or isinstance(result, bool) else "=="
    return f" {compares} {literal(result, 4, 30)}"


def suspicious_names(captured: Captured) -> list[str]:
    """Names in the values that look like those of secrets."""
    values: list[Any] = [captured.arguments.positional, captured.arguments.keyword, captured.outcome.result]
    for child in captured.children:
        values += [child.arguments.positional, child.arguments.keyword, child.outcome.result]
    return sorted({name for value in values for name in _names(value) if SECRETS.search(name)})


def _names(value: Json) -> Iterator[str]:
    queue = [value]
    while queue:
        one = queue.pop()
        if isinstance(one, Mapping):
            yield from one
            queue += one.values()
        elif isinstance(one, (list, tuple)):
            queue += one
