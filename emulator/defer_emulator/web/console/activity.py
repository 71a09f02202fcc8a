"""What happened over time, as charts: of everything, and of one function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup

from defer_client.models import State
from defer_emulator.domain.insight import Activity, Bucket
from defer_emulator.web.console import charts

# From the bottom of a bar upwards: what went well, what did not, and what has not ended.
STACK = (
    State.SUCCEED,
    State.FAILED,
    State.ABORTED,
    State.CANCELLED,
    State.DISCARDED,
    State.ABORTING,
    State.STARTED,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """A window of time that a page can show, up to now."""

    key: str
    window: timedelta | None  # None: everything
    buckets: int


RANGES = (
    Range(key="1h", window=timedelta(hours=1), buckets=60),
    Range(key="6h", window=timedelta(hours=6), buckets=72),
    Range(key="24h", window=timedelta(days=1), buckets=48),
    Range(key="7d", window=timedelta(days=7), buckets=56),
    Range(key="all", window=None, buckets=60),
)
DEFAULT_RANGE = RANGES[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A drawn chart with its scale, the states in it, and the same as rows of a table."""

    svg: Markup
    top: int
    left: str
    middle: str
    right: str
    states: Sequence[State]
    rows: Sequence[tuple[str, Bucket]]  # the stretches in which something happened


def range_of(key: str) -> Range:
    return next((one for one in RANGES if one.key == key), DEFAULT_RANGE)


def activity_chart(activity: Activity, width: timedelta) -> Chart:
    """Bars stacked by state; `width` is that of a bar."""
    buckets = activity.buckets
    top = charts.axis_top(max((bucket.total for bucket in buckets), default=0))
    states = [state for state in STACK if any(bucket.counts.get(state) for bucket in buckets)]
    bars = [charts.Bar(values=_values(bucket), title=_title(bucket, width)) for bucket in buckets]
    total = sum(bucket.total for bucket in buckets)
    return Chart(
        svg=charts.stacked_bars(
            bars, f"Executions over time: {total} in all; the table has the numbers", top
        ),
        top=top,
        left=_label(buckets[0].start, width) if buckets else "",
        middle=_label(buckets[len(buckets) // 2].start, width) if buckets else "",
        right="now",
        states=states,
        rows=[(_span(bucket, width), bucket) for bucket in buckets if bucket.total],
    )


def activity_spark(activity: Activity) -> Markup:
    """The same, small, for the row of a function."""
    bars = [_values(bucket) for bucket in activity.buckets]
    return charts.spark_bars(bars, f"{sum(activity.counts.values())} executions ended, over time")


def _values(bucket: Bucket) -> dict[str, float]:
    return {state.value: bucket.counts[state] for state in STACK if bucket.counts.get(state)}


def _title(bucket: Bucket, width: timedelta) -> str:
    counts = ", ".join(f"{bucket.counts[state]} {state}" for state in STACK if bucket.counts.get(state))
    return f"{_span(bucket, width)}: {counts or 'nothing'}"


def _span(bucket: Bucket, width: timedelta) -> str:
    end = bucket.start + width
    day = f"{bucket.start:%d %b} " if width >= timedelta(hours=1) else ""
    return f"{day}{bucket.start:%H:%M} – {end:%H:%M}"


def _label(moment: datetime, width: timedelta) -> str:
    return f"{moment:%d %b %H:%M}" if width >= timedelta(minutes=30) else f"{moment:%H:%M}"
