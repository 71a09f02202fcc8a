"""A backend that remembers what it was asked and answers what the test wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from defer_client.errors import ResultTimeout
from defer_client.models import (
    Arguments,
    Attempt,
    Call,
    Execution,
    ExecutionFilters,
    Json,
    LogLine,
    Outcome,
    Page,
    PageInfo,
    PageOf,
    State,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)


def execution(**changes: Any) -> Execution:
    fields: dict[str, Any] = {
        "id": "0191d1a0-0000-7000-8000-00000000abcd",
        "state": State.CREATED,
        "function_name": "add",
        "function_id": "f",
        "scheduled_at": NOON,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Execution(**{**fields, **changes})


@dataclass
class FakeBackend:
    """`outcome` None: the wait never ends, so that it runs into its timeout."""

    immediate: bool = True
    outcome: Outcome | None = None
    calls: list[Call] = field(default_factory=list)
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def enqueue(self, call: Call) -> Execution:
        if not self.immediate:
            import asyncio

            await asyncio.sleep(0)
        self.calls.append(call)
        return execution(function_name=call.function_name)

    async def wait(self, execution_id: str, timeout: float | None = None) -> Outcome:
        import asyncio

        self.asked.append(("wait", execution_id, timeout))
        await asyncio.sleep(0)
        if self.outcome is None:
            try:
                await asyncio.wait_for(asyncio.Event().wait(), timeout)
            except asyncio.TimeoutError:
                raise ResultTimeout("too slow") from None
        assert self.outcome is not None
        return self.outcome

    async def get_execution(self, execution_id: str) -> Execution:
        self.asked.append(("get_execution", execution_id))
        return execution(id=execution_id)

    async def get_execution_result(self, execution_id: str) -> Json:
        return self.outcome and self.outcome.result

    async def get_execution_arguments(self, execution_id: str) -> Arguments:
        return self.calls[-1].arguments

    async def get_execution_logs(self, execution_id: str) -> list[LogLine]:
        return []

    async def list_executions(self, page: Page, filters: ExecutionFilters) -> PageOf[Execution]:
        self.asked.append(("list_executions", page, filters))
        return PageOf(data=[], page_info=_EMPTY)

    async def list_execution_attempts(
        self, execution_id: str, page: Page, filters: ExecutionFilters
    ) -> PageOf[Attempt]:
        self.asked.append(("list_execution_attempts", execution_id, page, filters))
        return PageOf(data=[], page_info=_EMPTY)

    async def cancel_execution(self, execution_id: str, *, force: bool = False) -> Execution:
        self.asked.append(("cancel_execution", execution_id, force))
        return execution(id=execution_id, state=State.CANCELLED)

    async def reschedule_execution(
        self, execution_id: str, when: timedelta | datetime | None = None
    ) -> Execution:
        self.asked.append(("reschedule_execution", execution_id, when))
        return execution(id=execution_id)

    async def rerun_execution(self, execution_id: str) -> Execution:
        return execution(rerun_of=execution_id)

    async def now(self) -> datetime:
        return NOON


_EMPTY = PageInfo(has_next_page=False, has_prev_page=False, start_cursor="", end_cursor="")
