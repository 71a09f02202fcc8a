"""The backend inside an execution: its calls travel to the emulator, which makes them on its behalf."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from defer_client import wire
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
    PageOf,
)
from defer_emulator.workers.python.channel import Channel


class WorkerBackend:
    """Implements `Backend`. Its methods may be awaited in any thread, on any event loop."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @property
    def immediate(self) -> bool:
        return False

    async def _ask(self, method: str, **params: Any) -> Any:
        number, future = self._channel.request(method, params)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            self._channel.cancel(number)
            raise

    async def enqueue(self, call: Call) -> Execution:
        return wire.execution_from_json(await self._ask("enqueue", call=wire.call_to_json(call)))

    async def wait(self, execution_id: str, timeout: float | None = None) -> Outcome:
        asking = self._ask("wait", execution_id=execution_id)
        try:
            answer = await asyncio.wait_for(asking, timeout)
        except asyncio.TimeoutError:
            raise ResultTimeout(
                f"execution {execution_id} has not ended within {timeout:g} s; it goes on",
                hint="wait again with get_execution_result, or give a longer timeout",
            ) from None
        return wire.outcome_from_json(answer)

    async def get_execution(self, execution_id: str) -> Execution:
        return wire.execution_from_json(await self._ask("get_execution", execution_id=execution_id))

    async def get_execution_result(self, execution_id: str) -> Json:
        return await self._ask("get_execution_result", execution_id=execution_id)

    async def get_execution_arguments(self, execution_id: str) -> Arguments:
        return wire.arguments_from_json(await self._ask("get_execution_arguments", execution_id=execution_id))

    async def get_execution_logs(self, execution_id: str) -> list[LogLine]:
        lines = await self._ask("get_execution_logs", execution_id=execution_id)
        return [wire.log_line_from_json(line) for line in lines]

    async def list_executions(self, page: Page, filters: ExecutionFilters) -> PageOf[Execution]:
        answer = await self._ask(
            "list_executions", page=wire.page_to_json(page), filters=wire.filters_to_json(filters)
        )
        return wire.executions_page_from_json(answer)

    async def list_execution_attempts(
        self, execution_id: str, page: Page, filters: ExecutionFilters
    ) -> PageOf[Attempt]:
        answer = await self._ask(
            "list_execution_attempts",
            execution_id=execution_id,
            page=wire.page_to_json(page),
            filters=wire.filters_to_json(filters),
        )
        return wire.attempts_page_from_json(answer)

    async def cancel_execution(self, execution_id: str, *, force: bool = False) -> Execution:
        answer = await self._ask("cancel_execution", execution_id=execution_id, force=force)
        return wire.execution_from_json(answer)

    async def reschedule_execution(
        self, execution_id: str, when: timedelta | datetime | None = None
    ) -> Execution:
        answer = await self._ask(
            "reschedule_execution", execution_id=execution_id, when=wire.when_to_json(when)
        )
        return wire.execution_from_json(answer)

    async def rerun_execution(self, execution_id: str) -> Execution:
        return wire.execution_from_json(await self._ask("rerun_execution", execution_id=execution_id))

    async def now(self) -> datetime:
        return wire.time_from_json(await self._ask("now"))
