"""Cancel, reschedule, rerun, discard, pause: each with every conflict."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from defer_client.errors import (
    ExecutionAbortingAlreadyInProgress,
    ExecutionNotCancellable,
    ExecutionNotFound,
    ExecutionNotReschedulable,
    NotSerializable,
    UnknownFunction,
)
from defer_client.models import Arguments, ErrorCode, Execution, State
from defer_client.retry import RetryPolicy
from defer_client.sync import run
from defer_emulator.domain.ids import attempt_id
from tests.unit.scheduler.conftest import START, Bench
from tests.unit.scheduler.test_states import MAKE

STEADY = RetryPolicy(max_attempts=2, initial_interval=10.0, multiplier=2.0, randomization_factor=0.0)
DAY = timedelta(days=1)


def do(coroutine: Any) -> Any:
    return run(coroutine, immediate=True)


# --- cancel -----------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [False, True])
def test_a_created_one_is_cancelled_with_or_without_force(bench: Bench, force: bool) -> None:
    bench.function("work")
    execution = bench.call("work", delay=DAY)
    bench.cancel(execution, force=force)
    row = bench.get(execution)
    assert (row.state, row.finished_at, row.attempt) == (State.CANCELLED, START, 0)
    bench.wait(days=2)
    assert bench.pool.started == []


def test_a_started_one_is_not_cancelled_without_force_and_the_error_names_the_way(bench: Bench) -> None:
    bench.function("work")
    execution = bench.call("work")
    with pytest.raises(ExecutionNotCancellable, match="--force"):
        bench.cancel(execution)
    assert bench.states(execution) == ["started"]


def test_force_aborts_a_started_one_and_its_process_is_ended(bench: Bench) -> None:
    bench.function("work")
    execution = bench.call("work")
    bench.cancel(execution, force=True)
    assert len(bench.pool.killed) == 1
    row = bench.get(execution)
    assert (row.state, row.error_code, row.finished_at) == (State.ABORTED, None, START)


def test_one_whose_abort_goes_on_conflicts_with_force_and_without(bench: Bench) -> None:
    bench.function("work")
    execution = MAKE[State.ABORTING](bench)
    with pytest.raises(ExecutionAbortingAlreadyInProgress):
        do(bench.backend.cancel_execution(execution.id, force=True))
    with pytest.raises(ExecutionNotCancellable):
        do(bench.backend.cancel_execution(execution.id))


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("state", [state for state in State if state.is_final])
def test_what_has_finished_cannot_be_cancelled(bench: Bench, state: State, force: bool) -> None:
    bench.function("work")
    execution = MAKE[state](bench)
    with pytest.raises(ExecutionNotCancellable, match=f"finished: its state is {state}"):
        do(bench.backend.cancel_execution(execution.id, force=force))


def test_one_that_waits_for_its_retry_can_be_cancelled(bench: Bench) -> None:
    bench.function("work", retry=STEADY)
    execution = bench.call("work")
    bench.fail("work")
    bench.cancel(execution)
    bench.wait(minutes=5)
    assert bench.states(execution) == ["cancelled"]


def test_an_aborted_one_is_never_tried_again(bench: Bench) -> None:
    bench.function("work", retry=STEADY)
    execution = bench.call("work")
    bench.cancel(execution, force=True)
    bench.wait(minutes=5)
    assert bench.states(execution) == ["aborted"]
    assert bench.pool.started == ["work"]


def test_an_aborting_one_holds_its_place_until_it_has_ended(bench: Bench) -> None:
    bench.function("work", concurrency=1)
    first = MAKE[State.ABORTING](bench)
    with bench.store.write() as tx:
        tx.running()
    second = do(bench.backend.enqueue(call("work")))
    assert bench.states(first, second) == ["aborting", "created"]
    bench.do()
    assert bench.states(first, second) == ["aborted", "started"]


def test_children_live_on_when_their_parent_is_cancelled(bench: Bench) -> None:
    bench.function("work")
    parent = bench.call("work")
    child = bench.call("work", parent=parent.id, delay=DAY)
    bench.cancel(parent, force=True)
    assert bench.states(parent, child) == ["aborted", "created"]


def test_cancelling_an_unknown_execution_is_not_found(bench: Bench) -> None:
    with pytest.raises(ExecutionNotFound):
        do(bench.backend.cancel_execution("01a22bba-5f37-7985-a03a-adf75ba61934"))


def test_an_attempts_id_is_no_execution_to_act_on(bench: Bench) -> None:
    bench.function("work")
    execution = bench.call("work")
    with pytest.raises(ExecutionNotFound, match="id of the execution"):
        do(bench.backend.cancel_execution(attempt_id(execution.id, 1), force=True))


# --- cancel --tree ----------------------------------------------------------------------------


def test_a_tree_is_cancelled_down_to_the_grandchildren(bench: Bench) -> None:
    bench.function("work")
    top = bench.call("work", delay=DAY)
    child = bench.call("work", parent=top.id, delay=DAY)
    grandchild = bench.call("work", parent=child.id, delay=DAY)
    stranger = bench.call("work", delay=DAY)
    changed = do(bench.operations.cancel_tree(top.id))
    assert [one.id for one in changed] == [top.id, child.id, grandchild.id]
    assert bench.states(top, child, grandchild, stranger) == ["cancelled"] * 3 + ["created"]


def test_a_tree_whose_top_runs_needs_force_and_nothing_is_done_without(bench: Bench) -> None:
    bench.function("work")
    top = bench.call("work")
    child = bench.call("work", parent=top.id, delay=DAY)
    with pytest.raises(ExecutionNotCancellable):
        do(bench.operations.cancel_tree(top.id))
    assert bench.states(top, child) == ["started", "created"]
    do(bench.operations.cancel_tree(top.id, force=True))
    bench.do()
    assert bench.states(top, child) == ["aborted", "cancelled"]


def test_a_tree_whose_top_has_ended_still_reaches_its_children(bench: Bench) -> None:
    bench.function("work")
    top = bench.call("work")
    child = bench.call("work", parent=top.id, delay=DAY)
    bench.succeed("work")
    assert [one.id for one in do(bench.operations.cancel_tree(top.id))] == [child.id]
    with pytest.raises(ExecutionNotCancellable):
        do(bench.operations.cancel_tree(top.id))


# --- reschedule -------------------------------------------------------------------------------


def test_rescheduling_without_a_time_means_now(bench: Bench) -> None:
    bench.function("work")
    execution = bench.call("work", delay=DAY)
    do(bench.backend.reschedule_execution(execution.id))
    bench.do()
    assert bench.states(execution) == ["started"]


def test_rescheduling_moves_the_due_time_both_ways(bench: Bench) -> None:
    bench.function("work")
    execution = bench.call("work", delay=timedelta(hours=1))
    do(bench.backend.reschedule_execution(execution.id, timedelta(hours=3)))
    bench.wait(hours=2)
    assert bench.states(execution) == ["created"]
    moved = do(
        bench.backend.reschedule_execution(execution.id, datetime(2026, 1, 1, 14, tzinfo=timezone.utc))
    )
    assert moved.scheduled_at == START.replace(hour=14, second=0)
    bench.wait(seconds=1)
    assert bench.states(execution) == ["started"], "that time is past"


def test_a_retry_can_be_brought_forward_and_costs_no_attempt(bench: Bench) -> None:
    bench.function("work", retry=STEADY)
    execution = bench.call("work")
    bench.fail("work")
    do(bench.backend.reschedule_execution(execution.id))
    bench.do()
    assert bench.get(execution).attempt == 2


def test_rescheduling_beyond_discard_after_discards(bench: Bench) -> None:
    bench.function("work")
    execution = bench.call("work", delay=timedelta(hours=1), discard_after=timedelta(hours=2))
    do(bench.backend.reschedule_execution(execution.id, timedelta(hours=3)))
    bench.wait(hours=2)
    assert bench.states(execution) == ["discarded"]


@pytest.mark.parametrize("state", [state for state in State if state is not State.CREATED])
def test_only_created_ones_can_be_rescheduled(bench: Bench, state: State) -> None:
    bench.function("work")
    execution = MAKE[state](bench)
    with pytest.raises(ExecutionNotReschedulable):
        do(bench.backend.reschedule_execution(execution.id, timedelta(hours=1)))


# --- rerun ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(State))
def test_any_state_can_be_rerun(bench: Bench, state: State) -> None:
    bench.function("work")
    execution = MAKE[state](bench)
    again = do(bench.backend.rerun_execution(execution.id))
    assert (again.state, again.rerun_of, again.scheduled_at) == (
        State.CREATED,
        execution.id,
        do(bench.backend.now()),
    )
    assert again.id != execution.id
    assert bench.get(execution).state is state, "the old one stays as it is"


def test_a_rerun_keeps_function_arguments_metadata_and_parent(bench: Bench) -> None:
    bench.function("work")
    parent = bench.call("work")
    first = bench.call("work", 1, "two", parent=parent.id, metadata={"team": "growth"}, delay=DAY)
    again = do(bench.backend.rerun_execution(first.id))
    assert (again.function_name, again.metadata, again.executed_by) == ("work", {"team": "growth"}, parent.id)
    assert do(bench.backend.get_execution_arguments(again.id)).positional == [1, "two"]


def test_a_rerun_has_no_discard_after(bench: Bench) -> None:
    first = bench.call("later", discard_after=timedelta(seconds=10))
    again = do(bench.backend.rerun_execution(first.id))
    bench.wait(days=1)
    assert bench.states(first, again) == ["discarded", "created"]


def test_a_rerun_with_other_arguments_changes_nothing_else(bench: Bench) -> None:
    bench.function("work")
    first = bench.call("work", 1, metadata={"team": "growth"})
    again = do(bench.operations.rerun_with(first.id, Arguments(positional=[2], keyword={"loud": True})))
    bench.do()
    assert (again.rerun_of, again.metadata) == (first.id, {"team": "growth"})
    latest = bench.pool.history[-1]
    assert json.loads(latest.arguments) == {"positional": [2], "keyword": {"loud": True}}
    assert do(bench.backend.get_execution_arguments(first.id)).positional == [1]


def test_a_rerun_with_arguments_that_are_not_json_is_refused(bench: Bench) -> None:
    first = bench.call("work")
    with pytest.raises(NotSerializable):
        do(bench.operations.rerun_with(first.id, Arguments(positional=[object()])))


# --- discard ----------------------------------------------------------------------------------


def test_a_delayed_one_is_discarded_when_its_time_is_over_before_it_is_due(bench: Bench) -> None:
    bench.function("work")
    execution = bench.call("work", delay=DAY, discard_after=timedelta(hours=1))
    bench.wait(minutes=59, seconds=59)
    assert bench.states(execution) == ["created"]
    bench.wait(seconds=1)
    assert bench.states(execution) == ["discarded"]


def test_what_has_started_once_is_never_discarded(bench: Bench) -> None:
    bench.function("work", retry=STEADY)
    execution = bench.call("work", discard_after=timedelta(seconds=5))
    bench.fail("work")
    bench.wait(seconds=9)
    assert bench.states(execution) == ["created"], "it waits for its retry, though its discard_after is over"
    bench.wait(seconds=1)
    assert bench.states(execution) == ["started"]


def test_a_discarded_one_does_not_start_in_the_same_instant(bench: Bench) -> None:
    bench.function("work")
    execution = bench.call("work", delay=timedelta(hours=1), discard_after=timedelta(hours=1))
    bench.wait(hours=1)
    assert bench.states(execution) == ["discarded"]


# --- pause ------------------------------------------------------------------------------------


def test_a_pause_survives_a_restart(bench: Bench) -> None:
    bench.function("work")
    do(bench.operations.pause("work"))
    bench.crash()
    bench.start()
    execution = bench.call("work")
    assert bench.states(execution) == ["created"]


def test_a_pause_lets_what_runs_go_on_and_holds_its_retry(bench: Bench) -> None:
    bench.function("work", retry=STEADY)
    execution = bench.call("work")
    do(bench.operations.pause("work"))
    bench.fail("work")
    bench.wait(minutes=1)
    assert bench.states(execution) == ["created"]
    do(bench.operations.resume("work"))
    bench.do()
    assert bench.states(execution) == ["started"]


def test_resuming_everything_leaves_a_function_paused_that_was_paused_by_name(bench: Bench) -> None:
    bench.function("a")
    bench.function("b")
    do(bench.operations.pause("a"))
    do(bench.operations.pause())
    first, second = bench.call("a"), bench.call("b")
    do(bench.operations.resume())
    bench.do()
    assert bench.states(first, second) == ["created", "started"]


def test_a_paused_function_still_discards_and_cancels(bench: Bench) -> None:
    bench.function("work")
    do(bench.operations.pause("work"))
    discarded = bench.call("work", discard_after=timedelta(seconds=1))
    cancelled = bench.call("work")
    bench.cancel(cancelled)
    bench.wait(seconds=1)
    assert bench.states(discarded, cancelled) == ["discarded", "cancelled"]


def test_pausing_what_does_not_exist_says_what_was_meant(bench: Bench) -> None:
    bench.function("send_mail")
    with pytest.raises(UnknownFunction, match="send_mail"):
        do(bench.operations.pause("send_mial"))


# --- retries ----------------------------------------------------------------------------------


def test_each_attempt_has_its_own_times_error_and_generation(bench: Bench) -> None:
    bench.function("work", retry=STEADY)
    execution = bench.call("work")
    bench.wait(seconds=3)
    bench.fail("work")
    bench.pool.generation = 2
    bench.wait(seconds=10)
    bench.fail("work", "timed_out")
    attempts = [bench.store.get(attempt_id(execution.id, number)) for number in (1, 2)]
    seconds = [
        tuple(
            (one - START).total_seconds()
            for one in (a.created_at, a.scheduled_at, a.started_at, a.finished_at)
        )
        for a in attempts
    ]
    assert seconds == [(0, 0, 0, 3), (3, 13, 13, 13)]
    assert [a.generation for a in attempts] == [1, 2]
    assert [a.error_code for a in attempts] == [ErrorCode.USER, ErrorCode.TIMEOUT]
    assert [a.state for a in attempts] == [State.FAILED, State.FAILED]


def test_there_are_no_attempts_before_the_first_start(bench: Bench) -> None:
    execution = bench.call("later")
    with pytest.raises(ExecutionNotFound):
        bench.store.get(attempt_id(execution.id, 1))


def call(name: str) -> Any:
    from defer_client.models import Call

    return Call(function_name=name)


def test_a_success_after_failures_has_no_error_left(bench: Bench) -> None:
    bench.function("work", retry=STEADY)
    execution: Execution = bench.call("work")
    bench.fail("work")
    bench.wait(seconds=10)
    bench.succeed("work", '"done"')
    row = bench.get(execution)
    assert (row.state, row.error_code, row.attempt) == (State.SUCCEED, None, 2)
    assert do(bench.backend.get_execution_result(execution.id)) == "done"
