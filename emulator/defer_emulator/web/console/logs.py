"""What all executions printed: searched, a page at a time, and followed while it is printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from starlette.responses import Response

from defer_client.durations import parse_when
from defer_client.errors import DeferError
from defer_emulator.domain.insight import FoundLine, LogSearch
from defer_emulator.web.console.printed import BUDGET, Printed, printed
from defer_emulator.web.console.rendering import render
from defer_emulator.web.console.request import PageRequest
from defer_emulator.web.errors import full_message

LINES = 150  # of a page
LONGEST = 1_000  # characters of a line that are shown
STREAMS: Sequence[Any] = ("stdout", "stderr", "system")


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """Neighbouring lines of one attempt, oldest first."""

    execution_id: str
    function: str
    attempt: int
    lines: Sequence[Printed]


async def show(request: PageRequest) -> Response:
    operations = request.site.operations
    errors: dict[str, str] = {}
    search = _search(request, errors)
    page = await operations.search_logs(search, cursor=request.get("cursor") or None, limit=LINES)
    return await render(
        request,
        "logs.html",
        title="Logs",
        status=422 if errors else 200,
        blocks=blocks_of(page.lines),
        page=page,
        names=sorted(one.spec.name for one in await operations.functions()),
        streams=STREAMS,
        errors=errors,
        is_first=not request.get("cursor"),
        is_filtered=any(request.get(name) for name in ("text", "function", "stream", "since")),
    )


def blocks_of(lines: Sequence[FoundLine], room: int = BUDGET) -> list[Block]:
    """The lines, newest first, by execution: each block reads from top to bottom."""
    blocks = []
    shown = zip(lines, printed(lines, longest=LONGEST, budget=room), strict=True)
    for (execution_id, attempt), group in groupby(
        shown, key=lambda pair: (pair[0].execution_id, pair[0].attempt)
    ):
        pairs = list(group)
        blocks.append(
            Block(
                execution_id=execution_id,
                function=pairs[0][0].function,
                attempt=attempt,
                lines=[replace(line, cut=line.cut + found.cut) for found, line in reversed(pairs)],
            )
        )
    return blocks


def _search(request: PageRequest, errors: dict[str, str]) -> LogSearch:
    since = None
    if request.get("since"):
        try:
            since = parse_when(request.get("since"), "since")
        except DeferError as error:
            errors["since"] = full_message(error)
    stream = request.get("stream")
    return LogSearch(
        text=request.get("text") or None,
        functions=request.all("function"),
        since=since,
        stream=next((one for one in STREAMS if one == stream), None),
    )
