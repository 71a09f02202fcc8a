"""Charts as inline SVG, drawn here: no script, and no style but classes. Shapes stretch with the page, so
texts stand beside them in HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
