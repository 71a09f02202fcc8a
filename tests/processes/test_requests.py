"""Calls that running executions make: `WorkerBackend` over the frames, answered by the test."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import uvloop

from defer_client import wire
from defer_client.errors import ExecutionNotCancellable
from defer_client.models import Execution, Outcome, State
from tests.processes.pools import PoolUnderTest, running_pool, write_functions

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("both_starts")]

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
CHILD = "async def child(number): pass"


def execution(state: State = State.CREATED) -> Execution:
    return Execution(
        id="0191d1a0-0000-7000-8000-000000000000",
        state=state,
        function_name="child",
        function_id="1",
        scheduled_at=NOW,
        created_at=NOW,
        updated_at=NOW,
    )


def respond_to(pool: PoolUnderTest) -> Callable[[int, int, str, dict[str, Any]], None]:
    """Answers as a backend whose children return the number that they were given."""
    numbers: list[int] = []

    def respond(sequence: int, request: int, method: str, params: dict[str, Any]) -> None:
        if method == "enqueue":
            numbers.append(params["call"]["function_arguments"][0])
            pool.pool.answer(sequence, request, result=wire.execution_to_json(execution()))
        elif method == "wait" and numbers:
            outcome = Outcome(execution=execution(State.SUCCEED), result=numbers.pop(0))
            pool.pool.answer(sequence, request, result=wire.outcome_to_json(outcome))
        elif method == "cancel_execution":
            error = ExecutionNotCancellable("it is running", hint="force it")
            pool.pool.answer(sequence, request, error=wire.error_to_json(error))

    return respond


def play(root: Path, source: str, scenario: Callable[[PoolUnderTest], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        write_functions(root, {"job": source, "child": CHILD})
        async with running_pool(root) as pool:
            pool.recorder.respond = respond_to(pool)
            await pool.load()
            await scenario(pool)

    uvloop.run(main())


def result_of(root: Path, source: str) -> Any:
    found: list[Any] = []

    async def scenario(pool: PoolUnderTest) -> None:
        end = await pool.run("job")
        assert end.end == "returned", end.failure
        found.append(json.loads(end.result or ""))

    play(root, source, scenario)
    return found[0]


def test_calls_of_an_async_function_are_made_by_the_emulator(tmp_path: Path) -> None:
    source = """
        import asyncio
        from defer_client import await_result, defer
        from defer.child import child
        @defer
        async def job():
            execution = await child(0)
            values = await asyncio.gather(*(await_result(child)(number) for number in range(1, 20)))
            return [execution.state, sum(values)]
    """
    assert result_of(tmp_path, source) == ["created", sum(range(19))]


def test_calls_of_a_plain_function_are_made_by_the_emulator(tmp_path: Path) -> None:
    source = """
        from defer_client import defer
        from defer.child import child
        @defer
        def job():
            return child.enqueue(1).state
    """
    assert result_of(tmp_path, source) == "created"


def test_calls_may_come_from_any_thread(tmp_path: Path) -> None:
    source = """
        from concurrent.futures import ThreadPoolExecutor
        from defer_client import defer
        from defer.child import child
        @defer
        def job():
            with ThreadPoolExecutor(4) as threads:
                return len(list(threads.map(child.enqueue, range(20))))
    """
    assert result_of(tmp_path, source) == 20


def test_worker_takes_jobs_after_its_first_request(tmp_path: Path) -> None:
    source = """
        import os
        from defer_client import defer
        from defer.child import child
        @defer
        async def job():
            await child(1)
            return os.getpid()
    """

    async def scenario(pool: PoolUnderTest) -> None:
        first, second = (await pool.run("job")).result, (await pool.run("job")).result
        assert first == second

    play(tmp_path, source, scenario)


def test_error_of_the_backend_is_raised_in_the_function(tmp_path: Path) -> None:
    source = """
        from defer_client import cancel_execution, defer
        from defer_client.errors import ExecutionNotCancellable
        @defer
        async def job():
            try:
                await cancel_execution("0191d1a0-0000-7000-8000-000000000000")
            except ExecutionNotCancellable as error:
                return [error.message, error.hint]
    """
    assert result_of(tmp_path, source) == ["it is running", "force it"]


def test_wait_that_times_out_is_taken_back(tmp_path: Path) -> None:
    source = """
        import asyncio
        from defer_client import defer
        from defer_client.errors import ResultTimeout
        from defer_client.selection import current_backend
        @defer
        async def job():
            backend = current_backend()
            try:
                await backend.wait("x", timeout=0.01)
            except ResultTimeout as error:
                print(error.message)
            waiting = asyncio.create_task(backend.wait("y"))
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    """

    async def scenario(pool: PoolUnderTest) -> None:
        assert (await pool.run("job")).end == "returned"
        assert pool.recorder.cancelled == [(1, 1), (1, 2)]
        assert "within 0.01 s" in pool.recorder.lines(1)[0]

    play(tmp_path, source, scenario)


def test_process_forked_by_the_function_does_not_use_its_channel(tmp_path: Path) -> None:
    source = """
        import multiprocessing
        from defer_client import defer
        from defer.child import child
        def below(queue):
            try:
                child.enqueue(1)
            except Exception as error:
                queue.put(type(error).__name__)
            else:
                queue.put("stored")
        @defer
        def job():
            child.enqueue(0)
            context = multiprocessing.get_context("fork")
            queue = context.SimpleQueue()
            process = context.Process(target=below, args=(queue,))
            process.start()
            said = queue.get()
            process.join()
            return said
    """
    assert result_of(tmp_path, source) == "NoBackendError"


def test_token_in_the_environment_proves_which_execution_it_is(tmp_path: Path) -> None:
    source = "import os, time\ndef job():\n    print(os.environ['DEFER_EXECUTION_TOKEN'])\n    time.sleep(60)"

    async def scenario(pool: PoolUnderTest) -> None:
        sequence = await pool.start("job")
        token = (await pool.printed(sequence))[0]
        assert pool.pool.execution_of(token) == token.partition(".")[0]
        assert pool.pool.execution_of(token + "x") is None
        assert pool.pool.execution_of("0191d1a0." + token.partition(".")[2]) is None

    play(tmp_path, source, scenario)
