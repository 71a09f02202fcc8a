"""`defer logs`: what an execution printed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer
from click import UsageError

from defer_cli.parameters import ExecutionId
from defer_cli.session import Session
from defer_client.models import LogLine
from defer_client.wire import log_line_to_json

FOLLOW_INTERVAL = 0.1  # seconds
STYLES = {"stdout": "", "stderr": "yellow", "system": "dim"}


def logs(
    ctx: typer.Context,
    execution_id: ExecutionId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until it has finished.")] = False,
) -> None:
    """Show what an execution printed, in all its attempts or in one.

    defer logs @last -f
      defer logs 1f2e3d4c.2
    """
    session: Session = ctx.obj
    if follow and session.output.format == "json":
        raise UsageError("--follow prints as it comes, which JSON cannot: take --output jsonl", ctx=ctx)
    found = session.resolve(execution_id)
    if not follow:
        _print(session, session.call(session.backend.get_execution_logs(found)), attempt=0)
        return
    if not session.server_runs():
        session.output.note("no emulator runs here; start it with: defer dev")
    _follow(session, found)


def _follow(session: Session, execution_id: str) -> None:
    shown, attempt = 0, 0
    version: int | None = None
    while True:
        before, version = version, session.version()
        if before is None or version != before:
            finished = session.call(session.backend.get_execution(execution_id)).state.is_final
            lines = session.call(session.backend.get_execution_logs(execution_id))
            attempt = _print(session, lines[shown:], attempt)
            shown = len(lines)
            session.output.flush()
            if finished:
                return
        time.sleep(FOLLOW_INTERVAL)


def _print(session: Session, lines: Sequence[LogLine], attempt: int) -> int:
    """Print lines; a head announces each attempt after the first. Returns the last one's number."""
    output = session.output
    if not output.is_text:
        output.rows(log_line_to_json(line) for line in lines)
        return 0
    for line in lines:
        if line.attempt != attempt and (attempt or line.attempt > 1):
            output.line(f"--- attempt {line.attempt} ---", "dim")
        attempt = line.attempt
        clock = output.style(line.time.strftime("%H:%M:%S.%f")[:-3], "dim")
        output.line(f"{clock}  {output.style(line.message, STYLES[line.stream])}")
    return attempt
