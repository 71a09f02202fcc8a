"""Tracebacks with lines of their source: of the project's own files, and of nothing else on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from defer_client.models import Failure
from defer_emulator.domain.fingerprints import frames_of

AROUND = 2  # lines before and after
SHOWN = 6  # frames of the project's own code, the innermost
LONGEST_LINE = 200  # characters
LARGEST_FILE = 1_000_000  # bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceLine:
    number: int
    text: str
    is_hit: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownFrame:
    """A place in the project's own code."""

    file: str  # relative to the root
    line: int
    function: str
    source: Sequence[SourceLine]  # none where it cannot be read, or is another line by now


def own_frames(failure: Failure, root: Path | None) -> list[ShownFrame]:
    """The innermost first."""
    if root is None:
        return []
    found = [frame for frame in frames_of(failure.stack, str(root)) if frame.is_own]
    return [
        ShownFrame(
            file=frame.file,
            line=frame.line,
            function=frame.function[:LONGEST_LINE],
            source=excerpt(root, frame.file, frame.line, failure.stack),
        )
        for frame in reversed(found[-SHOWN:])
    ]


def excerpt(root: Path, file: str, line: int, stack: str = "") -> list[SourceLine]:
    """Some lines of a Python file below the root. A traceback can name any file: what lies elsewhere, also by
    links, is not read; and where `stack` has another line at that place, the file was changed since."""
    lines = _lines(root, file)
    if not 1 <= line <= len(lines):
        return []
    if lines[line - 1].strip() not in stack:
        return []
    first = max(1, line - AROUND)
    return [
        SourceLine(number=number, text=text[:LONGEST_LINE], is_hit=number == line)
        for number, text in enumerate(lines[first - 1 : line + AROUND], first)
    ]


def _lines(root: Path, file: str) -> list[str]:
    try:
        top = root.resolve(strict=True)
        path = (top / file).resolve(strict=True)
        is_own = path.is_relative_to(top) and path.suffix == ".py" and path.is_file()
        if not is_own or path.stat().st_size > LARGEST_FILE:
            return []
        return path.read_bytes().decode("utf-8", "replace").splitlines()
    except (OSError, ValueError, RuntimeError):  # a loop of links is a RuntimeError before Python 3.13
        return []
