"""`DEFER_BACKEND=inline`: calls run at once in this process, and are remembered only by it."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TypeVar

from defer_client.current import CurrentExecution, current_execution, executing
from defer_client.errors import (
    ExecutionNotCancellable,
    ExecutionNotFound,
    ExecutionNotReschedulable,
    InvalidRequest,
    UnknownFunction,
)
from defer_client.failures import failure_of
from defer_client.functions import declared
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
from defer_client.serialization import check_json
from defer_client.wire import public_failure

E = TypeVar("E", bound=Execution)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    call: Call
    outcome: Outcome


class InlineBackend:
    """Runs each call where it is made: no delay, no retry, no limit, no captured output.

    What stays as on a server: arguments and results pass through JSON, failures are outcomes, children
    know their parent.
    """

    immediate = False  # the functions themselves may suspend

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}

    async def enqueue(self, call: Call) -> Execution:
        parent = current_execution()
        return await self._run(call, executed_by=parent.id if parent else None)

    async def wait(self, execution_id: str, timeout: float | None = None) -> Outcome:
        return self._find(execution_id).outcome

    async def get_execution(self, execution_id: str) -> Execution:
        execution = self._find(execution_id).outcome.execution
        return _attempt_of(self._find(execution_id)) if execution_id != execution.id else execution

    async def get_execution_result(self, execution_id: str) -> Json:
        outcome = self._find(execution_id).outcome
        return outcome.result if outcome.failure is None else public_failure(outcome.failure)

    async def get_execution_arguments(self, execution_id: str) -> Arguments:
        return self._find(execution_id).call.arguments

    async def get_execution_logs(self, execution_id: str) -> list[LogLine]:
        self._find(execution_id)
        return []  # what a function prints goes where the program prints

    async def list_executions(self, page: Page, filters: ExecutionFilters) -> PageOf[Execution]:
        return _page([run.outcome.execution for run in self._runs.values()], page, filters)

    async def list_execution_attempts(
        self, execution_id: str, page: Page, filters: ExecutionFilters
    ) -> PageOf[Attempt]:
        return _page([_attempt_of(self._find(execution_id))], page, filters)

    async def cancel_execution(self, execution_id: str, *, force: bool = False) -> Execution:
        execution = self._find(execution_id).outcome.execution
        raise ExecutionNotCancellable(
            f"execution {execution.id} has finished: its state is {execution.state}"
        )

    async def reschedule_execution(
        self, execution_id: str, when: timedelta | datetime | None = None
    ) -> Execution:
        execution = self._find(execution_id).outcome.execution
        raise ExecutionNotReschedulable(
            f"execution {execution.id} has finished: its state is {execution.state}"
        )

    async def rerun_execution(self, execution_id: str) -> Execution:
        run = self._find(execution_id)
        old = run.outcome.execution
        return await self._run(run.call, executed_by=old.executed_by, rerun_of=old.id)

    async def now(self) -> datetime:
        return datetime.now(timezone.utc)

    async def _run(self, call: Call, *, executed_by: str | None, rerun_of: str | None = None) -> Execution:
        if call.function_name not in declared:
            raise UnknownFunction(f"no deferred function named {call.function_name} has been imported")
        started_at = await self.now()
        execution = Execution(
            id=_new_id(),
            state=State.STARTED,
            function_name=call.function_name,
            function_id=str(uuid.uuid5(uuid.NAMESPACE_OID, call.function_name)),
            scheduled_at=started_at,
            created_at=started_at,
            updated_at=started_at,
            started_at=started_at,
            executed_by=executed_by,
            rerun_of=rerun_of,
            attempt=1,
            metadata=call.metadata,
        )
        result: Json = None
        failure: Failure | None = None
        try:
            result = await _value(call, execution)
        except (Exception, SystemExit) as error:
            failure = failure_of(error)
        finished_at = await self.now()
        execution = replace(
            execution,
            state=State.SUCCEED if failure is None else State.FAILED,
            error_code=None if failure is None else ErrorCode.USER,
            updated_at=finished_at,
            finished_at=finished_at,
        )
        outcome = Outcome(execution=execution, result=result, failure=failure)
        self._runs[execution.id] = _Run(call=call, outcome=outcome)
        return execution

    def _find(self, execution_id: str) -> _Run:
        run = self._runs.get(execution_id.removesuffix(".1"))
        if run is None:
            raise ExecutionNotFound(f"no execution {execution_id} in this process (DEFER_BACKEND=inline)")
        return run


async def _value(call: Call, execution: Execution) -> Json:
    arguments = check_json([call.arguments.positional, call.arguments.keyword], "arguments")
    current = CurrentExecution(id=execution.id, attempt=1, function=call.function_name)
    with executing(current):
        value = declared[call.function_name].original(*arguments[0], **arguments[1])
        if hasattr(value, "__await__"):
            value = await value
    return check_json(value, "result")


def _new_id() -> str:
    """A UUIDv7: it begins with the time, so that ids sort by age."""
    milliseconds = time.time_ns() // 1_000_000
    number = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) & ~(0x3 << 62) | (0x7 << 76) | (0x2 << 62)
    return str(uuid.UUID(int=number))


def _attempt_of(run: _Run) -> Attempt:
    execution = run.outcome.execution
    fields = {name: getattr(execution, name) for name in Execution.__dataclass_fields__}
    return Attempt(**{**fields, "id": f"{execution.id}.1"}, generation=1, error=run.outcome.failure)


def _page(oldest_first: Sequence[E], page: Page, filters: ExecutionFilters) -> PageOf[E]:
    found = [execution for execution in reversed(oldest_first) if _matches(execution, filters)]
    start, end = 0, len(found)
    if page.cursor is not None:
        place = next((index for index, one in enumerate(found) if one.id == page.cursor), None)
        if place is None:
            raise InvalidRequest(f"page: unknown cursor {page.cursor!r}")
        start, end = (0, place) if page.is_backward else (place + 1, end)
    if page.is_backward:
        start = max(start, end - page.size)
    else:
        end = min(end, start + page.size)
    data = found[start:end]
    info = PageInfo(
        has_next_page=end < len(found),
        has_prev_page=start > 0,
        start_cursor=data[0].id if data else "",
        end_cursor=data[-1].id if data else "",
    )
    return PageOf(data=data, page_info=info)


def _matches(execution: Execution, filters: ExecutionFilters) -> bool:
    return (
        (not filters.states or execution.state in filters.states)
        and (not filters.function_ids or execution.function_id in filters.function_ids)
        and (not filters.error_codes or execution.error_code in filters.error_codes)
        and (not filters.executed_by or execution.executed_by == filters.executed_by)
        and _inside(execution.scheduled_at, filters.scheduled_at)
        and _inside(execution.started_at, filters.started_at)
        and all(
            not values or execution.metadata.get(key) in values for key, values in filters.metadata.items()
        )
    )


def _inside(moment: datetime | None, interval: Interval | None) -> bool:
    if interval is None:
        return True
    if moment is None:
        return False
    return (interval.start is None or moment >= interval.start) and (
        interval.end is None or moment <= interval.end
    )
