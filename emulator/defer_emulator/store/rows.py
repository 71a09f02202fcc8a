"""Rows of the project's file ↔ values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from sqlite3 import Row
from typing import Any

from defer_client import wire
from defer_client.models import (
    Arguments,
    Attempt,
    ErrorCode,
    Execution,
    Failure,
    Json,
    LogLine,
    Outcome,
    State,
)
from defer_client.serialization import check_arguments
from defer_emulator.clock import EmulatedClock, to_datetime
from defer_emulator.domain import ids
from defer_emulator.domain.ids import attempt_id

Columns = Row | Mapping[str, Any]

function_id = lru_cache(maxsize=4_096)(ids.function_id)


def dumps(value: Json) -> str:
    """Compact JSON; text stays readable, so that it can be searched. Raises `ValueError` for NaN."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _time(micros: int | None) -> datetime | None:
    return None if micros is None else to_datetime(micros)


def _error_code(code: str | None) -> ErrorCode | None:
    return None if code is None else ErrorCode(code)


def clock_of(row: Row) -> EmulatedClock:
    return EmulatedClock(offset=row["time_offset"], frozen_at=row["frozen_at"], epoch=row["epoch"])


def execution_of(row: Columns, project_id: str) -> Execution:
    return Execution(**_execution_fields(row, project_id))


def _execution_fields(row: Columns, project_id: str) -> dict[str, Any]:
    return {
        "id": row["id"],
        "state": State(row["state"]),
        "function_name": row["function"],
        "function_id": function_id(project_id, row["function"]),
        "scheduled_at": to_datetime(row["scheduled_at"]),
        "created_at": to_datetime(row["created_at"]),
        "updated_at": to_datetime(row["updated_at"]),
        "started_at": _time(row["started_at"]),
        "finished_at": _time(row["finished_at"]),
        "error_code": _error_code(row["error_code"]),
        "executed_by": row["executed_by"],
        "rerun_of": row["rerun_of"],
        "attempt": row["attempt"],
        "metadata": json.loads(row["metadata"]),
    }


def attempt_of(execution: Row, row: Row, project_id: str) -> Attempt:
    """An attempt: its own states and times, the rest from its execution."""
    fields = _execution_fields(execution, project_id)
    fields |= {
        "id": attempt_id(execution["id"], row["attempt"]),
        "state": State(row["state"]),
        "scheduled_at": to_datetime(row["scheduled_at"]),
        "created_at": to_datetime(row["created_at"]),
        "updated_at": to_datetime(row["updated_at"]),
        "started_at": to_datetime(row["started_at"]),
        "finished_at": _time(row["finished_at"]),
        "error_code": _error_code(row["error_code"]),
        "attempt": row["attempt"],
    }
    return Attempt(**fields, generation=row["generation"], error=failure_of(row["failure"]))


def outcome_of(row: Row, project_id: str) -> Outcome:
    result = None if row["result"] is None else json.loads(row["result"])
    return Outcome(execution=execution_of(row, project_id), result=result, failure=failure_of(row["failure"]))


def failure_of(text: str | None) -> Failure | None:
    return None if text is None else wire.failure_from_json(json.loads(text))


def failure_text(failure: Failure) -> str:
    return text_of(dumps(wire.failure_to_json(failure)))


def arguments_of(row: Row) -> Arguments:
    return wire.arguments_from_json(json.loads(row["arguments"]))


def arguments_text(arguments: Arguments) -> str:
    """As the file keeps them. Raises `NotSerializable` with the path of the first value that is not JSON."""
    return dumps(wire.arguments_to_json(check_arguments(arguments)))


def log_line_of(row: Row) -> LogLine:
    return LogLine(
        time=to_datetime(row["time"]), attempt=row["attempt"], stream=row["stream"], message=row["message"]
    )


def text_of(text: str) -> str:
    """What can be stored of a text: lone surrogates, which are no Unicode, become escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
