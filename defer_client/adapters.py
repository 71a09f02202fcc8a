"""Web routes that start a function and show how far it is, for any ASGI framework."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from defer_client import wire
from defer_client.errors import DeferError, ExecutionNotFound, InvalidArguments, NotSerializable
from defer_client.functions import DeferredFunction
from defer_client.models import Json, State
from defer_client.selection import current_backend

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY = 8 * 1024 * 1024  # bytes

_log = logging.getLogger("defer_client")


class AsgiRoute:
    """An ASGI application for one function.

    - `POST` with a JSON array (arguments by position) or object (by name): the new execution
    - `GET ?id=...`: `{"id", "state"}`, and `"result"` once it has succeeded or failed

    It shows executions of this function only. Who may call it is the framework's to decide: put it
    behind the same authentication as the rest of the application.

    Raises `CronInvocationError` for a cron.

    >>> Route("/api/convert", AsgiRoute(convert))  # doctest: +SKIP
    """

    def __init__(self, function: DeferredFunction[..., Any]) -> None:
        self._function = function.with_options()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only http is served, not {scope['type']}")
        try:
            status, body = await self._answer(scope, receive)
        except (InvalidArguments, NotSerializable) as error:
            status, body = 400, {"error": error.message}
        except ExecutionNotFound:
            status, body = 404, {"error": "no such execution"}
        except DeferError as error:
            _log.error("%s could not be started or shown: %s", self._function.name, error)
            status, body = 500, {"error": "the background function is out of reach"}
        await _respond(send, status, body)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, Json]:
        if scope["method"] == "POST":
            return await self._start(await _read(receive))
        if scope["method"] == "GET":
            return await self._show(parse_qs(scope["query_string"].decode("latin-1")).get("id", [""])[0])
        return 405, {"error": "use POST to start, GET ?id=... to look"}

    async def _start(self, body: bytes | None) -> tuple[int, Json]:
        if body is None:
            return 413, {"error": f"the body is larger than {MAX_BODY // 2**20} MiB"}
        try:
            arguments = json.loads(body)
        except (ValueError, RecursionError):
            arguments = None
        if isinstance(arguments, list):
            execution = await self._function(*arguments)
        elif isinstance(arguments, dict):
            execution = await self._function(**arguments)
        else:
            return 400, {"error": "the body must be the arguments: a JSON array or object"}
        return 200, wire.execution_to_json(execution)

    async def _show(self, execution_id: str) -> tuple[int, Json]:
        if not execution_id:
            return 400, {"error": "the query must name the execution: ?id=..."}
        backend = current_backend(self._function._source)
        execution = await backend.get_execution(execution_id)
        if execution.function_name != self._function.name:
            raise ExecutionNotFound(f"{execution_id} is no execution of {self._function.name}")
        shown: dict[str, Json] = {"id": execution_id, "state": execution.state.value}
        if execution.state in (State.SUCCEED, State.FAILED):
            shown["result"] = await backend.get_execution_result(execution_id)
        return 200, shown


async def _read(receive: Receive) -> bytes | None:
    """The body; None when it is too large."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY:
            return None
    return body


async def _respond(send: Send, status: int, body: Mapping[str, Json]) -> None:
    content = json.dumps(body).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
