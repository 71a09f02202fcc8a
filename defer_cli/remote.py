"""What the project's file answers at once, asked of a server that only lists executions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from defer_client.backend import Backend
from defer_client.errors import AmbiguousId, ExecutionNotFound, InvalidRequest
from defer_client.models import (
    MAX_PAGE_SIZE,
    PAGE_SIZE,
    Execution,
    ExecutionFilters,
    Page,
    PageInfo,
    PageOf,
    State,
)
from defer_emulator.domain.ids import parse_id
from defer_emulator.operations import Search

SHORTEST = 4  # characters of a prefix or suffix
LOOKED_AT = 5_000  # executions in which a short id is looked for


async def resolve(backend: Backend, text: str) -> str:
    """The id that `text` means: whole, a short form among the latest executions, or `@last`.

    Raises `ExecutionNotFound`, `AmbiguousId`.
    """
    if parse_id(text) is not None:
        return text
    head, dot, attempt = text.lower().partition(".")
    if head in ("@last", "@last-failed"):
        states = [State.FAILED] if head == "@last-failed" else []
        page = await backend.list_executions(Page(first=1), ExecutionFilters(states=states))
        if page.data:
            return page.data[0].id + dot + attempt
        raise ExecutionNotFound(f"{text}: there is no such execution", hint="see what there is: defer list")
    found: list[str] = []
    if len(head) >= SHORTEST:
        async for execution in _latest(backend, ExecutionFilters(), LOOKED_AT):
            plain = execution.id.replace("-", "")
            if execution.id.startswith(head) or plain.startswith(head) or plain.endswith(head):
                found.append(execution.id)
    if len(found) > 1:
        raise AmbiguousId(f"{text} is the beginning or end of {len(found)} ids", hint="give more of it")
    if not found:
        raise ExecutionNotFound(
            f"no execution {text!r} among the latest {LOOKED_AT:,}",
            hint="give the whole id, or see defer list",
        )
    return found[0] + dot + attempt


async def find(backend: Backend, page: Page, search: Search) -> PageOf[Execution]:
    """One page of what matches. Names and times are compared here, as the server cannot.

    Raises `InvalidRequest`.
    """
    if search.text is not None:
        raise InvalidRequest(
            "--text needs the project's file", hint="run it in the project, without DEFER_ENDPOINT"
        )
    if not search.function_names and search.created_since is None:
        return await backend.list_executions(page, search.filters)
    since = search.created_since
    if isinstance(since, timedelta):
        since = await backend.now() - since
    size = page.first or PAGE_SIZE
    found: list[Execution] = []
    async for execution in _latest(backend, search.filters, LOOKED_AT):
        if since is not None and execution.created_at < since:
            break
        if not search.function_names or execution.function_name in search.function_names:
            found.append(execution)
        if len(found) == size:
            break
    if page.after is not None:
        raise InvalidRequest("--after does not go with --function or --since over HTTP", hint="raise --limit")
    info = PageInfo(has_next_page=False, has_prev_page=False, start_cursor="", end_cursor="")
    return PageOf(data=found, page_info=info)


async def _latest(backend: Backend, filters: ExecutionFilters, limit: int) -> AsyncIterator[Execution]:
    cursor: str | None = None
    while limit > 0:
        page: PageOf[Any] = await backend.list_executions(
            Page(first=min(limit, MAX_PAGE_SIZE), after=cursor), filters
        )
        for execution in page.data:
            yield execution
        if not page.page_info.has_next_page:
            return
        cursor = page.page_info.end_cursor
        limit -= len(page.data)
