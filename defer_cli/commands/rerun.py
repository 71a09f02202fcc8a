"""`defer rerun`."""

from __future__ import annotations

from typing import Annotated

import typer
from click import UsageError

from defer_cli.bulk import DryRun, Limit, Yes, act
from defer_cli.filters import FilteredCommand
from defer_cli.main import FAILED
from defer_cli.parameters import ExecutionIds
from defer_cli.session import Session
from defer_client.models import Arguments, Execution

Command = FilteredCommand


def rerun(
    ctx: typer.Context,
    ids: ExecutionIds = None,
    edit: Annotated[
        bool, typer.Option("--edit", help="Edit its arguments first, as JSON in $VISUAL or $EDITOR.")
    ] = False,
    limit: Limit = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> int:
    """Run executions again: new ones with the same function, arguments and metadata, due now.

    defer rerun @last-failed
      defer rerun --edit @last-failed
      defer rerun --state failed --function send_mail --since 1h
    """
    session: Session = ctx.obj
    if edit and (dry_run or len(ids or ()) != 1):
        raise UsageError("--edit takes one id, and no --dry-run", ctx=ctx)

    def action(execution_id: str) -> list[Execution]:
        if edit:
            return _edited(session, execution_id, yes=yes)
        return [session.call(session.backend.rerun_execution(execution_id))]

    return act(ctx, ids or (), action, verb="rerun", limit=limit, dry_run=dry_run, yes=yes)


def _edited(session: Session, execution_id: str, *, yes: bool) -> list[Execution]:
    """Rerun with the arguments that the person leaves in the editor."""
    from defer_cli.asking import agreed
    from defer_cli.editing import edit_arguments
    from defer_cli.functions import check_fit, find_parameters

    operations = session.operations  # before somebody edits in vain
    execution = session.call(session.backend.get_execution(execution_id))
    arguments = session.call(session.backend.get_execution_arguments(execution_id))
    name, parameters = find_parameters(session, execution.function_name)

    def check(found: Arguments) -> None:
        check_fit(name, parameters, found)

    changed = edit_arguments(session, arguments, parameters, check)
    question = "no argument was changed: rerun it as it was?"
    if changed == arguments and not (yes or agreed(session, question, instead="add --yes to rerun it so")):
        session.output.note("nothing was done")
        raise typer.Exit(FAILED)
    return [session.call(operations.rerun_with(execution_id, changed))]
