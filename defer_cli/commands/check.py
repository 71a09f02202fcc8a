"""`defer check`: the mistakes in a project, found without running it, and mended where that is mechanical."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from click import UsageError

from defer_cli.importing import check as check_session
from defer_cli.main import FAILED, OK
from defer_cli.registry import WorkerCommand
from defer_cli.session import Session
from defer_cli.views import FIXABLE, findings, hanging
from defer_emulator.project.check import CheckResult
from defer_emulator.project.diagnostics import Diagnostic, to_json


class Command(WorkerCommand):
    formats = ("text", "json", "jsonl", "github")


def check(
    ctx: typer.Context,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what needs no thought; shows the changes and asks first.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the changes of --fix.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int:
    """Find mistakes in the functions of this project. Exit code 1 when there is an error.

    defer check
      defer check --fix --dry-run
      defer check --output github
    """
    session: Session = ctx.obj
    if (dry_run or yes) and not fix:
        raise UsageError("--dry-run and --yes belong to --fix", ctx=ctx)
    result = check_session(session)
    if fix:
        from defer_cli.fixing import offer
        from defer_emulator.project.fixes import plan_fixes

        plan = plan_fixes(result)
        if offer(session, plan, dry_run=dry_run, yes=yes):
            result = check_session(session)
        elif plan.changes and session.output.is_text:
            return FAILED if result.has_errors or not dry_run else OK
    show(session, result)
    return FAILED if result.has_errors else OK


def show(session: Session, result: CheckResult) -> None:
    """The findings in the format that was asked for."""
    output, found = session.output, result.diagnostics
    if output.format == "json":
        output.value({"findings": [to_json(diagnostic) for diagnostic in found]})
    elif output.format == "jsonl":
        output.rows(to_json(diagnostic) for diagnostic in found)
    elif output.format == "github":
        for diagnostic in found:
            output.line(github_line(diagnostic))
    else:
        from defer_emulator.project.fixes import fixable

        marked = fixable(result) if found else frozenset()
        findings(output, session.root, found, marked)
        output.flush()
        for line in hanging(summary(found, len(marked)), output.width, 2):
            output.note(line)


def summary(found: Sequence[Diagnostic], fixable: int = 0) -> str:
    errors = sum(diagnostic.severity == "error" for diagnostic in found)
    warnings = len(found) - errors
    if not found:
        return "no problems found"
    text = f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
    return f"{text}; {fixable} of them ({FIXABLE}) can be mended with: defer check --fix" if fixable else text


def github_line(diagnostic: Diagnostic) -> str:
    """A workflow command, which GitHub shows beside the line of the file."""
    message = _escape(f"{diagnostic.message}\nfix: {diagnostic.fix}\nsee: {diagnostic.docs}")
    place = f"file={_escape_property(diagnostic.file)},line={diagnostic.line},col={diagnostic.column}"
    return f"::{diagnostic.severity} {place},title={diagnostic.code}::{message}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
