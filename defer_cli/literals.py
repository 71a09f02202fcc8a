"""JSON values as Python source, on short lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from defer_client.models import Json

WIDTH = 88  # columns: what the common formatters leave as it is
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def literal(value: Json, indent: int, before: int = 0) -> str:
    """`value` as an expression whose further lines are indented by so many columns.

    `before` is how many columns its first line has already, beside the indentation.

    >>> print(literal({"a": [1, "x"]}, 0))
    {"a": [1, "x"]}
    """
    short = _on_one_line(value)
    if indent + before + len(short) + 1 <= WIDTH:
        return short
    if isinstance(value, str):
        return _long_text(value, indent)
    if isinstance(value, Mapping) and value:
        pairs = ((text(str(key)), item) for key, item in value.items())
        lines = (f"{key}: {literal(item, indent + 4, len(key) + 2)}" for key, item in pairs)
        return _block("{", lines, "}", indent)
    if isinstance(value, Sequence) and value:
        return _block("[", (literal(item, indent + 4) for item in value), "]", indent)
    return short


def _block(opening: str, lines: Iterator[str], closing: str, indent: int) -> str:
    space = " " * indent
    inner = "".join(f"{space}    {line},\n" for line in lines)
    return f"{opening}\n{inner}{space}{closing}"


def _on_one_line(value: Json) -> str:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        pairs = (f"{text(str(key))}: {_on_one_line(item)}" for key, item in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_on_one_line, value))}]"
    return repr(value)


def text(value: str) -> str:
    """A string, with the quotes that need fewer escapes, double ones if in doubt.

    >>> print(text("it's"), text('say "hi"'))
    "it's" 'say "hi"'
    """
    quote = "'" if value.count('"') > value.count("'") else '"'
    return quote + "".join(_escaped(character, quote) for character in value) + quote


def _escaped(character: str, quote: str) -> str:
    if character == quote:
        return f"\\{character}"
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _long_text(value: str, indent: int) -> str:
    """Pieces that Python joins; a line of the text ends a piece."""
    space, room = " " * indent, max(20, WIDTH - indent - 8)
    lines = [f"{space}    {text(piece)}\n" for piece in _pieces(value, room)]
    return f"(\n{''.join(lines)}{space})"


def _pieces(value: str, room: int) -> Iterator[str]:
    """Not longer than `room` as source, as far as escapes can be foreseen."""
    piece, used = "", 0
    for character in value:
        size = len(_escaped(character, '"'))
        if piece and (used + size > room or piece.endswith("\n")):
            yield piece
            piece, used = "", 0
        piece += character
        used += size
    yield piece
