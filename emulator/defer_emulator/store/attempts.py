"""Which attempts of an execution a list shows."""

from __future__ import annotations

from datetime import datetime

from defer_client.models import Attempt, ExecutionFilters, Interval
from defer_emulator.clock import to_micros


def attempt_matches(attempt: Attempt, filters: ExecutionFilters) -> bool:
    """Whether all filters match; those of functions, parents and metadata look at its execution."""
    return (
        (not filters.states or attempt.state in filters.states)
        and (not filters.function_ids or attempt.function_id in filters.function_ids)
        and (not filters.error_codes or attempt.error_code in filters.error_codes)
        and (not filters.executed_by or attempt.executed_by == filters.executed_by)
        and _inside(filters.scheduled_at, attempt.scheduled_at)
        and _inside(filters.started_at, attempt.started_at)
        and all(attempt.metadata.get(key) in values for key, values in filters.metadata.items() if values)
    )


def _inside(interval: Interval | None, moment: datetime | None) -> bool:
    if interval is None:
        return True
    if moment is None:
        return False
    micros = to_micros(moment)
    return (interval.start is None or to_micros(interval.start) <= micros) and (
        interval.end is None or micros <= to_micros(interval.end)
    )
