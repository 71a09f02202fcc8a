"""Charts as inline SVG, drawn here: no script, and no style but classes. Shapes stretch with the page, so
texts stand beside them in HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from markupsafe import Markup, escape

_HEIGHT = 100.0  # units of a chart; the style sheet says how tall it is


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One bar of a stack: values by class, from the bottom up, and what it says when it is pointed at."""

    values: Mapping[str, float]
    title: str

    @property
    def total(self) -> float:
        return sum(self.values.values())


def stacked_bars(bars: Sequence[Bar], label: str, top: float | None = None) -> Markup:
    """Bars side by side. Each value's key is the class of its part, as `is-succeed`. `top` is the value at
    the upper edge; without it, the highest bar reaches it. `label` says it all to who cannot see it."""
    highest = top or max((bar.total for bar in bars), default=0) or 1
    parts = [_bar(bar, index * 10, highest) for index, bar in enumerate(bars)]
    return _svg("chart bars", len(bars) * 10, label, parts)


def _bar(bar: Bar, left: float, highest: float) -> Markup:
    level = _HEIGHT
    rects = [Markup('<rect class="hit" x="{}" y="0" width="10" height="100"/>').format(left)]
    for name, value in bar.values.items():
        if value <= 0:
            continue
        # Never thinner than a line: one failure among ten thousand is to be seen.
        height = max(value / highest * _HEIGHT, 1.2)
        level -= height
        rects.append(
            Markup('<rect class="is-{}" x="{}" y="{}" width="8" height="{}"/>').format(
                name, left + 1, _round(max(level, 0)), _round(height)
            )
        )
    return Markup("<g><title>{}</title>{}</g>").format(bar.title, Markup("").join(rects))


def spark_bars(bars: Sequence[Mapping[str, float]], label: str) -> Markup:
    """Small bars for a row of a table, as one path for each class."""
    highest = max((sum(bar.values()) for bar in bars), default=0) or 1
    paths: dict[str, list[str]] = {}
    for index, bar in enumerate(bars):
        level = _HEIGHT
        for name, value in bar.items():
            if value > 0:
                height = max(value / highest * _HEIGHT, 4)
                level -= height
                paths.setdefault(name, []).append(f"M{index * 10 + 1} {max(level, 0):.0f}h8v{height:.0f}h-8z")
    parts = [
        Markup('<path class="is-{}" d="{}"/>').format(name, "".join(path)) for name, path in paths.items()
    ]
    return _svg("chart spark-bars", len(bars) * 10, label, parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """A stretch of time that several rows share."""

    start: datetime
    end: datetime

    def place(self, moment: datetime) -> float:
        """0 to 1000; what lies outside is at its edge."""
        whole = (self.end - self.start).total_seconds()
        share = (moment - self.start).total_seconds() / whole if whole > 0 else 0.0
        return min(max(share, 0.0), 1.0) * 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A part of a row: what happened from when to when. Its kind is its class."""

    kind: str
    start: datetime
    end: datetime


_SPAN_SHAPES = {
    "delayed": (7, 2),
    "queued": (5, 6),
    "waiting": (6, 4),
}  # top and height of 16; else all of it
_THINNEST = 3.0  # of 1000: a millisecond of an hour is to be seen


def spans(found: Sequence[Span], axis: Axis, label: str) -> Markup:
    """One row of a waterfall. Later spans are drawn over earlier ones."""
    return _row(
        [_span(span, axis) for span in found if span.start <= axis.end and span.end >= axis.start], label
    )


def _span(span: Span, axis: Axis) -> Markup:
    top, height = _SPAN_SHAPES.get(span.kind, (2, 12))
    left, right = axis.place(span.start), axis.place(span.end)
    width = max(right - left, _THINNEST if height == 12 else 0.0)
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
        span.kind, _round(min(left, 1_000 - width)), top, _round(width), height
    )


_STEPS = 120  # of a row that stands for many


def crowd(found: Sequence[Span], axis: Axis, label: str) -> Markup:
    """One row for many: how many of each kind there were at a time, relative to the most."""
    kinds = list(dict.fromkeys(span.kind for span in found))
    levels = {kind: [0] * (_STEPS + 1) for kind in kinds}
    for span in found:
        first, last = (
            min(int(axis.place(end) * _STEPS / 1_000), _STEPS - 1) for end in (span.start, span.end)
        )
        levels[span.kind][first] += 1  # one more from here on
        levels[span.kind][last + 1] -= 1
    levels = {kind: list(accumulate(steps[:_STEPS])) for kind, steps in levels.items()}
    highest = max((max(steps) for steps in levels.values()), default=0) or 1
    return _row([_area(kind, levels[kind], highest) for kind in kinds], label)


def _area(kind: str, steps: Sequence[int], highest: int) -> Markup:
    width = 1_000 / _STEPS
    parts, place = [], 0
    while place < _STEPS:
        end = place
        while end < _STEPS and steps[end] == steps[place]:
            end += 1
        if steps[place]:
            height = max(steps[place] / highest * 14, 2)
            left, right = place * width, end * width
            parts.append(f"M{_round(left)} 15H{_round(right)}V{_round(15 - height)}H{_round(left)}z")
        place = end
    return Markup('<path class="{}" d="{}"/>').format(kind, "".join(parts))


def _row(parts: Sequence[Markup], label: str) -> Markup:
    head = Markup(
        '<svg class="chart spans" viewBox="0 0 1000 16" preserveAspectRatio="none" role="img"'
        ' aria-label="{}">'
    )
    return head.format(label) + Markup("").join(parts) + Markup("</svg>")


def axis_top(highest: float) -> int:
    """A round number at or above the highest value: 1, 2, 5 or 10 times a power of ten.

    >>> axis_top(7), axis_top(230), axis_top(0)
    (10, 500, 1)
    """
    step = 1
    while True:
        for factor in (1, 2, 5):
            if highest <= step * factor:
                return step * factor
        step *= 10


def _svg(kind: str, width: float, label: str, parts: Sequence[Markup]) -> Markup:
    head = Markup(
        '<svg class="{}" viewBox="0 0 {} 100" preserveAspectRatio="none" role="img" aria-label="{}">'
    )
    return head.format(kind, _round(width), escape(label)) + Markup("").join(parts) + Markup("</svg>")


def _round(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
