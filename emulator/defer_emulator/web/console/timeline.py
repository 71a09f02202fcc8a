"""When an execution waited and ran, as rows over one stretch of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from defer_client.models import Attempt, Execution, State
from defer_emulator.domain.texts import duration
from defer_emulator.web.console.charts import Axis, Span, spans


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelineRow:
    """An attempt; None: what comes next."""

    attempt: Attempt | None
    svg: Markup


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    rows: Sequence[TimelineRow]  # oldest first
    left: str
    right: str


def attempts_drawn(execution: Execution, attempts: Sequence[Attempt], now: datetime) -> Timeline:
    """`attempts` are the latest ones, newest first."""
    parts: list[tuple[Attempt | None, list[Span]]] = [
        (attempt, spans_of(attempt, now)) for attempt in reversed(attempts)
    ]
    if execution.state is State.CREATED:
        since = attempts[0].finished_at if attempts else execution.created_at
        parts.append((None, _waiting(execution, since or now, now)))
    elif not parts:  # it was cancelled or discarded before it started
        parts.append((None, spans_of(execution, now)))
    axis = axis_of([span for _, found in parts for span in found], now)
    return Timeline(
        rows=[TimelineRow(attempt=one, svg=spans(found, axis, _label(found))) for one, found in parts],
        left=clock_text(axis.start, axis),
        right=clock_text(axis.end, axis),
    )


def spans_of(execution: Execution, now: datetime) -> list[Span]:
    """How it, or an attempt, came to where it is: delayed, queued, running."""
    end = execution.finished_at or now
    if execution.started_at is None or execution.state is State.CREATED:
        return _waiting(execution, execution.created_at, end)
    found = []
    if not isinstance(execution, Attempt) and execution.created_at < execution.scheduled_at:
        found.append(Span(kind="delayed", start=execution.created_at, end=execution.scheduled_at))
    if execution.scheduled_at < execution.started_at:
        found.append(Span(kind="queued", start=execution.scheduled_at, end=execution.started_at))
    found.append(
        Span(kind=f"is-{execution.state}", start=execution.started_at, end=max(end, execution.started_at))
    )
    return found


def _waiting(execution: Execution, since: datetime, now: datetime) -> list[Span]:
    due = execution.scheduled_at
    found = [Span(kind="delayed", start=since, end=due)] if due > since else []
    if now > due and not (execution.state.is_final and execution.finished_at is None):
        found.append(Span(kind="queued", start=max(due, since), end=now))
    return found


def axis_of(found: Iterable[Span], now: datetime) -> Axis:
    parts = list(found)
    start = min((span.start for span in parts), default=now)
    end = max((span.end for span in parts), default=now)
    return Axis(start=start, end=end)


def clock_text(moment: datetime, axis: Axis) -> str:
    """As exact as the stretch of time is short."""
    seconds = (axis.end - axis.start).total_seconds()
    if seconds < 10:
        return f"{moment:%H:%M:%S}.{moment.microsecond // 1_000:03d}"
    return f"{moment:%H:%M:%S}" if seconds < 3_600 * 12 else f"{moment:%d %b %H:%M}"


def _label(found: Sequence[Span]) -> str:
    return ", ".join(
        f"{span.kind.removeprefix('is-')} {duration((span.end - span.start).total_seconds())}"
        for span in found
    )
