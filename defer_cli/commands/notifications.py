"""`defer notifications`: the outbox, and a test of the address."""

from __future__ import annotations

import json
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from defer_cli.main import OK
from defer_cli.session import Session
from defer_cli.text import Cell, Column, one_line, relative
from defer_client.errors import DeferError
from defer_client.wire import time_to_json

if TYPE_CHECKING:
    from defer_emulator.operations.notifier import NotifierOptions
    from defer_emulator.operations.outbox import OutboxMessage

COLUMNS = (
    Column(title="NO."),
    Column(title="STATE"),
    Column(title="WHEN", rank=1),
    Column(title="MESSAGE", least=20),
    Column(title="PROBLEM", rank=2, least=20, spare=True),
)
STYLES = {"open": "yellow", "kept": "dim", "pending": "yellow", "sent": "green", "failed": "red"}
STATES = {"open": "gathering", "kept": "not sent", "pending": "to send", "sent": "sent", "failed": "given up"}


class NotSent(DeferError):
    """The server did not take the test message."""

    code = "not_sent"


class Action(str, Enum):
    list = "list"
    test = "test"


def notifications(
    ctx: typer.Context,
    action: Annotated[Action, typer.Argument(help="What to do.", show_default=False)] = Action.list,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=1, max=1_000, help="At most so many.")
    ] = 20,
) -> int:
    """Show what is told of failures and missed crons, newest first, or send a test message.

    Messages are kept in an outbox, and sent by defer dev --send-notifications only. The address is set by
    notifications in defer.toml; see docs/notifications.md.

    defer notifications
      defer notifications list --output json
      defer notifications test
    """
    session: Session = ctx.obj
    return _test(session) if action is Action.test else _list(session, limit)


def _options(session: Session, *, send: bool) -> NotifierOptions:
    from defer_emulator.operations.notifier import options_of

    return options_of(
        session.config.notifications, project=session.root.name, console=_console(session), send=send
    )


def _console(session: Session) -> str | None:
    """The address of the emulator that runs now."""
    from defer_emulator.presence import is_alive, read_presence

    presence = read_presence(session.root)
    return presence.url if presence is not None and is_alive(presence) else None


def _list(session: Session, limit: int) -> int:
    from defer_emulator.operations import LocalOperations

    options = _options(session, send=False)
    operations = LocalOperations(session.store, wake=lambda: None, notifier=lambda: options)
    found = session.call(operations.outbox(limit=limit))
    output = session.output
    if not output.is_text:
        output.rows([_to_json(message) for message in found])
        return OK
    if not found:
        output.note("nothing to tell: no root has failed, and no cron was missed")
        return OK
    now = session.now()
    output.table(COLUMNS, [_row(message, relative(message.created_at, now)) for message in found])
    if any(message.state in ("open", "kept") for message in found):
        output.note("messages are sent by: defer dev --send-notifications", "dim")
    return OK


def _row(message: OutboxMessage, when: str) -> list[Cell]:
    return [
        Cell(text=str(message.id), style="cyan"),
        Cell(text=STATES[message.state], style=STYLES[message.state]),
        Cell(text=when),
        Cell(text=one_line(message.title), style="bold"),
        Cell(text=one_line(message.problem or ""), style="red"),
    ]


def _to_json(message: OutboxMessage) -> dict[str, Any]:
    """A row of `defer notifications --output json`."""
    return {
        "id": message.id,
        "kind": message.kind,
        "state": message.state,
        "created_at": time_to_json(message.created_at),
        "count": message.count,
        "title": message.title,
        "executions": list(message.executions),
        "tries": message.tries,
        "problem": message.problem,
        "next_try": None if message.next_try is None else time_to_json(message.next_try),
        "sent_at": None if message.sent_at is None else time_to_json(message.sent_at),
        "body": message.body,
    }


def _test(session: Session) -> int:
    from defer_emulator.notify.rendering import trial_body

    options = _options(session, send=True)
    assert options.send is not None
    delivery = options.send(json.dumps(trial_body(options.format, options.project), ensure_ascii=False))
    if not delivery.is_sent:
        raise NotSent(
            f"the test message was not sent: {delivery.problem}",
            hint="look at notifications in the project's settings, and at that server",
        )
    if session.output.is_text:
        session.output.line(f"sent a test message to {options.where}")
    else:
        session.output.value({"sent": True, "where": options.where})
    return OK
