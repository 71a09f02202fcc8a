"""Where results and notes go: data to stdout, everything else to stderr."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TextIO, get_args

from defer_cli.text import Cell, Column, paint, table

Format = Literal["text", "json", "jsonl", "github"]
FORMATS: tuple[str, ...] = get_args(Format)


class Output:
    """The two streams of a command, and the format that `--output` asked for."""

    def __init__(self, out: TextIO, err: TextIO, environment: Mapping[str, str]) -> None:
        self.format: Format = "text"
        self.out = out
        self.err = err
        self._environment = environment
        self._coloured: dict[TextIO, bool] = {}  # asked for every word that `defer dev` prints
        for stream in (out, err):
            if reconfigure := getattr(stream, "reconfigure", None):
                reconfigure(errors="replace")  # a terminal that cannot show a character gets a "?"

    @property
    def is_text(self) -> bool:
        return self.format == "text"

    def is_terminal(self, stream: TextIO | None = None) -> bool:
        return (stream or self.out).isatty()

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
        self.out.write((self.style(text, style)) + "\n")

    def style(self, text: str, style: str) -> str:
        return paint(text, style) if self.colours(self.out) else text

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
        for text in table(columns, rows, self.width, colour=self.colours(self.out)):
            self.out.write(text + "\n")

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
    def frame(self) -> Iterator[None]:
        """What is written in the block replaces the screen, without a flicker."""
        screen, notes = self.out, self.err
        self.out = self.err = painted = _Frame()
        try:
            yield
        finally:
            self.out, self.err = screen, notes
        height = shutil.get_terminal_size().lines
        lines = painted.getvalue().splitlines()[: height - 1]
        screen.write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J")
        screen.flush()

    def flush(self) -> None:
        self.out.flush()
        self.err.flush()

    # --- notes --------------------------------------------------------------------------------

    def note(self, text: str, style: str = "") -> None:
        """A line for a person, on stderr."""
        self.err.write((paint(text, style) if self.colours(self.err) else text) + "\n")
        self.err.flush()

    def error(self, code: str, message: str, hint: str = "") -> None:
        """What went wrong and what to do next, on stderr."""
        if self.format in ("json", "jsonl"):
            self.err.write(to_json({"error": code, "message": message, "hint": hint}) + "\n")
            return
        colour = self.colours(self.err)
        label, advice = ("error:", "hint:")
        self.err.write(f"{paint(label, 'red') if colour else label} {message}\n")
        if hint:
            self.err.write(f"{paint(advice, 'cyan') if colour else advice} {hint}\n")

    def progress(self, done: int, total: int) -> None:
        """A bar on stderr while something long goes on; nothing without a terminal."""
        if not self.err.isatty():
            return
        filled = 30 * done // max(1, total)
        end = "\n" if done == total else ""
        self.err.write(f"\r[{'#' * filled}{'.' * (30 - filled)}] {done}/{total}{end}")
        self.err.flush()


class _Frame(io.StringIO):
    """Text for a terminal."""

    def isatty(self) -> bool:
        return True


def to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def standard_output() -> Output:
    """The output of this process. A stream that the caller has closed swallows what is written."""
    null = None if sys.stdout and sys.stderr else open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    return Output(sys.stdout or null, sys.stderr or null, os.environ)  # type: ignore[arg-type]
