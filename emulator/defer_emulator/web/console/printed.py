"""Printed lines as markup, within a size: a function can print a megabyte of colours in one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from markupsafe import Markup, escape

from defer_emulator.web.console.ansi import ansi_to_html, strip_ansi

LONGEST = 2_000  # characters of a line that are shown
SHORTEST = 80  # of a line that came after too much
BUDGET = 40_000  # characters of markup for all lines of a page


class Line(Protocol):
    @property
    def time(self) -> datetime: ...
    @property
    def stream(self) -> str: ...
    @property
    def message(self) -> str: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Printed:
    """A line as a page shows it."""

    time: datetime
    stream: str
    html: Markup
    cut: int  # characters that are not shown


def printed(lines: Sequence[Line], *, longest: int = LONGEST, budget: int = BUDGET) -> list[Printed]:
    """The lines in the same order. Once they take more room than there is, each is cut short, and plain."""
    found = []
    for line in lines:
        length = min(longest, len(line.message))
        html = ansi_to_html(line.message[:length])
        if len(html) > max(budget, 2 * SHORTEST) and length > SHORTEST:
            length = SHORTEST
            html = escape(strip_ansi(line.message[:length]))
        budget -= len(html)
        found.append(Printed(time=line.time, stream=line.stream, html=html, cut=len(line.message) - length))
    return found
