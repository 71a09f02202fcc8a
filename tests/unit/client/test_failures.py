from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from defer_client import ErrorCode, Execution, ExecutionCancelled, ExecutionFailed, Failure, State
from defer_client.errors import ExecutionEnded
from defer_client.failures import failure_of, rebuild, value_of
from defer_client.models import Outcome


def raised(error: BaseException) -> Failure:
    try:
        raise error
    except BaseException as caught:
        return failure_of(caught)


class Custom(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"failed with {code}")


class Hostile(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def test_a_failure_has_the_name_message_stack_and_place_of_the_exception() -> None:
    failure = raised(ValueError("no", 3))
    assert (failure.name, failure.module, failure.arguments) == ("ValueError", "builtins", ["no", 3])
    assert failure.message == "('no', 3)"
    assert failure.stack.startswith("Traceback (most recent call last):")
    assert failure.code is ErrorCode.USER


def test_an_exception_without_a_message_gives_its_class_name() -> None:
    assert raised(ValueError()).message == "ValueError"


def test_hostile_exceptions_become_failures_too() -> None:
    assert "RuntimeError" in raised(Hostile()).message
    assert raised(ValueError(object())).arguments is None
    json.dumps(raised(ValueError("\udc80")).message).encode()
    raised(ValueError("\udc80")).stack.encode()


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        KeyError("k"),
        OSError(2, "gone"),
        FileNotFoundError(2, "gone", "/a"),
        OSError(18, "not here", "/a", None, "/b"),
        json.JSONDecodeError("no", "{", 1),
        ValueError(),
    ],
)
def test_an_exception_is_rebuilt(error: Exception) -> None:
    rebuilt = rebuild(raised(error))
    assert type(rebuilt) is type(error)
    assert (repr(rebuilt), str(rebuilt)) == (repr(error), str(error))


def test_a_long_text_is_not_stored_twice_for_the_exception_of_its_parser() -> None:
    assert raised(json.JSONDecodeError("no", "[" * 20_000, 1)).arguments == ["no: line 1 column 2 (char 1)"]


@pytest.mark.parametrize(
    "changes",
    [
        {"module": None},
        {"arguments": None},
        {"module": "no_such_module"},
        {"module": "json.nowhere"},
        {"module": ""},
        {"module": ".relative"},
        {"name": "NoSuchError"},
        {"name": "print"},
        {"name": "int"},
        {"name": "SystemExit"},
        {"name": "UnicodeDecodeError"},
    ],
)
def test_what_cannot_be_rebuilt_is_left_out(changes: dict[str, Any]) -> None:
    assert rebuild(replace(raised(ValueError("no")), **changes)) is None


class Evil(Exception):
    def __reduce__(self) -> str:
        raise KeyError


def test_what_cannot_be_taken_apart_is_a_failure_too() -> None:
    assert rebuild(raised(Evil("x"))) is None


def test_an_exception_that_would_say_something_else_is_left_out() -> None:
    assert rebuild(raised(Custom(3))) is None


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_how_an_execution_ended_can_be_told_to_another_process(state: State, again: Any) -> None:
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    execution = Execution(
        id="id",
        state=state,
        function_name="f",
        function_id="i",
        scheduled_at=now,
        created_at=now,
        updated_at=now,
    )
    failure = raised(ValueError("no")) if state is State.FAILED else None
    with pytest.raises(ExecutionEnded) as caught:
        value_of(Outcome(execution=execution, failure=failure))
    told = again(caught.value)
    assert type(told) is (ExecutionFailed if failure else ExecutionCancelled)
    assert (str(told), told.execution) == (str(caught.value), execution)
