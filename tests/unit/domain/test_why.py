"""What `defer why` answers, decided from facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from defer_client.models import Attempt, ErrorCode, Execution, Failure, State
from defer_client.retry import NO_RETRY, RetryPolicy
from defer_emulator.domain.functions import FunctionSpec, FunctionStatus, RegisteredFunction
from defer_emulator.domain.why import Emulator, Facts, Reason, Why, explain

NOW = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
ERROR = Failure(name="ValueError", message="no\nway", stack="", code=ErrorCode.USER)


def execution(state: State = State.CREATED, **changes: Any) -> Execution:
    fields: dict[str, Any] = {
        "id": "01a22bcd-208a-7210-b0c3-4d49538453d7",
        "state": state,
        "function_name": "send",
        "function_id": "f",
        "scheduled_at": NOW,
        "created_at": NOW,
        "updated_at": NOW,
        "attempt": 0 if state is State.CREATED else 1,
    }
    return Execution(**fields | changes)


def function(
    status: FunctionStatus = "ready",
    problem: str | None = None,
    *,
    retry: RetryPolicy = NO_RETRY,
    concurrency: int | None = None,
) -> RegisteredFunction:
    spec = FunctionSpec(
        name="send",
        module="defer.send",
        file="defer/send.py",
        line=1,
        kind="background",
        retry=retry,
        concurrency=concurrency,
        max_duration=600.0,
    )
    return RegisteredFunction(
        id="f", spec=spec, status=status, problem=problem, paused=False, cron_after=None
    )


FACTS = Facts(
    execution=execution(),
    now=NOW,
    clock="real",
    emulator=Emulator(max_concurrency=100),
    function=function(),
    function_paused=False,
    everything_paused=False,
    holders=(),
    holders_count=0,
    places_taken=0,
    awaited=(),
    awaited_count=0,
    last_failure=None,
    ended_by=None,
    discard_at=None,
)


def why(**changes: Any) -> Why:
    return explain(replace(FACTS, **changes))


def reason(**changes: Any) -> Reason:
    (only,) = why(**changes).reasons
    return only


# --- created ----------------------------------------------------------------------------------


def test_one_that_nothing_holds_is_starting() -> None:
    assert reason().kind == "starting"


def test_a_delayed_one_waits_for_its_time() -> None:
    due = NOW + timedelta(hours=2)
    found = reason(execution=execution(scheduled_at=due))
    assert found.kind == "delayed"
    assert found.message == "waits for its time: due in 2h, at 2026-01-01 14:00:00 UTC"
    assert found.details == {"until": "2026-01-01T14:00:00.000000Z", "seconds": 7200.0}
    assert found.commands[0] == "defer reschedule 538453d7"


def test_a_delay_says_when_it_would_be_discarded_and_that_the_clock_stands() -> None:
    due = NOW + timedelta(hours=2)
    found = reason(execution=execution(scheduled_at=due), clock="frozen", discard_at=NOW + timedelta(hours=1))
    assert "the clock stands still" in found.message
    assert "discarded at 2026-01-01 13:00:00 UTC" in found.message
    assert found.commands == ("defer reschedule 538453d7", "defer clock resume")
    assert found.details["discard_at"] == "2026-01-01T13:00:00.000000Z"


def test_a_retry_says_which_attempt_when_and_the_last_error() -> None:
    waiting = execution(attempt=2, scheduled_at=NOW + timedelta(seconds=41))
    found = reason(
        execution=waiting, function=function(retry=RetryPolicy(max_attempts=5)), last_failure=ERROR
    )
    assert found.kind == "retry"
    assert found.message.startswith("waits for a retry: attempt 3 of 6 in 41s, at ")
    assert found.message.endswith("; the last error: ER0003 ValueError: no"), "one line"
    assert (found.details["attempt"], found.details["attempts"]) == (3, 6)
    assert found.details["last_error"] == {"code": "ER0003", "name": "ValueError", "message": "no\nway"}
    assert "defer logs 538453d7.2" in found.commands


def test_a_file_that_does_not_import_is_named_with_its_error() -> None:
    problem = "defer/send.py:3: SyntaxError: invalid syntax"
    found = reason(function=function("broken", problem))
    assert found.kind == "broken"
    assert problem in found.message
    assert found.details["problem"] == problem
    assert found.commands == ("defer check",)


def test_a_removed_and_an_unknown_function_are_told_apart() -> None:
    assert reason(function=function("removed")).kind == "removed"
    assert reason(function=None).kind == "unknown"


def test_pauses_of_the_function_and_of_everything_are_both_told() -> None:
    both = why(function_paused=True, everything_paused=True).reasons
    assert [one.kind for one in both] == ["paused", "paused"]
    assert [one.details["scope"] for one in both] == ["everything", "function"]
    assert [one.commands for one in both] == [("defer resume",), ("defer resume send",)]


def test_without_an_emulator_defer_dev_is_the_command() -> None:
    found = reason(emulator=None)
    assert (found.kind, found.commands) == ("no_emulator", ("defer dev",))


def test_without_an_emulator_nobody_has_looked_whether_the_function_exists() -> None:
    assert [one.kind for one in why(emulator=None, function=None).reasons] == ["no_emulator"]
    gone = why(emulator=None, function=function("removed")).reasons
    assert [one.kind for one in gone] == ["no_emulator", "removed"]


def test_a_place_of_the_function_is_held_by_named_executions() -> None:
    holders = [execution(State.STARTED, id=f"01a22bcd-208a-7210-b0c3-4d4900000{n:03}") for n in range(2)]
    found = reason(function=function(concurrency=2), holders=holders, holders_count=2)
    assert found.kind == "concurrency"
    assert found.message == (
        "waits for a place of send: limit 2/2, held by 00000000 (send, started), 00000001 (send, started)"
    )
    assert found.details["held_by"] == [holder.id for holder in holders]


def test_only_some_of_many_holders_are_named() -> None:
    holders = [execution(State.STARTED, id=f"01a22bcd-208a-7210-b0c3-4d4900000{n:03}") for n in range(20)]
    found = reason(function=function(concurrency=50), holders=holders, holders_count=50)
    assert found.message.endswith("00000004 (send, started) and 45 more")


def test_a_place_of_the_emulator() -> None:
    found = reason(places_taken=100)
    assert (found.kind, found.details) == ("max_concurrency", {"limit": 100, "running": 100})


def test_limits_play_no_part_before_the_time_has_come() -> None:
    later = execution(scheduled_at=NOW + timedelta(seconds=1))
    assert reason(execution=later, places_taken=100).kind == "delayed"


def test_an_emulator_that_runs_other_functions_only() -> None:
    found = reason(emulator=Emulator(max_concurrency=100, only=("other",)))
    assert (found.kind, found.details) == ("not_selected", {"only": ["other"]})


# --- started ----------------------------------------------------------------------------------


def test_a_running_one_says_since_when_which_attempt_and_its_deadline() -> None:
    running = execution(State.STARTED, started_at=NOW - timedelta(seconds=12))
    found = reason(execution=running, function=function(retry=RetryPolicy(max_attempts=1)))
    assert found.kind == "running"
    assert found.message.startswith(
        "runs since 12s (attempt 1 of 2); it may take 10m, until 2026-01-01 12:09"
    )
    assert found.details["deadline"] == "2026-01-01T12:09:48.000000Z"
    assert found.commands == ("defer logs 538453d7 -f", "defer cancel 538453d7 --force")


def test_on_a_moved_clock_no_deadline_is_told_because_it_is_real_time() -> None:
    running = execution(State.STARTED, started_at=NOW)
    found = reason(execution=running, clock="moved")
    assert found.details["max_duration"] == 600.0
    assert "deadline" not in found.details


def test_a_parent_is_parked_on_its_children() -> None:
    child = execution(id="01a22bcd-208a-7210-b0c3-4d4900000001", function_name="child")
    found = reason(execution=execution(State.STARTED, started_at=NOW), awaited=[child], awaited_count=1)
    assert found.kind == "parked"
    assert found.message == "waits for an execution that it started: 00000001 (child, created)"
    assert found.commands == ("defer why 00000001", "defer tree 538453d7")


@pytest.mark.parametrize(
    ("state", "retries", "end"),
    [
        (State.STARTED, 0, "ends it as interrupted"),
        (State.STARTED, 1, "ends it as interrupted, and tries it again"),
        (State.ABORTING, 1, "ends it as aborted"),
    ],
)
def test_one_whose_emulator_is_gone_is_an_orphan(state: State, retries: int, end: str) -> None:
    found = reason(
        execution=execution(state),
        emulator=None,
        function=function(retry=RetryPolicy(max_attempts=retries)),
    )
    assert found.kind == "orphaned"
    assert found.message.endswith(end)


def test_aborting_says_who_asked() -> None:
    found = reason(execution=execution(State.ABORTING), ended_by="request")
    assert found.kind == "aborting"
    assert "by a request" in found.message


# --- ended ------------------------------------------------------------------------------------


def test_a_failed_one_tells_its_error_and_how_often_it_was_tried() -> None:
    failed = execution(State.FAILED, attempt=3, error_code=ErrorCode.USER)
    found = reason(execution=failed, function=function(retry=RetryPolicy(max_attempts=2)), last_failure=ERROR)
    assert found.message == "it failed: ER0003 ValueError: no (attempt 3 of 3)"
    assert found.commands == ("defer logs 538453d7", "defer rerun 538453d7")


def test_out_of_memory_says_that_it_is_not_tried_again() -> None:
    failed = execution(State.FAILED, error_code=ErrorCode.OUT_OF_MEMORY)
    error = replace(ERROR, name="OOMError", code=ErrorCode.OUT_OF_MEMORY)
    assert "never tried again" in reason(execution=failed, last_failure=error).message


def test_an_attempt_tells_its_own_error() -> None:
    fields = {name: getattr(execution(State.FAILED), name) for name in Execution.__slots__}
    attempt = Attempt(**fields | {"id": f"{fields['id']}.1"}, generation=1, error=ERROR)
    found = reason(execution=attempt, last_failure=ERROR)
    assert found.message == "it failed: ER0003 ValueError: no (attempt 1)"
    assert found.commands[0] == "defer logs 538453d7.1"


@pytest.mark.parametrize(
    ("by", "kind", "said"),
    [
        ("request", "cancelled", "by a request"),
        ("01a22bcd-208a-7210-b0c3-4d4900000001", "cancelled", "by execution 00000001"),
        ("limit", "cancelled_by_limit", 'whose action is "cancel"'),
    ],
)
def test_a_cancelled_one_says_by_whom(by: str, kind: str, said: str) -> None:
    found = reason(execution=execution(State.CANCELLED, finished_at=NOW), ended_by=by)
    assert found.kind == kind
    assert said in found.message
    assert found.details["by"] == by
    assert found.commands == ("defer rerun 538453d7",)


@pytest.mark.parametrize(
    ("state", "kind"),
    [(State.SUCCEED, "succeeded"), (State.ABORTED, "aborted"), (State.DISCARDED, "discarded")],
)
def test_every_other_end_has_its_word(state: State, kind: str) -> None:
    assert reason(execution=execution(state)).kind == kind


def test_a_message_is_one_line_whatever_the_error() -> None:
    error = replace(ERROR, message="\n\nfirst\r\nsecond" + "x" * 10_000)
    found = reason(execution=execution(State.FAILED), last_failure=error)
    assert len(found.message.splitlines()) == 1
    assert len(found.message) < 300
