"""Colours of a terminal in printed text, as HTML. Pure, and safe with any input: all text is escaped, only
the colours and weights of SGR sequences become classes, and every other control sequence disappears."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")

# ECMA-48: control sequences, then strings (titles, links) up to their terminator or the end of the line,
# then other escapes; last, control characters that mean nothing in a page.
_CONTROL = re.compile(
    r"(?:\x1b\[|\x9b)(?P<parameters>[0-?]{0,64})[ -/]{0,8}(?P<final>[@-~])"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]{0,8}[0-~]?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """What an SGR sequence can turn on. Colours are 0 to 15."""

    foreground: int | None = None
    background: int | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    inverse: bool = False

    @property
    def classes(self) -> str:
        names = [name for name in ("bold", "dim", "italic", "underline", "inverse") if getattr(self, name)]
        for prefix, colour in (("fg", self.foreground), ("bg", self.background)):
            if colour is not None:
                bright = "bright-" if colour >= 8 else ""
                names.append(f"{prefix}-{bright}{_COLOURS[colour % 8]}")
        return " ".join(f"ansi-{name}" for name in names)


PLAIN = Style()
_ON = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse"}
_OFF = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("inverse",)}


def ansi_to_html(text: str) -> Markup:
    """Markup of a text that was printed.

    >>> ansi_to_html("\\x1b[31mno <luck>\\x1b[0m.")
    Markup('<span class="ansi-fg-red">no &lt;luck&gt;</span>.')
    """
    if _CONTROL.search(text) is None:
        return escape(text)
    parts: list[Markup] = []
    style, place = PLAIN, 0
    for found in _CONTROL.finditer(text):
        parts.append(_piece(text[place : found.start()], style))
        place = found.end()
        if found["final"] == "m":
            style = apply_sgr(style, found["parameters"])
    parts.append(_piece(text[place:], style))
    return Markup("").join(parts)


def strip_ansi(text: str) -> str:
    """The text alone."""
    return _CONTROL.sub("", text)


def apply_sgr(style: Style, parameters: str) -> Style:
    """The style after `ESC [ parameters m`. What is unknown changes nothing.

    >>> apply_sgr(PLAIN, "1;38;5;9").classes
    'ansi-bold ansi-fg-bright-red'
    """
    if not re.fullmatch(r"[0-9;:]*", parameters):
        return style
    numbers = [int(number) if number else 0 for number in re.split("[;:]", parameters)]
    while numbers:
        code = numbers.pop(0)
        if code in (38, 48):
            colour = _extended(numbers)
            style = replace(style, foreground=colour) if code == 38 else replace(style, background=colour)
        else:
            style = _apply(style, code)
    return style


def _apply(style: Style, code: int) -> Style:
    if code == 0:
        return PLAIN
    if code in _ON:
        return replace(style, **{_ON[code]: True})
    if code in _OFF:
        return replace(style, **dict.fromkeys(_OFF[code], False))
    for first, bright in ((30, 0), (90, 8)):
        if first <= code < first + 8:
            return replace(style, foreground=code - first + bright)
        if first + 10 <= code < first + 18:
            return replace(style, background=code - first - 10 + bright)
    if code == 39:
        return replace(style, foreground=None)
    if code == 49:
        return replace(style, background=None)
    return style


def _extended(numbers: list[int]) -> int | None:
    """The nearest of our 16 colours to `5;n` or `2;r;g;b`, which it takes from the list."""
    kind = numbers.pop(0) if numbers else None
    if kind == 5 and numbers:
        index = numbers.pop(0)
        if index < 16:
            return index
        if index < 232:
            cube = divmod(min(index, 231) - 16, 36)
            return _nearest(cube[0] * 51, cube[1] // 6 * 51, cube[1] % 6 * 51)
        grey = (min(index, 255) - 232) * 11
        return _nearest(grey, grey, grey)
    if kind == 2 and len(numbers) >= 3:
        red, green, blue = numbers[:3]
        del numbers[:3]
        return _nearest(red, green, blue)
    return None


def _nearest(red: int, green: int, blue: int) -> int | None:
    """One of the 16; None for a grey in the middle, which is left to the page."""
    low, high = min(red, green, blue), max(red, green, blue)
    if high - low < 32:
        return 0 if high < 64 else 15 if low > 192 else None
    middle = (low + high) / 2
    colour = (red > middle) + 2 * (green > middle) + 4 * (blue > middle)
    return colour + (8 if high > 200 else 0)


def _piece(text: str, style: Style) -> Markup:
    if not text or style is PLAIN or not style.classes:
        return escape(text)
    return Markup('<span class="{}">{}</span>').format(style.classes, text)
