"""Templates: how values look on a page. Everything is escaped unless it was made here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from defer_client.models import Arguments, Execution, Json, State
from defer_emulator.domain.ids import short_id
from defer_emulator.domain.texts import duration, moment
from defer_emulator.web.console.ansi import ansi_to_html, strip_ansi
from defer_emulator.web.console.notices import CLEARED, read_notice
from defer_emulator.web.console.request import PageRequest, address, local_path
from defer_emulator.web.console.responses import PAGE_HEADERS
from defer_emulator.web.console.static import static_url

_CONTROL = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)])

LONGEST_CALL = 300  # characters
THEMES = ("light", "dark")
THEME_COOKIE = "defer_theme"

NAVIGATION = (
    ("/", "Overview"),
    ("/executions", "Executions"),
    ("/functions", "Functions"),
    ("/schedules", "Schedules"),
    ("/errors", "Errors"),
    ("/logs", "Logs"),
    ("/outbox", "Outbox"),
)


async def render(
    request: PageRequest,
    template: str,
    *,
    title: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    """A page. The template gets `values`, and what every page shows: `request`, `site`, `clock`, `now`…"""
    operations = request.site.operations
    clock = await operations.clock()
    theme = request.cookies.get(THEME_COOKIE)
    notice = read_notice(request.cookies)
    html = (
        environment()
        .get_template(template)
        .render(
            request=request,
            settings=request.site.settings,
            title=title,
            clock=clock,
            now=clock.now,
            is_paused=await operations.is_paused(),
            notice=notice,
            theme=theme if theme in THEMES else None,
            navigation=NAVIGATION,
            **values,
        )
    )
    response = html_response(html, status, headers)
    if notice is not None:
        response.headers.append("Set-Cookie", CLEARED)
    return response


def html_response(html: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Text that no page can hold shows as `?` (lone surrogates) or not at all (control characters)."""
    return Response(
        html.translate(_CONTROL).encode("utf-8", "replace"),
        status,
        {**PAGE_HEADERS, **(headers or {})},
        "text/html",
    )


@lru_cache(maxsize=1)
def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("defer_emulator.web", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        ago=ago,
        ansi=ansi_to_html,
        call_text=call_text,
        duration=duration,
        iso=iso,
        json=pretty_json,
        local=own_path,
        moment=moment,
        number=number,
        percent=percent,
        queue_time=queue_time,
        run_range=run_range,
        run_time=run_time,
        sentence=sentence,
        plain=strip_ansi,
        short_id=short_id,
        with_query=with_query,
    )
    made.globals.update(static=static_url)
    return made


def own_path(link: str) -> str:
    """The path of a link to the console, which may name it by another host."""
    parts = urlsplit(link)
    return local_path(parts.path + (f"?{parts.query}" if parts.query else ""))


def with_query(path: str, **fields: str) -> str:
    return address(path, list(fields.items()))


def queue_time(execution: Execution) -> float:
    """Seconds that the latest attempt waited after it was due."""
    if execution.started_at is None:
        return 0.0
    return max(0.0, (execution.started_at - execution.scheduled_at).total_seconds())


def run_time(execution: Execution, now: datetime) -> float:
    """Seconds that the latest attempt ran, or has run until now."""
    if execution.started_at is None:
        return 0.0
    return max(0.0, ((execution.finished_at or now) - execution.started_at).total_seconds())


def run_range(executions: Sequence[Execution], now: datetime) -> str:
    """`20ms – 1.2s`; nothing where none has started."""
    times = [run_time(one, now) for one in executions if one.started_at and one.state is not State.CREATED]
    if not times:
        return ""
    least, most = duration(min(times)), duration(max(times))
    return least if least == most else f"{least} – {most}"


def sentence(text: str) -> str:
    """`It failed: no luck.`"""
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".!?…" else ".")


def iso(value: datetime) -> str:
    """`2026-01-31T08:00:00.000Z`, for the `datetime` of a `<time>`."""
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ago(value: datetime, now: datetime) -> str:
    """`in 5m`, `2h ago`, `now`: the largest unit alone. `time.js` says the same."""
    seconds = (value - now).total_seconds()
    if abs(seconds) < 1:
        return "now"
    span = duration(round(abs(seconds))).partition(" ")[0]
    return f"in {span}" if seconds > 0 else f"{span} ago"


def number(value: float) -> str:
    """`1 234 567`, with narrow blanks that no line breaks at."""
    return f"{value:,}".replace(",", "\u202f")


def percent(share: float) -> str:
    """`0 %`, `0.4 %`, `12 %`, `100 %`: never rounded to none or to all of it."""
    value = share * 100
    if 0 < value < 10 or 99 < value < 100:
        text = f"{min(max(value, 0.1), 99.9):.1f}"
    else:
        text = f"{value:.0f}"
    return f"{text}\u202f%"


def call_text(arguments: Arguments) -> str:
    """As one would write a call: `"ada", 7, subject="Hi"`, cut where it is long."""
    parts = [json.dumps(value, ensure_ascii=False) for value in arguments.positional]
    parts += [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in arguments.keyword.items()]
    text = ", ".join(parts)
    return "no arguments" if not text else text if len(text) <= LONGEST_CALL else text[:LONGEST_CALL] + "…"


def pretty_json(value: Json) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
