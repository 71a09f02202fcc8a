"""The overview: how the project is doing, and what comes next."""

from __future__ import annotations

from starlette.responses import Response

from defer_client.models import ExecutionFilters, Page, State
from defer_emulator.web.console.activity import RANGES, activity_chart, range_of
from defer_emulator.web.console.findings import findings_shown
from defer_emulator.web.console.notices import Notice
from defer_emulator.web.console.rendering import render
from defer_emulator.web.console.request import PageRequest
from defer_emulator.web.console.responses import go_back

LATEST = 8  # executions
NEXT = 6  # crons
GROUPS = 5  # of errors


async def show(request: PageRequest) -> Response:
    operations = request.site.operations
    shown = range_of(request.get("range"))
    statistics = await operations.statistics(window=shown.window, buckets=shown.buckets)
    schedules = await operations.schedules(times=1, days=1)
    upcoming = sorted(
        (one for one in schedules if one.next and not one.paused and one.status == "ready"),
        key=lambda one: one.next[0],
    )
    page = await request.site.backend.list_executions(Page(first=LATEST), ExecutionFilters())
    return await render(
        request,
        "overview.html",
        title="Overview",
        ranges=RANGES,
        shown=shown,
        statistics=statistics,
        chart=activity_chart(statistics.activity, statistics.bucket_width),
        states=list(State),
        upcoming=upcoming[:NEXT],
        groups=await operations.error_groups(limit=GROUPS),
        executions=page.data,
        live=operations.live,
        findings=findings_shown(request.site),
        functions=await operations.functions(),
    )


async def pause_everything(request: PageRequest) -> Response:
    await request.site.operations.pause()
    return go_back(request, Notice(text="Everything is paused: what runs goes on, nothing new starts."))


async def resume_everything(request: PageRequest) -> Response:
    await request.site.operations.resume()
    return go_back(request, Notice(text="Everything runs again, but what is paused by its own name."))
