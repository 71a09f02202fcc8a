"""`defer list`: executions, newest first."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from click import UsageError

from defer_cli.filters import FilteredCommand, chosen, is_filtered, nothing_found
from defer_cli.session import Session
from defer_cli.text import cut, moment
from defer_cli.views import counted, describe, executions_table, outcome
from defer_client.models import MAX_PAGE_SIZE, PAGE_SIZE, Execution, Page, PageOf
from defer_client.wire import execution_to_json, page_of_to_json
from defer_emulator.operations import Search

if TYPE_CHECKING:
    from defer_cli.live import LiveScreen

Command = FilteredCommand

LOOK = 0.1  # seconds between two looks for changes
REPAINT = 1.0  # seconds after which ages are old


def listing(
    ctx: typer.Context,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=MAX_PAGE_SIZE, help="At most so many.")
    ] = PAGE_SIZE,
    after: Annotated[
        str | None, typer.Option("--after", metavar="CURSOR", help="Go on from an earlier page.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Stay, and show changes; q or Ctrl-C ends it.")
    ] = False,
) -> None:
    """List executions, newest first. Filters are combined.

    defer list --state failed --since 2h
      defer list --function send_mail --metadata team=growth --limit 100
      defer list --state created --scheduled-to +1h
      defer list --watch
    """
    session: Session = ctx.obj
    output = session.output
    if watch and output.format == "json":
        raise UsageError("--watch never ends, as JSON must: take --output jsonl", ctx=ctx)
    search = chosen(ctx)
    page = Page(first=limit, after=after)
    if not watch:
        _show(session, session.search(page, search), search, filtered=is_filtered(ctx))
    elif output.is_text and output.can_move(output.out):
        from defer_cli.live import LiveScreen

        with LiveScreen(output.out) as screen:
            _watch(session, page, search, screen, filtered=is_filtered(ctx))
    else:
        _tell(session, page, search)


def _show(session: Session, found: PageOf[Execution], search: Search, *, filtered: bool) -> None:
    output = session.output
    if not output.is_text:
        whole = page_of_to_json(found)
        output.rows(whole["data"], page_info=whole["page_info"])
        return
    if not found.data:
        none = "no executions yet; start one: defer run NAME"
        output.note(nothing_found(session, search) if filtered else none)
        return
    executions_table(output, found.data, session.now())
    if found.page_info.has_next_page:
        output.note(f"more: --after {found.page_info.end_cursor}", "dim")


# --- watching -----------------------------------------------------------------------------------


def _watch(session: Session, page: Page, search: Search, screen: LiveScreen, *, filtered: bool) -> None:
    """Keep a terminal up to date."""
    seen, painted = session.version(), 0.0
    while True:
        version = session.version()
        if version is None or version != seen or time.monotonic() - painted >= REPAINT or screen.resized:
            seen, painted = version, time.monotonic()
            found = session.search(page, search)
            with session.output.captured() as lines:
                session.output.line(_head(session, found.data), "dim")
                _show(session, found, search, filtered=filtered)
            screen.show(lines)
        if screen.wait(LOOK):
            return


def _head(session: Session, rows: Sequence[Execution]) -> str:
    text = f"{moment(session.now())}  {counted(rows)}".rstrip()
    return cut(text, session.output.width or len(text))


def _tell(session: Session, page: Page, search: Search) -> None:
    """Print each row as often as it changes."""
    seen: dict[str, Execution] = {}
    version: int | None = None
    while True:
        before, version = version, session.version()
        if before is None or version != before:
            rows = session.search(page, search).data
            for row in reversed(rows):
                if seen.get(row.id) != row:
                    _tell_one(session, row)
            seen = {row.id: row for row in rows}
            session.output.flush()
        time.sleep(LOOK)


def _tell_one(session: Session, row: Execution) -> None:
    output = session.output
    if output.is_text:
        rest = outcome(row, session.now())
        output.line(f"{moment(row.updated_at)}  {describe(output, row)}  {rest}".rstrip())
    else:
        output.rows([execution_to_json(row)])
