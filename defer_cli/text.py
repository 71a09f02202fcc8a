"""How values look to people: times, durations, short ids, tables that fit the width."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

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
    # A little short of a day is a day: minutes after `--delay 1d` it is not said to be due in 23 hours.
    distance = abs(seconds) * (1.005 if abs(seconds) >= 3_580 else 1)
    span = duration(round(distance)).partition(" ")[0]
    return f"in {span}" if seconds > 0 else f"{span} ago"


def clock_line(now: datetime, mode: str, offset: timedelta) -> str:
    """`2026-01-31 08:00:00 UTC, running, 3d ahead of real time`."""
    seconds = offset.total_seconds()
    if abs(seconds) >= 3_600:  # an advance takes some time itself: "3d", not "2d 23h"
        seconds = round(seconds / 60) * 60
    side = "ahead of" if seconds > 0 else "behind"
    return f"{moment(now)}, {mode}" + (f", {duration(abs(seconds))} {side} real time" if seconds else "")


# What a terminal obeys instead of showing it, ends a line, or turns the order of characters around.
# Compiled (and kept by `re`) on first use: most texts have none of it.
_CONTROL = "[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
_SEQUENCE = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, the cursor
    r"|(?:\x1b[P\]X^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # titles, links
    r"|\x1b[ -/]*[0-~]?"
)
_COLOUR = r"\x1b\[[0-9;:]*m"


def one_line(text: str) -> str:
    """Without line ends or other control characters, each a space, so that it cannot disturb the screen."""
    return text if text.isprintable() else re.sub(_CONTROL, " ", text)


def safe(text: str, *, colour: bool = False) -> str:
    """A line that somebody's program printed, harmless to a terminal.

    Escape sequences vanish, `colour` keeps those that colour. Of what a carriage return overwrote, the last
    is left. Other control characters are shown by their number.

    >>> safe("\\x1b[31mred\\x1b[0m \\x07 10%\\r20%\\r")
    '20%'
    >>> safe("a\\x1b]0;title\\x07\\x08b")
    'a\\\\x08b'
    """
    if text.isprintable():
        return text
    text = text.rstrip("\r").rpartition("\r")[2]
    kept: list[str] = []
    start = 0
    for found in re.finditer(_SEQUENCE, text):
        kept.append(re.sub(_CONTROL, _shown, text[start : found.start()]))
        if colour and re.fullmatch(_COLOUR, found[0]):
            kept.append(found[0])
        start = found.end()
    kept.append(re.sub(_CONTROL, _shown, text[start:]))
    return "".join(kept) + ("\x1b[0m" if any(piece.startswith("\x1b") for piece in kept) else "")


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    return "\t" if code == 9 else f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


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


class Cell(NamedTuple):  # made by the thousand, and by every command: cheaper than a dataclass
    text: str
    style: str = ""


class Column(NamedTuple):
    """A column of a table. One with a `least` width shrinks when the terminal is narrow; columns with a
    `rank` leave altogether, the highest first, when that is not enough. A `spare` one leaves before any
    other has to shrink."""

    title: str
    least: int | None = None
    rank: int = 0
    spare: bool = False
    right: bool = False  # aligned


def wrapped(text: str, columns: int | None) -> list[str]:
    """A line as lines of at most so many columns, broken between words where it can be.

    >>> wrapped("one two three", 8)
    ['one two', 'three']
    """
    if columns is None or width(text) <= columns:
        return [text]
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        while width(joined) > columns:
            if line:
                lines.append(line.rstrip())
                line, joined = "", word
            else:
                head = cut(joined, columns + 1)[:-1] or joined[:1]
                lines.append(head)
                joined = joined[len(head) :]
        line = joined
    return [*lines, line]


def bar(share: float, columns: int) -> str:
    """A part of a whole, 0 to 1: `████░░░░`."""
    filled = round(max(0.0, min(1.0, share)) * columns)
    return "█" * filled + "░" * (columns - filled)


def sparkline(values: Sequence[float]) -> str:
    """Numbers as heights, beside the highest of them: `▁▃█▁`."""
    highest = max(values, default=0)
    steps = "▁▂▃▄▅▆▇█"
    return "".join(
        steps[min(7, 1 + int(7 * value / highest))] if value > 0 else (" " if not highest else steps[0])
        for value in values
    )


def table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[Cell]],
    columns_wide: int | None,
    *,
    colour: bool,
    header: bool = True,
) -> list[str]:
    """The lines of a table, its header first. `columns_wide` is None where nothing has to fit."""
    cells = [[Cell(text=one_line(cell.text), style=cell.style) for cell in row] for row in rows]
    widths = [
        max([width(column.title) if header else 0, *(width(row[index].text) for row in cells)])
        for index, column in enumerate(columns)
    ]
    shown = [index for index in range(len(columns)) if not cells or any(row[index].text for row in cells)]
    if columns_wide is not None:
        widths, shown = _fit(columns, widths, shown, columns_wide)
    titles = [[Cell(text=column.title, style="dim") for column in columns]] if header else []
    rights = [column.right for column in columns]
    return [_line(row, shown, widths, rights, columns_wide, colour) for row in (*titles, *cells)]


def _fit(
    columns: Sequence[Column], natural: list[int], shown: list[int], available: int
) -> tuple[list[int], list[int]]:
    """The widths and the columns that fit: shrunk first, then with fewer columns."""
    while True:
        widths = list(natural)
        excess = sum(widths[index] for index in shown) + 2 * (len(shown) - 1) - available
        spare = any(columns[index].spare for index in shown)
        for index in sorted(shown, key=lambda index: -widths[index]):
            least = columns[index].least
            if least is not None and excess > 0 and columns[index].spare == spare:
                smaller = max(min(least, widths[index]), widths[index] - excess)
                excess -= widths[index] - smaller
                widths[index] = smaller
        droppable = [index for index in shown if columns[index].rank and columns[index].spare >= spare]
        if excess <= 0 or not droppable:
            return widths, shown
        dropped = max(droppable, key=lambda index: columns[index].rank)
        shown = [index for index in shown if index != dropped]


def _line(
    row: Sequence[Cell],
    shown: list[int],
    widths: list[int],
    rights: Sequence[bool],
    columns_wide: int | None,
    colour: bool,
) -> str:
    parts, used = [], 0
    for index in shown:
        room = widths[index] if columns_wide is None else min(widths[index], max(0, columns_wide - used))
        text = cut(row[index].text, room)
        padding = " " * (widths[index] - width(text))
        painted = paint(text, row[index].style) if colour else text
        parts.append(padding + painted if rights[index] else painted + padding)
        used += widths[index] + 2
    return "  ".join(parts).rstrip()
