"""`defer pause` and `defer resume`."""

from __future__ import annotations

import typer

from defer_cli.functions import set_paused
from defer_cli.parameters import FunctionNameOrAll
from defer_cli.session import Session


def pause(ctx: typer.Context, name: FunctionNameOrAll = None) -> None:
    """Start no more executions of a function, or of any. What runs goes on, calls still queue.

    defer pause send_mail
      defer pause
    """
    _set(ctx.obj, name, paused=True)


def resume(ctx: typer.Context, name: FunctionNameOrAll = None) -> None:
    """Start executions of a function again, or of all.

    defer resume send_mail
    """
    _set(ctx.obj, name, paused=False)


def _set(session: Session, name: str | None, *, paused: bool) -> None:
    name = set_paused(session, name, paused=paused)
    verb = "paused" if paused else "resumed"
    if session.output.is_text:
        session.output.line(f"{verb} {name or 'everything'}")
    else:
        session.output.value({"function": name, "paused": paused})
