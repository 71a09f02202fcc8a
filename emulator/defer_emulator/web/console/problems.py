"""Errors as pages, for browsers. Everybody else gets the API's JSON."""

from __future__ import annotations

import json
from http import HTTPStatus

from starlette.responses import Response

from defer_emulator.web.console.rendering import environment, html_response, render
from defer_emulator.web.console.request import PageRequest
from defer_emulator.web.errors import error_response

_TITLES = {
    403: "Refused",
    404: "Not found",
    409: "Not possible now",
    500: "The emulator failed to answer",
}


def plain_page(answer: Response) -> Response:
    """The same as a page that says nothing of the project: whoever asks was not let in."""
    body = json.loads(bytes(answer.body))
    title = _TITLES.get(answer.status_code) or HTTPStatus(answer.status_code).phrase
    html = environment().get_template("plain.html").render(title=title, message=body["message"])
    return html_response(html, answer.status_code)


async def problem_page(request: PageRequest, error: Exception) -> Response:
    """The same status and message as in the API, as a page."""
    answer = error_response(error)
    if request.headers.get(b"accept", b"").startswith(b"text/event-stream"):
        del answer.headers["WWW-Authenticate"]  # or the browser's own window would come, beside the page
    if not request.wants_html:
        return answer
    body = json.loads(bytes(answer.body))
    status = answer.status_code
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    headers = {name: answer.headers[name] for name in ("Allow",) if name in answer.headers}
    return await render(
        request, "problem.html", title=title, status=status, headers=headers, message=body["message"]
    )
