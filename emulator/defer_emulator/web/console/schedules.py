"""When crons fire next, and what they missed; and the clock by which they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from starlette.responses import Response

from defer_emulator.domain.insight import Schedule, ScheduledDay
from defer_emulator.web.console.rendering import number, render
from defer_emulator.web.console.request import PageRequest, part_of

DAYS = 14
TIMES = 4
SHOWN = 40  # crons on a page


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A day of one cron: what stands in the calendar, and what is said when it is pointed at."""

    day: date
    text: str
    title: str
    weight: int  # 0 to 3: how often it fires


async def show(request: PageRequest) -> Response:
    return await show_with(request)


async def show_with(
    request: PageRequest, *, error: str | None = None, ask: int | None = None, status: int = 200
) -> Response:
    """`error` is about the field that advances the clock; `ask` is a number of cron executions that is
    asked about first."""
    operations = request.site.operations
    schedules = await operations.schedules(times=TIMES, days=DAYS)
    return await render(
        request,
        "schedules.html",
        title="Schedules",
        status=status,
        days=[day.day for day in schedules[0].days] if schedules else [],
        part=part_of([(schedule, _cells(schedule)) for schedule in schedules], request, SHOWN),
        missed=await operations.missed_crons(limit=30),
        error=error,
        ask=ask,
        to=request.posted("to"),
        progress=await _progress(request),
    )


def _cells(schedule: Schedule) -> Sequence[Cell]:
    return [_cell(day) for day in schedule.days]


def _cell(day: ScheduledDay) -> Cell:
    name = f"{day.day:%A %d %B}"
    if not day.count or day.first is None or day.last is None:
        return Cell(day=day.day, text="", title=f"{name}: not", weight=0)
    if day.count == 1:
        return Cell(day=day.day, text=f"{day.first:%H:%M}", title=f"{name}: at {day.first:%H:%M}", weight=1)
    title = f"{name}: {day.count} times, from {day.first:%H:%M} to {day.last:%H:%M}"
    return Cell(day=day.day, text=f"{number(day.count)}×", title=title, weight=2 if day.count < 48 else 3)


async def _progress(request: PageRequest) -> float | None:
    """How far the advance that goes on has come, 0 to 1; None when there is none."""
    clock = await request.site.operations.clock()
    if clock.advance is None or clock.advancing_to is None:
        return None
    start = datetime.fromtimestamp(clock.advance.start / 1_000_000, clock.now.tzinfo)
    whole = (clock.advancing_to - start).total_seconds()
    return min(max((clock.now - start).total_seconds() / whole, 0.0), 1.0) if whole > 0 else 1.0
