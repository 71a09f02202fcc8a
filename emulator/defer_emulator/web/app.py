"""The web application: the gate in front, the API, and a page that shows what there is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from defer_client.backend import Backend
from defer_emulator.operations import Operations
from defer_emulator.web.api import ENDPOINTS, PREFIX, Api, BackendFor
from defer_emulator.web.errors import Refused, error_response, json_response
from defer_emulator.web.requests import ClientGone, Request, read_headers
from defer_emulator.web.security import Gate, ParentOf
from defer_emulator.web.settings import WebSettings

Handler = Callable[[Request], Awaitable[Response]]
Routes = Mapping[str, Mapping[str, Handler]]  # path, with {id} → method → handler

_STATIC = Path(__file__).with_name("static")
_EXECUTIONS = f"{PREFIX}/executions/"


def create_app(
    backend: Backend,
    operations: Operations,
    settings: WebSettings,
    *,
    parent_of: ParentOf = lambda token: None,
    backend_for: BackendFor | None = None,
    is_ready: Callable[[], bool] = lambda: True,
) -> WebApp:
    """The API v2 and the pages, for any engine that offers the two protocols.

    `parent_of` verifies an execution token, `backend_for` gives the backend whose calls become children of
    that execution. Until `is_ready`, `/health` answers 503. Raises `ValueError` when it would listen beyond
    this machine without a token.
    """
    pages = Pages(backend, operations, settings, is_ready)
    api = Api(backend, operations, backend_for or (lambda parent: backend))
    routes: dict[str, dict[str, Handler]] = {
        "/": {"GET": pages.overview},
        "/health": {"GET": pages.health},
        "/openapi.json": {"GET": pages.openapi},
        "/static/style.css": {"GET": pages.style},
    }
    for endpoint in ENDPOINTS:
        methods = routes.setdefault(PREFIX + endpoint.path, {})
        methods[endpoint.method] = partial(endpoint.handle, api)
    return WebApp(Gate(settings, parent_of), routes, close=api.end_polls)


class WebApp:
    """The ASGI application. `close()` answers every request that waits, so that a server can stop."""

    def __init__(self, gate: Gate, routes: Routes, close: Callable[[], None]) -> None:
        self._gate = gate
        self._routes = routes
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
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> Response:
        headers = read_headers(scope["headers"])
        self._gate.check_site(headers)
        path: str = scope["path"]
        parent = None if path == "/health" else self._gate.admit(headers)
        template, execution_id = _template(path)
        methods = self._routes.get(template)
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
    """What is served beside the API."""

    def __init__(
        self, backend: Backend, operations: Operations, settings: WebSettings, is_ready: Callable[[], bool]
    ) -> None:
        self._backend = backend
        self._operations = operations
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

    async def overview(self, request: Request) -> Response:
        # Jinja2 costs 25 ms: who never opens the page does not pay.
        from defer_emulator.web.console import overview

        return await overview(self._backend, self._operations, self._settings)

    async def style(self, request: Request) -> Response:
        return Response((_STATIC / "style.css").read_bytes(), media_type="text/css")


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
