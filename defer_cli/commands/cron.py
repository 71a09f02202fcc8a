"""`defer cron`: the schedules and when they fire next."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

import typer

from defer_cli.commands.new import next_times
from defer_cli.functions import known_functions
from defer_cli.registry import WorkerCommand
from defer_cli.session import Session
from defer_cli.text import Cell, Column, relative
from defer_client.wire import time_to_json

Command = WorkerCommand

COLUMNS = (
    Column(title="CRON", least=12),
    Column(title="SCHEDULE"),
    Column(title="NEXT (UTC)"),
    Column(title="IN", rank=1),
    Column(title="STATUS", rank=2),
)


def cron(
    ctx: typer.Context,
    times: Annotated[
        int, typer.Option("--times", "-n", metavar="N", min=1, max=100, help="So many next times of each.")
    ] = 3,
) -> None:
    """Show the crons of this project and when they fire next. All times are UTC.

    defer cron --times 5
    """
    session: Session = ctx.obj
    crons = [function for function in known_functions(session) if function.spec.cron]
    now = session.now() if session.has_file else datetime.now(timezone.utc)
    upcoming = {function.spec.name: next_times(function.spec.cron or "", now, times) for function in crons}
    if not session.output.is_text:
        session.output.rows(
            {
                "name": function.spec.name,
                "cron": function.spec.cron,
                "next": [time_to_json(time) for time in upcoming[function.spec.name]],
                "paused": function.paused,
                "status": function.status,
            }
            for function in crons
        )
        return
    if not crons:
        session.output.note('no crons; add one with: defer new NAME --cron "0 8 * * *"')
        return
    rows = []
    for function in crons:
        status = "paused" if function.paused else "" if function.status == "ready" else function.status
        for place, time in enumerate(upcoming[function.spec.name]):
            first = place == 0
            rows.append(
                [
                    Cell(text=function.spec.name if first else "", style="bold"),
                    Cell(text=(function.spec.cron or "") if first else "", style="cyan"),
                    Cell(text=f"{time:%a %Y-%m-%d %H:%M}"),
                    Cell(text=relative(time, now)),
                    Cell(text=status if first else "", style="yellow"),
                ]
            )
    session.output.table(COLUMNS, rows)
