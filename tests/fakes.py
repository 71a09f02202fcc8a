"""Stand-ins for what tests must not wait for: a pool without processes, a bus that remembers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from defer_client.models import ErrorCode, Failure
from defer_emulator.domain.jobs import End, Job, JobEnd, PoolListener
from defer_emulator.notify.events import Event


class FakePool:
    """Runs nothing: the test decides when and how each job ends."""

    def __init__(self, workers: int = 100) -> None:
        self.listener: PoolListener | None = None
        self.workers = workers
        self.generation = 1
        self.jobs: dict[int, Job] = {}  # running, by sequence
        self.history: list[Job] = []  # all that were started, in order
        self.answers: list[tuple[int, int, Any, Any]] = []
        self.killed: list[int] = []
        self.wanted: list[int] = []

    def listen(self, listener: PoolListener) -> FakePool:
        self.listener = listener
        return self

    @property
    def room(self) -> int:
        return self.workers - len(self.jobs)

    @property
    def is_flooded(self) -> bool:
        return False

    @property
    def unbegun(self) -> Collection[int]:
        return ()

    @property
    def started(self) -> list[str]:
        return [job.function for job in self.history]

    def want(self, backlog: int) -> None:
        self.wanted.append(backlog)

    def start(self, job: Job) -> None:
        assert job.sequence not in self.jobs, "two attempts of one execution at once"
        self.jobs[job.sequence] = job
        self.history.append(job)

    def answer(self, sequence: int, request: int, result: Any = None, error: Any = None) -> None:
        self.answers.append((sequence, request, result, error))

    def kill(self, sequence: int) -> None:
        self.killed.append(sequence)
        self.end(sequence, "killed")

    # --- what a test does -----------------------------------------------------------------

    def end(self, sequence: int, end: End, result: str | None = None, message: str = "no") -> None:
        job = self.jobs.pop(sequence)
        failure = None
        if end in ("raised", "died", "timed_out", "out_of_memory"):
            code = {"timed_out": ErrorCode.TIMEOUT, "out_of_memory": ErrorCode.OUT_OF_MEMORY}
            failure = Failure(name="Error", message=message, stack="", code=code.get(end, ErrorCode.USER))
        assert self.listener is not None
        self.listener.on_end(
            JobEnd(sequence=sequence, attempt=job.attempt, end=end, result=result, failure=failure)
        )

    def running(self, function: str) -> Job:
        """The job of that function that has run for longest."""
        return next(job for job in self.jobs.values() if job.function == function)

    def succeed(self, function: str, result: str = "null") -> None:
        self.end(self.running(function).sequence, "returned", result)

    def fail(self, function: str, end: End = "raised") -> None:
        self.end(self.running(function).sequence, end)


class FakeBus:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def publish(self, event: Event) -> None:
        self.events.append(event)
