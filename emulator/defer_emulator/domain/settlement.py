"""What the end of an attempt means for its execution: a success, a failure, or another try."""

from __future__ import annotations

from defer_client.models import ErrorCode, Failure, State
from defer_client.retry import RetryPolicy
from defer_emulator.domain.jobs import JobEnd
from defer_emulator.domain.retry import backoff
from defer_emulator.domain.work import Completion, Running

INTERRUPTED = Failure(
    name="Interrupted",
    message="interrupted: the emulator stopped while it ran",
    stack="",
    code=ErrorCode.INTERNAL,
)


def settle(end: JobEnd, policy: RetryPolicy, *, now: int, jitter: float) -> Completion:
    """The completion of an attempt that is over.

    `now` is in µs; `jitter` is a random number from 0 to 1, for the wait before a retry. An attempt that
    was killed counts as interrupted; the store makes an abort of it where the execution is `aborting`.
    """
    if end.end == "returned":
        return Completion(sequence=end.sequence, attempt=end.attempt, state=State.SUCCEED, result=end.result)
    failure = end.failure or INTERRUPTED
    retries = 0 if failure.code is ErrorCode.OUT_OF_MEMORY else policy.max_attempts
    return _failed(end.sequence, end.attempt, failure, policy, retries, now=now, jitter=jitter)


def interrupt(running: Running, policy: RetryPolicy, *, now: int, jitter: float) -> Completion:
    """The completion of an attempt whose emulator has died or was told to stop at once."""
    if running.state is State.ABORTING:
        return Completion(sequence=running.sequence, attempt=running.attempt, state=State.ABORTED)
    return _failed(
        running.sequence, running.attempt, INTERRUPTED, policy, policy.max_attempts, now=now, jitter=jitter
    )


def release(running: Running) -> Completion:
    """A parent that waits for a child at a clean stop starts anew later; the attempt does not count."""
    return Completion(sequence=running.sequence, attempt=running.attempt, state=State.CREATED, consumed=False)


def _failed(
    sequence: int,
    attempt: int,
    failure: Failure,
    policy: RetryPolicy,
    retries: int,
    *,
    now: int,
    jitter: float,
) -> Completion:
    if attempt > retries:
        return Completion(sequence=sequence, attempt=attempt, state=State.FAILED, failure=failure)
    wait = backoff(policy, attempt, jitter)  # the n-th retry follows the n-th attempt
    return Completion(
        sequence=sequence,
        attempt=attempt,
        state=State.CREATED,
        failure=failure,
        due=now + round(wait * 1_000_000),
    )
