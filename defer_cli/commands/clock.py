"""`defer clock`: the emulated clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from click import UsageError

from defer_cli.asking import agreed
from defer_cli.bulk import Yes
from defer_cli.clock_moves import carry_out
from defer_cli.main import FAILED, OK
from defer_cli.session import Session
from defer_cli.text import clock_line, moment
from defer_client.durations import parse_duration, parse_when
from defer_client.errors import Conflict, InvalidOption
from defer_client.wire import time_to_json

if TYPE_CHECKING:
    from defer_emulator.operations import ClockStatus

MANY_CRONS = 1_000  # executions by an advance, beyond which it asks first


class Action(str, Enum):
    status = "status"
    advance = "advance"
    freeze = "freeze"
    resume = "resume"
    reset = "reset"


def clock(
    ctx: typer.Context,
    action: Annotated[Action, typer.Argument(help="What to do.", show_default=False)] = Action.status,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DURATION]", show_default=False, help="How far to advance: 3d, 2h30m."),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Advance to a time; without an offset, UTC.")
    ] = None,
    to_next: Annotated[bool, typer.Option("--next", help="Advance to the next due thing.")] = False,
    yes: Yes = False,
) -> int:
    """Show or move the emulated clock: delays, retries, discards and crons follow it.

    advance walks through all that is due, each at its own time, and waits for what it starts.
    freeze makes the clock stand, resume lets it run on from there, reset goes back to real time.

    defer clock advance 3d
      defer clock advance --to 2026-01-31T08:00:00Z
      defer clock advance --next
      defer clock freeze
      defer clock reset
    """
    session: Session = ctx.obj
    duration = " ".join(words or [])
    if action is Action.advance:
        return _advance(session, duration, to, to_next=to_next, yes=yes)
    if duration or to is not None or to_next:
        raise UsageError(f"only advance takes a time, not {action.value}", ctx=ctx)
    if action is not Action.status:
        carry_out(session, action.value)
    _show(session)
    return OK


def _advance(session: Session, duration: str, to: str | None, *, to_next: bool, yes: bool) -> int:
    if bool(duration) + (to is not None) + to_next != 1:
        raise UsageError("advance takes one of: a duration, such as 3d; --to TIME; --next")
    if session.environment.get("DEFER_EXECUTION_TOKEN"):
        raise Conflict("an execution cannot advance the clock: the clock would wait until it ends")
    if to_next:
        carry_out(session, "next")
    else:
        target = parse_duration(duration, "DURATION") if to is None else _moment(to)
        if not yes and not _confirmed(session, target):
            session.output.note("the clock was not moved")
            return FAILED
        carry_out(session, "advance", target)
    _show(session)
    return OK


def _moment(text: str) -> datetime:
    found = parse_when(text, "--to")
    if isinstance(found, timedelta):
        raise InvalidOption(
            f"--to takes a time, such as 2026-01-31T08:00:00Z, not {text!r}",
            hint=f"by a duration: defer clock advance {text}",
        )
    return found


def _confirmed(session: Session, to: timedelta | datetime) -> bool:
    crons = session.call(session.operations.crons_until(to))
    question = f"until then crons start {crons:,} executions: advance the clock?"
    return crons <= MANY_CRONS or agreed(session, question, instead="add --yes, or advance in smaller steps")


def _show(session: Session) -> None:
    status = session.call(session.operations.clock())
    if session.output.is_text:
        session.output.line(clock_line(status.now, status.mode, status.offset))
        if status.advancing_to is not None:
            session.output.line(f"being advanced to {moment(status.advancing_to)}")
        return
    session.output.value(status_to_json(status))


def status_to_json(status: ClockStatus) -> dict[str, Any]:
    """What `defer clock --output json` prints; `offset` is in seconds."""
    to = status.advancing_to
    return {
        "mode": status.mode,
        "now": time_to_json(status.now),
        "offset": status.offset.total_seconds(),
        "epoch": status.epoch,
        "advancing_to": None if to is None else time_to_json(to),
    }
