"""What the end of an attempt means."""

from __future__ import annotations

import pytest

from defer_client.models import ErrorCode, Failure, State
from defer_client.retry import NO_RETRY, RetryPolicy
from defer_emulator.domain.jobs import End, JobEnd
from defer_emulator.domain.settlement import interrupt, release, settle
from defer_emulator.domain.work import Running

NOW = 1_000_000_000
SECOND = 1_000_000
FAILURE = Failure(name="ValueError", message="no", stack="", code=ErrorCode.USER)
STEADY = RetryPolicy(max_attempts=2, initial_interval=10.0, multiplier=2.0, randomization_factor=0.0)


def end(
    how: End, attempt: int = 1, *, result: str | None = None, failure: Failure | None = FAILURE
) -> JobEnd:
    return JobEnd(sequence=7, attempt=attempt, end=how, result=result, failure=failure)


def running(state: State = State.STARTED, attempt: int = 1) -> Running:
    return Running(
        sequence=7,
        id="id",
        function="f",
        attempt=attempt,
        state=state,
        arguments="{}",
        executed_by=None,
        awaited=False,
    )


def test_a_returned_value_is_a_success() -> None:
    done = settle(end("returned", result="42", failure=None), NO_RETRY, now=NOW, jitter=0.5)
    assert (done.state, done.result, done.failure) == (State.SUCCEED, "42", None)


def test_an_exception_without_retries_is_a_failure() -> None:
    done = settle(end("raised"), NO_RETRY, now=NOW, jitter=0.5)
    assert (done.state, done.failure) == (State.FAILED, FAILURE)


@pytest.mark.parametrize(("attempt", "wait"), [(1, 10), (2, 20)])
def test_a_retry_waits_longer_after_each_attempt(attempt: int, wait: int) -> None:
    done = settle(end("raised", attempt), STEADY, now=NOW, jitter=0.5)
    assert (done.state, done.due) == (State.CREATED, NOW + wait * SECOND)
    assert done.failure == FAILURE, "the attempt keeps its error"


def test_max_attempts_counts_the_retries_after_the_first_run() -> None:
    assert settle(end("raised", 3), STEADY, now=NOW, jitter=0.5).state is State.FAILED


@pytest.mark.parametrize("how", ["died", "timed_out"])
def test_dead_processes_and_timeouts_are_retried(how: End) -> None:
    assert settle(end(how), STEADY, now=NOW, jitter=0.5).state is State.CREATED


@pytest.mark.parametrize("how", ["out_of_memory", "raised"])  # the pool's limit, and a MemoryError
def test_out_of_memory_is_never_retried(how: End) -> None:
    failure = Failure(name="OOMError", message="no", stack="", code=ErrorCode.OUT_OF_MEMORY)
    assert settle(end(how, failure=failure), STEADY, now=NOW, jitter=0.5).state is State.FAILED


def test_an_interrupted_attempt_is_an_internal_failure() -> None:
    done = interrupt(running(), NO_RETRY, now=NOW, jitter=0.5)
    assert done.state is State.FAILED
    assert done.failure is not None
    assert done.failure.code is ErrorCode.INTERNAL
    assert "interrupted" in done.failure.message


def test_an_interrupted_attempt_is_tried_again_while_the_policy_allows() -> None:
    assert interrupt(running(), STEADY, now=NOW, jitter=0.5).state is State.CREATED
    assert interrupt(running(attempt=3), STEADY, now=NOW, jitter=0.5).state is State.FAILED


def test_an_abort_that_was_interrupted_is_done() -> None:
    assert interrupt(running(State.ABORTING), STEADY, now=NOW, jitter=0.5).state is State.ABORTED


def test_a_released_parent_starts_again_at_once_and_pays_no_attempt() -> None:
    done = release(running())
    assert (done.state, done.due, done.consumed) == (State.CREATED, None, False)
