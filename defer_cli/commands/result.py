"""`defer result`: the result of an execution, as JSON."""

from __future__ import annotations

import typer

from defer_cli.parameters import ExecutionId
from defer_cli.session import Session
from defer_client.models import State


def result(
    ctx: typer.Context,
    execution_id: ExecutionId,
) -> int:
    """Print the result of an execution as JSON; of a failed one its error, with exit code 1.

    defer result @last
    """
    session: Session = ctx.obj
    found = session.resolve(execution_id)
    value = session.call(session.backend.get_execution_result(found))
    session.output.value(value)
    return 1 if session.call(session.backend.get_execution(found)).state is State.FAILED else 0
