"""When crons fire: each due minute once, and none that is long past."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from defer_emulator.domain.cron import count_between, next_after
from defer_emulator.domain.functions import RegisteredFunction
from defer_emulator.scheduler.ports import Transaction

TOO_LATE = 60_000_000  # µs: a minute missed by more is skipped


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """What one cron has to do now."""

    function: str
    minutes: tuple[int, ...]  # to fire, µs
    missed: int  # how many minutes before those were too late
    first_missed: int | None
    seen: int  # minutes up to this one are dealt with


@dataclass(slots=True)
class _Cron:
    expression: str
    after: int  # minutes after it count, µs
    next: int | None
    paused: bool


class CronTable:
    """The next minute of each cron. Its truth is `RegisteredFunction.cron_after`; this is a view of it."""

    def __init__(self) -> None:
        self._crons: dict[str, _Cron] = {}

    def update(self, functions: Iterable[RegisteredFunction]) -> None:
        """Follow the project: functions whose file is gone do not fire, broken ones keep their schedule."""
        self._crons = {
            function.spec.name: _Cron(
                expression=function.spec.cron,
                after=function.cron_after,
                next=next_after(function.spec.cron, function.cron_after),
                paused=function.paused,
            )
            for function in functions
            if function.spec.cron and function.cron_after is not None and function.status != "removed"
        }

    def next_due(self, *, paused: bool | None = None) -> int | None:
        """When the next minute of any cron is due, µs; only of those that are `paused`, or are not."""
        crons = [cron for cron in self._crons.values() if paused is None or cron.paused == paused]
        return min((cron.next for cron in crons if cron.next is not None), default=None)

    def take_due(self, now: int, *, paused: bool = False) -> list[Due]:
        """What has become due up to `now`; each minute is taken once. A paused cron's minutes are skipped."""
        return [
            self._take(name, cron, now, paused=paused or cron.paused)
            for name, cron in self._crons.items()
            if cron.next is not None and cron.next <= now
        ]

    def _take(self, name: str, cron: _Cron, now: int, *, paused: bool) -> Due:
        first, minutes, missed, first_missed = cron.next, [], 0, None
        if first is not None and now - first > TOO_LATE:
            first_missed = first
            missed = count_between(cron.expression, cron.after, now - TOO_LATE - 1)
            first = next_after(cron.expression, now - TOO_LATE - 1)
        seen = now - TOO_LATE - 1 if missed else cron.after
        while first is not None and first <= now:
            minutes.append(first)
            seen = first
            first = next_after(cron.expression, first)
        cron.after, cron.next = seen, first
        if paused:
            return Due(function=name, minutes=(), missed=0, first_missed=None, seen=seen)
        return Due(function=name, minutes=tuple(minutes), missed=missed, first_missed=first_missed, seen=seen)


def fire(tx: Transaction, crons: CronTable) -> list[Due]:
    """Create the executions of what has become due. Its table must be fresh, so that a pause counts."""
    due = crons.take_due(tx.now)
    for cron in due:
        for minute in cron.minutes:
            tx.fire_cron(cron.function, minute)
        tx.cron_seen(cron.function, cron.seen)
        if cron.first_missed is not None:
            tx.cron_missed(cron.function, cron.first_missed, cron.missed)
    return due
