"""Moving the emulated clock: what follows it, in which order, and what survives."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import pytest

from defer_client.errors import Conflict, InvalidOption
from defer_client.models import Arguments, Call, Execution, Page
from defer_client.retry import RetryPolicy
from defer_client.sync import run
from defer_emulator.clock import to_datetime, to_micros
from defer_emulator.domain.clock_moves import ClockAction, ClockMove
from defer_emulator.notify.events import ClockMoved, CronMissed
from defer_emulator.operations import ClockStatus, Search
from defer_emulator.scheduler.clock_control import ClockControl, walk_alone

from .conftest import START, Bench

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
NOON = START.replace(second=0)


def ask(bench: Bench, action: ClockAction, to: timedelta | datetime | None = None) -> ClockMove:
    move = run(bench.operations.ask_clock(action, to), immediate=True)
    bench.do()
    return move


def state(bench: Bench, move: ClockMove) -> str:
    return bench.store.clock_move(move.id).state


def status(bench: Bench) -> ClockStatus:
    return run(bench.operations.clock(), immediate=True)


def now(bench: Bench) -> datetime:
    return status(bench).now


def until(bench: Bench, condition: Any) -> None:
    """Executions that wait for others are watched for some milliseconds of real time."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        bench.do()


def walked(bench: Bench, *functions: str, **options: Any) -> ClockMove:
    """Advance, and let what starts of these functions end at once."""
    move = ask(bench, "advance", **options)
    for _ in range(100_000):
        if bench.store.clock_move(move.id).is_over:
            break
        for job in list(bench.pool.jobs.values()):
            if job.function in functions:
                bench.do(lambda job=job: bench.pool.end(job.sequence, "returned", "null"))
        bench.do()
    return bench.store.clock_move(move.id)


def executions(bench: Bench, function: str) -> list[Execution]:
    found = run(
        bench.operations.search(Page(first=1_000), Search(function_names=[function])), immediate=True
    ).data
    return sorted(found, key=lambda execution: execution.scheduled_at)


# --- what is due, in order -------------------------------------------------------------------------


def test_an_advance_starts_what_was_delayed_at_its_own_instant(bench: Bench) -> None:
    bench.function("send")
    later = bench.call("send", delay=DAY)
    sooner = bench.call("send", delay=HOUR)
    move = walked(bench, "send", to=2 * DAY)
    assert move.state == "done"
    assert [job.execution_id for job in bench.pool.history] == [sooner.id, later.id]
    assert bench.get(sooner).started_at == START + HOUR
    assert bench.get(later).started_at == START + DAY
    assert now(bench) == START + 2 * DAY


def test_an_advance_waits_for_what_an_instant_has_started(bench: Bench) -> None:
    bench.function("send")
    first, second = bench.call("send", delay=HOUR), bench.call("send", delay=DAY)
    move = ask(bench, "advance", 2 * DAY)
    bench.wait(hours=9)  # of real time, while the first runs
    assert bench.states(first, second) == ["started", "created"]
    assert now(bench) == START + HOUR
    bench.succeed("send")
    assert bench.states(first, second) == ["succeed", "started"]
    assert state(bench, move) == "going"
    bench.succeed("send")
    assert state(bench, move) == "done"


def test_an_advance_waits_for_what_runs_already(bench: Bench) -> None:
    bench.function("send")
    bench.call("send")
    move = ask(bench, "advance", DAY)
    assert (state(bench, move), now(bench)) == ("going", START)
    bench.succeed("send")
    assert state(bench, move) == "done"


def test_an_advance_fires_each_minute_of_a_cron_at_its_instant(bench: Bench) -> None:
    bench.function("tick", cron="0 8 * * *")
    assert walked(bench, "tick", to=7 * DAY).state == "done"
    ticks = executions(bench, "tick")
    assert [one.scheduled_at for one in ticks] == [NOON.replace(hour=8) + n * DAY for n in range(1, 8)]
    assert all(one.created_at == one.started_at == one.scheduled_at for one in ticks)


def test_an_advance_retries_and_discards_at_their_instants(bench: Bench) -> None:
    bench.function("flaky", retry=RetryPolicy(max_attempts=1, initial_interval=600, randomization_factor=0))
    bench.function("never")
    run(bench.operations.pause("never"), immediate=True)
    flaky = bench.call("flaky")
    discarded = bench.call("never", discard_after=HOUR)
    bench.fail("flaky")
    assert walked(bench, "flaky", to=DAY).state == "done"
    assert bench.get(flaky).started_at == START + timedelta(seconds=600)
    assert (bench.get(discarded).state, bench.get(discarded).finished_at) == ("discarded", START + HOUR)


def test_what_an_instant_enqueues_is_part_of_the_walk(bench: Bench) -> None:
    bench.function("parent")
    bench.function("child")
    bench.call("parent", delay=HOUR)
    move = ask(bench, "advance", DAY)
    parent = bench.pool.running("parent").execution_id
    soon, later = bench.call("child", parent=parent), bench.call("child", parent=parent, delay=HOUR)
    bench.succeed("parent")
    bench.succeed("child")
    assert bench.get(soon).started_at == START + HOUR
    assert bench.get(later).started_at == START + 2 * HOUR
    bench.succeed("child")
    assert state(bench, move) == "done"


def test_a_parent_that_waits_for_tomorrow_does_not_hold_the_clock(bench: Bench) -> None:
    bench.function("parent")
    bench.function("child")
    parent = bench.call("parent")
    child = bench.await_child("parent", 1, "child", delay=DAY)
    move = ask(bench, "advance", 2 * DAY)
    until(bench, lambda: bench.pool.running("child") if len(bench.pool.jobs) == 2 else None)
    assert now(bench) == START + DAY
    bench.succeed("child")
    assert bench.answer(2) is not None
    assert state(bench, move) == "going", "the parent runs again"
    bench.succeed("parent")
    assert state(bench, move) == "done"
    assert bench.states(parent) == ["succeed"]
    assert run(bench.backend.get_execution(child), immediate=True).started_at == START + DAY


def test_a_parent_that_has_just_asked_for_something_may_still_ask_for_more(bench: Bench) -> None:
    bench.start(quiet_in=lambda latest: 1.0)  # of a second in which it may
    bench.function("parent")
    bench.function("child")
    bench.call("parent")
    bench.await_child("parent", 1, "child", delay=DAY)
    ask(bench, "advance", 2 * DAY)
    bench.await_child("parent", 3, "child")
    running = bench.pool.running("child").execution_id
    assert run(bench.backend.get_execution(running), immediate=True).started_at == START


@pytest.mark.parametrize("trouble", ["paused", "broken"])
def test_what_cannot_start_does_not_hold_the_clock(bench: Bench, trouble: str) -> None:
    bench.function("send")
    if trouble == "paused":
        run(bench.operations.pause("send"), immediate=True)
    else:
        bench.breaks("send", "no such module")
    execution = bench.call("send", delay=HOUR)
    assert state(bench, ask(bench, "advance", DAY)) == "done"
    assert bench.states(execution) == ["created"]


def test_a_limit_that_is_held_by_a_waiting_parent_does_not_hold_the_clock(bench: Bench) -> None:
    bench.function("parent", concurrency=1)
    bench.function("child")
    bench.call("parent")
    bench.await_child("parent", 1, "child", delay=DAY)
    queued = bench.call("parent")
    ask(bench, "advance", 2 * DAY)
    until(bench, lambda: now(bench) == START + DAY)
    assert bench.states(queued) == ["created"]


def test_the_next_due_thing_is_where_next_ends(bench: Bench) -> None:
    bench.function("send")
    bench.function("tick", cron="0 * * * *")
    bench.call("send", delay=10 * MINUTE)
    move = ask(bench, "next")
    assert now(bench) == START + 10 * MINUTE
    assert state(bench, move) == "going", "it waits for what that starts"
    bench.succeed("send")
    assert state(bench, move) == "done"
    assert status(bench).mode == "running"
    ask(bench, "next")
    assert now(bench) == NOON.replace(hour=13)
    assert bench.pool.started == ["send", "tick"]


def test_next_says_when_nothing_is_due(bench: Bench) -> None:
    assert state(bench, ask(bench, "next")) == "nothing_due"
    assert now(bench) == START


def test_a_paused_cron_is_nothing_to_walk_to(bench: Bench) -> None:
    bench.function("tick", cron="0 * * * *")
    run(bench.operations.pause("tick"), immediate=True)
    assert state(bench, ask(bench, "next")) == "nothing_due"
    bench.function("send")
    execution = bench.call("send", delay=DAY)
    ask(bench, "next")
    until(bench, lambda: bench.states(execution) == ["started"])
    assert now(bench) == START + DAY
    bench.succeed("send")
    run(bench.operations.resume("tick"), immediate=True)
    ask(bench, "next")
    assert now(bench) == NOON + DAY + HOUR
    assert bench.pool.started == ["send", "tick"]
    assert not [event for event in bench.bus.events if isinstance(event, CronMissed)]


# --- modes -----------------------------------------------------------------------------------------


def test_a_running_clock_runs_on_from_where_an_advance_ended(bench: Bench) -> None:
    walked(bench, to=3 * DAY)
    assert (status(bench).mode, status(bench).offset) == ("running", 3 * DAY)
    bench.wait(minutes=1)
    assert now(bench) == START + 3 * DAY + MINUTE


def test_a_frozen_clock_stays_frozen_at_the_new_instant(bench: Bench) -> None:
    ask(bench, "freeze")
    bench.wait(hours=1)
    assert now(bench) == START
    walked(bench, to=DAY)
    bench.wait(hours=1)
    assert (status(bench).mode, now(bench)) == ("frozen", START + DAY)


def test_on_a_frozen_clock_only_what_is_due_starts(bench: Bench) -> None:
    bench.function("send")
    ask(bench, "freeze")
    soon, later = bench.call("send"), bench.call("send", delay=MINUTE)
    bench.wait(hours=1)
    assert bench.states(soon, later) == ["started", "created"]


def test_resume_lets_the_clock_run_from_where_it_stands(bench: Bench) -> None:
    ask(bench, "freeze")
    bench.wait(hours=1)
    ask(bench, "resume")
    bench.wait(minutes=1)
    assert (status(bench).mode, now(bench)) == ("running", START + MINUTE)
    assert status(bench).epoch == 0


def test_reset_is_a_new_epoch_in_which_each_minute_fires_once_again(bench: Bench) -> None:
    bench.function("tick", cron="0 * * * *")
    walked(bench, "tick", to=2 * HOUR)
    ask(bench, "reset")
    assert (status(bench).epoch, status(bench).offset) == (1, timedelta())
    walked(bench, "tick", to=HOUR)
    hours = [execution.scheduled_at.hour for execution in executions(bench, "tick")]
    assert hours == [13, 13, 14]


def test_a_target_in_the_past_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidOption) as caught:
        ask(bench, "advance", START - DAY)
    assert "reset" in caught.value.hint


def test_an_advance_by_nothing_waits_until_nothing_runs(bench: Bench) -> None:
    assert state(bench, ask(bench, "advance", timedelta())) == "done"
    assert now(bench) == START


# --- ends ------------------------------------------------------------------------------------------


def test_a_second_advance_is_a_conflict(bench: Bench) -> None:
    bench.function("send")
    bench.call("send")
    ask(bench, "advance", DAY)
    with pytest.raises(Conflict, match="already"):
        ask(bench, "advance", HOUR)
    with pytest.raises(Conflict):
        ask(bench, "next")


def test_a_cancelled_advance_leaves_the_clock_where_it_got(bench: Bench) -> None:
    bench.function("send")
    bench.call("send", delay=HOUR)
    move = ask(bench, "advance", DAY)
    assert status(bench).advancing_to == START + DAY
    assert status(bench).mode == "running"
    run(bench.operations.cancel_clock_move(move.id), immediate=True)
    bench.do()
    assert state(bench, move) == "cancelled"
    bench.wait(minutes=1)
    assert now(bench) == START + HOUR + MINUTE
    assert status(bench).advancing_to is None


def test_an_advance_that_got_nowhere_leaves_an_unmoved_clock_unmoved(bench: Bench) -> None:
    bench.function("send")
    bench.call("send")
    move = ask(bench, "advance", DAY)
    bench.wait(seconds=10)
    run(bench.operations.cancel_clock_move(move.id), immediate=True)
    bench.do()
    assert (status(bench).offset, status(bench).epoch) == (timedelta(), 0)
    bench.succeed("send")
    assert state(bench, ask(bench, "next")) == "nothing_due"
    assert status(bench).offset == timedelta()


@pytest.mark.parametrize(("action", "after"), [("freeze", HOUR), ("resume", HOUR), ("reset", timedelta())])
def test_other_moves_end_an_advance(bench: Bench, action: ClockAction, after: timedelta) -> None:
    bench.function("send")
    bench.call("send", delay=HOUR)
    advance = ask(bench, "advance", DAY)
    other = ask(bench, action)
    assert (state(bench, advance), state(bench, other)) == ("cancelled", "done")
    assert now(bench) == START + after
    assert status(bench).mode == ("frozen" if action == "freeze" else "running")


def test_a_crash_leaves_the_clock_where_it_got_and_loses_nothing(bench: Bench) -> None:
    bench.function("tick", cron="0 * * * *")
    move = ask(bench, "advance", DAY)
    bench.crash()
    bench.wait(hours=5)  # of real time
    assert now(bench) == NOON.replace(hour=13)
    assert status(bench).mode == "running"
    bench.start()
    assert state(bench, move) == "interrupted"
    assert now(bench) == NOON.replace(hour=13)
    bench.wait(hours=1)
    assert [one.scheduled_at.hour for one in executions(bench, "tick")] == [13, 14]


def test_a_crash_between_the_step_and_the_cron_fires_the_cron_once(bench: Bench) -> None:
    bench.function("tick", cron="0 * * * *")
    bench.crash()
    run(bench.operations.ask_clock("advance", DAY), immediate=True)
    with bench.store.write() as tx:
        control = ClockControl()
        control.take(tx)
        assert control.step(tx, [to_micros(NOON.replace(hour=13))], None)
    bench.start()
    bench.wait(minutes=1)
    assert [one.scheduled_at.hour for one in executions(bench, "tick")] == [13]


def test_what_was_asked_before_the_start_is_done_after_it(bench: Bench) -> None:
    bench.crash()
    move = run(bench.operations.ask_clock("advance", DAY), immediate=True)
    bench.start()
    assert state(bench, move) == "done"


def test_a_clean_stop_ends_an_advance(bench: Bench) -> None:
    bench.function("send")
    bench.call("send")
    move = ask(bench, "advance", DAY)
    bench.do(bench.scheduler.close)
    assert state(bench, move) == "interrupted"
    assert status(bench).mode == "running"


def test_that_a_walk_has_begun_is_known_in_that_transaction_only(bench: Bench) -> None:
    control = ClockControl()
    run(bench.operations.ask_clock("advance", HOUR), immediate=True)
    with bench.store.write() as tx:
        control.take(tx)
        assert control.has_begun
    with bench.store.write() as tx:
        control.abandon(tx)  # of an emulator that stops
        assert not control.has_begun


def test_an_advance_is_told_when_it_begins_and_when_it_ends(bench: Bench) -> None:
    walked(bench, to=DAY)
    first, second = [event for event in bench.bus.events if isinstance(event, ClockMoved)]
    assert first.target is not None
    assert to_datetime(first.target) == START + DAY
    assert (to_datetime(second.at), second.mode, second.target) == (START + DAY, "running", None)


# --- without an emulator ---------------------------------------------------------------------------


def test_without_an_emulator_the_clock_walks_and_what_becomes_due_waits(bench: Bench) -> None:
    bench.function("send")
    bench.function("tick", cron="0 0 * * *")
    bench.crash()
    delayed = run_call(bench, "send", delay=DAY)
    discarded = run_call(bench, "send", delay=2 * DAY, discard_after=HOUR)
    move = run(bench.operations.ask_clock("advance", 3 * DAY), immediate=True)
    shown: list[int] = []
    assert walk_alone(bench.store, shown.append) == []
    assert state(bench, move) == "done"
    assert now(bench) == START + 3 * DAY
    assert shown == sorted(shown)
    assert bench.get(discarded).finished_at == START + HOUR
    assert [one.created_at.day for one in executions(bench, "tick")] == [2, 3, 4]
    bench.start()
    assert bench.pool.started == ["tick", "send", "tick", "tick"]
    assert bench.states(delayed) == ["started"]


def run_call(bench: Bench, name: str, **options: Any) -> Execution:
    call = Call(function_name=name, arguments=Arguments(), **options)
    return run(bench.backend.enqueue(call), immediate=True)


def test_without_an_emulator_next_finds_executions_and_crons(bench: Bench) -> None:
    bench.function("tick", cron="0 * * * *")
    bench.crash()
    run_call(bench, "unknown", delay=10 * MINUTE)
    for expected in (START + 10 * MINUTE, NOON.replace(hour=13), NOON.replace(hour=14)):
        run(bench.operations.ask_clock("next"), immediate=True)
        walk_alone(bench.store)
        assert now(bench) == expected


def test_without_an_emulator_a_paused_cron_is_nothing_to_walk_to(bench: Bench) -> None:
    bench.function("tick", cron="0 * * * *")
    bench.crash()
    run(bench.operations.pause("tick"), immediate=True)
    move = run(bench.operations.ask_clock("next"), immediate=True)
    assert walk_alone(bench.store) == []
    assert (state(bench, move), now(bench)) == ("nothing_due", START)
    run_call(bench, "unknown", delay=DAY)
    run(bench.operations.ask_clock("next"), immediate=True)
    assert walk_alone(bench.store) == []
    assert now(bench) == START + DAY


def test_crons_that_were_missed_before_are_told_not_fired(bench: Bench) -> None:
    bench.function("tick", cron="0 * * * *")
    bench.crash()
    bench.clock.advance(3 * HOUR + 10 * MINUTE)
    run(bench.operations.ask_clock("advance", HOUR), immediate=True)
    (missed,) = walk_alone(bench.store)
    assert (missed.function, missed.missed) == ("tick", 3)
    assert [one.scheduled_at.hour for one in executions(bench, "tick")] == [16]


def test_the_crons_of_a_jump_are_counted_beforehand(bench: Bench) -> None:
    bench.function("tick", cron="0 * * * *")
    bench.function("tock", cron="0 0 * * *")
    bench.function("idle", cron="* * * * *")
    run(bench.operations.pause("idle"), immediate=True)
    assert run(bench.operations.crons_until(DAY), immediate=True) == 25
