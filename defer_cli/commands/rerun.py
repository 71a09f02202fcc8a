"""`defer rerun`."""

from __future__ import annotations

import typer

from defer_cli.bulk import DryRun, Limit, Yes, act
from defer_cli.filters import FilteredCommand
from defer_cli.parameters import ExecutionIds
from defer_cli.session import Session
from defer_client.models import Execution

Command = FilteredCommand


def rerun(
    ctx: typer.Context,
    ids: ExecutionIds = None,
    limit: Limit = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> int:
    """Run executions again: new ones with the same function, arguments and metadata, due now.

    defer rerun @last-failed
      defer rerun --state failed --function send_mail --since 1h
    """
    session: Session = ctx.obj

    def action(execution_id: str) -> list[Execution]:
        return [session.call(session.backend.rerun_execution(execution_id))]

    return act(ctx, ids or (), action, verb="rerun", limit=limit, dry_run=dry_run, yes=yes)
