"""Functions that wait for a debugger, executions that a person's process runs, and faults on their way."""

from __future__ import annotations

import math
import os
from datetime import timedelta

from defer_client.models import Call
from defer_client.sync import run
from defer_emulator.backend import LocalBackend
from defer_emulator.domain.faults import Faults
from defer_emulator.domain.work import Running
from defer_emulator.presence import start_time
from defer_emulator.scheduler.loop import Scheduler
from defer_emulator.store.transaction import NO_ARGUMENTS, NewExecution
from tests.unit.scheduler.conftest import Bench


def debugging(bench: Bench, **ports: int) -> None:
    """Another emulator, in which these functions wait for a debugger."""
    bench.scheduler = Scheduler(
        store=bench.store,
        pool=bench.pool.listen,
        bus=bench.bus,
        backend_for=lambda parent: LocalBackend(bench.store, parent=parent, wake=lambda: None),
        debug=ports,
    )
    bench.scheduler.recover()
    bench.load()
    bench.do(bench.scheduler.start)


def in_foreground(bench: Bench, name: str, *, since: str | None = None) -> Running:
    """An execution that this process runs, in place of an emulator."""
    with bench.store.write() as tx:
        new = NewExecution(function=name, arguments=NO_ARGUMENTS, scheduled_at=tx.now, metadata={})
        pid = os.getpid()
        return tx.start_in_foreground(new, None, pid=pid, since=since or start_time(pid) or "")


def test_executions_that_are_debugged_have_their_port_and_run_one_at_a_time(bench: Bench) -> None:
    bench.function("add", concurrency=5, cancel=True)
    debugging(bench, add=5678)
    first, second = bench.call("add"), bench.call("add")
    assert [job.debug_port for job in bench.pool.history] == [5678]
    assert bench.states(first, second) == ["started", "created"]  # and not cancelled
    bench.succeed("add")
    assert bench.states(first, second) == ["succeed", "started"]


def test_nothing_times_out_while_a_function_is_debugged(bench: Bench) -> None:
    bench.function("add")
    bench.function("other")
    debugging(bench, add=5678)
    bench.call("other")
    assert bench.pool.running("other").max_duration == math.inf
    assert bench.pool.running("other").debug_port == 0


def test_no_emulator_ends_what_a_living_process_runs(bench: Bench) -> None:
    bench.function("add")
    running = in_foreground(bench, "add")
    bench.crash()
    bench.start()
    assert run(bench.backend.get_execution(running.id), immediate=True).state == "started"
    assert bench.pool.history == []


def test_an_emulator_ends_what_a_killed_process_ran(bench: Bench) -> None:
    bench.function("add")
    running = in_foreground(bench, "add", since="of another process with the same pid")
    bench.crash()
    bench.start()
    assert run(bench.backend.get_execution(running.id), immediate=True).state == "failed"


def test_the_next_process_finds_what_a_killed_one_ran(bench: Bench) -> None:
    killed = in_foreground(bench, "add", since="long ago")
    alive = in_foreground(bench, "add")
    with bench.store.write() as tx:
        assert [one.id for one in tx.forsaken()] == [killed.id]
        assert [one.id for one in tx.running()] == [killed.id]
    assert alive.id != killed.id


def test_faults_reach_the_pool_with_each_attempt(bench: Bench) -> None:
    bench.function("add")
    faults = Faults(fail_attempts=(1,))
    run(bench.backend.enqueue(Call(function_name="add"), faults=faults), immediate=True)
    bench.call("add")
    assert [job.faults for job in bench.pool.history] == [faults, None]


def test_a_rerun_has_no_faults(bench: Bench) -> None:
    bench.function("add")
    call = Call(function_name="add", delay=timedelta(0))
    execution = run(bench.backend.enqueue(call, faults=Faults(slow=1.0)), immediate=True)
    bench.do()
    run(bench.backend.rerun_execution(execution.id), immediate=True)
    bench.do()
    assert [bool(job.faults) for job in bench.pool.history] == [True, False]
