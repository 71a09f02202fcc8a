"""What running executions ask of their backend: the requests of a `WorkerBackend`, answered by another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from defer_client import wire
from defer_client.backend import Backend
from defer_client.errors import BackendError, DeferError, InvalidRequest
from defer_emulator.scheduler.ports import Running

Params = Mapping[str, Any]


async def _enqueue(backend: Backend, params: Params) -> Any:
    return wire.execution_to_json(await backend.enqueue(wire.call_from_json(params["call"])))


async def _get_execution(backend: Backend, params: Params) -> Any:
    execution = await backend.get_execution(params["execution_id"])
    return wire.execution_to_json(execution)


async def _get_execution_result(backend: Backend, params: Params) -> Any:
    return await backend.get_execution_result(params["execution_id"])


async def _get_execution_arguments(backend: Backend, params: Params) -> Any:
    return wire.arguments_to_json(await backend.get_execution_arguments(params["execution_id"]))


async def _get_execution_logs(backend: Backend, params: Params) -> Any:
    lines = await backend.get_execution_logs(params["execution_id"])
    return [wire.log_line_to_json(line) for line in lines]


async def _list_executions(backend: Backend, params: Params) -> Any:
    page, filters = wire.page_from_json(params["page"]), wire.filters_from_json(params["filters"])
    return wire.page_of_to_json(await backend.list_executions(page, filters))


async def _list_execution_attempts(backend: Backend, params: Params) -> Any:
    page, filters = wire.page_from_json(params["page"]), wire.filters_from_json(params["filters"])
    attempts = await backend.list_execution_attempts(params["execution_id"], page, filters)
    return wire.page_of_to_json(attempts)


async def _cancel_execution(backend: Backend, params: Params) -> Any:
    execution = await backend.cancel_execution(params["execution_id"], force=params["force"])
    return wire.execution_to_json(execution)


async def _reschedule_execution(backend: Backend, params: Params) -> Any:
    when = wire.when_from_json(params["when"], "when")
    return wire.execution_to_json(await backend.reschedule_execution(params["execution_id"], when))


async def _rerun_execution(backend: Backend, params: Params) -> Any:
    return wire.execution_to_json(await backend.rerun_execution(params["execution_id"]))


async def _now(backend: Backend, _params: Params) -> Any:
    return wire.time_to_json(await backend.now())


METHODS: dict[str, Callable[[Backend, Params], Awaitable[Any]]] = {
    "enqueue": _enqueue,
    "get_execution": _get_execution,
    "get_execution_result": _get_execution_result,
    "get_execution_arguments": _get_execution_arguments,
    "get_execution_logs": _get_execution_logs,
    "list_executions": _list_executions,
    "list_execution_attempts": _list_execution_attempts,
    "cancel_execution": _cancel_execution,
    "reschedule_execution": _reschedule_execution,
    "rerun_execution": _rerun_execution,
    "now": _now,
}
"""Every method of `Backend` but `wait`, which the scheduler answers when the execution ends."""


async def answer(backend: Backend, method: str, params: Params) -> Any:
    """The JSON answer of one method. Raises what the method raises; `InvalidRequest` for an unknown one."""
    if method not in METHODS:
        raise InvalidRequest(f"no backend method {method!r}")
    return await METHODS[method](backend, params)


class Reply(Protocol):
    def __call__(self, sequence: int, request: int, result: Any, error: Any) -> None: ...


class Serving:
    """The requests that are being answered, each in a task. `backend_for` gives the backend of an execution;
    `wait` answers that method when it can; `reply` sends an answer."""

    def __init__(
        self,
        *,
        backend_for: Callable[[str], Backend],
        wait: Callable[[Backend, int, int, str], Awaitable[None]],
        reply: Reply,
    ) -> None:
        self._backend_for = backend_for
        self._wait = wait
        self._reply = reply
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_busy(self) -> bool:
        return bool(self._tasks)

    def begin(self, running: Running, request: int, method: str, params: Params) -> None:
        """Answer a request of a running execution."""
        task = asyncio.get_running_loop().create_task(self._serve(running, request, method, params))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Nobody waits for an answer any more."""
        for task in self._tasks:
            task.cancel()

    async def _serve(self, running: Running, request: int, method: str, params: Params) -> None:
        backend = self._backend_for(running.id)
        try:
            if method == "wait":
                await self._wait(backend, running.sequence, request, params["execution_id"])
                return
            result, problem = await answer(backend, method, params), None
        except Exception as error:  # whatever it is, nobody may wait for an answer that does not come
            known = error if isinstance(error, DeferError) else BackendError(f"{method}: {error!r}")
            result, problem = None, wire.error_to_json(known)
        self._reply(running.sequence, request, result, problem)
