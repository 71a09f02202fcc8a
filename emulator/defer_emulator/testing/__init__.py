"""Testing background functions: the emulator inside of the test's process, on a clock that the test moves.

With pytest, use the fixture `defer_emulator`; elsewhere, the context manager:

>>> with emulator() as defer_emulator:  # doctest: +SKIP
...     delay(remind, "1 day").enqueue("ada")
...     defer_emulator.advance("1 day")
...     defer_emulator.assert_succeeded(remind)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from defer_client.durations import parse_when
from defer_client.errors import InvalidOption
from defer_emulator.testing.driving import Step
from defer_emulator.testing.emulator import Emulator, Left
from defer_emulator.testing.functions import Functions, load_project_of
from defer_emulator.testing.records import Record

__all__ = ["Emulator", "Left", "Record", "Step", "emulator", "new_emulator"]

_LEFT = ("failed", "waiting")


@contextmanager
def emulator(
    *, allow: Left | Collection[Left] = (), start: datetime | str | None = None
) -> Iterator[Emulator]:
    """An emulator for the calls of the block, whoever makes them.

    `allow`: what it may leave behind, "failed" or "waiting" executions or both; else the block raises
    `AssertionError` for them at its end. `start`: what its clock shows first; None: the present time.
    """
    allowed = allowed_left(allow)
    made = new_emulator(start=start)
    try:
        yield made
        made.check(allowed)
    finally:
        made.close()


def new_emulator(
    *,
    start: datetime | str | None = None,
    folder: Path | None = None,
    namespace: Mapping[str, Any] | None = None,
    foreign_files: Collection[str] = (),
) -> Emulator:
    """An emulator that its maker closes.

    `folder` lies in the project whose functions it has, by default the working directory; see `Functions` for
    the others.
    """
    moment = None if start is None else parse_when(start, "start")
    if moment is not None and not isinstance(moment, datetime):
        raise InvalidOption(f"start must be a moment such as 2026-01-31T08:00, not {start!r}")
    project = load_project_of(folder or Path.cwd())
    functions = Functions(project, namespace or {}, foreign_files)
    return Emulator(functions, start=moment, max_concurrency=project.config.max_concurrency)


def allowed_left(allow: object) -> frozenset[Left]:
    """What a test may leave behind. Raises `InvalidOption` for anything else."""
    given = (allow,) if isinstance(allow, str) else allow
    if not isinstance(given, Collection) or not all(one in _LEFT for one in given):
        raise InvalidOption(f'allow must be "failed", "waiting" or a list of them, not {allow!r}')
    return frozenset(given)
