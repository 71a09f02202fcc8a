"""`defer cancel`."""

from __future__ import annotations

from typing import Annotated

import typer

from defer_cli.bulk import DryRun, Limit, Yes, act
from defer_cli.filters import FilteredCommand
from defer_cli.parameters import ExecutionIds
from defer_cli.session import Session
from defer_client.models import Execution, State

Command = FilteredCommand


def cancel(
    ctx: typer.Context,
    ids: ExecutionIds = None,
    force: Annotated[bool, typer.Option("--force", help="Abort it too when it runs already.")] = False,
    tree: Annotated[bool, typer.Option("--tree", help="And everything that it started.")] = False,
    limit: Limit = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> int:
    """Cancel executions that have not started. With --force, abort those that run.

    defer cancel 1f2e3d4c
      defer cancel @last --force --tree
      defer cancel --function send_mail --dry-run
    """
    session: Session = ctx.obj

    def action(execution_id: str) -> list[Execution]:
        if tree:
            return session.call(session.operations.cancel_tree(execution_id, force=force))
        return [session.call(session.backend.cancel_execution(execution_id, force=force))]

    states = (State.CREATED, State.STARTED) if force else (State.CREATED,)
    return act(
        ctx,
        ids or (),
        action,
        verb="cancel",
        states=states,
        several=tree,
        limit=limit,
        dry_run=dry_run,
        yes=yes,
    )
