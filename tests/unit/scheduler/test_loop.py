"""The promises of the scheduler, one by one, on a clock that tests move."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from defer_client.models import Call, ErrorCode, Execution, State
from defer_client.retry import RetryPolicy
from defer_client.sync import run
from defer_emulator.backend import LocalBackend
from defer_emulator.notify.events import CronMissed, ExecutionChanged, Trouble
from defer_emulator.scheduler.loop import POLL_INTERVAL
from defer_emulator.store.store import Store
from tests.unit.scheduler.conftest import Bench

STEADY = RetryPolicy(max_attempts=2, initial_interval=10.0, multiplier=2.0, randomization_factor=0.0)


# --- the simple path -------------------------------------------------------------------------


def test_a_call_starts_at_once_and_its_result_is_kept(bench: Bench) -> None:
    bench.function("add")
    execution = bench.call("add", 1, 2)
    job = bench.pool.running("add")
    assert json.loads(job.arguments) == {"positional": [1, 2], "keyword": {}}
    assert bench.states(execution) == ["started"]

    bench.succeed("add", "3")
    assert bench.states(execution) == ["succeed"]
    assert bench.store.outcomes([execution.id])[execution.id].result == 3


def test_a_call_made_before_its_function_is_known_waits_for_it(bench: Bench) -> None:
    execution = bench.call("later")
    assert bench.states(execution) == ["created"]
    bench.function("later")
    assert bench.states(execution) == ["started"]


def test_calls_are_noticed_again_when_the_file_is_back(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / ".defer").mkdir()
    bench.store = Store.open(tmp_path, clock=bench.clock)
    bench.start()
    bench.function("add")
    file = tmp_path / ".defer" / "state.db"
    file.rename(tmp_path / "away")
    looked: list[None] = []
    bench.do()
    assert [event for event in bench.bus.events if isinstance(event, Trouble)]
    bench.turn(lambda: asyncio.get_running_loop().call_later(2 * POLL_INTERVAL, looked.append, None))
    bench.until(lambda: looked)
    (tmp_path / "away").rename(file)
    backend = LocalBackend(Store.open(tmp_path, clock=bench.clock), wake=lambda: None)
    for number in range(2):
        run(backend.enqueue(Call(function_name="add")), immediate=True)
        bench.until(lambda number=number: len(bench.pool.jobs) > number)


def test_a_delayed_execution_waits_until_it_is_due(bench: Bench) -> None:
    bench.function("add")
    execution = bench.call("add", delay=timedelta(days=1))
    bench.wait(hours=23, minutes=59)
    assert bench.states(execution) == ["created"]
    bench.wait(minutes=1)
    assert bench.states(execution) == ["started"]


def test_a_call_that_is_due_does_not_wait_for_those_that_are_not(bench: Bench) -> None:
    bench.function("add")
    calls: list[Execution] = []

    def enqueue(delay: timedelta, told: Callable[[], None]) -> None:
        call = Call(function_name="add", delay=delay)
        calls.append(run(bench.backend.enqueue(call), immediate=True))
        told()

    bench.turn(lambda: enqueue(timedelta(hours=1), bench.scheduler.poke_later))
    assert not told(bench), "others may come"
    bench.turn(lambda: enqueue(timedelta(), bench.scheduler.poke))
    assert bench.states(*calls) == ["created", "started"]
    assert told(bench) >= {one.id for one in calls}


def told(bench: Bench) -> set[str]:
    """The ids of those whose changes were told."""
    return {event.id for event in bench.bus.events if isinstance(event, ExecutionChanged)}


def test_due_time_comes_first_then_the_order_of_creation(bench: Bench) -> None:
    bench.function("one", concurrency=1)
    bench.call("one", "first")
    late = bench.call("one", "late", delay=timedelta(seconds=20))
    early = bench.call("one", "early", delay=timedelta(seconds=10))
    same = bench.call("one", "same", delay=timedelta(seconds=10))
    bench.wait(seconds=30)
    order = []
    for _ in range(4):
        order.append(json.loads(bench.pool.running("one").arguments)["positional"][0])
        bench.succeed("one")
    assert order == ["first", "early", "same", "late"]
    assert bench.states(late, early, same) == ["succeed"] * 3


# --- failures --------------------------------------------------------------------------------


def test_a_failure_without_retries_is_final(bench: Bench) -> None:
    bench.function("add")
    execution = bench.call("add")
    bench.fail("add")
    row = bench.get(execution)
    assert (row.state, row.error_code, row.attempt) == (State.FAILED, ErrorCode.USER, 1)


def test_a_retry_waits_its_interval_and_keeps_the_id(bench: Bench) -> None:
    bench.function("add", retry=STEADY)
    execution = bench.call("add")
    bench.fail("add")
    assert bench.states(execution) == ["created"]
    bench.wait(seconds=9)
    assert not bench.pool.jobs
    bench.wait(seconds=1)
    assert bench.pool.running("add").attempt == 2
    bench.fail("add")
    bench.wait(seconds=20)
    assert bench.pool.running("add").attempt == 3
    bench.fail("add")
    assert bench.states(execution) == ["failed"]


def test_one_that_waits_for_its_retry_blocks_nobody(bench: Bench) -> None:
    bench.function("one", concurrency=1, retry=STEADY)
    bench.call("one", "first")
    second = bench.call("one", "second")
    bench.fail("one")
    assert bench.states(second) == ["started"]


def test_a_changed_retry_policy_counts_at_once(bench: Bench) -> None:
    bench.function("add")
    execution = bench.call("add")
    bench.spec("add", retry=STEADY)
    bench.fail("add")
    assert bench.states(execution) == ["created"]


# --- limits ----------------------------------------------------------------------------------


def test_a_functions_limit_is_never_exceeded(bench: Bench) -> None:
    bench.function("two", concurrency=2)
    executions = [bench.call("two") for _ in range(3)]
    assert bench.states(*executions) == ["started", "started", "created"]
    bench.succeed("two")
    assert bench.states(*executions) == ["succeed", "started", "started"]


def test_beyond_the_limit_the_action_cancel_cancels(bench: Bench) -> None:
    bench.function("one", concurrency=1, cancel=True)
    first, second = bench.call("one"), bench.call("one")
    assert bench.states(first, second) == ["started", "cancelled"]


def test_the_action_cancel_spares_what_has_started_before(bench: Bench) -> None:
    bench.function("one", concurrency=1, cancel=True, retry=STEADY)
    first = bench.call("one")
    bench.fail("one")
    bench.call("one")
    bench.wait(seconds=10)
    assert bench.states(first) == ["created"], "it waits for the place"


def test_max_concurrency_bounds_everything(bench: Bench) -> None:
    bench.crash()
    bench.start(max_concurrency=2)
    bench.function("a")
    bench.function("b")
    executions = [bench.call("a"), bench.call("b"), bench.call("a")]
    assert bench.states(*executions) == ["started", "started", "created"]


def test_without_an_idle_worker_the_pool_is_asked_for_more(bench: Bench) -> None:
    bench.pool.workers = 0
    bench.function("add")
    bench.call("add")
    assert bench.pool.wanted[-1] == 1
    bench.pool.workers = 1
    bench.do(bench.scheduler.on_capacity)
    assert len(bench.pool.jobs) == 1


# --- workflows -------------------------------------------------------------------------------


def test_a_parent_that_waits_gives_its_place_to_its_child_and_resumes(bench: Bench) -> None:
    bench.crash()
    bench.start(max_concurrency=1)
    bench.function("parent")
    bench.function("child")
    parent = bench.call("parent")
    child_id = bench.await_child("parent", 1, "child")
    assert bench.pool.started == ["parent", "child"]
    bench.succeed("child", "42")
    answer = bench.answer(2)
    assert answer["result"] == 42
    assert answer["execution"]["id"] == child_id
    assert answer["execution"]["executed_by"] == parent.id


def test_a_parent_resumes_before_anything_new_starts(bench: Bench) -> None:
    bench.crash()
    bench.start(max_concurrency=1)
    bench.function("parent")
    bench.function("child")
    bench.function("other")
    bench.call("parent")
    bench.await_child("parent", 1, "child")
    other = bench.call("other")
    bench.succeed("child")
    assert bench.answer(2) is not None
    assert bench.states(other) == ["created"], "the parent has the only place again"
    bench.succeed("parent")
    assert bench.states(other) == ["started"]


def test_children_of_waiting_parents_start_before_older_calls(bench: Bench) -> None:
    bench.crash()
    bench.start(max_concurrency=1)
    bench.function("parent")
    bench.function("child")
    bench.function("other")
    bench.call("parent")
    other = bench.call("other")
    bench.await_child("parent", 1, "child")
    assert bench.pool.started == ["parent", "child"]
    assert bench.states(other) == ["created"]


def test_a_failed_child_is_an_answer_too(bench: Bench) -> None:
    bench.function("parent")
    bench.function("child")
    bench.call("parent")
    bench.await_child("parent", 1, "child")
    bench.fail("child")
    assert bench.answer(2)["failure"]["name"] == "Error"


def test_a_child_that_is_cancelled_by_somebody_else_ends_the_wait(bench: Bench) -> None:
    bench.function("parent")
    bench.function("child")
    bench.call("parent")
    child_id = bench.await_child("parent", 1, "child", delay=timedelta(days=1))
    child = bench.get(bench.store.get(child_id))  # type: ignore[arg-type]
    bench.cancel(child)
    assert bench.answer(2)["execution"]["state"] == "cancelled"


def test_a_child_that_its_functions_limit_cancels_ends_the_wait(bench: Bench) -> None:
    bench.function("parent")
    bench.function("one", concurrency=1, cancel=True)
    bench.call("one")
    bench.call("parent")
    bench.await_child("parent", 1, "one", delay=timedelta(seconds=10))
    bench.wait(seconds=10)
    assert bench.answer(2)["execution"]["state"] == "cancelled"


def test_waiting_for_what_has_ended_is_answered_at_once(bench: Bench) -> None:
    bench.function("parent")
    bench.function("add")
    done = bench.call("add")
    bench.succeed("add", "3")
    bench.call("parent")
    bench.request("parent", 1, "wait", execution_id=done.id)
    assert bench.answer(1)["result"] == 3
    bench.request("parent", 2, "wait", execution_id=f"{done.id}.1")
    assert bench.answer(2)["result"] == 3


def test_waiting_for_an_unknown_execution_is_an_error(bench: Bench) -> None:
    bench.function("parent")
    bench.call("parent")
    bench.request("parent", 1, "wait", execution_id="01a22bba-5f37-7985-a03a-adf75ba61934")
    assert bench.answer(1)["error"] == "ExecutionNotFound"


def test_an_error_of_a_request_travels_back(bench: Bench) -> None:
    bench.function("parent")
    bench.call("parent")
    bench.request("parent", 1, "no_such_method")
    assert bench.answer(1)["error"] == "InvalidRequest"


def test_a_request_that_makes_no_sense_is_answered_too(bench: Bench) -> None:
    bench.function("parent")
    bench.call("parent")
    bench.request("parent", 1, "enqueue")
    assert bench.answer(1)["error"] == "BackendError"


def test_a_wait_for_ones_own_only_place_is_a_deadlock(bench: Bench) -> None:
    bench.function("one", concurrency=1)
    bench.call("one")
    bench.request(
        "one",
        1,
        "enqueue",
        call={"function_name": "one", "function_arguments": [], "awaited": True},
    )
    answer = bench.answer(1)
    assert answer["error"] == "DeadlockError"
    assert "one" in answer["message"]


# --- cancelling, discarding ------------------------------------------------------------------


def test_a_forced_cancel_kills_what_runs(bench: Bench) -> None:
    bench.function("add", retry=STEADY)
    execution = bench.call("add")
    bench.cancel(execution, force=True)
    assert len(bench.pool.killed) == 1
    assert bench.states(execution) == ["aborted"], "an abort is not retried"


def test_a_result_that_arrives_during_an_abort_does_not_count(bench: Bench) -> None:
    bench.function("add")
    execution = bench.call("add")
    sequence = bench.pool.running("add").sequence

    def both() -> None:
        from defer_client.sync import run

        run(bench.backend.cancel_execution(execution.id, force=True), immediate=True)
        bench.pool.end(sequence, "returned", "3")

    bench.do(both)
    assert bench.states(execution) == ["aborted"]


def test_what_was_not_started_in_time_is_discarded(bench: Bench) -> None:
    bench.function("one", concurrency=1)
    bench.call("one")
    execution = bench.call("one", discard_after=timedelta(seconds=5))
    bench.wait(seconds=5)
    assert bench.states(execution) == ["discarded"]


def test_a_delay_longer_than_discard_after_is_discarded_at_that_time(bench: Bench) -> None:
    bench.function("add")
    execution = bench.call("add", delay=timedelta(days=1), discard_after=timedelta(hours=1))
    bench.wait(hours=1)
    assert bench.states(execution) == ["discarded"]


def test_a_retry_is_never_discarded(bench: Bench) -> None:
    bench.function("add", retry=STEADY)
    execution = bench.call("add", discard_after=timedelta(seconds=5))
    bench.fail("add")
    bench.wait(seconds=10)
    assert bench.states(execution) == ["started"]


# --- pausing, reloading ----------------------------------------------------------------------


def test_a_paused_function_queues_and_a_resumed_one_starts(bench: Bench) -> None:
    from defer_client.sync import run

    bench.function("add")
    run(bench.operations.pause("add"), immediate=True)
    execution = bench.call("add")
    assert bench.states(execution) == ["created"]
    run(bench.operations.resume("add"), immediate=True)
    bench.do()
    assert bench.states(execution) == ["started"]


def test_a_pause_of_everything_stops_every_start(bench: Bench) -> None:
    from defer_client.sync import run

    bench.function("add")
    run(bench.operations.pause(), immediate=True)
    execution = bench.call("add")
    assert bench.states(execution) == ["created"]
    run(bench.operations.resume(), immediate=True)
    bench.do()
    assert bench.states(execution) == ["started"]


def test_executions_of_a_broken_file_wait_until_it_is_mended(bench: Bench) -> None:
    bench.function("add")
    bench.breaks("add", "defer/add.py:1: SyntaxError")
    execution = bench.call("add")
    assert bench.states(execution) == ["created"]
    bench.broken.clear()
    bench.load()
    assert bench.states(execution) == ["started"]


# --- crons -----------------------------------------------------------------------------------


def test_a_cron_fires_in_each_of_its_minutes_once(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *")
    bench.wait(seconds=29)
    assert bench.pool.started == []
    bench.wait(seconds=1)
    assert bench.pool.started == ["tick"]
    bench.do()
    bench.wait(seconds=59)
    assert bench.pool.started == ["tick"]
    bench.wait(seconds=1)
    assert bench.pool.started == ["tick", "tick"]


def test_a_cron_that_reloads_twice_in_its_minute_fires_once(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *")
    bench.wait(seconds=30)
    bench.load()
    bench.load()
    bench.wait(seconds=10)
    assert bench.pool.started == ["tick"]


def test_a_restart_in_the_same_minute_does_not_fire_again(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *")
    bench.wait(seconds=30)
    bench.succeed("tick")
    bench.crash()
    bench.start()
    bench.wait(seconds=10)
    assert bench.pool.started == []


def test_minutes_missed_while_nobody_ran_are_said_and_not_replayed(bench: Bench) -> None:
    bench.function("tick", cron="@hourly")
    bench.crash()
    bench.clock.advance(timedelta(hours=5, minutes=1))
    bench.start()
    bench.do()
    assert bench.pool.started == []
    assert [event.count for event in bench.bus.events if isinstance(event, CronMissed)] == [5]


def test_a_changed_expression_counts_from_the_change_on(bench: Bench) -> None:
    bench.function("tick", cron="@daily")
    bench.wait(hours=3)
    bench.spec("tick", cron="0 * * * *")
    assert bench.pool.started == []
    bench.wait(minutes=60)
    assert bench.pool.started == ["tick"]


def test_a_limit_of_one_with_cancel_makes_crons_that_do_not_stack(bench: Bench) -> None:
    bench.function("tick", cron="* * * * *", concurrency=1, cancel=True)
    bench.wait(seconds=30)
    bench.wait(minutes=1)
    assert len(bench.pool.jobs) == 1
    cancelled = [
        event for event in bench.bus.events if isinstance(event, ExecutionChanged) and event.reason == "limit"
    ]
    assert len(cancelled) == 1


# --- stop and crash --------------------------------------------------------------------------


def test_what_ran_during_a_crash_is_interrupted(bench: Bench) -> None:
    bench.function("add")
    execution = bench.call("add")
    bench.crash()
    bench.start()
    row = bench.get(execution)
    assert (row.state, row.error_code) == (State.FAILED, ErrorCode.INTERNAL)


def test_an_interrupted_one_is_tried_again_by_its_policy(bench: Bench) -> None:
    bench.function("add", retry=STEADY)
    execution = bench.call("add")
    bench.crash()
    bench.start()
    assert bench.states(execution) == ["created"]
    bench.wait(seconds=10)
    assert bench.pool.running("add").attempt == 2


def test_a_drain_waits_for_what_runs_and_starts_nothing(bench: Bench) -> None:
    bench.function("add")
    bench.call("add")
    left: list[int] = []
    draining = bench._loop.create_task(bench.scheduler.drain(left.append))
    late = bench.call("add")
    assert not draining.done()
    bench.succeed("add")
    assert draining.done()
    assert bench.states(late) == ["created"]


def test_a_drain_puts_a_parent_back_whose_child_comes_tomorrow(bench: Bench) -> None:
    bench.function("parent")
    bench.function("child")
    parent = bench.call("parent")
    bench.await_child("parent", 1, "child", delay=timedelta(days=1))
    draining = bench._loop.create_task(bench.scheduler.drain(lambda _left: None))
    bench.do()
    assert draining.done()
    row = bench.get(parent)
    assert (row.state, row.attempt) == (State.CREATED, 0)
    (line,) = run(bench.backend.get_execution_logs(parent.id), immediate=True)
    assert (line.stream, line.attempt) == ("system", 1)
    assert "starts anew" in line.message


def test_a_drain_lets_a_parent_go_on_whose_child_has_ended(bench: Bench) -> None:
    bench.crash()
    bench.start(max_concurrency=1)
    for name in ("parent", "other", "child"):
        bench.function(name)
    parent = bench.call("parent")
    child_id = bench.await_child("parent", 1, "child", delay=timedelta(seconds=10))
    bench.call("other")  # has the only place when the wait is over
    bench.cancel(bench.store.get(child_id))
    assert bench.answer(2) is None
    draining = bench._loop.create_task(bench.scheduler.drain(lambda _left: None))
    bench.do()
    bench.succeed("other")
    assert bench.answer(2)["execution"]["state"] == "cancelled"
    bench.succeed("parent")
    assert draining.done()
    assert bench.states(parent) == ["succeed"]


def test_a_stop_at_once_interrupts_what_runs(bench: Bench) -> None:
    bench.function("add")
    execution = bench.call("add")
    bench.do(bench.scheduler.close)
    assert bench.get(execution).error_code is ErrorCode.INTERNAL


@pytest.mark.parametrize("end", ["died", "timed_out"])
def test_dead_processes_and_timeouts_are_retried(bench: Bench, end: str) -> None:
    bench.function("add", retry=STEADY)
    execution = bench.call("add")
    bench.fail("add", end)
    assert bench.states(execution) == ["created"]


def test_out_of_memory_is_never_retried(bench: Bench) -> None:
    bench.function("add", retry=STEADY)
    execution = bench.call("add")
    bench.fail("add", "out_of_memory")
    row = bench.get(execution)
    assert (row.state, row.error_code) == (State.FAILED, ErrorCode.OUT_OF_MEMORY)
