"""What can be done to executions, one or many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from defer_client.backend import Backend
from defer_client.durations import parse_when
from defer_client.errors import InvalidOption
from defer_client.models import Execution, State

When = timedelta | datetime | None
"""When to run: after a duration, at a moment, or now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """`states` are those in which it can succeed; none: all."""

    key: str
    label: str  # of its button
    done: str  # "3 executions …"
    states: Sequence[State]
    perform: Callable[[Backend, str, When], Awaitable[Execution]]
    explained: str
    takes_time: bool = False
    is_danger: bool = False


ACTS: Mapping[str, Act] = {
    act.key: act
    for act in (
        Act(
            key="rerun",
            label="Run again",
            done="run again",
            states=(),
            perform=lambda backend, one, _: backend.rerun_execution(one),
            explained="Each becomes a new execution with the same arguments and metadata, due now.",
        ),
        Act(
            key="reschedule",
            label="Reschedule",
            done="rescheduled",
            states=(State.CREATED,),
            perform=lambda backend, one, when: backend.reschedule_execution(one, when),
            explained="Only what has not started can be moved to another time.",
            takes_time=True,
        ),
        Act(
            key="cancel",
            label="Cancel",
            done="cancelled",
            states=(State.CREATED,),
            perform=lambda backend, one, _: backend.cancel_execution(one),
            explained="Only what has not started can be cancelled. What they started goes on.",
            is_danger=True,
        ),
        Act(
            key="abort",
            label="Abort",
            done="aborted",
            states=(State.STARTED,),
            perform=lambda backend, one, _: backend.cancel_execution(one, force=True),
            explained="What runs ends within 2 s; what waits is cancelled. What they started goes on.",
            is_danger=True,
        ),
    )
}


def read_when(text: str) -> When:
    """What a field for a time says; nothing means now. Raises `InvalidOption`, `InvalidDuration`."""
    if text in ("", "now"):
        return None
    when = parse_when(text, "the time")
    if isinstance(when, timedelta) and when < timedelta():
        raise InvalidOption("the time must not lie in the past: give a duration from now, such as 5m")
    return when
