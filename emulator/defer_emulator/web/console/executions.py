"""The list of executions: filtered, paged, and several of them chosen for an act."""

from __future__ import annotations

from starlette.responses import Response

from defer_client.errors import AmbiguousId, ExecutionNotFound, InvalidRequest
from defer_client.models import ErrorCode, Page, PageInfo, State
from defer_emulator.domain.insight import Count, FoundExecutions
from defer_emulator.web.console.acts import ACTS
from defer_emulator.web.console.cutting import tags_of
from defer_emulator.web.console.execution_filters import Chosen, chosen
from defer_emulator.web.console.rendering import render
from defer_emulator.web.console.request import PageRequest, address
from defer_emulator.web.console.responses import go_to
from defer_emulator.web.errors import full_message

SHOWN = 50  # executions of a page
ROOM_OF_TAGS, LONGEST_TAG = 600, 32  # characters of markup in a row; of a key, and of a value
MORE = (
    "error_code",
    "metadata",
    "executed_by",
    "scheduled_from",
    "scheduled_to",
    "started_from",
    "started_to",
)
NOTHING = FoundExecutions(
    executions=(),
    page_info=PageInfo(has_next_page=False, has_prev_page=False, start_cursor="", end_cursor=""),
    searched_to=None,
)
CODES = {
    ErrorCode.INTERNAL.value: "interrupted",
    ErrorCode.TIMEOUT.value: "timeout",
    ErrorCode.OUT_OF_MEMORY.value: "out of memory",
    ErrorCode.USER.value: "raised",
}


async def show(request: PageRequest) -> Response:
    if request.get("id"):
        return await _go_to_id(request)
    wanted = await chosen(request)
    return await _page(request, wanted, dict(wanted.errors))


async def _go_to_id(request: PageRequest) -> Response:
    """The execution that the field `id` means; the list with what is wrong where it means none."""
    text = request.get("id")
    try:
        return go_to(request, address(f"/executions/{await request.site.operations.resolve_id(text)}"))
    except (ExecutionNotFound, AmbiguousId) as error:
        wanted = await chosen(request)
        return await _page(request, wanted, {**wanted.errors, "id": full_message(error)})


async def _page(request: PageRequest, wanted: Chosen, errors: dict[str, str]) -> Response:
    operations = request.site.operations
    found, count = NOTHING, Count(number=0, is_exact=True)
    if not wanted.errors:
        try:
            found = await operations.find(_page_of(request), wanted.search)
            count = Count(number=len(found.executions), is_exact=False)
            if found.searched_to is None:
                count = await operations.count(wanted.search)
        except InvalidRequest as error:
            errors["cursor"] = full_message(error)
    return await render(
        request,
        "executions.html",
        title="Executions",
        status=422 if errors else 200,
        found=found,
        count=count,
        wanted=wanted,
        errors=errors,
        states=list(State),
        names=sorted(one.spec.name for one in await operations.functions()),
        codes=CODES,
        acts=ACTS,
        tags={one.id: tags_of(one.metadata, ROOM_OF_TAGS, longest=LONGEST_TAG) for one in found.executions},
        is_first=not (request.get("after") or request.get("before")),
        more=[name for name in MORE if request.all(name)],
    )


def _page_of(request: PageRequest) -> Page:
    if request.get("before"):
        return Page(last=SHOWN, before=request.get("before"))
    return Page(first=SHOWN, after=request.get("after") or None)
