"""Logging in with the emulator's token, where it has one."""

from __future__ import annotations

from starlette.responses import Response

from defer_emulator.web.console.rendering import render
from defer_emulator.web.console.request import PageRequest, local_path
from defer_emulator.web.console.responses import go_to


async def show(request: PageRequest) -> Response:
    return await ask(request, local_path(request.get("next")), status=200)


async def ask(request: PageRequest, next_page: str, *, status: int, wrong: bool = False) -> Response:
    """The form that asks for the token; afterwards the browser goes to `next_page`."""
    return await render(request, "login.html", title="Log in", status=status, next=next_page, wrong=wrong)


async def log_in(request: PageRequest) -> Response:
    next_page = local_path(request.posted("next"))
    if not request.site.gate.is_token(request.posted("token")):
        return await ask(request, next_page, status=401, wrong=True)
    response = go_to(request, next_page)
    response.headers.append("Set-Cookie", request.site.keys.set_session())
    return response


async def log_out(request: PageRequest) -> Response:
    response = go_to(request, "/login")
    response.headers.append("Set-Cookie", request.site.keys.end_session())
    return response
