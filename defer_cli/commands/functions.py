"""`defer functions`: what the project has."""

from __future__ import annotations

import typer

from defer_cli.functions import known_functions
from defer_cli.registry import WorkerCommand
from defer_cli.session import Session
from defer_cli.views import function_to_json, functions_table

Command = WorkerCommand


def functions(ctx: typer.Context) -> None:
    """List the functions of this project with their schedules and limits.

    defer functions
      defer functions --output json
    """
    session: Session = ctx.obj
    found = known_functions(session)
    if not session.output.is_text:
        session.output.rows(function_to_json(function) for function in found)
    elif found:
        functions_table(session.output, found)
        for function in found:
            if function.problem is not None:
                session.output.note(f"{function.spec.name} cannot run: {function.problem}", "yellow")
    else:
        session.output.note("no functions yet; add one with: defer new NAME")
