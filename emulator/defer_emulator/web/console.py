"""The overview page: what there is and what happened lately, for a person with a browser."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from starlette.responses import HTMLResponse, Response

from defer_client.backend import Backend
from defer_client.models import ExecutionFilters, Page, State
from defer_emulator.operations import Operations
from defer_emulator.web.settings import WebSettings

COUNTED = 1_000  # the latest executions, of which the states are counted
SHOWN = 50

PAGE_HEADERS = {
    # Nothing but our own style sheet; no scripts, no frames, no forms.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


async def overview(backend: Backend, operations: Operations, settings: WebSettings) -> Response:
    executions = (await backend.list_executions(Page(first=COUNTED), ExecutionFilters())).data
    counts = Counter(execution.state for execution in executions)
    html = _template("overview.html").render(
        settings=settings,
        clock=await operations.clock(),
        functions=await operations.functions(),
        counts=[(state, counts[state]) for state in State],
        counted=len(executions),
        executions=executions[:SHOWN],
    )
    return HTMLResponse(html, headers=PAGE_HEADERS)


@lru_cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=PackageLoader("defer_emulator.web", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["time"] = _time
    return environment.get_template(name)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
