"""What every backend promises to applications."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from defer_client.errors import (
    CronInvocationError,
    DeadlockError,
    ExecutionAbortingAlreadyInProgress,
    ExecutionNotCancellable,
    ExecutionNotFound,
    ExecutionNotReschedulable,
    InvalidMetadata,
    InvalidOption,
    InvalidRequest,
    NotSerializable,
    ResultNotAvailable,
    ResultNotAvailableYet,
    ResultTimeout,
)
from defer_client.models import (
    Arguments,
    Attempt,
    ErrorCode,
    ExecutionFilters,
    Interval,
    Page,
    State,
)
from defer_emulator.domain.work import LogChunk
from tests.contract.case import Case
from tests.unit.store.world import BOOM, ids

pytestmark = pytest.mark.anyio

NOBODY = "0191d1a0-0000-7000-8000-000000000000"
DAY = timedelta(days=1)


# --- calls ----------------------------------------------------------------------------------


async def test_a_call_becomes_an_execution_that_is_due_now(case: Case) -> None:
    execution = await case.enqueue("add", 1, 2, metadata={"user": "7"})
    now = await case.backend.now()
    assert (execution.function_name, execution.state) == ("add", State.CREATED)
    assert execution.scheduled_at == execution.created_at == execution.updated_at == now
    assert (execution.attempt, execution.started_at, execution.finished_at) == (0, None, None)
    assert (execution.executed_by, execution.rerun_of, execution.error_code) == (None, None, None)
    assert dict(execution.metadata) == {"user": "7"}
    assert await case.backend.get_execution(execution.id) == execution


async def test_all_calls_of_a_function_have_its_id(case: Case) -> None:
    one, two, other = await case.enqueue("add"), await case.enqueue("add"), await case.enqueue("job")
    assert one.function_id == two.function_id != other.function_id
    assert one.id != two.id


async def test_a_delay_counts_from_now_or_to_a_moment(case: Case) -> None:
    now = await case.backend.now()
    assert (await case.enqueue(delay=DAY)).scheduled_at == now + DAY
    moment = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=2)))
    assert (await case.enqueue(delay=moment)).scheduled_at == moment


async def test_a_call_that_is_not_started_in_time_is_discarded(case: Case) -> None:
    execution = await case.enqueue(delay=DAY, discard_after=timedelta(minutes=5))
    case.world.clock.advance(timedelta(minutes=5))
    with case.world.store.write() as tx:
        tx.discard_due()
    found = await case.backend.get_execution(execution.id)
    assert (found.state, found.finished_at) == (State.DISCARDED, await case.backend.now())


async def test_arguments_come_back_as_json(case: Case) -> None:
    value = {"text": 'ü "quoted" \u0000 🙂', "list": [1, 2.5, True, None], "deep": {"a": {"b": []}}}
    execution = await case.enqueue("job", value, 2**70, name="ö")
    expected = Arguments(positional=[value, 2**70], keyword={"name": "ö"})
    assert await case.backend.get_execution_arguments(execution.id) == expected


@pytest.mark.parametrize("value", [{1}, float("nan"), b"x", {1: 2}, "\udcff", datetime(2026, 1, 1)])
async def test_arguments_that_are_not_json_are_refused(case: Case, value: Any) -> None:
    with pytest.raises(NotSerializable):
        await case.enqueue("job", [value])
    assert (await case.backend.list_executions(Page(), ExecutionFilters())).data == []


@pytest.mark.parametrize(
    "metadata",
    [{"": "x"}, {"x": ""}, {"ü": "x"}, {"x": "\n"}, {"x": "y" * 257}, {str(n): "x" for n in range(26)}],
)
async def test_metadata_beyond_its_limits_is_refused(case: Case, metadata: dict[str, str]) -> None:
    with pytest.raises((InvalidMetadata, InvalidRequest)):
        await case.enqueue(metadata=metadata)


async def test_metadata_at_its_limits_is_kept(case: Case) -> None:
    metadata = {f"{n:03}" + "k" * 253: "~" * 256 for n in range(25)}
    assert dict((await case.enqueue(metadata=metadata)).metadata) == metadata


@pytest.mark.parametrize("when", [timedelta(days=9_000 * 365), datetime(9999, 12, 31)])
async def test_a_time_that_no_calendar_has_is_refused(case: Case, when: timedelta | datetime) -> None:
    with pytest.raises((InvalidOption, InvalidRequest)):
        await case.enqueue(delay=when)


async def test_an_application_cannot_start_a_cron(case: Case) -> None:
    with pytest.raises(CronInvocationError):
        await case.enqueue("tick")


# --- parents --------------------------------------------------------------------------------


async def test_a_call_from_inside_an_execution_is_its_child(case: Case) -> None:
    parent = await case.enqueue("add")
    case.world.claim()
    child = await case.enqueue("job", parent=parent)
    assert child.executed_by == parent.id
    page = await case.backend.list_executions(Page(), ExecutionFilters(executed_by=parent.id))
    assert ids(page.data) == [child.id]


async def test_waiting_for_a_place_that_an_ancestor_holds_is_a_deadlock(case: Case) -> None:
    root = await case.enqueue("send")
    case.world.claim()
    middle = await case.enqueue("add", parent=root, awaited=True)
    case.world.claim()
    with pytest.raises(DeadlockError, match="send → add → send"):
        await case.enqueue("send", parent=middle, awaited=True)
    assert (await case.enqueue("send", parent=middle)).state is State.CREATED
    assert (await case.enqueue("job", parent=middle, awaited=True)).state is State.CREATED


async def test_an_ancestor_that_does_not_wait_is_no_deadlock(case: Case) -> None:
    root = await case.enqueue("send")
    case.world.claim()
    middle = await case.enqueue("add", parent=root)
    case.world.claim()
    assert (await case.enqueue("send", parent=middle, awaited=True)).state is State.CREATED


# --- unknown ids ----------------------------------------------------------------------------


@pytest.mark.parametrize("unknown", [NOBODY, f"{NOBODY}.1", "garbage", "a b/ü?", "1' OR '1'='1", "x" * 500])
async def test_an_unknown_or_malformed_id_is_not_found(case: Case, unknown: str) -> None:
    await case.enqueue()
    backend = case.backend
    for request in (
        backend.get_execution(unknown),
        backend.get_execution_result(unknown),
        backend.get_execution_arguments(unknown),
        backend.get_execution_logs(unknown),
        backend.list_execution_attempts(unknown, Page(), ExecutionFilters()),
        backend.cancel_execution(unknown),
        backend.reschedule_execution(unknown),
        backend.rerun_execution(unknown),
        backend.wait(unknown, 0.1),
    ):
        with pytest.raises(ExecutionNotFound):
            await request


async def test_an_attempt_that_does_not_exist_is_not_found(case: Case) -> None:
    execution = await case.enqueue()
    case.world.claim()
    assert (await case.backend.get_execution(f"{execution.id}.1")).attempt == 1
    for wrong in ("2", "0", "01", "-1", "1.1", ""):
        with pytest.raises(ExecutionNotFound):
            await case.backend.get_execution(f"{execution.id}.{wrong}")


# --- results --------------------------------------------------------------------------------


async def test_the_result_of_a_success_is_its_value(case: Case) -> None:
    execution = await case.enqueue()
    with pytest.raises(ResultNotAvailableYet):
        await case.backend.get_execution_result(execution.id)
    case.world.run(execution, result='{"total": 3.5, "of": null}')
    assert await case.backend.get_execution_result(execution.id) == {"total": 3.5, "of": None}
    found = await case.backend.get_execution(execution.id)
    assert (found.state, found.attempt) == (State.SUCCEED, 1)
    assert found.finished_at is not None


async def test_the_result_of_a_failure_is_its_error(case: Case) -> None:
    execution = await case.enqueue()
    case.world.run(execution, state=State.FAILED)
    result = await case.backend.get_execution_result(execution.id)
    assert result == {"name": "ValueError", "message": "boom", "stack": "Traceback ...", "code": "ER0003"}
    assert (await case.backend.get_execution(execution.id)).error_code is ErrorCode.USER


async def test_what_was_cancelled_has_no_result(case: Case) -> None:
    execution = await case.enqueue()
    await case.backend.cancel_execution(execution.id)
    with pytest.raises(ResultNotAvailable):
        await case.backend.get_execution_result(execution.id)


async def test_waiting_gives_the_outcome_at_once_when_there_is_one(case: Case) -> None:
    done, failed = await case.enqueue("add"), await case.enqueue("job")
    running = {one.id: one for one in case.world.claim().started}
    case.world.end(running[done.id], result="[1]")
    case.world.end(running[failed.id], State.FAILED)
    assert (await case.backend.wait(done.id)).result == [1]
    outcome = await case.backend.wait(failed.id, 0.1)
    assert outcome.execution.state is State.FAILED
    assert outcome.failure is not None and outcome.failure.message == "boom"


async def test_many_wait_at_once_and_each_hears_of_its_own(case: Case) -> None:
    executions = [await case.enqueue("add", number) for number in range(20)]
    waits = [asyncio.ensure_future(case.backend.wait(one.id, 10)) for one in executions]
    twice = asyncio.ensure_future(case.backend.wait(executions[3].id, 10))
    await asyncio.sleep(0)
    for number, running in enumerate(case.world.claim().started):
        case.world.end(running, result=str(number))
    assert [outcome.result for outcome in await asyncio.gather(*waits)] == list(range(20))
    assert (await twice).result == 3


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED, State.ABORTED, State.DISCARDED])
async def test_a_wait_hears_of_every_way_to_end(case: Case, state: State) -> None:
    execution = await case.enqueue("add", discard_after=DAY)
    wait = asyncio.ensure_future(case.backend.wait(execution.id, 10))
    await asyncio.sleep(0.01)
    if state is State.CANCELLED:
        await case.backend.cancel_execution(execution.id)
    elif state is State.DISCARDED:
        case.world.clock.advance(DAY)
        with case.world.store.write() as tx:
            tx.discard_due()
    else:
        case.world.run(execution, state=state)
    outcome = await wait
    assert (outcome.execution.id, outcome.execution.state, outcome.result) == (execution.id, state, None)
    assert outcome.failure == (BOOM if state is State.FAILED else None)


async def test_a_wait_outlasts_a_retry(case: Case) -> None:
    execution = await case.enqueue("add")
    wait = asyncio.ensure_future(case.backend.wait(execution.id, 10))
    (running,) = case.world.claim().started
    case.world.end(running, State.CREATED, failure=BOOM, due=case.world.store.now())
    await asyncio.sleep(0.05)
    assert not wait.done()
    (running,) = case.world.claim().started
    case.world.end(running, result='"at last"')
    outcome = await wait
    assert (outcome.result, outcome.execution.attempt) == ("at last", 2)


async def test_a_wait_ends_with_its_timeout_and_the_execution_goes_on(case: Case) -> None:
    execution = await case.enqueue()
    with pytest.raises(ResultTimeout):
        await case.backend.wait(execution.id, 0.02)
    assert (await case.backend.get_execution(execution.id)).state is State.CREATED


async def test_a_wait_can_be_given_up(case: Case) -> None:
    execution = await case.enqueue()
    wait = asyncio.ensure_future(case.backend.wait(execution.id))
    await asyncio.sleep(0.01)
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    case.world.run(execution)
    assert (await case.backend.wait(execution.id, 5)).execution.state is State.SUCCEED


# --- attempts and logs ----------------------------------------------------------------------


async def test_an_attempt_can_be_read_wherever_an_execution_can(case: Case) -> None:
    execution = await case.enqueue("add", 1)
    (running,) = case.world.claim().started
    with case.world.store.write() as tx:
        now = tx.now
        line = LogChunk(sequence=running.sequence, attempt=1, time=now, stream="stderr", message="oh")
        tx.append_logs([line])
    case.world.end(running, State.CREATED, failure=BOOM, due=now)
    first = f"{execution.id}.1"
    attempt = await case.backend.get_execution(first)
    assert (attempt.id, attempt.state, attempt.error_code) == (first, State.FAILED, ErrorCode.USER)
    assert isinstance(attempt, Attempt)
    assert attempt.error is not None and attempt.error.message == "boom"
    assert (await case.backend.get_execution_result(first))["message"] == "boom"
    assert list((await case.backend.get_execution_arguments(first)).positional) == [1]
    (log,) = await case.backend.get_execution_logs(first)
    assert (log.message, log.stream, log.attempt) == ("oh", "stderr", 1)
    (only,) = (await case.backend.list_execution_attempts(execution.id, Page(), ExecutionFilters())).data
    assert isinstance(only, Attempt)
    assert (only.id, only.generation) == (first, 1)
    assert only.error is not None and only.error.name == "ValueError"


async def test_there_is_no_attempt_before_the_first_start(case: Case) -> None:
    execution = await case.enqueue()
    page = await case.backend.list_execution_attempts(execution.id, Page(), ExecutionFilters())
    assert (page.data, page.page_info.start_cursor) == ([], "")


# --- lists ----------------------------------------------------------------------------------


async def test_pages_lead_through_all_executions_in_both_directions(case: Case) -> None:
    order = [(await case.enqueue()).id for _ in range(5)][::-1]
    nothing = ExecutionFilters()
    first = await case.backend.list_executions(Page(first=2), nothing)
    second = await case.backend.list_executions(Page(first=9, after=first.page_info.end_cursor), nothing)
    back = await case.backend.list_executions(Page(last=2, before=second.page_info.start_cursor), nothing)
    oldest = await case.backend.list_executions(Page(last=2), nothing)
    assert [ids(page.data) for page in (first, second, back, oldest)] == [
        order[:2],
        order[2:],
        order[:2],
        order[3:],
    ]
    infos = [page.page_info for page in (first, second, back, oldest)]
    assert [info.has_next_page for info in infos] == [True, False, True, False]
    assert [info.has_prev_page for info in infos] == [False, True, False, True]


async def test_an_unknown_cursor_is_refused(case: Case) -> None:
    with pytest.raises(InvalidRequest):
        await case.backend.list_executions(Page(after="unknown"), ExecutionFilters())


async def test_filters_narrow_a_list(case: Case) -> None:
    now = await case.backend.now()
    one = await case.enqueue("add", metadata={"user": "1"})
    two = await case.enqueue("job", metadata={"user": "2"}, delay=DAY)

    async def found(**filters: Any) -> list[str]:
        return ids((await case.backend.list_executions(Page(), ExecutionFilters(**filters))).data)

    assert await found(states=[State.CREATED]) == [two.id, one.id]
    assert await found(states=[State.FAILED]) == []
    assert await found(function_ids=[one.function_id]) == [one.id]
    assert await found(metadata={"user": ["2", "3"]}) == [two.id]
    assert await found(scheduled_at=Interval(start=now + DAY)) == [two.id]
    assert await found(started_at=Interval(end=now + DAY)) == []


async def test_ends_of_an_interval_mean_utc_where_they_say_nothing(case: Case, far_west: None) -> None:
    due = (await case.enqueue()).scheduled_at
    ends: list[Any] = [due, due.replace(tzinfo=None), due.isoformat(), due.replace(tzinfo=None).isoformat()]
    for end in ends:
        here = ExecutionFilters(scheduled_at=Interval(start=end, end=end))
        assert len((await case.backend.list_executions(Page(), here)).data) == 1


async def test_a_naive_time_of_a_call_is_utc(case: Case, far_west: None) -> None:
    due = await case.backend.now() + DAY
    execution = await case.enqueue(delay=due.replace(tzinfo=None))
    assert execution.scheduled_at == due
    moved = await case.backend.reschedule_execution(execution.id, (due + DAY).replace(tzinfo=None))
    assert moved.scheduled_at == due + DAY


async def test_one_text_in_a_filter_is_a_list_of_it(case: Case) -> None:
    wanted = await case.enqueue("add", metadata={"user": "42"})
    await case.enqueue("job", metadata={"user": "4"})
    for one in ({"metadata": {"user": "42"}}, {"function_ids": wanted.function_id}):
        found = await case.backend.list_executions(Page(), ExecutionFilters(**one))  # type: ignore[arg-type]
        assert ids(found.data) == [wanted.id]


# --- actions --------------------------------------------------------------------------------


async def start(case: Case, function: str = "job") -> str:
    execution = await case.enqueue(function)
    case.world.claim()
    return execution.id


@pytest.mark.parametrize("force", [False, True])
async def test_what_waits_is_cancelled_with_or_without_force(case: Case, force: bool) -> None:
    execution = await case.enqueue()
    cancelled = await case.backend.cancel_execution(execution.id, force=force)
    assert (cancelled.state, cancelled.finished_at) == (State.CANCELLED, await case.backend.now())
    assert case.world.started() == []


async def test_what_runs_is_aborted_with_force_only(case: Case) -> None:
    execution_id = await start(case)
    with pytest.raises(ExecutionNotCancellable):
        await case.backend.cancel_execution(execution_id)
    assert (await case.backend.cancel_execution(execution_id, force=True)).state is State.ABORTING
    with pytest.raises(ExecutionNotCancellable):
        await case.backend.cancel_execution(execution_id)
    with pytest.raises(ExecutionAbortingAlreadyInProgress):
        await case.backend.cancel_execution(execution_id, force=True)


@pytest.mark.parametrize("force", [False, True])
async def test_what_has_finished_cannot_be_cancelled(case: Case, force: bool) -> None:
    execution = await case.enqueue()
    await case.backend.cancel_execution(execution.id)
    with pytest.raises(ExecutionNotCancellable):
        await case.backend.cancel_execution(execution.id, force=force)


async def test_an_attempt_cannot_be_cancelled_or_run_again(case: Case) -> None:
    execution_id = await start(case)
    for request in (
        case.backend.cancel_execution(f"{execution_id}.1", force=True),
        case.backend.rerun_execution(f"{execution_id}.1"),
        case.backend.reschedule_execution(f"{execution_id}.1"),
    ):
        with pytest.raises(ExecutionNotFound):
            await request


async def test_what_waits_is_rescheduled_to_a_time_or_to_now(case: Case) -> None:
    execution = await case.enqueue(delay=DAY)
    case.world.clock.advance(timedelta(hours=1))
    now = await case.backend.now()
    moved = await case.backend.reschedule_execution(execution.id, timedelta(hours=2))
    assert moved.scheduled_at == now + timedelta(hours=2)
    moment = datetime(2031, 1, 1, tzinfo=timezone.utc)
    assert (await case.backend.reschedule_execution(execution.id, moment)).scheduled_at == moment
    assert (await case.backend.reschedule_execution(execution.id)).scheduled_at == now
    assert case.world.started() == [execution.id]


async def test_what_has_started_cannot_be_rescheduled(case: Case) -> None:
    execution_id = await start(case)
    with pytest.raises(ExecutionNotReschedulable):
        await case.backend.reschedule_execution(execution_id, DAY)


async def test_a_rerun_is_a_new_execution_of_the_same_call(case: Case) -> None:
    parent = await case.enqueue("add")
    case.world.claim()
    execution = await case.enqueue(
        "job", {"a": 1}, parent=parent, metadata={"user": "7"}, delay=DAY, discard_after=DAY, awaited=True
    )
    case.world.clock.advance(timedelta(hours=1))
    rerun = await case.backend.rerun_execution(execution.id)
    assert rerun.id != execution.id
    assert (rerun.rerun_of, rerun.executed_by, rerun.state) == (execution.id, parent.id, State.CREATED)
    assert (rerun.function_name, dict(rerun.metadata)) == ("job", {"user": "7"})
    assert rerun.scheduled_at == await case.backend.now()
    assert list((await case.backend.get_execution_arguments(rerun.id)).positional) == [{"a": 1}]
    page = await case.backend.list_executions(Page(), ExecutionFilters(metadata={"user": ["7"]}))
    assert ids(page.data) == [rerun.id, execution.id]
    case.world.clock.advance(10 * DAY)
    with case.world.store.write() as tx:
        assert [change.id for change in tx.discard_due()] == [execution.id], "the rerun has no such limit"


async def test_a_finished_or_running_execution_can_be_run_again(case: Case) -> None:
    done = await case.enqueue("add")
    case.world.run(done)
    running = await start(case)
    for execution_id in (done.id, running):
        assert (await case.backend.rerun_execution(execution_id)).rerun_of == execution_id
