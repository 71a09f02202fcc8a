"""What a page answers with."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from defer_emulator.web.console.notices import Notice, set_notice
from defer_emulator.web.console.request import PageRequest, local_path
from defer_emulator.web.errors import json_response

PAGE_HEADERS: Mapping[str, str] = {
    # Nothing but our own files, and nothing inline: what a function printed cannot run.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # The Origin of a form would be "null" with "no-referrer".
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def go_to(request: PageRequest, path: str, notice: Notice | None = None) -> Response:
    """The answer to an act: the page that follows it, with a line about what was done."""
    target = local_path(path)
    if request.is_enhanced:
        response = json_response({"location": target})
    else:
        response = Response(status_code=303, headers={"Location": target})
    response.headers.update(PAGE_HEADERS)
    if notice is not None:
        response.headers.append("Set-Cookie", set_notice(notice))
    return response


def go_back(request: PageRequest, notice: Notice | None = None) -> Response:
    """To the page that the form was on."""
    return go_to(request, request.url, notice)
