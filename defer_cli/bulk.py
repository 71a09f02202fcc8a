"""Acting on one execution, on several, or on all that filters find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import click
import typer
from click import UsageError

from defer_cli.asking import agreed
from defer_cli.filters import chosen, is_filtered, narrowed
from defer_cli.main import FAILED, OK, exit_code
from defer_cli.session import Session
from defer_cli.views import describe, executions_table
from defer_client.errors import DeferError
from defer_client.models import MAX_PAGE_SIZE, Execution, Page, State
from defer_client.wire import execution_to_json
from defer_emulator.operations import Search

Limit = Annotated[int | None, typer.Option("--limit", "-n", metavar="N", min=1, help="At most so many.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

NO_MORE = {"has_next_page": False, "has_prev_page": False, "start_cursor": "", "end_cursor": ""}

Action = Callable[[str], list[Execution]]
"""What is done to one id; the executions that it changed or made."""


def act(
    ctx: click.Context,
    ids: Sequence[str],
    action: Action,
    *,
    verb: str,
    states: Sequence[State] = (),
    several: bool = False,
    limit: int | None = None,
    dry_run: bool = False,
    yes: bool = False,
) -> int:
    """Do it to the given ids, or, after asking, to what the filters find. Returns the exit code.

    `verb` is what the question asks, such as "cancel"; `states` are those in which it can succeed;
    `several`: one id may change more than one execution.
    Raises `UsageError` and, for a single id, what the action raises.
    """
    session: Session = ctx.obj
    if ids:
        if is_filtered(ctx):
            raise UsageError("give ids or filters, not both")
        if dry_run:
            found = [session.call(session.backend.get_execution(session.resolve(text))) for text in ids]
            return _preview(session, found, verb)
        if len(ids) == 1:
            changed = action(session.resolve(ids[0]))
            if several and session.output.format == "json":
                _print_list(session, changed)
            else:
                _print_each(session, changed)
            return OK
        targets = [_resolve(session, text) for text in ids]
    else:
        if not is_filtered(ctx):
            raise UsageError(f"say what to {verb}: ids, or a filter such as --function or --state")
        found = _find(session, narrowed(chosen(ctx), states), limit)
        if dry_run or not found:
            return _preview(session, found, verb)
        instead = "add --yes, or look first with --dry-run"
        if not (yes or agreed(session, f"{verb} {_count(found)}?", instead=instead)):
            session.output.note("nothing was done")
            return FAILED
        targets = [execution.id for execution in found]
    return _each(session, targets, action, verb)


def _resolve(session: Session, text: str) -> str | DeferError:
    """An unknown id must not stop the others."""
    try:
        return session.resolve(text)
    except DeferError as error:
        return error


def _count(executions: Sequence[Execution]) -> str:
    return f"{len(executions)} execution{'s' * (len(executions) != 1)}"


def _find(session: Session, search: Search, limit: int | None) -> list[Execution]:
    """All of them, oldest first, before anything changes: what is done to one must not shift the pages."""
    found: list[Execution] = []
    cursor = None
    while limit is None or len(found) < limit:
        size = MAX_PAGE_SIZE if limit is None else min(MAX_PAGE_SIZE, limit - len(found))
        page = session.search(Page(first=size, after=cursor), search)
        found.extend(page.data)
        cursor = page.page_info.end_cursor
        if not page.page_info.has_next_page:
            break
    return found[::-1]


def _preview(session: Session, found: Sequence[Execution], verb: str) -> int:
    output = session.output
    if not output.is_text:
        _print_list(session, found)
    elif found:
        executions_table(output, found, session.now())
    output.note(f"would {verb} {_count(found)}" if found else "no executions match")
    return 0


def _print_each(session: Session, executions: Sequence[Execution]) -> None:
    for execution in executions:
        if session.output.is_text:
            session.output.line(describe(session.output, execution))
        else:
            session.output.value(execution_to_json(execution))


def _print_list(session: Session, executions: Sequence[Execution]) -> None:
    session.output.rows([execution_to_json(execution) for execution in executions], page_info=NO_MORE)


def _each(session: Session, targets: Sequence[str | DeferError], action: Action, verb: str) -> int:
    """One after the other; a failure is told and does not stop the others."""
    output = session.output
    done: list[Execution] = []
    codes: list[int] = []
    for place, target in enumerate(targets, start=1):
        try:
            if isinstance(target, DeferError):
                raise target
            changed = action(target)
        except DeferError as error:
            codes.append(exit_code(error))
            output.error(error.code, error.message, error.hint)
        else:
            done.extend(changed)
            if output.format != "json":
                _print_each(session, changed)
        if not output.is_terminal():
            output.progress(place, len(targets))
    if output.format == "json":
        _print_list(session, done)
    output.note(f"{verb}: {len(done)} done" + (f", {len(codes)} failed" if codes else ""))
    return codes[0] if codes else OK
