"""The blocks of a Markdown document, and outputs compared apart from what differs in each run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """What stands between two fences."""

    language: str
    text: str
    line: int  # of the opening fence


def blocks(document: Path) -> Iterator[Block]:
    """All fenced blocks, in order."""
    language, start, inside = "", 0, list[str]()
    is_open = False
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.startswith("```"):
            inside.append(line)
        elif is_open:
            is_open = False
            yield Block(language=language, text="\n".join(inside) + "\n", line=start)
        else:
            is_open, language, start, inside = True, line[3:].strip(), number, []
    assert not is_open, f"{document}:{start}: the block is never closed"


_MASKS = (
    (r"\x1b\[[0-9;]*m", ""),  # colours
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "ID"),
    (r"\b(?=[a-f]*[0-9])[0-9a-f]{8}\b", "ID"),
    (r"(127\.0\.0\.1|port):? ?\d+", "ADDRESS"),
    (r"\d{4}-\d{2}-\d{2}[T ]?", ""),
    (r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?", "TIME"),
    (r"(in |)(\d+(\.\d+)? ?(µs|ms|s|m|min|h|d)\b ?)+(ago|later|)", "TIME"),
    (r"\bnow\b", "TIME"),
    (r"\bpid \d+", "PID"),
    (r"\b\d+\.\d+\.\d+\b", "VERSION"),
    (r"(?<=\s)/\S+", "PATH"),
    (r"[ \t]+", " "),
)


def masked(text: str) -> list[str]:
    """The lines without ids, times, ports and widths; empty ones are left out."""
    for pattern, instead in _MASKS:
        text = re.sub(pattern, instead, text)
    return [line.strip() for line in text.splitlines() if line.strip()]


def missing(expected: str, actual: str) -> list[str]:
    """The lines of `expected` that `actual` does not have, whatever else it has, in whatever order."""
    found = masked(actual)
    return [line for line in masked(expected) if line not in found]
