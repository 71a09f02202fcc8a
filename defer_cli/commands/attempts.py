"""`defer attempts`: every run of one execution."""

from __future__ import annotations

from typing import Annotated

import typer

from defer_cli.faults import shown_faults
from defer_cli.parameters import ExecutionId
from defer_cli.session import Session
from defer_cli.text import STATE_STYLES, Cell, Column, relative
from defer_cli.views import queued, took
from defer_client.models import MAX_PAGE_SIZE, Attempt, ExecutionFilters, Page
from defer_client.wire import page_of_to_json
from defer_emulator.domain.ids import short_id

COLUMNS = (
    Column(title="ID"),
    Column(title="STATE"),
    Column(title="STARTED", rank=2),
    Column(title="QUEUED", rank=3),
    Column(title="TOOK", rank=1),
    Column(title="CODE", rank=4),
    Column(title="ERROR", least=10),
)


def attempts(
    ctx: typer.Context,
    execution_id: ExecutionId,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=MAX_PAGE_SIZE, help="At most so many.")
    ] = 100,
) -> None:
    """List the attempts of an execution, newest first. CODE is the generation of the code that ran.

    defer attempts @last-failed
    """
    session: Session = ctx.obj
    found = session.resolve(execution_id).partition(".")[0]
    page = session.call(session.backend.list_execution_attempts(found, Page(first=limit), ExecutionFilters()))
    if not session.output.is_text:
        whole = page_of_to_json(page)
        session.output.rows(whole["data"], page_info=whole["page_info"])
    elif not page.data:
        session.output.note("not started yet")
    else:
        now = session.now()
        session.output.table(
            COLUMNS,
            [
                _row(
                    attempt,
                    relative(attempt.started_at, now) if attempt.started_at else "",
                    took(attempt, now),
                )
                for attempt in page.data
            ],
        )
        faults = shown_faults(session, page.data[0])
        if faults:
            session.output.line(f"injected: {faults}", "dim")


def _row(attempt: Attempt, started: str, ran: str) -> list[Cell]:
    error = attempt.error
    return [
        Cell(text=short_id(attempt.id), style="cyan"),
        Cell(text=attempt.state.value, style=STATE_STYLES[attempt.state]),
        Cell(text=started),
        Cell(text=queued(attempt)),
        Cell(text=ran),
        Cell(text=str(attempt.generation)),
        Cell(text=f"{error.code.value} {error.name}: {error.message}" if error else "", style="red"),
    ]
