"""What the fixture `defer_emulator` does with the functions of this file."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from defer_client import (
    BackendError,
    DeadlockError,
    ErrorCode,
    ExecutionAborted,
    ExecutionFailed,
    InvalidDuration,
    InvalidOption,
    InvalidRequest,
    NotSerializable,
    ResultTimeout,
    RetryPolicy,
    State,
    UnknownFunction,
    assign_options,
    await_result,
    cancel_execution,
    current_execution,
    defer,
    delay,
    discard_after,
    get_execution_logs,
    list_executions,
    sync,
)
from defer_client.functions import declared
from defer_emulator.testing import Emulator, emulator

ran: list[Any] = []
tenant: ContextVar[str] = ContextVar("tenant", default="nobody")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def nothing_ran() -> Iterator[None]:
    """Functions that a test defines are gone after it."""
    ran.clear()
    before = dict(declared)
    yield
    declared.clear()
    declared.update(before)


@defer
async def add(a: int, b: int = 0) -> int:
    ran.append((a, b))
    return a + b


@defer(retry=RetryPolicy(max_attempts=2, initial_interval=10, multiplier=2))
async def flaky(text: str) -> str:
    ran.append(text)
    return text


@defer
async def explode() -> None:
    raise ValueError("boom")


@defer(concurrency=1)
async def one_at_a_time(number: int) -> None:
    ran.append(f"start {number}")
    await asyncio.sleep(0)
    ran.append(f"end {number}")


@defer(concurrency=1, max_concurrency_action="cancel")
async def only_one() -> None: ...


@defer
async def tree(depth: int) -> int:
    if depth == 0:
        return 1
    return sum(await asyncio.gather(*(await_result(tree)(depth - 1) for _ in range(3))))


@defer
async def reminders() -> str:
    for number in range(3):
        await await_result(delay(add, "1 day"))(number)
    return "done"


@defer(concurrency=1)
async def waits_for_itself() -> None:
    await await_result(waits_for_itself)()


@defer
def plain(a: int) -> int:
    ran.append(threading.current_thread() is threading.main_thread())
    return sync.await_result(add)(a, 1) + sync.await_result(add)(a, 2)


@defer.cron("0 8 * * *")
async def every_morning() -> None:
    ran.append("morning")


@defer
async def sleeps() -> None:
    try:
        await asyncio.sleep(3600)
    finally:
        ran.append("cleaned up")


# --- running ------------------------------------------------------------------------------------


def test_nothing_runs_before_the_test_lets_it(defer_emulator: Emulator) -> None:
    execution = add.enqueue(1, 2)
    assert (ran, defer_emulator.last(add).state) == ([], State.CREATED)
    defer_emulator.run_until_idle()
    record = defer_emulator.last(add)
    assert (ran, record.id, record.state, record.result) == ([(1, 2)], execution.id, State.SUCCEED, 3)


def test_a_result_can_be_awaited_without_moving_anything(defer_emulator: Emulator) -> None:
    assert sync.await_result(add)(1, 2) == 3
    assert sync.await_result(tree)(2) == 9


def test_async_functions_of_a_sync_test_run_in_its_thread(defer_emulator: Emulator) -> None:
    @defer
    async def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert sync.await_result(where)() is True


def test_plain_functions_may_block_for_others(defer_emulator: Emulator) -> None:
    assert sync.await_result(plain)(4) == 11
    assert ran == [False, (4, 1), (4, 2)]


@pytest.mark.anyio
async def test_a_coroutine_awaits_results_and_steps(defer_emulator: Emulator) -> None:
    assert await await_result(add)(1, 2) == 3
    assert await asyncio.gather(*(await_result(add)(n) for n in range(5))) == [0, 1, 2, 3, 4]
    await delay(add, "1 day")(7)
    await defer_emulator.advance("1 day")
    assert defer_emulator.last(add).result == 7


@pytest.mark.anyio
async def test_a_step_that_a_coroutine_does_not_await_is_done_on_the_spot(defer_emulator: Emulator) -> None:
    await add(1)
    defer_emulator.run_until_idle()
    assert ran == [(1, 0)]
    step = defer_emulator.advance("1 day")
    assert defer_emulator.executions(every_morning, "succeed")
    await step
    assert len(defer_emulator.executions(every_morning)) == 1


@pytest.mark.anyio
async def test_the_event_loop_of_the_test_goes_on_while_a_step_is_awaited(defer_emulator: Emulator) -> None:
    released = threading.Event()

    @defer
    def waits_for_the_test() -> bool:
        return released.wait(10)

    async def release() -> None:
        await asyncio.sleep(0.01)
        released.set()

    await waits_for_the_test()
    await asyncio.gather(defer_emulator.run_until_idle(), release())
    assert defer_emulator.last(waits_for_the_test).result is True


@pytest.mark.anyio
async def test_blocking_calls_work_in_a_coroutine_too(defer_emulator: Emulator) -> None:
    assert sync.await_result(add)(1, 2) == 3
    assert sync.list_executions().data[0].state is State.SUCCEED


def test_calls_from_many_threads_are_served(defer_emulator: Emulator) -> None:
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: results.append(sync.await_result(add)(n, 1))) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(results) == list(range(1, 9))


@pytest.mark.anyio
async def test_a_wait_and_a_step_that_ends_it_go_together(defer_emulator: Emulator) -> None:
    waiting = asyncio.create_task(await_result(delay(add, "1 day"))(3))
    await asyncio.sleep(0)
    await defer_emulator.advance("1 day")
    assert await waiting == 3


def test_arguments_and_results_pass_through_json(defer_emulator: Emulator) -> None:
    given: dict[str, Any] = {"list": [1]}

    @defer
    async def change(value: dict[str, Any], pair: Any) -> Any:
        value["list"].append(2)
        return value, pair

    assert sync.await_result(change)(given, (1, 2)) == [{"list": [1, 2]}, [1, 2]]
    assert given == {"list": [1]}
    with pytest.raises(NotSerializable, match=r"value\.list"):
        change.enqueue({"list": {1}}, None)


@pytest.mark.defer(allow="failed")
def test_a_result_that_is_no_json_fails_the_execution(defer_emulator: Emulator) -> None:
    @defer
    async def gives_a_set() -> Any:
        return {1}

    with pytest.raises(ExecutionFailed, match="set is not JSON"):
        sync.await_result(gives_a_set)()


def test_executions_know_themselves_and_their_parents(defer_emulator: Emulator) -> None:
    @defer
    async def parent() -> list[Any]:
        current = current_execution()
        assert current is not None
        child = await add(1)
        return [current.id, current.attempt, current.function, child.id]

    id_, attempt, function, child = sync.await_result(parent)()
    defer_emulator.run_until_idle()
    record = defer_emulator.last(parent)
    assert (id_, attempt, function) == (record.id, 1, "parent")
    assert [one.id for one in record.children] == [child]
    assert defer_emulator.last(add).executed_by == record.id
    assert current_execution() is None


def test_what_a_function_sets_in_its_context_stays_there(defer_emulator: Emulator) -> None:
    @defer
    async def sets() -> str:
        before = tenant.get()
        tenant.set("somebody")
        return before

    assert [sync.await_result(sets)() for _ in range(2)] == ["nobody", "nobody"]
    assert tenant.get() == "nobody"


# --- time ---------------------------------------------------------------------------------------


def test_a_delay_ends_when_the_clock_gets_there(defer_emulator: Emulator) -> None:
    delay(add, "1 day").enqueue(1)
    defer_emulator.advance("23h 59m 59s")
    assert ran == ["morning"] * ran.count("morning")
    defer_emulator.advance("1s")
    assert (1, 0) in ran


def test_every_due_thing_happens_in_order_at_its_own_instant(defer_emulator: Emulator) -> None:
    start = defer_emulator.now
    for hours in (3, 1, 2):
        delay(add, timedelta(hours=hours)).enqueue(hours)
    defer_emulator.advance("1 day")
    assert [number for number, _ in (one for one in ran if one != "morning")] == [1, 2, 3]
    assert [one.started_at - start for one in defer_emulator.executions(add) if one.started_at] == [
        timedelta(hours=3),
        timedelta(hours=1),
        timedelta(hours=2),
    ]
    assert defer_emulator.now == start + timedelta(days=1)


def test_a_parent_that_waits_for_days_runs_on(defer_emulator: Emulator) -> None:
    reminders.enqueue()
    defer_emulator.advance("2 days")
    assert defer_emulator.last(reminders).state is State.STARTED
    defer_emulator.advance("1 day")
    assert defer_emulator.assert_succeeded(reminders).result == "done"


@pytest.mark.defer(start="2026-01-05T00:00")
def test_a_cron_fires_each_of_its_minutes_once(defer_emulator: Emulator) -> None:
    defer_emulator.advance("30 days")
    fired = [one.scheduled_at for one in defer_emulator.executions(every_morning)]
    assert fired == [datetime(2026, 1, 5, 8, tzinfo=timezone.utc) + timedelta(days=n) for n in range(30)]


@pytest.mark.defer(start="2026-01-05T00:00")
def test_advance_to_next_goes_to_what_is_due_next(defer_emulator: Emulator) -> None:
    delay(add, "1h").enqueue(1)
    defer_emulator.advance_to_next()
    assert (defer_emulator.now.hour, ran) == (1, [(1, 0)])
    defer_emulator.advance_to_next()
    assert (defer_emulator.now.hour, ran) == (8, [(1, 0), "morning"])


def test_a_moment_can_be_the_target(defer_emulator: Emulator) -> None:
    defer_emulator.pause(every_morning)
    target = defer_emulator.now + timedelta(days=400)
    defer_emulator.advance(target)
    assert defer_emulator.now == target
    with pytest.raises(InvalidOption, match="already"):
        defer_emulator.advance(target - timedelta(seconds=1))
    with pytest.raises(InvalidDuration):
        defer_emulator.advance("1 dya")


def test_what_is_not_started_in_time_is_discarded(defer_emulator: Emulator) -> None:
    discard_after(delay(add, "2h"), "1h").enqueue(1)
    defer_emulator.advance("3h")
    assert defer_emulator.last(add).state is State.DISCARDED


def test_waiting_for_what_needs_time_says_so(defer_emulator: Emulator) -> None:
    with pytest.raises(AssertionError, match=r"(?s)add\(1\) is awaited.*advance"):
        sync.await_result(delay(add, "1 day"))(1)
    with pytest.raises(ResultTimeout):
        sync.await_result(delay(add, "1 day"), timeout=0.01)(1)
    defer_emulator.advance("1 day")


# --- retries, limits, pauses ------------------------------------------------------------------------


def test_a_failure_is_retried_after_its_interval(defer_emulator: Emulator) -> None:
    defer_emulator.fail_next(flaky, ConnectionError("refused"))
    defer_emulator.fail_next(flaky, TimeoutError)
    flaky.enqueue("hello")
    defer_emulator.run_until_idle()
    assert defer_emulator.last(flaky).state is State.CREATED
    defer_emulator.advance("9s")
    assert defer_emulator.last(flaky).attempt == 1
    defer_emulator.advance("1s")
    assert defer_emulator.last(flaky).attempt == 2
    defer_emulator.advance("20s")
    record = defer_emulator.assert_succeeded(flaky)
    assert (record.attempt, record.result, ran) == (3, "hello", ["hello"])
    assert [one.error and one.error.name for one in record.attempts] == [
        "ConnectionError",
        "TimeoutError",
        None,
    ]


@pytest.mark.defer(allow="failed")
def test_the_last_failure_stays(defer_emulator: Emulator) -> None:
    for _ in range(3):
        defer_emulator.fail_next(flaky, ConnectionError("refused"))
    flaky.enqueue("hello")
    defer_emulator.advance("1h")
    record = defer_emulator.assert_failed(flaky)
    assert (record.attempt, record.error_code, ran) == (3, ErrorCode.USER, [])


@pytest.mark.defer(allow="failed")
def test_an_error_reaches_who_waits_with_its_cause(defer_emulator: Emulator) -> None:
    with pytest.raises(ExecutionFailed, match="boom") as caught:
        sync.await_result(explode)()
    assert isinstance(caught.value.__cause__, ValueError)
    error = defer_emulator.last(explode).error
    assert error is not None and "defer_emulator" not in error.stack
    assert 'raise ValueError("boom")' in error.stack


def test_concurrency_one_is_first_in_first_out(defer_emulator: Emulator) -> None:
    for number in range(3):
        one_at_a_time.enqueue(number)
    defer_emulator.run_until_idle()
    assert ran == ["start 0", "end 0", "start 1", "end 1", "start 2", "end 2"]


def test_beyond_a_limit_whose_action_is_cancel_they_are_cancelled(defer_emulator: Emulator) -> None:
    for _ in range(3):
        only_one.enqueue()
    defer_emulator.run_until_idle()
    assert [one.state.value for one in defer_emulator.executions(only_one)] == [
        "succeed",
        "cancelled",
        "cancelled",
    ]


def test_a_tree_larger_than_max_concurrency_does_not_deadlock() -> None:
    assert 3**5 > 100
    with emulator():
        assert sync.await_result(tree)(5) == 3**5


@pytest.mark.defer(allow="failed")
def test_a_wait_that_could_never_end_is_refused(defer_emulator: Emulator) -> None:
    with pytest.raises(ExecutionFailed) as caught:
        sync.await_result(waits_for_itself)()
    assert isinstance(caught.value.__cause__, DeadlockError) or "DeadlockError" in str(
        caught.value.failure.name
    )


def test_a_paused_function_waits_until_it_is_resumed(defer_emulator: Emulator) -> None:
    defer_emulator.pause(add)
    add.enqueue(1)
    flaky.enqueue("not paused")
    defer_emulator.run_until_idle()
    assert ran == ["not paused"]
    defer_emulator.resume(add)
    defer_emulator.run_until_idle()
    assert ran == ["not paused", (1, 0)]
    defer_emulator.pause()
    add.enqueue(2)
    defer_emulator.advance("2 days")
    assert len(ran) == 2
    defer_emulator.resume()
    defer_emulator.run_until_idle()
    with pytest.raises(UnknownFunction):
        defer_emulator.pause("ad")


def test_metadata_is_kept_and_found(defer_emulator: Emulator) -> None:
    assign_options(add, metadata={"user": "7"}).enqueue(1)
    defer_emulator.run_until_idle()
    assert defer_emulator.last(add).metadata == {"user": "7"}


# --- ends that are no ends ----------------------------------------------------------------------------


def test_an_abort_acts_at_an_await(defer_emulator: Emulator) -> None:
    execution = sleeps.enqueue()
    defer_emulator.run_until(lambda: defer_emulator.executions(sleeps, "started"))
    sync.cancel_execution(execution.id, force=True)
    defer_emulator.run_until_idle()
    assert (defer_emulator.last(sleeps).state, ran) == (State.ABORTED, ["cleaned up"])


@pytest.mark.anyio
async def test_an_abort_ends_the_wait_for_it(defer_emulator: Emulator) -> None:
    waiting = asyncio.create_task(await_result(sleeps)())
    await asyncio.sleep(0)
    await defer_emulator.run_until(lambda: defer_emulator.executions(sleeps, "started"))
    await cancel_execution(defer_emulator.last(sleeps).id, force=True)
    with pytest.raises(ExecutionAborted):
        await waiting


@pytest.mark.defer(allow="failed")
def test_a_deadline_acts_at_an_await(defer_emulator: Emulator) -> None:
    @defer(max_duration=0.05)
    async def too_long() -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                ran.append("not yet")
                if len(ran) == 2:
                    raise

    too_long.enqueue()
    defer_emulator.run_until_idle()
    record = defer_emulator.assert_failed(too_long)
    assert (record.error_code, ran) == (ErrorCode.TIMEOUT, ["not yet", "not yet"])


@pytest.mark.defer(allow="failed")
def test_a_crash_ends_what_runs_as_interrupted(defer_emulator: Emulator) -> None:
    sleeps.enqueue()
    add.enqueue(1)
    defer_emulator.interrupt()
    record = defer_emulator.last(sleeps)
    assert (record.state, record.error_code) == (State.FAILED, ErrorCode.INTERNAL)
    assert record.error is not None and "interrupted" in record.error.message
    assert ran == [(1, 0)], "the other one was over, and no code of a killed process runs"
    defer_emulator.assert_succeeded(add)


def test_a_crash_in_the_middle_of_a_function_is_retried(defer_emulator: Emulator) -> None:
    @defer(retry=1)
    async def crashes_once() -> int:
        ran.append("begun")
        if len(ran) == 1:
            defer_emulator.interrupt()
            ran.append("never")
        return len(ran)

    @defer
    async def beside() -> None:
        await await_result(crashes_once)()

    crashes_once.enqueue()
    defer_emulator.advance("1 day")
    record = defer_emulator.assert_succeeded(crashes_once)
    assert (record.attempt, record.result) == (2, len([one for one in ran if one != "morning"]))
    assert "never" not in ran


def test_a_crash_in_a_plain_function(defer_emulator: Emulator) -> None:
    @defer(retry=1)
    def crashes_once() -> None:
        ran.append("begun")
        if ran == ["begun"]:
            defer_emulator.interrupt()

    crashes_once.enqueue()
    defer_emulator.advance("1h")
    assert defer_emulator.assert_succeeded(crashes_once).attempt == 2


@pytest.mark.defer(allow="failed")
def test_a_parent_that_waited_at_a_crash_starts_its_children_anew(defer_emulator: Emulator) -> None:
    reminders.enqueue()
    defer_emulator.run_until_idle()
    defer_emulator.interrupt()
    assert defer_emulator.last(reminders).state is State.FAILED
    defer_emulator.advance("1 day")
    assert defer_emulator.assert_succeeded(add).executed_by == defer_emulator.last(reminders).id


@pytest.mark.defer(allow="failed")
def test_sys_exit_ends_the_execution_and_not_the_test(defer_emulator: Emulator) -> None:
    @defer
    async def leaves() -> None:
        raise SystemExit(3)

    with pytest.raises(ExecutionFailed, match=r"called sys\.exit"):
        sync.await_result(leaves)()


def test_a_task_that_is_left_running_is_cancelled_and_said(defer_emulator: Emulator) -> None:
    @defer
    async def leaves_a_task() -> None:
        _task = asyncio.get_running_loop().create_task(asyncio.sleep(3600))

    sync.await_result(leaves_a_task)()
    assert "it left a task running" in defer_emulator.last(leaves_a_task).logs[0].message


def test_code_that_outlives_its_execution_cannot_call(defer_emulator: Emulator) -> None:
    calls: list[Any] = []

    @defer
    async def leaves_a_call() -> None:
        context = __import__("contextvars").copy_context()
        calls.append(lambda: context.run(add.enqueue, 1))

    sync.await_result(leaves_a_call)()
    with pytest.raises(BackendError, match=r"leaves_a_call .* is over"):
        calls[0]()


@pytest.mark.defer(allow="failed")
def test_a_coroutine_that_blocks_for_another_is_told(defer_emulator: Emulator) -> None:
    @defer
    async def blocks() -> None:
        sync.await_result(add)(1)

    with pytest.raises(ExecutionFailed, match="blocks the event loop"):
        sync.await_result(blocks)()


def test_a_function_cannot_move_its_emulator(defer_emulator: Emulator) -> None:
    @defer
    async def moves() -> str:
        try:
            defer_emulator.advance("1 day")
        except RuntimeError as error:
            return str(error)
        return ""

    assert "move it in the test" in sync.await_result(moves)()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_is_refused(defer_emulator: Emulator) -> None:
    child = os.fork()
    if child == 0:
        try:
            add.enqueue(1)
        except BackendError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


# --- output -------------------------------------------------------------------------------------


def test_what_is_printed_and_logged_is_seen(
    defer_emulator: Emulator, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    @defer
    async def talks(name: str) -> None:
        print("hello", name)
        await asyncio.sleep(0)
        logging.getLogger("shop").warning("careful, %s", name)
        print("bye", name, end="")

    talks.enqueue("ada")
    talks.enqueue("bo")
    defer_emulator.run_until_idle()
    print("outside")
    assert capsys.readouterr().out == "hello ada\nhello bo\nbye adabye booutside\n"
    assert [record.message for record in caplog.records] == ["careful, ada", "careful, bo"]
    first, second = defer_emulator.executions(talks)
    assert [line.message for line in first.logs] == ["hello ada", "bye ada"]
    assert [line.message for line in sync.run(get_execution_logs(second.id), immediate=True)] == [
        "hello bo",
        "bye bo",
    ]


# --- looking ------------------------------------------------------------------------------------


def test_executions_are_found_by_function_and_state(defer_emulator: Emulator) -> None:
    add.enqueue(1)
    delay(add, "1 day").enqueue(2)
    flaky.enqueue("x")
    defer_emulator.run_until_idle()
    assert len(defer_emulator.executions()) == 3
    assert [one.arguments.positional for one in defer_emulator.executions(add)] == [[1], [2]]
    assert [one.arguments.positional for one in defer_emulator.executions("add", "succeed")] == [[1]]
    assert len(defer_emulator.executions(state=[State.SUCCEED, "created"])) == 3
    with pytest.raises(InvalidRequest, match="succeeded"):
        defer_emulator.executions(state="succeeded")
    with pytest.raises(TypeError):
        defer_emulator.executions(len)  # type: ignore[arg-type]
    defer_emulator.advance("1 day")


def test_assertions_show_the_history(defer_emulator: Emulator) -> None:
    with pytest.raises(AssertionError, match=r"(?s)no add was enqueued.*Nothing was enqueued"):
        defer_emulator.assert_succeeded(add)
    assign_options(add).enqueue(1, b=2)
    defer_emulator.fail_next(flaky, ConnectionError("refused"))
    flaky.enqueue("x" * 100)
    defer_emulator.run_until_idle()
    with pytest.raises(AssertionError) as caught:
        defer_emulator.assert_succeeded(flaky)
    said = str(caught.value)
    assert "add(1, b=2) succeeded with 3" in said
    assert "after 1 attempt: ConnectionError: refused" in said
    assert "attempt 1 started at" not in said and "attempt 1 at" in said
    assert "x" * 100 not in said
    defer_emulator.advance("10s")
    defer_emulator.assert_succeeded(flaky)


def test_a_call_is_asserted_by_its_arguments_however_given(defer_emulator: Emulator) -> None:
    add.enqueue(1, 2)
    assert defer_emulator.assert_enqueued(add).arguments.positional == [1, 2]
    defer_emulator.assert_enqueued(add, 1, b=2)
    defer_emulator.assert_enqueued("add", 1, b=2)
    defer_emulator.assert_not_enqueued(add, 1)
    defer_emulator.assert_not_enqueued(flaky)
    with pytest.raises(AssertionError, match=r"add\(1, 3\) was not enqueued"):
        defer_emulator.assert_enqueued(add, 1, 3)
    with pytest.raises(AssertionError, match=r"add\(1, 2\) was enqueued"):
        defer_emulator.assert_not_enqueued(add)
    defer_emulator.run_until_idle()


def test_fail_next_takes_exceptions_only(defer_emulator: Emulator) -> None:
    with pytest.raises(TypeError, match="refused"):
        defer_emulator.fail_next(add, "refused")  # type: ignore[arg-type]


def test_nothing_can_be_said_of_a_misspelt_name(defer_emulator: Emulator) -> None:
    for ask in (
        defer_emulator.executions,
        defer_emulator.last,
        defer_emulator.assert_not_enqueued,
        defer_emulator.pause,
        lambda name: defer_emulator.fail_next(name, ValueError),
    ):
        with pytest.raises(UnknownFunction, match="did you mean add"):
            ask("addd")


# --- the context manager ---------------------------------------------------------------------------


def test_the_context_manager_fails_for_what_is_left() -> None:
    with pytest.raises(AssertionError, match="1 waiting"), emulator():
        add.enqueue(1)
    with pytest.raises(AssertionError, match="1 failed"), emulator() as em:
        explode.enqueue()
        em.run_until_idle()
    with emulator(allow=["failed", "waiting"]) as em:
        add.enqueue(1)
    assert em.last(add).state is State.CREATED, "what happened can be looked at afterwards"
    with pytest.raises(InvalidOption, match="fialed"), emulator(allow="fialed"):  # type: ignore[arg-type]
        pass


def test_an_error_of_the_block_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), emulator():
        add.enqueue(1)
        raise ZeroDivisionError


def test_its_clock_starts_where_it_is_told() -> None:
    with emulator(start="2026-01-31T08:00") as em:
        assert em.now == datetime(2026, 1, 31, 8, tzinfo=timezone.utc)
    with emulator() as em:
        assert abs(em.now - datetime.now(timezone.utc)) < timedelta(seconds=60)
    with pytest.raises(InvalidOption), emulator(start="1 day"):
        pass


@pytest.mark.anyio
async def test_it_works_inside_of_a_coroutine() -> None:
    with emulator():
        assert await await_result(add)(1, 2) == 3
        assert len((await list_executions()).data) == 1
