"""What the console and `defer stats` show: values, without a trace of how they are found.

All times are aware and in UTC, on the emulated clock unless said otherwise; durations are seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from defer_client.models import Arguments, ErrorCode, Execution, PageInfo, State
from defer_emulator.domain.functions import FunctionStatus

# --- statistics ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Percentiles:
    """Of a duration, in seconds."""

    count: int  # of how many: the latest 10,000, or 1,000 of one function
    p50: float
    p90: float
    p95: float
    p99: float
    highest: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """What ended in a stretch of time, and what runs that was started in it."""

    start: datetime
    counts: Mapping[State, int]  # only states that occur

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueDepth:
    """What is `created`."""

    due: int = 0  # could start now
    delayed: int = 0  # due later
    retrying: int = 0  # due later, after an attempt that failed

    @property
    def total(self) -> int:
        return self.due + self.delayed + self.retrying


@dataclass(frozen=True, kw_only=True, slots=True)
class LastResult:
    """The execution that ended last."""

    id: str
    state: State
    finished_at: datetime
    run_time: float | None  # of its last attempt; None: it never started


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """What happened in a window of time."""

    counts: Mapping[State, int] = field(default_factory=dict)  # ended in the window; only those that occur
    queue_time: Percentiles | None = None  # from the due time of the last attempt to its start
    run_time: Percentiles | None = None  # of the last attempt
    buckets: Sequence[Bucket] = ()  # the whole window, oldest first, without gaps

    @property
    def failure_rate(self) -> float | None:
        """Failed among those that failed or succeeded, 0 to 1; None where there were none."""
        failed = self.counts.get(State.FAILED, 0)
        ran = failed + self.counts.get(State.SUCCEED, 0)
        return failed / ran if ran else None


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionStatistics:
    """Of one function, which need not be in the project any more."""

    name: str
    counts: Mapping[State, int]  # all that are stored; only states that occur
    activity: Activity
    queue: QueueDepth
    places_taken: int  # started or aborting
    last: LastResult | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    now: datetime
    since: datetime  # where the window and its first bucket begin
    bucket_width: timedelta
    is_complete: bool  # False while an emulator that has just started still reads what ended long ago
    counts: Mapping[State, int]  # all that are stored; every state is there
    activity: Activity
    queue: QueueDepth
    places_taken: int  # started or aborting, those that wait for others too
    functions: Mapping[str, FunctionStatistics]  # by name: all of the project, and all that ever ran

    @property
    def total(self) -> int:
        return sum(self.counts.values())


# --- errors -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorGroup:
    """Failed executions whose errors are the same but for numbers, ids and the like."""

    fingerprint: str  # 12 hexadecimal digits, stable over restarts
    name: str  # of the exception's class
    message: str  # of the latest, cut
    code: ErrorCode
    place: str | None  # "defer/send_mail.py:12 in send_mail": the innermost frame of the project's code
    count: int
    functions: Mapping[str, int]  # how many of each
    first_seen: datetime
    last_seen: datetime
    latest: Sequence[str]  # ids of some, newest first


# --- functions ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class UsedArguments:
    """Arguments that a function was called with, to start from."""

    execution_id: str  # the newest that had them
    state: State
    created_at: datetime
    arguments: Arguments


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduledDay:
    """A day of a cron's calendar, in UTC."""

    day: date
    count: int  # how often it fires, from now on if it is today
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """When a cron fires."""

    function: str
    expression: str
    status: FunctionStatus
    paused: bool  # its minutes are skipped
    next: Sequence[datetime]
    days: Sequence[ScheduledDay]  # from today on, without gaps


@dataclass(frozen=True, kw_only=True, slots=True)
class MissedCron:
    """Minutes of a cron that passed while nobody could fire them. They are not replayed."""

    function: str
    first: datetime
    count: int
    noticed_at: datetime


# --- workflows ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Children:
    """Those of one execution that are alike by function and state."""

    function: str
    state: State
    count: int
    latest: str  # the id of one


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """An execution and all that it started, and they."""

    executions: Sequence[Execution]  # oldest first
    awaited: Collection[str]  # ids of those that their parents wait for, or waited
    is_cut: bool  # there are more


# --- logs and lists -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class LogSearch:
    """Lines of all executions. What is left out matches everything."""

    text: str | None = None  # somewhere in the line, whatever the case
    functions: Sequence[str] = ()
    since: datetime | timedelta | None = None  # a duration: that long ago
    stream: Literal["stdout", "stderr", "system"] | None = None
    execution_id: str | None = None
    attempt: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundLine:
    execution_id: str
    function: str
    attempt: int
    time: datetime
    stream: Literal["stdout", "stderr", "system"]
    message: str  # of a long line, some characters around what was searched
    cut: int  # characters of the line that are not in `message`


@dataclass(frozen=True, kw_only=True, slots=True)
class LogPage:
    """Lines of the newest executions first, and of each its latest first."""

    lines: Sequence[FoundLine]  # may be none although there is more: a page reads for some time only
    cursor: str | None  # to go on from; None: everything was read
    searched_to: datetime | None  # when the oldest execution that was looked at was created


@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    number: int
    is_exact: bool  # False: there are at least so many


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundExecutions:
    """A page of a search, newest first."""

    executions: Sequence[Execution]  # may be few although there is more: a search reads for some time only
    page_info: PageInfo
    searched_to: datetime | None  # where the time was over: when the last that was looked at was created
