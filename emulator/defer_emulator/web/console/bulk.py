"""Acts on chosen executions, or on all that match: asked about with their number, done, and summed up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from starlette.responses import Response

from defer_client.errors import DeferError
from defer_client.models import MAX_PAGE_SIZE, Execution, Page
from defer_emulator.domain.ids import parse_id
from defer_emulator.domain.insight import Count
from defer_emulator.operations import Search
from defer_emulator.web.console.acts import ACTS, Act, read_when
from defer_emulator.web.console.execution_filters import Chosen, chosen
from defer_emulator.web.console.jobs import Job
from defer_emulator.web.console.rendering import number, render
from defer_emulator.web.console.request import PageRequest, address
from defer_emulator.web.console.responses import go_to
from defer_emulator.web.errors import Refused, bad_request, full_message

MOST = 100_000  # executions of one act
SAMPLE = 8  # that are shown before


async def ask(request: PageRequest) -> Response:
    """How many it would be, and whether to go on."""
    return await _ask(request, _act(request))


async def start(request: PageRequest) -> Response:
    """Begin. The address of the page that asked, which the form names, says what was chosen."""
    act = _act(request)
    try:
        when = read_when(request.posted("when")) if act.takes_time else None
    except DeferError as error:
        return await _ask(request, act, error=full_message(error), status=422)
    wanted = await _wanted(request)
    ids = await _all_ids(request, act, wanted) if request.get("all") else _given_ids(request)
    if not ids:
        return await _ask(request, act, status=422)
    confirmed = request.posted("count")
    if request.get("all") and confirmed.isdigit() and len(ids) > int(confirmed):
        changed = f"There are {number(len(ids))} by now: nothing was done yet."
        return await _ask(request, act, changed=changed, status=409)
    job = request.site.jobs.start(act, ids, when, address("/executions", wanted.pairs))
    return go_to(request, f"/executions/acts/{job.number}")


async def show(request: PageRequest) -> Response:
    """How far it has come, and at its end what has become of it."""
    job = _job(request)
    return await render(
        request,
        "job.html",
        title=f"{job.act.label} {number(job.total)} {'execution' if job.total == 1 else 'executions'}",
        job=job,
    )


async def stop(request: PageRequest) -> Response:
    job = _job(request)
    job.is_stopped = True
    return go_to(request, f"/executions/acts/{job.number}")


async def _ask(
    request: PageRequest, act: Act, *, error: str = "", changed: str = "", status: int = 200
) -> Response:
    wanted = await _wanted(request)
    everything = bool(request.get("all"))
    sample: Sequence[Execution]
    if everything:
        search = wanted.narrowed(act.states)
        count = await request.site.operations.count(search, exact=True)
        sample = (await request.site.operations.find(Page(first=SAMPLE), search)).executions
    else:
        ids = _given_ids(request)
        count = Count(number=len(ids), is_exact=True)
        sample = await _known(request, ids[-SAMPLE:])
    return await render(
        request,
        "act.html",
        title=f"{act.label}?",
        status=status,
        act=act,
        count=count,
        most=MOST,
        sample=sample,
        everything=everything,
        wanted=wanted,
        back=address("/executions", wanted.pairs),
        error=error,
        changed=changed,
        when=request.posted("when"),
    )


def _act(request: PageRequest) -> Act:
    act = ACTS.get(request.get("act"))
    if act is None:
        raise bad_request(f"act must be one of {', '.join(ACTS)}")
    return act


async def _wanted(request: PageRequest) -> Chosen:
    """Raises `Refused` where a filter is wrong: without it, more would match."""
    wanted = await chosen(request)
    for error in wanted.errors.values():
        raise bad_request(error)
    return wanted


def _given_ids(request: PageRequest) -> list[str]:
    """The chosen ones, oldest first, as the list shows the newest first."""
    ids = [one.lower() for one in request.all("id") if parse_id(one) is not None]
    return list(dict.fromkeys(reversed(ids)))


async def _all_ids(request: PageRequest, act: Act, wanted: Chosen) -> list[str]:
    """What matches now, oldest first: all is known before anything changes, so that nothing is met twice."""
    ids = [one async for one in _matching(request, wanted.narrowed(act.states))]
    ids.reverse()
    return ids


async def _matching(request: PageRequest, search: Search) -> AsyncIterator[str]:
    cursor, left = None, MOST
    while left > 0:
        page = await request.site.operations.find(Page(first=min(MAX_PAGE_SIZE, left), after=cursor), search)
        for execution in page.executions:
            yield execution.id
        left -= len(page.executions)
        if not page.page_info.has_next_page:
            return
        cursor = page.page_info.end_cursor
        await asyncio.sleep(0)


async def _known(request: PageRequest, ids: Sequence[str]) -> list[Execution]:
    found = []
    for one in ids:
        try:
            found.append(await request.site.backend.get_execution(one))
        except DeferError:
            continue
    return found[::-1]


def _job(request: PageRequest) -> Job:
    text = request.params["number"]
    job = request.site.jobs.get(int(text)) if text.isascii() and text.isdigit() and len(text) < 10 else None
    if job is None:
        raise Refused(404, "not_found", "that act is not known: an emulator forgets them when it ends")
    return job
