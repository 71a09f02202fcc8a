"""How values look to people: times, durations, short ids, tables that fit the width."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from defer_emulator.domain.texts import duration as duration
from defer_emulator.domain.texts import moment as moment

STATE_STYLES = {
    "created": "blue",
    "started": "yellow",
    "succeed": "green",
    "failed": "red",
    "cancelled": "dim",
    "aborting": "magenta",
    "aborted": "magenta",
    "discarded": "dim",
}

_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "": "",
}


def paint(text: str, style: str) -> str:
    """`text` in a terminal's colour; the styles are the keys of `_CODES`."""
    code = _CODES[style]
    return f"\x1b[{code}m{text}\x1b[0m" if code and text else text


def relative(moment: datetime, now: datetime) -> str:
    """`in 5m`, `2h ago`, `now`."""
    seconds = (moment - now).total_seconds()
    if abs(seconds) < 1:
        return "now"
    span = duration(round(abs(seconds))).partition(" ")[0]
    return f"in {span}" if seconds > 0 else f"{span} ago"


def clock_line(now: datetime, mode: str, offset: timedelta) -> str:
    """`2026-01-31 08:00:00 UTC, running, 3d ahead of real time`."""
    seconds = offset.total_seconds()
    if abs(seconds) >= 3_600:  # an advance takes some time itself: "3d", not "2d 23h"
        seconds = round(seconds / 60) * 60
    side = "ahead of" if seconds > 0 else "behind"
    return f"{moment(now)}, {mode}" + (f", {duration(abs(seconds))} {side} real time" if seconds else "")


def one_line(text: str) -> str:
    """Without line ends or other control characters, so that it cannot disturb the screen."""
    return "".join(" " if unicodedata.category(character) == "Cc" else character for character in text)


def width(text: str) -> int:
    """The columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )


def cut(text: str, columns: int) -> str:
    """At most so many columns; what is cut shows as an ellipsis."""
    if width(text) <= columns:
        return text
    kept, used = "", 0
    for character in text:
        used += width(character)
        if used > columns - 1:
            break
        kept += character
    return kept + "…" if columns > 0 else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    text: str
    style: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of a table. One with a `least` width shrinks when the terminal is narrow; columns with a
    `rank` leave altogether, the highest first, when that is not enough."""

    title: str
    least: int | None = None
    rank: int = 0


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[Cell]], columns_wide: int | None, *, colour: bool
) -> list[str]:
    """The lines of a table, its header first. `columns_wide` is None where nothing has to fit."""
    cells = [[Cell(text=one_line(cell.text), style=cell.style) for cell in row] for row in rows]
    widths = [
        max([width(column.title), *(width(row[index].text) for row in cells)])
        for index, column in enumerate(columns)
    ]
    shown = [index for index in range(len(columns)) if not cells or any(row[index].text for row in cells)]
    if columns_wide is not None:
        widths, shown = _fit(columns, widths, shown, columns_wide)
    header = [Cell(text=column.title, style="dim") for column in columns]
    return [_line(row, shown, widths, columns_wide, colour) for row in (header, *cells)]


def _fit(
    columns: Sequence[Column], natural: list[int], shown: list[int], available: int
) -> tuple[list[int], list[int]]:
    """The widths and the columns that fit: shrunk first, then with fewer columns."""
    while True:
        widths = list(natural)
        excess = sum(widths[index] for index in shown) + 2 * (len(shown) - 1) - available
        for index in sorted(shown, key=lambda index: -widths[index]):
            least = columns[index].least
            if least is not None and excess > 0:
                smaller = max(min(least, widths[index]), widths[index] - excess)
                excess -= widths[index] - smaller
                widths[index] = smaller
        droppable = [index for index in shown if columns[index].rank]
        if excess <= 0 or not droppable:
            return widths, shown
        dropped = max(droppable, key=lambda index: columns[index].rank)
        shown = [index for index in shown if index != dropped]


def _line(
    row: Sequence[Cell], shown: list[int], widths: list[int], columns_wide: int | None, colour: bool
) -> str:
    parts, used = [], 0
    for index in shown:
        room = widths[index] if columns_wide is None else min(widths[index], max(0, columns_wide - used))
        text = cut(row[index].text, room)
        padding = " " * (widths[index] - width(text))
        parts.append((paint(text, row[index].style) if colour else text) + padding)
        used += widths[index] + 2
    return "  ".join(parts).rstrip()
