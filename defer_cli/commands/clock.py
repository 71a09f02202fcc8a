"""`defer clock`: the emulated clock."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from defer_cli.session import Session
from defer_cli.text import duration, moment
from defer_client.wire import time_to_json


class Action(str, Enum):
    status = "status"


def clock(
    ctx: typer.Context,
    action: Annotated[Action, typer.Argument(help="What to do.", show_default=False)] = Action.status,
) -> None:
    """Show the emulated clock: delays, retries and crons follow it.

    defer clock status
    """
    session: Session = ctx.obj
    status = session.call(session.operations.clock())
    seconds = status.offset.total_seconds()
    if session.output.is_text:
        moved = (
            f", {duration(abs(seconds))} {'ahead of' if seconds > 0 else 'behind'} real time"
            if seconds
            else ""
        )
        session.output.line(f"{moment(status.now)}, {status.mode}{moved}")
    else:
        session.output.value(
            {
                "mode": status.mode,
                "now": time_to_json(status.now),
                "offset": seconds,
                "epoch": status.epoch,
            }
        )
