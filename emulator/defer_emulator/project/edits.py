"""Small changes of files: what is put where, the files as they would be then, and the difference."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from defer_emulator.project.sources import whole_lines


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Edit:
    """Characters of a text that are replaced."""

    start: int  # from 0
    end: int  # where nothing is replaced: `start`
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A file that gets another content, another name, or both."""

    path: Path
    target: Path  # where it is then; `path` where it keeps its name
    raw: bytes  # its content now
    content: bytes  # and then
    before: str = ""  # both as text
    after: str = ""


def is_taken(target: Path, path: Path) -> bool:
    """Whether there is something else than the file `path` by the name that it is to get."""
    return os.path.lexists(target) and not (target.exists() and target.samefile(path))


def overlap(one: Iterable[Edit], other: Iterable[Edit]) -> bool:
    """Whether two sets of edits touch the same characters, or put something at the same place."""
    return any(
        (a.start < b.end and b.start < a.end) or (a.start == a.end == b.start == b.end)
        for a in one
        for b in other
    )


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text with the edits, which do not overlap."""
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def difference(root: Path, change: Change) -> Iterator[str]:
    """The lines of a unified diff, as `git apply` understands it."""
    before, after = (f"{path.relative_to(root).as_posix()}" for path in (change.path, change.target))
    if before != after:
        yield from (f"diff --git a/{before} b/{after}", f"rename from {before}", f"rename to {after}")
    lines = difflib.unified_diff(
        whole_lines(change.before), whole_lines(change.after), f"a/{before}", f"b/{after}", lineterm=""
    )
    for number, line in enumerate(lines):
        yield line.removesuffix("\n")
        if number > 1 and not line.endswith(("\r", "\n")) and not line.startswith("@@"):
            yield "\\ No newline at end of file"
