"""The table of states against the store and the scheduler: every event in every state."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import get_args

import pytest

from defer_client.errors import Conflict
from defer_client.models import FINAL_STATES, Call, ErrorCode, Execution, Failure, State
from defer_client.sync import run
from defer_emulator.domain.states import NEXT, RUNNING, Event, IllegalTransition, next_state
from defer_emulator.domain.work import Completion, Limits
from tests.unit.scheduler.conftest import Bench

EVENTS: tuple[Event, ...] = get_args(Event)
NO = Failure(name="Error", message="no", stack="", code=ErrorCode.USER)
LATER = timedelta(days=1)


# --- how a test brings an execution into a state ----------------------------------------------


def enqueue(bench: Bench, name: str) -> Execution:
    """Without a tick of the scheduler."""
    call = Call(function_name=name, discard_after=LATER)
    return run(bench.backend.enqueue(call), immediate=True)


def created(bench: Bench) -> Execution:
    """Due; the scheduler has not looked yet."""
    return enqueue(bench, "work")


def started(bench: Bench) -> Execution:
    return bench.call("work")


def aborting(bench: Bench) -> Execution:
    """The scheduler has not seen the abort yet, so its process still lives."""
    execution = bench.call("work")
    run(bench.backend.cancel_execution(execution.id, force=True), immediate=True)
    return execution


def succeed(bench: Bench) -> Execution:
    execution = bench.call("work")
    bench.succeed("work")
    return execution


def failed(bench: Bench) -> Execution:
    execution = bench.call("work")
    bench.fail("work")
    return execution


def cancelled(bench: Bench) -> Execution:
    execution = bench.call("work", delay=LATER)
    bench.cancel(execution)
    return execution


def aborted(bench: Bench) -> Execution:
    execution = bench.call("work")
    bench.cancel(execution, force=True)
    return execution


def discarded(bench: Bench) -> Execution:
    execution = bench.call("work", delay=LATER, discard_after=timedelta(seconds=1))
    bench.wait(seconds=1)
    return execution


MAKE: dict[State, Callable[[Bench], Execution]] = {
    State.CREATED: created,
    State.STARTED: started,
    State.SUCCEED: succeed,
    State.FAILED: failed,
    State.CANCELLED: cancelled,
    State.ABORTING: aborting,
    State.ABORTED: aborted,
    State.DISCARDED: discarded,
}


# --- how a test makes an event happen ---------------------------------------------------------


def start(bench: Bench, execution: Execution) -> None:
    with bench.store.write() as tx:
        tx.claim({"work": Limits(concurrency=None, action="keep")}, 10, 1)


def limit_cancel(bench: Bench, execution: Execution) -> None:
    """A claim in which the function's only place is taken."""
    other = enqueue(bench, "other")
    with bench.store.write() as tx:
        tx._connection.execute(
            "UPDATE executions SET function = 'work', state = 'started' WHERE id = ?", (other.id,)
        )
        tx.claim({"work": Limits(concurrency=1, action="cancel")}, 0, 1)


def ends(state: State, *, consumed: bool = True) -> Callable[[Bench, Execution], None]:
    def end(bench: Bench, execution: Execution) -> None:
        with bench.store.write() as tx:
            row = tx.require(execution.id)
            failure = NO if state in (State.FAILED, State.CREATED) and consumed else None
            completion = Completion(
                sequence=row["sequence"],
                attempt=row["attempt"],
                state=state,
                failure=failure,
                due=tx.now,
                consumed=consumed,
            )
            tx.settle([completion])

    return end


def cancel(bench: Bench, execution: Execution) -> None:
    run(bench.backend.cancel_execution(execution.id), immediate=True)


def abort(bench: Bench, execution: Execution) -> None:
    run(bench.backend.cancel_execution(execution.id, force=True), immediate=True)


def discard(bench: Bench, execution: Execution) -> None:
    bench.clock.advance(LATER)
    with bench.store.write() as tx:
        tx.discard_due()


def interrupt(bench: Bench, execution: Execution) -> None:
    bench.crash()
    bench.scheduler = bench._new_scheduler()
    bench.scheduler.recover()


DO: dict[Event, Callable[[Bench, Execution], None]] = {
    "start": start,
    "success": ends(State.SUCCEED),
    "failure": ends(State.FAILED),
    "retry": ends(State.CREATED),
    "cancel": cancel,
    "abort": abort,
    "abort_done": ends(State.ABORTED),
    "discard": discard,
    "limit_cancel": limit_cancel,
    "interrupt": interrupt,
    "release": ends(State.CREATED, consumed=False),
}

TOLERANT: dict[tuple[State, Event], State] = {
    # Force on what has not started is a plain cancel.
    (State.CREATED, "abort"): State.CANCELLED,
    # However the attempt of an aborting execution ends, that is the end of the abort.
    **{
        (State.ABORTING, event): State.ABORTED for event in ("success", "failure", "retry", "release")
    },
    # An abort whose process is gone already is two moves at once.
    (State.STARTED, "abort_done"): State.ABORTED,
}  # fmt: skip
"""What else the store makes of an event, by other moves of the table."""


def test_every_state_and_every_event_has_its_driver() -> None:
    assert set(MAKE) == set(State)
    assert set(DO) == set(EVENTS)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", list(State))
def test_the_store_moves_along_the_table_and_nowhere_else(bench: Bench, state: State, event: Event) -> None:
    bench.function("work")
    bench.function("other")
    execution = MAKE[state](bench)
    assert bench.get(execution).state is state
    with suppress(Conflict):
        DO[event](bench, execution)
    expected = NEXT.get((state, event)) or TOLERANT.get((state, event)) or state
    assert bench.get(execution).state is expected


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", list(State))
def test_what_the_table_does_not_know_is_refused(state: State, event: Event) -> None:
    if (state, event) in NEXT:
        assert next_state(state, event) is NEXT[state, event]
    else:
        with pytest.raises(IllegalTransition, match=f"{state} by {event}"):
            next_state(state, event)


def test_nothing_leads_out_of_a_final_state() -> None:
    assert not {state for state, _ in NEXT} & FINAL_STATES


def test_every_state_but_the_first_can_be_reached() -> None:
    assert set(NEXT.values()) | {State.CREATED} == set(State)


def test_what_holds_a_place_is_what_has_a_process() -> None:
    assert {State.STARTED, State.ABORTING} == RUNNING


@pytest.mark.parametrize("state", sorted(FINAL_STATES | RUNNING))
def test_only_what_is_created_can_be_rescheduled(bench: Bench, state: State) -> None:
    bench.function("work")
    execution = MAKE[state](bench)
    with pytest.raises(Conflict, match=f"is {state}"):
        run(bench.backend.reschedule_execution(execution.id), immediate=True)
    assert bench.get(execution).state is state
