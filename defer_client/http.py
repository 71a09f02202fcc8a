"""`HttpBackend`: calls go to an emulator's HTTP API. httpx is loaded with this module, on first use."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from defer_client import errors, wire
from defer_client._version import __version__
from defer_client.backend import running_loop
from defer_client.models import (
    Arguments,
    Attempt,
    Call,
    Execution,
    ExecutionFilters,
    Failure,
    Json,
    LogLine,
    Outcome,
    Page,
    PageOf,
    State,
)

R = TypeVar("R")
_Opening = AsyncGenerator[httpx.AsyncClient, None]

PREFIX = "/public/v2"
LONG_POLL = 20.0  # seconds that one request waits for a result
POLL_PAUSE = 0.25  # seconds between two requests at least
TIMEOUT = 30.0  # seconds for an answer, beyond what the request asked to wait
CONNECT_TIMEOUT = 5.0
RETRY_WAITS = (0.1, 0.4)  # seconds before each further try

ERROR_HEADER = "Defer-Error"
"""In an answer: the name of the error's class in `defer_client.errors`, finer than its status."""

_BY_STATUS: dict[int, type[errors.DeferError]] = {
    401: errors.Unauthorized,
    403: errors.Unauthorized,
    400: errors.InvalidRequest,
    404: errors.ExecutionNotFound,
    409: errors.Conflict,
    413: errors.InvalidRequest,
}


class HttpBackend:
    """Speaks the HTTP API v2 of an endpoint such as `http://127.0.0.1:3337`.

    Connections are kept, one set for each event loop, and closed when it ends. What can be repeated without
    harm is tried three times when the connection breaks. Raises `NoBackendError` for an endpoint that is no
    URL.
    """

    immediate = False

    def __init__(
        self,
        endpoint: str,
        token: str = "",
        *,
        execution_token: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = _checked_url(endpoint)
        self._auth = httpx.BasicAuth("", token) if token else None
        self._headers = {
            "User-Agent": f"defer-python/{__version__}",
            "Defer-Clock": "emulated",  # moments are meant on the emulator's clock, not on this machine's
        }
        if execution_token:
            self._headers["Defer-Execution-Token"] = execution_token
        self._transport = transport
        self._kept: dict[asyncio.AbstractEventLoop, tuple[httpx.AsyncClient, _Opening]] = {}

    async def enqueue(self, call: Call) -> Execution:
        answer = await self._ask("PUT", "/executions", wire.call_to_json(call))
        return _read(wire.execution_from_json, answer, "data")

    async def wait(self, execution_id: str, timeout: float | None = None) -> Outcome:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            asked = time.monotonic()
            left = LONG_POLL if deadline is None else min(LONG_POLL, deadline - asked)
            answer = await self._results(execution_id, max(0.0, left))
            if answer.status_code != 202:
                return await self._outcome(execution_id, answer)
            if left > 0:
                # A server that cannot wait must not be asked in a tight loop.
                await asyncio.sleep(min(left, max(0.0, POLL_PAUSE - (time.monotonic() - asked))))
            else:
                raise errors.ResultTimeout(
                    f"execution {execution_id} has not ended within {timeout:g} s",
                    hint=f"it goes on: defer show {execution_id}",
                )

    async def get_execution(self, execution_id: str) -> Execution:
        answer = await self._ask("GET", _path(execution_id))
        return _read(wire.execution_from_json, answer, "data")

    async def get_execution_result(self, execution_id: str) -> Json:
        answer = await self._results(execution_id)
        if answer.status_code == 202:
            raise errors.ResultNotAvailableYet(f"execution {execution_id} has not finished")
        if answer.status_code == 204:
            raise errors.ResultNotAvailable(f"execution {execution_id} ended without a result")
        return _json(answer)

    async def get_execution_arguments(self, execution_id: str) -> Arguments:
        data = _unwrapped(_json(await self._ask("GET", _path(execution_id, "arguments"))))
        return Arguments(positional=data) if isinstance(data, list) else wire.arguments_from_json(data)

    async def get_execution_logs(self, execution_id: str) -> list[LogLine]:
        data = _unwrapped(_json(await self._ask("GET", _path(execution_id, "logs"))))
        return [wire.log_line_from_json(line) for line in data]

    async def list_executions(self, page: Page, filters: ExecutionFilters) -> PageOf[Execution]:
        answer = await self._ask("POST", "/executions", _list_body(page, filters), repeatable=True)
        return _read(wire.executions_page_from_json, answer)

    async def list_execution_attempts(
        self, execution_id: str, page: Page, filters: ExecutionFilters
    ) -> PageOf[Attempt]:
        path = _path(execution_id, "attempts")
        answer = await self._ask("POST", path, _list_body(page, filters), repeatable=True)
        return _read(wire.attempts_page_from_json, answer)

    async def cancel_execution(self, execution_id: str, *, force: bool = False) -> Execution:
        answer = await self._ask(
            "POST",
            _path(execution_id, "cancellation"),
            {"force": force},
            conflict=errors.ExecutionNotCancellable,
        )
        if answer.status_code == 202:
            raise errors.ExecutionAbortingAlreadyInProgress(
                f"execution {execution_id} is being aborted already"
            )
        return _read(wire.execution_from_json, answer, "data")

    async def reschedule_execution(
        self, execution_id: str, when: timedelta | datetime | None = None
    ) -> Execution:
        answer = await self._ask(
            "PATCH",
            _path(execution_id, "schedule"),
            {"schedule_for": wire.when_to_json(when)},
            repeatable=True,
            conflict=errors.ExecutionNotReschedulable,
        )
        return _read(wire.execution_from_json, answer, "data")

    async def rerun_execution(self, execution_id: str) -> Execution:
        answer = await self._ask("POST", _path(execution_id, "reruns"), {})
        return _read(wire.execution_from_json, answer, "data")

    async def now(self) -> datetime:
        answer = _json(await self._ask("GET", "/clock"))
        return wire.time_from_json(answer.get("now") if isinstance(answer, dict) else None, "now")

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        kept = self._kept.get(asyncio.get_running_loop())
        if kept is not None:
            await kept[1].aclose()

    async def _results(self, execution_id: str, wait: float | None = None) -> httpx.Response:
        query = "" if wait is None else f"?wait={wait:.3f}"
        return await self._ask("GET", _path(execution_id, "results") + query, timeout=TIMEOUT + (wait or 0.0))

    async def _outcome(self, execution_id: str, answer: httpx.Response) -> Outcome:
        execution = await self.get_execution(execution_id)
        if execution.state is State.SUCCEED:
            return Outcome(execution=execution, result=_json(answer))
        if execution.state is State.FAILED:
            return Outcome(execution=execution, failure=await self._failure(execution, answer))
        return Outcome(execution=execution)

    async def _failure(self, execution: Execution, answer: httpx.Response) -> Failure:
        """The latest attempt's error also says how to rebuild the exception; the result does not."""
        attempts = await self.list_execution_attempts(execution.id, Page(first=1), ExecutionFilters())
        if attempts.data and attempts.data[0].error is not None:
            return attempts.data[0].error
        return wire.failure_from_json(_json(answer))

    # --- one request ------------------------------------------------------------------------

    async def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        repeatable: bool = False,
        timeout: float = TIMEOUT,
        conflict: type[errors.DeferError] = errors.Conflict,
    ) -> httpx.Response:
        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        client = await self._client()
        request = client.build_request(
            method,
            f"{self._url}{PREFIX}{path}",
            content=content,
            headers=None if body is None else {"Content-Type": "application/json"},
            timeout=httpx.Timeout(timeout, connect=CONNECT_TIMEOUT),
        )
        answer = await self._send(client, request, repeatable=repeatable or method == "GET")
        if answer.is_success:
            return answer
        raise _error_of(answer, self._url, {**_BY_STATUS, 409: conflict})

    async def _send(
        self, client: httpx.AsyncClient, request: httpx.Request, *, repeatable: bool
    ) -> httpx.Response:
        for wait in (*RETRY_WAITS, None):
            try:
                return await client.send(request)
            except httpx.TransportError as error:
                # A connection that was never made has done nothing yet: any request may be repeated.
                unsent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
                if wait is None or not (unsent or repeatable) or isinstance(error, httpx.ReadTimeout):
                    raise self._unreachable(error, unsent=unsent, repeatable=repeatable) from error
                await asyncio.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _unreachable(
        self, error: httpx.TransportError, *, unsent: bool, repeatable: bool
    ) -> errors.BackendError:
        reason = str(error) or type(error).__name__
        if unsent:
            return errors.BackendError(
                f"nothing answers at {self._url} ({reason})",
                hint="start the emulator with `defer dev`, or correct DEFER_ENDPOINT",
            )
        what = f"the connection to {self._url} broke before it answered ({reason})"
        if repeatable:
            return errors.BackendError(what, hint="see whether `defer dev` still runs there")
        return errors.BackendError(
            f"{what}: the request may have been carried out or not", hint="look with `defer list`"
        )

    async def _client(self) -> httpx.AsyncClient:
        loop = running_loop()
        kept = self._kept.get(loop)
        if kept is None:
            for ended in [other for other in list(self._kept) if other.is_closed()]:  # without a clean end
                self._kept.pop(ended, None)
            opening = self._open(loop)
            kept = self._kept[loop] = (await anext(opening), opening)
        return kept[0]

    async def _open(self, loop: asyncio.AbstractEventLoop) -> _Opening:
        """The loop's client. A loop ends the generators that were begun in it: so connections end with it."""
        client = httpx.AsyncClient(
            auth=self._auth,
            headers=self._headers,
            transport=self._transport,
            trust_env=not _is_local(self._url),  # a proxy cannot reach this machine's own ports
            verify=self._url.startswith("https:"),  # certificates take 20 ms to load
        )
        try:
            yield client
        finally:
            self._kept.pop(loop, None)
            await client.aclose()


def _checked_url(endpoint: str) -> str:
    text = endpoint.strip().rstrip("/")
    try:
        url = urlsplit(text)
        is_address = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # brackets or a port that are none
        is_address = False
    if not is_address:
        raise errors.NoBackendError(
            f"DEFER_ENDPOINT={endpoint} is not an http:// or https:// address",
            hint="set it to something like http://127.0.0.1:3337",
        )
    return text.removesuffix(PREFIX)


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _path(execution_id: str, part: str = "") -> str:
    path = f"/executions/{quote(execution_id, safe='', errors='backslashreplace')}"
    return f"{path}/{part}" if part else path


def _list_body(page: Page, filters: ExecutionFilters) -> dict[str, Any]:
    return {"page": wire.page_to_json(page), "filters": wire.filters_to_json(filters)}


def _json(answer: httpx.Response) -> Json:
    try:
        return answer.json()
    except ValueError:
        raise _not_understood(answer) from None


def _unwrapped(data: Json) -> Json:
    return data["data"] if isinstance(data, dict) and "data" in data else data


def _read(reader: Callable[[Any], R], answer: httpx.Response, field: str | None = None) -> R:
    try:
        body = _json(answer)
        return reader(body if field is None else body[field])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _not_understood(answer) from None


def _not_understood(answer: httpx.Response) -> errors.BackendError:
    return errors.BackendError(
        f"{answer.request.method} {answer.url}: status {answer.status_code}, "
        f"and an answer that is not of Defer's API: {answer.text[:200]!r}",
        hint="is DEFER_ENDPOINT the address of an emulator?",
    )


def _error_of(
    answer: httpx.Response, url: str, by_status: Mapping[int, type[errors.DeferError]]
) -> errors.DeferError:
    """The error that the server met, as precisely as it says."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("message"), str):
        return _not_understood(answer)
    if answer.status_code in (401, 403):
        hint = "set DEFER_TOKEN to the emulator's token"
    else:
        hint = str(body.get("hint", ""))
    name = answer.headers.get(ERROR_HEADER)
    if name:
        return wire.error_from_json({**body, "error": name, "hint": hint})
    kind = by_status.get(answer.status_code, errors.BackendError)
    return kind(body["message"], hint=hint)
