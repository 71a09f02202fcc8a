"""What a test needs to repeat an execution: how it was called, when, and what became of what it started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from defer_client.errors import Conflict
from defer_client.models import (
    Arguments,
    Attempt,
    ErrorCode,
    Execution,
    ExecutionFilters,
    Outcome,
    Page,
    State,
)
from defer_emulator.domain.faults import Faults
from defer_emulator.domain.ids import short_id
from defer_emulator.store.store import Store

MOST_CHILDREN = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class CapturedChild:
    """An execution that the captured one has started. Without a result or an error, it had none by then."""

    arguments: Arguments
    outcome: Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Captured:
    """An execution that has ended, with its surroundings."""

    arguments: Arguments
    outcome: Outcome
    started_at: datetime  # of its first attempt, on the emulated clock
    children: Sequence[CapturedChild]  # oldest first, at most `MOST_CHILDREN`
    faults: Faults | None

    @property
    def execution(self) -> Execution:
        return self.outcome.execution

    @property
    def is_repeatable(self) -> bool:
        """Whether its end came from its code, and not from something done to its process."""
        failure = self.outcome.failure
        return failure is None or (
            failure.code is ErrorCode.USER and failure.name not in ("ProcessDied", "InjectedFailure")
        )


def capture(store: Store, execution_id: str) -> Captured:
    """Raises `ExecutionNotFound`; `Conflict` for one that has neither succeeded nor failed."""
    _, outcome = store.get_outcome(execution_id)
    execution = outcome.execution
    if execution.state not in (State.SUCCEED, State.FAILED):
        raise Conflict(
            f"execution {short_id(execution.id)} is {execution.state}: there is nothing to repeat",
            hint="capture one that has succeeded or failed: defer list --state succeed --state failed",
        )
    first = _first_attempt(store, execution.id)
    return Captured(
        arguments=store.get_arguments(execution.id),
        outcome=outcome,
        started_at=first.started_at or execution.created_at,
        children=[
            CapturedChild(arguments=store.get_arguments(child.id), outcome=store.get_outcome(child.id)[1])
            for child in store.children(execution.id, MOST_CHILDREN)
        ],
        faults=store.faults(execution.id),
    )


def _first_attempt(store: Store, execution_id: str) -> Attempt:
    """The oldest that is stored."""
    return store.list_attempts(execution_id, Page(last=1), ExecutionFilters()).data[-1]
