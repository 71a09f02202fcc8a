"""How executions look in text, for every command that shows some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defer_cli.output import Output
from defer_cli.text import STATE_STYLES, Cell, Column, duration, one_line, relative, width
from defer_client.models import Execution, State
from defer_emulator.domain.functions import FunctionSpec, RegisteredFunction
from defer_emulator.domain.ids import short_id

if TYPE_CHECKING:
    from defer_emulator.domain.why import Why
    from defer_emulator.project.diagnostics import Diagnostic

COLUMNS = (
    Column(title="ID"),
    Column(title="FUNCTION", least=12),
    Column(title="STATE"),
    Column(title="TRY", rank=2),
    Column(title="WHEN", rank=1),
    Column(title="TOOK", rank=3),
    Column(title="ERROR", rank=4),
)

ERROR_NAMES = {
    "ER0000": "internal",
    "ER0001": "timeout",
    "ER0002": "out of memory",
    "ER0003": "raised",
}


def executions_table(output: Output, executions: Sequence[Execution], now: datetime) -> None:
    output.table(COLUMNS, [_row(execution, now) for execution in executions])


def _row(execution: Execution, now: datetime) -> list[Cell]:
    code = execution.error_code.value if execution.error_code else ""
    return [
        Cell(text=short_id(execution.id), style="cyan"),
        Cell(text=execution.function_name, style="bold"),
        Cell(text=execution.state.value, style=STATE_STYLES[execution.state]),
        Cell(text=str(execution.attempt) if execution.attempt else "-"),
        Cell(text=relative(_moment_of_interest(execution), now)),
        Cell(text=took(execution, now)),
        Cell(text=f"{code} {ERROR_NAMES.get(code, '')}".strip(), style="red"),
    ]


def _moment_of_interest(execution: Execution) -> datetime:
    """When it will start; else when it last did something."""
    if execution.state is State.CREATED:
        return execution.scheduled_at
    return execution.started_at or execution.updated_at


def took(execution: Execution, now: datetime) -> str:
    """How long the latest attempt ran, or runs so far."""
    if execution.started_at is None or execution.state is State.CREATED:
        return ""
    seconds = ((execution.finished_at or now) - execution.started_at).total_seconds()
    return duration(max(0.0, seconds)) + ("" if execution.finished_at else "…")


def describe(output: Output, execution: Execution) -> str:
    """One execution in a few words: `1f2e3d4c send_mail created`."""
    return "  ".join(
        (
            output.style(short_id(execution.id), "cyan"),
            output.style(execution.function_name, "bold"),
            output.style(execution.state.value, STATE_STYLES[execution.state]),
        )
    )


def message_of(why: Why) -> str:
    """What holds an execution, or became of it, in one line."""
    return one_line("; and ".join(reason.message for reason in why.reasons))


DEFAULT_MAX_DURATION = 1_800.0  # seconds

FUNCTION_COLUMNS = (
    Column(title="FUNCTION", least=12),
    Column(title="KIND", rank=3),
    Column(title="SCHEDULE"),
    Column(title="LIMITS", least=8, rank=2),
    Column(title="FILE", least=12, rank=4),
    Column(title="STATUS", rank=1),
)


def functions_table(output: Output, functions: Sequence[RegisteredFunction]) -> None:
    output.table(FUNCTION_COLUMNS, [_function_row(function) for function in functions])


def _function_row(function: RegisteredFunction) -> list[Cell]:
    spec = function.spec
    status = "paused" if function.paused else "" if function.status == "ready" else function.status
    return [
        Cell(text=spec.name, style="bold"),
        Cell(text=spec.kind),
        Cell(text=spec.cron or "", style="cyan"),
        Cell(text=limits(spec)),
        Cell(text=f"{spec.file}:{spec.line}", style="dim"),
        Cell(text=status, style="yellow" if function.paused else "red"),
    ]


def limits(spec: FunctionSpec) -> str:
    """What differs from the defaults: `5 at once, 13 retries, 10m`."""
    parts = []
    if spec.concurrency is not None:
        parts.append(f"{spec.concurrency} at once")
        if spec.max_concurrency_action == "cancel":
            parts.append("else cancelled")
    if spec.retry.max_attempts:
        parts.append(f"{spec.retry.max_attempts} {'retry' if spec.retry.max_attempts == 1 else 'retries'}")
    if spec.max_duration != DEFAULT_MAX_DURATION:
        parts.append(f"up to {duration(spec.max_duration)}")
    return ", ".join(parts)


def function_to_json(function: RegisteredFunction) -> dict[str, Any]:
    """A row of `defer functions --output json`."""
    spec = function.spec
    return {
        "name": spec.name,
        "id": function.id,
        "kind": spec.kind,
        "cron": spec.cron,
        "file": spec.file,
        "line": spec.line,
        "concurrency": spec.concurrency,
        "retry": asdict(spec.retry),
        "max_duration": spec.max_duration,
        "paused": function.paused,
    }


def findings(output: Output, root: Path, found: Sequence[Diagnostic]) -> None:
    """Findings of `defer check`, each with its place, an excerpt, the reason and the fix."""
    from defer_emulator.project.diagnostics import source_line

    for diagnostic in found:
        style = "red" if diagnostic.severity == "error" else "yellow"
        label = output.style(f"{diagnostic.severity}[{diagnostic.code}]", style)
        output.line(f"{output.style(diagnostic.place, 'bold')}: {label} {one_line(diagnostic.message)}")
        text = source_line(root, diagnostic)
        if text and text.strip():
            excerpt, column = _excerpt(text, diagnostic.column)
            number = str(diagnostic.line)
            output.line(f"  {number} | {excerpt}")
            output.line(f"  {' ' * len(number)} | {' ' * column}{output.style('^', style)}")
        output.line(f"  fix: {diagnostic.fix}")


def _excerpt(text: str, column: int) -> tuple[str, int]:
    """At most 100 characters around a column (from 1), and where it is in them in terminal columns."""
    start = max(0, column - 80)
    shown = one_line(text[start : start + 100])
    return shown, width(shown[: column - 1 - start])
