"""What makes jobs go wrong, between a scheduler and a pool that runs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from defer_client.models import ErrorCode
from defer_emulator.domain.faults import Faults
from defer_emulator.domain.jobs import Job, JobEnd
from defer_emulator.domain.work import LogChunk
from defer_emulator.runner.faults import FaultInjector
from tests.fakes import FakePool


class Listener:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.ends: list[JobEnd] = []
        self.said: list[str] = []
        self.requests: list[str] = []
        self.cancelled: list[int] = []
        self.ended = asyncio.Event()

    def on_output(self, chunks: Sequence[LogChunk]) -> None:
        self.said += [chunk.message for chunk in chunks]

    def on_request(self, sequence: int, request: int, method: str, params: dict[str, Any]) -> None:
        self.requests.append(method)

    def on_request_cancelled(self, sequence: int, request: int) -> None:
        self.cancelled.append(request)

    def on_end(self, end: JobEnd) -> None:
        self.ends.append(end)
        self.ended.set()

    def on_capacity(self) -> None: ...


class Bench:
    def __init__(self) -> None:
        self.listener = Listener()
        self.pool = FakePool()
        self.injector = FaultInjector(self.listener, self.pool.listen, now=lambda: 0)

    def start(self, faults: Faults | None = None, attempt: int = 1) -> None:
        self.injector.start(
            Job(
                sequence=1,
                execution_id="id",
                attempt=attempt,
                function="work",
                module="defer.work",
                arguments="{}",
                max_duration=60.0,
                faults=faults,
            )
        )

    def enqueue(self, function: str, *arguments: Any) -> None:
        call = {"function_name": function, "function_arguments": arguments, "function_keyword_arguments": {}}
        self.injector.on_request(1, 1, "enqueue", {"call": call})


def in_loop(test: Callable[[Bench], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(test(Bench()))

    run.__name__ = test.__name__
    return run


TWICE = Faults(deliver_twice=True)


@in_loop
async def test_jobs_without_faults_pass_untouched(bench: Bench) -> None:
    bench.start()
    bench.pool.end(1, "returned", "7")
    assert [(end.end, end.result) for end in bench.listener.ends] == [("returned", "7")]
    assert bench.listener.said == []


@in_loop
async def test_a_process_is_killed_at_its_time_and_its_end_says_that_this_was_asked_for(bench: Bench) -> None:
    bench.start(Faults(kill_at=0.01))
    assert bench.pool.killed == []
    await asyncio.wait_for(bench.listener.ended.wait(), 10)
    (end,) = bench.listener.ends
    assert end.end == "died"
    assert end.failure is not None
    assert end.failure.code is ErrorCode.USER
    assert end.failure.message.startswith("injected: its process was killed by SIGKILL")


@in_loop
async def test_only_the_first_attempt_is_killed(bench: Bench) -> None:
    bench.start(Faults(kill_at=0.0), attempt=2)
    await asyncio.sleep(0.01)
    assert bench.pool.killed == []


@in_loop
async def test_an_end_before_that_time_stays_what_it_is(bench: Bench) -> None:
    bench.start(Faults(kill_at=0.005))
    bench.pool.end(1, "returned", "7")
    await asyncio.sleep(0.01)
    assert [end.end for end in bench.listener.ends] == ["returned"]
    assert bench.pool.killed == []


@in_loop
async def test_an_abort_stays_an_abort(bench: Bench) -> None:
    bench.start(Faults(kill_at=60.0))
    bench.injector.kill(1)
    assert [end.end for end in bench.listener.ends] == ["killed"]


@in_loop
async def test_a_second_delivery_begins_when_a_worker_is_free(bench: Bench) -> None:
    bench.pool.workers = 1
    bench.start(TWICE)
    bench.pool.end(1, "returned", "7")
    assert bench.listener.ends == []
    assert bench.injector.room == 0  # the place is kept for it
    assert bench.pool.wanted == [1]
    bench.injector.on_capacity()
    assert len(bench.pool.history) == 2
    bench.pool.end(1, "returned", "7")
    assert [end.result for end in bench.listener.ends] == ["7"]


@in_loop
async def test_the_first_result_stands_and_the_difference_is_said(bench: Bench) -> None:
    bench.start(TWICE)
    bench.enqueue("mail", 1)
    bench.pool.end(1, "returned", "7")
    bench.injector.on_capacity()
    bench.enqueue("mail", 1)
    bench.enqueue("audit", "x")
    bench.pool.end(1, "returned", "8")
    assert [end.result for end in bench.listener.ends] == ["7"]
    assert bench.listener.said == [
        "injected: delivered a second time (--deliver-twice)",
        "injected: the results differ: first 7, then 8",
        'injected: the executions enqueued differ: first mail(1), then mail(1), audit("x")',
    ]


@in_loop
async def test_a_second_delivery_that_fails_does_not_fail_the_execution(bench: Bench) -> None:
    bench.start(TWICE)
    bench.pool.end(1, "returned", "7")
    bench.injector.on_capacity()
    bench.pool.end(1, "raised", message="no")
    assert [end.end for end in bench.listener.ends] == ["returned"]
    assert "the second delivery failed" in bench.listener.said[1]


@in_loop
async def test_what_fails_is_not_delivered_twice(bench: Bench) -> None:
    bench.start(TWICE)
    bench.pool.end(1, "raised")
    assert [end.end for end in bench.listener.ends] == ["raised"]


@in_loop
async def test_an_abort_reaches_one_that_waits_for_its_second_delivery(bench: Bench) -> None:
    bench.start(TWICE)
    bench.pool.end(1, "returned", "7")
    bench.injector.kill(1)
    await asyncio.sleep(0)
    assert [end.end for end in bench.listener.ends] == ["killed"]


@in_loop
async def test_waits_that_the_first_delivery_has_left_are_given_up(bench: Bench) -> None:
    bench.start(TWICE)
    bench.injector.on_request(1, 4, "wait", {"execution_id": "x"})
    bench.injector.on_request(1, 5, "wait", {"execution_id": "y"})
    bench.injector.answer(1, 5)
    bench.pool.end(1, "returned", "7")
    assert bench.listener.cancelled == [4]


@in_loop
async def test_slowness_is_said_in_the_log(bench: Bench) -> None:
    bench.start(Faults(slow=5.0))
    assert bench.listener.said == ["injected: waits 5s before its code (--slow)"]
