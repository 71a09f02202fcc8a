"""`defer why`: what an execution waits for, or what became of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from defer_cli.parameters import ExecutionId
from defer_cli.session import Session
from defer_cli.text import one_line, wrapped
from defer_cli.views import describe
from defer_emulator.domain.why import Reason, Why


def why(ctx: typer.Context, execution_id: ExecutionId) -> None:
    """Explain what an execution waits for, or what became of it, and which command helps.

    defer why 1f2e3d4c
      defer why @last-failed
    """
    session: Session = ctx.obj
    answer = session.call(session.operations.why(session.resolve(execution_id)))
    if not session.output.is_text:
        session.output.value(to_json(answer))
        return
    output = session.output
    output.line(describe(output, answer.execution))
    for reason in answer.reasons:
        for line in wrapped(one_line(reason.message), output.width and output.width - 2):
            output.line(f"  {line}")
    for command in dict.fromkeys(command for reason in answer.reasons for command in reason.commands):
        output.line(f"    {command}", "dim")


def to_json(answer: Why) -> dict[str, Any]:
    """The first reason beside the execution's id and state; all others in `also`."""
    return {
        "id": answer.execution.id,
        "state": answer.execution.state.value,
        **_reason(answer.main),
        "also": [_reason(reason) for reason in answer.reasons[1:]],
    }


def _reason(reason: Reason) -> dict[str, Any]:
    fields = asdict(reason)
    return {"reason": fields.pop("kind"), **fields}
