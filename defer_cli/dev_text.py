"""The pieces of text that `defer dev` shows of events."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

from defer_cli.text import clock_line, moment
from defer_client.models import Failure
from defer_client.wire import time_to_json
from defer_emulator.notify.events import ClockMoved, Reloaded

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MAX_FRAMES = 6
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


def failure_lines(failure: Failure, root: Path) -> list[str]:
    """The frames of the user's own code, innermost last: `defer/send.py:12 in send   raise ValueError`."""
    frames: list[str] = []
    lines = failure.stack.splitlines()
    for place, line in enumerate(lines):
        found = _FRAME.match(line)
        if found is None or _FOREIGN.search(found["file"]):
            continue
        file = Path(found["file"])
        if file.is_absolute():
            if not file.is_relative_to(root):
                continue
            file = file.relative_to(root)
        source = lines[place + 1].strip() if place + 1 < len(lines) else ""
        name = f" in {found['name']}" if found["name"] else ""
        frames.append(f"{file}:{found['line']}{name}" + ("" if _FRAME.match(source) else f"  {source}"))
    return frames[-MAX_FRAMES:]


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
