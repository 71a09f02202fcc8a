"""`defer stats`: what ran, how often it failed, how long it waited and took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from defer_cli.filters import moment_of
from defer_cli.functions import find_spec
from defer_cli.output import Output
from defer_cli.parameters import complete_names
from defer_cli.session import Session
from defer_cli.text import STATE_STYLES, Cell, Column, bar, duration, moment, sparkline, wrapped
from defer_cli.views import OF_INTEREST
from defer_client.models import State
from defer_client.wire import time_to_json
from defer_emulator.domain.insight import Activity, FunctionStatistics, QueueDepth

if TYPE_CHECKING:
    from defer_emulator.domain.insight import Percentiles, Statistics

BAR = 24  # columns
BUCKETS = 48

STATES = (
    Column(title="STATE"),
    Column(title="COUNT", right=True),
    Column(title="SHARE", right=True),
    Column(title="", rank=1),
)
TIMES = (
    Column(title=""),
    *(Column(title=title, right=True, rank=rank) for title, rank in (("P50", 0), ("P90", 4), ("P95", 2))),
    Column(title="P99", right=True, rank=3),
    Column(title="MAX", right=True, rank=1),
)
FUNCTIONS = (
    Column(title="FUNCTION", least=12),
    Column(title="ENDED", right=True),
    Column(title="FAILED", right=True),
    Column(title="RATE", right=True),
    Column(title="WAITING", right=True, rank=4),
    Column(title="RUNNING", right=True, rank=5),
    Column(title="QUEUE P50", right=True, rank=7),
    Column(title="QUEUE P95", right=True, rank=6),
    Column(title="RUN P50", right=True, rank=3),
    Column(title="RUN P95", right=True, rank=2),
)


def stats(
    ctx: typer.Context,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="What ended since: a duration such as 1h, or a time."),
    ] = None,
    function: Annotated[
        str | None,
        typer.Option(
            "--function", "-f", metavar="NAME", help="Only this one.", autocompletion=complete_names
        ),
    ] = None,
) -> None:
    """Count and time what is stored: by state and function, with percentiles and the rate of failures.

    defer stats --since 1h
      defer stats --function send_mail --output json
    """
    session: Session = ctx.obj
    start = moment_of(session, since, "--since")
    window = None if start is None else max(timedelta(seconds=1), session.now() - start)
    found = session.call(session.operations.statistics(window=window, buckets=BUCKETS))
    functions = dict(found.functions)
    if function is not None:
        name = function if function in functions else find_spec(session, function).name
        functions = {name: functions.get(name) or nothing_of(name)}
    if session.output.format == "json":
        session.output.value(to_dict(found, functions, whole=function is None))
    elif session.output.format == "jsonl":
        session.output.rows(map(_function_to_dict, functions.values()))
    else:
        _Screen(session.output, found, functions, since=start, whole=function is None).show()


def nothing_of(name: str) -> FunctionStatistics:
    """Of a function that never ran, and that no emulator has loaded."""
    return FunctionStatistics(
        name=name, counts={}, activity=Activity(), queue=QueueDepth(), places_taken=0, last=None
    )


# --- as JSON ------------------------------------------------------------------------------------


def to_dict(found: Statistics, functions: Mapping[str, FunctionStatistics], *, whole: bool) -> dict[str, Any]:
    """What `--output json` prints. Durations are seconds; `window` is about what ended since `since`."""
    one: Statistics | FunctionStatistics = found if whole else next(iter(functions.values()))
    return {
        "now": time_to_json(found.now),
        "since": time_to_json(found.since),
        **_facts(one),
        "buckets": {
            "seconds": found.bucket_width.total_seconds(),
            "data": [
                {"start": time_to_json(bucket.start), "counts": _counts(bucket.counts)}
                for bucket in one.activity.buckets
            ],
        },
        "functions": [_function_to_dict(function) for function in functions.values()],
    }


def _facts(one: Statistics | FunctionStatistics) -> dict[str, Any]:
    activity = one.activity
    return {
        "counts": _counts(one.counts),
        "queue": {"due": one.queue.due, "delayed": one.queue.delayed, "retrying": one.queue.retrying},
        "running": one.places_taken,
        "window": {
            "counts": _counts(activity.counts),
            "failure_rate": activity.failure_rate,
            "queue_time": None if activity.queue_time is None else asdict(activity.queue_time),
            "run_time": None if activity.run_time is None else asdict(activity.run_time),
        },
    }


def _function_to_dict(function: FunctionStatistics) -> dict[str, Any]:
    return {"name": function.name, **_facts(function)}


def _counts(counts: Mapping[State, int]) -> dict[str, int]:
    return {state.value: counts[state] for state in State if counts.get(state)}


# --- for people ---------------------------------------------------------------------------------


class _Screen:
    """`since`: what was asked for; None: everything. `whole`: of all functions."""

    def __init__(
        self,
        output: Output,
        found: Statistics,
        functions: Mapping[str, FunctionStatistics],
        *,
        since: datetime | None,
        whole: bool,
    ) -> None:
        self.output = output
        self.found = found
        self.functions = functions
        self.since = since
        self.one: Statistics | FunctionStatistics = found if whole else next(iter(functions.values()))
        self.whole = whole

    def show(self) -> None:
        output, one = self.output, self.one
        if not one.counts or not sum(one.counts.values()):
            output.note("no executions yet; start one: defer run NAME")
            return
        span = "all that is stored" if self.since is None else f"since {moment(self.since)}"
        name = "" if self.whole else f"{next(iter(self.functions))}: "
        output.line(f"{name}{span}", "bold")
        queue = one.queue
        standing = (
            f"waiting {queue.due:,}, delayed {queue.delayed:,}, for a retry {queue.retrying:,};"
            f" running {one.places_taken:,}"
        )
        for line in wrapped(standing, output.width):
            output.line(line)
        output.line()
        self._states()
        self._times(one.activity)
        if self.whole:
            output.line()
            output.table(FUNCTIONS, [_row(function) for function in self.functions.values()])

    def _states(self) -> None:
        """Of a window: what ended in it; otherwise all that is stored."""
        counts = self.one.counts if self.since is None else self.one.activity.counts
        total = sum(counts.values())
        if not total:
            self.output.line("nothing ended", "dim")
        rows = [
            [
                Cell(text=state.value, style=STATE_STYLES[state]),
                Cell(text=f"{counts[state]:,}"),
                Cell(text=_percent(counts[state] / total)),
                Cell(text=bar(counts[state] / total, BAR), style=STATE_STYLES[state]),
            ]
            for state in OF_INTEREST
            if counts.get(state)
        ]
        if rows:
            self.output.table(STATES, rows)

    def _times(self, activity: Activity) -> None:
        output = self.output
        rows = [
            _durations(label, times)
            for label, times in (("queue time", activity.queue_time), ("run time", activity.run_time))
            if times is not None
        ]
        if rows:
            output.line()
            output.table(TIMES, rows)
            timed = 0 if activity.run_time is None else activity.run_time.count
            if timed < activity.counts.get(State.SUCCEED, 0):
                output.line(f"times are those of the latest {timed:,}", "dim")
        if activity.failure_rate is not None:
            output.line()
            output.line(f"failure rate {_percent(activity.failure_rate)}")
        heights = [
            sum(count for state, count in bucket.counts.items() if state.is_final)
            for bucket in activity.buckets
        ]
        if len(heights) > 1:
            if output.width is not None:
                heights = heights[-max(8, output.width - 24) :]
            width = duration(self.found.bucket_width.total_seconds())
            output.line(f"ended, each {width}  {output.style(sparkline(heights), 'cyan')}")


def _row(function: FunctionStatistics) -> list[Cell]:
    activity = function.activity
    ended, failed = sum(activity.counts.values()), activity.counts.get(State.FAILED, 0)
    rate = activity.failure_rate
    return [
        Cell(text=function.name, style="bold"),
        Cell(text=f"{ended:,}"),
        Cell(text=f"{failed:,}", style="red" if failed else ""),
        Cell(text="-" if rate is None else _percent(rate)),
        Cell(text=_some(function.queue.total)),
        Cell(text=_some(function.places_taken)),
        *(Cell(text=text) for text in _middle_and_high(activity.queue_time)),
        *(Cell(text=text) for text in _middle_and_high(activity.run_time)),
    ]


def _some(count: int) -> str:
    return f"{count:,}" if count else "-"


def _middle_and_high(times: Percentiles | None) -> tuple[str, str]:
    return ("-", "-") if times is None else (duration(times.p50), duration(times.p95))


def _durations(label: str, times: Percentiles) -> list[Cell]:
    values = (times.p50, times.p90, times.p95, times.p99, times.highest)
    return [Cell(text=label, style="dim"), *(Cell(text=duration(value)) for value in values)]


def _percent(share: float) -> str:
    """Whole, but for what would look like nothing or everything: `<1%`."""
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"
