"""`defer reschedule`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import typer

from defer_cli.bulk import DryRun, Limit, Yes, act
from defer_cli.filters import FilteredCommand, is_filtered
from defer_cli.parameters import IdsThenTime
from defer_cli.session import Session
from defer_client.durations import parse_when
from defer_client.errors import InvalidDuration
from defer_client.models import Execution, State

Command = FilteredCommand

LIKE_AN_ID = re.compile(
    r"@.*|([0-9a-f]{4,12}|[0-9a-f]{8}-[0-9a-f-]*|[0-9a-f-]*-[0-9a-f]{12})(\.[0-9]+)?", re.IGNORECASE
)
"""Its short form, its beginning or its end. A date such as 2026-02-30 is none."""


def reschedule(
    ctx: typer.Context,
    words: IdsThenTime = None,
    limit: Limit = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> int:
    """Move the due time of executions that have not started: to now, or to WHEN.

    WHEN is a duration from now or a time; a time without an offset is UTC.

    defer reschedule 1f2e3d4c
      defer reschedule 1f2e3d4c 2h
      defer reschedule @last 2026-01-31T08:00:00Z
      defer reschedule --function send_mail 10m
    """
    session: Session = ctx.obj
    ids, when = split_when(words or [], by_filter=is_filtered(ctx))

    def action(execution_id: str) -> list[Execution]:
        return [session.call(session.backend.reschedule_execution(execution_id, when))]

    return act(
        ctx, ids, action, verb="reschedule", states=(State.CREATED,), limit=limit, dry_run=dry_run, yes=yes
    )


def split_when(words: Sequence[str], *, by_filter: bool) -> tuple[list[str], timedelta | datetime | None]:
    """The ids and the new time among the words; None is now.

    The time is the last word. It may be the only one where filters choose the executions.
    Raises `InvalidDuration` where it is neither a time nor like an id.
    """
    ids = list(words)
    if len(ids) + by_filter < 2 or not ids:
        return ids, None
    last = ids[-1].strip()
    if last.lower() == "now":
        return ids[:-1], None
    try:
        return ids[:-1], parse_when(last, "WHEN")
    except InvalidDuration:
        if LIKE_AN_ID.fullmatch(last) and not by_filter:
            return ids, None
        raise
