"""`defer list`: executions, newest first."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from click import UsageError

from defer_cli.filters import FilteredCommand, chosen, is_filtered
from defer_cli.session import Session
from defer_cli.views import executions_table
from defer_client.models import MAX_PAGE_SIZE, PAGE_SIZE, Execution, Page, PageOf
from defer_client.wire import execution_to_json, page_of_to_json
from defer_emulator.operations import Search

Command = FilteredCommand

WATCH_INTERVAL = 0.25  # seconds


def listing(
    ctx: typer.Context,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=MAX_PAGE_SIZE, help="At most so many.")
    ] = PAGE_SIZE,
    after: Annotated[
        str | None, typer.Option("--after", metavar="CURSOR", help="Go on from an earlier page.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay, and show changes.")] = False,
) -> None:
    """List executions, newest first. Filters are combined.

    defer list --state failed --since 2h
      defer list --function send_mail --metadata team=growth --limit 100
      defer list --watch
    """
    session: Session = ctx.obj
    if watch and session.output.format == "json":
        raise UsageError("--watch never ends, as JSON must: take --output jsonl", ctx=ctx)
    search = chosen(ctx)
    page = Page(first=limit, after=after)
    if watch:
        _watch(session, page, search)
    else:
        _show(session, session.search(page, search), filtered=is_filtered(ctx))


def _show(session: Session, found: PageOf[Execution], *, filtered: bool) -> None:
    output = session.output
    if not output.is_text:
        whole = page_of_to_json(found)
        output.rows(whole["data"], page_info=whole["page_info"])
        return
    if not found.data:
        output.note("no executions match" if filtered else "no executions yet; start one: defer run NAME")
        return
    executions_table(output, found.data, session.now())
    if found.page_info.has_next_page:
        output.note(f"there are more; go on with: --after {found.page_info.end_cursor}", "dim")


def _watch(session: Session, page: Page, search: Search) -> None:
    """Repaint a terminal in place; elsewhere, print each row as often as it changes."""
    if session.output.is_text and session.output.is_terminal():
        while True:
            with session.output.frame():
                _show(session, session.search(page, search), filtered=True)
            time.sleep(WATCH_INTERVAL)
    seen: dict[str, Execution] = {}
    while True:
        rows = session.search(page, search).data
        changed = [row for row in reversed(rows) if seen.get(row.id) != row]
        for row in changed:
            if session.output.is_text:
                executions_table(session.output, [row], session.now())
            else:
                session.output.rows([execution_to_json(row)])
        seen = {row.id: row for row in rows}
        session.output.flush()
        time.sleep(WATCH_INTERVAL)
