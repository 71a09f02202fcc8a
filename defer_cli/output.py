"""Where results and notes go: data to stdout, everything else to stderr."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO, get_args

from defer_cli.text import Cell, Column, paint, table

Format = Literal["text", "json", "jsonl", "github"]
FORMATS: tuple[str, ...] = get_args(Format)

ASCII = str.maketrans("…├└│─█░▁▂▃▄▅▆▇·→×–", "~|`|-#._..::==->x-")
"""Our own ornaments, for those who cannot see them."""


class Output:
    """The two streams of a command, and the format that `--output` asked for."""

    def __init__(self, out: TextIO, err: TextIO, environment: Mapping[str, str]) -> None:
        self.format: Format = "text"
        self.out = out
        self.err = err
        self._environment = environment
        self._coloured: dict[TextIO, bool] = {}  # asked for every word that `defer dev` prints
        self._linked: bool | None = None
        self._ascii = not _shows_unicode(out, environment)
        for stream in (out, err):
            if reconfigure := getattr(stream, "reconfigure", None):
                reconfigure(errors="replace")  # a terminal that cannot show a character gets a "?"

    @property
    def is_text(self) -> bool:
        return self.format == "text"

    def is_terminal(self, stream: TextIO | None = None) -> bool:
        return (stream or self.out).isatty()

    def can_move(self, stream: TextIO) -> bool:
        """Whether the cursor can be moved back to change what is shown already."""
        return stream.isatty() and self._environment.get("TERM") != "dumb"

    def colours(self, stream: TextIO) -> bool:
        """https://no-color.org: any value but an empty one switches colours off."""
        if stream not in self._coloured:
            environment = self._environment
            plain = environment.get("NO_COLOR") or environment.get("TERM") == "dumb"
            self._coloured[stream] = not plain and stream.isatty()
        return self._coloured[stream]

    @property
    def width(self) -> int | None:
        """Columns that a line may take; None in a pipe, where nothing is cut."""
        if not self.out.isatty() and not self._environment.get("COLUMNS", "").isdigit():
            return None
        return max(20, shutil.get_terminal_size().columns)

    # --- data ---------------------------------------------------------------------------------

    def line(self, text: str = "", style: str = "") -> None:
        """A line of text on stdout."""
        self.out.write(self._plain(self.style(text, style)) + "\n")

    def style(self, text: str, style: str) -> str:
        return paint(text, style) if self.colours(self.out) else text

    def link(self, text: str, file: Path, line: int) -> str:
        """`text` as a link to a line of a file, where the terminal opens such links."""
        from defer_cli.links import link, supports_links

        if self._linked is None:
            self._linked = self.out.isatty() and supports_links(self._environment)
        return link(text, file, line) if self._linked else text

    def table(
        self,
        columns: Sequence[Column],
        rows: Iterable[Sequence[Cell]],
        *,
        header: bool = True,
        indent: int = 0,
    ) -> None:
        room = None if self.width is None else self.width - indent
        for text in table(columns, rows, room, colour=self.colours(self.out), header=header):
            self.line(" " * indent + text)

    def _plain(self, text: str) -> str:
        """Without ornaments where they could not be seen. Everything stays where it is."""
        return text.translate(ASCII) if self._ascii and not text.isascii() else text

    def value(self, value: Any) -> None:
        """A JSON value: on one line, unless a person looks at a terminal."""
        indent = 2 if self.is_text and self.out.isatty() else None
        self.out.write(self._json(value, indent) + "\n")

    def rows(self, rows: Iterable[Any], **rest: Any) -> None:
        """A list: `{"data": [...]}` with `rest` beside it, or one row a line."""
        if self.format == "jsonl":
            for row in rows:
                self.out.write(self._json(row) + "\n")
        else:
            self.out.write(self._json({"data": list(rows), **rest}) + "\n")

    def _json(self, value: Any, indent: int | None = None) -> str:
        """Escaped where stdout could not show all characters: JSON must stay what it is."""
        unicode = (getattr(self.out, "encoding", None) or "utf-8").lower().startswith("utf")
        return json.dumps(value, ensure_ascii=not unicode, indent=indent)

    @contextmanager
    def captured(self) -> Iterator[list[str]]:
        """What is shown in the block, notes too, becomes lines in this list."""
        streams, lines = (self.out, self.err), list[str]()
        self.out = self.err = written = _Captured(self.out)
        try:
            yield lines
        finally:
            self.out, self.err = streams
            self._coloured.pop(written, None)
            lines += written.getvalue().splitlines()

    def flush(self) -> None:
        self.out.flush()
        self.err.flush()

    # --- notes --------------------------------------------------------------------------------

    def note(self, text: str, style: str = "") -> None:
        """A line for a person, on stderr."""
        self.err.write(self._plain(paint(text, style) if self.colours(self.err) else text) + "\n")
        self.err.flush()

    def error(self, code: str, message: str, hint: str = "") -> None:
        """What went wrong and what to do next, on stderr."""
        if self.format in ("json", "jsonl"):
            self.err.write(to_json({"error": code, "message": message, "hint": hint}) + "\n")
            return
        colour = self.colours(self.err)
        label, advice = ("error:", "hint:")
        self.err.write(f"{paint(label, 'red') if colour else label} {self._plain(message)}\n")
        if hint:
            self.err.write(f"{paint(advice, 'cyan') if colour else advice} {self._plain(hint)}\n")


class _Captured(io.StringIO):
    """Text for a stream, with what that one can show."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def isatty(self) -> bool:
        return self._stream.isatty()


def _shows_unicode(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Python writes UTF-8 in the C locale too, as data may need it; a terminal may not understand it."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    locale = next(filter(None, map(environment.get, ("LC_ALL", "LC_CTYPE", "LANG"))), "")
    return encoding.lower().startswith("utf") and locale not in ("C", "POSIX")


def to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def standard_output() -> Output:
    """The output of this process. A stream that the caller has closed swallows what is written."""
    null = None if sys.stdout and sys.stderr else open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    return Output(sys.stdout or null, sys.stderr or null, os.environ)  # type: ignore[arg-type]
