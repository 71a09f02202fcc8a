"""`defer prune`: delete finished executions that are not kept any longer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated

import typer
from click import UsageError

from defer_cli.asking import agreed
from defer_cli.bulk import Bar, DryRun, Yes
from defer_cli.main import FAILED, OK
from defer_cli.session import Session
from defer_client.durations import parse_duration
from defer_emulator.config import Retention
from defer_emulator.domain.texts import size
from defer_emulator.operations.retention import PAUSE, Clearing, shrink
from defer_emulator.store.retention import Pruned, contents_size
from defer_emulator.store.shrinking import file_size, free_size


def prune(
    ctx: typer.Context,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="DURATION", help="What ended longer ago. [retention]"),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> int:
    """Delete finished executions, with their attempts, logs and metadata, and make the file smaller.

    An execution goes together with everything that it started, once all of that has ended.
    Without --older-than, what `retention` in the configuration does not keep.

    defer prune --older-than 7d --dry-run
      defer prune --older-than "12 hours" --yes
    """
    session: Session = ctx.obj
    store = session.store
    clearing = Clearing(store, _retention(session, older_than))
    found = clearing.preview()
    if dry_run or not found.executions:
        _show(session, found, dry_run=dry_run)
        return OK
    question = f"delete {_counts(found)}, about {size(found.size)}?"
    if not yes and not agreed(session, question, instead="add --yes, or look first with --dry-run"):
        session.output.note("nothing was deleted")
        return FAILED
    before = contents_size(store)
    deleted = _delete(session, clearing.steps(), found.executions)
    freed = max(0, before - contents_size(store))
    _make_smaller(session)
    _show(session, deleted, freed=freed)
    return OK


def _retention(session: Session, older_than: str | None) -> Retention:
    if older_than is not None:
        return Retention(age=parse_duration(older_than, "--older-than"))
    retention = session.config.retention
    if retention == Retention():
        raise UsageError("say what goes: --older-than 7d, or set retention in the configuration")
    return retention


def _delete(session: Session, steps: Iterator[Pruned], expected: int) -> Pruned:
    deleted, pause = Pruned(), PAUSE if session.server_runs() else 0.0
    bar = Bar(session.output, expected)
    try:
        for step in steps:
            deleted += step
            bar.show(min(deleted.executions, expected))
            time.sleep(pause)
    finally:
        bar.leave()
    return deleted


def _make_smaller(session: Session) -> None:
    for _ in shrink(session.store):
        time.sleep(PAUSE if session.server_runs() else 0.0)
    free = free_size(session.store)
    if free:
        session.output.note(
            f"the file keeps {size(free)} for what comes next; to make it smaller, stop defer dev and prune"
            " again, or set retention in the configuration"
        )


def _counts(pruned: Pruned) -> str:
    return (
        f"{_count(pruned.executions, 'execution')}, {_count(pruned.attempts, 'attempt')}"
        f" and {_count(pruned.lines, 'line')} of logs"
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _show(session: Session, pruned: Pruned, *, dry_run: bool = False, freed: int | None = None) -> None:
    total = file_size(session.store)
    if not session.output.is_text:
        session.output.value(
            {
                "executions": pruned.executions,
                "attempts": pruned.attempts,
                "log_lines": pruned.lines,
                "bytes": pruned.size if freed is None else freed,
                "file_bytes": total,
                "dry_run": dry_run,
            }
        )
    elif not pruned.executions:
        session.output.line(f"nothing to delete; the file has {size(total)}")
    elif freed is None:
        session.output.line(f"would delete {_counts(pruned)}: about {size(pruned.size)} of {size(total)}")
    else:
        session.output.line(f"deleted {_counts(pruned)}: {size(freed)}; the file has {size(total)} now")
