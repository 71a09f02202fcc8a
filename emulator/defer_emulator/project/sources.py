"""Python files as text and tree, with the exact bytes that they were made of. Nothing is imported or run."""

from __future__ import annotations

import ast
import codecs
import re
import stat
import warnings
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", re.MULTILINE)
LINE_END = re.compile(r"\r\n|\r|\n")
DEF = re.compile(r"(?:async\s+)?def\s+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    line: int  # from 1
    column: int  # from 1, in characters
    width: int = field(default=1, compare=False)  # characters of that line which it is about


START = Place(line=1, column=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntaxProblem:
    """Why a file cannot be read as Python."""

    place: Place
    message: str
    fix: str = "correct the syntax"


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """What a file says, and how its bytes say it. Line ends are as they are in the file."""

    text: str
    encoding: str = "utf-8"
    mark: bytes = b""  # the byte order mark before it

    def but(self, text: str) -> Text:
        """Another text as the same kind of file."""
        return replace(self, text=text)

    def encode(self) -> bytes:
        """The bytes of the file. Raises `UnicodeEncodeError`."""
        return self.mark + self.text.encode(self.encoding)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Module:
    """A file that is Python."""

    source: Text
    tree: ast.Module

    @property
    def text(self) -> str:
        return self.source.text

    def place(self, node: ast.expr | ast.stmt | ast.keyword | ast.arg) -> Place:
        """Where a node is: all of its first line."""
        start = self.column(node.lineno, node.col_offset)
        if node.end_lineno == node.lineno and node.end_col_offset is not None:
            end = self.column(node.lineno, node.end_col_offset)
        else:
            end = len(self.line(node.lineno).rstrip())
        return Place(line=node.lineno, column=start + 1, width=max(1, end - start))

    def name_place(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Place:
        """Where the name of a function is, after its `def`."""
        line = self.line(node.lineno)
        start = self.column(node.lineno, node.col_offset)
        found = DEF.match(line, start)
        if found is None or not line.startswith(node.name, found.end()):
            return self.place(node)  # on another line, or in other characters of the same meaning
        return Place(line=node.lineno, column=found.end() + 1, width=len(node.name))

    def start_of(self, place: Place) -> int:
        """Characters from the beginning of the text."""
        return line_starts(self.text)[place.line - 1] + place.column - 1

    def line(self, number: int) -> str:
        return lines(self.text)[number - 1]

    def column(self, line: int, offset: int) -> int:
        """Characters, from 0: Python counts bytes."""
        if self.text.isascii():
            return offset
        return len(self.line(line).encode()[:offset].decode("utf-8", "replace"))

    def offset(self, line: int, column: int) -> int:
        """Characters from the beginning of the text; `column` is Python's."""
        return line_starts(self.text)[line - 1] + self.column(line, column)


@lru_cache(maxsize=4)
def lines(text: str) -> list[str]:
    """As Python counts them, without their ends."""
    return LINE_END.split(text)


@lru_cache(maxsize=4)
def line_starts(text: str) -> list[int]:
    return [0, *(found.end() for found in LINE_END.finditer(text))]


def whole_lines(text: str) -> list[str]:
    """With their ends."""
    starts = [*line_starts(text), len(text)]
    return [text[start:end] for start, end in pairwise(starts) if start < end]


def read_module(path: Path) -> Module | SyntaxProblem:
    """Read a Python file. Whatever is in it, this raises nothing."""
    fix = "make it a readable file, or remove it"
    try:
        raw = read_bytes(path)
    except OSError as error:
        return SyntaxProblem(place=START, message=f"cannot be read: {error.strerror}", fix=fix)
    try:
        source = decode(raw)
    except UnicodeDecodeError as error:
        place = _after(error.object[: error.start].decode(error.encoding, "replace"))
        message = f"not valid {error.encoding}: byte {error.object[error.start]:#04x}"
        return SyntaxProblem(place=place, message=message, fix="save the file as UTF-8")
    except (LookupError, UnicodeError) as error:
        return SyntaxProblem(place=START, message=f"{error}")
    return parse(source)


def parse(source: Text) -> Module | SyntaxProblem:
    """The tree of a text. Raises nothing."""
    text = source.text
    if "\0" in text:
        place = _after(text[: text.index("\0")])
        return SyntaxProblem(place=place, message="source code cannot contain null bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like are the linters' business
            return Module(source=source, tree=ast.parse(text))
    except SyntaxError as error:
        place = Place(line=max(error.lineno or 1, 1), column=max(error.offset or 1, 1))
        return SyntaxProblem(place=place, message=error.msg)
    except (ValueError, RecursionError, MemoryError) as error:
        return SyntaxProblem(place=START, message=str(error) or "nested too deeply")


def _after(text: str) -> Place:
    """The place of what follows a text."""
    found = LINE_END.split(text)
    return Place(line=len(found), column=len(found[-1]) + 1)


def read_bytes(path: Path) -> bytes:
    """The content of a regular file. Raises `OSError`; a pipe or a device, which may have no end, too."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(0, "it is no regular file")
    return path.read_bytes()


def decode(raw: bytes) -> Text:
    """Raises `UnicodeError`, and `LookupError` for an encoding that nobody knows."""
    mark = codecs.BOM_UTF8 if raw.startswith(codecs.BOM_UTF8) else b""
    coding = CODING.search(b"\n".join(raw.split(b"\n", 2)[:2]))
    encoding = "utf-8" if coding is None or mark else coding[1].decode("ascii")
    return Text(text=raw[len(mark) :].decode(encoding), encoding=encoding, mark=mark)


def shown_lines(path: Path) -> list[str]:
    """The lines of any file, for an excerpt; none where it cannot be read."""
    try:
        raw = read_bytes(path)
    except OSError:
        return []
    try:
        return lines(decode(raw).text)
    except (ValueError, LookupError):
        return lines(raw.decode("utf-8-sig", "replace"))
