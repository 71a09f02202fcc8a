"""`defer doctor`: whether this machine and this project are fit to run."""

from __future__ import annotations

from dataclasses import asdict

import typer

from defer_cli.examining import Finding, examine
from defer_cli.main import FAILED, OK
from defer_cli.output import Output
from defer_cli.registry import WorkerCommand
from defer_cli.session import Session
from defer_cli.text import one_line
from defer_cli.views import hanging

Command = WorkerCommand

INDENT = 14  # columns before a fix, and before what a message goes on with


def doctor(ctx: typer.Context) -> int:
    """Check this machine and this project, with a fix for each problem. Exit code 1 when there is one.

    defer doctor
      defer doctor --output json
    """
    session: Session = ctx.obj
    output = session.output
    found: list[Finding] = []
    for finding in examine(session):
        found.append(finding)
        if output.is_text:
            _show(output, finding)
    if not output.is_text:
        output.rows(asdict(finding) for finding in found)
    return OK if all(finding.ok for finding in found) else FAILED


def _show(output: Output, finding: Finding) -> None:
    mark = output.style("ok", "green") if finding.ok else output.style("!!", "red")
    first, *rest = hanging(f"{finding.name:<9} {one_line(finding.message)}", _room(output, 4), 10)
    output.line(f"{mark}  {first}")
    fix = hanging(f"fix: {one_line(finding.fix)}", _room(output, INDENT), 5) if finding.fix else []
    for line in (*(f"    {line}" for line in rest), *(" " * INDENT + line for line in fix)):
        output.line(line)
    output.flush()


def _room(output: Output, taken: int) -> int | None:
    return None if output.width is None else output.width - taken
