"""Models ↔ JSON: the field names of the HTTP API, of `--output json` and of worker frames.

Only standard library, and no I/O: whoever sends decides how to encode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from defer_client import errors
from defer_client.errors import InvalidRequest
from defer_client.models import (
    Arguments,
    Attempt,
    Call,
    ErrorCode,
    Execution,
    ExecutionFilters,
    Failure,
    Interval,
    Json,
    LogLine,
    Outcome,
    Page,
    PageInfo,
    PageOf,
    State,
)
from defer_client.serialization import check_arguments

JsonObject = dict[str, Any]


# --- time -----------------------------------------------------------------------------------


def time_to_json(moment: datetime) -> str:
    """RFC 3339 in UTC, with microseconds: `2026-01-31T08:00:00.000000Z`. A naive time is UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    text = aware.astimezone(timezone.utc).isoformat(timespec="microseconds")
    return f"{text[:-6]}Z"


def time_from_json(text: object, field: str = "time") -> datetime:
    """An aware UTC time. A text without an offset is UTC. Raises `InvalidRequest`."""
    if isinstance(text, str):
        try:
            moment = datetime.fromisoformat(_for_python_3_10(text))
            if moment.tzinfo is None:
                return moment.replace(tzinfo=timezone.utc)
            return moment.astimezone(timezone.utc)
        except (ValueError, OverflowError):
            pass
    raise InvalidRequest(f"{field} must be an RFC 3339 time such as 2026-01-31T08:00:00Z, not {text!r}")


def _for_python_3_10(text: str) -> str:
    """`fromisoformat` of 3.10 knows neither `Z` nor a fraction that has not 3 or 6 digits."""
    text = text.strip()
    if text[-1:] in "Zz":
        text = text[:-1] + "+00:00"
    head, dot, rest = text.partition(".")
    if not dot:
        return text
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return f"{head}.{rest[:digits][:6].ljust(6, '0')}{rest[digits:]}"


def _optional_time(moment: datetime | None) -> str | None:
    return None if moment is None else time_to_json(moment)


def _read_optional_time(data: Mapping[str, Any], field: str) -> datetime | None:
    value = data.get(field)
    return None if value is None else time_from_json(value, field)


def when_to_json(when: timedelta | datetime | None) -> str | float | None:
    """A duration becomes a number of seconds, a moment a text."""
    if isinstance(when, timedelta):
        return when.total_seconds()
    return _optional_time(when)


def when_from_json(value: object, field: str) -> timedelta | datetime | None:
    """The reverse of `when_to_json`. Raises `InvalidRequest`."""
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return timedelta(seconds=value)
        except (OverflowError, ValueError):
            raise InvalidRequest(f"{field} is out of range: {value!r} seconds") from None
    return time_from_json(value, field)


# --- executions -----------------------------------------------------------------------------


def execution_to_json(execution: Execution) -> JsonObject:
    """An execution or an attempt, as the API sends it."""
    data: JsonObject = {
        "id": execution.id,
        "state": execution.state.value,
        "function_name": execution.function_name,
        "function_id": execution.function_id,
        "scheduled_at": time_to_json(execution.scheduled_at),
        "created_at": time_to_json(execution.created_at),
        "updated_at": time_to_json(execution.updated_at),
        "started_at": _optional_time(execution.started_at),
        "finished_at": _optional_time(execution.finished_at),
        "error_code": None if execution.error_code is None else execution.error_code.value,
        "executed_by": execution.executed_by,
        "rerun_of": execution.rerun_of,
        "attempt": execution.attempt,
        "metadata": dict(execution.metadata),
    }
    if isinstance(execution, Attempt):
        data["generation"] = execution.generation
        data["error"] = None if execution.error is None else failure_to_json(execution.error)
    return data


def execution_from_json(data: Mapping[str, Any]) -> Execution:
    """An `Attempt` where it is one."""
    return attempt_from_json(data) if "generation" in data else Execution(**_execution_fields(data))


def attempt_from_json(data: Mapping[str, Any]) -> Attempt:
    error = data.get("error")
    return Attempt(
        **_execution_fields(data),
        generation=data.get("generation", 0),
        error=None if error is None else failure_from_json(error),
    )


def _execution_fields(data: Mapping[str, Any]) -> JsonObject:
    code = data.get("error_code")
    return {
        "id": data["id"],
        "state": State(data["state"]),
        "function_name": data["function_name"],
        "function_id": data["function_id"],
        "scheduled_at": time_from_json(data["scheduled_at"], "scheduled_at"),
        "created_at": time_from_json(data["created_at"], "created_at"),
        "updated_at": time_from_json(data["updated_at"], "updated_at"),
        "started_at": _read_optional_time(data, "started_at"),
        "finished_at": _read_optional_time(data, "finished_at"),
        "error_code": None if code is None else ErrorCode(code),
        "executed_by": data.get("executed_by"),
        "rerun_of": data.get("rerun_of"),
        "attempt": data.get("attempt", 0),
        "metadata": data.get("metadata") or {},
    }


def failure_to_json(failure: Failure) -> JsonObject:
    """The four public fields; `module` and `arguments` too where they help to rebuild the exception."""
    data: JsonObject = {
        "name": failure.name,
        "message": failure.message,
        "stack": failure.stack,
        "code": failure.code.value,
    }
    if failure.module is not None:
        data["module"] = failure.module
    if failure.arguments is not None:
        data["arguments"] = list(failure.arguments)
    return data


def failure_from_json(data: Mapping[str, Any]) -> Failure:
    return Failure(
        name=data["name"],
        message=data["message"],
        stack=data["stack"],
        code=ErrorCode(data["code"]),
        module=data.get("module"),
        arguments=data.get("arguments"),
    )


def public_failure(failure: Failure) -> JsonObject:
    """What `get_execution_result` gives of a failed execution."""
    return {
        "name": failure.name,
        "message": failure.message,
        "stack": failure.stack,
        "code": failure.code.value,
    }


def outcome_to_json(outcome: Outcome) -> JsonObject:
    return {
        "execution": execution_to_json(outcome.execution),
        "result": outcome.result,
        "failure": None if outcome.failure is None else failure_to_json(outcome.failure),
    }


def outcome_from_json(data: Mapping[str, Any]) -> Outcome:
    failure = data.get("failure")
    return Outcome(
        execution=execution_from_json(data["execution"]),
        result=data.get("result"),
        failure=None if failure is None else failure_from_json(failure),
    )


def log_line_to_json(line: LogLine) -> JsonObject:
    return {
        "time": time_to_json(line.time),
        "attempt": line.attempt,
        "stream": line.stream,
        "message": line.message,
    }


def log_line_from_json(data: Mapping[str, Any]) -> LogLine:
    return LogLine(
        time=time_from_json(data["time"]),
        attempt=data["attempt"],
        stream=data["stream"],
        message=data["message"],
    )


# --- calls, pages, filters ------------------------------------------------------------------


def call_to_json(call: Call) -> JsonObject:
    """Raises `NotSerializable`."""
    arguments = check_arguments(call.arguments)
    return {
        "function_name": call.function_name,
        "function_arguments": arguments.positional,
        "function_keyword_arguments": arguments.keyword,
        "schedule_for": when_to_json(call.delay),
        "discard_after": when_to_json(call.discard_after),
        "metadata": dict(call.metadata),
        "awaited": call.awaited,
    }


def call_from_json(data: Mapping[str, Any]) -> Call:
    return Call(
        function_name=data["function_name"],
        arguments=Arguments(
            positional=data.get("function_arguments") or [],
            keyword=data.get("function_keyword_arguments") or {},
        ),
        delay=when_from_json(data.get("schedule_for"), "schedule_for"),
        discard_after=when_from_json(data.get("discard_after"), "discard_after"),
        metadata=data.get("metadata") or {},
        awaited=bool(data.get("awaited", False)),
    )


def page_to_json(page: Page) -> JsonObject:
    fields = {"first": page.first, "after": page.after, "last": page.last, "before": page.before}
    return {name: value for name, value in fields.items() if value is not None}


def page_from_json(data: Mapping[str, Any]) -> Page:
    """Raises `InvalidRequest`."""
    return Page(
        first=data.get("first"), after=data.get("after"), last=data.get("last"), before=data.get("before")
    )


def filters_to_json(filters: ExecutionFilters) -> JsonObject:
    return {
        "states": [state.value for state in filters.states],
        "function_ids": list(filters.function_ids),
        "error_codes": [code.value for code in filters.error_codes],
        "scheduled_at": _interval_to_json(filters.scheduled_at),
        "started_at": _interval_to_json(filters.started_at),
        "executed_by": filters.executed_by,
        "metadata": [{"key": key, "values": list(values)} for key, values in filters.metadata.items()],
    }


def filters_from_json(data: Mapping[str, Any]) -> ExecutionFilters:
    """Raises `InvalidRequest` for an unknown state or error code, or a time that is none."""
    metadata: dict[str, Sequence[str]] = {}
    for pair in data.get("metadata") or []:
        metadata[pair["key"]] = [*metadata.get(pair["key"], ()), *(pair.get("values") or [])]
    try:
        return ExecutionFilters(
            states=[State(state) for state in data.get("states") or []],
            function_ids=list(data.get("function_ids") or []),
            error_codes=[ErrorCode(code) for code in data.get("error_codes") or []],
            scheduled_at=_interval_from_json(data.get("scheduled_at"), "scheduled_at"),
            started_at=_interval_from_json(data.get("started_at"), "started_at"),
            executed_by=data.get("executed_by") or None,
            metadata=metadata,
        )
    except ValueError as error:
        raise InvalidRequest(f"filters: {error}") from None


def _interval_to_json(interval: Interval | None) -> JsonObject | None:
    if interval is None:
        return None
    return {"from": _optional_time(interval.start), "to": _optional_time(interval.end)}


def _interval_from_json(data: Mapping[str, Any] | None, field: str) -> Interval | None:
    if data is None:
        return None
    start, end = data.get("from"), data.get("to")
    return Interval(
        start=None if start is None else time_from_json(start, f"{field}.from"),
        end=None if end is None else time_from_json(end, f"{field}.to"),
    )


def page_of_to_json(page: PageOf[Any]) -> JsonObject:
    """A page of executions or attempts."""
    info = page.page_info
    return {
        "data": [execution_to_json(item) for item in page.data],
        "page_info": {
            "has_next_page": info.has_next_page,
            "has_prev_page": info.has_prev_page,
            "start_cursor": info.start_cursor,
            "end_cursor": info.end_cursor,
        },
    }


def page_info_from_json(data: Mapping[str, Any]) -> PageInfo:
    return PageInfo(
        has_next_page=data["has_next_page"],
        has_prev_page=data["has_prev_page"],
        start_cursor=data["start_cursor"],
        end_cursor=data["end_cursor"],
    )


def executions_page_from_json(data: Mapping[str, Any]) -> PageOf[Execution]:
    return PageOf(
        data=[execution_from_json(item) for item in data["data"]],
        page_info=page_info_from_json(data["page_info"]),
    )


def attempts_page_from_json(data: Mapping[str, Any]) -> PageOf[Attempt]:
    return PageOf(
        data=[attempt_from_json(item) for item in data["data"]],
        page_info=page_info_from_json(data["page_info"]),
    )


def arguments_to_json(arguments: Arguments) -> JsonObject:
    return {"positional": list(arguments.positional), "keyword": dict(arguments.keyword)}


def arguments_from_json(data: Json) -> Arguments:
    return Arguments(positional=data.get("positional") or [], keyword=data.get("keyword") or {})


# --- errors ---------------------------------------------------------------------------------


def error_to_json(error: Exception) -> JsonObject:
    """An error that crosses a pipe or the network: its class, and what its constructor needs."""
    data: JsonObject = {"error": type(error).__name__, "message": str(error), "hint": ""}
    if isinstance(error, errors.DeferError):
        data.update(message=error.message, hint=error.hint)
    if isinstance(error, errors.NotSerializable):
        data["path"] = error.path
    return data


def error_from_json(data: Mapping[str, Any]) -> errors.DeferError:
    """The error of that class; a `BackendError` where there is none of that name."""
    kind = getattr(errors, str(data.get("error")), None)
    message, hint = str(data.get("message", "")), str(data.get("hint", ""))
    known = isinstance(kind, type) and issubclass(kind, errors.DeferError)
    if kind is None or not known or issubclass(kind, errors.ExecutionEnded):
        return errors.BackendError(message, hint=hint)
    if kind is errors.NotSerializable:
        return errors.NotSerializable(message, path=str(data.get("path", "")), hint=hint)
    rebuilt: errors.DeferError = kind(message, hint=hint)
    return rebuilt
