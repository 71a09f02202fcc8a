"""How executions look in text, for every command that shows some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defer_cli.output import Output
from defer_cli.text import STATE_STYLES, Cell, Column, cut, duration, one_line, relative, width, wrapped
from defer_client.models import Execution, State
from defer_emulator.domain.ids import short_id

if TYPE_CHECKING:
    from defer_emulator.domain.functions import FunctionSpec, RegisteredFunction
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
    Column(title="QUEUED", rank=5, spare=True),
    Column(title="BY", rank=6, spare=True),
    Column(title="METADATA", rank=7, least=16, spare=True),
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
    return [
        Cell(text=short_id(execution.id), style="cyan"),
        Cell(text=execution.function_name, style="bold"),
        Cell(text=execution.state.value, style=STATE_STYLES[execution.state]),
        Cell(text=str(execution.attempt) if execution.attempt else "-"),
        Cell(text=relative(_moment_of_interest(execution), now)),
        Cell(text=took(execution, now)),
        Cell(text=error_of(execution), style="red"),
        Cell(text=queued(execution)),
        Cell(text=short_id(execution.executed_by) if execution.executed_by else "", style="cyan"),
        Cell(text=" ".join(f"{key}={value}" for key, value in execution.metadata.items()), style="dim"),
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


def queued(execution: Execution) -> str:
    """How long the latest attempt waited after it was due."""
    if execution.started_at is None or execution.state is State.CREATED:
        return ""
    return duration(max(0.0, (execution.started_at - execution.scheduled_at).total_seconds()))


def outcome(execution: Execution, now: datetime) -> str:
    """What a row says beside its state: `in 2h`, `1.2s`, `350ms ER0003 raised`."""
    if execution.state is State.CREATED:
        return relative(execution.scheduled_at, now)
    return f"{took(execution, now)}  {error_of(execution)}".strip()


def error_of(execution: Execution) -> str:
    """`ER0003 raised`; nothing where it has no error."""
    code = execution.error_code.value if execution.error_code else ""
    return f"{code} {ERROR_NAMES.get(code, '')}".strip()


def describe(output: Output, execution: Execution) -> str:
    """One execution in a few words: `1f2e3d4c send_mail created`."""
    return "  ".join(
        (
            output.style(short_id(execution.id), "cyan"),
            output.style(execution.function_name, "bold"),
            output.style(execution.state.value, STATE_STYLES[execution.state]),
        )
    )


OF_INTEREST = (
    State.FAILED,
    State.ABORTED,
    State.ABORTING,
    State.STARTED,
    State.CREATED,
    State.DISCARDED,
    State.CANCELLED,
    State.SUCCEED,
)
"""The states, what a person looks for first."""


def failed_first(executions: Sequence[Execution]) -> list[Execution]:
    """Those of interest first, otherwise in their order."""
    return sorted(executions, key=lambda execution: OF_INTEREST.index(execution.state))


def counted(executions: Sequence[Execution]) -> str:
    """`1 failed, 4 started, 23 succeed`."""
    counts = Counter(execution.state for execution in executions)
    return ", ".join(f"{counts[state]:,} {state}" for state in OF_INTEREST if counts[state])


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
        "id": function.id or None,  # None before the project has its file, which decides on them
        "kind": spec.kind,
        "cron": spec.cron,
        "file": spec.file,
        "line": spec.line,
        "concurrency": spec.concurrency,
        "retry": asdict(spec.retry),
        "max_duration": spec.max_duration,
        "paused": function.paused,
    }


FIXABLE = "[*]"  # marks what `defer check --fix` can do


def findings(
    output: Output, root: Path, found: Sequence[Diagnostic], fixable: Container[Diagnostic] = ()
) -> None:
    """Findings of `defer check`, each with its place, an excerpt, the reason, the fix, and the docs."""
    from defer_emulator.project.diagnostics import source_line

    for diagnostic in found:
        style = "red" if diagnostic.severity == "error" else "yellow"
        place, label = one_line(diagnostic.place), f"{diagnostic.severity}[{diagnostic.code}]"
        for line in hanging(f"{place}: {label} {one_line(diagnostic.message)}", output.width, 2):
            painted = line.replace(label, output.style(label, style), 1)
            output.line(painted.replace(place, output.style(place, "bold"), 1))
        source = source_line(root, diagnostic)
        if source and source.strip():
            shown, before, marked = _excerpt(source, diagnostic, output.width)
            number = str(diagnostic.line)
            output.line(f"  {number} | {shown}")
            output.line(f"  {' ' * len(number)} | {before}{output.style(marked, style)}")
        mark = f" {FIXABLE}" if diagnostic in fixable else ""
        for text in (f"reason: {diagnostic.reason}", f"fix: {one_line(diagnostic.fix)}{mark}"):
            for line in hanging(text, output.width, 4, first=2):
                output.line(line)
        output.line(f"  see: {output.style(diagnostic.docs, 'dim')}")


def hanging(text: str, columns: int | None, indent: int, first: int = 0) -> list[str]:
    """A text as lines that fit, indented: the first by `first`, the others by `indent`."""
    lines = wrapped(text, None if columns is None else max(1, columns - indent))
    return [" " * first + lines[0], *(" " * indent + line for line in lines[1:])]


def _excerpt(text: str, diagnostic: Diagnostic, columns: int | None) -> tuple[str, str, str]:
    """A part of the line that fits, the blanks below it up to the place, and carets under the place."""
    room = max(20, min(100, (columns or 100) - len(f"  {diagnostic.line} | ")))
    place = diagnostic.column - 1
    start = max(0, place - room + min(room // 2, diagnostic.width + 1))
    shown = cut(one_line(text[start : start + room + 1]), room)
    before = one_line(text[start:place])
    marked = width(shown[: place - start + diagnostic.width]) - width(before)
    return shown, " " * width(before), "^" * max(1, marked)
