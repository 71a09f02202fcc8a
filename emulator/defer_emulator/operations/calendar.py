"""When crons fire in the days to come."""

from __future__ import annotations

from defer_emulator.clock import to_datetime
from defer_emulator.domain.cron import DAY, between, upcoming
from defer_emulator.domain.functions import RegisteredFunction
from defer_emulator.domain.insight import Schedule, ScheduledDay


def schedule_of(function: RegisteredFunction, now: int, *, times: int, days: int) -> Schedule:
    """The calendar of a cron from `now` (µs) on. Minutes before the one from which it counts do not fire."""
    expression = function.spec.cron or ""
    after = max(now, function.cron_after or 0)
    today = now // DAY * DAY
    return Schedule(
        function=function.spec.name,
        expression=expression,
        status=function.status,
        paused=function.paused,
        next=[to_datetime(moment) for moment in upcoming(expression, after, times)],
        days=[_day(expression, today + number * DAY, after) for number in range(days)],
    )


def _day(expression: str, start: int, after: int) -> ScheduledDay:
    moments = list(between(expression, max(start - 1, after), start + DAY - 1))
    return ScheduledDay(
        day=to_datetime(start).date(),
        count=len(moments),
        first=to_datetime(moments[0]) if moments else None,
        last=to_datetime(moments[-1]) if moments else None,
    )
