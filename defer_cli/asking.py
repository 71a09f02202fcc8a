"""Questions to the person at the terminal."""

from __future__ import annotations

import sys

from click import UsageError

from defer_cli.session import Session


def can_ask(session: Session) -> bool:
    """Whether somebody sits at a terminal."""
    return bool(sys.stdin and sys.stdin.isatty() and session.output.is_terminal(session.output.err))


def agreed(session: Session, question: str, *, instead: str) -> bool:
    """Whether the person says yes. Raises `UsageError` where nobody can be asked: `instead` is what to do."""
    if not can_ask(session):
        raise UsageError(f"{question} nobody can be asked here: {instead}")
    session.output.err.write(f"{question} [y/N] ")
    session.output.err.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
