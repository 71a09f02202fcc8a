"""The facts behind `defer why`, from a real scheduler."""

from __future__ import annotations

from datetime import timedelta

from defer_client.models import Execution
from defer_client.retry import RetryPolicy
from defer_client.sync import run
from defer_emulator.backend import LocalBackend
from defer_emulator.domain.why import Reason
from tests.unit.scheduler.conftest import Bench

STEADY = RetryPolicy(max_attempts=2, initial_interval=40.0, randomization_factor=0.0)


def why(bench: Bench, execution: Execution | str) -> Reason:
    name = execution if isinstance(execution, str) else execution.id
    return run(bench.operations.why(name), immediate=True).main


def test_waiting_for_a_place_names_who_holds_it(bench: Bench) -> None:
    bench.function("one", concurrency=1)
    first, second = bench.call("one"), bench.call("one")
    found = why(bench, second)
    assert (found.kind, found.details["held_by"]) == ("concurrency", [first.id])


def test_waiting_for_a_retry_tells_the_error_of_the_latest_attempt(bench: Bench) -> None:
    bench.function("add", retry=STEADY)
    execution = bench.call("add")
    bench.fail("add")
    found = why(bench, execution)
    assert (found.kind, found.details["seconds"], found.details["attempt"]) == ("retry", 40.0, 2)
    assert found.details["last_error"] == {"code": "ER0003", "name": "Error", "message": "no"}
    assert why(bench, f"{execution.id}.1").kind == "failed"


def test_a_parent_that_waits_names_its_child(bench: Bench) -> None:
    bench.function("parent")
    bench.function("child")
    parent = bench.call("parent")
    child_id = bench.await_child("parent", 1, "child", delay=timedelta(days=1))
    assert why(bench, parent).details["waits_for"] == [child_id]
    assert why(bench, child_id).kind == "delayed"


def test_a_child_that_nobody_waits_for_parks_nobody(bench: Bench) -> None:
    bench.function("parent")
    bench.function("child")
    parent = bench.call("parent")
    bench.call("child", parent=parent.id)
    assert why(bench, parent).kind == "running"


def test_a_pause_is_told_apart_from_a_pause_of_everything(bench: Bench) -> None:
    bench.function("add")
    run(bench.operations.pause("add"), immediate=True)
    execution = bench.call("add")
    assert why(bench, execution).details["scope"] == "function"
    run(bench.operations.resume("add"), immediate=True)
    run(bench.operations.pause(), immediate=True)
    assert why(bench, execution).details["scope"] == "everything"


def test_a_broken_a_removed_and_an_unknown_function(bench: Bench) -> None:
    bench.function("add")
    bench.breaks("add", "defer/add.py:1: SyntaxError")
    execution = bench.call("add")
    assert "defer/add.py:1: SyntaxError" in why(bench, execution).message
    bench.broken.clear()
    bench.specs.clear()
    bench.load()
    assert why(bench, execution).kind == "removed"
    assert why(bench, bench.call("never")).kind == "unknown"


def test_who_cancelled_is_remembered(bench: Bench) -> None:
    bench.function("one", concurrency=1, cancel=True)
    bench.function("boss")
    boss = bench.call("boss")
    bench.call("one")
    by_limit = bench.call("one")
    by_person = bench.call("boss", delay=timedelta(days=1))
    by_code = bench.call("boss", delay=timedelta(days=1))
    bench.cancel(by_person)
    inside = LocalBackend(bench.store, parent=boss.id, wake=lambda: None)
    run(inside.cancel_execution(by_code.id), immediate=True)
    assert why(bench, by_limit).kind == "cancelled_by_limit"
    assert why(bench, by_person).details["by"] == "request"
    assert why(bench, by_code).details["by"] == boss.id


def test_who_aborted_is_remembered(bench: Bench) -> None:
    bench.function("add")
    execution = bench.call("add")
    bench.cancel(execution, force=True)
    found = why(bench, execution)
    assert (found.kind, found.details["by"]) == ("aborted", "request")


def test_a_discarded_one_tells_its_time(bench: Bench) -> None:
    execution = bench.call("later", discard_after=timedelta(seconds=10))
    bench.wait(seconds=10)
    found = why(bench, execution)
    assert (found.kind, found.details) == ("discarded", {"discard_at": "2026-01-01T12:00:40.000000Z"})


def test_a_running_one_counts_its_attempts(bench: Bench) -> None:
    bench.function("add", retry=STEADY)
    execution = bench.call("add")
    bench.wait(seconds=5)
    found = why(bench, execution)
    assert (found.details["attempt"], found.details["attempts"], found.details["seconds"]) == (1, 3, 5.0)
    bench.succeed("add")
    assert why(bench, execution).kind == "succeeded"
