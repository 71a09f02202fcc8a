"""The state machine of an execution, as one table."""

from __future__ import annotations

from typing import Literal

from defer_client.models import State

Event = Literal[
    "start",
    "success",
    "failure",
    "retry",
    "cancel",
    "abort",
    "abort_done",
    "discard",
    "limit_cancel",  # the function's limit is reached and its action is "cancel"
    "interrupt",  # the emulator died while it ran
    "release",  # the emulator stopped cleanly while it waited for a child
]

NEXT: dict[tuple[State, Event], State] = {
    (State.CREATED, "start"): State.STARTED,
    (State.CREATED, "cancel"): State.CANCELLED,
    (State.CREATED, "discard"): State.DISCARDED,
    (State.CREATED, "limit_cancel"): State.CANCELLED,
    (State.STARTED, "success"): State.SUCCEED,
    (State.STARTED, "failure"): State.FAILED,
    (State.STARTED, "retry"): State.CREATED,
    (State.STARTED, "abort"): State.ABORTING,
    (State.STARTED, "interrupt"): State.FAILED,
    (State.STARTED, "release"): State.CREATED,
    (State.ABORTING, "abort_done"): State.ABORTED,
    (State.ABORTING, "interrupt"): State.ABORTED,
}

RUNNING = frozenset({State.STARTED, State.ABORTING})
"""The states that hold a place of the function's `concurrency`."""


class IllegalTransition(Exception):
    """A bug: something asked for a move that the table does not know."""


def next_state(state: State, event: Event) -> State:
    """Where `event` leads from `state`. Raises `IllegalTransition`."""
    try:
        return NEXT[state, event]
    except KeyError:
        raise IllegalTransition(f"no way from {state} by {event}") from None
