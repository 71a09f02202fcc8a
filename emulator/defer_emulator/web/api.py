"""The endpoints of the HTTP API v2, over a `Backend` and `Operations` and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from defer_client import wire
from defer_client.backend import Backend
from defer_client.errors import (
    ResultNotAvailable,
    ResultNotAvailableYet,
)
from defer_client.models import (
    Arguments,
    Call,
    Execution,
    ExecutionFilters,
    Interval,
    Page,
)
from defer_emulator.domain.signature import check_arguments
from defer_emulator.operations import Operations
from defer_emulator.web import schemas
from defer_emulator.web.errors import bad_request, json_response
from defer_emulator.web.requests import Request
from defer_emulator.web.schemas import decode_body, decode_query
from defer_emulator.web.times import Times

PREFIX = "/public/v2"
MAX_WAIT = 60.0  # seconds of a long-poll

BackendFor = Callable[[str], Backend]
"""The backend on which what the execution of that id starts becomes its child."""


class Api:
    """One handler for each operation; what they raise becomes an answer in `errors.error_response`."""

    def __init__(self, backend: Backend, operations: Operations, backend_for: BackendFor) -> None:
        self._backend = backend
        self._operations = operations
        self._backend_for = backend_for
        self._polls: set[asyncio.Task[Any]] = set()

    def end_polls(self) -> None:
        """Answer every long-poll now: the server stops."""
        for poll in tuple(self._polls):
            poll.cancel()

    async def enqueue(self, request: Request) -> Response:
        body = decode_body(await request.body(), schemas.EnqueueBody)
        function = await self._operations.find_function(body.function_name)
        arguments = Arguments(
            positional=body.function_arguments or (), keyword=body.function_keyword_arguments or {}
        )
        # The backend refuses a cron, whatever its arguments; of a broken file nobody knows the parameters.
        if function.status == "ready" and function.spec.kind != "cron":
            check_arguments(function.spec, arguments)
        times = await self._times(request, body.schedule_for, body.discard_after)
        call = Call(
            function_name=function.spec.name,
            arguments=arguments,
            delay=times.when(body.schedule_for, "schedule_for"),
            discard_after=times.when(body.discard_after, "discard_after"),
            metadata=body.metadata or {},
            awaited=body.awaited,
        )
        backend = self._backend if request.parent is None else self._backend_for(request.parent)
        return _data(await backend.enqueue(call), 201)

    async def list_executions(self, request: Request) -> Response:
        page, filters = await self._page_and_filters(request)
        return json_response(wire.page_of_to_json(await self._backend.list_executions(page, filters)))

    async def get_execution(self, request: Request) -> Response:
        return _data(await self._backend.get_execution(request.id))

    async def get_result(self, request: Request) -> Response:
        wait = min(decode_query(request.query, schemas.WaitQuery).wait, MAX_WAIT)
        try:
            return json_response(await self._result(request, wait))
        except ResultNotAvailable:
            return Response(status_code=204)
        except ResultNotAvailableYet:
            return _data(await self._backend.get_execution(request.id), 202)

    async def get_arguments(self, request: Request) -> Response:
        arguments = await self._backend.get_execution_arguments(request.id)
        if arguments.keyword:
            return json_response(wire.arguments_to_json(arguments))
        return json_response(list(arguments.positional))

    async def get_logs(self, request: Request) -> Response:
        lines = await self._backend.get_execution_logs(request.id)
        return json_response({"data": [wire.log_line_to_json(line) for line in lines]})

    async def list_attempts(self, request: Request) -> Response:
        page, filters = await self._page_and_filters(request)
        attempts = await self._backend.list_execution_attempts(request.id, page, filters)
        return json_response(wire.page_of_to_json(attempts))

    async def cancel(self, request: Request) -> Response:
        body = decode_body(await request.body(), schemas.CancelBody)
        return _data(await self._backend.cancel_execution(request.id, force=body.force))

    async def reschedule(self, request: Request) -> Response:
        body = decode_body(await request.body(), schemas.ScheduleBody)
        times = await self._times(request, body.schedule_for)
        when = times.when(body.schedule_for, "schedule_for")
        return _data(await self._backend.reschedule_execution(request.id, when))

    async def rerun(self, request: Request) -> Response:
        decode_body(await request.body(), schemas.RerunBody)
        return _data(await self._backend.rerun_execution(request.id))

    async def clock(self, request: Request) -> Response:
        status = await self._operations.clock()
        return json_response(
            {
                "now": wire.time_to_json(status.now),
                "offset": status.offset.total_seconds(),
                "mode": status.mode,
            }
        )

    # --- parts ----------------------------------------------------------------------------

    async def _times(self, request: Request, *values: str | float | None) -> Times:
        """How to read these values. The clock is asked only for those that depend on it."""
        if not any(isinstance(value, str) for value in values):
            return Times()
        emulated = (request.headers.clock or "").lower() == "emulated"
        return Times() if emulated else Times(offset=(await self._operations.clock()).offset)

    async def _page_and_filters(self, request: Request) -> tuple[Page, ExecutionFilters]:
        raw = await request.body()
        if request.query and raw:
            raise bad_request("give the page and the filters in the body or in the query, not in both")
        if request.query:
            body = schemas.list_body(decode_query(request.query, schemas.ListQuery))
            place = "{}_"  # how a message names an end of the interval
        else:
            body = decode_body(raw, schemas.ListBody)
            place = "filters.{}_at."
        filters = body.filters or schemas.FiltersBody()
        intervals = [one for one in (filters.scheduled_at, filters.started_at) if one is not None]
        times = await self._times(request, *(end for one in intervals for end in (one.start, one.end)))
        return _page(body.page or schemas.PageBody()), _filters(filters, times, place)

    async def _result(self, request: Request, wait: float) -> Any:
        try:
            return await self._backend.get_execution_result(request.id)
        except ResultNotAvailableYet:
            if not wait:
                raise
        await self._end_of(request, wait)
        return await self._backend.get_execution_result(request.id)

    async def _end_of(self, request: Request, wait: float) -> None:
        """Wait until the execution has ended, the time is over, the client gone or the server stopping."""
        await request.body()
        ended = asyncio.ensure_future(self._backend.wait(request.id, wait))
        gone = asyncio.ensure_future(request.gone())
        self._polls |= {ended, gone}
        try:
            await asyncio.wait((ended, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (ended, gone):
                task.cancel()
            self._polls -= {ended, gone}
            await asyncio.gather(ended, gone, return_exceptions=True)


def _data(execution: Execution, status: int = 200) -> Response:
    return json_response({"data": wire.execution_to_json(execution)}, status)


def _page(body: schemas.PageBody) -> Page:
    try:
        return Page(first=body.first, after=body.after, last=body.last, before=body.before)
    except ValueError as error:
        raise bad_request(str(error)) from None


def _filters(body: schemas.FiltersBody, times: Times, place: str) -> ExecutionFilters:
    metadata: dict[str, Sequence[str]] = {}
    for pair in body.metadata or ():
        if pair.values:
            metadata[pair.key] = [*metadata.get(pair.key, ()), *pair.values]
    return ExecutionFilters(
        states=body.states or (),
        function_ids=body.function_ids or (),
        error_codes=body.error_codes or (),
        scheduled_at=_interval(body.scheduled_at, times, place.format("scheduled")),
        started_at=_interval(body.started_at, times, place.format("started")),
        executed_by=body.executed_by or None,
        metadata=metadata,
    )


def _interval(body: schemas.IntervalBody | None, times: Times, place: str) -> Interval | None:
    if body is None:
        return None
    return Interval(
        start=None if body.start is None else times.moment(body.start, f"{place}from"),
        end=None if body.end is None else times.moment(body.end, f"{place}to"),
    )


# --- the table ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """An operation: how it is reached, what it takes and what it answers beside 400, 401, 403, 413, 500."""

    method: str
    path: str  # below /public/v2
    name: str
    handle: Callable[[Api, Request], Awaitable[Response]]
    summary: str
    answers: Mapping[int, Any]  # status → the type of the body; None: no body
    body: type[schemas.Asked] | None = None
    query: type[schemas.Asked] | None = None


_ERROR = schemas.ErrorAnswer
_ONE = "/executions/{id}"

ENDPOINTS = (
    Endpoint(
        method="PUT",
        path="/executions",
        name="enqueue",
        handle=Api.enqueue,
        summary="Enqueue an execution",
        body=schemas.EnqueueBody,
        answers={201: schemas.ExecutionAnswer, 409: _ERROR},
    ),
    Endpoint(
        method="POST",
        path="/executions",
        name="list_executions",
        handle=Api.list_executions,
        summary="List executions, newest first",
        body=schemas.ListBody,
        answers={200: schemas.ExecutionsAnswer},
    ),
    Endpoint(
        method="GET",
        path="/executions",
        name="find_executions",
        handle=Api.list_executions,
        summary="List executions, newest first; takes the body of POST as well as a query",
        query=schemas.ListQuery,
        answers={200: schemas.ExecutionsAnswer},
    ),
    Endpoint(
        method="GET",
        path=_ONE,
        name="get_execution",
        handle=Api.get_execution,
        summary="Get an execution or an attempt",
        answers={200: schemas.ExecutionAnswer, 404: _ERROR},
    ),
    Endpoint(
        method="GET",
        path=f"{_ONE}/results",
        name="get_result",
        handle=Api.get_result,
        summary="Get the bare result, or the error of a failed execution",
        query=schemas.WaitQuery,
        answers={200: Any, 202: schemas.ExecutionAnswer, 204: None, 404: _ERROR},
    ),
    Endpoint(
        method="GET",
        path=f"{_ONE}/arguments",
        name="get_arguments",
        handle=Api.get_arguments,
        summary="Get the arguments: an array of the positional ones, an object if there are others",
        answers={200: list[Any] | schemas.ArgumentsAnswer, 404: _ERROR},
    ),
    Endpoint(
        method="GET",
        path=f"{_ONE}/logs",
        name="get_logs",
        handle=Api.get_logs,
        summary="Get what it printed, oldest first",
        answers={200: schemas.LogsAnswer, 404: _ERROR},
    ),
    Endpoint(
        method="POST",
        path=f"{_ONE}/attempts",
        name="list_attempts",
        handle=Api.list_attempts,
        summary="List the attempts of an execution, newest first",
        body=schemas.ListBody,
        answers={200: schemas.ExecutionsAnswer, 404: _ERROR},
    ),
    Endpoint(
        method="GET",
        path=f"{_ONE}/attempts",
        name="find_attempts",
        handle=Api.list_attempts,
        summary="List the attempts of an execution; takes the body of POST as well as a query",
        query=schemas.ListQuery,
        answers={200: schemas.ExecutionsAnswer, 404: _ERROR},
    ),
    Endpoint(
        method="POST",
        path=f"{_ONE}/cancellation",
        name="cancel",
        handle=Api.cancel,
        summary="Cancel an execution, or abort a running one by force",
        body=schemas.CancelBody,
        answers={200: schemas.ExecutionAnswer, 202: _ERROR, 404: _ERROR, 409: _ERROR},
    ),
    Endpoint(
        method="PATCH",
        path=f"{_ONE}/schedule",
        name="reschedule",
        handle=Api.reschedule,
        summary="Move the due time of an execution that has not started; no time means now",
        body=schemas.ScheduleBody,
        answers={200: schemas.ExecutionAnswer, 404: _ERROR, 409: _ERROR},
    ),
    Endpoint(
        method="POST",
        path=f"{_ONE}/reruns",
        name="rerun",
        handle=Api.rerun,
        summary="Run it again: a new execution, due now",
        body=schemas.RerunBody,
        answers={200: schemas.ExecutionAnswer, 404: _ERROR},
    ),
    Endpoint(
        method="GET",
        path="/clock",
        name="clock",
        handle=Api.clock,
        summary="Get the emulated clock",
        answers={200: schemas.ClockAnswer},
    ),
)
