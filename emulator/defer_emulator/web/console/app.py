"""The console as an application: who may see it, which page answers, and how errors look."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from starlette.responses import Response

from defer_client.backend import Backend
from defer_emulator.operations import Operations
from defer_emulator.web.console import login
from defer_emulator.web.console.jobs import Jobs
from defer_emulator.web.console.keys import Keys
from defer_emulator.web.console.pages import ROUTES, Route
from defer_emulator.web.console.problems import problem_page
from defer_emulator.web.console.request import PageRequest, read_cookies, read_fields
from defer_emulator.web.console.site import Site, Start
from defer_emulator.web.console.updates import Updates
from defer_emulator.web.errors import Refused
from defer_emulator.web.requests import ClientGone, Request
from defer_emulator.web.security import Gate
from defer_emulator.web.settings import WebSettings

_FORM = b"application/x-www-form-urlencoded"


async def open_console(
    backend: Backend, operations: Operations, settings: WebSettings, *, start: Start, gate: Gate
) -> Console:
    return Console(
        Site(
            backend=backend,
            operations=operations,
            settings=settings,
            start=start,
            gate=gate,
            keys=Keys(await operations.project_id(), settings.token),
            updates=Updates(operations),
            jobs=Jobs(backend, operations.live),
        )
    )


class Console:
    """Answers every request that is not the API's."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def close(self) -> None:
        """End what would go on for ever: the server stops."""
        self._site.updates.close()
        self._site.jobs.close()

    async def respond(self, http: Request) -> Response:
        """Raises `Refused` for what is no well-formed request, `ClientGone`."""
        request = self._read(http)
        try:
            return await self._answer(request)
        except ClientGone:
            raise
        except Exception as error:
            return await problem_page(request, error)

    def _read(self, http: Request) -> PageRequest:
        headers = dict(http.scope["headers"])
        return PageRequest(
            site=self._site,
            http=http,
            method=http.scope["method"],
            path=http.scope["path"],
            query=read_fields(http.query),
            cookies=read_cookies(headers),
            headers=headers,
            csrf=self._site.keys.csrf,
        )

    async def _answer(self, request: PageRequest) -> Response:
        found = [
            (route, params) for route in ROUTES if (params := route.match(_parts(request.path))) is not None
        ]
        if not all(route.is_open for route, _ in found) or not found:
            refused = self._refusal(request)
            if refused is not None:
                if request.wants_html and request.method in ("GET", "HEAD"):
                    return await login.ask(request, request.url, status=401)
                raise refused
        if not found:
            raise Refused(404, "not_found", f"there is no page {request.path[:200]}")
        method = "GET" if request.method == "HEAD" else request.method
        for route, params in found:
            if route.method == method:
                return await self._handle(route, replace(request, params=params))
        raise _other_method(request, [route for route, _ in found])

    def _refusal(self, request: PageRequest) -> Refused | None:
        """Why this browser may not see the page; None when it may."""
        if self._site.gate.needs_token and self._site.keys.is_session(request.cookies):
            return None
        try:
            self._site.gate.admit(request.http.headers)
        except Refused as refused:
            return refused
        return None

    async def _handle(self, route: Route, request: PageRequest) -> Response:
        if route.method == "POST":
            request = await self._read_form(request)
        request = replace(request, state=await self._site.updates.state())
        return await route.handler(request)

    async def _read_form(self, request: PageRequest) -> PageRequest:
        """Raises `Refused` for a form that another site sent, or an old page of ours."""
        _check_origin(request)
        if request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != _FORM:
            raise Refused(415, "bad_request", "send a form: application/x-www-form-urlencoded")
        request = request.with_form(read_fields(await request.http.body()))
        if not self._site.keys.is_csrf(request.posted("csrf")):
            raise Refused(
                403, "forbidden", "the form does not belong to this emulator: reload its page and try again"
            )
        return request


def _check_origin(request: PageRequest) -> None:
    """The gate has refused foreign origins; another port of this machine is foreign for an act, too."""
    origin = request.headers.get(b"origin")
    host = request.headers.get(b"host", b"")
    site = request.headers.get(b"sec-fetch-site", b"same-origin")
    is_ours = origin is None or origin.partition(b"://")[2].lower() == host.lower()
    if not is_ours or site not in (b"same-origin", b"none"):
        raise Refused(403, "forbidden", "another site sent this form: acts come from the console's own pages")


def _other_method(request: PageRequest, routes: list[Route]) -> Refused:
    known = {route.method for route in routes}
    allow = ", ".join(sorted(known | ({"HEAD"} if "GET" in known else set())))
    return Refused(
        405,
        "bad_request",
        f"{request.method} is not possible at {request.path[:200]}, but {allow}",
        {"Allow": allow},
    )


@lru_cache(maxsize=256)
def _parts(path: str) -> list[str]:
    return path.split("/")
