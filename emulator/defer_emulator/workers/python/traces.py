"""Tracebacks as the author of a function wants them: without the frames that ran it."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

import defer_client
import defer_emulator

_OURS = tuple(str(Path(package.__path__[0])) + os.sep for package in (defer_client, defer_emulator))
_RUNNERS = (str(Path(os.__file__).parent / "asyncio") + os.sep, str(Path(os.__file__).parent / "importlib"))
_FROZEN = "<frozen importlib"


def without_our_frames(error: BaseException) -> None:
    """Take the frames of this package, and those that only led to the function, out of an exception.

    What it was raised from, or while handling, is treated alike.
    """
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        current = queue.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        current.__traceback__ = _stripped(current.__traceback__)
        queue += [current.__cause__, current.__context__, *getattr(current, "exceptions", ())]


def _stripped(trace: TracebackType | None) -> TracebackType | None:
    kept: list[TracebackType] = []
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        leading = not kept and file.startswith(_RUNNERS)
        if not (leading or file.startswith(_OURS) or file.startswith(_FROZEN)):
            kept.append(trace)
        trace = trace.tb_next
    below: TracebackType | None = None
    for frame in reversed(kept):
        below = TracebackType(below, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return below


def last_place(error: BaseException, root: str) -> tuple[str, int] | None:
    """The deepest file of the project, with its line, that an exception came through."""
    if isinstance(error, SyntaxError) and error.filename and is_of_project(error.filename, root):
        return error.filename, error.lineno or 1
    place: tuple[str, int] | None = None
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if is_of_project(file, root):
            place = file, trace.tb_lineno
        trace = trace.tb_next
    return place


def is_of_project(file: str, root: str) -> bool:
    """Whether a file is the project's own: below its root, and not installed there."""
    if not file.startswith(root.rstrip(os.sep) + os.sep):
        return False
    parts = Path(file[len(root) :]).parts
    return not any(part in ("site-packages", "dist-packages", "node_modules") for part in parts)
