"""Cron expressions: five fields, names, `@daily` forms, UTC. Pure: no clock is read here.

croniter judges an expression and expands its fields; the walk over the calendar is ours, because it must
be cheap (microseconds, also for a year of missed minutes) and the same for every version of croniter.

Moments are integers: microseconds since the epoch, UTC.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import takewhile

MINUTE = 60_000_000  # µs
DAY = 24 * 60 * MINUTE
EPOCH = date(1970, 1, 1).toordinal()

FIELDS = ("minute", "hour", "day of month", "month", "day of week")
ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
NAMES = {
    "month": ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    "day of week": ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"],
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Schedule:
    minutes: tuple[int, ...]  # of the day, ascending
    months: frozenset[int]  # 1 to 12
    days: frozenset[int] | None  # 1 to 31; None: every one
    weekdays: frozenset[int] | None  # 0 is Sunday; None: every one

    def runs_on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        weekday = day.isoweekday() % 7
        if self.days is None or self.weekdays is None:
            return (self.days is None or day.day in self.days) and (
                self.weekdays is None or weekday in self.weekdays
            )
        return day.day in self.days or weekday in self.weekdays  # cron's rule: either of the two

    def can_fire(self) -> bool:
        if self.weekdays is not None or self.days is None:
            return True
        return any(min(self.days) <= calendar.monthrange(2000, month)[1] for month in self.months)

    def days_from(self, day: int) -> Iterator[int]:
        """Numbers of the days on which it runs (days since the epoch), from `day` on, without end."""
        for number in range(day, date.max.toordinal() - EPOCH):
            if self.runs_on(date.fromordinal(number + EPOCH)):
                yield number


def validate(expression: str) -> str | None:
    """Why this is no cron expression, in a phrase; None when it is one.

    >>> validate("0 8 * * MON")
    >>> validate("0 8 * * * *")
    'it has 6 fields: a cron expression has 5 (minute, hour, day of month, month, day of week)'
    """
    try:
        _parse(expression)
    except ValueError as error:
        return str(error)
    return None


def next_after(expression: str, moment_us: int) -> int | None:
    """The first minute strictly after `moment_us` at which it fires; None if the calendar ends before.

    Raises `ValueError` for an invalid expression.

    >>> next_after("@hourly", 0)
    3600000000
    """
    return next(_moments(_parse(expression), moment_us), None)


def upcoming(expression: str, after: int, n: int) -> list[int]:
    """The next `n` minutes strictly after `after` at which it fires. Raises `ValueError`."""
    moments = _moments(_parse(expression), after)
    return [moment for _, moment in zip(range(n), moments, strict=False)]


def between(expression: str, after: int, until: int) -> Iterator[int]:
    """The minutes after `after` and up to `until`, that one included. Raises `ValueError`."""
    return takewhile(lambda moment: moment <= until, _moments(_parse(expression), after))


def count_between(expression: str, after: int, until: int) -> int:
    """How often it fires in the minutes after `after` and up to `until`, that one included.

    Counts by days: a year takes a millisecond. Raises `ValueError`.

    >>> count_between("* * * * *", 0, 10 * 60_000_000)
    10
    """
    schedule = _parse(expression)
    first, last = after // MINUTE + 1, until // MINUTE
    if first > last:
        return 0
    per_day = len(schedule.minutes)
    count = 0
    for day in schedule.days_from(first // 1440):
        start = day * 1440
        if start > last:
            break
        if start >= first and start + 1439 <= last:
            count += per_day
        else:
            count += sum(first <= start + minute <= last for minute in schedule.minutes)
    return count


def _moments(schedule: _Schedule, after: int) -> Iterator[int]:
    first = after // MINUTE + 1
    for day in schedule.days_from(first // 1440):
        for minute in schedule.minutes:
            if day * 1440 + minute >= first:
                yield day * DAY + minute * MINUTE


@lru_cache(maxsize=4096)
def _parse(expression: str) -> _Schedule:
    """Raises `ValueError` with a phrase that says what is wrong."""
    fields = _fields(expression)
    minutes, hours, days, months, weekdays = _expand(fields)
    schedule = _Schedule(
        minutes=tuple(
            hour * 60 + minute
            for hour in sorted(hours or range(24))
            for minute in sorted(minutes or range(60))
        ),
        months=frozenset(months or range(1, 13)),
        days=days,
        weekdays=weekdays,
    )
    if not schedule.can_fire():
        raise ValueError("it never fires: no such day in these months")
    return schedule


def _fields(expression: str) -> list[str]:
    """The five fields, cleaned of what croniter knows beyond cron."""
    text = expression.strip()
    if text.startswith("@"):
        if text.lower() not in ALIASES:
            raise ValueError(f"{text!r} is unknown: there are {', '.join(ALIASES)}")
        text = ALIASES[text.lower()]
    fields = text.split()
    if len(fields) != len(FIELDS):
        number = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
        raise ValueError(f"it has {number}: a cron expression has 5 ({', '.join(FIELDS)})")
    for name, field in zip(FIELDS, fields, strict=True):
        _refuse_dialects(name, field)
    # croniter reads "5-5" as the whole range, cron as 5.
    return [re.sub(r"(?<![^,])([0-9A-Za-z]+)-\1(/\d+)?(?![^,])", r"\1", field) for field in fields]


def _refuse_dialects(name: str, field: str) -> None:
    """`H` and `R` would fire at random, `L`, `W`, `#` and `?` belong to other crons."""
    strange = re.search(r"[^0-9A-Za-z*,/-]", field)
    if strange:
        raise ValueError(f"the {name} {field!r} is wrong: {strange.group()!r} is not part of cron")
    names = NAMES.get(name, [])
    for word in re.findall(r"[A-Za-z]+", field):
        if word.upper() not in names:
            allowed = f"the names are {', '.join(names)}" if names else "only numbers are allowed"
            raise ValueError(f"the {name} {field!r} is wrong: {word!r} is unknown, {allowed}")


def _expand(fields: list[str]) -> list[frozenset[int] | None]:
    """The allowed values of each field; None for all. Raises `ValueError` with croniter's reason."""
    from croniter import croniter  # 25 ms, and most commands need no cron

    try:
        expanded = croniter.expand(" ".join(fields))[0]
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(_reason(fields, str(error))) from None
    return [None if "*" in values else frozenset(map(int, values)) for values in expanded]


def _reason(fields: list[str], reason: str) -> str:
    """croniter's reason, with the field that it is about: the one that is wrong alone, too."""
    from croniter import croniter

    for index, field in enumerate(fields):
        alone = " ".join(field if index == place else "*" for place in range(len(fields)))
        try:
            croniter.expand(alone)
        except (ValueError, TypeError, KeyError) as error:
            reason = str(error).splitlines()[-1].replace(alone.lower(), field).replace(alone, field)
            return f"the {FIELDS[index]} {field!r} is wrong: {reason}"
    return reason
