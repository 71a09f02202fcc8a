"""The web application: the gate in front, the API, and the console for everything else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from defer_client.backend import Backend
from defer_emulator.operations import Operations
from defer_emulator.web.api import ENDPOINTS, PREFIX, Api, BackendFor
from defer_emulator.web.errors import Refused, error_response, json_response
from defer_emulator.web.requests import ClientGone, Request, read_headers
from defer_emulator.web.security import Gate, ParentOf
from defer_emulator.web.settings import WebSettings

if TYPE_CHECKING:
    from defer_emulator.web.console.app import Console
    from defer_emulator.web.console.site import Start

Handler = Callable[[Request], Awaitable[Response]]
Routes = Mapping[str, Mapping[str, Handler]]  # path, with {id} → method → handler

_API = "/public/"
_EXECUTIONS = f"{PREFIX}/executions/"


def create_app(
    backend: Backend,
    operations: Operations,
    settings: WebSettings,
    *,
    parent_of: ParentOf = lambda token: None,
    backend_for: BackendFor | None = None,
    is_ready: Callable[[], bool] = lambda: True,
    start: Start | None = None,
) -> WebApp:
    """The API v2 and the console, for any engine that offers the two protocols.

    `parent_of` verifies an execution token, `backend_for` gives the backend whose calls become children of
    that execution. Until `is_ready`, `/health` answers 503. `start` enqueues for a person, who may start
    a cron too. Raises `ValueError` when it would listen beyond this machine without a token.
    """
    gate = Gate(settings, parent_of)
    pages = Pages(settings, is_ready)
    api = Api(backend, operations, backend_for or (lambda parent: backend))
    routes: dict[str, dict[str, Handler]] = {
        "/health": {"GET": pages.health},
        "/openapi.json": {"GET": pages.openapi},
    }
    for endpoint in ENDPOINTS:
        methods = routes.setdefault(PREFIX + endpoint.path, {})
        methods[endpoint.method] = partial(endpoint.handle, api)

    async def open_console() -> Console:
        from defer_emulator.web.console.app import open_console

        return await open_console(backend, operations, settings, start=start or backend.enqueue, gate=gate)

    console = LazyConsole(open_console)

    def close() -> None:
        api.end_polls()
        console.close()

    return WebApp(gate, routes, close, console.respond)


class WebApp:
    """The ASGI application. `close()` answers every request that waits, so that a server can stop."""

    def __init__(
        self, gate: Gate, routes: Routes, close: Callable[[], None], console: Handler | None = None
    ) -> None:
        self._gate = gate
        self._routes = routes
        self._console = console  # answers what `routes` do not know
        self.close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"only http is served, not {scope['type']}")
        try:
            response = await self._respond(scope, receive)
        except ClientGone:
            return
        except Exception as error:
            response = error_response(error)
            if self._is_page(scope["path"]) and _wants_page(scope):
                response = _as_page(response)
        await response(scope, receive, send)

    def _is_page(self, path: str) -> bool:
        """Whether it is the console's: all that is not the API's."""
        return path not in self._routes and not path.startswith(_API)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        headers = read_headers(scope["headers"])
        self._gate.check_site(headers)
        path: str = scope["path"]
        template, execution_id = _template(path)
        methods = self._routes.get(template)
        if methods is None and self._console is not None and self._is_page(path):
            return await self._console(Request(scope=scope, receive=receive, headers=headers))
        parent = None if path == "/health" else self._gate.admit(headers)
        if methods is None:
            raise Refused(
                404, "not_found", f"there is nothing at {path[:200]}: /openapi.json lists what there is"
            )
        method: str = scope["method"]
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            return _other_method(method, path, methods)
        return await handler(
            Request(scope=scope, receive=receive, headers=headers, id=execution_id, parent=parent)
        )


class Pages:
    """What is served beside the API and the console."""

    def __init__(self, settings: WebSettings, is_ready: Callable[[], bool]) -> None:
        self._settings = settings
        self._is_ready = is_ready

    async def health(self, request: Request) -> Response:
        ready = self._is_ready()
        data = {
            "status": "ok" if ready else "starting",
            "project": self._settings.project,
            "version": self._settings.version,
        }
        return json_response(data, 200 if ready else 503)

    async def openapi(self, request: Request) -> Response:
        from defer_emulator.web.openapi import openapi

        return json_response(openapi(self._settings.version))


class LazyConsole:
    """The console, made when it is opened: its templates cost 40 ms, which no start has to pay."""

    def __init__(self, open_console: Callable[[], Awaitable[Console]]) -> None:
        self._open = open_console
        self._console: Console | None = None

    async def respond(self, request: Request) -> Response:
        if self._console is None:
            self._console = await self._open()
        return await self._console.respond(request)

    def close(self) -> None:
        if self._console is not None:
            self._console.close()


def _wants_page(scope: Scope) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


def _as_page(answer: Response) -> Response:
    from defer_emulator.web.console.problems import plain_page

    return plain_page(answer)


def _template(path: str) -> tuple[str, str]:
    """The path with `{id}` in place of an execution's id, and that id."""
    if not path.startswith(_EXECUTIONS):
        return path, ""
    execution_id, slash, rest = path[len(_EXECUTIONS) :].partition("/")
    return (f"{_EXECUTIONS}{{id}}{slash}{rest}", execution_id) if execution_id else (path, "")


def _other_method(method: str, path: str, methods: Mapping[str, Handler]) -> Response:
    known = {*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    allow = {"Allow": ", ".join(sorted(known))}
    if method == "OPTIONS":
        return Response(status_code=204, headers=allow)
    raise Refused(405, "bad_request", f"{method} is not possible at {path}, but {allow['Allow']}", allow)
