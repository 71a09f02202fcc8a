from __future__ import annotations

import asyncio
from typing import Any

import pytest

from defer_client import (
    ErrorCode,
    Execution,
    ExecutionFailed,
    ExecutionFilters,
    ExecutionNotCancellable,
    ExecutionNotFound,
    ExecutionNotReschedulable,
    Interval,
    InvalidRequest,
    Page,
    State,
    await_result,
    cancel_execution,
    current_execution,
    defer,
    delay,
    get_execution,
    get_execution_arguments,
    get_execution_logs,
    get_execution_result,
    list_execution_attempts,
    list_executions,
    rerun_execution,
    reschedule_execution,
    sync,
)
from defer_client.inline import InlineBackend
from defer_client.selection import use_backend


@defer
async def double(value: Any) -> Any:
    return value * 2


@defer
def refuse(value: Any) -> None:
    raise ValueError(value)


@defer
async def returns_a_set() -> Any:
    return {1}


@defer
async def parent() -> tuple[str, int]:
    await double(1)
    current = current_execution()
    assert current is not None
    return current.id, current.attempt


@defer
async def blocking_parent(value: int) -> Any:
    return sync.await_result(double)(value)


@pytest.fixture(autouse=True)
def _inline() -> Any:
    with use_backend(InlineBackend()):
        yield


def test_a_call_has_run_when_it_returns() -> None:
    async def application() -> None:
        execution = await delay(double, "1 day")((1, 2))
        assert (execution.state, execution.attempt) == (State.SUCCEED, 1)
        assert await get_execution(execution.id) == execution
        assert await get_execution_result(execution.id) == [1, 2, 1, 2]
        assert (await get_execution_arguments(execution.id)).positional == [[1, 2]]
        assert await get_execution_logs(execution.id) == []

    asyncio.run(application())


def test_a_failure_is_an_outcome_and_not_an_exception_of_the_call() -> None:
    async def application() -> None:
        execution = await refuse("no")
        assert (execution.state, execution.error_code) == (State.FAILED, ErrorCode.USER)
        result = await get_execution_result(execution.id)
        assert (result["name"], result["message"], result["code"]) == ("ValueError", "no", "ER0003")
        assert "raise ValueError(value)" in result["stack"]
        with pytest.raises(ExecutionFailed) as caught:
            await await_result(refuse)("no")
        assert isinstance(caught.value.__cause__, ValueError)

    asyncio.run(application())


def test_a_result_that_is_not_json_fails_the_execution() -> None:
    with pytest.raises(ExecutionFailed, match="result: set is not JSON serializable"):
        sync.await_result(returns_a_set)()


def test_children_know_their_parent() -> None:
    async def application() -> None:
        own_id, attempt = await await_result(parent)()
        page = await list_executions(filters=ExecutionFilters(executed_by=own_id))
        assert [child.function_name for child in page.data] == ["double"]
        assert len((await list_executions(filters=ExecutionFilters(executed_by=""))).data) > 1
        assert attempt == 1
        assert current_execution() is None

    asyncio.run(application())


def test_blocking_calls_inside_of_inline_functions_do_not_lock_up() -> None:
    assert blocking_parent.enqueue(2).state is State.SUCCEED
    assert asyncio.run(blocking_parent.local(2)) == 4


def test_lists_are_newest_first_with_cursors_in_both_directions() -> None:
    async def application() -> None:
        ids = [(await double(number)).id for number in range(5)][::-1]
        first = await list_executions(Page(first=2))
        assert [one.id for one in first.data] == ids[:2]
        assert (first.page_info.has_next_page, first.page_info.has_prev_page) == (True, False)
        second = await list_executions(Page(first=2, after=first.page_info.end_cursor))
        assert [one.id for one in second.data] == ids[2:4]
        assert (second.page_info.has_next_page, second.page_info.has_prev_page) == (True, True)
        back = await list_executions(Page(last=2, before=second.page_info.start_cursor))
        assert back.data == first.data
        oldest = await list_executions(Page(last=2))
        assert [one.id for one in oldest.data] == ids[3:]
        with pytest.raises(InvalidRequest, match="cursor"):
            await list_executions(Page(after="nonsense"))

    asyncio.run(application())


def test_filters_are_anded() -> None:
    async def application() -> None:
        one: Execution = await double.with_options(metadata={"user": "1"})(1)
        await double.with_options(metadata={"user": "2"})(2)
        failed = await refuse("x")

        async def found(**filters: Any) -> list[str]:
            return [e.id for e in (await list_executions(filters=ExecutionFilters(**filters))).data]

        assert await found(states=[State.FAILED]) == [failed.id]
        assert await found(error_codes=[ErrorCode.USER]) == [failed.id]
        assert await found(metadata={"user": ["1", "3"]}) == [one.id]
        assert await found(metadata={"user": ["1"]}, states=[State.FAILED]) == []
        assert await found(function_ids=[failed.function_id]) == [failed.id]
        assert await found(started_at=Interval(end=one.started_at)) == [one.id]
        assert len(await found()) == 3

    asyncio.run(application())


def test_a_rerun_runs_again_and_is_linked() -> None:
    async def application() -> None:
        first = await double(1)
        again = await rerun_execution(first.id)
        assert (again.rerun_of, again.state) == (first.id, State.SUCCEED)
        assert again.id != first.id
        attempts = await list_execution_attempts(again.id)
        assert [attempt.id for attempt in attempts.data] == [f"{again.id}.1"]
        assert (await get_execution(f"{again.id}.1")).id == f"{again.id}.1"

    asyncio.run(application())


def test_what_has_finished_can_be_neither_cancelled_nor_rescheduled() -> None:
    async def application() -> None:
        execution = await double(1)
        with pytest.raises(ExecutionNotCancellable):
            await cancel_execution(execution.id)
        with pytest.raises(ExecutionNotReschedulable):
            await reschedule_execution(execution.id)
        with pytest.raises(ExecutionNotFound):
            await get_execution("nonsense")

    asyncio.run(application())
