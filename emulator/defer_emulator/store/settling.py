"""The ends of attempts, written in one go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from sqlite3 import Connection, Row
from typing import Any

from defer_client.models import Failure, State
from defer_emulator.domain.states import Event, next_state
from defer_emulator.domain.work import Change, Completion
from defer_emulator.store.queries import SQL
from defer_emulator.store.rows import failure_text, text_of

_SHORT = 10_000  # characters of a result that is written together with others
_EVENTS: dict[State, Event] = {State.SUCCEED: "success", State.FAILED: "failure", State.CREATED: "retry"}


def settle(
    connection: Connection, completions: Sequence[Completion], *, now: int, revision: int
) -> list[Change]:
    """Write them in order; one whose attempt is not running any more is ignored."""
    once = len({one.sequence for one in completions}) == len(completions)  # else the first of each counts
    simple = [one for one in completions if once and _is_simple(one)]
    done = _succeed(connection, simple, now, revision) if simple else {}
    changes = []
    for completion in completions:
        change = done.get(completion.sequence) or _settle(connection, completion, now, revision)
        if change is not None:
            changes.append(change)
    return changes


def _is_simple(completion: Completion) -> bool:
    """Whether it may be written together with others of its kind."""
    return (
        completion.state is State.SUCCEED
        and completion.finished_at is None
        and completion.result is not None
        and len(completion.result) <= _SHORT
    )


def _succeed(
    connection: Connection, completions: Sequence[Completion], now: int, revision: int
) -> dict[int, Change]:
    """By sequence. What does not simply run is left for `_settle`."""
    ends = [(one.sequence, one.attempt, text_of(one.result or "")) for one in completions]
    rows = connection.execute(
        SQL["succeed"], {"ends": json.dumps(ends), "now": now, "revision": revision}
    ).fetchall()
    written = [(row["sequence"], row["attempt"]) for row in rows]
    connection.execute(SQL["succeed_attempts"], {"ends": json.dumps(written), "now": now})
    return {
        row["sequence"]: Change(
            sequence=row["sequence"],
            id=row["id"],
            function=row["function"],
            state=State.SUCCEED,
            attempt=row["attempt"],
            scheduled_at=row["scheduled_at"],
        )
        for row in rows
    }


def _settle(connection: Connection, completion: Completion, now: int, revision: int) -> Change | None:
    """None when its attempt is not running any more."""
    key = (completion.sequence, completion.attempt)
    row = connection.execute(SQL["settling"], key).fetchone()
    if row is None:
        return None
    state = _state_after(State(row["state"]), completion)
    values = _values(row, completion, state, now, revision)
    connection.execute(SQL["settle"], values)
    if state is State.CREATED and not completion.consumed:
        connection.execute(SQL["forget_attempt"], key)
    else:
        connection.execute(SQL["settle_attempt"], _attempt_values(completion, state, now))
    if state is State.FAILED:
        connection.execute(SQL["remember_failure"], (completion.sequence,))
    return Change(
        sequence=row["sequence"],
        id=row["id"],
        function=row["function"],
        state=state,
        attempt=values["attempt"],
        scheduled_at=values["scheduled_at"],
    )


def _state_after(state: State, completion: Completion) -> State:
    if completion.state is State.ABORTED and state is State.STARTED:
        state = next_state(state, "abort")
    if state is State.ABORTING:
        return next_state(state, "abort_done")
    if not completion.consumed:
        return next_state(state, "release")
    return next_state(state, _EVENTS[completion.state])


def _values(row: Row, completion: Completion, state: State, now: int, revision: int) -> dict[str, Any]:
    """The execution's new columns."""
    failure = completion.failure if state is State.FAILED else None
    result = completion.result if state is State.SUCCEED else None
    attempt, due = completion.attempt, row["scheduled_at"]
    if state is State.CREATED and completion.consumed:
        due = now if completion.due is None else completion.due
    elif state is State.CREATED:  # as if it had not started: it keeps its place in the order
        attempt -= 1
    return {
        "sequence": completion.sequence,
        "state": state.value,
        "attempt": attempt,
        "scheduled_at": due,
        "finished_at": _finished_at(completion, now) if state.is_final else None,
        "result": None if result is None else text_of(result),
        "revision": revision,
        "now": now,
        **_failure_values(failure),
    }


def _attempt_values(completion: Completion, state: State, now: int) -> dict[str, Any]:
    """The attempt's new columns. One that is tried again has failed itself."""
    own = State.FAILED if state is State.CREATED else state
    return {
        "sequence": completion.sequence,
        "attempt": completion.attempt,
        "state": own.value,
        "finished_at": _finished_at(completion, now),
        "now": now,
        **_failure_values(completion.failure if own is State.FAILED else None),
    }


def _failure_values(failure: Failure | None) -> dict[str, str | None]:
    if failure is None:
        return {"error_code": None, "failure": None}
    return {"error_code": failure.code.value, "failure": failure_text(failure)}


def _finished_at(completion: Completion, now: int) -> int:
    return now if completion.finished_at is None else completion.finished_at
