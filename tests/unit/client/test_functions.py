from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import json
import pickle
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

import defer_client
from defer_client import (
    Call,
    CronInvocationError,
    DeferredFunction,
    ErrorCode,
    ExecutionAborted,
    ExecutionCancelled,
    ExecutionDiscarded,
    ExecutionFailed,
    Failure,
    InvalidArguments,
    InvalidDuration,
    InvalidOption,
    NotSerializable,
    Outcome,
    ResultTimeout,
    State,
    add_metadata,
    assign_options,
    await_result,
    defer,
    delay,
    discard_after,
    sync,
)
from tests.unit.client.fakes import FakeBackend, execution


@defer
async def add(a: int, b: int = 2, *more: Any, scale: Any = 1, **rest: Any) -> int:
    """Adds."""
    return (a + b) * int(scale)


@defer(retry=3, concurrency=2)
def plain(x: int) -> int:
    return x * 2


async def plainly_called(x: int) -> int:
    return x


@defer.cron("0 8 * * MON", concurrency=1)
async def weekly() -> str:
    return "done"


# --- declaring --------------------------------------------------------------------------------


def test_defer_works_bare_with_options_and_as_a_plain_call() -> None:
    assert (add.name, add.kind, add.cron_expression, add.options.concurrency) == (
        "add",
        "background",
        None,
        None,
    )
    assert (plain.options.retry.max_attempts, plain.options.concurrency) == (3, 2)
    called = defer(plainly_called, concurrency=5)
    assert (called.name, called.options.concurrency, called.original) == (
        "plainly_called",
        5,
        plainly_called,
    )


def test_defer_cron_works_as_a_decorator_and_as_a_plain_call() -> None:
    async def nightly() -> None: ...

    assert (weekly.kind, weekly.cron_expression, weekly.options.concurrency) == ("cron", "0 8 * * MON", 1)
    called = defer.cron(nightly, "5 0 * * *", retry=True)
    assert (called.name, called.cron_expression, called.options.retry.max_attempts) == (
        "nightly",
        "5 0 * * *",
        13,
    )
    assert isinstance(called, DeferredFunction)


def test_a_deferred_function_looks_like_the_original() -> None:
    assert (add.__name__, add.__doc__, add.__module__) == ("add", "Adds.", __name__)
    assert inspect.signature(add) == inspect.signature(add.original) == add.signature
    assert inspect.unwrap(add) is add.original
    assert asyncio.iscoroutinefunction(add)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda: 1, "has no name"),
        (int, "is a class"),
        (partial(print), "has no name"),
        (print, "no function of Python's"),
        (json, "is a module"),
        (3, "of type int"),
        (None, "of type NoneType"),
        (add, "deferred already"),
    ],
)
def test_what_cannot_be_a_background_function_is_refused(what: Any, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        defer(what)


def test_a_function_that_yields_is_refused() -> None:
    async def pages() -> Any:
        yield 1

    with pytest.raises(InvalidOption, match="yields"):
        defer(pages)


def test_a_misspelt_option_is_refused_before_the_function_comes() -> None:
    with pytest.raises(InvalidOption, match="did you mean 'concurrency'"):
        defer(concurency=1)  # type: ignore[call-overload]


@pytest.mark.parametrize("given", [(), (plainly_called,), ("",), (3,), (plainly_called, None)])
def test_a_cron_without_an_expression_is_refused(given: tuple[Any, ...]) -> None:
    with pytest.raises(InvalidOption, match="needs a cron expression"):
        defer.cron(*given)


def test_a_second_positional_argument_is_refused() -> None:
    with pytest.raises(InvalidOption, match="one function"):
        defer(plainly_called, {"retry": 3})  # type: ignore[call-overload]


# --- calling ----------------------------------------------------------------------------------


def test_awaiting_a_call_enqueues_it(backend: FakeBackend) -> None:
    async def application() -> None:
        pending = add(1, scale=3)
        assert isinstance(pending, Coroutine)
        assert backend.calls == []
        assert (await pending).function_name == "add"

    asyncio.run(application())
    (call,) = backend.calls
    assert isinstance(call, Call)
    assert (call.function_name, call.awaited, call.delay) == ("add", False, None)
    assert (list(call.arguments.positional), dict(call.arguments.keyword)) == ([1], {"scale": 3})


def test_a_call_can_be_a_task_and_be_gathered(backend: FakeBackend) -> None:
    async def application() -> None:
        await asyncio.gather(add(1), asyncio.create_task(add(2)), asyncio.ensure_future(add(3)))

    asyncio.run(application())
    asyncio.run(add(4))
    assert sorted(call.arguments.positional[0] for call in backend.calls) == [1, 2, 3, 4]


def test_awaiting_a_call_twice_is_an_error(backend: FakeBackend) -> None:
    async def application() -> None:
        pending = add(1)
        await pending
        with pytest.raises(RuntimeError, match="already awaited"):
            await pending

    asyncio.run(application())
    assert len(backend.calls) == 1


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "missing a required argument: 'a'"),
        ((1,), {"a": 2}, "multiple values for argument 'a'"),
    ],
)
def test_arguments_that_do_not_fit_fail_at_the_call(args: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(InvalidArguments, match=message):
        add(*args, **kwargs)  # type: ignore[unused-coroutine]


@pytest.mark.parametrize(
    ("args", "kwargs", "path"),
    [
        (({"created_at": datetime(2026, 1, 1)},), {}, "a.created_at"),
        ((1, 2, 3, {4}), {}, "more[1]"),
        ((1,), {"scale": [float("nan")]}, "scale[0]"),
        ((1,), {"other": object()}, "other"),
    ],
)
def test_arguments_that_are_not_json_fail_at_the_call_with_their_path(
    args: Any, kwargs: Any, path: str
) -> None:
    with pytest.raises(NotSerializable) as caught:
        add(*args, **kwargs)  # type: ignore[unused-coroutine]
    assert caught.value.path == path


def test_arguments_are_those_of_the_call_and_not_of_the_await(backend: FakeBackend) -> None:
    async def application() -> None:
        values = [1]
        pending = plain(values)  # type: ignore[arg-type]
        values.append(2)
        await pending

    asyncio.run(application())
    assert backend.calls[0].arguments.positional == [[1]]


def test_enqueue_needs_no_event_loop_and_works_inside_one(backend: FakeBackend) -> None:
    async def application() -> None:
        add.enqueue(2)

    assert add.enqueue(1).state is State.CREATED
    asyncio.run(application())
    backend.immediate = False
    assert add.enqueue(3).state is State.CREATED
    asyncio.run(application())
    assert [call.arguments.positional for call in backend.calls] == [[1], [2], [3], [2]]


def test_local_runs_the_body_and_enqueues_nothing(backend: FakeBackend) -> None:
    assert asyncio.run(add.local(1, scale=2)) == 6
    assert plain.local(4) == 8
    assert asyncio.run(weekly.local()) == "done"
    assert backend.calls == []


# --- calls that are never awaited -------------------------------------------------------------


def test_a_call_that_is_never_awaited_says_where_on_stderr(
    backend: FakeBackend, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    add(1)  # type: ignore[unused-coroutine]
    line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
    await_result(plain)(1)  # type: ignore[unused-coroutine]
    gc.collect()
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("error: add() was called but never awaited, so nothing was enqueued")
    assert first.endswith(f"test_functions.py:{line}")
    assert second.startswith("error: plain() ")
    assert second.endswith(f"test_functions.py:{line + 2}")
    assert not recwarn.list
    assert backend.calls == []


def test_a_call_that_was_awaited_cancelled_or_closed_says_nothing(
    backend: FakeBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    async def application() -> None:
        await add(1)
        add(2).close()
        task = asyncio.create_task(add(3))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(application())
    gc.collect()
    assert capsys.readouterr().err == ""
    assert len(backend.calls) == 1


def test_the_repr_of_a_call_says_that_it_waits_for_an_await(backend: FakeBackend) -> None:
    pending = add(1)
    assert "not awaited yet" in repr(pending)
    pending.close()


# --- options of calls -------------------------------------------------------------------------


def test_options_make_a_new_function_and_merge(backend: FakeBackend) -> None:
    later = assign_options(add, delay="1 day", metadata={"a": "1"})
    both = discard_after(add_metadata(later, {"b": "2"}), 60)
    both.enqueue(1)
    add.enqueue(1)
    changed, unchanged = backend.calls
    assert (changed.delay, changed.discard_after, changed.metadata) == (
        timedelta(days=1),
        timedelta(minutes=1),
        {"a": "1", "b": "2"},
    )
    assert (unchanged.delay, unchanged.discard_after, unchanged.metadata) == (None, None, {})
    assert (both.name, both.options, both.kind) == (add.name, add.options, "background")


def test_await_result_keeps_the_options(backend: FakeBackend) -> None:
    backend.outcome = Outcome(execution=execution(state=State.SUCCEED), result=3)
    asyncio.run(await_result(delay(add, 5))(1))
    assert backend.calls[0].delay == timedelta(seconds=5)


@pytest.mark.parametrize("given", [plainly_called, json, 3, None])
def test_options_of_something_that_is_not_deferred_are_refused(given: Any) -> None:
    changes: list[Callable[[], object]] = [
        lambda: delay(given, 1),
        lambda: assign_options(given, delay=1),
        lambda: await_result(given),
    ]
    for change in changes:
        with pytest.raises(InvalidOption, match="needs a deferred function"):
            change()


# --- crons ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "start",
    [
        lambda: weekly(),
        lambda: weekly(1),
        lambda: weekly.enqueue(),
        lambda: weekly.with_options(delay=1),
        lambda: assign_options(weekly, delay=1),
        lambda: delay(weekly, 1),
        lambda: await_result(weekly),
        lambda: sync.await_result(weekly),
    ],
)
def test_an_application_cannot_start_a_cron(start: Any, backend: FakeBackend) -> None:
    with pytest.raises(CronInvocationError, match="defer run weekly"):
        start()
    assert backend.calls == []


# --- results ----------------------------------------------------------------------------------


def test_a_call_in_place_of_its_function_says_what_to_write(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InvalidOption, match=r"pass the function itself.*await_result\(\.\.\.\)\(\.\.\.\)"):
        await_result(add(1, 2))  # type: ignore[call-overload]


def test_await_result_gives_the_value(backend: FakeBackend) -> None:
    backend.outcome = Outcome(execution=execution(state=State.SUCCEED), result=3)

    async def application() -> int:
        return await await_result(add, timeout="2m")(1)

    assert asyncio.run(application()) == 3
    assert backend.calls[0].awaited
    assert backend.asked == [("wait", execution().id, 120.0)]


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (State.CANCELLED, ExecutionCancelled),
        (State.ABORTED, ExecutionAborted),
        (State.DISCARDED, ExecutionDiscarded),
    ],
)
def test_await_result_raises_how_the_execution_ended(
    backend: FakeBackend, state: State, error: type[Exception]
) -> None:
    backend.outcome = Outcome(execution=execution(state=state))
    with pytest.raises(error) as caught:
        sync.await_result(add)(1)
    assert caught.value.execution.state is state  # type: ignore[attr-defined]


def test_await_result_of_a_failure_carries_the_original_exception(backend: FakeBackend) -> None:
    failure = Failure(
        name="ZeroDivisionError",
        message="by zero",
        stack="Traceback ...",
        code=ErrorCode.USER,
        module="builtins",
        arguments=["by zero"],
    )
    backend.outcome = Outcome(execution=execution(state=State.FAILED), failure=failure)
    with pytest.raises(ExecutionFailed) as caught:
        sync.await_result(add)(1)
    error = caught.value
    assert (error.name, error.message, error.stack) == ("ZeroDivisionError", "by zero", "Traceback ...")
    assert str(error).startswith("add failed: ZeroDivisionError: by zero")
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_await_result_gives_up_after_its_timeout(backend: FakeBackend) -> None:
    with pytest.raises(ResultTimeout) as caught:
        sync.await_result(add, timeout=0.01)(1)
    assert isinstance(caught.value, TimeoutError)


def test_a_wrong_timeout_is_refused_at_once() -> None:
    with pytest.raises(InvalidDuration, match="timeout"):
        await_result(add, timeout="soon")


def test_cancelling_the_one_who_waits_cancels_the_wait(backend: FakeBackend) -> None:
    async def application() -> None:
        task = asyncio.ensure_future(await_result(add)(1))
        while not backend.asked:  # noqa: ASYNC110 (a fake has no event to wait for)
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(application())


def test_the_blocking_form_works_inside_a_running_loop(backend: FakeBackend) -> None:
    backend.outcome = Outcome(execution=execution(state=State.SUCCEED), result=3)

    async def application() -> int:
        return sync.await_result(add)(1)

    assert asyncio.run(application()) == 3


# --- copies -----------------------------------------------------------------------------------


def test_a_deferred_function_is_pickled_by_name_and_copied_as_itself() -> None:
    assert pickle.loads(pickle.dumps(add)) is add
    assert pickle.loads(pickle.dumps(weekly)) is weekly
    assert copy.deepcopy({"job": add})["job"] is add
    assert copy.copy(add) is add
    later = pickle.loads(pickle.dumps(delay(add, 5)))
    assert (later.original, later.call_options.delay) == (add.original, timedelta(seconds=5))


def test_all_public_names_exist() -> None:
    for name in defer_client.__all__:
        assert getattr(defer_client, name) is not None
