"""What every pool promises to the scheduler. Code that never yields can be ended by processes only: that
stands in tests/processes."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from defer_client import wire
from defer_client.backend import Backend
from defer_client.models import ErrorCode, Execution, Outcome, State
from defer_emulator.domain.jobs import JobEnd
from defer_emulator.runner.inline import InlinePool
from defer_emulator.runner.inline_output import copied_output
from tests.processes.pools import PoolUnderTest, Recorder, running_pool, write_functions
from tests.unit.client.fakes import FakeBackend

FUNCTIONS = {
    "returns": "async def returns(a, *, b): return {'sum': a + b}",
    "plain": """
        import asyncio
        def plain(): return asyncio.run(asyncio.sleep(0, result=[1, None]))
        """,
    "raises": """
        def inner(): return {}['x']
        async def raises(): inner()
        """,
    "no_json": "async def no_json(): return {'a': [object()]}",
    "leaves": "import sys\nasync def leaves(): sys.exit(3)",
    "prints": """
        import sys
        async def prints(name):
            print('hello', name)
            print('oh', file=sys.stderr)
            print('no end', end='')
        """,
    "sleeps": """
        import asyncio
        async def sleeps():
            print('begun')
            try:
                await asyncio.sleep(3600)
            finally:
                print('cleaned up')
        """,
    "stubborn": """
        import asyncio
        async def stubborn():
            print('begun')
            for _ in range(3):
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    pass
        """,
    "knows": """
        from defer_client import current_execution, defer
        @defer
        async def knows():
            current = current_execution()
            return [current.id, current.attempt, current.function]
        """,
    "waits": """
        from defer_client import defer
        from defer_client.selection import current_backend
        @defer
        async def waits(id, timeout=None):
            outcome = await current_backend().wait(id, timeout)
            return [str(outcome.execution.state), outcome.result]
        """,
    "leaves_a_task": """
        import asyncio
        async def leaves_a_task():
            asyncio.get_running_loop().create_task(asyncio.sleep(3600))
        """,
}
CHILD = "0191d1a0-0000-7000-8000-000000000001"

Scenario = Callable[[PoolUnderTest], Coroutine[Any, Any, Any]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pools")
    write_functions(folder, FUNCTIONS)
    return folder


@pytest.fixture
def imports(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For functions that are imported into this process."""
    monkeypatch.syspath_prepend(root)
    yield
    for name in [name for name in sys.modules if name == "defer" or name.startswith("defer.")]:
        del sys.modules[name]


@asynccontextmanager
async def inline_pool(root: Path) -> AsyncIterator[PoolUnderTest]:
    class Asks(FakeBackend):
        def __init__(self, ask: Callable[[str], Awaitable[Outcome]]) -> None:
            super().__init__()
            self._ask = ask

        async def wait(self, execution_id: str, timeout: float | None = None) -> Outcome:
            return await asyncio.wait_for(self._ask(execution_id), timeout)

    def backend_for(_execution_id: str, ask: Callable[[str], Awaitable[Outcome]]) -> Backend:
        return Asks(ask)

    recorder = Recorder()
    pool = InlinePool(recorder, backend_for=backend_for, now=lambda: time.time_ns() // 1000)
    yield PoolUnderTest(root, pool, recorder)  # type: ignore[arg-type]


@asynccontextmanager
async def process_pool(root: Path) -> AsyncIterator[PoolUnderTest]:
    async with running_pool(root) as pool:
        await pool.load()
        yield pool


POOLS = {"inline": inline_pool, "processes": process_pool}


@pytest.fixture(params=[pytest.param("processes", marks=pytest.mark.processes), "inline"])
def play(request: pytest.FixtureRequest, root: Path, imports: None) -> Callable[[Scenario], Any]:
    """Runs a scenario on the pool of that kind."""

    async def main(scenario: Scenario) -> Any:
        async with POOLS[request.param](root) as pool:
            with copied_output():
                return await scenario(pool)

    return lambda scenario: asyncio.run(main(scenario))


def test_a_result_is_json(play: Callable[[Scenario], Any]) -> None:
    async def scenario(pool: PoolUnderTest) -> list[JobEnd]:
        return [await pool.run("returns", 1, b=2), await pool.run("plain")]

    first, second = play(scenario)
    assert (first.end, json.loads(first.result), first.attempt) == ("returned", {"sum": 3}, 1)
    assert (second.end, json.loads(second.result)) == ("returned", [1, None])


def test_errors_are_failures(play: Callable[[Scenario], Any]) -> None:
    async def scenario(pool: PoolUnderTest) -> list[JobEnd]:
        return [await pool.run(name) for name in ("raises", "no_json", "leaves")]

    raised, no_json, left = play(scenario)
    assert {end.end for end in (raised, no_json, left)} == {"raised"}
    assert (raised.failure.name, raised.failure.message) == ("KeyError", "'x'")
    assert "defer_emulator" not in raised.failure.stack and "in inner" in raised.failure.stack
    assert no_json.failure.message.startswith("result.a[0]: object is not JSON")
    assert left.failure.message == "the function called sys.exit(3)"
    assert {end.failure.code for end in (raised, no_json, left)} == {ErrorCode.USER}


def test_what_is_printed_is_told_before_the_end(play: Callable[[Scenario], Any]) -> None:
    async def scenario(pool: PoolUnderTest) -> tuple[list[str], list[str]]:
        sequence = await pool.start("prints", "ada")
        await pool.end_of(sequence)
        return pool.recorder.lines(sequence), pool.recorder.lines(sequence, "stderr")

    assert play(scenario) == (["hello ada", "no end"], ["oh"])


@pytest.mark.parametrize("function", ["sleeps", "stubborn"])
def test_what_is_killed_ends_within_two_seconds(play: Callable[[Scenario], Any], function: str) -> None:
    async def scenario(pool: PoolUnderTest) -> tuple[JobEnd, float]:
        sequence = await pool.start(function)
        await pool.printed(sequence)
        killed = time.monotonic()
        pool.pool.kill(sequence)
        return await pool.end_of(sequence), time.monotonic() - killed

    end, took = play(scenario)
    assert (end.end, end.result, end.failure) == ("killed", None, None)
    assert took < 2


def test_a_deadline_ends_what_takes_too_long(play: Callable[[Scenario], Any]) -> None:
    async def scenario(pool: PoolUnderTest) -> JobEnd:
        return await pool.run("sleeps", max_duration=0.1)

    end = play(scenario)
    assert (end.end, end.failure.name, end.failure.code) == ("timed_out", "TimeoutError", ErrorCode.TIMEOUT)


def test_an_attempt_knows_itself(play: Callable[[Scenario], Any]) -> None:
    async def scenario(pool: PoolUnderTest) -> JobEnd:
        return await pool.run("knows")

    id_, attempt, function = json.loads(play(scenario).result)
    assert (len(id_), attempt, function) == (36, 1, "knows")


def test_a_wait_is_a_request_that_is_answered_later(play: Callable[[Scenario], Any]) -> None:
    async def scenario(pool: PoolUnderTest) -> JobEnd:
        sequence = await pool.start("waits", CHILD)
        await pool.until(lambda: pool.recorder.requests, "its request")
        ((asked, number, method, params),) = pool.recorder.requests
        assert (asked, method, params["execution_id"]) == (sequence, "wait", CHILD)
        pool.pool.answer(sequence, number, result=wire.outcome_to_json(child_outcome()))
        return await pool.end_of(sequence)

    assert json.loads(play(scenario).result) == ["succeed", 7]


def test_a_wait_that_is_given_up_is_said(play: Callable[[Scenario], Any]) -> None:
    async def scenario(pool: PoolUnderTest) -> JobEnd:
        sequence = await pool.start("waits", CHILD, 0.02)
        end = await pool.end_of(sequence)
        ((asked, number, *_),) = pool.recorder.requests
        await pool.until(lambda: pool.recorder.cancelled == [(asked, number)], "that it gave up")
        return end

    assert play(scenario).failure.name in ("TimeoutError", "ResultTimeout")


def test_one_that_waits_can_be_killed(play: Callable[[Scenario], Any]) -> None:
    async def scenario(pool: PoolUnderTest) -> JobEnd:
        sequence = await pool.start("waits", CHILD)
        await pool.until(lambda: pool.recorder.requests, "its request")
        pool.pool.kill(sequence)
        return await pool.end_of(sequence)

    assert play(scenario).end == "killed"


def test_a_task_that_is_left_is_said(play: Callable[[Scenario], Any]) -> None:
    async def scenario(pool: PoolUnderTest) -> list[str]:
        sequence = await pool.start("leaves_a_task")
        await pool.end_of(sequence)
        return pool.recorder.lines(sequence, "system")

    (said,) = play(scenario)
    assert "it left a task running, which was cancelled" in said


def test_places_are_given_back(play: Callable[[Scenario], Any]) -> None:
    async def scenario(pool: PoolUnderTest) -> None:
        for _ in range(3):
            await pool.run("returns", 1, b=2)
        await pool.until(lambda: pool.pool.room >= 1, "an idle place", wanting=1)

    play(scenario)


def child_outcome() -> Outcome:
    moment = wire.time_from_json("2026-01-01T00:00:00Z")
    execution = Execution(
        id=CHILD,
        state=State.SUCCEED,
        function_name="child",
        function_id=CHILD,
        scheduled_at=moment,
        created_at=moment,
        updated_at=moment,
    )
    return Outcome(execution=execution, result=7)
