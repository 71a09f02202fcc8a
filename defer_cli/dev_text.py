"""The pieces of text that `defer dev` shows of events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from defer_cli.text import clock_line, cut, moment, one_line
from defer_client.models import Failure
from defer_client.wire import time_to_json
from defer_emulator.notify.events import ClockMoved, Reloaded

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
INDENT = " " * 14  # where the names of functions begin
MAX_FRAMES = 6
MAX_HEADLINE = 300  # columns
_FRAME = re.compile(r'\s*File "(?P<file>.+)", line (?P<line>\d+)(?:, in (?P<name>.+))?$')
_FOREIGN = re.compile(r"[/\\](?:site-packages|dist-packages|\.venv|venv)[/\\]|^<")


def moment_of(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def iso_time(microseconds: int) -> str:
    return time_to_json(moment_of(microseconds))


def clock_time(microseconds: int) -> str:
    """`08:00:01.123`, in UTC like all times here."""
    return moment_of(microseconds).strftime("%H:%M:%S.%f")[:-3]


def clock_day(microseconds: int) -> str:
    """`Sat 2026-01-31`."""
    return f"{moment_of(microseconds):%a %Y-%m-%d}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """A line of the user's own code in a traceback."""

    file: Path  # absolute
    shown: str  # relative to the root: `defer/send.py:12`
    line: int
    rest: str  # ` in send  raise ValueError`


def user_frames(failure: Failure, root: Path) -> list[Frame]:
    """The frames of the project's own files, innermost last."""
    frames: list[Frame] = []
    lines = failure.stack.splitlines()
    for place, line in enumerate(lines):
        found = _FRAME.match(line)
        if found is None or _FOREIGN.search(found["file"]):
            continue
        file = root / found["file"]
        if not file.is_relative_to(root):
            continue
        source = lines[place + 1].strip() if place + 1 < len(lines) else ""
        name = f" in {found['name']}" if found["name"] else ""
        frames.append(
            Frame(
                file=file,
                shown=f"{file.relative_to(root)}:{found['line']}",
                line=int(found["line"]),
                rest=name + ("" if _FRAME.match(source) else f"  {source}"),
            )
        )
    return frames[-MAX_FRAMES:]


def headline(failure: Failure) -> str:
    """`ValueError: no such user`, in one line."""
    text = failure.name if failure.message in ("", failure.name) else f"{failure.name}: {failure.message}"
    return cut(one_line(text), MAX_HEADLINE)


def clock_text(event: ClockMoved) -> str:
    """`clock: 2026-01-31 08:00:00 UTC, running, 3d ahead of real time`."""
    if event.target is not None:
        return f"clock: advancing to {moment(moment_of(event.target))}"
    offset = timedelta(microseconds=event.offset)
    return f"clock: {clock_line(moment_of(event.at), event.mode, offset)}"


def reload_text(event: Reloaded) -> str:
    """`reloaded in 24ms: defer/send.py; added welcome`."""
    parts = [", ".join(event.changed)] if event.changed else []
    for word, names in (
        ("added", event.added),
        ("removed", event.removed),
        ("updated", event.updated),
        ("broken", event.broken),
    ):
        if names:
            parts.append(f"{word} {', '.join(names)}")
    return f"reloaded in {event.seconds * 1_000:.0f}ms" + (f": {'; '.join(parts)}" if parts else "")
