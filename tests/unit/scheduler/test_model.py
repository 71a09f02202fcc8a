"""Random histories of calls, failures, limits, reloads, crashes and clocks that jump.

After each step every promise of the scheduler is checked (`promises.py`); at the end of each history
everything is let go, and must come to its end.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from defer_client.models import State
from defer_client.retry import RetryPolicy
from defer_client.sync import run
from defer_emulator.domain.functions import BrokenFunction, FunctionSpec
from defer_emulator.domain.retry import backoff
from tests.unit.scheduler.promises import CheckedHistory

SECONDS = st.sampled_from([0, 5, 10, 60, 90, 86_400]).map(lambda seconds: timedelta(seconds=seconds))
ENDS = st.sampled_from(["returned", "raised", "died", "timed_out", "out_of_memory"])
STEADY = RetryPolicy(max_attempts=2, initial_interval=10.0, multiplier=2.0, randomization_factor=0.0)
AT_ONCE = RetryPolicy(max_attempts=1, initial_interval=0.0)


def spec(name: str, **options: Any) -> FunctionSpec:
    kind = "cron" if "cron" in options else "background"
    return FunctionSpec(
        name=name, module=f"defer.{name}", file=f"defer/{name}.py", line=1, kind=kind, **options
    )


# Each awaits only what stands after it: else waits for places could be a circle that nobody can see.
BACKGROUND = {
    one.name: one
    for one in (
        spec("top"),
        spec("pair", concurrency=2, retry=STEADY),
        spec("single", concurrency=1, retry=AT_ONCE),
        spec("lossy", concurrency=1, max_concurrency_action="cancel", retry=STEADY),
        spec("leaf", retry=STEADY),
    )
}
CRONS = {
    one.name: one
    for one in (
        spec("tick", cron="* * * * *", concurrency=1, max_concurrency_action="cancel"),
        spec("rare", cron="*/2 * * * *"),
    )
}
NAMES = list(BACKGROUND)
ALL = [*BACKGROUND, *CRONS]
INDEX = st.integers(0, 1_000)  # chooses among what there is


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.history = CheckedHistory()
        self.history.specs = {**BACKGROUND, **CRONS}
        self.history.start()

    # --- choosing ---------------------------------------------------------------------------

    def alive(self) -> bool:
        return self.history.scheduler is not None

    def able(self) -> bool:
        return self.alive() and bool(self.history.pool.able())

    def chosen(self, index: int) -> int:
        able = self.history.pool.able()
        return able[index % len(able)]

    def execution(self, index: int) -> Any:
        """Any execution, rather a young one."""
        rows = self.history.rows("SELECT * FROM executions ORDER BY sequence DESC LIMIT 12")
        return rows[index % len(rows)] if rows else None

    def state(self, execution_id: str) -> State:
        return self.history.store.get(execution_id).state

    # --- calls ------------------------------------------------------------------------------

    @rule(
        name=st.sampled_from(NAMES),
        delay=SECONDS,
        discard=st.none() | SECONDS,
        count=st.integers(1, 3),
    )
    def call(self, name: str, delay: timedelta, discard: timedelta | None, count: int) -> None:
        for _ in range(count):
            self.history.call(name, delay=delay, discard_after=discard, metadata={"of": "test"})

    @precondition(able)
    @rule(index=INDEX, name=st.sampled_from(NAMES))
    def start_a_child(self, index: int, name: str) -> None:
        parent = self.history.pool.jobs[self.chosen(index)].execution_id
        self.history.call(name, parent=parent)

    @precondition(alive)
    @rule(
        index=INDEX,
        choice=INDEX,
        delay=st.sampled_from([0, 0, 5]).map(lambda seconds: timedelta(seconds=seconds)),
        count=st.integers(1, 3),
        rival=st.booleans(),
    )
    def await_children(self, index: int, choice: int, delay: timedelta, count: int, rival: bool) -> None:
        """A parent, if none can, is made; with a rival, somebody else calls the same function before."""
        if not self.able():
            self.history.call("top")
        if not self.able():
            return
        sequence = self.chosen(index)
        caller = self.history.pool.jobs[sequence].function
        after = NAMES[NAMES.index(caller) + 1 :] if caller in NAMES else NAMES
        if rival and after:
            self.history.call(after[choice % len(after)])
        for _ in range(count if after else 0):
            if sequence in self.history.pool.jobs:
                refusal = self.history.await_child(sequence, after[choice % len(after)], delay)
                assert refusal is None

    @precondition(able)
    @rule(index=INDEX)
    def await_ones_own_place(self, index: int) -> None:
        sequence = self.chosen(index)
        function = self.history.pool.jobs[sequence].function
        if function in NAMES and self.history.registered(function).concurrency == 1:
            refusal = self.history.await_child(sequence, function, None)
            assert refusal is not None and refusal["error"] == "DeadlockError"

    @precondition(able)
    @rule(index=INDEX, which=INDEX)
    def await_any_leaf(self, index: int, which: int) -> None:
        row, sequence = self.execution(which), self.chosen(index)
        if row["function"] == "leaf" and self.history.pool.jobs[sequence].function != "leaf":
            self.history.request(sequence, "wait", execution_id=row["id"])

    @precondition(lambda self: self.alive() and self.history.pool.pending)
    @rule(index=INDEX)
    def give_up_waiting(self, index: int) -> None:
        waits = [(sequence, one) for sequence, many in self.history.pool.pending.items() for one in many]
        sequence, request = waits[index % len(waits)]
        if sequence not in self.history.pool.dying:
            self.history.give_up(sequence, request)

    # --- ends -------------------------------------------------------------------------------

    @precondition(able)
    @rule(index=INDEX, end=ENDS)
    def end(self, index: int, end: str) -> None:
        sequence = self.chosen(index)
        job = self.history.pool.jobs[sequence]
        policy = self.history.registered(job.function).retry
        retries = 0 if end == "out_of_memory" else policy.max_attempts
        if end == "returned":
            expected = "succeed"
        else:
            expected = "failed" if job.attempt > retries else "created"
        seen = len(self.history.rows("SELECT 1 FROM seen_states"))
        self.history.end(sequence, end)
        changes = self.history.rows("SELECT * FROM seen_states LIMIT -1 OFFSET ?", seen)
        assert next(one["new"] for one in changes if one["sequence"] == sequence) == expected
        (row,) = self.history.rows("SELECT * FROM executions WHERE sequence = ?", sequence)
        if expected == "created":  # and perhaps started again
            wait = round(backoff(policy, job.attempt, 0.5) * 1_000_000)
            assert row["scheduled_at"] == self.history.store.now() + wait

    @precondition(lambda self: self.alive() and self.history.pool.dying)
    @rule()
    def kills_take_effect(self) -> None:
        for sequence in sorted(self.history.pool.dying):
            execution_id = self.history.pool.jobs[sequence].execution_id
            self.history.end(sequence, "killed")
            assert self.state(execution_id) is State.ABORTED

    # --- what people do ---------------------------------------------------------------------

    @rule(index=INDEX, force=st.booleans(), during_end=st.booleans())
    def cancel(self, index: int, force: bool, during_end: bool) -> None:
        if (row := self.execution(index)) is None:
            return
        before = self.state(row["id"])
        refusals = {
            (State.STARTED, False): "ExecutionNotCancellable",
            (State.ABORTING, False): "ExecutionNotCancellable",
            (State.ABORTING, True): "ExecutionAbortingAlreadyInProgress",
        }
        expected = "ExecutionNotCancellable" if before.is_final else refusals.get((before, force))

        def cancel() -> None:
            run(self.history.backend.cancel_execution(row["id"], force=force), immediate=True)
            if during_end and self.alive() and row["sequence"] in self.history.pool.able():
                self.history.end(row["sequence"], "returned")  # too late

        assert self.history.attempt(cancel) == expected
        if expected is None:
            ended = {State.ABORTING, State.ABORTED} if before is State.STARTED else {State.CANCELLED}
            assert self.state(row["id"]) in ended

    @rule(index=INDEX, deed=st.sampled_from(["tree", "reschedule", "rerun"]), when=SECONDS)
    def act(self, index: int, deed: str, when: timedelta) -> None:
        if (row := self.execution(index)) is None:
            return
        if deed == "tree":
            operations = self.history.operations
            self.history.attempt(lambda: run(operations.cancel_tree(row["id"], force=True), immediate=True))
            assert self.state(row["id"]).is_final or self.state(row["id"]) is State.ABORTING
        elif deed == "rerun":
            new = run(self.history.backend.rerun_execution(row["id"]), immediate=True)
            self.history.do()
            assert (new.rerun_of, new.executed_by) == (row["id"], row["executed_by"])
        else:
            expected = None if self.state(row["id"]) is State.CREATED else "ExecutionNotReschedulable"
            moving = self.history.backend.reschedule_execution(row["id"], when)
            assert self.history.attempt(lambda: run(moving, immediate=True)) == expected

    @rule(name=st.none() | st.sampled_from(ALL), paused=st.booleans())
    def pause(self, name: str | None, paused: bool) -> None:
        operations = self.history.operations
        action = operations.pause if paused else operations.resume
        self.history.attempt(lambda: run(action(name), immediate=True))

    # --- code -------------------------------------------------------------------------------

    @rule(
        name=st.sampled_from(ALL),
        deed=st.sampled_from(["break", "mend", "remove", "restore", "change", "change", "change"]),
        concurrency=st.sampled_from([None, 1, 2]),
        retry=st.sampled_from([STEADY, AT_ONCE, RetryPolicy(max_attempts=0)]),
        cron=st.sampled_from(["* * * * *", "*/2 * * * *", "@daily"]),
    )
    def save(self, name: str, deed: str, concurrency: int | None, retry: RetryPolicy, cron: str) -> None:
        specs, broken = self.history.specs, self.history.broken
        if deed == "break" and name in specs:
            broken[name] = BrokenFunction(reason="defer/x.py:1: no")
        elif deed == "remove":
            specs.pop(name, None)
        elif deed == "restore":
            specs.setdefault(name, {**BACKGROUND, **CRONS}[name])
        elif deed == "change" and name in specs and name not in broken:
            changed = replace(specs[name], concurrency=concurrency, retry=retry)
            specs[name] = replace(changed, cron=cron) if name in CRONS else changed
        if deed != "break":
            broken.pop(name, None)
        self.history.adopt()

    # --- time -------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 5, 10, 30, 60, 200]))
    def time_passes(self, seconds: int) -> None:
        for _ in range(seconds // 5 if seconds > 10 else 1):
            self.history.clock.advance(timedelta(seconds=min(seconds, 5) if seconds > 10 else seconds))
            self.history.do()

    @rule(minutes=st.sampled_from([-90, -1, 1, 2, 90, 1_440]), by_machine=st.booleans())
    def clock_jumps(self, minutes: int, by_machine: bool) -> None:
        """That of the machine, or the emulated one by `defer clock`."""
        if by_machine:
            self.history.clock.advance(timedelta(minutes=minutes))
            self.history.do()
        else:
            self.history.move_clock(timedelta(minutes=minutes))

    # --- machinery --------------------------------------------------------------------------

    @precondition(alive)
    @rule(workers=st.sampled_from([0, 1, 2, 100]))
    def workers_come_and_go(self, workers: int) -> None:
        scheduler = self.history.scheduler
        assert scheduler is not None
        self.history.workers = self.history.pool.workers = workers
        self.history.do(scheduler.on_capacity)

    @precondition(able)
    @rule(index=INDEX, end=ENDS, seconds=st.sampled_from([0, 30]))
    def end_while_the_disk_is_full(self, index: int, end: str, seconds: int) -> None:
        self.history.disk.failures = 1_000
        self.history.clock.advance(timedelta(seconds=seconds))
        self.history.end(self.chosen(index), end)
        self.history.disk.failures = 0
        self.history.do()

    @precondition(alive)
    @rule(how=st.sampled_from(["crash", "stop_at_once", "drain"]), at_once=st.booleans())
    def emulator_ends(self, how: str, at_once: bool) -> None:
        getattr(self.history, how)()
        if at_once:
            self.history.start()

    @precondition(lambda self: not self.alive())
    @rule(places=st.sampled_from([1, 2, 3, 100]))
    def emulator_starts(self, places: int) -> None:
        self.history.max_concurrency = places
        self.history.start()

    @invariant()
    def promises_hold(self) -> None:
        self.history.check()

    # --- the end ----------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            self.everything_ends()
        finally:
            self.history.close()

    def everything_ends(self) -> None:
        """Without obstacles each execution comes to its end: nothing waits for what cannot happen."""
        history = self.history
        history.specs = {**BACKGROUND, **{name: replace(one, cron="@yearly") for name, one in CRONS.items()}}
        history.broken, history.workers = {}, 100
        if history.scheduler is None:
            history.start()
        history.adopt()
        history.pool.workers = 100
        for name in (None, *ALL):
            run(history.operations.resume(name), immediate=True)
        history.do()
        unfinished = "SELECT count(*) FROM executions WHERE state IN ('created', 'started', 'aborting')"
        for _ in range(1_000):
            if history.rows(unfinished)[0][0] == 0:
                break
            able = history.pool.able()
            if able or history.pool.dying:
                history.end(able[0] if able else min(history.pool.dying), "returned")
            else:
                now = history.store.now()
                later = (
                    "SELECT min(scheduled_at) FROM executions WHERE state = 'created' AND scheduled_at > ?"
                )
                due = history.rows(later, now)[0][0]
                assert due is not None, f"these wait for what cannot happen: {history.describe()}"
                history.clock.advance(timedelta(microseconds=due - now))
                history.do()
        assert history.rows(unfinished)[0][0] == 0
        history.check()


def test_a_wait_that_a_full_disk_ended_too_early_goes_on() -> None:
    history = CheckedHistory()
    history.specs = dict(BACKGROUND)
    history.start()
    history.call("lossy")
    history.call("top")
    holder, parent = history.pool.jobs
    history.await_child(parent, "lossy", timedelta(seconds=10))
    history.disk.failures = 2
    history.clock.advance(timedelta(seconds=10))
    history.do()  # its limit cancels the child, but that cannot be written
    history.end(holder, "returned")
    history.do()
    assert history.pool.parked == {parent}
    history.check()
    (child,) = history.pool.able()
    history.end(child, "returned")
    assert history.pool.answers[-1][2]["execution"]["state"] == "succeed"
    history.close()


def play(histories: int, steps: int) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Histories,
        settings=settings(
            max_examples=histories,
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
            print_blob=True,
        ),
    )


def test_every_promise_holds_in_random_histories() -> None:
    play(histories=60, steps=40)


@pytest.mark.drill
def test_every_promise_holds_in_thousands_of_random_histories() -> None:
    play(histories=3_000, steps=60)
