"""`defer check`: the mistakes in a project, without running it."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from defer_cli.importing import check as check_session
from defer_cli.registry import DeferCommand
from defer_cli.session import Session
from defer_cli.views import findings
from defer_emulator.project.diagnostics import Diagnostic, to_json


class Command(DeferCommand):
    formats = ("text", "json", "jsonl", "github")


def check(ctx: typer.Context) -> int:
    """Find mistakes in the functions of this project. Exit code 1 when there is an error.

    defer check
      defer check --output github
    """
    session: Session = ctx.obj
    found = check_session(session).diagnostics
    output = session.output
    if output.format == "json":
        output.value({"findings": [to_json(diagnostic) for diagnostic in found]})
    elif output.format == "jsonl":
        output.rows(to_json(diagnostic) for diagnostic in found)
    elif output.format == "github":
        for diagnostic in found:
            output.line(github_line(diagnostic))
    else:
        findings(output, session.root, found)
        output.note(summary(found))
    return 1 if any(diagnostic.severity == "error" for diagnostic in found) else 0


def summary(found: Sequence[Diagnostic]) -> str:
    errors = sum(diagnostic.severity == "error" for diagnostic in found)
    warnings = len(found) - errors
    if not found:
        return "no problems found"
    return f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"


def github_line(diagnostic: Diagnostic) -> str:
    """A workflow command, which GitHub shows beside the line of the file."""
    message = _escape(f"{diagnostic.message}\n{diagnostic.fix}")
    place = f"file={_escape_property(diagnostic.file)},line={diagnostic.line},col={diagnostic.column}"
    return f"::{diagnostic.severity} {place},title={diagnostic.code}::{message}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
