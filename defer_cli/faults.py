"""Faults of one execution, as `defer run` takes them and the history shows them."""

from __future__ import annotations

from typing import Annotated

import typer

from defer_cli.session import Session
from defer_client.durations import parse_duration
from defer_client.errors import InvalidOption
from defer_client.models import Execution
from defer_emulator.domain.faults import LABEL, Faults

FailAttempt = Annotated[
    list[int] | None,
    typer.Option("--fail-attempt", metavar="N", min=1, help="Let attempt N raise; repeatable."),
]
KillAt = Annotated[
    str | None,
    typer.Option("--kill-at", metavar="DURATION", help="Kill the first attempt's process so late."),
]
Slow = Annotated[
    str | None, typer.Option("--slow", metavar="DURATION", help="Wait so long before its code, each time.")
]
DeliverTwice = Annotated[
    bool, typer.Option("--deliver-twice", help="Run it again after its success, and say what differed.")
]


def read_faults(
    fail_attempts: list[int] | None, kill_at: str | None, slow: str | None, *, deliver_twice: bool
) -> Faults | None:
    """None where nothing is to go wrong. Raises `InvalidOption`."""
    faults = Faults(
        fail_attempts=tuple(sorted(set(fail_attempts or ()))),
        kill_at=None if kill_at is None else _seconds(kill_at, "--kill-at"),
        slow=0.0 if slow is None else _seconds(slow, "--slow"),
        deliver_twice=deliver_twice,
    )
    return faults if faults else None


def _seconds(text: str, option: str) -> float:
    seconds = parse_duration(text, option).total_seconds()
    if seconds <= 0:
        raise InvalidOption(f"{option} must be longer than nothing, not {text!r}", hint=f"{option} 2s")
    return seconds


def shown_faults(session: Session, execution: Execution) -> str:
    """`--fail-attempt 1 --slow 5s`; "" where there are none, or only a server knows."""
    faults = None if session.endpoint else session.call(session.operations.faults(execution.id))
    return "" if faults is None else faults.described()


def tell_faults(session: Session, execution: Execution) -> None:
    """What its log says of them, for whoever has waited for the end."""
    for line in session.call(session.backend.get_execution_logs(execution.id)):
        if line.stream == "system" and line.message.startswith(LABEL):
            session.output.note(line.message)
