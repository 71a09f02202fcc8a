"""`defer diff`: what is different between two executions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import typer

from defer_cli.commands.show import labelled
from defer_cli.comparing import MISSING, Change, Missing, changes, log_changes
from defer_cli.output import Output, to_json
from defer_cli.parameters import FirstId, SecondId
from defer_cli.session import Session
from defer_cli.text import STATE_STYLES, Cell, Column, cut, duration, safe
from defer_client.errors import Conflict
from defer_client.models import Attempt, Execution, ExecutionFilters, Json, Page, State
from defer_client.wire import execution_to_json
from defer_emulator.domain.ids import short_id

LONG = 300  # characters of a value that are shown
COLUMNS = (
    Column(title=""),
    Column(title="A", least=10),
    Column(title="B", least=10),
    Column(title="B - A", rank=1),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """All that is compared of one."""

    execution: Execution
    arguments: Mapping[str, Json]  # by name, or by place where the name is not known
    result: Json | Missing
    error: Json | Missing  # without the stack
    log: list[str]
    generation: int | None  # of the code that ran last; None: it never started
    queued: float | None  # seconds, of its last attempt
    ran: float | None


def diff(ctx: typer.Context, a: FirstId, b: SecondId) -> None:
    """Compare two executions, or two attempts of one: arguments, code, logs, result, timing.

    defer diff 1f2e3d4c @last
      defer diff 1f2e3d4c.1 1f2e3d4c.3
    """
    session: Session = ctx.obj
    one, other = (_side(session, session.resolve(text)) for text in (a, b))
    if session.output.is_text:
        _show(session.output, one, other)
    else:
        session.output.value(to_dict(one, other))


def _side(session: Session, execution_id: str) -> Side:
    execution = session.call(session.backend.get_execution(execution_id))
    arguments = session.call(session.backend.get_execution_arguments(execution_id))
    spec = session.spec(execution.function_name)
    started, end = execution.started_at, execution.finished_at
    result = _result(session, execution)
    failed = execution.state is State.FAILED
    return Side(
        execution=execution,
        arguments={
            label.removesuffix(" = ") or str(place): value
            for place, (label, value) in enumerate(labelled(arguments, spec))
        },
        result=MISSING if failed else result,
        error=result if failed else MISSING,
        log=[line.message for line in session.call(session.backend.get_execution_logs(execution_id))],
        generation=_generation(session, execution),
        queued=None if started is None else max(0.0, (started - execution.scheduled_at).total_seconds()),
        ran=None if started is None or end is None else max(0.0, (end - started).total_seconds()),
    )


def _result(session: Session, execution: Execution) -> Json | Missing:
    try:
        result = session.call(session.backend.get_execution_result(execution.id))
    except Conflict:  # none, or none yet
        return MISSING
    if execution.state is State.FAILED:
        return {name: result[name] for name in ("code", "name", "message")}
    return result


def _generation(session: Session, execution: Execution) -> int | None:
    if isinstance(execution, Attempt):
        return execution.generation
    attempts = session.call(
        session.backend.list_execution_attempts(execution.id, Page(first=1), ExecutionFilters())
    )
    return attempts.data[0].generation if attempts.data else None


# --- as JSON ------------------------------------------------------------------------------------


def to_dict(a: Side, b: Side) -> dict[str, Any]:
    """What `--output json` prints. A change lacks the key of the side that lacks the value."""
    log = log_changes(a.log, b.log)
    return {
        "a": execution_to_json(a.execution),
        "b": execution_to_json(b.execution),
        "arguments": _changes_to_json(a.arguments, b.arguments),
        "metadata": _changes_to_json(dict(a.execution.metadata), dict(b.execution.metadata)),
        "code": {"equal": a.generation == b.generation, "a": a.generation, "b": b.generation},
        "logs": {"equal": not log, "changes": log},
        "result": _changes_to_json(a.result, b.result),
        "error": _changes_to_json(a.error, b.error),
        "timing": {
            name: {"queued": side.queued, "ran": side.ran, "attempts": side.execution.attempt}
            for name, side in (("a", a), ("b", b))
        },
    }


def _changes_to_json(a: Json | Missing, b: Json | Missing) -> dict[str, Any]:
    found = changes(a, b)
    rows = [
        {"path": change.path}
        | {side: value for side, value in (("a", change.a), ("b", change.b)) if value is not MISSING}
        for change in found
    ]
    return {"equal": not found, "changes": rows}


# --- for people ---------------------------------------------------------------------------------


def _show(output: Output, a: Side, b: Side) -> None:
    output.table(COLUMNS, list(_facts(a, b)))
    output.line()
    compared: tuple[tuple[str, Json | Missing, Json | Missing], ...] = (
        ("arguments", a.arguments, b.arguments),
        ("metadata", dict(a.execution.metadata), dict(b.execution.metadata)),
        ("result", a.result, b.result),
        ("error", a.error, b.error),
    )
    for title, one, other in compared:
        if one not in (MISSING, {}) or other not in (MISSING, {}):
            _changed(output, title, changes(one, other))
    if a.log or b.log:
        _logs(output, log_changes(a.log, b.log))


def _facts(a: Side, b: Side) -> Iterator[list[Cell]]:
    """What fits into a line each."""
    one, other = a.execution, b.execution
    yield _fact("id", short_id(one.id), short_id(other.id))
    yield _fact("function", one.function_name, other.function_name)
    yield [
        Cell(text="state", style="dim"),
        *(Cell(text=side.state.value, style=STATE_STYLES[side.state]) for side in (one, other)),
        Cell(text=""),
    ]
    yield _fact("attempts", str(one.attempt), str(other.attempt))
    yield _fact("code", _words(a.generation), _words(b.generation))
    yield _timed("queued", a.queued, b.queued)
    yield _timed("ran", a.ran, b.ran)


def _words(generation: int | None) -> str:
    return "-" if generation is None else f"generation {generation}"


def _fact(label: str, a: str, b: str, difference: str = "") -> list[Cell]:
    style = "" if a == b else "bold"
    return [
        Cell(text=label, style="dim"),
        Cell(text=a, style=style),
        Cell(text=b, style=style),
        Cell(text=difference),
    ]


def _timed(label: str, a: float | None, b: float | None) -> list[Cell]:
    one, other = ("-" if seconds is None else duration(seconds) for seconds in (a, b))
    if a is None or b is None or a == b:
        return _fact(label, one, other)
    share = f" ({b / a - 1:+.0%})" if 0 < b < 100 * a else ""
    return _fact(label, one, other, ("+" if b > a else "") + duration(b - a) + share)


def _changed(output: Output, title: str, found: list[Change]) -> None:
    if not found:
        output.line(f"{title}: the same", "dim")
        return
    output.line(title, "bold")
    for change in found:
        head = f"{change.path} = " if change.path else ""
        for sign, value, style in (("-", change.a, "red"), ("+", change.b, "green")):
            if value is not MISSING:
                output.line(f"  {sign} {_brief(output, safe(head + to_json(value)))}", style)


def _logs(output: Output, changed: list[str]) -> None:
    if not changed:
        output.line("logs: the same", "dim")
        return
    output.line("logs", "bold")
    for line in changed:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[0], "")
        text = line if style == "cyan" else f"{line[0]} {_brief(output, safe(line[1:]))}"
        output.line(f"  {text}", style)


def _brief(output: Output, text: str) -> str:
    """Cut on a terminal; whole in a pipe."""
    return cut(text, LONG) if output.is_terminal() else text
